//! Who publishes faster than the others take it.

use std::{collections::VecDeque, ops::Range};

use super::{
    super::{GossipConfig, GossipMessage, GossipSnapshot},
    harness::{Node, World, at, config, identity, say},
};
use crate::{
    id::NodeId,
    limits::{MAX_WANTED, REACH_PATIENCE, REACH_WITHIN},
    time::Duration,
    wire::holdings::{Holdings, Ranges},
};

const SECOND: Duration = Duration::from_secs(1);
const WINDOW: u64 = 160;

fn narrow() -> GossipConfig {
    GossipConfig { cache_size: WINDOW.try_into().unwrap(), ..config() }
}

/// Publishes as soon as it may, for at most `time`; what is left to publish.
fn publish(world: &mut World, from: NodeId, numbers: Range<u64>, time: Duration) -> Range<u64> {
    let (end, mut left) = (world.now + time, numbers);
    while !left.is_empty() && world.now < end {
        while world.nodes[&from].gossip.may_publish()
            && let Some(next) = left.next()
        {
            world.publish(from, next);
        }
        world.run(SECOND / 100);
    }
    left
}

/// A publisher and one peer; the peer says nothing that the test does not say.
fn publisher_and_peer() -> (Node, NodeId) {
    let mut node = Node::new(1, narrow(), GossipSnapshot::default(), at(Duration::ZERO));
    let peer = Node::new(2, narrow(), GossipSnapshot::default(), at(Duration::ZERO)).id();
    node.up(at(Duration::ZERO), peer);
    (node, peer)
}

fn receipt(node: &Node, numbers: Range<u64>) -> GossipMessage {
    let mut holdings = Holdings::new();
    for number in numbers {
        holdings.insert(node.id(), number);
    }
    GossipMessage::Receipt(holdings)
}

fn publish_while_possible(node: &mut Node, now: Duration, numbers: Range<u64>) -> u64 {
    for number in numbers.clone() {
        if !node.gossip.may_publish() {
            return number;
        }
        let message = say(&node.identity, number, b"hello");
        node.publish(at(now), message);
    }
    numbers.end
}

#[test]
fn a_burst_of_ten_windows_reaches_everybody_although_a_twentieth_of_what_is_sent_is_lost() {
    for seed in 0..3 {
        let mut world = World::with(10, seed, &narrow());
        world.connect_randomly(4);
        world.run(SECOND);
        world.set_loss(0.05);
        let from = world.ids()[0];
        let left = publish(&mut world, from, 0..10 * WINDOW, 120 * SECOND);
        assert!(left.is_empty(), "seed {seed}: {left:?} wait for ever");
        world.run(10 * SECOND);
        let published: Vec<_> = (0..10 * WINDOW).map(|number| (from, number)).collect();
        world.assert_all_delivered_once(&published, &format!("seed {seed}"));
        assert!(world.nodes[&from].given_up.is_empty());
    }
}

#[test]
fn bursts_of_several_at_once_reach_everybody() {
    for seed in 0..3 {
        let mut world = World::with(8, seed, &narrow());
        world.connect_randomly(4);
        world.run(SECOND);
        let ids = world.ids();
        let mut published = Vec::new();
        for round in 0..30 * 3 {
            for from in &ids[..3] {
                let left = publish(&mut world, *from, round * 10..round * 10 + 10, 30 * SECOND);
                assert!(left.is_empty(), "seed {seed}: {left:?} wait for ever");
                published.extend((round * 10..round * 10 + 10).map(|number| (*from, number)));
            }
        }
        world.run(10 * SECOND);
        world.assert_all_delivered_once(&published, &format!("seed {seed}"));
    }
}

#[test]
fn a_publisher_waits_for_a_peer_that_lacks_what_would_leave_and_goes_on_when_it_has_it() {
    let (mut node, peer) = publisher_and_peer();
    let next = publish_while_possible(&mut node, SECOND, 0..10 * WINDOW);
    assert_eq!(next, WINDOW + 1, "the window, and the one that showed that it is full");
    let told = receipt(&node, 0..50);
    node.hear(at(2 * SECOND), peer, told);
    let next = publish_while_possible(&mut node, 2 * SECOND, next..10 * WINDOW);
    assert_eq!(next, WINDOW + 51);
    assert!(node.given_up.is_empty());
    let said = node.pass(2 * SECOND, 4 * SECOND);
    let offers = said.iter().filter(|(_, said)| matches!(said, GossipMessage::Offer(_)));
    assert!(offers.count() >= 2, "who is waited for is asked what it needs");
}

#[test]
fn a_peer_that_takes_nothing_is_waited_for_once_and_what_it_lacks_is_told() {
    let (mut node, peer) = publisher_and_peer();
    let next = publish_while_possible(&mut node, SECOND, 0..10 * WINDOW);
    node.pass(SECOND, REACH_WITHIN.max(REACH_PATIENCE));
    assert!(!node.gossip.may_publish());
    let late = REACH_WITHIN.max(REACH_PATIENCE) + 2 * SECOND;
    node.pass(REACH_WITHIN, late);
    let after = publish_while_possible(&mut node, late, next..next + WINDOW / 2);
    assert_eq!(after, next + WINDOW / 2, "half of the window is old enough, and goes");
    assert_eq!(node.given_up.len() as u64, WINDOW / 2 + 1);
    assert!(node.given_up.iter().all(|(_, peers)| *peers == [peer]));
    assert_eq!(node.gossip.counters().evicted_unreached, WINDOW / 2 + 1);
}

#[test]
fn a_flood_waits_for_a_slow_peer_for_as_long_as_it_moves() {
    let (mut node, peer) = publisher_and_peer();
    let mut next = publish_while_possible(&mut node, SECOND, 0..10 * WINDOW);
    // A sixteenth of the window every five seconds, for a minute and a half.
    for step in 1..=18 {
        let now = SECOND + 5 * step * SECOND;
        node.pass(now - 5 * SECOND, now);
        assert!(!node.gossip.may_publish());
        let taken = receipt(&node, 0..u64::from(step) * WINDOW / 16);
        node.hear(at(now), peer, taken);
        next = publish_while_possible(&mut node, now, next..10 * WINDOW);
    }
    assert_eq!(next, WINDOW + 1 + 18 * WINDOW / 16);
    assert!(node.given_up.is_empty());
}

#[test]
fn what_reached_nobody_because_the_peers_left_is_counted_and_told_when_it_is_pushed_out() {
    let (mut node, peer) = publisher_and_peer();
    let witness = Node::new(3, narrow(), GossipSnapshot::default(), at(Duration::ZERO)).id();
    node.up(at(Duration::ZERO), witness);
    let next = publish_while_possible(&mut node, SECOND, 0..10 * WINDOW);
    let told = receipt(&node, 0..30);
    node.hear(at(SECOND), witness, told);
    for gone in [peer, witness] {
        node.down(at(2 * SECOND), gone);
    }
    assert_eq!(node.gossip.counters().left_lacking, 2 * next - 30);
    let after = publish_while_possible(&mut node, 2 * SECOND, next..next + WINDOW / 2);
    assert_eq!(after, next + WINDOW / 2, "nobody is there to wait for");
    let pushed_out = after - WINDOW;
    assert_eq!(node.given_up.len() as u64, pushed_out - 30, "the witness has the others");
    assert!(node.given_up.iter().all(|(_, peers)| peers.is_empty()));
    assert_eq!(node.gossip.counters().evicted_unreached, pushed_out - 30);
}

#[test]
fn who_compared_notes_before_it_left_lacks_nothing() {
    let mut world = World::with(2, 0, &narrow());
    let [from, other] = world.ids().try_into().unwrap();
    world.connect(from, other);
    (0..WINDOW / 2).for_each(|number| world.publish(from, number));
    world.run(10 * SECOND);
    world.disconnect(from, other);
    (WINDOW / 2..2 * WINDOW).for_each(|number| world.publish(from, number));
    let node = &world.nodes[&from];
    assert_eq!(node.gossip.counters().left_lacking, 0);
    assert_eq!(node.given_up.len() as u64, WINDOW / 2, "those that were said to nobody");
}

/// Whether a peer holds up a publisher by a receipt for `taken` every five seconds: whether half a
/// minute later less than a window came after the one that it does not take. `taken` is told the
/// round and the number that is published next.
fn is_held_up_by(taken: impl Fn(&mut Node, u32, u64) -> GossipMessage) -> bool {
    let (mut node, peer) = publisher_and_peer();
    let mut next = publish_while_possible(&mut node, SECOND, 0..10 * WINDOW);
    for round in 1..=6 {
        let now = SECOND + 5 * round * SECOND;
        node.pass(now - 5 * SECOND, now);
        let receipt = taken(&mut node, round, next);
        node.hear(at(now), peer, receipt);
        next = publish_while_possible(&mut node, now, next..10 * WINDOW);
    }
    next < 2 * WINDOW
}

#[test]
fn only_who_takes_what_is_in_the_way_holds_up_a_flood() {
    let steps = |round: u32| u64::from(round) * WINDOW / 16;
    let oldest = |node: &mut Node, round, _| receipt(node, 0..steps(round));
    let newest = |node: &mut Node, round, next| receipt(node, next - steps(round)..next);
    let all_but_the_first = |node: &mut Node, _, next| receipt(node, 1..next);
    assert!(is_held_up_by(oldest));
    assert!(!is_held_up_by(newest));
    assert!(!is_held_up_by(all_but_the_first));
}

#[test]
fn who_takes_what_another_sends_does_not_hold_up_a_flood_by_that() {
    let other = identity(3);
    assert!(!is_held_up_by(|node, round, _| {
        let now = at(SECOND + 5 * round * SECOND);
        node.up(now, other.node_id());
        let mut taken = Holdings::new();
        for number in u64::from(round) * WINDOW / 16..u64::from(round + 1) * WINDOW / 16 {
            let push = say(&other, number, b"other");
            node.hear(now, other.node_id(), GossipMessage::Gossip(0, push.claim().clone()));
            taken.insert(other.node_id(), number);
        }
        GossipMessage::Receipt(taken)
    }));
}

#[test]
fn who_does_not_flood_waits_for_nobody() {
    let (mut node, _) = publisher_and_peer();
    // Half of what fills the window in the time in which everything is to be reached.
    let mut now = SECOND;
    for number in 0..4 * WINDOW {
        assert!(node.gossip.may_publish(), "{number}");
        let message = say(&node.identity, number, b"hello");
        node.publish(at(now), message);
        let next = now + 2 * REACH_WITHIN / u32::try_from(WINDOW).unwrap();
        node.pass(now, next);
        now = next;
    }
}

#[test]
fn a_flood_that_is_held_up_holds_up_nobody_else() {
    let (mut node, flooder) = publisher_and_peer();
    let third = Node::new(3, narrow(), GossipSnapshot::default(), at(Duration::ZERO));
    node.up(at(SECOND), third.id());
    let flood = Node::new(2, narrow(), GossipSnapshot::default(), at(Duration::ZERO)).identity;
    for number in 0..2 * WINDOW {
        let push = say(&flood, number, b"flood");
        node.hear(at(SECOND), flooder, GossipMessage::Gossip(3, push.claim().clone()));
    }
    let (kept, _) = node.gossip.kept();
    assert_eq!(kept as u64, WINDOW + 1, "the rest is asked for when the third has the first");
    assert!(node.gossip.may_publish());
    let next = publish_while_possible(&mut node, SECOND, 0..WINDOW / 8);
    assert_eq!(next, WINDOW / 8);
    assert!(node.gossip.counters().postponed >= WINDOW - 1);
}

#[test]
fn what_was_being_checked_when_the_window_filled_up_waits_like_the_rest() {
    let (mut node, flooder) = publisher_and_peer();
    node.up(at(SECOND), identity(3).node_id());
    let mut out = VecDeque::new();
    for number in 0..WINDOW + 30 {
        let push = GossipMessage::Gossip(3, say(&identity(2), number, b"flood").claim().clone());
        node.gossip.handle_message(at(SECOND), flooder, push, &node.standings, &mut out);
    }
    assert_eq!(out.len() as u64, WINDOW + 30, "all are checked at once");
    node.drain(at(SECOND), out);
    let (kept, _) = node.gossip.kept();
    assert_eq!(kept as u64, WINDOW + 1);
    assert_eq!(node.delivered.len() as u64, WINDOW + 1);
    assert_eq!(node.gossip.counters().postponed, 29);
}

#[test]
fn announcements_of_what_does_not_exist_are_forgotten_while_a_flood_is_held_up() {
    let (mut node, flooder) = publisher_and_peer();
    let (flood, third) = (identity(2), identity(3).node_id());
    node.up(at(Duration::ZERO), third);
    let list = |sender: NodeId, numbers: Range<u64>| {
        let mut ranges = Ranges::new();
        ranges.insert_range(numbers.start..=numbers.end - 1);
        let mut holdings = Holdings::new();
        holdings.insert_ranges(sender, ranges);
        holdings
    };
    let step = WINDOW / 16;
    for round in 0..=4_u32 {
        let now = 5 * round * SECOND;
        node.pass(now.saturating_sub(5 * SECOND), now);
        let taken = u64::from(round) * step;
        node.hear(at(now), third, GossipMessage::Receipt(list(flooder, 0..taken + 1)));
        let first = if round == 0 { 0 } else { WINDOW + 1 + taken - step };
        for number in first..=WINDOW + 1 + taken {
            let push = say(&flood, number, b"flood");
            node.hear(at(now), flooder, GossipMessage::Gossip(0, push.claim().clone()));
        }
        if round == 0 {
            // All that one of two peers may have fetched.
            let fakes = list(flooder, 1 << 20..(1 << 20) + MAX_WANTED as u64 / 2);
            node.hear(at(now), third, GossipMessage::IHave(fakes));
        }
    }
    let now = 20 * SECOND;
    node.hear(at(now), third, GossipMessage::IHave(list(identity(9).node_id(), 7..8)));
    let said = node.pass(now, now + SECOND);
    let ask = GossipMessage::IWant(list(identity(9).node_id(), 7..8));
    assert!(said.contains(&(third, ask)), "{said:?}");
}

#[test]
fn what_others_lack_takes_at_most_a_quarter_more_than_the_window() {
    let (mut node, _) = publisher_and_peer();
    for number in 0..3 * WINDOW {
        // Whoever does not ask first.
        let message = say(&node.identity, number, b"hello");
        node.publish(at(SECOND), message);
    }
    let (kept, _) = node.gossip.kept();
    assert_eq!(kept as u64, WINDOW + WINDOW / 4);
    assert_eq!(node.given_up.len() as u64, 2 * WINDOW - WINDOW / 4);
}

#[test]
fn who_has_two_messages_in_a_window_of_many_senders_waits_for_nobody() {
    let (mut node, peer) = publisher_and_peer();
    for who in 0..u32::try_from(WINDOW).unwrap() {
        let message = say(&identity(1_000 + who), 1, b"one");
        node.hear(at(SECOND), peer, GossipMessage::Gossip(0, message.claim().clone()));
    }
    let next = publish_while_possible(&mut node, SECOND, 0..WINDOW / 16);
    assert_eq!(next, WINDOW / 16);
}

#[test]
fn an_offer_of_everything_costs_its_sender_its_budget() {
    let (mut node, peer) = publisher_and_peer();
    let offer = |node: &mut Node| {
        let mut everything = Ranges::new();
        everything.insert_range(0..=1 << 60);
        let mut holdings = Holdings::new();
        holdings.insert_ranges(peer, everything);
        node.hear(at(SECOND), peer, GossipMessage::Offer(holdings));
    };
    offer(&mut node);
    node.hear(at(SECOND), peer, receipt(&node, 0..9));
    assert_eq!(node.gossip.counters().rate_limited, 2, "nothing is left for anything else");
}

/// Whom a broadcast lacks that is let go of while a peer takes nothing, and after all have left.
pub(crate) fn lacking() -> [Vec<NodeId>; 2] {
    [false, true].map(|is_left| {
        let (mut node, peer) = publisher_and_peer();
        let next = publish_while_possible(&mut node, SECOND, 0..10 * WINDOW);
        let late = REACH_WITHIN.max(REACH_PATIENCE) + 2 * SECOND;
        if is_left {
            node.down(at(2 * SECOND), peer);
        } else {
            node.pass(SECOND, late);
        }
        publish_while_possible(&mut node, late, next..next + WINDOW);
        node.given_up.remove(0).1
    })
}
