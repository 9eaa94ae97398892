//! How fast; printed, never asserted.

use std::time::Instant;

use positron_proto::{
    gossip::change::keep_message,
    identity::Verified,
    node::ChangeId,
    peers,
    storage::{Change, Urgency},
    wire::message::AppMessage,
};
use positron_store::Report;
use tempfile::tempdir;

use crate::rig::{identity, message, open, peer, snapshot, store};

#[test]
fn ten_thousand_messages_and_a_full_address_book_are_loaded() {
    let dir = tempdir().unwrap();
    let senders: Vec<_> = (0..64).map(identity).collect();
    let messages = (0..10_000_u64).map(|n| {
        let by = &senders[usize::try_from(n % 64).unwrap()];
        keep_message(&message(by, n, (32 << 20) / 10_000))
    });
    store(dir.path(), messages.chain((0..4096).map(|n| peers::change::keep(&peer(n)))));
    let start = Instant::now();
    let back = snapshot(dir.path());
    println!("10,000 messages, 32 MiB, 4,096 peers: opened and loaded in {:?}", start.elapsed());
    assert_eq!((back.gossip.messages.len(), back.peers.len()), (10_000, 4096));
}

#[test]
fn messages_of_256_bytes_are_stored_in_bulk_and_one_by_one() {
    const BULK: u64 = 50_000;
    const SINGLY: u64 = 2_000;
    let dir = tempdir().unwrap();
    let alice = identity(1);
    let messages: Vec<_> = (0..BULK + SINGLY).map(|n| message(&alice, n, 256)).collect();
    let (store, _, reports) = open(dir.path()).unwrap();
    let mut changes = (1..).map(ChangeId).zip(messages.iter().map(awaited));

    let start = Instant::now();
    for (id, change) in changes.by_ref().take(usize::try_from(BULK).unwrap()) {
        store.persist(id, change).unwrap();
    }
    let last = Report::Durable { up_to: ChangeId(BULK) };
    let commits = 1 + reports.iter().take_while(|report| *report != last).count();
    let took = start.elapsed();
    println!("{BULK} messages in {commits} commits: {:.0}/s", rate(BULK, took));

    let start = Instant::now();
    for (id, change) in changes {
        store.persist(id, change).unwrap();
        assert_eq!(reports.recv().unwrap(), Report::Durable { up_to: id });
    }
    let took = start.elapsed();
    println!("{SINGLY} messages, each waited for: {:.0}/s", rate(SINGLY, took));
    store.close().unwrap();
}

fn awaited(message: &Verified<AppMessage>) -> Change {
    keep_message(message).at_least(Urgency::Awaited)
}

fn rate(count: u64, took: std::time::Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap()) / took.as_secs_f64()
}
