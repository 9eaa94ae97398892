//! A summary looks and does not touch.

use std::{collections::BTreeMap, fs, path::Path};

use positron_proto::{
    gossip::change::keep_message,
    node::{ChangeId, SequenceKind, change::reserve},
    peers, trust,
};
use positron_store::{Report, StoreError, summary};
use tempfile::tempdir;

use crate::rig::{
    NETWORK, at, identity, message, network, node, open, peer, standing, store, trust_event,
};

/// Every file in `dir` with its content, except the memory that readers and writers share.
pub(crate) fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(dir).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let bytes = if name.ends_with("-shm") { vec![] } else { fs::read(entry.path()).unwrap() };
        (name, bytes)
    });
    files.collect()
}

#[test]
fn a_folder_that_is_missing_or_empty_stays_so() {
    let dir = tempdir().unwrap();
    let missing = dir.path().join("missing");
    let error = summary(&missing).unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    assert!(error.to_string().contains("no node has been started"), "{error}");
    assert!(!missing.exists());
    assert!(matches!(summary(dir.path()), Err(StoreError::Missing { .. })));
    fs::write(dir.path().join("node.db"), "").unwrap();
    assert!(matches!(summary(dir.path()), Err(StoreError::Missing { .. })));
    assert_eq!(contents(dir.path()).len(), 1);
}

#[test]
fn the_numbers_are_right_and_nothing_is_touched() {
    let dir = tempdir().unwrap();
    // A name that means something in a URI.
    let dir = dir.path().join("50% of #1? ä");
    let (alice, bob) = (identity(1), identity(2));
    store(
        &dir,
        [
            reserve(SequenceKind::Broadcast, 1024),
            keep_message(&message(&alice, 1, 100)),
            keep_message(&message(&alice, 2, 100)),
            keep_message(&message(&bob, 1, 100)),
            peers::change::keep(&peer(3)),
            peers::change::keep(&peer(4)),
            peers::change::keep(&peer(5)),
            standing(3, 0.9, None),
            standing(4, 0.7, None),
            standing(5, 0.0, Some(at(99))),
            trust::change::record(&trust_event(1)),
            trust::change::record(&trust_event(2)),
        ],
    );
    let before = contents(&dir);
    let summary = summary(&dir).unwrap();
    assert_eq!((summary.network, summary.network_name.as_str()), (network(), NETWORK));
    assert_eq!((summary.next_broadcast, summary.next_direct), (1024, 0));
    assert_eq!((summary.peers, summary.dialled_peers), (3, 1));
    assert_eq!((summary.messages, summary.senders), (3, 2));
    assert_eq!(summary.message_bytes, 3 * (100 + 112));
    assert_eq!((summary.observed_peers, summary.banned_peers), (3, 1));
    assert_eq!((summary.bans[0].peer, summary.bans[0].until_unix_secs), (node(5), 99));
    let trusted: Vec<_> = summary.most_trusted.iter().map(|line| line.peer).collect();
    assert_eq!(trusted, [node(3), node(4)]);
    assert_eq!(summary.last_trust_events.len(), 2);
    assert_eq!(summary.last_trust_events[0].at_unix_secs, 2);
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(json["bans"][0]["peer"], node(5).to_string());
    assert_eq!(contents(&dir), before);
}

#[test]
fn a_node_that_runs_can_be_looked_at() {
    let dir = tempdir().unwrap();
    let (store, _, reports) = open(dir.path()).unwrap();
    for n in 1..=20 {
        store.persist(ChangeId(n), keep_message(&message(&identity(1), n, 10))).unwrap();
        while reports.recv().unwrap() != (Report::Durable { up_to: ChangeId(n) }) {}
        assert_eq!(summary(dir.path()).unwrap().messages, n);
    }
    store.close().unwrap();
}
