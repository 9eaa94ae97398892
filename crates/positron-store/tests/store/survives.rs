//! Every kind of change survives, once, and in order.

use positron_proto::{
    limits::MAX_TRUST_EVENTS,
    node::{Change, ChangeId, SequenceKind},
};
use positron_store::{Report, summary};
use tempfile::tempdir;

use crate::rig::{at, identity, message, node, open, peer, snapshot, standing, store, trust_event};

#[test]
fn a_new_store_brings_back_nothing() {
    let dir = tempdir().unwrap();
    assert_eq!(snapshot(dir.path()), Default::default());
}

#[test]
fn every_kind_of_change_survives() {
    let dir = tempdir().unwrap();
    let (alice, bob) = (identity(1), identity(2));
    // Alice's second message is kept before her first, and an empty and a large one are there too.
    let kept = [message(&alice, 7, 300), message(&bob, 0, 0), message(&alice, 3, 1 << 20)];
    let mut changes = vec![
        Change::ReserveSequence { kind: SequenceKind::Broadcast, below: 1024 },
        Change::ReserveSequence { kind: SequenceKind::Direct, below: 2048 },
        Change::Floor { sender: node(1), floor: 3 },
        Change::Floor { sender: node(2), floor: (1 << 62) - 1 },
        Change::KeepPeer(peer(3)),
        Change::KeepPeer(peer(4)),
        standing(3, 0.125, None),
        standing(4, 0.0, Some(at(1_000_000))),
        Change::Audit(trust_event(1)),
    ];
    changes.extend(kept.iter().cloned().map(Change::KeepMessage));
    store(dir.path(), changes);

    let back = snapshot(dir.path());
    assert_eq!((back.next_broadcast, back.next_direct), (1024, 2048));
    assert_eq!(back.gossip.messages, kept);
    let mut floors = vec![(node(1), 3), (node(2), (1 << 62) - 1)];
    floors.sort_unstable();
    assert_eq!(back.gossip.floors, floors);
    let mut peers = vec![peer(3), peer(4)];
    peers.sort_by_key(|peer| peer.record.content().node_id());
    assert_eq!(back.peers, peers);
    let kept: Vec<_> = back
        .standings
        .iter()
        .map(|known| Change::KeepStanding {
            peer: known.peer,
            standing: known.standing,
            at: known.at,
        })
        .collect();
    assert_eq!(kept.len(), 2);
    assert!(kept.contains(&standing(3, 0.125, None)));
    assert!(kept.contains(&standing(4, 0.0, Some(at(1_000_000)))));
    assert_eq!(summary(dir.path()).unwrap().trust_events, 1);
}

#[test]
fn what_is_forgotten_stays_forgotten() {
    let dir = tempdir().unwrap();
    let kept = message(&identity(1), 7, 300);
    store(
        dir.path(),
        [Change::KeepMessage(kept.clone()), Change::KeepPeer(peer(2)), standing(2, 0.1, None)],
    );
    assert_eq!(snapshot(dir.path()).gossip.messages, [kept]);
    store(
        dir.path(),
        [
            Change::ForgetMessage { sender: node(1), sequence: 7 },
            Change::ForgetPeer(node(2)),
            Change::ForgetStanding(node(2)),
        ],
    );
    assert_eq!(snapshot(dir.path()), Default::default());
}

#[test]
fn a_change_applied_twice_is_applied_once() {
    let (once, twice) = (tempdir().unwrap(), tempdir().unwrap());
    let changes = || {
        vec![
            Change::ReserveSequence { kind: SequenceKind::Broadcast, below: 9 },
            Change::KeepMessage(message(&identity(1), 7, 300)),
            Change::KeepMessage(message(&identity(1), 8, 300)),
            Change::ForgetMessage { sender: node(1), sequence: 8 },
            Change::Floor { sender: node(1), floor: 3 },
            Change::KeepPeer(peer(3)),
            standing(3, 0.125, None),
            Change::Audit(trust_event(1)),
        ]
    };
    store(once.path(), changes());
    store(twice.path(), changes().into_iter().flat_map(|change| [change.clone(), change]));
    assert_eq!(snapshot(once.path()), snapshot(twice.path()));
    let events = |dir: &tempfile::TempDir| summary(dir.path()).unwrap().last_trust_events;
    assert_eq!(events(&once), events(&twice));
}

#[test]
fn the_newest_word_about_a_peer_replaces_the_older() {
    let dir = tempdir().unwrap();
    let mut newer = peer(3);
    newer.dialled = Some("192.0.2.1:1".parse().unwrap());
    newer.failures = 0;
    store(dir.path(), [Change::KeepPeer(peer(3)), standing(3, 0.1, Some(at(5)))]);
    store(dir.path(), [Change::KeepPeer(newer.clone()), standing(3, 0.2, None)]);
    let back = snapshot(dir.path());
    assert_eq!(back.peers, [newer]);
    assert_eq!(back.standings[0].standing.banned_until, None);
}

#[test]
fn reservations_and_floors_are_never_taken_back() {
    let dir = tempdir().unwrap();
    let numbers = |below, floor| {
        [
            Change::ReserveSequence { kind: SequenceKind::Broadcast, below },
            Change::ReserveSequence { kind: SequenceKind::Direct, below },
            Change::Floor { sender: node(1), floor },
        ]
    };
    store(dir.path(), numbers(2048, 50));
    store(dir.path(), numbers(1024, 40));
    let back = snapshot(dir.path());
    assert_eq!((back.next_broadcast, back.next_direct), (2048, 2048));
    assert_eq!(back.gossip.floors, [(node(1), 50)]);
    store(dir.path(), [Change::ForgetFloor(node(1))]);
    assert_eq!(snapshot(dir.path()).gossip.floors, [], "unless the core forgets them");
}

#[test]
fn numbers_beyond_what_a_disk_holds_are_kept_as_the_largest_it_does() {
    let dir = tempdir().unwrap();
    let most = u64::try_from(i64::MAX).unwrap();
    store(
        dir.path(),
        [
            Change::Floor { sender: node(1), floor: u64::MAX },
            standing(1, f64::NAN, None),
            standing(2, f64::INFINITY, None),
        ],
    );
    let back = snapshot(dir.path());
    assert_eq!(back.gossip.floors, [(node(1), most)]);
    let mut scores: Vec<_> = back.standings.iter().map(|known| known.standing.score).collect();
    scores.sort_by(f64::total_cmp);
    assert_eq!(scores, [0.0, f64::INFINITY]);
}

#[test]
fn the_audit_trail_is_bounded_and_keeps_the_newest() {
    let dir = tempdir().unwrap();
    let most = u64::try_from(MAX_TRUST_EVENTS).unwrap();
    let many = most * 2 + 17;
    store(dir.path(), (0..many).map(|number| Change::Audit(trust_event(number))));
    let summary = summary(dir.path()).unwrap();
    assert!((most / 2..=most).contains(&summary.trust_events), "{}", summary.trust_events);
    assert_eq!(summary.last_trust_events[0].at_unix_secs, many - 1);
    assert_eq!(summary.last_trust_events[0].observation, "forged_signature");
}

#[test]
fn reports_come_in_order_and_the_last_one_covers_the_last_change() {
    let dir = tempdir().unwrap();
    let (store, _, reports) = open(dir.path()).unwrap();
    for id in 1..=1000 {
        store.persist(ChangeId(id), Change::Floor { sender: node(1), floor: id }).unwrap();
    }
    store.close().unwrap();
    let ids: Vec<_> = reports
        .iter()
        .map(|report| match report {
            Report::Durable { up_to } => up_to.0,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(ids.is_sorted());
    assert_eq!(ids.last(), Some(&1000));
}

#[test]
fn dropping_a_store_keeps_what_it_took() {
    let dir = tempdir().unwrap();
    let (store, _, _reports) = open(dir.path()).unwrap();
    store.persist(ChangeId(1), Change::Floor { sender: node(1), floor: 5 }).unwrap();
    drop(store);
    assert_eq!(snapshot(dir.path()).gossip.floors, [(node(1), 5)]);
}

#[test]
fn a_closed_store_leaves_no_log_behind() {
    let dir = tempdir().unwrap();
    store(dir.path(), [Change::KeepPeer(peer(1))]);
    let mut names: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["node.db", "node.lock"]);
}
