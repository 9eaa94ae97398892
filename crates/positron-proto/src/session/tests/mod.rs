//! Stories between sessions in a tiny world: an internet for their datagrams, byte pipes that tests
//! carry write by write, and a clock that is moved by hand.

mod attacks;
mod bandwidth;
mod bounds;
pub(super) mod foreign;
mod happy;
mod holding;
mod liveness;
mod moving;
mod queries;
mod reasons;
mod refusals;
mod story;
mod ties;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::Arc,
};

use bytes::Bytes;
use positron_internet::{DEFAULT_TTL, Event, HostId, Internet, PathLaws, StreamLaws, Traffic};

use self::bandwidth::Carried;
use super::sessions::{
    DialFailure, DialOutcome, DialRequest, DownReason, Effort, Hangup, LinkDown, LinkKind,
    LinkKinds, Purpose, QueryEvent, SessionConfig, SessionEffect, Sessions,
};
use crate::{
    handshake::{Expect, HandshakeFailure, link_public_key},
    id::{LinkId, NetworkId, NodeId, Ticket},
    identity::Identity,
    rng::Seed,
    time::{Duration, Instant, Now, WallTime},
    wire::frame::{CloseReason, Lane},
};

/// What a node does when somebody knocks.
#[derive(Clone, Debug)]
enum AtTheDoor {
    Admit,
    Refuse(CloseReason, Option<Bytes>),
    Wait,
}

struct Node {
    sessions: Sessions,
    id: NodeId,
    noise_static: [u8; 32],
    addr: SocketAddr,
    door: AtTheDoor,
    /// Everything it said, without what concerns byte streams.
    said: Vec<SessionEffect>,
    accepted: u64,
}

/// A byte stream. Side 0 dialled.
struct Wire {
    ends: [(usize, LinkId); 2],
    /// What each side wrote and the other has not received.
    pipes: [VecDeque<Bytes>; 2],
    /// A stalled side's bytes stay with it: the other does not read.
    stalled: [bool; 2],
    hangups: [Option<Hangup>; 2],
    over: bool,
}

struct World {
    nodes: Vec<Node>,
    wires: Vec<Wire>,
    by_link: BTreeMap<(usize, LinkId), usize>,
    /// What carries datagrams: each node is the host of its number.
    internet: Internet<Vec<u8>>,
    /// The kinds of link that a firewall drops.
    blocked: BTreeSet<LinkKind>,
    /// What was given to datagrams and byte streams.
    carried: Vec<Carried>,
    now: Now,
}

fn config() -> SessionConfig {
    SessionConfig {
        network: NetworkId::from_name("test"),
        max_links: 64,
        transports: LinkKinds::TCP,
        ..SessionConfig::default()
    }
}

fn dial(to: SocketAddr) -> DialRequest {
    let (purpose, effort) = (Purpose::Connect, Effort::Full);
    DialRequest { to, expect: Expect::Anyone, noise_static: None, purpose, effort }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl World {
    /// `count` nodes of one network, in order of their ids.
    fn new(count: u8) -> Self {
        Self::with_configs(vec![config(); usize::from(count)])
    }

    fn with_configs(configs: Vec<SessionConfig>) -> Self {
        let start = Instant::from_micros(1_000_000);
        let now = Now { mono: start, wall: WallTime::default() };
        // What an Ethernet carries.
        let paths = PathLaws { mtu: 1472, ..PathLaws::calm(millis(10)) };
        let mut world = Self {
            nodes: vec![],
            wires: vec![],
            by_link: BTreeMap::new(),
            internet: Internet::new(1, paths, StreamLaws::CALM),
            blocked: BTreeSet::new(),
            carried: vec![],
            now,
        };
        let mut seeds: Vec<u8> = (1..=u8::try_from(configs.len()).unwrap()).collect();
        seeds.sort_by_key(|seed| Identity::from_seed([*seed; 32]).node_id());
        for (config, seed) in configs.into_iter().zip(seeds) {
            let addr = SocketAddr::from(([10, 0, 0, seed], 4000));
            world.internet.add_host(addr);
            world.nodes.push(node(config, seed, addr, 0));
        }
        world
    }

    /// The process of a node dies and starts again. Its links are reset.
    fn restart(&mut self, n: usize, start: u64) {
        let seed = self.nodes[n].addr.to_string();
        let seed = seed.split(['.', ':']).nth(3).unwrap().parse().unwrap();
        let config = self.nodes[n].sessions.config.clone();
        for wire in 0..self.wires.len() {
            if let Some(side) = self.wires[wire].ends.iter().position(|(end, _)| *end == n)
                && !self.wires[wire].over
            {
                self.wires[wire].over = true;
                let (other, link) = self.wires[wire].ends[1 - side];
                if other != n {
                    self.with(other, |s, now, out| {
                        s.handle_link_down(now, link, LinkDown::Reset, out);
                    });
                }
            }
        }
        let said = core::mem::take(&mut self.nodes[n].said);
        self.nodes[n] = node(config, seed, self.nodes[n].addr, start);
        self.nodes[n].said = said;
    }

    /// Calls something of a node's sessions, flushes, and carries out what they want done.
    fn with<T>(
        &mut self,
        n: usize,
        call: impl FnOnce(&mut Sessions, Now, &mut VecDeque<SessionEffect>) -> T,
    ) -> T {
        let mut out = VecDeque::new();
        let sessions = &mut self.nodes[n].sessions;
        let result = call(sessions, self.now, &mut out);
        sessions.flush(self.now, &mut out);
        while let Some(what) = out.pop_front() {
            self.carry_out(n, what);
        }
        self.post(n);
        result
    }

    /// Takes the datagrams that a node wants sent.
    fn post(&mut self, n: usize) {
        let (now, mut buf) = (self.now, Vec::new());
        let from = self.nodes[n].addr;
        while let Some(batch) = self.nodes[n].sessions.poll_transmit(now, 16, &mut buf) {
            assert_eq!(batch.len, buf.len());
            if let Some(to) = self.nodes.iter().position(|node| node.addr == batch.to) {
                self.carried.push(Carried::new(now, n, to, batch.len));
            }
            for bytes in buf.chunks(batch.segment_size) {
                let now = now.mono.since(Instant::ORIGIN);
                // Whether it was lost is for the network to know.
                let _ = self.internet.send(now, from, batch.to, bytes.to_vec(), DEFAULT_TTL);
            }
        }
    }

    /// Brings the datagrams that have arrived by now; false if there are none.
    fn deliver(&mut self) -> bool {
        let mut delivered = false;
        while let Some(delivery) = self.internet.poll(self.now.mono.since(Instant::ORIGIN)) {
            let Event::Datagram { from, payload, .. } = delivery.event else { continue };
            delivered = true;
            self.with(delivery.host.index(), |s, now, out| {
                s.handle_datagrams(now, from, payload.len(), &payload, out);
            });
        }
        delivered
    }

    /// Lets a firewall drop links of these kinds, and no others.
    fn block(&mut self, kinds: &[LinkKind]) {
        self.blocked = kinds.iter().copied().collect();
        for host in (0..self.nodes.len()).map(HostId::new) {
            for traffic in [Traffic::DatagramsOut, Traffic::DatagramsIn] {
                let drops = kinds.contains(&LinkKind::Udp);
                self.internet.topology_mut().black_hole(host, traffic, drops);
            }
        }
    }

    fn carry_out(&mut self, n: usize, what: SessionEffect) {
        match what {
            SessionEffect::Dial { link, to, .. } => self.connect(n, link, to),
            SessionEffect::Write { link, bytes } => {
                let Some((wire, side)) = self.wire(n, link) else { return };
                assert!(wire.hangups[side].is_none(), "a write after hanging up");
                let (to, len) = (wire.ends[1 - side].0, bytes.len());
                wire.pipes[side].push_back(bytes);
                self.carried.push(Carried::new(self.now, n, to, len));
            }
            SessionEffect::Read { .. } => {}
            SessionEffect::Hangup { link, how } => {
                let Some((wire, side)) = self.wire(n, link) else { return };
                wire.hangups[side] = Some(how);
            }
            SessionEffect::Incoming(peer) => {
                self.nodes[n].said.push(SessionEffect::Incoming(peer));
                match self.nodes[n].door.clone() {
                    AtTheDoor::Admit => self.with(n, |s, now, out| s.accept(now, peer.link, out)),
                    AtTheDoor::Refuse(reason, parting) => self.with(n, |s, now, out| {
                        s.refuse(now, peer.link, reason, parting, out);
                    }),
                    AtTheDoor::Wait => {}
                }
            }
            SessionEffect::Query(QueryEvent::Asked { body, reply, .. }) => {
                self.nodes[n].sessions.answer_query(self.now, reply, &body).unwrap();
                self.post(n);
            }
            other => self.nodes[n].said.push(other),
        }
    }

    fn connect(&mut self, n: usize, link: LinkId, to: SocketAddr) {
        if self.blocked.contains(&LinkKind::Tcp) {
            return;
        }
        let Some(other) = self.nodes.iter().position(|node| node.addr == to) else {
            return self
                .with(n, |s, now, out| s.handle_link_down(now, link, LinkDown::Refused, out));
        };
        let accepted = LinkId::of_driver(self.nodes[other].accepted);
        self.nodes[other].accepted += 1;
        self.by_link.insert((n, link), self.wires.len());
        self.by_link.insert((other, accepted), self.wires.len());
        self.wires.push(Wire {
            ends: [(n, link), (other, accepted)],
            pipes: Default::default(),
            stalled: [false; 2],
            hangups: [None; 2],
            over: false,
        });
        let from = self.nodes[n].addr;
        self.with(other, |s, now, out| {
            s.handle_accepted(now, LinkKind::Tcp, accepted, from, None, out);
        });
        self.with(n, |s, now, out| s.handle_connected(now, link, None, out));
    }

    fn wire(&mut self, n: usize, link: LinkId) -> Option<(&mut Wire, usize)> {
        let wire = &mut self.wires[*self.by_link.get(&(n, link))?];
        let side = wire.ends.iter().position(|end| *end == (n, link))?;
        (!wire.over).then_some((wire, side))
    }

    /// Carries one write of one side across, or its hanging up; false if there is neither.
    fn carry(&mut self, wire: usize, side: usize) -> bool {
        let Wire { ends, pipes, stalled, hangups, over } = &mut self.wires[wire];
        let ((from, link), (to, other)) = (ends[side], ends[1 - side]);
        if *over || self.blocked.contains(&LinkKind::Tcp) {
            return false;
        }
        if hangups[side] == Some(Hangup::Abort) {
            pipes[side].clear();
        } else if stalled[side] {
            return false;
        }
        if let Some(bytes) = pipes[side].pop_front() {
            let len = bytes.len();
            self.with(from, |s, now, out| s.handle_written(now, link, len, out));
            self.with(to, |s, now, out| s.handle_bytes(now, other, bytes, out));
            return true;
        }
        let Some(how) = hangups[side] else { return false };
        *over = true;
        let reason = if how == Hangup::Flush { LinkDown::Eof } else { LinkDown::Reset };
        let theirs = hangups[1 - side].map_or(reason, |_| LinkDown::HungUp);
        self.with(from, |s, now, out| s.handle_link_down(now, link, LinkDown::HungUp, out));
        self.with(to, |s, now, out| s.handle_link_down(now, other, theirs, out));
        true
    }

    /// Brings what the third kind of link carries; false if there is nothing.
    fn carry_foreign(&mut self) -> bool {
        let mut moved = false;
        for n in 0..self.nodes.len() {
            while let Some(carried) =
                self.nodes[n].sessions.carriers_mut().foreign.under_way.pop_front()
            {
                moved = true;
                if let Some(to) = self.nodes.iter().position(|node| node.addr == carried.to)
                    && !self.blocked.contains(&LinkKind::Foreign)
                {
                    self.with(to, |s, now, out| {
                        s.carriers_mut().foreign.handle_carried(now, carried);
                        s.settle(now, out);
                    });
                }
            }
        }
        moved
    }

    /// Carries everything until nothing moves any more.
    fn run(&mut self) {
        while (0..self.wires.len()).fold(self.deliver() | self.carry_foreign(), |moved, wire| {
            let there = self.carry(wire, 0);
            self.carry(wire, 1) || there || moved
        }) {}
    }

    /// Moves the clock, stopping wherever somebody wants to be woken.
    fn advance(&mut self, by: Duration) {
        let until = self.now.mono + by;
        self.run();
        loop {
            let wakes = self.nodes.iter().filter_map(|node| node.sessions.poll_timeout());
            let arrival = self.internet.next_event_time().map(|at| Instant::ORIGIN + at);
            let next = wakes.chain(arrival).min();
            let Some(at) = next.filter(|at| *at <= until) else { break };
            self.now.mono = self.now.mono.max(at);
            for n in 0..self.nodes.len() {
                self.with(n, Sessions::handle_timeout);
            }
            self.run();
        }
        self.now.mono = until;
    }

    /// Both sides of a wire learn that it broke; what was under way is lost.
    fn reset(&mut self, wire: usize) {
        if core::mem::replace(&mut self.wires[wire].over, true) {
            return;
        }
        for (n, link) in self.wires[wire].ends {
            self.with(n, |s, now, out| s.handle_link_down(now, link, LinkDown::Reset, out));
        }
    }

    fn dial(&mut self, n: usize, dial: DialRequest) {
        self.with(n, |s, now, out| s.dial(now, dial, out));
    }

    /// A dial of `from` to `to` that expects it and knows its static key.
    fn known(&self, to: usize) -> DialRequest {
        let Node { id, noise_static, addr, .. } = self.nodes[to];
        DialRequest { expect: Expect::Node(id), noise_static: Some(noise_static), ..dial(addr) }
    }

    /// Two nodes with a session, dialled by the first.
    fn connected() -> Self {
        let mut world = Self::new(2);
        let to_second = world.known(1);
        world.dial(0, to_second);
        world.run();
        assert!(world.is_up(0, 1) && world.is_up(1, 0));
        world
    }

    fn is_up(&self, n: usize, peer: usize) -> bool {
        self.nodes[n].sessions.is_up(&self.nodes[peer].id)
    }

    fn send(&mut self, from: usize, to: usize, lane: Lane, body: impl Into<Bytes>) {
        let (peer, body) = (self.nodes[to].id, body.into());
        self.with(from, |s, now, out| s.send(now, peer, lane, body.into(), None, out)).unwrap();
    }

    fn send_ticket(&mut self, from: usize, to: usize, body: impl Into<Bytes>, ticket: u64) {
        let (peer, body, ticket) = (self.nodes[to].id, body.into(), Some(Ticket(ticket)));
        self.with(from, |s, now, out| s.send(now, peer, Lane::DIRECT, body.into(), ticket, out))
            .unwrap();
    }

    fn close(&mut self, n: usize, peer: usize, reason: CloseReason) {
        let peer = self.nodes[peer].id;
        self.with(n, |s, now, out| s.close(now, peer, reason, out));
    }

    /// The bodies that a node received, in order.
    fn heard(&self, n: usize) -> Vec<Bytes> {
        self.nodes[n].said.iter().filter_map(body_of).collect()
    }

    fn count(&self, n: usize, what: impl Fn(&SessionEffect) -> bool) -> usize {
        self.nodes[n].said.iter().filter(|out| what(out)).count()
    }

    fn ups(&self, n: usize) -> usize {
        self.count(n, |out| matches!(out, SessionEffect::Up(_)))
    }

    fn downs(&self, n: usize) -> Vec<DownReason> {
        let down = |out: &SessionEffect| match out {
            SessionEffect::Down { reason, .. } => Some(reason.clone()),
            _ => None,
        };
        self.nodes[n].said.iter().filter_map(down).collect()
    }

    /// What a node's dials came to.
    fn outcomes(&self, n: usize) -> Vec<DialOutcome> {
        let ended = |out: &SessionEffect| match out {
            SessionEffect::DialEnded { outcome, .. } => Some(outcome.clone()),
            _ => None,
        };
        self.nodes[n].said.iter().filter_map(ended).collect()
    }

    fn failures(&self, n: usize) -> Vec<DialFailure> {
        let failure = |outcome| match outcome {
            DialOutcome::Failed(failure) => Some(failure),
            _ => None,
        };
        self.outcomes(n).into_iter().filter_map(failure).collect()
    }
}

fn body_of(out: &SessionEffect) -> Option<Bytes> {
    match out {
        SessionEffect::Message { body, .. } => Some(body.clone()),
        _ => None,
    }
}

fn node(config: SessionConfig, seed: u8, addr: SocketAddr, start: u64) -> Node {
    let me = Arc::new(Identity::from_seed([seed; 32]));
    let rng = Seed::from_number(u64::from(seed) + 1000 * start).stream("sessions");
    let (id, noise_static) = (me.node_id(), link_public_key(&me));
    let sessions = Sessions::new(config, me, rng);
    let door = AtTheDoor::Admit;
    Node { sessions, id, noise_static, addr, door, said: vec![], accepted: 0 }
}
