//! What the application says of broadcasts before anybody hears of them.

use super::{
    super::{GossipConfig, GossipMessage, GossipSnapshot, SHAPES, Validity},
    harness::{Node, Sent, World, at, config, identity, say},
};
use crate::{
    id::NodeId,
    identity::Verified,
    limits::VALIDATION_TIMEOUT,
    misbehavior::Observation,
    time::Duration,
    wire::{holdings::Holdings, message::AppMessage},
};

const START: Duration = Duration::ZERO;
const SECOND: Duration = Duration::from_secs(1);

fn validating() -> GossipConfig {
    GossipConfig { validates: true, ..config() }
}

/// What the applications of these stories think.
fn judged(payload: &[u8]) -> Option<Validity> {
    match payload.first()? {
        b'-' => Some(Validity::Reject),
        b'?' => Some(Validity::Ignore),
        b'.' => None,
        _ => Some(Validity::Accept),
    }
}

fn peer(number: u32) -> NodeId {
    identity(number).node_id()
}

/// A node with five peers, numbered from 1, whose application thinks so.
fn node() -> Node {
    let mut node = Node::new(0, validating(), GossipSnapshot::default(), at(START));
    node.validator = judged;
    for number in 1..=5 {
        node.up(at(START), peer(number));
    }
    node
}

fn push(message: &Verified<AppMessage>) -> GossipMessage {
    GossipMessage::Gossip(10, message.claim().clone())
}

fn announced(number: u64) -> GossipMessage {
    let mut holdings = Holdings::new();
    holdings.insert(peer(9), number);
    GossipMessage::IHave(holdings)
}

fn pushes(sent: &Sent) -> usize {
    sent.iter().filter(|(_, message)| matches!(message, GossipMessage::Gossip(..))).count()
}

fn asks(sent: &Sent) -> usize {
    sent.iter().filter(|(_, message)| matches!(message, GossipMessage::IWant(_))).count()
}

fn reported(node: &Node) -> Vec<NodeId> {
    let reports = node.observed.iter().filter(|(_, what)| *what == Observation::Reported);
    reports.map(|(whom, _)| *whom).collect()
}

#[test]
fn nobody_hears_of_a_message_before_the_application_accepted_it_and_then_everybody_does() {
    let (mut node, message) = (node(), say(&identity(9), 7, b". not yet"));
    let sent = node.hear(at(START), peer(1), push(&message));
    assert_eq!((pushes(&sent), node.delivered.len(), node.disk.len()), (0, 0, 0));
    // Others bring and announce it meanwhile: it is neither judged twice nor asked for.
    node.hear(at(START), peer(2), push(&message));
    node.hear(at(START), peer(3), announced(7));
    let meanwhile = node.pass(START, SECOND * 5);
    assert_eq!((pushes(&meanwhile), asks(&meanwhile), node.validations.len()), (0, 0, 1));
    let (id, _) = node.validations[0];
    let sent = node.judge(at(SECOND * 5), id, Validity::Accept);
    assert!(pushes(&sent) >= 1, "{sent:?}");
    assert_eq!(node.delivered, [(peer(9), 7)]);
    let again = node.judge(at(SECOND * 5), id, Validity::Reject);
    assert!(again.is_empty() && node.disk.len() == 1, "one word a message");
    assert!(reported(&node).is_empty());
}

#[test]
fn what_it_rejects_goes_no_further_and_who_signed_and_who_brought_it_is_to_blame() {
    for (payload, to_blame) in [(&b"- a lie"[..], vec![peer(1), peer(9)]), (b"? hm", vec![])] {
        let (mut node, message) = (node(), say(&identity(9), 7, payload));
        let sent = node.hear(at(START), peer(1), push(&message));
        assert_eq!((pushes(&sent), node.delivered.len(), node.disk.len()), (0, 0, 0));
        let mut blamed = reported(&node);
        blamed.sort_unstable();
        let mut expected = to_blame;
        expected.sort_unstable();
        assert_eq!(blamed, expected);
        // It is not checked, judged or asked for again, whoever has it.
        node.hear(at(START), peer(2), push(&message));
        node.hear(at(START), peer(3), announced(7));
        let large = GossipMessage::Large { sender: peer(9), sequence: 7, bytes: 9_000 };
        node.hear(at(START), peer(4), large);
        assert_eq!(asks(&node.pass(START, SECOND * 20)), 0);
        assert_eq!((node.verifications, node.validations.len()), (1, 1));
        // What follows it is as welcome as ever.
        node.hear(at(SECOND * 20), peer(1), push(&say(&identity(9), 8, b"fine")));
        assert_eq!(node.delivered, [(peer(9), 8)]);
    }
}

#[test]
fn who_ignores_a_message_that_shapes_the_tree_is_a_leaf_of_it_and_who_rejects_it_is_not() {
    for (payload, is_followed) in [(&b"? hm"[..], true), (b"- a lie", false)] {
        let mut node = node();
        let message = say(&identity(9), 7, payload);
        let shape = || GossipMessage::Gossip(10 | SHAPES, message.claim().clone());
        let to = |sent: &Sent, what: &GossipMessage| {
            let those = sent.iter().filter(|(_, message)| message == what);
            those.map(|(whom, _)| *whom).collect::<Vec<_>>()
        };
        let sent = node.hear(at(SECOND), peer(4), shape());
        let grafted = if is_followed { vec![peer(4)] } else { Vec::new() };
        assert_eq!((to(&sent, &GossipMessage::Graft), pushes(&sent)), (grafted, 0));
        for number in [1, 2, 5] {
            let sent = node.hear(at(SECOND), peer(number), shape());
            let pruned = if is_followed { vec![peer(number)] } else { Vec::new() };
            assert_eq!(to(&sent, &GossipMessage::Prune), pruned);
        }
        let next = node.hear(at(SECOND), peer(4), push(&say(&identity(9), 8, b"fine")));
        assert_eq!(pushes(&next) > 1, !is_followed, "{next:?}");
    }
}

#[test]
fn a_message_of_which_nothing_is_said_in_time_is_asked_for_and_judged_again() {
    let (mut node, message) = (node(), say(&identity(9), 7, b"."));
    node.hear(at(START), peer(1), push(&message));
    let later = VALIDATION_TIMEOUT + SECOND;
    assert_eq!(asks(&node.pass(START, later)), 1);
    let too_late = node.validations[0].0;
    assert!(node.judge(at(later), too_late, Validity::Accept).is_empty());
    node.hear(at(later), peer(1), push(&message));
    let (id, _) = node.validations[1];
    node.judge(at(later), id, Validity::Accept);
    assert_eq!(node.delivered, [(peer(9), 7)]);
}

#[test]
fn the_second_of_two_contents_is_a_proof_whatever_the_application_thinks_of_it() {
    let mut node = node();
    node.hear(at(START), peer(1), push(&say(&identity(9), 7, b"yes")));
    node.hear(at(START), peer(2), push(&say(&identity(9), 7, b"- no")));
    assert_eq!(node.equivocated.len(), 1);
    assert_eq!(node.validations.len(), 1);
}

#[test]
fn of_two_contents_that_wait_at_once_the_second_that_is_judged_is_a_proof() {
    for word in [Validity::Accept, Validity::Ignore, Validity::Reject] {
        let mut node = node();
        for (bringer, payload) in [(1, b". yes"), (2, b". no ")] {
            node.hear(at(START), peer(bringer), push(&say(&identity(9), 7, payload)));
        }
        let [(first, _), (second, _)] = node.validations[..] else { panic!("both wait") };
        node.judge(at(START), first, Validity::Accept);
        node.judge(at(START), second, word);
        assert_eq!((node.delivered.len(), node.equivocated.len()), (1, 1), "{word:?}");
        assert!(reported(&node).is_empty());
    }
}

#[test]
fn whoever_brings_more_than_the_application_judges_waits_and_nothing_is_lost() {
    let mut node = node();
    let messages: Vec<_> = (0..2_000).map(|n| say(&identity(9), n, b". slow")).collect();
    for message in &messages {
        node.hear(at(START), peer(1), push(message));
    }
    assert_eq!(node.validations.len(), crate::limits::MAX_PARKED_PER_PEER);
    let (mut now, mut judged) = (START, 0);
    while node.delivered.len() < messages.len() {
        for (id, _) in node.validations.split_off(judged) {
            node.judge(at(now), id, Validity::Accept);
            node.validations.push((id, bytes::Bytes::new()));
        }
        judged = node.validations.len();
        for (whom, message) in node.pass(now, now + SECOND) {
            let GossipMessage::IWant(wanted) = message else { continue };
            let numbers = wanted.of(&peer(9)).into_iter().flat_map(|all| all.iter().flatten());
            for number in numbers.collect::<Vec<_>>() {
                let wanted = &messages[usize::try_from(number).unwrap()];
                node.hear(at(now + SECOND), whom, push(wanted));
            }
        }
        now += SECOND;
        assert!(now < SECOND * 60, "{} of them came", node.delivered.len());
    }
}

#[test]
fn a_network_that_judges_alike_delivers_what_is_valid_and_compares_equal_afterwards() {
    for seed in 0..5 {
        let mut world = World::with(20, seed, &validating());
        world.nodes.values_mut().for_each(|node| node.validator = judged);
        world.connect_randomly(6);
        world.run(SECOND);
        let ids = world.ids();
        let mut valid = Vec::new();
        for number in 0..10 {
            for (at, who) in ids.iter().enumerate().step_by(4) {
                let payload: &[u8] = if at == 0 && number % 2 == 0 { b"- a lie" } else { b"true" };
                world.say(*who, number, payload);
                valid.extend((payload[0] != b'-').then_some((*who, number)));
            }
            world.run(SECOND / 5);
        }
        world.run(30 * SECOND);
        world.assert_all_delivered_once(&valid, &format!("seed {seed}"));
        let liar = ids[0];
        // The liar is the only one who has its lies, and the only one whom others differ from.
        let differences = |world: &World| {
            let honest = world.nodes.iter().filter(|(id, _)| **id != liar);
            honest.map(|(_, node)| node.gossip.counters().anti_entropy_differences).sum::<u64>()
        };
        for other in ids.iter().skip(1) {
            world.disconnect(liar, *other);
        }
        world.run(5 * SECOND);
        let before = differences(&world);
        world.run(30 * SECOND);
        assert_eq!(differences(&world), before, "seed {seed}");
    }
}
