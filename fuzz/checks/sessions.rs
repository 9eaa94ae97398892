//! Two nodes that talk over byte streams, which somebody cuts, delays, changes and joins.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
};

use positron_proto::{
    handshake::{Expect, link_public_key},
    id::{LinkId, NetworkId, NodeId, Ticket},
    identity::Identity,
    limits::{
        CONVERSATION_GRACE, LINK_WRITE_WINDOW, MAX_HALF_OPEN, MAX_HALF_OPEN_PER_IP,
        MAX_PEER_QUEUE_BYTES,
    },
    rng::Seed,
    session::{
        Sessions,
        sessions::{
            DialRequest, DownReason, Effort, Hangup, LinkDown, LinkKind, LinkKinds, Purpose,
            Reading, SessionConfig, SessionEffect,
        },
    },
    time::{Duration, Instant, Now},
    wire::frame::{CloseReason, Lane},
};

use super::input::Bytes;

/// The input says what the nodes do, and what becomes of each piece of each stream.
///
/// Nothing panics. What one node hears of the other in a lane is what that said, in order, without
/// gaps but for what was given up, and nothing twice by a node that remembers. Each dial and each
/// message with a ticket comes to one end. What waits and what was written stays in bounds. After
/// all that, over a stream that does its duty, a session comes up again and the rest arrives.
pub(crate) fn check(bytes: &[u8]) {
    let mut input = Bytes(bytes);
    let mut stage = Stage::new();
    for _ in 0..MOST_STEPS {
        let Some(what) = input.next() else { break };
        stage.step(what, &mut input);
        stage.check_bounds();
    }
    stage.finish();
}

const MOST_STEPS: usize = 400;
/// Streams at a time; the oldest breaks when there is another.
const MOST_STREAMS: usize = 24;
/// Beyond the write window: a message of the handshake, and the reason of the end.
const BEYOND_THE_WINDOW: usize = 2 * 1024;

struct Stage {
    now: Now,
    ends: [End; 2],
    streams: VecDeque<Stream>,
    /// Bytes that were written once, to be written again by a stranger.
    overheard: Vec<u8>,
}

/// One node and what is known of it.
struct End {
    sessions: Sessions,
    out: VecDeque<SessionEffect>,
    id: NodeId,
    noise_static: [u8; 32],
    door: Door,
    knocking: Vec<LinkId>,
    accepted: u64,
    said: Said,
    /// Dials that have come to no end.
    dials: usize,
    is_up: bool,
    /// When it may have forgotten what it heard: sessions that were closed at once, those that
    /// broke after a while.
    forgets: Vec<Instant>,
}

/// What becomes of a newcomer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    Admits,
    Refuses,
    Waits,
}

/// What a node said to the other.
#[derive(Default)]
struct Said {
    messages: Vec<Message>,
    /// By lane: the place among those of this lane that is to be heard next.
    heard: BTreeMap<Lane, usize>,
}

struct Message {
    lane: Lane,
    body: Vec<u8>,
    /// Whether it was delivered, once that is told.
    outcome: Option<bool>,
    heard: Option<Instant>,
}

/// A byte stream. Side 0 dialled; a stranger's far end is nobody's.
struct Stream {
    ends: [Option<(usize, LinkId)>; 2],
    /// What each side wrote and the other has not received.
    pipes: [Vec<u8>; 2],
    hangups: [Option<Hangup>; 2],
    held: [bool; 2],
}

impl Stage {
    fn new() -> Self {
        let mut now = Now::default();
        now.mono = now.mono + Duration::from_secs(1000);
        let end = |n: u8| {
            let config = SessionConfig {
                network: NetworkId::from_name("fuzz"),
                transports: LinkKinds::TCP,
                ..SessionConfig::default()
            };
            let me = Arc::new(Identity::from_seed([n + 1; 32]));
            let (id, noise_static) = (me.node_id(), link_public_key(&me));
            let rng = Seed::from_number(n.into()).stream("sessions");
            End {
                sessions: Sessions::new(config, me, rng),
                out: VecDeque::new(),
                id,
                noise_static,
                door: Door::Admits,
                knocking: vec![],
                accepted: 0,
                said: Said::default(),
                dials: 0,
                is_up: false,
                forgets: vec![],
            }
        };
        let ends = [end(0), end(1)];
        Self { now, ends, streams: VecDeque::new(), overheard: vec![] }
    }

    fn step(&mut self, what: u8, input: &mut Bytes<'_>) {
        let n = usize::from(what >> 7);
        match what & 0x7F {
            0..=15 => {
                self.carry(input.byte(), n, [1, 3, 16, 100, 1_000, 100_000][input.byte() % 6]);
            }
            16..=31 => self.run(),
            32..=51 => self.say(n, input.byte(), size(input.byte())),
            52..=59 => self.dial(n, input.byte()),
            60..=63 => {
                self.ends[n].door = [Door::Admits, Door::Refuses, Door::Waits][input.byte() % 3];
            }
            64..=67 => self.decide(n, input.byte()),
            68..=75 => self.change(input.byte(), n, input.word(), input.byte()),
            76..=78 => self.leave_out(input.byte(), n, input.word(), input.byte()),
            79..=81 => self.put_in(input.byte(), n, input.word(), input.byte()),
            82..=84 => self.break_stream(input.byte(), LinkDown::Reset),
            85 => self.break_stream(input.byte(), LinkDown::Eof),
            86..=88 => self.knock(n, input),
            89..=90 => self.close(n, input.byte()),
            91..=93 => self.hold(n, input.byte()),
            94..=105 => self.advance(Duration::from_millis(1 << (input.byte() % 16))),
            106 => self.wake(),
            _ => {}
        }
    }

    /// Calls something of a node's sessions, and carries out what they want done.
    fn with(
        &mut self,
        n: usize,
        call: impl FnOnce(&mut Sessions, Now, &mut VecDeque<SessionEffect>),
    ) {
        let End { sessions, out, .. } = &mut self.ends[n];
        call(sessions, self.now, out);
        sessions.flush(self.now, out);
        let mut effects = 0;
        while let Some(effect) = self.ends[n].out.pop_front() {
            effects += 1;
            assert!(effects < 10_000, "one thing leads to endless others");
            self.carry_out(n, effect);
        }
    }

    fn carry_out(&mut self, n: usize, effect: SessionEffect) {
        let other = self.ends[1 - n].id;
        match effect {
            SessionEffect::Dial { link, to, .. } => self.connect(n, link, to),
            SessionEffect::Write { link, bytes } => {
                let Some((at, side)) = self.find(n, link) else { return };
                let stream = &mut self.streams[at];
                assert!(stream.hangups[side].is_none(), "a write after hanging up");
                stream.pipes[side].extend_from_slice(&bytes);
                let room = MOST_OVERHEARD.saturating_sub(self.overheard.len());
                self.overheard.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            SessionEffect::Read { link, reading } => {
                if let Some((at, side)) = self.find(n, link) {
                    self.streams[at].held[side] = reading == Reading::Held;
                }
            }
            SessionEffect::Hangup { link, how } => {
                let Some((at, side)) = self.find(n, link) else { return };
                self.streams[at].hangups[side] = Some(how);
                if how == Hangup::Abort {
                    self.streams[at].pipes[side].clear();
                }
            }
            SessionEffect::Incoming(peer) => {
                assert_eq!(peer.id, other, "a stranger has the keys of a node");
                self.ends[n].knocking.push(peer.link);
                self.open_the_door(n);
            }
            SessionEffect::Up(peer) => {
                assert_eq!(peer.id, other, "a stranger has the keys of a node");
                assert!(!self.ends[n].is_up, "up twice");
                self.ends[n].is_up = true;
            }
            SessionEffect::Down { peer, reason, .. } => {
                assert_eq!(peer, other);
                assert!(core::mem::replace(&mut self.ends[n].is_up, false), "down twice");
                let grace = match reason {
                    DownReason::Link(_) => CONVERSATION_GRACE,
                    DownReason::ByPeer(_) | DownReason::ByUs(_) => Duration::ZERO,
                };
                self.ends[n].forgets.push(self.now.mono + grace);
            }
            SessionEffect::Moved { peer, .. }
            | SessionEffect::DialledUs { peer, .. }
            | SessionEffect::UsedTwice { peer, .. } => assert_eq!(peer, other),
            SessionEffect::DialEnded { .. } => {
                let dials = &mut self.ends[n].dials;
                *dials = dials.checked_sub(1).expect("a dial comes to an end once");
            }
            SessionEffect::Message { peer, body } => {
                assert!(peer == other && self.ends[n].is_up);
                self.hear(n, &body);
            }
            SessionEffect::Referral { peer, body } => assert!(peer == other && body == PARTING),
            SessionEffect::Idle { .. } | SessionEffect::Stun(_) | SessionEffect::Suspect(_) => {}
            SessionEffect::Pong { peer, .. } => assert_eq!(peer, other),
            SessionEffect::Query(event) => panic!("nobody asks: {event:?}"),
            SessionEffect::Delivered { ticket } => self.told(n, ticket, true),
            SessionEffect::Undelivered { ticket } => self.told(n, ticket, false),
            SessionEffect::Misbehaved { peer, what } => panic!("{peer} did no wrong: {what:?}"),
        }
    }

    fn hear(&mut self, n: usize, body: &[u8]) {
        let now = self.now.mono;
        let forgets = self.ends[n].forgets.clone();
        let Said { messages, heard } = &mut self.ends[1 - n].said;
        let place = messages.iter().position(|message| message.body == body);
        let place = place.expect("nobody said it");
        let lane = messages[place].lane;
        let next = heard.entry(lane).or_default();
        if place < *next {
            let message = &messages[place];
            let first = message.heard.expect("it was passed over before");
            let forgot = forgets.iter().any(|at| (first..=now).contains(at));
            assert!(forgot && message.outcome != Some(true), "a message comes twice");
        }
        for passed in messages.iter().take(place).skip(*next).filter(|one| one.lane == lane) {
            assert_eq!(passed.outcome, Some(false), "a message overtook another of its lane");
        }
        *next = place + 1;
        messages[place].heard = Some(now);
    }

    fn told(&mut self, n: usize, Ticket(place): Ticket, delivered: bool) {
        let place = usize::try_from(place).expect("tickets are few");
        let message = &mut self.ends[n].said.messages[place];
        assert!(message.outcome.is_none(), "a ticket is answered twice");
        assert!(!delivered || message.heard.is_some(), "delivered, and nobody heard it");
        message.outcome = Some(delivered);
    }

    fn say(&mut self, n: usize, how: usize, len: usize) {
        let place = self.ends[n].said.messages.len();
        let lane = Lane::KNOWN[how % 3];
        let body = body(n, place, len);
        let (to, bytes) = (self.ends[1 - n].id, bytes::Bytes::from(body.clone()));
        let ticket = Some(Ticket(u64::try_from(place).expect("tickets are few")));
        let message = Message { lane, body, outcome: None, heard: None };
        self.ends[n].said.messages.push(message);
        let mut taken = false;
        self.with(n, |sessions, now, out| {
            taken = sessions.send(now, to, lane, bytes.into(), ticket, out).is_ok();
        });
        if !taken {
            self.ends[n].said.messages[place].outcome = Some(false);
        }
    }

    fn dial(&mut self, n: usize, how: usize) {
        let End { id, noise_static, .. } = self.ends[1 - n];
        let key = (how & 4 == 0).then_some(noise_static);
        let (expect, noise_static) = match how & 3 {
            0 | 1 => (Expect::Node(id), key),
            2 => (Expect::Anyone, None),
            _ => (Expect::Node(NodeId::from_bytes([77; 32])), key),
        };
        let purpose = if how & 0x18 == 0x18 { Purpose::Probe } else { Purpose::Connect };
        let to = if how & 0x60 == 0x60 { address(n) } else { address(1 - n) };
        self.ends[n].dials += 1;
        let dial = DialRequest { to, expect, noise_static, purpose, effort: Effort::Full };
        self.with(n, |sessions, now, out| sessions.dial(now, dial, out));
    }

    fn connect(&mut self, n: usize, link: LinkId, to: SocketAddr) {
        let other = usize::from(to == address(1));
        let accepted = self.next_accepted(other);
        self.join_stream([Some((n, link)), Some((other, accepted))]);
        let from = address(n);
        self.with(other, |sessions, now, out| {
            sessions.handle_accepted(now, LinkKind::Tcp, accepted, from, None, out);
        });
        self.with(n, |sessions, now, out| sessions.handle_connected(now, link, None, out));
    }

    /// A stranger opens a stream and writes what the input says, or what somebody wrote before.
    fn knock(&mut self, n: usize, input: &mut Bytes<'_>) {
        let link = self.next_accepted(n);
        self.join_stream([None, Some((n, link))]);
        let from = SocketAddr::from(([203, 0, 113, 7], 6000));
        self.with(n, |sessions, now, out| {
            sessions.handle_accepted(now, LinkKind::Tcp, link, from, None, out);
        });
        let bytes = if input.bit() {
            let from = input.word().min(self.overheard.len());
            let to = (from + input.word()).min(self.overheard.len());
            self.overheard[from..to].to_vec()
        } else {
            (0..input.byte() % 64).map_while(|_| input.next()).collect()
        };
        self.with(n, |sessions, now, out| sessions.handle_bytes(now, link, bytes.into(), out));
    }

    fn next_accepted(&mut self, n: usize) -> LinkId {
        self.ends[n].accepted += 1;
        LinkId::of_driver(self.ends[n].accepted)
    }

    fn join_stream(&mut self, ends: [Option<(usize, LinkId)>; 2]) {
        if self.streams.len() >= MOST_STREAMS {
            self.break_stream(0, LinkDown::Reset);
        }
        let stream =
            Stream { ends, pipes: Default::default(), hangups: [None; 2], held: [false; 2] };
        self.streams.push_back(stream);
    }

    fn open_the_door(&mut self, n: usize) {
        if self.ends[n].door != Door::Waits {
            self.decide(n, 0);
        }
    }

    fn decide(&mut self, n: usize, which: usize) {
        let End { knocking, door, .. } = &mut self.ends[n];
        if knocking.is_empty() {
            return;
        }
        let link = knocking.swap_remove(which % knocking.len());
        let admits = *door != Door::Refuses;
        self.with(n, |sessions, now, out| {
            if admits {
                sessions.accept(now, link, out);
            } else {
                let parting = Some(bytes::Bytes::from_static(PARTING));
                sessions.refuse(now, link, CloseReason::SlotsFull, parting, out);
            }
        });
    }

    fn close(&mut self, n: usize, how: usize) {
        let peer = self.ends[1 - n].id;
        let reasons = [CloseReason::Pruned, CloseReason::ShuttingDown, CloseReason::Banned];
        let reason = reasons[how % reasons.len()].clone();
        self.with(n, |sessions, now, out| sessions.close(now, peer, reason, out));
    }

    fn hold(&mut self, n: usize, how: usize) {
        let reading = if how & 1 == 1 { Reading::Held } else { Reading::Open };
        if let Some(link) = self.ends[n].sessions.link_of(&self.ends[1 - n].id) {
            self.with(n, |sessions, now, out| sessions.set_reading(now, link, reading, out));
        }
    }

    fn find(&self, n: usize, link: LinkId) -> Option<(usize, usize)> {
        self.streams.iter().enumerate().find_map(|(at, stream)| {
            Some((at, stream.ends.iter().position(|end| *end == Some((n, link)))?))
        })
    }

    fn pipe(&mut self, which: usize, side: usize) -> &mut Vec<u8> {
        let count = self.streams.len().max(1);
        match self.streams.get_mut(which % count) {
            Some(stream) => &mut stream.pipes[side],
            // What is written to it nobody reads.
            None => &mut self.overheard,
        }
    }

    fn change(&mut self, which: usize, side: usize, at: usize, change: usize) {
        let pipe = self.pipe(which, side);
        let len = pipe.len().max(1);
        if let Some(byte) = pipe.get_mut(at % len) {
            *byte ^= u8::try_from(change.max(1)).unwrap_or(1);
        }
    }

    fn leave_out(&mut self, which: usize, side: usize, at: usize, len: usize) {
        let pipe = self.pipe(which, side);
        let at = at % (pipe.len() + 1);
        pipe.drain(at..(at + len).min(pipe.len()));
    }

    /// A piece of the stream comes twice.
    fn put_in(&mut self, which: usize, side: usize, at: usize, len: usize) {
        let pipe = self.pipe(which, side);
        let at = at % (pipe.len() + 1);
        let again = pipe[at..(at + len).min(pipe.len())].to_vec();
        pipe.splice(at..at, again);
    }

    fn break_stream(&mut self, which: usize, why: LinkDown) {
        let count = self.streams.len().max(1);
        let Some(stream) = self.streams.remove(which % count) else { return };
        self.lose(&stream, &why);
    }

    fn lose(&mut self, stream: &Stream, why: &LinkDown) {
        for (side, end) in stream.ends.iter().enumerate() {
            let Some((n, link)) = *end else { continue };
            self.ends[n].knocking.retain(|knocking| *knocking != link);
            let why = if stream.hangups[side].is_some() { LinkDown::HungUp } else { why.clone() };
            self.with(n, |sessions, now, out| sessions.handle_link_down(now, link, why, out));
        }
    }

    /// Brings so many bytes from one side of a stream to the other, or its end if there are none;
    /// false if there is nothing to bring.
    fn carry_one(&mut self, which: usize, side: usize, most: usize) -> bool {
        let Some(stream) = self.streams.get_mut(which) else { return false };
        if stream.held[1 - side] {
            return false;
        }
        if stream.pipes[side].is_empty() {
            let Some(how) = stream.hangups[side] else { return false };
            let why = if how == Hangup::Flush { LinkDown::Eof } else { LinkDown::Reset };
            self.break_stream(which, why);
            return true;
        }
        let len = most.min(stream.pipes[side].len());
        let bytes: Vec<u8> = stream.pipes[side].drain(..len).collect();
        let ends = stream.ends;
        if let Some((n, link)) = ends[side] {
            self.with(n, |sessions, now, out| sessions.handle_written(now, link, len, out));
        }
        if let Some((n, link)) = ends[1 - side] {
            self.with(n, |sessions, now, out| sessions.handle_bytes(now, link, bytes.into(), out));
        }
        true
    }

    fn carry(&mut self, which: usize, side: usize, most: usize) {
        let count = self.streams.len().max(1);
        self.carry_one(which % count, side, most);
    }

    /// Brings everything, until nothing moves any more.
    fn run(&mut self) {
        for _ in 0..10_000 {
            let mut moved = false;
            for which in 0..self.streams.len() {
                moved |= self.carry_one(which, 0, usize::MAX);
                moved |= self.carry_one(which, 1, usize::MAX);
            }
            if !moved {
                return;
            }
        }
        panic!("the two keep each other busy for ever");
    }

    fn wake(&mut self) {
        for n in 0..2 {
            self.with(n, Sessions::handle_timeout);
        }
    }

    fn next_wake(&self) -> Option<Instant> {
        self.ends.iter().filter_map(|end| end.sessions.poll_timeout()).min()
    }

    /// Moves the clock, stopping wherever somebody wants to be woken; what is said stays on its
    /// way.
    fn advance(&mut self, by: Duration) {
        let until = self.now.mono + by;
        let mut woken = 0;
        while let Some(at) = self.next_wake().filter(|at| *at <= until) {
            woken += 1;
            assert!(woken < 10_000, "they never sleep");
            self.now.mono = self.now.mono.max(at);
            self.wake();
        }
        self.now.mono = until;
    }

    /// The same, while everything is brought at once.
    fn be_calm(&mut self, by: Duration) {
        let until = self.now.mono + by;
        self.run();
        let mut woken = 0;
        while let Some(at) = self.next_wake().filter(|at| *at <= until) {
            woken += 1;
            assert!(woken < 10_000, "they never sleep");
            self.now.mono = self.now.mono.max(at);
            self.wake();
            self.run();
        }
        self.now.mono = until;
    }

    fn check_bounds(&self) {
        for stream in &self.streams {
            for pipe in &stream.pipes {
                // What somebody in the middle doubles is not theirs.
                assert!(pipe.len() <= LINK_WRITE_WINDOW + BEYOND_THE_WINDOW + MOST_PUT_IN);
            }
        }
        for end in &self.ends {
            let half_open = end.sessions.half_open();
            assert!(half_open <= MAX_HALF_OPEN.min(MOST_STREAMS + MAX_HALF_OPEN_PER_IP));
            for view in end.sessions.views() {
                assert!(view.queued_bytes <= MAX_PEER_QUEUE_BYTES);
            }
        }
    }

    fn finish(mut self) {
        while !self.streams.is_empty() {
            self.break_stream(0, LinkDown::Reset);
        }
        for end in &mut self.ends {
            end.door = Door::Admits;
        }
        self.dial(0, 0);
        self.be_calm(Duration::from_secs(20));
        assert!(self.ends[0].is_up && self.ends[1].is_up, "no session comes up");
        for n in 0..2 {
            for lane in 0..3 {
                self.say(n, lane, 10);
            }
        }
        self.be_calm(Duration::from_secs(20));
        for n in 0..2 {
            for message in &self.ends[n].said.messages {
                assert!(message.outcome.is_some(), "a message is neither delivered nor given up");
            }
            let last = &self.ends[n].said.messages[self.ends[n].said.messages.len() - 3..];
            assert!(last.iter().all(|message| message.outcome == Some(true)), "nothing arrives");
            assert_eq!(self.ends[n].dials, 0, "a dial comes to no end");
        }
        self.with(0, |sessions, now, out| {
            sessions.close_all(now, CloseReason::ShuttingDown, out);
        });
        self.be_calm(Duration::from_secs(10));
        for end in &self.ends {
            assert!(!end.is_up && !end.sessions.has_links(), "a link outlives its end");
        }
    }
}

/// What a node says before it refuses.
const PARTING: &[u8] = b"ask others";
const MOST_OVERHEARD: usize = 64 * 1024;
const MOST_PUT_IN: usize = 256 * MOST_STEPS;

fn address(n: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, u8::from(n == 1) + 1], 4000))
}

/// A message that tells which one it is.
fn body(n: usize, place: usize, len: usize) -> Vec<u8> {
    let mut body = vec![u8::try_from(n).unwrap_or(0)];
    body.extend(place.to_be_bytes());
    body.extend((0..len).map(|at| u8::try_from((at * 7 + place) % 251).unwrap_or(0)));
    body
}

fn size(byte: usize) -> usize {
    const SIZES: [usize; 8] = [0, 1, 100, 1_000, 16_300, 16_400, 40_000, 300_000];
    SIZES[byte % 8] + byte / 8
}
