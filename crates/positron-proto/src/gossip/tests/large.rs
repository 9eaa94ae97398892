//! Stories of large messages, which are announced and not pushed.

use std::collections::VecDeque;

use super::{
    super::{GossipMessage, GossipSnapshot},
    harness::{Node, Sent, World, at, config, identity, say},
};
use crate::{
    id::NodeId,
    limits::{ASKED_BYTES, LARGE_GOSSIP, MAX_PAYLOAD, SENT_AGAIN_AFTER, WANT_TIMEOUT},
    time::Duration,
    wire::holdings::Holdings,
};

const SECOND: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(1);
const SENDER: u32 = 9;

fn peer(number: u32) -> NodeId {
    identity(number).node_id()
}

fn node_with(peers: u32) -> Node {
    let mut node = Node::new(0, config(), GossipSnapshot::default(), at(Duration::ZERO));
    for number in 1..=peers {
        node.up(at(Duration::ZERO), peer(number));
    }
    node
}

fn told(sequence: u64, bytes: usize) -> GossipMessage {
    GossipMessage::Large { sender: peer(SENDER), sequence, bytes }
}

/// Who is asked for what, in all.
fn asked(sent: &Sent) -> Vec<(NodeId, u64)> {
    let asked = sent.iter().filter_map(|(to, said)| match said {
        GossipMessage::IWant(wanted) => Some((*to, wanted)),
        _ => None,
    });
    let numbers = |wanted: &Holdings| -> Vec<u64> {
        wanted.iter().flat_map(|(_, ranges)| ranges.iter().flatten()).collect()
    };
    asked.flat_map(|(to, wanted)| numbers(wanted).into_iter().map(move |it| (to, it))).collect()
}

#[test]
fn everybody_gets_a_large_broadcast_and_nobody_gets_it_twice() {
    for seed in 0..10 {
        let mut world = World::new(30, seed);
        world.connect_randomly(6);
        world.run(SECOND);
        let from = world.ids()[0];
        world.say(from, 0, &[7; LARGE_GOSSIP]);
        world.run(SECOND);
        world.assert_all_delivered_once(&[(from, 0)], &format!("seed {seed}"));
        let came = |node: &Node| node.gossip.counters().messages_received;
        let copies: u64 = world.nodes.values().map(came).sum();
        assert_eq!(copies, 29, "seed {seed}");
    }
}

#[test]
fn everybody_gets_large_broadcasts_although_queues_overflow() {
    for seed in 0..10 {
        let mut world = World::new(12, seed);
        world.connect_randomly(4);
        world.run(SECOND);
        world.set_loss(0.2);
        let from = world.ids()[0];
        let published: Vec<_> = (0..20).map(|number| (from, number)).collect();
        for (from, number) in &published {
            world.say(*from, *number, &[7; LARGE_GOSSIP]);
        }
        // What was sent and lost is not sent again by the same one for a while.
        world.run(5 * SENT_AGAIN_AFTER);
        world.assert_all_delivered_once(&published, &format!("seed {seed}"));
    }
}

#[test]
fn of_one_peer_no_more_is_asked_for_at_once_than_it_has_queued_and_the_rest_as_that_comes() {
    let mut node = node_with(1);
    for number in 0..10 {
        node.hear(at(MOMENT), peer(1), told(number, MAX_PAYLOAD));
    }
    let first = asked(&node.pass(MOMENT, 2 * MOMENT));
    let at_once = ASKED_BYTES / MAX_PAYLOAD;
    assert_eq!(first, (0..at_once as u64).map(|number| (peer(1), number)).collect::<Vec<_>>());
    let message = say(&identity(SENDER), 0, &[0; MAX_PAYLOAD]);
    node.hear(at(3 * MOMENT), peer(1), GossipMessage::Gossip(0, message.claim().clone()));
    let next = asked(&node.pass(3 * MOMENT, 4 * MOMENT));
    assert_eq!(next, [(peer(1), at_once as u64)]);
    node.hear(at(4 * MOMENT), peer(1), told(100, LARGE_GOSSIP));
    assert_eq!(asked(&node.pass(4 * MOMENT, 5 * MOMENT)), [], "not even a smaller one");
}

#[test]
fn no_more_is_asked_for_than_is_checked() {
    let mut node = node_with(2);
    for number in 0..10 {
        node.hear(at(MOMENT), peer(1), told(number, MAX_PAYLOAD));
    }
    node.pass(MOMENT, 2 * MOMENT);
    let message = say(&identity(SENDER), 0, &[0; MAX_PAYLOAD]);
    let (mut out, answer) = (VecDeque::new(), GossipMessage::Gossip(0, message.claim().clone()));
    node.gossip.handle_message(at(3 * MOMENT), peer(1), answer, &node.standings, &mut out);
    node.hear(at(3 * MOMENT), peer(2), told(0, MAX_PAYLOAD));
    let checked = 200 * MOMENT;
    assert_eq!(asked(&node.pass(3 * MOMENT, checked)), [], "not even another peer");
    node.drain(at(checked), out);
    assert_eq!(asked(&node.pass(checked, checked + MOMENT)), [(peer(1), 2)]);
}

#[test]
fn the_slower_a_peer_sends_what_is_large_the_longer_it_is_waited_for() {
    let mut node = node_with(2);
    node.hear(at(MOMENT), peer(1), told(0, MAX_PAYLOAD));
    node.hear(at(MOMENT), peer(2), told(0, MAX_PAYLOAD));
    assert_eq!(asked(&node.pass(MOMENT, 2 * MOMENT)), [(peer(1), 0)]);
    let patience = WANT_TIMEOUT + 2 * SECOND;
    assert_eq!(asked(&node.pass(2 * MOMENT, patience - MOMENT)), [], "4 Mbit/s are enough");
    assert_eq!(asked(&node.pass(patience - MOMENT, patience + 2 * MOMENT)), [(peer(2), 0)]);
}

#[test]
fn who_announced_and_kept_silent_is_asked_after_all_others_and_not_waited_for() {
    let mut node = node_with(2);
    node.hear(at(MOMENT), peer(1), told(0, LARGE_GOSSIP));
    assert_eq!(asked(&node.pass(MOMENT, 2 * MOMENT)), [(peer(1), 0)]);
    let over = 2 * SECOND;
    node.pass(2 * MOMENT, over);
    // It has the next one before anybody else, as it says.
    node.hear(at(over), peer(1), told(1, LARGE_GOSSIP));
    assert_eq!(asked(&node.pass(over, over + MOMENT)), [(peer(1), 1)]);
    node.hear(at(over + MOMENT), peer(2), told(1, LARGE_GOSSIP));
    assert_eq!(asked(&node.pass(over + MOMENT, over + 2 * MOMENT)), [(peer(2), 1)]);
    // Who answers is believed again.
    let message = say(&identity(SENDER), 1, &[0; LARGE_GOSSIP]);
    let late = GossipMessage::Gossip(0, message.claim().clone());
    node.hear(at(over + 3 * MOMENT), peer(1), late);
    node.hear(at(over + 4 * MOMENT), peer(1), told(2, LARGE_GOSSIP));
    node.hear(at(over + 4 * MOMENT), peer(2), told(2, LARGE_GOSSIP));
    let next = asked(&node.pass(over + 4 * MOMENT, over + 5 * MOMENT));
    assert_eq!(next, [(peer(1), 2)]);
}

#[test]
fn who_was_told_of_large_messages_gets_each_of_them_once_whatever_its_budget() {
    let mut node = node_with(1);
    for number in 0..10 {
        let message = say(&node.identity, number, &[0; MAX_PAYLOAD]);
        node.publish(at(MOMENT), message);
    }
    let mut wanted = Holdings::new();
    for number in 0..10 {
        wanted.insert(node.id(), number);
    }
    let asks = GossipMessage::IWant(wanted);
    let mut sent = node.hear(at(MOMENT), peer(1), asks.clone());
    sent.extend(node.pass(MOMENT, 20 * MOMENT));
    assert_eq!(sent.len(), 10);
    assert_eq!(node.hear(at(20 * MOMENT), peer(1), asks).len(), 0, "they are under way");
    assert_eq!(node.pass(20 * MOMENT, 40 * MOMENT).len(), 0);
}
