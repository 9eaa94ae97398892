//! Stories between many nodes: does everybody get everything, once?

use super::{
    super::{GossipMessage, GossipSnapshot},
    harness::{Node, World, at, config, say},
};
use crate::{id::NodeId, time::Duration};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn everyone_gets_every_broadcast_exactly_once_although_queues_overflow() {
    for seed in 0..25 {
        let mut world = World::new(30, seed);
        world.connect_randomly(6);
        world.run(SECOND);
        world.set_loss(0.2);
        let ids = world.ids();
        let mut published = Vec::new();
        for round in 0..10 {
            for id in ids.iter().step_by(7) {
                world.publish(*id, round);
                published.push((*id, round));
            }
            world.run(SECOND / 10);
        }
        world.run(30 * SECOND);
        world.assert_all_delivered_once(&published, &format!("seed {seed}"));
    }
}

#[test]
fn without_loss_a_broadcast_reaches_everyone_within_half_a_second() {
    for seed in 0..10 {
        let mut world = World::new(30, seed);
        world.connect_randomly(6);
        world.run(SECOND);
        let from = world.ids()[0];
        world.publish(from, 0);
        world.run(SECOND / 2);
        world.assert_all_delivered_once(&[(from, 0)], &format!("seed {seed}"));
        let verified: usize = world.nodes.values().map(|node| node.verifications).sum();
        assert_eq!(verified, 29, "seed {seed}: each node checks one claim once");
    }
}

#[test]
fn a_late_node_gets_the_window() {
    let mut world = World::new(5, 1);
    world.connect_randomly(4);
    let from = world.ids()[0];
    let published: Vec<(NodeId, u64)> = (0..500).map(|number| (from, number)).collect();
    for (from, number) in &published {
        world.publish(*from, *number);
    }
    world.run(SECOND);
    let late = Node::new(99, config(), GossipSnapshot::default(), at(world.now));
    let late_id = late.id();
    world.add(late);
    world.connect(late_id, world.nodes.keys().copied().find(|id| *id != late_id).unwrap());
    world.run(SECOND / 2);
    world.assert_all_delivered_once(&published, "late node");
}

#[test]
fn a_healed_partition_converges() {
    for seed in 0..10 {
        let mut world = World::new(20, seed);
        let ids = world.ids();
        let (left, right) = ids.split_at(10);
        for half in [left, right] {
            for (index, id) in half.iter().enumerate() {
                world.connect(*id, half[(index + 1) % half.len()]);
                world.connect(*id, half[(index + 3) % half.len()]);
            }
        }
        let mut published = Vec::new();
        for number in 0..50 {
            for from in [left[0], right[0], right[5]] {
                world.publish(from, number);
                published.push((from, number));
            }
            world.run(SECOND / 20);
        }
        world.connect(left[4], right[4]);
        world.run(3 * SECOND);
        world.assert_all_delivered_once(&published, &format!("seed {seed}"));
    }
}

#[test]
fn a_sender_that_skips_numbers_stalls_nobody() {
    let mut world = World::new(10, 1);
    world.connect_randomly(4);
    let from = world.ids()[0];
    let published: Vec<(NodeId, u64)> = (0..40).map(|block| (from, block * 1024 + 7)).collect();
    for (from, number) in &published {
        world.publish(*from, *number);
        world.run(SECOND / 20);
    }
    world.run(2 * SECOND);
    world.assert_all_delivered_once(&published, "gaps");
}

#[test]
fn comparing_notes_ends_after_three_steps() {
    let now = Duration::ZERO;
    let mut a = Node::new(1, config(), GossipSnapshot::default(), at(now));
    let mut b = Node::new(2, config(), GossipSnapshot::default(), at(now));
    for (node, numbers) in [(&mut a, 0..20), (&mut b, 0..30)] {
        for number in numbers {
            let message = say(&node.identity, number, b"");
            node.publish(at(now), message);
        }
    }
    // Who has the smaller id begins.
    if b.id() < a.id() {
        (a, b) = (b, a);
    }
    let (from_a, from_b, ours) = (a.id(), b.id(), a.gossip.kept().0 as u64);
    let mut question = a.up(at(now), from_b);
    b.up(at(now), from_a);
    question.retain(|(_, message)| *message != GossipMessage::Graft);
    assert!(matches!(&question[..], [(_, GossipMessage::Digest { count, .. })] if *count == ours));

    let digest = deliver(&mut b, from_a, question);
    let kinds: Vec<bool> = digest.iter().map(|(_, m)| is_empty_have(m)).collect();
    assert_eq!(kinds, [false, true], "everything, and its end");
    let rest = deliver(&mut a, from_b, digest);
    assert!(matches!(&rest[..], [(_, GossipMessage::IHave(h))] if h.of(&from_a).is_some()));
    assert_eq!(deliver(&mut b, from_a, rest), [], "nothing answers the third step");

    let stray = vec![(from_a, GossipMessage::IHave(Default::default()))];
    assert_eq!(deliver(&mut a, from_b, stray), [], "an end without a question means nothing");
}

#[test]
fn once_all_agree_only_questions_travel() {
    let mut world = World::new(10, 3);
    world.connect_randomly(4);
    for number in 0..20 {
        let from = world.ids()[usize::try_from(number % 10).unwrap()];
        world.publish(from, number);
    }
    world.run(5 * SECOND);
    let syncs = |world: &World| -> u64 {
        world.nodes.values().map(|node| node.gossip.counters().anti_entropy_rounds).sum()
    };
    let (sent, asked) = (world.sent, syncs(&world));
    world.run(20 * SECOND);
    assert_eq!(world.sent - sent, syncs(&world) - asked, "and nobody answers");
    assert!(world.sent > sent);
}

#[test]
fn different_windows_cost_at_most_one_digest_an_interval_and_end() {
    // B remembers half as much as A: they never agree.
    let small = super::super::GossipConfig { cache_size: 50, ..config() };
    let mut world = World::new(1, 1);
    let a = world.ids()[0];
    let b = Node::new(2, small, GossipSnapshot::default(), at(Duration::ZERO));
    let b_id = b.id();
    world.add(b);
    world.connect(a, b_id);
    for number in 0..100 {
        world.publish(a, number);
    }
    world.run(5 * SECOND);
    let sent = world.sent;
    world.run(10 * SECOND);
    let rounds = 2 * 14;
    assert!(world.sent - sent <= 4 * rounds, "{} messages", world.sent - sent);
    let delivered = &world.nodes[&b_id].delivered;
    assert_eq!(delivered.len(), 100);
    assert_eq!(world.nodes[&b_id].gossip.kept().0, 50);
}

#[test]
fn restarting_neither_delivers_again_nor_loses() {
    let small = super::super::GossipConfig { cache_size: 30, ..config() };
    let mut world = World::new(1, 1);
    let a = world.ids()[0];
    let b = Node::new(2, small.clone(), GossipSnapshot::default(), at(Duration::ZERO));
    let b_id = b.id();
    world.add(b);
    world.connect(a, b_id);
    for number in 0..40 {
        world.publish(a, number);
        world.run(SECOND / 20);
    }
    world.disconnect(a, b_id);
    for number in 40..50 {
        world.publish(a, number);
    }
    let old = world.nodes.remove(&b_id).unwrap();
    assert_eq!(old.delivered.len(), 40);
    assert_eq!(old.floors[&a], 10);

    let mut again = Node::new(2, small, old.remembered(), at(world.now));
    again.disk = old.disk;
    again.floors = old.floors;
    assert_eq!(again.gossip.holdings(), old.gossip.holdings());
    world.add(again);
    world.connect(a, b_id);
    world.run(5 * SECOND);
    let expected: Vec<(NodeId, u64)> = (40..50).map(|number| (a, number)).collect();
    assert_eq!(world.nodes[&b_id].delivered, expected);
}

fn deliver(
    to: &mut Node,
    from: NodeId,
    sent: Vec<(NodeId, GossipMessage)>,
) -> Vec<(NodeId, GossipMessage)> {
    let hear = |(_, message)| to.hear(at(Duration::ZERO), from, message);
    sent.into_iter().flat_map(hear).collect()
}

fn is_empty_have(message: &GossipMessage) -> bool {
    matches!(message, GossipMessage::IHave(holdings) if holdings.is_empty())
}
