//! A world of several [`Peers`] on a made-up internet, with sessions that are made up too: whatever
//! goes from one node to another takes 10 ms.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::Arc,
};

use super::network::Network;
use crate::{
    handshake::{Direction, Expect, HandshakeFailure},
    id::{LinkId, NetworkId, NodeId},
    identity::Identity,
    limits::{MAX_DIALS, MAX_PROBES, MAX_RESERVED, MAX_RESERVED_PLACES},
    misbehavior::Observation,
    peers::{BootstrapState, KnownPeer, Peers, PeersConfig, PeersEffect, PeersMessage},
    rng::Seed,
    session::sessions::{
        DialFailure, DialOutcome, DialRequest, DownReason, LinkDown, LinkKind, Peer, Purpose,
    },
    standings::{PeerTrust, TrustTable},
    time::{Duration, Instant, Now, WallTime},
    wire::frame::CloseReason,
};

pub(super) const LATENCY: Duration = Duration::from_millis(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const MOST_DIALS: usize = MAX_DIALS + MAX_PROBES + MAX_RESERVED * MAX_RESERVED_PLACES;
const SILENCE: Duration = Duration::from_secs(3);

pub(super) fn network() -> NetworkId {
    NetworkId::from_name("test")
}

pub(super) fn config() -> PeersConfig {
    PeersConfig {
        discovery_interval: Duration::from_secs(10),
        heartbeat_interval: Duration::from_secs(5),
        software: "test/1".to_owned(),
        ..PeersConfig::default()
    }
}

/// Everything that a test looks at.
pub(super) struct World {
    pub now: Now,
    pub nodes: Vec<TestNode>,
    /// What answers at an address where no node is.
    pub services: BTreeMap<SocketAddr, DialFailure>,
    pub names: BTreeMap<String, Result<Vec<SocketAddr>, String>>,
    pub links: BTreeSet<(usize, usize)>,
    /// Somebody does wrong on purpose; otherwise nobody may be blamed for anything.
    pub hostile: bool,
    network: Network<Box<Happening>>,
    /// When each node is to be woken, as of the last time that anything was done to it.
    alarms: Vec<Option<Instant>>,
    dials: u64,
    seed: Seed,
}

pub(super) struct TestNode {
    pub peers: Peers,
    pub me: Arc<Identity>,
    pub addr: SocketAddr,
    pub alive: bool,
    /// Whether it takes byte streams beside datagrams.
    pub streams: bool,
    /// Its translator lets in only whom it sent datagrams to.
    pub filtered: bool,
    pub standings: TrustTable,
    /// What storage has.
    pub stored: BTreeMap<NodeId, KnownPeer>,
    pub observed: Vec<(NodeId, Observation)>,
    pub dialled: Vec<(Instant, DialRequest)>,
    pub said: Vec<(NodeId, PeersMessage)>,
    /// It says in every heartbeat that it has no peers.
    pub says_alone: bool,
    /// For what newcomers were refused, as far as it was told.
    pub refused: Vec<CloseReason>,
    /// How many peers were too few, as far as it was told.
    pub few: Vec<usize>,
    pub resolved: usize,
    under_way: BTreeMap<u64, DialRequest>,
    /// Which life of the node this is: each has dice of its own.
    life: u32,
}

#[derive(Clone)]
enum Happening {
    Knock { dialler: usize, number: u64, dial: DialRequest },
    Ended { number: u64, outcome: DialOutcome },
    Up(Peer),
    Down { peer: NodeId, reason: DownReason },
    Said { from: NodeId, message: PeersMessage, parting: bool },
    Check { from: NodeId, record: crate::identity::Signed<crate::wire::record::PeerRecord> },
    Resolved(String),
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        println!("seed {seed}");
        Self {
            now: Now {
                mono: Instant::from_micros(5_000_000),
                wall: WallTime::from_unix_micros(1_700_000_000_000_000),
            },
            nodes: Vec::new(),
            services: BTreeMap::new(),
            names: BTreeMap::new(),
            links: BTreeSet::new(),
            hostile: false,
            network: Network::new(seed, LATENCY),
            alarms: Vec::new(),
            dials: 0,
            seed: Seed::from_number(seed),
        }
    }

    pub(super) fn add(&mut self, addr: &str, config: PeersConfig) -> usize {
        self.add_bound(addr, addr, config, Vec::new())
    }

    /// A node that others reach at `addr` and that is bound to `bound`.
    pub(super) fn add_bound(
        &mut self,
        addr: &str,
        bound: &str,
        config: PeersConfig,
        remembered: Vec<KnownPeer>,
    ) -> usize {
        let index = self.nodes.len();
        let mut key = [7; 32];
        key[..8].copy_from_slice(&u64::try_from(index).unwrap().to_be_bytes());
        let me = Arc::new(Identity::from_seed(key));
        let peers = self.machine(index, 0, &me, config, remembered);
        self.nodes.push(TestNode {
            peers,
            me,
            addr: addr.parse().unwrap(),
            alive: true,
            streams: true,
            filtered: false,
            standings: TrustTable::new(0.5, 1.0),
            stored: BTreeMap::new(),
            observed: Vec::new(),
            dialled: Vec::new(),
            said: Vec::new(),
            says_alone: false,
            refused: Vec::new(),
            few: Vec::new(),
            resolved: 0,
            under_way: BTreeMap::new(),
            life: 0,
        });
        self.network.add();
        self.alarms.push(None);
        let bound = bound.parse().unwrap();
        self.act(index, |node, now, out| node.peers.handle_listening(now, &[bound], out));
        index
    }

    fn machine(
        &self,
        index: usize,
        life: u32,
        me: &Arc<Identity>,
        config: PeersConfig,
        remembered: Vec<KnownPeer>,
    ) -> Peers {
        let rng = self.seed.child(&format!("{index}/{life}")).stream("peers");
        Peers::new(config, Arc::clone(me), network(), remembered, rng, self.now)
    }

    pub(super) fn id(&self, node: usize) -> NodeId {
        self.nodes[node].me.node_id()
    }

    pub(super) fn index(&self, id: NodeId) -> usize {
        self.find(id).unwrap()
    }

    fn find(&self, id: NodeId) -> Option<usize> {
        self.nodes.iter().position(|node| node.me.node_id() == id)
    }

    pub(super) fn at(&self, addr: SocketAddr) -> Option<usize> {
        self.nodes.iter().position(|node| node.addr == addr)
    }

    pub(super) fn state(&self, node: usize) -> BootstrapState {
        self.nodes[node].peers.bootstrap().next().unwrap().state.clone()
    }

    pub(super) fn linked(&self, a: usize, b: usize) -> bool {
        self.links.contains(&(a, b)) || self.links.contains(&(b, a))
    }

    pub(super) fn degree(&self, node: usize) -> usize {
        self.links.iter().filter(|(a, b)| *a == node || *b == node).count()
    }

    /// Whether all living nodes are one network.
    pub(super) fn is_connected(&self) -> bool {
        let alive: Vec<usize> = (0..self.nodes.len()).filter(|i| self.nodes[*i].alive).collect();
        let mut links = vec![Vec::new(); self.nodes.len()];
        for &(a, b) in &self.links {
            links[a].push(b);
            links[b].push(a);
        }
        let mut seen = BTreeSet::from([alive[0]]);
        let mut next = vec![alive[0]];
        while let Some(at) = next.pop() {
            next.extend(links[at].iter().copied().filter(|other| seen.insert(*other)));
        }
        seen.len() == alive.len()
    }

    /// Lets time pass; `true` as soon as `until` holds.
    pub(super) fn run_until(&mut self, time: Duration, until: impl Fn(&Self) -> bool) -> bool {
        let end = self.now.mono + time;
        // A test may have done something to a node by itself.
        (0..self.nodes.len()).for_each(|node| self.note_alarm(node));
        loop {
            if until(self) {
                return true;
            }
            let wake = self.alarms.iter().flatten().min().copied();
            let next = wake.into_iter().chain(self.network.next_time()).min();
            let Some(next) = next.filter(|at| *at <= end) else {
                self.pass(end);
                return until(self);
            };
            self.pass(next);
            self.step();
        }
    }

    pub(super) fn run(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    fn pass(&mut self, to: Instant) {
        let passed = to.since(self.now.mono);
        self.now = Now { mono: self.now.mono + passed, wall: self.now.wall + passed };
    }

    fn step(&mut self) {
        while let Some((node, what)) = self.network.poll(self.now.mono) {
            self.happen(node, *what);
        }
        for node in 0..self.nodes.len() {
            if self.alarms[node].is_some_and(|at| at <= self.now.mono) {
                self.act(node, |node, now, out| {
                    node.peers.handle_timeout(now, &node.standings, out);
                });
                let next = self.alarms[node];
                assert!(
                    next.is_none_or(|at| at > self.now.mono),
                    "a deadline that stays is a spin"
                );
            }
        }
    }

    /// Calls a machine and does what it wants.
    pub(super) fn act(
        &mut self,
        index: usize,
        call: impl FnOnce(&mut TestNode, Now, &mut VecDeque<PeersEffect>),
    ) {
        let mut out = VecDeque::new();
        call(&mut self.nodes[index], self.now, &mut out);
        self.note_alarm(index);
        for out in out {
            self.carry_out(index, out);
        }
    }

    fn note_alarm(&mut self, index: usize) {
        let node = &self.nodes[index];
        self.alarms[index] = node.peers.poll_timeout().filter(|_| node.alive);
    }

    fn later(&mut self, after: Duration, node: usize, what: Happening) {
        self.network.later(self.now.mono + after, node, Box::new(what));
    }

    fn send(&mut self, from: usize, to: usize, what: Happening) {
        self.network.send(self.now.mono, from, to, Box::new(what));
    }

    fn carry_out(&mut self, index: usize, out: PeersEffect) {
        let node = &mut self.nodes[index];
        match out {
            PeersEffect::Dial(dial) => self.dial(index, dial),
            PeersEffect::Resolve(name) => {
                node.resolved += 1;
                self.later(LATENCY, index, Happening::Resolved(name));
            }
            PeersEffect::Admit(peer) => {
                let dialler = self.index(peer.id);
                self.link_up(dialler, index, peer);
            }
            PeersEffect::Refuse { .. } | PeersEffect::Refused { .. } => {
                panic!("only a knock is refused")
            }
            PeersEffect::Disconnect { peer, reason } => {
                let Some(other) = self.find(peer) else { return };
                if self.unlink(index, other) {
                    let (by_us, by_peer) =
                        (DownReason::ByUs(reason.clone()), DownReason::ByPeer(reason));
                    let me = self.id(index);
                    self.later(Duration::ZERO, index, Happening::Down { peer, reason: by_us });
                    self.send(index, other, Happening::Down { peer: me, reason: by_peer });
                }
            }
            PeersEffect::Send { to, mut message } => {
                if let PeersMessage::Heartbeat(peers) = &mut message {
                    *peers = if node.says_alone { 0 } else { *peers };
                }
                node.said.push((to, message.clone()));
                // Strangers that a test made up hear nothing.
                let (from, Some(to)) = (self.id(index), self.find(to)) else { return };
                if self.linked(index, to) {
                    self.send(index, to, Happening::Said { from, message, parting: false });
                }
            }
            PeersEffect::Verify { from, record } => {
                self.later(Duration::from_millis(1), index, Happening::Check { from, record });
            }
            PeersEffect::Remember(known) => {
                assert!(known.dialled.is_some());
                node.stored.insert(known.record.content().node_id(), known);
            }
            PeersEffect::Forget(id) => {
                assert!(node.stored.remove(&id).is_some(), "forgotten but never remembered");
            }
            PeersEffect::Observed { peer, what } => {
                let wrong = matches!(what, Observation::Misbehaved(_));
                assert!(self.hostile || !wrong, "an honest node is blamed: {what:?}");
                node.observed.push((peer, what));
            }
            PeersEffect::Recognized { .. }
            | PeersEffect::Reserved(_)
            | PeersEffect::Unreserved(_) => {}
            PeersEffect::FewPeers { linked, .. } => node.few.push(linked),
            PeersEffect::ExternalAddresses(addresses) => {
                assert_eq!(addresses, node.peers.external_addresses());
            }
        }
    }

    fn happen(&mut self, index: usize, what: Happening) {
        match what {
            Happening::Knock { dialler, number, dial } => {
                self.knocked(index, dialler, number, dial);
            }
            Happening::Ended { number, outcome } => {
                let Some(dial) = self.nodes[index].under_way.remove(&number) else { return };
                self.act(index, |node, now, out| {
                    node.peers.handle_dial_ended(now, dial, outcome, out);
                });
            }
            Happening::Up(peer) => self.act(index, |node, now, out| {
                node.peers.peer_up(now, peer, &node.standings, out);
            }),
            Happening::Down { peer, reason } => {
                self.act(index, |node, now, out| node.peers.peer_down(now, peer, &reason, out));
            }
            Happening::Said { from, message, parting } => {
                let other = self.index(from);
                if parting || self.linked(index, other) {
                    self.act(index, |node, now, out| {
                        node.peers.handle_message(now, from, message, &node.standings, out);
                    });
                }
            }
            Happening::Check { from, record } => self.act(index, |node, now, out| {
                let verdict = record.job(&network()).run();
                let id = record.content().node_id();
                match record.accept(verdict) {
                    Some(record) => node.peers.handle_verified(now, from, record, out),
                    None => node.peers.handle_refuted(now, from, id, out),
                }
            }),
            Happening::Resolved(name) => {
                let outcome = self.names.get(&name).cloned();
                let outcome = outcome.unwrap_or_else(|| Err("no such name".to_owned()));
                self.act(index, |node, now, out| {
                    node.peers.handle_resolved(now, &name, outcome, out);
                });
            }
        }
    }

    fn dial(&mut self, index: usize, dial: DialRequest) {
        self.dials += 1;
        let number = self.dials;
        let node = &mut self.nodes[index];
        node.dialled.push((self.now.mono, dial));
        node.under_way.insert(number, dial);
        assert!(node.under_way.len() <= MOST_DIALS);
        let [refused, silent] = [LinkDown::Refused, LinkDown::TimedOut].map(DialFailure::Link);
        let failure = match self.at(dial.to) {
            None => self.services.get(&dial.to).cloned().unwrap_or(refused),
            Some(there) if there == index => HandshakeFailure::Ourselves.into(),
            Some(there) if !self.nodes[there].alive && self.network.reaches(index, there) => {
                refused
            }
            Some(there) => {
                let outcome = DialOutcome::Failed(silent);
                self.later(CONNECT_TIMEOUT, index, Happening::Ended { number, outcome });
                return self.send(index, there, Happening::Knock { dialler: index, number, dial });
            }
        };
        let wait = if failure == silent { CONNECT_TIMEOUT } else { 2 * LATENCY };
        let outcome = DialOutcome::Failed(failure);
        self.later(wait, index, Happening::Ended { number, outcome });
    }

    /// A dial arrives at its address. The handshake needs both nodes.
    fn knocked(&mut self, there: usize, dialler: usize, number: u64, dial: DialRequest) {
        if !self.nodes[dialler].alive || !self.network.reaches(there, dialler) {
            return;
        }
        let found = self.id(there);
        let kind = match dial.purpose {
            Purpose::Probe if self.nodes[there].streams => LinkKind::Tcp,
            Purpose::Probe | Purpose::Connect => LinkKind::Udp,
        };
        if self.nodes[there].filtered && (kind == LinkKind::Tcp || !self.linked(dialler, there)) {
            return;
        }
        let outcome = if matches!(dial.expect, Expect::Node(node) if node != found) {
            DialOutcome::Failed(HandshakeFailure::WrongNode { found }.into())
        } else if dial.purpose == Purpose::Probe {
            DialOutcome::Probed(found, kind)
        } else if self.linked(dialler, there) {
            DialOutcome::Connected(found, kind)
        } else {
            self.knock(dialler, there)
        };
        self.send(there, dialler, Happening::Ended { number, outcome });
    }

    fn knock(&mut self, dialler: usize, at: usize) -> DialOutcome {
        let mut from = self.nodes[dialler].addr;
        from.set_port(50_000);
        let peer = self.peer(dialler, from, Direction::Inbound);
        let mut out = VecDeque::new();
        let now = self.now;
        let node = &mut self.nodes[at];
        node.peers.handle_incoming(now, peer, &node.standings, &mut out);
        self.note_alarm(at);
        let answer = out.pop_front();
        if let Some(PeersEffect::Refused { reason, .. }) = out.pop_front() {
            self.nodes[at].refused.push(reason);
        }
        assert_eq!(out, [], "a knock has one answer");
        if let Some(PeersEffect::Refuse { reason, parting, .. }) = answer {
            if let Some(message) = parting {
                let from = self.id(at);
                self.send(at, dialler, Happening::Said { from, message, parting: true });
            }
            return DialOutcome::Failed(DialFailure::refused(reason));
        }
        self.carry_out(at, PeersEffect::Admit(peer));
        DialOutcome::Connected(self.id(at), LinkKind::Udp)
    }

    pub(super) fn peer(&self, node: usize, addr: SocketAddr, direction: Direction) -> Peer {
        Peer {
            id: self.id(node),
            key: *self.nodes[node].me.public_key(),
            noise_static: self.nodes[node].peers.own.record().noise_static,
            addr,
            direction,
            link: LinkId::of_core(1),
            boot: 1,
        }
    }

    fn link_up(&mut self, dialler: usize, at: usize, inbound: Peer) {
        self.links.insert((dialler, at));
        let outbound = self.peer(at, self.nodes[at].addr, Direction::Outbound);
        self.later(Duration::ZERO, at, Happening::Up(inbound));
        self.send(at, dialler, Happening::Up(outbound));
    }

    fn unlink(&mut self, a: usize, b: usize) -> bool {
        self.links.remove(&(a, b)) | self.links.remove(&(b, a))
    }

    fn cut(&mut self, a: usize, b: usize) {
        if self.unlink(a, b) {
            for (node, peer) in [(a, b), (b, a)] {
                let peer = self.id(peer);
                let reason = DownReason::Link(LinkDown::TimedOut);
                if self.nodes[node].alive {
                    self.later(SILENCE, node, Happening::Down { peer, reason });
                }
            }
        }
    }

    /// A silent crash: the others notice after 3 s.
    pub(super) fn kill(&mut self, node: usize) {
        self.nodes[node].alive = false;
        self.note_alarm(node);
        self.nodes[node].life += 1;
        self.nodes[node].under_way.clear();
        self.network.end(node);
        for other in 0..self.nodes.len() {
            self.cut(node, other);
        }
    }

    /// A node comes back with what storage has, and this configuration.
    pub(super) fn restart(&mut self, node: usize, config: PeersConfig) {
        let remembered = self.nodes[node].stored.values().cloned().collect();
        let (me, life) = (Arc::clone(&self.nodes[node].me), self.nodes[node].life);
        self.nodes[node].peers = self.machine(node, life, &me, config, remembered);
        self.nodes[node].alive = true;
        self.network.start(node);
        let addr = self.nodes[node].addr;
        self.act(node, |node, now, out| node.peers.handle_listening(now, &[addr], out));
    }

    /// Splits the nodes: those below `first` are on one island, the others on another.
    pub(super) fn split(&mut self, first: usize) {
        self.network.part(first..self.nodes.len());
        for node in first..self.nodes.len() {
            for other in 0..first {
                self.cut(node, other);
            }
        }
    }

    pub(super) fn heal(&mut self) {
        self.network.heal(self.now.mono);
    }

    pub(super) fn ban(&mut self, node: usize, whom: usize) {
        let banned_until = Some(self.now.wall + Duration::from_secs(3600));
        let whom = self.id(whom);
        self.nodes[node].standings.set(whom, PeerTrust { score: 0.0, banned_until });
        self.act(node, |node, now, out| node.peers.handle_banned(now, whom, out));
    }
}

/// `count` nodes at addresses of their own networks that know the first one.
pub(super) fn crowd(seed: u64, count: usize, config: &PeersConfig) -> World {
    let mut world = World::new(seed);
    for node in 0..count {
        let bootstrap = if node == 0 { Vec::new() } else { vec![address(0)] };
        world.add(&address(node), PeersConfig { bootstrap, ..config.clone() });
    }
    world
}

/// A public address in a network group of its own.
pub(super) fn address(node: usize) -> String {
    format!("{}.{}.0.1:8888", 20 + node / 200, node % 200)
}

pub(super) fn closed(reason: CloseReason) -> BootstrapState {
    BootstrapState::Failed(DialFailure::refused(reason))
}
