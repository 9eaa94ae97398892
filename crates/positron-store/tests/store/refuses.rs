//! What is refused, and that it is left as it was; what is old, and that it is brought up to date.

use std::{
    fs,
    io::{Seek as _, SeekFrom, Write as _},
    path::Path,
};

use positron_proto::{
    id::NetworkId,
    node::{Change, ChangeId, SequenceKind},
};
use positron_store::{DataFolder, Store, StoreError, summary};
use rusqlite::Connection;
use tempfile::tempdir;

use crate::rig::{
    NETWORK, identity, message, network, node, open, peer, snapshot, standing, store,
};

/// Fails to open the store in `dir`, and checks that the database is what it was.
fn refused(dir: &Path) -> StoreError {
    let database = dir.join("node.db");
    let before = fs::read(&database).unwrap();
    let error = open(dir).unwrap_err();
    assert!(fs::read(&database).unwrap() == before, "the database was changed");
    println!("{error}");
    error
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
    store(dir.path(), (0..200).map(|n| Change::KeepMessage(message(&identity(1), n, 1000))));
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
    store(dir.path(), (0..200).map(|n| Change::KeepMessage(message(&identity(1), n, 1000))));
    let file = fs::OpenOptions::new().write(true).open(dir.path().join("node.db")).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    assert!(matches!(refused(dir.path()), StoreError::Corrupt { .. }));
}

#[test]
fn a_database_without_its_state_is_refused_rather_than_counted_from_zero() {
    let dir = tempdir().unwrap();
    store(dir.path(), [Change::ReserveSequence { kind: SequenceKind::Broadcast, below: 1024 }]);
    edit(dir.path(), "DELETE FROM state");
    assert!(matches!(refused(dir.path()), StoreError::Corrupt { .. }));
}

#[test]
fn the_database_of_another_program_is_refused() {
    let dir = tempdir().unwrap();
    edit(dir.path(), "CREATE TABLE peers (peer_id TEXT)");
    assert!(matches!(refused(dir.path()), StoreError::Foreign { .. }));
    assert!(matches!(summary(dir.path()), Err(StoreError::Foreign { .. })));
}

#[test]
fn a_database_of_a_newer_version_is_refused() {
    let dir = tempdir().unwrap();
    store(dir.path(), [Change::KeepPeer(peer(1))]);
    edit(dir.path(), "PRAGMA user_version = 99");
    let error = refused(dir.path());
    assert!(matches!(error, StoreError::NewerSchema { found: 99, .. }), "{error}");
    assert!(matches!(summary(dir.path()), Err(StoreError::NewerSchema { .. })));
}

#[test]
fn the_database_of_another_network_is_refused_and_both_are_named() {
    let dir = tempdir().unwrap();
    store(dir.path(), [Change::KeepPeer(peer(1))]);
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
    store(dir.path(), [Change::KeepPeer(peer(1))]);
    assert_eq!(fs::read(&old).unwrap(), b"whatever it is");
}

#[test]
fn rows_that_make_no_sense_are_left_out_and_left_there() {
    let dir = tempdir().unwrap();
    let good = message(&identity(1), 1, 10);
    store(
        dir.path(),
        [
            Change::KeepMessage(good.clone()),
            Change::KeepMessage(message(&identity(1), 2, 10)),
            Change::KeepPeer(peer(1)),
            Change::KeepPeer(peer(2)),
            standing(1, 0.5, None),
        ],
    );
    edit(
        dir.path(),
        "INSERT INTO messages (sender, sequence, claim, checksum) VALUES (x'00', 1, x'12', x'');
         INSERT INTO messages (sender, sequence, claim, checksum)
             SELECT zeroblob(32), 1, claim, checksum FROM messages WHERE sequence = 2; -- whose?
         UPDATE messages SET sequence = -5 WHERE sequence = 2; -- which?
         INSERT INTO peers VALUES (zeroblob(32), zeroblob(200), zeroblob(8), NULL, 0, 0);
         UPDATE peers SET dialled = 'over there' WHERE dialled IS NOT NULL;
         INSERT INTO floors VALUES (x'', 5);
         INSERT INTO standings VALUES (x'0102', 0.5, NULL, 0);",
    );
    for _ in 0..2 {
        let (store, back, _) = open(dir.path()).unwrap();
        assert_eq!(store.skipped_rows(), 7);
        assert_eq!(back.gossip.messages, std::slice::from_ref(&good));
        assert_eq!(back.peers, [peer(1)]);
        assert_eq!(back.standings.len(), 1);
    }
}

#[test]
fn a_claim_that_rotted_on_the_disk_is_not_vouched_for() {
    let dir = tempdir().unwrap();
    let kept = message(&identity(1), 0, 20);
    store(dir.path(), [Change::KeepMessage(kept.clone()), Change::KeepPeer(peer(1))]);
    let mut claim = Vec::new();
    kept.claim().encode(&mut claim);
    for place in (0..claim.len()).step_by(5) {
        let mut rotten = claim.clone();
        rotten[place] ^= 4;
        let db = Connection::open(dir.path().join("node.db")).unwrap();
        db.execute("UPDATE messages SET claim = ?1", (rotten,)).unwrap();
        drop(db);
        let (_store, back, _) = open(dir.path()).unwrap();
        assert!(back.gossip.messages.is_empty(), "byte {place}");
    }
}

#[test]
fn no_content_of_the_file_makes_a_store_panic() {
    let dir = tempdir().unwrap();
    let messages = (0..40).map(|n| Change::KeepMessage(message(&identity(1), n, 100)));
    let peers = (0..20).map(|n| Change::KeepPeer(peer(n)));
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
                    let change = Change::KeepMessage(message(&identity(2), n, 100));
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

#[test]
fn a_database_of_version_1_is_brought_up_to_date() {
    let dir = tempdir().unwrap();
    let kept = message(&identity(1), 7, 100);
    let old = Connection::open(dir.path().join("node.db")).unwrap();
    old.execute_batch(include_str!("version_1.sql")).unwrap();
    old.execute(
        "INSERT INTO state VALUES (1, ?1, ?2, 1024, 2048)",
        (network().as_bytes(), NETWORK),
    )
    .unwrap();
    let mut claim = Vec::new();
    kept.claim().encode(&mut claim);
    let checksum = kept.claim().job(&network()).fingerprint()[..8].to_vec();
    old.execute(
        "INSERT INTO messages (sender, sequence, claim, checksum) VALUES (?1, 7, ?2, ?3)",
        (node(1).as_bytes(), claim, checksum),
    )
    .unwrap();
    drop(old);
    let looked_at = summary(dir.path()).unwrap();
    assert_eq!((looked_at.schema_version, looked_at.messages), (1, 1));

    store(dir.path(), [standing(3, 0.5, None)]);
    let back = snapshot(dir.path());
    assert_eq!((back.next_broadcast, back.next_direct), (1024, 2048));
    assert_eq!(back.gossip.messages, [kept]);
    assert_eq!(back.standings.len(), 1);
    assert!(summary(dir.path()).unwrap().schema_version > 1);
}
