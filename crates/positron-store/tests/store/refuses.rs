//! What is refused, and that it is left as it was; what is old, and that it is brought up to date.

use std::{
    fs,
    io::{Seek as _, SeekFrom, Write as _},
    path::Path,
};

use positron_proto::{
    gossip::{self, change::keep_message},
    id::NetworkId,
    node::{ChangeId, SequenceKind, change::reserve},
    peers,
    storage::{Row, Table},
    trust,
};
use positron_store::{DataFolder, Store, StoreError, summary};
use rusqlite::Connection;
use tempfile::tempdir;

use crate::rig::{NETWORK, identity, message, node, open, peer, snapshot, standing, store};

/// Fails to open the store in `dir`, and checks that the database is what it was.
fn refused(dir: &Path) -> StoreError {
    let database = dir.join("node.db");
    let before = fs::read(&database).unwrap();
    let error = open(dir).unwrap_err();
    assert!(fs::read(&database).unwrap() == before, "the database was changed");
    println!("{error}");
    error
}

/// Writes a row as somebody would who knows how, but not what stands in it.
fn write_row(dir: &Path, table: &'static Table, key: &[u8], value: &[u8]) {
    let row = Row { table, key: key.to_vec().into(), value: value.to_vec().into() };
    let sql =
        format!("INSERT OR REPLACE INTO {} (key, value, checksum) VALUES (?1, ?2, ?3)", table.name);
    let db = Connection::open(dir.join("node.db")).unwrap();
    db.execute(&sql, (key, value, row.checksum())).unwrap();
}

fn edit(dir: &Path, sql: &str) {
    Connection::open(dir.join("node.db")).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("node.db"), "these bytes are no database. ".repeat(500)).unwrap();
    assert!(matches!(refused(dir.path()), StoreError::Corrupt { .. }));
    assert!(matches!(summary(dir.path()), Err(StoreError::Corrupt { .. })));
}

#[test]
fn a_damaged_database_is_refused() {
    let dir = tempdir().unwrap();
    store(dir.path(), (0..200).map(|n| keep_message(&message(&identity(1), n, 1000))));
    let mut file = fs::OpenOptions::new().write(true).open(dir.path().join("node.db")).unwrap();
    let pages = file.metadata().unwrap().len() / 4096;
    for page in 1..pages {
        file.seek(SeekFrom::Start(page * 4096)).unwrap();
        file.write_all(&[0xFF; 64]).unwrap();
    }
    drop(file);
    assert!(matches!(refused(dir.path()), StoreError::Corrupt { .. }));
}

#[test]
fn a_database_that_was_cut_short_is_refused() {
    let dir = tempdir().unwrap();
    store(dir.path(), (0..200).map(|n| keep_message(&message(&identity(1), n, 1000))));
    let file = fs::OpenOptions::new().write(true).open(dir.path().join("node.db")).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    assert!(matches!(refused(dir.path()), StoreError::Corrupt { .. }));
}

#[test]
fn a_database_without_its_state_is_refused_rather_than_counted_from_zero() {
    let dir = tempdir().unwrap();
    store(dir.path(), [reserve(SequenceKind::Broadcast, 1024)]);
    edit(dir.path(), "DELETE FROM state");
    assert!(matches!(refused(dir.path()), StoreError::Corrupt { .. }));
}

#[test]
fn own_numbers_that_rotted_are_refused_rather_than_counted_from_zero() {
    for spoil in [
        "UPDATE node_numbers SET value = x'0000000000000001'",
        "UPDATE node_numbers SET key = x'00'",
        "UPDATE node_numbers SET checksum = x''",
    ] {
        let dir = tempdir().unwrap();
        store(dir.path(), [reserve(SequenceKind::Broadcast, 1024)]);
        edit(dir.path(), spoil);
        let error = refused(dir.path());
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains("node_numbers"), "{error}");
    }
}

#[test]
fn the_database_of_another_program_is_refused() {
    let dir = tempdir().unwrap();
    edit(dir.path(), "CREATE TABLE peers (peer_id TEXT)");
    assert!(matches!(refused(dir.path()), StoreError::Foreign { .. }));
    assert!(matches!(summary(dir.path()), Err(StoreError::Foreign { .. })));
}

#[test]
fn a_database_of_another_version_is_refused_and_both_are_named() {
    let dir = tempdir().unwrap();
    store(dir.path(), [peers::change::keep(&peer(1))]);
    let ours = summary(dir.path()).unwrap().schema_version;
    for other in [1, ours - 1, ours + 1, 99] {
        edit(dir.path(), &format!("PRAGMA user_version = {other}"));
        let error = refused(dir.path());
        let StoreError::OtherSchema { found, known, .. } = error else { panic!("{error}") };
        assert_eq!((found, known), (other, ours));
        assert!(matches!(summary(dir.path()), Err(StoreError::OtherSchema { .. })));
    }
    edit(dir.path(), &format!("PRAGMA user_version = {ours}"));
    assert_eq!(snapshot(dir.path()).peers, [peer(1)]);
}

#[test]
fn the_database_of_another_network_is_refused_and_both_are_named() {
    let dir = tempdir().unwrap();
    store(dir.path(), [peers::change::keep(&peer(1))]);
    let before = fs::read(dir.path().join("node.db")).unwrap();
    let folder = DataFolder::lock(dir.path()).unwrap();
    let error = Store::open(folder, NetworkId::from_name("other"), "other", drop).unwrap_err();
    assert!(matches!(error, StoreError::WrongNetwork { .. }));
    let said = error.to_string();
    assert!(said.contains(NETWORK) && said.contains("\"other\""), "{said}");
    assert!(fs::read(dir.path().join("node.db")).unwrap() == before);
}

#[test]
fn an_old_network_db_is_left_alone() {
    let dir = tempdir().unwrap();
    let old = dir.path().join("network.db");
    fs::write(&old, "whatever it is").unwrap();
    store(dir.path(), [peers::change::keep(&peer(1))]);
    assert_eq!(fs::read(&old).unwrap(), b"whatever it is");
}

#[test]
fn rows_that_make_no_sense_are_left_out_and_left_there() {
    let dir = tempdir().unwrap();
    let good = message(&identity(1), 1, 10);
    store(
        dir.path(),
        [
            keep_message(&good),
            keep_message(&message(&identity(1), 2, 10)),
            peers::change::keep(&peer(1)),
            peers::change::keep(&peer(2)),
            standing(1, 0.5, None),
        ],
    );
    let (zeros, mut whose) = ([0; 32], vec![0; 32]);
    whose.extend_from_slice(&2_u64.to_be_bytes());
    let mut claim = Vec::new();
    message(&identity(1), 2, 10).claim().encode(&mut claim);
    write_row(dir.path(), &gossip::change::MESSAGES, &[0], &[0x12]);
    write_row(dir.path(), &gossip::change::MESSAGES, &whose, &claim);
    write_row(dir.path(), &peers::change::BOOK, &zeros, &[0; 200]);
    let mut nowhere = [&[0; 12][..], &[10], b"over there"].concat();
    peer(3).record.claim().encode(&mut nowhere);
    write_row(dir.path(), &peers::change::BOOK, node(3).as_bytes(), &nowhere);
    write_row(dir.path(), &gossip::change::FLOORS, &[], &5_u64.to_be_bytes());
    write_row(dir.path(), &gossip::change::FLOORS, &zeros, &[5]);
    write_row(dir.path(), &trust::change::STANDINGS, &[1, 2], &[0; 16]);
    write_row(dir.path(), &trust::change::STANDINGS, &zeros, &[0; 17]);
    edit(
        dir.path(),
        "UPDATE gossip_messages SET key = zeroblob(40) WHERE number = 2;
         UPDATE peers_book SET value = CAST(x'01' || substr(value, 2) AS BLOB) WHERE number = 2;",
    );
    for _ in 0..2 {
        let (store, back, _) = open(dir.path()).unwrap();
        assert_eq!(store.skipped_rows(), 10);
        assert_eq!(back.gossip.messages, std::slice::from_ref(&good));
        assert_eq!(back.peers, [peer(1)]);
        assert_eq!(back.standings.len(), 1);
    }
}

#[test]
fn a_claim_that_rotted_on_the_disk_is_not_vouched_for() {
    let dir = tempdir().unwrap();
    let kept = message(&identity(1), 0, 20);
    store(dir.path(), [keep_message(&kept), peers::change::keep(&peer(1))]);
    let mut claim = Vec::new();
    kept.claim().encode(&mut claim);
    for place in (0..claim.len()).step_by(5) {
        let mut rotten = claim.clone();
        rotten[place] ^= 4;
        let db = Connection::open(dir.path().join("node.db")).unwrap();
        db.execute("UPDATE gossip_messages SET value = ?1", (rotten,)).unwrap();
        drop(db);
        let (_store, back, _) = open(dir.path()).unwrap();
        assert!(back.gossip.messages.is_empty(), "byte {place}");
    }
}

#[test]
fn no_content_of_the_file_makes_a_store_panic() {
    let dir = tempdir().unwrap();
    let messages = (0..40).map(|n| keep_message(&message(&identity(1), n, 100)));
    let peers = (0..20).map(|n| peers::change::keep(&peer(n)));
    let standings = (0..20).map(|n| standing(n, 0.5, None));
    store(dir.path(), messages.chain(peers).chain(standings));
    let database = dir.path().join("node.db");
    let sound = fs::read(&database).unwrap();
    let (mut opened, mut refused) = (0, 0);
    for seed in 1..=150_u64 {
        // Eight bytes, at places drawn from the seed (xorshift64, Marsaglia 2003).
        let mut die = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut spoiled = sound.clone();
        for _ in 0..8 {
            die ^= die << 13;
            die ^= die >> 7;
            die ^= die << 17;
            let [low, high, extra, flip, ..] = die.to_le_bytes();
            let place = usize::from(low) | usize::from(high) << 8 | usize::from(extra) << 16;
            spoiled[place % sound.len()] ^= flip | 1;
        }
        fs::write(&database, spoiled).unwrap();
        println!("seed {seed}");
        drop(summary(dir.path()));
        match open(dir.path()) {
            Ok((store, _, reports)) => {
                opened += 1;
                for n in 0..10 {
                    let change = keep_message(&message(&identity(2), n, 100));
                    let _refused_if_it_failed = store.persist(ChangeId(n), change);
                }
                // It says how it went, whichever way.
                assert!(reports.recv().is_ok());
                if let Err(StoreError::Io { why, .. }) = store.close() {
                    assert!(!why.contains("panic"), "{why}");
                }
            }
            Err(error) => {
                refused += 1;
                assert!(!error.to_string().is_empty());
            }
        }
        for log in ["node.db-wal", "node.db-shm"] {
            drop(fs::remove_file(dir.path().join(log)));
        }
    }
    println!("{opened} opened, {refused} refused");
}
