//! Whatever takes the disk away for a while is waited for, and heals by itself.

use std::{path::Path, time::Duration};

use positron_proto::{gossip::change::keep_message, node::ChangeId};
use positron_store::{Options, Report};
use rusqlite::Connection;
use tempfile::tempdir;

use crate::rig::{identity, message, open_with, snapshot};

/// Tries that fail before the disk is given back.
const TRIES: usize = 8;

/// What was there before, what comes while the disk is away, and what comes afterwards: all of it
/// is stored, and the storage says meanwhile what it waits for.
fn outlives(dir: &Path, says: &str, take: impl FnOnce(), give_back: impl FnOnce()) {
    let options = Options { retry_pauses: vec![Duration::from_millis(1)], ..Options::default() };
    let (store, _, reports) = open_with(dir, options).unwrap();
    let write = |n| {
        let change = keep_message(&message(&identity(1), n, 1024));
        store.persist(ChangeId(n), change).unwrap();
    };
    write(1);
    assert_eq!(reports.recv().unwrap(), Report::Durable { up_to: ChangeId(1) });
    take();
    write(2);
    for tried in 1..=TRIES {
        let Report::Retrying { attempt, why, .. } = reports.recv().unwrap() else {
            panic!("the disk is away")
        };
        assert_eq!(attempt, tried);
        assert!(why.contains(says), "{why}");
    }
    give_back();
    write(3);
    assert!(reports.iter().any(|report| report == Report::Durable { up_to: ChangeId(3) }));
    store.close().unwrap();
    assert_eq!(snapshot(dir).gossip.messages.len(), 3);
}

#[test]
fn a_database_that_another_process_has_locked() {
    let dir = tempdir().unwrap();
    // A backup: the file is there as soon as the store was open once.
    drop(open_with(dir.path(), Options::default()).unwrap());
    let backup = Connection::open(dir.path().join("node.db")).unwrap();
    outlives(
        dir.path(),
        "locked",
        || backup.execute_batch("BEGIN IMMEDIATE").unwrap(),
        || backup.execute_batch("COMMIT").unwrap(),
    );
}

#[cfg(unix)]
#[test]
fn a_folder_that_was_moved_away() {
    let above = tempdir().unwrap();
    let (here, there) = (above.path().join("data"), above.path().join("elsewhere"));
    outlives(
        &here,
        "put it back",
        || std::fs::rename(&here, &there).unwrap(),
        || std::fs::rename(&there, &here).unwrap(),
    );
}
