//! Every reason of the disk's, produced once and named right. One that is new on the list fails
//! these tests until a scenario produces it.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use positron_proto::{
    gossip::change::keep_message,
    id::NetworkId,
    node::ChangeId,
    peers,
    reason::{End, Reason},
};
use positron_store::{DataFolder, Options, Report, Store, StoreError, summary};
use rusqlite::Connection;
use tempfile::tempdir;

use crate::rig::{identity, message, open, open_with, peer, store};

/// A database with something in it.
fn filled() -> tempfile::TempDir {
    let dir = tempdir().unwrap();
    store(dir.path(), [peers::change::keep(&peer(1))]);
    dir
}

fn edit(dir: &Path, sql: &str) {
    Connection::open(dir.join("node.db")).unwrap().execute_batch(sql).unwrap();
}

fn opening(dir: &Path) -> Reason {
    (&open(dir).map(drop).unwrap_err()).into()
}

/// What storage says that it waits for, after this was done to its disk.
fn waiting(options: Options, dir: &Path, take: impl FnOnce(&Path)) -> Reason {
    let retry_pauses = vec![Duration::from_millis(1)];
    let (store, _, reports) = open_with(dir, Options { retry_pauses, ..options }).unwrap();
    take(dir);
    for n in 1.. {
        let large = keep_message(&message(&identity(1), n, 64 * 1024));
        store.persist(ChangeId(n), large).unwrap();
        if let Report::Retrying { reason, .. } = reports.recv().unwrap() {
            return reason;
        }
    }
    unreachable!("there is no end of numbers")
}

/// Where a node is to start.
fn at_the_start(produced: &mut BTreeSet<Reason>) {
    let dir = filled();
    let _held = DataFolder::lock(dir.path()).unwrap();
    produced.insert(opening(dir.path()));

    let dir = tempdir().unwrap();
    fs::write(dir.path().join("node.db"), "these bytes are no database. ".repeat(500)).unwrap();
    produced.insert(opening(dir.path()));

    let dir = tempdir().unwrap();
    edit(dir.path(), "CREATE TABLE peers (peer_id TEXT)");
    produced.insert(opening(dir.path()));

    let dir = filled();
    edit(dir.path(), "PRAGMA user_version = 99");
    produced.insert(opening(dir.path()));

    let dir = filled();
    let folder = DataFolder::lock(dir.path()).unwrap();
    let other = Store::open(folder, NetworkId::from_name("other"), "other", drop).map(drop);
    produced.insert((&other.unwrap_err()).into());

    let dir = tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "no folder").unwrap();
    produced.insert(opening(&file));

    let dir = tempdir().unwrap();
    produced.insert((&summary(dir.path().join("missing")).map(drop).unwrap_err()).into());

    #[cfg(unix)]
    {
        let dir = tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/null", dir.path().join("node.db")).unwrap();
        produced.insert(opening(dir.path()));
    }
}

/// While it runs.
fn meanwhile(produced: &mut BTreeSet<Reason>) {
    let (dir, small) = (tempdir().unwrap(), Options { max_bytes: 1 << 20, ..Options::default() });
    produced.insert(waiting(small, dir.path(), |_| {}));

    let dir = filled();
    let mut backup = None;
    produced.insert(waiting(Options::default(), dir.path(), |dir| {
        let other = Connection::open(dir.join("node.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        backup = Some(other);
    }));

    let above = tempdir().unwrap();
    let (here, there) = (above.path().join("data"), above.path().join("elsewhere"));
    produced.insert(waiting(Options::default(), &here, |here| fs::rename(here, &there).unwrap()));
}

#[test]
fn every_reason_of_the_disk_is_named() {
    let mut produced = BTreeSet::new();
    for scenario in [at_the_start, meanwhile] {
        scenario(&mut produced);
    }
    // As another user: `permissions::tries_to_use_the_folder_of_another_user` names these two.
    produced.extend([Reason::PermissionDenied, Reason::NotOurs]);
    // What a sound disk never does.
    let (doing, path, why) = ("write to", "node.db".into(), "input/output error".into());
    produced.insert((&StoreError::Io { doing, path, why }).into());
    let is_listed = |reason: &&Reason| reason.ends().contains(&End::Store);
    let listed: BTreeSet<Reason> = Reason::ALL.iter().filter(is_listed).copied().collect();
    assert_eq!(produced, listed, "a reason without a scenario, or none at all");
}
