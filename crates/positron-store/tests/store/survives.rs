//! Every kind of change survives, once, and in order.

use positron_proto::{
    gossip::change::{forget_floor, forget_message, keep_floor, keep_message},
    limits::MAX_TRUST_EVENTS,
    node::{ChangeId, SequenceKind, change::reserve},
    peers, trust,
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
        reserve(SequenceKind::Broadcast, 1024),
        reserve(SequenceKind::Direct, 2048),
        keep_floor(&node(1), 3),
        keep_floor(&node(2), (1 << 62) - 1),
        peers::change::keep(&peer(3)),
        peers::change::keep(&peer(4)),
        standing(3, 0.125, None),
        standing(4, 0.0, Some(at(1_000_000))),
        trust::change::record(&trust_event(1)),
    ];
    changes.extend(kept.iter().map(keep_message));
    store(dir.path(), changes);

    let back = snapshot(dir.path());
    assert_eq!((back.numbers.next_broadcast, back.numbers.next_direct), (1024, 2048));
    assert_eq!(back.gossip.messages, kept);
    assert_eq!(back.gossip.floors, [(node(1), 3), (node(2), (1 << 62) - 1)]);
    assert_eq!(back.peers, [peer(3), peer(4)]);
    let kept: Vec<_> = back.standings.iter().map(trust::change::keep).collect();
    assert_eq!(kept, [standing(3, 0.125, None), standing(4, 0.0, Some(at(1_000_000)))]);
    assert_eq!(summary(dir.path()).unwrap().trust_events, 1);
}

#[test]
fn what_is_forgotten_stays_forgotten() {
    let dir = tempdir().unwrap();
    let kept = message(&identity(1), 7, 300);
    store(dir.path(), [keep_message(&kept), peers::change::keep(&peer(2)), standing(2, 0.1, None)]);
    assert_eq!(snapshot(dir.path()).gossip.messages, [kept]);
    store(
        dir.path(),
        [
            forget_message(&node(1), 7),
            peers::change::forget(&node(2)),
            trust::change::forget(&node(2)),
        ],
    );
    assert_eq!(snapshot(dir.path()), Default::default());
}

#[test]
fn a_change_applied_twice_is_applied_once() {
    let (once, twice) = (tempdir().unwrap(), tempdir().unwrap());
    let changes = || {
        vec![
            reserve(SequenceKind::Broadcast, 9),
            keep_message(&message(&identity(1), 7, 300)),
            keep_message(&message(&identity(1), 8, 300)),
            forget_message(&node(1), 8),
            keep_floor(&node(1), 3),
            peers::change::keep(&peer(3)),
            standing(3, 0.125, None),
            trust::change::record(&trust_event(1)),
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
    store(dir.path(), [peers::change::keep(&peer(3)), standing(3, 0.1, Some(at(5)))]);
    store(dir.path(), [peers::change::keep(&newer), standing(3, 0.2, None)]);
    let back = snapshot(dir.path());
    assert_eq!(back.peers, [newer]);
    assert_eq!(back.standings[0].standing.banned_until, None);
}

#[test]
fn rows_come_back_in_the_order_in_which_their_keys_were_first_kept() {
    let dir = tempdir().unwrap();
    let alice = identity(1);
    let kept = [5, 3, 9, 1].map(|n| message(&alice, n, 10));
    store(dir.path(), kept.iter().map(keep_message));
    // What is told again stays where it is; what was forgotten and comes again is new.
    store(
        dir.path(),
        [keep_message(&kept[1]), forget_message(&node(1), 5), keep_message(&kept[0])],
    );
    let [first, second, third, fourth] = kept;
    assert_eq!(snapshot(dir.path()).gossip.messages, [second, third, fourth, first]);
}

#[test]
fn reservations_and_floors_are_never_taken_back() {
    let dir = tempdir().unwrap();
    let numbers = |below, floor| {
        [
            reserve(SequenceKind::Broadcast, below),
            reserve(SequenceKind::Direct, below),
            keep_floor(&node(1), floor),
        ]
    };
    store(dir.path(), numbers(2048, 50));
    store(dir.path(), numbers(1024, 40));
    let back = snapshot(dir.path());
    assert_eq!((back.numbers.next_broadcast, back.numbers.next_direct), (2048, 2048));
    assert_eq!(back.gossip.floors, [(node(1), 50)]);
    store(dir.path(), [forget_floor(&node(1))]);
    assert_eq!(snapshot(dir.path()).gossip.floors, [], "unless the core forgets them");
}

#[test]
fn the_largest_numbers_come_back_as_they_were_and_what_is_no_number_as_nothing() {
    let dir = tempdir().unwrap();
    store(
        dir.path(),
        [
            keep_floor(&node(1), u64::MAX),
            reserve(SequenceKind::Direct, u64::MAX),
            standing(1, f64::NAN, None),
            standing(2, f64::INFINITY, None),
        ],
    );
    let back = snapshot(dir.path());
    assert_eq!(back.gossip.floors, [(node(1), u64::MAX)]);
    assert_eq!(back.numbers.next_direct, u64::MAX);
    let scores: Vec<_> = back.standings.iter().map(|known| known.standing.score).collect();
    assert_eq!(scores, [0.0, f64::INFINITY]);
}

#[test]
fn the_audit_trail_is_bounded_and_keeps_the_newest() {
    let dir = tempdir().unwrap();
    let most = u64::try_from(MAX_TRUST_EVENTS).unwrap();
    let many = most * 2 + 17;
    store(dir.path(), (0..many).map(|number| trust::change::record(&trust_event(number))));
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
        store.persist(ChangeId(id), keep_floor(&node(1), id)).unwrap();
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
    store.persist(ChangeId(1), keep_floor(&node(1), 5)).unwrap();
    drop(store);
    assert_eq!(snapshot(dir.path()).gossip.floors, [(node(1), 5)]);
}

#[test]
fn a_closed_store_leaves_no_log_behind() {
    let dir = tempdir().unwrap();
    store(dir.path(), [peers::change::keep(&peer(1))]);
    let mut names: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["node.db", "node.lock"]);
}
