//! Stories of the tree of pushes: one copy each, and it heals.

use std::collections::BTreeMap;

use super::{
    super::{GossipCounters, GossipMessage, GossipSnapshot, SHAPES},
    harness::{Node, Sent, World, at, config, identity, say},
};
use crate::{
    id::NodeId,
    limits::{MAX_TTL, SHAPE_FIRST, SHAPED_AGAIN, SHAPED_MESSAGES, WANT_DELAY},
    time::Duration,
};

const SECOND: Duration = Duration::from_secs(1);

/// A network in which somebody says something again and again.
pub(super) struct Talk {
    pub(super) world: World,
    pub(super) said: BTreeMap<NodeId, u64>,
    pub(super) all: Vec<(NodeId, u64)>,
}

/// What a stretch of talk cost, each message and node.
#[derive(Debug)]
pub(super) struct Cost {
    copies: f64,
    asked: f64,
    /// From when each message was said until everybody had it, the shortest first.
    pub(super) delays: Vec<Duration>,
}

impl Talk {
    pub(super) fn among(nodes: u32, degree: usize, seed: u64) -> Self {
        let mut world = World::new(nodes, seed);
        world.connect_randomly(degree);
        world.run(2 * SECOND);
        Self { world, said: BTreeMap::new(), all: Vec::new() }
    }

    fn counted(&self, of: impl Fn(&GossipCounters) -> u64) -> u64 {
        self.world.nodes.values().map(|node| of(&node.gossip.counters())).sum()
    }

    /// Somebody says something each `pause`, `count` times, and half a second is waited for each.
    pub(super) fn go_on(&mut self, count: u32, pause: Duration) -> Cost {
        let counts = |talk: &Self| {
            [talk.counted(|of| of.messages_received), talk.counted(|of| of.iwant_sent)]
        };
        let before = counts(self);
        let mut open = Vec::new();
        let mut delays = Vec::new();
        let ids = self.world.ids();
        let end = self.world.now + pause * count + SECOND / 2;
        let mut next = self.world.now;
        let mut left = count;
        while self.world.now < end {
            if self.world.now >= next && left > 0 {
                (next, left) = (next + pause, left - 1);
                let who = ids[self.all.len() * 7_919 % ids.len()];
                let number = self.said.entry(who).or_default();
                self.world.publish(who, *number);
                self.all.push((who, *number));
                open.push((who, *number, self.world.now));
                *number += 1;
            }
            self.world.run(Duration::from_millis(1));
            let now = self.world.now;
            let nodes = &self.world.nodes;
            open.retain(|(who, number, since)| {
                let has = |node: &Node| node.disk.contains_key(&(*who, *number));
                let is_there = nodes.values().all(has);
                if is_there {
                    delays.push(now.saturating_sub(*since));
                }
                !is_there
            });
        }
        delays.sort_unstable();
        let each = f64::from(count) * (ids.len() - 1) as f64;
        let after = counts(self);
        let grew = |n: usize| (after[n] - before[n]) as f64 / each;
        Cost { copies: grew(0), asked: grew(1), delays }
    }
}

#[test]
fn once_a_message_shaped_the_tree_what_follows_comes_to_everybody_once() {
    for seed in 0..5 {
        let mut talk = Talk::among(40, 8, seed);
        talk.go_on(50, SECOND / 20);
        let cost = talk.go_on(150, SECOND / 20);
        assert_eq!(cost.delays.len(), 150, "seed {seed}: everything is there after half a second");
        assert!(cost.copies < 1.1 && cost.asked < 0.03, "seed {seed}: {cost:?}");
        talk.world.assert_all_delivered_once(&talk.all, &format!("seed {seed}"));
    }
}

#[test]
fn links_that_come_up_in_a_network_that_has_its_tree_close_no_circles_for_long() {
    for seed in 0..5 {
        let mut talk = Talk::among(40, 8, seed);
        talk.go_on(50, SECOND / 20);
        talk.world.connect_randomly(5);
        talk.go_on(20, SECOND / 20);
        let cost = talk.go_on(50, SECOND / 20);
        assert_eq!(cost.delays.len(), 50, "seed {seed}: everything is there after half a second");
        assert!(cost.copies < 1.25, "seed {seed}: {cost:?}");
    }
}

#[test]
fn who_falls_silent_in_the_middle_of_the_tree_costs_a_few_messages_a_moment() {
    let mut mended = 0;
    for seed in 0..4 {
        let mut talk = Talk::among(40, 8, seed);
        talk.go_on(150, SECOND / 20);
        // The links of the silent stay up: nobody is told that they are gone.
        let of = |node: &Node| node.gossip.tree.len();
        let mut middle: Vec<(usize, NodeId)> =
            talk.world.nodes.iter().map(|(id, node)| (of(node), *id)).collect();
        middle.sort_unstable();
        for (_, id) in &middle[36..] {
            talk.world.nodes.remove(id);
        }
        talk.all.clear();
        let first = talk.go_on(100, SECOND / 20);
        assert_eq!(first.delays.len(), 100, "seed {seed}: nothing is lost");
        assert!(first.delays[99] < 5 * WANT_DELAY, "seed {seed}: {first:?}");
        let then = talk.go_on(100, SECOND / 20);
        assert!(then.delays[99] < 2 * WANT_DELAY, "seed {seed}: {then:?}");
        assert!(then.copies < 1.1, "seed {seed}: {then:?}");
        mended += usize::from(then.delays[94] < WANT_DELAY);
    }
    assert!(mended >= 3, "after five seconds its part is mended in {mended} of 4 networks");
}

fn peer(number: u32) -> NodeId {
    identity(number).node_id()
}

/// A node whose links to 1, 2 and 3 are eager, and those to 4, 5 and 6 lazy.
fn node() -> Node {
    let mut node = Node::new(0, config(), GossipSnapshot::default(), at(Duration::ZERO));
    for number in 1..=6 {
        node.up(at(Duration::ZERO), peer(number));
    }
    node
}

fn of_kind(sent: &Sent, kind: &GossipMessage) -> Vec<NodeId> {
    sent.iter().filter(|(_, message)| message == kind).map(|(to, _)| *to).collect()
}

/// Who was told whether it is to announce.
fn wishes(sent: &Sent) -> Vec<(NodeId, bool)> {
    let wish = |(to, message): &(NodeId, GossipMessage)| match message {
        GossipMessage::Announce(wanted) => Some((*to, *wanted)),
        _ => None,
    };
    sent.iter().filter_map(wish).collect()
}

fn pushed(sent: &Sent) -> Vec<(NodeId, u8)> {
    let push = |(to, message): &(NodeId, GossipMessage)| match message {
        GossipMessage::Gossip(ttl, _) => Some((*to, *ttl)),
        _ => None,
    };
    sent.iter().filter_map(push).collect()
}

#[test]
fn a_message_that_shapes_goes_over_all_links_and_only_the_one_it_came_by_first_stays_eager() {
    let mut node = node();
    let message = say(&identity(9), 0, b"news");
    let push = |ttl| GossipMessage::Gossip(ttl, message.claim().clone());
    let sent = node.hear(at(SECOND), peer(4), push(5 | SHAPES));
    let mut to: Vec<_> = [1, 2, 3, 5, 6].map(|number| (peer(number), 4 | SHAPES)).into();
    to.sort_unstable();
    assert_eq!(pushed(&sent), to);
    assert_eq!(of_kind(&sent, &GossipMessage::Graft), [peer(4)]);
    for number in [1, 2, 5] {
        let sent = node.hear(at(SECOND), peer(number), push(4 | SHAPES));
        assert_eq!(of_kind(&sent, &GossipMessage::Prune), [peer(number)]);
    }
    let next = say(&identity(9), 1, b"news");
    let sent = node.hear(at(SECOND), peer(4), GossipMessage::Gossip(5, next.claim().clone()));
    assert_eq!(pushed(&sent), [(peer(3), 4)], "who has it from us neither grafts nor prunes");
}

#[test]
fn who_prunes_hears_announcements_and_who_grafts_gets_pushes() {
    let mut node = node();
    assert_eq!(node.hear(at(SECOND), peer(1), GossipMessage::Prune), []);
    assert_eq!(node.hear(at(SECOND), peer(6), GossipMessage::Graft), []);
    assert_eq!(node.hear(at(SECOND), peer(99), GossipMessage::Graft), [], "who is not up");
    let message = say(&node.identity, 0, b"news");
    let mut to: Vec<_> = pushed(&node.publish(at(SECOND), message)).iter().map(|of| of.0).collect();
    let mut all = [2, 3, 6].map(peer);
    all.sort_unstable();
    to.sort_unstable();
    assert_eq!(to, all);
}

#[test]
fn when_an_eager_link_ends_another_one_is_grafted() {
    let mut node = node();
    let sent = node.down(at(SECOND), peer(1));
    let grafted = of_kind(&sent, &GossipMessage::Graft);
    assert!([4, 5, 6].map(peer).contains(&grafted[0]) && grafted.len() == 1, "{grafted:?}");
    let lazy = [4, 5, 6].into_iter().find(|number| peer(*number) != grafted[0]).unwrap();
    assert_eq!(of_kind(&node.down(at(SECOND), peer(lazy)), &GossipMessage::Graft), []);
}

#[test]
fn beside_the_tree_no_more_announce_than_are_asked_and_others_instead_of_those_that_end() {
    let mut node = node();
    let shape = say(&identity(9), 0, b"news");
    let push = || GossipMessage::Gossip(5 | SHAPES, shape.claim().clone());
    node.hear(at(SECOND), peer(1), push());
    let mut announce = BTreeMap::from([2, 3, 4, 5, 6].map(|number| (peer(number), true)));
    for number in [2, 3, 4, 5, 6] {
        announce.extend(wishes(&node.hear(at(SECOND), peer(number), push())));
    }
    let those = |announce: &BTreeMap<NodeId, bool>, wanted: bool| {
        let all = announce.iter().filter(move |it| *it.1 == wanted);
        all.map(|(peer, _)| *peer).collect::<Vec<_>>()
    };
    let (told, hushed) = (those(&announce, true), those(&announce, false));
    assert_eq!((told.len(), hushed.len()), (3, 2));
    assert_eq!(node.hear(at(SECOND), hushed[0], GossipMessage::Graft), [], "three are left");
    let sent = node.down(at(SECOND), told[0]);
    assert_eq!(sent, [(hushed[1], GossipMessage::Announce(true))], "the other one pushes now");
    let sent = node.hear(at(SECOND), hushed[0], GossipMessage::Prune);
    assert_eq!(sent, [], "three are enough");
    let sent = node.hear(at(SECOND), told[1], GossipMessage::Graft);
    assert_eq!(sent, [(hushed[0], GossipMessage::Announce(true))], "it pushes, and will not tell");
}

#[test]
fn who_does_not_want_to_be_told_is_told_nothing_until_it_does() {
    let mut node = node();
    let mut announced = |wish: bool, number: u64| {
        let now = 4 * u32::try_from(number).unwrap() * SECOND + SECOND;
        node.hear(at(now), peer(6), GossipMessage::Announce(wish));
        let message = say(&node.identity, number, b"news");
        node.publish(at(now), message);
        let sent = node.pass(now, now + SECOND);
        sent.iter()
            .any(|(to, message)| *to == peer(6) && matches!(message, GossipMessage::IHave(_)))
    };
    assert_eq!([announced(true, 0), announced(false, 1), announced(true, 2)], [true, false, true]);
}

#[test]
fn our_own_message_shapes_when_it_is_time() {
    let mut node = node();
    let shapes = |node: &mut Node, now: Duration, number: u64| {
        let message = say(&node.identity, number, b"news");
        let pushes = pushed(&node.publish(at(now), message));
        let is_marked = pushes.iter().all(|(_, ttl)| ttl & SHAPES != 0);
        assert_eq!(pushes.len(), if is_marked { 6 } else { 3 }, "over all links or eager ones");
        is_marked
    };
    assert!(!shapes(&mut node, Duration::ZERO, 0), "the links are hardly there");
    assert!(shapes(&mut node, 2 * SHAPE_FIRST, 1));
    let enough = 2 + u64::from(SHAPED_MESSAGES);
    assert!((2..enough).all(|number| !shapes(&mut node, 60 * SECOND, number)), "too few since");
    assert!(shapes(&mut node, 60 * SECOND, enough));
}

#[test]
fn who_marks_all_of_its_messages_has_few_of_them_pushed_over_all_links() {
    let mut node = node();
    let shaped = (0..1_000)
        .filter(|number| {
            let message = say(&identity(9), *number, b"news");
            let push = GossipMessage::Gossip(MAX_TTL | SHAPES, message.claim().clone());
            pushed(&node.hear(at(SECOND), peer(1), push)).len() > 3
        })
        .count();
    assert!((1..=1 + usize::from(SHAPED_AGAIN)).contains(&shaped), "{shaped}");
}
