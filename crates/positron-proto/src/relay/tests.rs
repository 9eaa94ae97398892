//! A relay and its ends, without sessions: messages are carried by hand.

mod hostile;
mod rates;

use std::{
    collections::{BTreeMap, VecDeque},
    net::{Ipv4Addr, SocketAddr},
};

use bytes::Bytes;

use super::*;
use crate::{
    id::{LinkId, NodeId},
    limits::{
        MAX_RELAY_PAIRS, MAX_RELAY_PAIRS_PER_PEER, RELAY_IDLE, RELAY_OPEN_BURST, RELAY_PIECE,
        RELAY_WINDOW,
    },
    misbehavior::Misbehavior,
    rng::{Rng, Seed},
    stream::contract::{Hangup, LinkDown, Reading},
    time::{Duration, Instant, Now, WallTime},
    wire::{frame::Lane, message::RoomMessage as _},
};

/// The node that forwards; all others are linked to it and to nobody else.
const RELAY: usize = 0;

/// What one node got to hear of its own streams.
#[derive(Default)]
struct Ears {
    connected: Vec<LinkId>,
    accepted: Vec<LinkId>,
    heard: BTreeMap<LinkId, Vec<u8>>,
    written: BTreeMap<LinkId, usize>,
    down: BTreeMap<LinkId, LinkDown>,
    blamed: Vec<(NodeId, Misbehavior)>,
}

struct World {
    now: Now,
    nodes: Vec<Relays>,
    ears: Vec<Ears>,
    /// What is on its way: in order within a lane, and in no order between lanes.
    lanes: BTreeMap<(usize, usize, Lane), VecDeque<RelayMessage>>,
    dice: Rng,
    dialled: u64,
}

impl World {
    fn new(ends: usize) -> Self {
        Self::with(ends, RelayConfig::default())
    }

    fn with(ends: usize, config: RelayConfig) -> Self {
        let mut nodes = vec![Relays::new(config)];
        nodes.extend((0..ends).map(|_| Relays::new(RelayConfig::default())));
        for end in 1..=ends {
            nodes[RELAY].peer_in_reach(id(end), place(end));
            nodes[end].peer_in_reach(id(RELAY), place(RELAY));
        }
        let mono = Instant::from_micros(1_000_000_000);
        let now = Now { mono, wall: WallTime::from_unix_micros(0) };
        let ears = nodes.iter().map(|_| Ears::default()).collect();
        let dice = Seed::from_number(1).stream("lanes");
        Self { now, nodes, ears, lanes: BTreeMap::new(), dice, dialled: 0 }
    }

    /// Something happens at one node, and what it says is on its way.
    fn at(&mut self, node: usize, what: impl FnOnce(&mut Relays, Now, &mut VecDeque<RelayEffect>)) {
        let mut out = VecDeque::new();
        what(&mut self.nodes[node], self.now, &mut out);
        let ears = &mut self.ears[node];
        for effect in out {
            match effect {
                RelayEffect::Send { to, message } => {
                    let lane = (node, number(&to), message.lane());
                    self.lanes.entry(lane).or_default().push_back(message);
                }
                RelayEffect::Accepted { link, .. } => ears.accepted.push(link),
                RelayEffect::Connected(link) => ears.connected.push(link),
                RelayEffect::Bytes { link, bytes } => {
                    ears.heard.entry(link).or_default().extend_from_slice(&bytes);
                }
                RelayEffect::Written { link, bytes } => {
                    *ears.written.entry(link).or_default() += bytes;
                }
                RelayEffect::Down { link, reason } => {
                    assert_eq!(ears.down.insert(link, reason), None, "the last word, twice");
                }
                RelayEffect::Misbehaved { peer, what } => ears.blamed.push((peer, what)),
            }
        }
    }

    /// Carries one message, of any lane.
    fn carry_one(&mut self) -> bool {
        let busy: Vec<_> = self.lanes.keys().copied().collect();
        let Some(&lane) = self.dice.choose(&busy) else { return false };
        let Some(queue) = self.lanes.get_mut(&lane) else { return false };
        let message = queue.pop_front();
        if queue.is_empty() {
            self.lanes.remove(&lane);
        }
        let (from, to, _) = lane;
        if let Some(message) = message.filter(|_| to < self.nodes.len()) {
            self.hears(to, from, message);
        }
        true
    }

    /// Carries all messages, whatever follows from them included.
    fn carry(&mut self) {
        while self.carry_one() {}
    }

    /// Time passes, and all is done when it is due.
    fn pass(&mut self, time: Duration) {
        let until = self.now.mono + time;
        self.carry();
        while let Some(due) = self.nodes[RELAY].poll_timeout().filter(|due| *due <= until) {
            self.now.mono = self.now.mono.max(due);
            self.at(RELAY, Relays::handle_timeout);
            self.carry();
        }
        self.now.mono = until;
    }

    fn hears(&mut self, node: usize, from: usize, message: RelayMessage) {
        self.at(node, |it, now, out| it.handle_message(now, id(from), message, out));
    }

    fn dial(&mut self, from: usize, to: usize) -> LinkId {
        let link = LinkId::of_core(self.dialled);
        self.dialled += 1;
        let address = self.nodes[from].address_of(id(RELAY), id(to));
        self.at(from, |it, _, out| it.dial(link, address, out));
        link
    }

    /// A stream between two ends, as each of them calls it.
    fn open(&mut self, from: usize, to: usize) -> (LinkId, LinkId) {
        let link = self.dial(from, to);
        self.carry();
        assert_eq!(self.ears[from].connected.last(), Some(&link));
        (link, *self.ears[to].accepted.last().unwrap())
    }

    fn write(&mut self, node: usize, link: LinkId, bytes: &[u8]) {
        let bytes = Bytes::copy_from_slice(bytes);
        self.at(node, |it, _, out| it.write(link, bytes, out));
    }

    fn hang_up(&mut self, node: usize, link: LinkId, how: Hangup) {
        self.at(node, |it, _, out| it.hang_up(link, how, out));
    }

    fn set_reading(&mut self, node: usize, link: LinkId, reading: Reading) {
        self.at(node, |it, _, out| it.set_reading(link, reading, out));
    }

    fn heard(&self, node: usize, link: LinkId) -> &[u8] {
        self.ears[node].heard.get(&link).map_or(&[], Vec::as_slice)
    }

    fn down(&self, node: usize, link: LinkId) -> Option<LinkDown> {
        self.ears[node].down.get(&link).cloned()
    }

    /// Why the relay said no to the last dial of an end.
    fn refused(&self, node: usize, link: LinkId) -> String {
        match self.down(node, link) {
            Some(LinkDown::Unreachable(why)) => why,
            other => panic!("{other:?} is no refusal"),
        }
    }

    fn pairs(&self) -> u64 {
        self.nodes[RELAY].levels().pairs.used
    }

    fn links(&self, node: usize) -> u64 {
        self.nodes[node].levels().links.used
    }

    fn blamed(&self, node: usize) -> &[(NodeId, Misbehavior)] {
        &self.ears[node].blamed
    }
}

fn id(node: usize) -> NodeId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&u64::try_from(node).unwrap().to_be_bytes());
    NodeId::from_bytes(bytes)
}

/// Where a node is: each in a network of its own.
fn place(node: usize) -> SocketAddr {
    let net = u8::try_from(node % 200).unwrap();
    (Ipv4Addr::new(20, net, 1, 1), 8888).into()
}

fn number(id: &NodeId) -> usize {
    let bytes = id.as_bytes().first_chunk::<8>().unwrap();
    usize::try_from(u64::from_be_bytes(*bytes)).unwrap_or(usize::MAX)
}

/// Bytes of which no piece is like another.
fn text(len: usize) -> Vec<u8> {
    let mut text = vec![0; len];
    Seed::from_number(7).stream("text").fill(&mut text);
    text
}

fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap()
}

fn window() -> usize {
    usize::try_from(RELAY_WINDOW).unwrap()
}

fn by_end(number: u64) -> RelayLabel {
    RelayLabel { number, by_relay: false }
}

fn by_relay(number: u64) -> RelayLabel {
    RelayLabel { number, by_relay: true }
}

fn data(label: RelayLabel, len: usize) -> RelayMessage {
    RelayMessage::Data { label, bytes: vec![7; len].into() }
}

#[test]
fn a_stream_carries_bytes_both_ways_in_order_whatever_lane_is_first() {
    for seed in 0..20 {
        println!("seed {seed}");
        let mut world = World::new(2);
        world.dice = Seed::from_number(seed).stream("lanes");
        let (here, there) = world.open(1, 2);
        let (question, answer) = (text(3 * window()), text(2 * window() + 1));
        for (piece, back) in question.chunks(10_000).zip(answer.chunks(7_000)) {
            world.write(1, here, piece);
            world.write(2, there, back);
            world.carry_one();
        }
        let (said, answered) = (question.len().div_ceil(10_000), answer.len().div_ceil(7_000));
        let both = said.min(answered);
        world.write(1, here, &question[(both * 10_000).min(question.len())..]);
        world.write(2, there, &answer[(both * 7_000).min(answer.len())..]);
        world.carry();
        assert!(world.heard(2, there) == question && world.heard(1, here) == answer);
        assert_eq!(world.ears[1].written[&here], question.len(), "all of it was given away");
        assert!(world.ears.iter().all(|ears| ears.blamed.is_empty() && ears.down.is_empty()));
    }
}

#[test]
fn either_end_ends_a_stream_after_all_that_it_said() {
    for by_dialler in [true, false] {
        let mut world = World::new(2);
        let (here, there) = world.open(1, 2);
        let said = text(window() / 2);
        let ((by, mine), (other, its)) =
            if by_dialler { ((1, here), (2, there)) } else { ((2, there), (1, here)) };
        world.write(by, mine, &said);
        world.hang_up(by, mine, Hangup::Flush);
        world.carry();
        assert_eq!(world.down(by, mine), Some(LinkDown::HungUp));
        assert_eq!(world.down(other, its), Some(LinkDown::Eof));
        assert!(world.heard(other, its) == said);
        assert_eq!((world.pairs(), world.links(1), world.links(2)), (0, 0, 0));
    }
}

#[test]
fn a_flushed_stream_ends_when_the_reader_has_taken_what_waited_and_an_aborted_one_at_once() {
    for (how, heard) in [(Hangup::Flush, 3 * window()), (Hangup::Abort, window())] {
        let mut world = World::new(2);
        let (here, there) = world.open(1, 2);
        world.set_reading(2, there, Reading::Held);
        world.write(1, here, &text(3 * window()));
        world.carry();
        world.hang_up(1, here, how);
        world.carry();
        assert_eq!(world.down(1, here).is_some(), how == Hangup::Abort);
        world.set_reading(2, there, Reading::Open);
        world.carry();
        assert_eq!(world.heard(2, there).len(), heard);
        assert_eq!(world.down(1, here), Some(LinkDown::HungUp));
        assert_eq!(world.down(2, there), Some(LinkDown::Eof));
    }
}

#[test]
fn a_session_that_is_over_takes_its_streams_with_it_and_no_others() {
    for gone in [1, 2] {
        let mut world = World::new(3);
        let (here, there) = world.open(1, 2);
        let (other, its) = world.open(3 - gone, 3);
        world.at(RELAY, |relay, _, out| relay.peer_down(&id(gone), out));
        world.at(gone, |it, _, out| it.peer_down(&id(RELAY), out));
        world.carry();
        assert!(world.down(1, here).is_some() && world.down(2, there).is_some());
        assert_eq!((world.pairs(), world.links(gone), world.links(3 - gone)), (1, 0, 1));
        world.write(3 - gone, other, b"still here");
        world.carry();
        assert_eq!(world.heard(3, its), b"still here");
        let again = world.dial(3 - gone, gone);
        world.carry();
        assert_eq!(world.refused(3 - gone, again), RelayRefusal::NotLinked.to_string());
    }
}

#[test]
fn who_is_reached_over_a_relay_is_none() {
    let mut world = World::new(3);
    let (here, there) = world.open(1, 2);
    world.at(RELAY, |relay, _, out| relay.peer_out_of_reach(&id(2), out));
    world.carry();
    assert_eq!(world.down(1, here), Some(LinkDown::Eof));
    assert!(world.down(2, there).is_none(), "it is told when its own session goes over");
    let link = world.dial(3, 2);
    world.carry();
    assert_eq!(world.refused(3, link), RelayRefusal::NotLinked.to_string());
    world.nodes[RELAY].peer_in_reach(id(2), place(2));
    world.open(3, 2);
}

#[test]
fn nobody_is_forwarded_to_whom_the_relay_does_not_know_and_by_whom_does_not_relay() {
    let mut world = World::new(2);
    let to_nobody = world.dial(1, 9);
    let to_itself = world.dial(1, 1);
    world.carry();
    for link in [to_nobody, to_itself] {
        assert_eq!(world.refused(1, link), RelayRefusal::NotLinked.to_string());
    }
    let mut world = World::with(2, RelayConfig { forwards: false, ..RelayConfig::default() });
    let link = world.dial(1, 2);
    world.carry();
    assert_eq!(world.refused(1, link), RelayRefusal::Off.to_string());
    assert_eq!((world.pairs(), world.links(1), world.links(2)), (0, 0, 0));
}

#[test]
fn of_a_stream_to_who_takes_none_nothing_is_left_at_any_end() {
    let mut world = World::new(2);
    let paths = PathPolicy::DirectOnly;
    world.nodes[2] = Relays::new(RelayConfig { paths, ..RelayConfig::default() });
    world.nodes[2].peer_in_reach(id(RELAY), place(RELAY));
    world.dial(1, 2);
    world.carry();
    assert_eq!((world.pairs(), world.links(1), world.links(2)), (0, 0, 0));
    assert!(world.blamed(RELAY).is_empty(), "it is no wrong");
}

#[test]
fn who_asks_too_often_or_for_too_many_is_refused_and_goes_on_later() {
    let most = MAX_RELAY_PAIRS_PER_PEER;
    let mut world = World::new(most + 3);
    for to in 2..most + 2 {
        world.open(1, to);
    }
    let full = world.dial(1, most + 2);
    world.carry();
    assert_eq!(world.refused(1, full), RelayRefusal::Full.to_string());
    // Another one has pairs of its own.
    world.open(2, most + 2);
    let asked = u32::try_from(most).unwrap() + 1;
    for _ in asked..RELAY_OPEN_BURST {
        world.dial(1, most + 3);
        world.carry();
    }
    let flood = world.dial(1, most + 3);
    world.carry();
    assert_eq!(world.refused(1, flood), RelayRefusal::TooOften.to_string());
    let counters = world.nodes[RELAY].counters();
    assert_eq!(counters.pairs_refused, u64::from(RELAY_OPEN_BURST - asked) + 2);
    world.pass(Duration::from_secs(1));
    let full = world.dial(1, most + 3);
    world.carry();
    assert_eq!(world.refused(1, full), RelayRefusal::Full.to_string(), "it may ask again");
}

#[test]
fn a_pair_that_is_asked_for_again_takes_the_place_of_the_one_before() {
    let mut world = World::new(2);
    let (before, _) = world.open(1, 2);
    let (after, there) = world.open(1, 2);
    assert!(world.down(1, before).is_some() && world.down(1, after).is_none());
    world.write(1, after, b"again");
    world.carry();
    assert_eq!((world.pairs(), world.heard(2, there)), (1, &b"again"[..]));
}

#[test]
fn only_a_pair_that_was_silent_for_long_gives_way_when_there_are_too_many() {
    let askers = MAX_RELAY_PAIRS / MAX_RELAY_PAIRS_PER_PEER;
    let mut world = World::new(askers + 2 + MAX_RELAY_PAIRS_PER_PEER);
    let others = askers + 1..=askers + MAX_RELAY_PAIRS_PER_PEER;
    let mut first = None;
    for from in 1..=askers {
        for to in others.clone() {
            let pair = world.open(from, to);
            first.get_or_insert(pair);
        }
    }
    assert_eq!(world.pairs(), as_u64(MAX_RELAY_PAIRS));
    let (asker, to) = (askers + 1, askers + 2);
    world.pass(RELAY_IDLE - Duration::from_secs(1));
    let early = world.dial(asker, to);
    world.carry();
    assert_eq!(world.refused(asker, early), RelayRefusal::Full.to_string());
    // The oldest one speaks, so that the next one is the most silent.
    world.write(1, first.unwrap().0, b"I am here");
    world.pass(Duration::from_secs(1));
    world.open(asker, to);
    assert_eq!(world.pairs(), as_u64(MAX_RELAY_PAIRS));
    assert_eq!(world.down(1, first.unwrap().0), None);
    assert_eq!(world.ears[1].down.len(), 1);
    let later = world.dial(asker, to + 1);
    world.carry();
    assert_eq!(world.down(asker, later), None, "all others are as silent");
}

#[test]
fn a_reader_that_reads_nothing_stops_its_writer_and_nobody_else() {
    let mut world = World::new(3);
    let (here, there) = world.open(1, 2);
    let (other, its) = world.open(1, 3);
    world.set_reading(2, there, Reading::Held);
    let said = text(3 * window());
    world.write(1, here, &said);
    world.write(1, other, &said);
    world.write(2, there, b"I say something and read nothing");
    world.carry();
    assert_eq!(world.heard(2, there).len(), window(), "a window, and no more");
    assert_eq!(world.ears[1].written[&here], window());
    assert!(world.heard(3, its) == said);
    assert_eq!(world.heard(1, here), b"I say something and read nothing");
    world.set_reading(2, there, Reading::Open);
    world.pass(Duration::from_secs(2));
    assert!(world.heard(2, there) == said, "nothing was lost");
}

#[test]
fn what_a_session_does_not_take_ends_the_stream_that_lacks_it() {
    let mut world = World::new(2);
    let credit = |label| RelayMessage::Credit { label, limit: 2 * RELAY_WINDOW };
    for (n, lost) in [data(by_relay(0), 5), credit(by_relay(1))].iter().enumerate() {
        let (here, there) = world.open(1, 2);
        world.at(RELAY, |relay, _, out| relay.handle_unsent(&id(2), lost, out));
        world.carry();
        assert!(world.down(1, here).is_some() && world.down(2, there).is_some(), "{n}");
    }
    for lost in [data(by_end(2), 5), credit(by_end(3))] {
        let (here, there) = world.open(1, 2);
        world.at(1, |it, _, out| it.handle_unsent(&id(RELAY), &lost, out));
        world.carry();
        assert_eq!(world.down(1, here), Some(LinkDown::Reset));
        assert!(world.down(2, there).is_some());
    }
    let link = world.dial(1, 2);
    let lost = RelayMessage::Open { tag: 4, peer: id(2) };
    world.at(1, |it, _, out| it.handle_unsent(&id(RELAY), &lost, out));
    assert!(matches!(world.down(1, link), Some(LinkDown::Unreachable(_))));
    // It was asked all the same: nobody waits for the answer, and the pair goes.
    world.carry();
    assert_eq!((world.pairs(), world.links(1), world.links(2)), (0, 0, 0));
}

#[test]
fn a_piece_is_as_long_as_the_limit_and_no_longer() {
    let decode = |message: &RelayMessage| {
        let bytes = message.encode();
        let mut reader = crate::wire::Reader::new(bytes.slice(1..));
        RelayMessage::decode_body(bytes[0], &mut reader, id(1))
    };
    let most = data(by_end(3), RELAY_PIECE);
    assert_eq!(decode(&most).as_ref(), Ok(&most));
    let refused = decode(&data(by_end(3), RELAY_PIECE + 1)).unwrap_err();
    assert_eq!(refused.what, "length of a piece of a relayed stream");
    assert!(decode(&data(by_end(3), 0)).is_err());
}
