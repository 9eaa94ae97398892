//! Stories of nodes that compare notes.

use super::{
    super::{GossipMessage, GossipSnapshot},
    harness::{Node, Sent, World, at, config, identity, say},
};
use crate::{
    id::NodeId,
    identity::{Identity, Verified},
    limits::{COMPARED_AT_REST, LISTED_BYTES_PER_SECOND, SKETCH_PIECE, SKETCH_SYMBOLS},
    misbehavior::{Misbehavior, Observation},
    reconciliation::{Code, Sketch},
    time::Duration,
    wire::message::{AppMessage, RoomMessage as _},
};

const SECOND: Duration = Duration::from_secs(1);
const STRANGER: u32 = 1_000_000;

/// Two nodes that are not linked: the one with the smaller id, which asks first, and the other.
fn pair(world: &World) -> [NodeId; 2] {
    let [a, b] = world.ids().try_into().unwrap();
    [a, b]
}

/// One message of each of so many senders.
fn one_of_each(senders: std::ops::Range<u32>) -> Vec<Verified<AppMessage>> {
    senders.map(|number| say(&identity(1_000 + number), 7, b"of many")).collect()
}

fn take(world: &mut World, node: NodeId, messages: &[Verified<AppMessage>]) {
    let (now, stranger) = (at(world.now), identity(STRANGER).node_id());
    let node = world.nodes.get_mut(&node).unwrap();
    for message in messages {
        node.hear(now, stranger, GossipMessage::Gossip(0, message.claim().clone()));
    }
}

/// What travels between two nodes until they are done, messages apart.
fn words(world: &mut World, [a, b]: [NodeId; 2]) -> (Vec<GossipMessage>, usize) {
    let mut said = Vec::new();
    let now = at(world.now);
    let mut under_way: Vec<(NodeId, Sent)> = Vec::new();
    for (me, other) in [(a, b), (b, a)] {
        world.links.insert((a.min(b), a.max(b)));
        under_way.push((me, world.nodes.get_mut(&me).unwrap().up(now, other)));
    }
    while let Some((from, sent)) = under_way.pop() {
        for (to, message) in sent.into_iter().filter(|(to, _)| [a, b].contains(to)) {
            said.push(message.clone());
            let answers = world.nodes.get_mut(&to).unwrap().hear(now, from, message);
            under_way.insert(0, (to, answers));
        }
    }
    let bytes = said.iter().map(|message| message.encode().len()).sum();
    (said, bytes)
}

fn kept(world: &World, node: NodeId) -> usize {
    world.nodes[&node].gossip.kept().0
}

#[test]
fn a_small_difference_of_large_windows_is_found_in_a_few_kilobytes() {
    let mut world = World::new(2, 1);
    let ends = pair(&world);
    let all = one_of_each(0..1_000);
    take(&mut world, ends[0], &all[..980]);
    take(&mut world, ends[1], &all[30..]);
    let (said, bytes) = words(&mut world, ends);
    let is_list = |message: &&GossipMessage| matches!(message, GossipMessage::IHave(_));
    let named = said.iter().filter(is_list).map(|message| message.encode().len()).sum::<usize>();
    assert!(named < 60 * 36, "{named} bytes name 50 messages");
    assert!(bytes - named < 1_500, "{bytes} bytes, a list of one window is 35,000");

    world.run(2 * SECOND);
    assert_eq!(ends.map(|node| kept(&world, node)), [1_000, 1_000]);
}

#[test]
fn what_differs_in_nearly_everything_is_listed_and_found() {
    let mut world = World::new(2, 2);
    let ends = pair(&world);
    let all = one_of_each(0..2_000);
    take(&mut world, ends[0], &all[..1_000]);
    take(&mut world, ends[1], &all[1_000..]);
    world.connect(ends[0], ends[1]);
    world.run(Duration::from_secs(10));
    assert_eq!(ends.map(|node| kept(&world, node)), [2_000, 2_000]);
}

#[test]
fn who_comes_with_nothing_is_sent_a_list_at_once() {
    let mut world = World::new(2, 3);
    let ends = pair(&world);
    take(&mut world, ends[1], &one_of_each(0..500));
    let (said, _) = words(&mut world, ends);
    assert!(!said.iter().any(|message| matches!(message, GossipMessage::Sketch { .. })));
    world.run(2 * SECOND);
    assert_eq!(kept(&world, ends[0]), 500);
}

/// The contents that an equivocator signed under one number.
fn two_contents(who: &Identity) -> [Verified<AppMessage>; 2] {
    [b"yes", b"no!"].map(|content| say(who, 3, content))
}

fn proved(world: &World, node: NodeId, who: &Identity) -> usize {
    let wrong = (who.node_id(), Observation::Misbehaved(Misbehavior::Equivocation));
    world.nodes[&node].observed.iter().filter(|observed| **observed == wrong).count()
}

#[test]
fn two_contents_under_one_number_are_proved_to_everybody_and_then_all_agree() {
    for peers in [2, 8] {
        let (mut world, eve) = (World::new(peers, 4), identity(66));
        let ids = world.ids();
        for (place, content) in (0..).zip(two_contents(&eve)) {
            take(&mut world, ids[place], &[content]);
        }
        world.connect_randomly(4);
        world.run(Duration::from_secs(30));
        assert!(ids.iter().all(|node| proved(&world, *node, &eve) == 1), "each once");
        let mut both = two_contents(&eve).map(|content| content.id());
        both.sort_unstable();
        for node in world.nodes.values() {
            let [(sender, mut told)] = node.equivocated[..] else { panic!("told once") };
            told.sort_unstable();
            assert_eq!((sender, told), (eve.node_id(), both));
            assert_eq!(node.delivered.len(), 1, "the second one is never handed over");
        }

        let rounds = |world: &World| -> u64 {
            world.nodes.values().map(|node| node.gossip.counters().anti_entropy_rounds).sum()
        };
        let (sent, asked) = (world.sent, rounds(&world));
        world.run(Duration::from_secs(20));
        assert_eq!(world.sent - sent, rounds(&world) - asked, "only questions");
    }
}

#[test]
fn many_equivocations_in_large_windows_are_found_although_their_numbers_are_the_same() {
    let mut world = World::new(2, 5);
    let ends = pair(&world);
    let all = one_of_each(0..300);
    for end in ends {
        take(&mut world, end, &all);
    }
    let liars: Vec<Identity> = (500..520).map(identity).collect();
    for liar in &liars {
        let [one, other] = two_contents(liar);
        take(&mut world, ends[0], &[one]);
        take(&mut world, ends[1], &[other]);
    }
    world.connect(ends[0], ends[1]);
    world.run(Duration::from_secs(5));
    for liar in &liars {
        assert_eq!(ends.map(|end| proved(&world, end, liar)), [1, 1]);
    }
}

/// A node with 300 messages, and a peer that is linked to it and draws the key of the link.
fn asked_by_a_stranger() -> (Node, NodeId, [u8; 16]) {
    let mut node = Node::new(0, config(), GossipSnapshot::default(), at(Duration::ZERO));
    let stranger = (1..).map(|n| identity(n).node_id()).find(|id| *id < node.id()).unwrap();
    for message in one_of_each(0..300) {
        let push = GossipMessage::Gossip(0, message.claim().clone());
        node.hear(at(Duration::ZERO), stranger, push);
    }
    assert_eq!(node.up(at(Duration::ZERO), stranger).len(), 1, "it waits for the key");
    (node, stranger, [8; 16])
}

#[test]
fn a_question_is_answered_in_pieces_that_are_small_beside_it_and_each_is_sent_once() {
    let (mut node, stranger, key) = asked_by_a_stranger();
    let mut now = Duration::ZERO;
    let mut lists = 0;
    for round in 0..40 {
        let ask = GossipMessage::Digest { key, count: 300, sum: [round; 16] };
        let mut sent = node.hear(at(now), stranger, ask.clone());
        assert!(matches!(&sent[..], [(_, GossipMessage::Sketch { first: 0, .. })]), "{sent:?}");
        let mut first = 0;
        while let Some((_, GossipMessage::Sketch { symbols, length, .. })) = sent.first() {
            assert!(sent[0].1.encode().len() < 290 && symbols.len() <= SKETCH_PIECE);
            assert!(*length <= SKETCH_SYMBOLS);
            first += symbols.len();
            let again = GossipMessage::More { first: first - symbols.len() };
            assert_eq!(node.hear(at(now), stranger, again), [], "not twice");
            sent = node.hear(at(now), stranger, GossipMessage::More { first });
        }
        lists += usize::from(!sent.is_empty());
        assert_eq!(node.hear(at(now), stranger, ask), [], "one question in an interval");
        now += SECOND;
    }
    let list = 300 * 37;
    assert!(lists * list <= 41 * LISTED_BYTES_PER_SECOND, "{lists} lists");
}

#[test]
fn symbols_that_nobody_asked_for_and_codes_of_nothing_mean_nothing() {
    let (mut node, stranger, key) = asked_by_a_stranger();
    let now = at(Duration::ZERO);
    let codes = |count: u64| (0..count).map(move |n| Code::of(&key, &n.to_be_bytes()));
    let sketch = Sketch::new(codes(50), SKETCH_PIECE);
    let piece = |first| GossipMessage::Sketch {
        elements: 50,
        length: SKETCH_SYMBOLS,
        first,
        symbols: sketch.symbols().to_vec(),
    };
    for message in [
        piece(0),
        GossipMessage::More { first: 0 },
        GossipMessage::Lacking(codes(9).collect()),
        // The key is the stranger's to choose once in a while, not to change at will.
        GossipMessage::Digest { key, count: 300, sum: [1; 16] },
        GossipMessage::Lacking(codes(9).collect()),
        GossipMessage::Lacking(codes(9).collect()),
        GossipMessage::Digest { key: [9; 16], count: 300, sum: [1; 16] },
    ] {
        let is_digest = matches!(message, GossipMessage::Digest { key: with, .. } if with == key);
        let sent = node.hear(now, stranger, message);
        assert_eq!(sent.len(), usize::from(is_digest), "{sent:?}");
    }
    // Asked ourselves: what comes out of order is not taken, nor what is too much.
    let mut sent = node.pass(Duration::ZERO, 3 * SECOND);
    sent.retain(|(_, message)| matches!(message, GossipMessage::Digest { .. }));
    assert!(!sent.is_empty());
    let later = at(3 * SECOND);
    assert_eq!(node.hear(later, stranger, piece(SKETCH_PIECE)), []);
    let mut more = 0;
    for _ in 0..2 {
        // From the beginning once more, and without end.
        for nth in 0..2 * SKETCH_SYMBOLS / SKETCH_PIECE {
            more += node.hear(later, stranger, piece(nth * SKETCH_PIECE)).len();
        }
        let nothing =
            GossipMessage::Sketch { elements: 50, length: 50, first: 0, symbols: Vec::new() };
        more += (0..50).map(|_| node.hear(later, stranger, nothing.clone()).len()).sum::<usize>();
    }
    assert!(more <= SKETCH_SYMBOLS.div_ceil(SKETCH_PIECE), "{more}");
}

#[test]
fn who_has_the_larger_id_does_not_choose_the_key() {
    let mut node = Node::new(0, config(), GossipSnapshot::default(), at(Duration::ZERO));
    let larger = (1..).map(|n| identity(n).node_id()).find(|id| *id > node.id()).unwrap();
    node.up(at(Duration::ZERO), larger);
    let before = *node.gossip.links[&larger].digest.unwrap().key();
    let ask = GossipMessage::Digest { key: [7; 16], count: 9, sum: [7; 16] };
    assert_eq!(node.hear(at(Duration::ZERO), larger, ask), []);
    assert_eq!(node.gossip.links[&larger].digest.unwrap().key(), &before);
}

#[test]
fn a_network_that_keeps_the_same_is_silent_until_somebody_has_something_new() {
    let mut world = World::new(30, 5);
    world.connect_randomly(8);
    let [first, second] = [0, 1].map(|place| world.ids()[place]);
    world.publish(first, 1);
    world.run(30 * SECOND);
    let rounds = |world: &World| -> u64 {
        world.nodes.values().map(|node| node.gossip.counters().anti_entropy_rounds).sum()
    };
    let (sent, before) = (world.sent, rounds(&world));
    world.run(60 * SECOND);
    assert_eq!(world.sent - sent, 0, "nobody says anything");
    world.run(COMPARED_AT_REST);
    let links = u64::try_from(world.links.len()).unwrap();
    let once = rounds(&world) - before;
    assert!((links..=2 * links).contains(&once), "each link once, by one end or both: {once}");

    // What came over no link, and was pushed to nobody.
    let alone = say(&identity(1_000), 7, b"from afar");
    take(&mut world, second, &[alone]);
    world.run(20 * SECOND);
    assert!(world.ids().into_iter().all(|node| kept(&world, node) == 2));
}

#[test]
fn who_takes_nothing_of_what_it_is_told_is_told_less_and_less_often() {
    let mut node = Node::new(0, config(), GossipSnapshot::default(), at(Duration::ZERO));
    let stranger = identity(STRANGER).node_id();
    // The end with the smaller id says which key a link has.
    let smaller = |number: &u32| identity(*number).node_id() < node.id();
    let other = identity((1..).find(smaller).unwrap()).node_id();
    for message in one_of_each(0..10) {
        node.hear(at(SECOND), stranger, GossipMessage::Gossip(0, message.claim().clone()));
    }
    node.up(at(SECOND), other);
    let key = [7; 16];
    let answers = |node: &mut Node, seconds: std::ops::Range<u64>, count: u64| {
        let mut ask = |second| {
            let digest = GossipMessage::Digest { key, count, sum: [9; 16] };
            let sent = node.hear(at(SECOND * second), other, digest);
            usize::from(!sent.is_empty())
        };
        seconds.map(|second| ask(u32::try_from(second).unwrap())).sum::<usize>()
    };
    let first = answers(&mut node, 2..62, 0);
    assert!((4..=10).contains(&first), "in a minute, {first} times");
    assert!(answers(&mut node, 62..182, 0) >= 8, "but never seldom");
    assert_eq!(answers(&mut node, 182..184, 1), 2, "who has something new is told at once");
}
