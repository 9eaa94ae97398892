//! What is refused, and that it is left as it was; what is old, and that it is brought up to date.

use std::{
    fs,
    os::unix::fs::{FileExt as _, PermissionsExt as _},
    path::Path,
    process::Command,
};

use positron_proto::{
    id::NetworkId,
    node::{Change, SequenceKind},
};
use positron_store::{DataFolder, Store, StoreError, summary};
use rusqlite::Connection;
use tempfile::tempdir;

use crate::rig::{
    NETWORK, child, child_dir, identity, message, network, node, open, peer, snapshot, standing,
    store,
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
    let file = fs::OpenOptions::new().write(true).open(dir.path().join("node.db")).unwrap();
    let pages = file.metadata().unwrap().len() / 4096;
    for page in 1..pages {
        file.write_all_at(&[0xFF; 64], page * 4096).unwrap();
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
        "INSERT INTO messages (sender, sequence, claim) VALUES (x'00', 1, x'1234');
         INSERT INTO messages (sender, sequence, claim)
             SELECT zeroblob(32), 1, claim FROM messages WHERE sequence = 2; -- whose?
         UPDATE messages SET sequence = -5 WHERE sequence = 2; -- which?
         INSERT INTO peers VALUES (zeroblob(32), zeroblob(200), NULL, 0, 0);
         UPDATE peers SET dialled = 'over there' WHERE dialled IS NOT NULL;
         INSERT INTO floors VALUES (x'', 5);
         INSERT INTO standings VALUES (x'0102', 0.5, NULL, 0);",
    );
    for _ in 0..2 {
        let (store, back, _) = open(dir.path()).unwrap();
        assert_eq!(store.skipped_rows(), 7);
        assert_eq!(back.gossip.messages, [good.clone()]);
        assert_eq!(back.peers, [peer(1)]);
        assert_eq!(back.standings.len(), 1);
    }
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
    old.execute(
        "INSERT INTO messages (sender, sequence, claim) VALUES (?1, 7, ?2)",
        (node(1).as_bytes(), claim),
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

#[test]
fn only_its_owner_may_look_into_a_new_folder() {
    let dir = tempdir().unwrap();
    let data = dir.path().join("deep").join("data");
    let (_store, ..) = open(&data).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data), mode(data.parent().unwrap())), (0o700, 0o700));
    for file in ["node.lock", "node.db", "node.db-wal"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
}

#[test]
#[ignore = "runs in a process of its own, as a user who may not"]
fn tries_to_use_the_folder_of_another_user() {
    let Some(dir) = child_dir() else { return };
    for name in ["closed", "file closed", "read only"] {
        let error = open(&dir.join(name)).map(drop).unwrap_err();
        assert!(matches!(error, StoreError::Permission { .. }), "{name}: {error:?}");
        println!("{error}");
    }
    for name in ["closed", "file closed"] {
        let error = summary(dir.join(name)).unwrap_err();
        assert!(matches!(error, StoreError::Permission { .. }), "{name}: {error:?}");
        println!("{error}");
    }
    assert_eq!(summary(dir.join("read only")).unwrap().peers, 1);
    println!("\nevery door was closed");
}

#[test]
fn a_folder_of_another_user_is_refused_with_a_reason() {
    let dir = tempdir().unwrap();
    let allow = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    allow(dir.path(), 0o755);
    for (name, folder, file) in
        [("closed", 0o700, 0o600), ("file closed", 0o777, 0o600), ("read only", 0o777, 0o644)]
    {
        let data = dir.path().join(name);
        store(&data, [Change::KeepPeer(peer(1))]);
        allow(&data, folder);
        allow(&data.join("node.lock"), 0o666);
        allow(&data.join("node.db"), file);
    }
    let this = std::env::current_exe().unwrap();
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let mut can = Command::new(nobody[0]);
    can.args(&nobody[1..]).arg(&this).arg("--list");
    if !can.output().is_ok_and(|output| output.status.success()) {
        println!("skipped: needs root, setpriv, and a test binary that everybody may run");
        return;
    }
    let name = "refuses::tries_to_use_the_folder_of_another_user";
    let output = child(&nobody, name, dir.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("every door was closed"), "{output:?}");
    println!("{said}");
}
