//! Nodes on streams that the test carries, write by write, on a clock that it moves.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
};

use bytes::Bytes;
use positron_proto::{
    gossip,
    id::{LinkId, NetworkId, NodeId},
    identity::Identity,
    node::{Command, Effect, Event, Input, NodeConfig, NodeCore, Snapshot},
    peers,
    rng::{Rng, Seed},
    session::sessions::{self, Hangup, LinkDown, LinkKind, SessionEffect, Sessions},
    time::{Duration, Instant, Now, WallTime},
};

/// A node, or somebody who only has sessions and says through them what he likes.
pub(crate) enum Machine {
    Honest(Box<NodeCore>),
    Raw(Box<Sessions>, VecDeque<SessionEffect>),
}

pub(crate) struct Host {
    pub(crate) machine: Machine,
    pub(crate) addr: SocketAddr,
    /// What the application heard.
    pub(crate) events: Vec<Event>,
    /// With whom somebody raw has a session.
    pub(crate) up: Vec<NodeId>,
    /// What somebody raw was told, and by whom.
    pub(crate) heard: Vec<(NodeId, Bytes)>,
    accepted: u64,
}

/// A byte stream. Side 0 dialled.
pub(crate) struct Wire {
    ends: [(usize, LinkId); 2],
    pub(crate) pipes: [VecDeque<Bytes>; 2],
    hangups: [Option<Hangup>; 2],
    pub(crate) over: bool,
}

pub(crate) struct Rig {
    pub(crate) hosts: Vec<Host>,
    pub(crate) wires: Vec<Wire>,
    pub(crate) now: Now,
    pub(crate) rng: Rng,
    by_link: BTreeMap<(usize, LinkId), usize>,
    answers: VecDeque<(usize, Input)>,
}

pub(crate) fn network() -> NetworkId {
    NetworkId::from_name("hammer")
}

pub(crate) fn address(n: usize) -> SocketAddr {
    SocketAddr::from((
        [10, 0, u8::try_from(n / 250).unwrap(), u8::try_from(n % 250 + 1).unwrap()],
        4000,
    ))
}

pub(crate) fn identity(n: usize) -> Arc<Identity> {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&u64::try_from(n).unwrap().to_be_bytes());
    Arc::new(Identity::from_seed(seed))
}

fn session() -> sessions::SessionConfig {
    sessions::SessionConfig {
        network: network(),
        max_links: 64,
        connect_timeout: Duration::from_secs(5),
        heartbeat: Duration::from_secs(5),
        transports: sessions::LinkKinds::TCP,
        ..sessions::SessionConfig::default()
    }
}

pub(crate) fn config(bootstrap: Vec<String>) -> NodeConfig {
    let mut config = NodeConfig {
        network: network(),
        session: session(),
        peers: peers::PeersConfig {
            hidden: false,
            bootstrap,
            reserved: Vec::new(),
            external: Vec::new(),
            min_peers: 2,
            max_peers: 16,
            max_inbound: None,
            max_outbound: None,
            max_peers_per_address: 16,
            discovery_interval: Duration::from_secs(5),
            heartbeat_interval: Duration::from_secs(5),
            software: "hammer".into(),
        },
        gossip: gossip::GossipConfig {
            interval: Duration::from_millis(500),
            ttl: 5,
            cache_size: 200,
            ..gossip::GossipConfig::default()
        },
        ..NodeConfig::default()
    };
    config.trust.decay_rate = 0.1;
    config.trust.decay_interval = Duration::from_secs(60);
    config
}

impl Wire {
    pub(crate) fn is_of(&self, host: usize) -> bool {
        self.ends.iter().any(|(end, _)| *end == host)
    }
}

impl Rig {
    /// Two honest nodes, of which the second begins with the first.
    pub(crate) fn new(seed: u64) -> Self {
        let start = Instant::from_micros(1_000_000);
        let wall = WallTime::from_unix_micros(1_800_000_000_000_000);
        let mut rig = Self {
            hosts: Vec::new(),
            wires: Vec::new(),
            now: Now { mono: start, wall },
            rng: Seed::from_number(seed).stream("hammer"),
            by_link: BTreeMap::new(),
            answers: VecDeque::new(),
        };
        for n in 0..2 {
            let bootstrap = if n == 0 { vec![] } else { vec![address(0).to_string()] };
            let dice = Seed::from_number(seed).child(&format!("node {n}"));
            let core =
                NodeCore::new(config(bootstrap), identity(n), Snapshot::default(), &dice, rig.now);
            rig.add(Machine::Honest(Box::new(core)), address(n));
        }
        for n in 0..2 {
            rig.input(n, Input::Listening(vec![address(n)]));
        }
        rig
    }

    /// Somebody with this identity who says what he likes.
    pub(crate) fn add_raw(&mut self, me: Arc<Identity>, dice: u64) -> usize {
        let rng = Seed::from_number(dice).stream("raw");
        let addr = address(self.hosts.len());
        self.add(Machine::Raw(Box::new(Sessions::new(session(), me, rng)), VecDeque::new()), addr)
    }

    fn add(&mut self, machine: Machine, addr: SocketAddr) -> usize {
        self.hosts.push(Host {
            machine,
            addr,
            events: vec![],
            up: vec![],
            heard: vec![],
            accepted: 0,
        });
        self.hosts.len() - 1
    }

    pub(crate) fn core(&mut self, n: usize) -> &mut NodeCore {
        match &mut self.hosts[n].machine {
            Machine::Honest(core) => core,
            Machine::Raw(..) => panic!("host {n} is no node"),
        }
    }

    /// Does something with the sessions of somebody raw.
    pub(crate) fn with_raw<T>(
        &mut self,
        n: usize,
        call: impl FnOnce(&mut Sessions, Now, &mut VecDeque<SessionEffect>) -> T,
    ) -> T {
        let now = self.now;
        let Machine::Raw(sessions, out) = &mut self.hosts[n].machine else {
            panic!("host {n} is a node")
        };
        let result = call(sessions, now, out);
        sessions.flush(now, out);
        self.settle(n);
        result
    }

    pub(crate) fn command(&mut self, n: usize, command: Command) -> bool {
        let now = self.now;
        let taken = self.core(n).command(now, command).is_ok();
        self.settle(n);
        taken
    }

    pub(crate) fn input(&mut self, n: usize, input: Input) {
        self.answers.push_back((n, input));
        while let Some((n, input)) = self.answers.pop_front() {
            let now = self.now;
            match &mut self.hosts[n].machine {
                Machine::Honest(core) => core.handle(now, input),
                Machine::Raw(sessions, out) => {
                    match input {
                        Input::Accepted { kind, link, from, certificate } => {
                            sessions.handle_accepted(now, kind, link, from, certificate, out);
                        }
                        Input::Connected { link, certificate } => {
                            sessions.handle_connected(now, link, certificate, out);
                        }
                        Input::Bytes { link, bytes } => {
                            sessions.handle_bytes(now, link, bytes, out);
                        }
                        Input::Written { link, bytes } => {
                            sessions.handle_written(now, link, bytes, out);
                        }
                        Input::LinkDown { link, reason } => {
                            sessions.handle_link_down(now, link, reason, out);
                        }
                        _ => sessions.handle_timeout(now, out),
                    }
                    sessions.flush(now, out);
                }
            }
            self.drain(n);
        }
    }

    fn settle(&mut self, n: usize) {
        self.drain(n);
        while let Some((n, input)) = self.answers.pop_front() {
            self.input(n, input);
        }
    }

    /// Carries out what a machine wants.
    fn drain(&mut self, n: usize) {
        loop {
            let now = self.now;
            let effect = match &mut self.hosts[n].machine {
                Machine::Honest(core) => core.poll_effect(),
                Machine::Raw(sessions, out) => match out.pop_front() {
                    None => None,
                    Some(SessionEffect::Dial { link, kind, to }) => {
                        Some(Effect::Dial { link, kind, to })
                    }
                    Some(SessionEffect::Write { link, bytes }) => {
                        Some(Effect::Write { link, bytes })
                    }
                    Some(SessionEffect::Read { link, reading }) => {
                        Some(Effect::Read { link, reading })
                    }
                    Some(SessionEffect::Hangup { link, how }) => Some(Effect::Hangup { link, how }),
                    Some(SessionEffect::Incoming(peer)) => {
                        sessions.accept(now, peer.link, out);
                        sessions.flush(now, out);
                        continue;
                    }
                    Some(SessionEffect::Up(peer)) => {
                        self.hosts[n].up.push(peer.id);
                        continue;
                    }
                    Some(SessionEffect::Down { peer, .. }) => {
                        self.hosts[n].up.retain(|up| *up != peer);
                        continue;
                    }
                    Some(SessionEffect::Message { peer, body }) => {
                        self.hosts[n].heard.push((peer, body));
                        continue;
                    }
                    Some(_) => continue,
                },
            };
            let Some(effect) = effect else { return };
            match effect {
                Effect::Dial { link, to, .. } => self.connect(n, link, to),
                Effect::Write { link, bytes } => {
                    if let Some((wire, side)) = self.wire(n, link) {
                        assert!(wire.hangups[side].is_none(), "a write after hanging up");
                        wire.pipes[side].push_back(bytes);
                    }
                }
                Effect::Read { .. } => {}
                Effect::Hangup { link, how } => {
                    if let Some((wire, side)) = self.wire(n, link) {
                        wire.hangups[side] = Some(how);
                    }
                }
                Effect::Verify { check, job, .. } => {
                    self.answers.push_back((n, Input::Verdict { check, verdict: job.run() }));
                }
                Effect::Persist { id, .. } => {
                    self.answers.push_back((n, Input::Persisted { up_to: id }));
                }
                Effect::Emit(event) => self.hosts[n].events.push(event),
                Effect::Resolve { .. }
                | Effect::AskRouter { .. }
                | Effect::OpenSocket(_)
                | Effect::CloseSocket(_) => {}
            }
        }
    }

    fn connect(&mut self, n: usize, link: LinkId, to: SocketAddr) {
        let Some(other) = self.hosts.iter().position(|host| host.addr == to) else {
            self.answers.push_back((n, Input::LinkDown { link, reason: LinkDown::Refused }));
            return;
        };
        let accepted = LinkId::of_driver(self.hosts[other].accepted);
        self.hosts[other].accepted += 1;
        self.by_link.insert((n, link), self.wires.len());
        self.by_link.insert((other, accepted), self.wires.len());
        let ends = [(n, link), (other, accepted)];
        self.wires.push(Wire { ends, pipes: Default::default(), hangups: [None; 2], over: false });
        let from = self.hosts[n].addr;
        self.answers.push_back((
            other,
            Input::Accepted { kind: LinkKind::Tcp, link: accepted, from, certificate: None },
        ));
        self.answers.push_back((n, Input::Connected { link, certificate: None }));
    }

    fn wire(&mut self, n: usize, link: LinkId) -> Option<(&mut Wire, usize)> {
        let wire = &mut self.wires[*self.by_link.get(&(n, link))?];
        let side = wire.ends.iter().position(|end| *end == (n, link))?;
        (!wire.over).then_some((wire, side))
    }

    /// Carries one write of one side across, as `changed` makes it; or its hanging up.
    pub(crate) fn carry(
        &mut self,
        wire: usize,
        side: usize,
        changed: impl FnOnce(&mut Rng, Bytes) -> Vec<Bytes>,
    ) -> bool {
        let Wire { ends, pipes, hangups, over } = &mut self.wires[wire];
        if *over {
            return false;
        }
        let ((from, link), (to, other)) = (ends[side], ends[1 - side]);
        if hangups[side] == Some(Hangup::Abort) {
            pipes[side].clear();
        }
        if let Some(bytes) = pipes[side].pop_front() {
            let written = bytes.len();
            self.input(from, Input::Written { link, bytes: written });
            for bytes in changed(&mut self.rng, bytes) {
                self.input(to, Input::Bytes { link: other, bytes });
            }
            return true;
        }
        if hangups[side].is_some() {
            self.cut(wire);
            return true;
        }
        false
    }

    /// A stream breaks; what was under way is lost.
    pub(crate) fn cut(&mut self, wire: usize) {
        if std::mem::replace(&mut self.wires[wire].over, true) {
            return;
        }
        for (n, link) in self.wires[wire].ends {
            self.input(n, Input::LinkDown { link, reason: LinkDown::Reset });
        }
    }

    /// Carries everything as it is, until nothing moves any more.
    pub(crate) fn run(&mut self) {
        loop {
            let mut moved = false;
            for wire in 0..self.wires.len() {
                for side in 0..2 {
                    moved |= self.carry(wire, side, |_, bytes| vec![bytes]);
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// Moves the clock and wakes everybody.
    pub(crate) fn tick(&mut self, by: Duration) {
        self.now = Now { mono: self.now.mono + by, wall: self.now.wall + by };
        for n in 0..self.hosts.len() {
            self.input(n, Input::Timeout);
        }
    }

    /// Whether two honest nodes have a session.
    pub(crate) fn are_linked(&mut self, a: usize, b: usize) -> bool {
        let (now, other) = (self.now, self.core(b).id());
        self.core(a).view(now).peers.iter().any(|peer| peer.session.peer.id == other)
    }
}
