//! Several machines in one made-up world: a clock, links over a made-up internet, and verdicts.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
};

use bytes::Bytes;
use positron_internet::{DEFAULT_TTL, Event, Internet, PathLaws, StreamLaws};

use super::super::{
    Gossip, GossipConfig, GossipEffect, GossipMessage, GossipSnapshot, ValidationId, Validity,
};
use crate::{
    id::{MessageId, NetworkId, NodeId},
    identity::{Identity, Signed, Verified},
    journey::JourneyStep,
    misbehavior::Observation,
    rng::{Rng, Seed},
    standings::TrustTable,
    time::{Duration, Instant, Now, WallTime},
    wire::message::{AppMessage, Audience, Envelope, RoomMessage as _},
};

pub(super) const START: u64 = 1_700_000_000_000_000;

pub(super) fn network() -> NetworkId {
    NetworkId::from_name("gossip tests")
}

pub(super) fn config() -> GossipConfig {
    GossipConfig::default()
}

pub(super) fn identity(number: u32) -> Identity {
    let mut seed = [0; 32];
    seed[..4].copy_from_slice(&number.to_be_bytes());
    Identity::from_seed(seed)
}

pub(super) fn at(since_start: Duration) -> Now {
    Now {
        mono: Instant::ORIGIN + since_start,
        wall: WallTime::from_unix_micros(START) + since_start,
    }
}

pub(super) fn say(who: &Identity, sequence: u64, payload: &[u8]) -> Verified<AppMessage> {
    say_at(who, sequence, payload, WallTime::from_unix_micros(START))
}

pub(super) fn say_at(
    who: &Identity,
    sequence: u64,
    payload: &[u8],
    timestamp: WallTime,
) -> Verified<AppMessage> {
    let message = AppMessage {
        sender: *who.public_key(),
        audience: Audience::Everyone,
        sequence,
        timestamp,
        payload: payload.to_vec().into(),
    };
    who.sign(message, &network())
}

/// The same claim with other contents under the old signature.
pub(super) fn forge(message: &Verified<AppMessage>, payload: &[u8]) -> Signed<AppMessage> {
    let content = AppMessage { payload: payload.to_vec().into(), ..message.content().clone() };
    Signed::new(content, *message.claim().signature())
}

/// One machine, its verdicts given at once, and what it did.
pub(super) struct Node {
    pub(super) identity: Identity,
    pub(super) gossip: Gossip,
    pub(super) standings: TrustTable,
    pub(super) delivered: Vec<(NodeId, u64)>,
    pub(super) observed: Vec<(NodeId, Observation)>,
    /// Two contents under one number: whose, and which.
    pub(super) equivocated: Vec<(NodeId, [MessageId; 2])>,
    pub(super) verifications: usize,
    /// What its application says of messages, by their payload; `None`: nothing yet.
    pub(super) validator: fn(&[u8]) -> Option<Validity>,
    /// What it was asked about.
    pub(super) validations: Vec<(ValidationId, Bytes)>,
    /// Who told that it has a message from somebody else.
    pub(super) had: Vec<NodeId>,
    /// Own messages that were given up, and for whom.
    pub(super) given_up: Vec<(MessageId, Vec<NodeId>)>,
    /// What storage would bring back.
    pub(super) disk: BTreeMap<(NodeId, u64), Verified<AppMessage>>,
    pub(super) floors: BTreeMap<NodeId, u64>,
}

impl Node {
    pub(super) fn new(
        number: u32,
        config: GossipConfig,
        remembered: GossipSnapshot,
        now: Now,
    ) -> Self {
        let identity = identity(number);
        let rng = Seed::from_number(u64::from(number)).stream("gossip");
        let gossip = Gossip::new(config, identity.node_id(), remembered, rng, now);
        Self {
            identity,
            gossip,
            standings: TrustTable::new(0.5, 1.0),
            delivered: Vec::new(),
            observed: Vec::new(),
            equivocated: Vec::new(),
            verifications: 0,
            validator: |_| Some(Validity::Accept),
            validations: Vec::new(),
            had: Vec::new(),
            given_up: Vec::new(),
            disk: BTreeMap::new(),
            floors: BTreeMap::new(),
        }
    }

    pub(super) fn id(&self) -> NodeId {
        self.identity.node_id()
    }

    pub(super) fn publish(&mut self, now: Now, message: Verified<AppMessage>) -> Sent {
        let mut out = VecDeque::new();
        self.gossip.publish(now, message, &mut out);
        self.drain(now, out)
    }

    pub(super) fn hear(&mut self, now: Now, from: NodeId, incoming: GossipMessage) -> Sent {
        let mut out = VecDeque::new();
        self.gossip.handle_message(now, from, incoming, &self.standings, &mut out);
        self.drain(now, out)
    }

    /// Its application says what it thinks of a message.
    pub(super) fn judge(&mut self, now: Now, id: ValidationId, validity: Validity) -> Sent {
        let mut out = VecDeque::new();
        let (gossip, standings) = (&mut self.gossip, &self.standings);
        gossip.validating().handle_validity(now, id, validity, standings, &mut out);
        self.drain(now, out)
    }

    pub(super) fn up(&mut self, now: Now, peer: NodeId) -> Sent {
        let mut out = VecDeque::new();
        self.gossip.peer_up(now, peer, &mut out);
        self.drain(now, out)
    }

    pub(super) fn down(&mut self, now: Now, peer: NodeId) -> Sent {
        let mut out = VecDeque::new();
        self.gossip.peer_down(now, peer, &mut out);
        self.drain(now, out)
    }

    pub(super) fn wake(&mut self, now: Now) -> Sent {
        let mut out = VecDeque::new();
        self.gossip.handle_timeout(now, &self.standings, &mut out);
        self.drain(now, out)
    }

    /// Sleeps from `from` until `to`, waking whenever asked for.
    pub(super) fn pass(&mut self, from: Duration, to: Duration) -> Sent {
        let (end, mut sent) = (at(to).mono, Vec::new());
        let mut now = at(from);
        while let Some(next) = self.gossip.poll_timeout().filter(|next| *next <= end) {
            now = at(next.max(now.mono).since(Instant::ORIGIN));
            sent.extend(self.wake(now));
            let again = self.gossip.poll_timeout();
            assert!(again.is_none_or(|again| again > now.mono), "what is due is done at once");
        }
        sent
    }

    pub(super) fn remembered(&self) -> GossipSnapshot {
        GossipSnapshot {
            messages: self.disk.values().cloned().collect(),
            floors: self.floors.iter().map(|(sender, floor)| (*sender, *floor)).collect(),
        }
    }

    pub(super) fn drain(&mut self, now: Now, mut out: VecDeque<GossipEffect>) -> Sent {
        let mut sent = Vec::new();
        while let Some(next) = out.pop_front() {
            match next {
                GossipEffect::Send { to, message } => {
                    sent.extend(to.into_iter().map(|to| (to, message.clone())));
                }
                GossipEffect::Verify { from, ttl, claim } => {
                    self.verifications += 1;
                    let verdict = claim.job(&network()).run();
                    let gossip = &mut self.gossip;
                    match claim.clone().accept(verdict) {
                        Some(good) => {
                            gossip.handle_verified(now, from, ttl, good, &self.standings, &mut out);
                        }
                        None => gossip.handle_refuted(now, from, &claim, &mut out),
                    }
                }
                GossipEffect::Validate { id, message, .. } => {
                    let payload = message.content().payload.clone();
                    if let Some(validity) = (self.validator)(&payload) {
                        let (gossip, standings) = (&mut self.gossip, &self.standings);
                        gossip.validating().handle_validity(now, id, validity, standings, &mut out);
                    }
                    self.validations.push((id, payload));
                }
                GossipEffect::Deliver { message, .. } => {
                    let content = message.content();
                    self.delivered.push((content.sender.node_id(), content.sequence));
                }
                GossipEffect::Keep(message) => {
                    let content = message.content();
                    self.disk.insert((content.sender.node_id(), content.sequence), message);
                }
                GossipEffect::Forget { sender, sequence } => {
                    assert!(self.floors.get(&sender).is_some_and(|floor| sequence < *floor));
                    assert!(self.disk.remove(&(sender, sequence)).is_some());
                }
                GossipEffect::Floor { sender, floor } => {
                    let before = self.floors.insert(sender, floor);
                    assert!(before.is_none_or(|before| before < floor), "floors only rise");
                }
                GossipEffect::ForgetFloor(sender) => {
                    assert!(self.floors.remove(&sender).is_some(), "storage knew it");
                }
                GossipEffect::GivenUp { message, peers } => self.given_up.push((message, peers)),
                GossipEffect::Equivocated { sender, messages, .. } => {
                    self.equivocated.push((sender, messages));
                }
                GossipEffect::Observed { peer, what } => self.observed.push((peer, what)),
                GossipEffect::Traced { step: JourneyStep::Had(peer), .. } => self.had.push(peer),
                GossipEffect::Traced { .. } | GossipEffect::Dropped(_) => {}
            }
        }
        let (kept, _) = self.gossip.kept();
        assert_eq!(kept, self.disk.len(), "storage keeps what the window keeps");
        sent
    }
}

/// What is to be sent: to whom, and what.
pub(super) type Sent = Vec<(NodeId, GossipMessage)>;

/// Nodes, links between them, and one clock. A message is a datagram of its own.
pub(super) struct World {
    pub(super) now: Duration,
    pub(super) nodes: BTreeMap<NodeId, Node>,
    pub(super) links: BTreeSet<(NodeId, NodeId)>,
    internet: Internet<Bytes>,
    /// Who is at which host of it, in order.
    hosts: Vec<NodeId>,
    rng: Rng,
    pub(super) sent: u64,
}

impl World {
    pub(super) fn new(count: u32, seed: u64) -> Self {
        Self::with(count, seed, &config())
    }

    pub(super) fn with(count: u32, seed: u64, config: &GossipConfig) -> Self {
        // 20 ms for every message keeps each link in order.
        let laws = PathLaws::calm(Duration::from_millis(20));
        let mut world = Self {
            now: Duration::ZERO,
            nodes: BTreeMap::new(),
            links: BTreeSet::new(),
            internet: Internet::new(seed, laws, StreamLaws::CALM),
            hosts: Vec::new(),
            rng: Seed::from_number(seed).stream("world"),
            sent: 0,
        };
        for number in 0..count {
            let nothing = GossipSnapshot::default();
            world.add(Node::new(number, config.clone(), nothing, at(Duration::ZERO)));
        }
        world
    }

    /// A node more, or one that is there again.
    pub(super) fn add(&mut self, node: Node) {
        if !self.hosts.contains(&node.id()) {
            self.internet.add_host(address(self.hosts.len()));
            self.hosts.push(node.id());
        }
        self.nodes.insert(node.id(), node);
    }

    /// How many of all messages are lost from now on (a queue was full).
    pub(super) fn set_loss(&mut self, loss: f64) {
        self.internet.topology_mut().paths.loss = loss;
    }

    pub(super) fn ids(&self) -> Vec<NodeId> {
        self.nodes.keys().copied().collect()
    }

    /// A ring, so that nobody is cut off, and random links up to `degree` a node on average.
    pub(super) fn connect_randomly(&mut self, degree: usize) {
        let ids = self.ids();
        for (index, id) in ids.iter().enumerate() {
            self.connect(*id, ids[(index + 1) % ids.len()]);
        }
        for _ in 0..ids.len() * degree.saturating_sub(2) / 2 {
            let (a, b) = (ids[self.rng.index(ids.len())], ids[self.rng.index(ids.len())]);
            self.connect(a, b);
        }
    }

    pub(super) fn connect(&mut self, a: NodeId, b: NodeId) {
        if a == b || !self.links.insert((a.min(b), a.max(b))) {
            return;
        }
        let now = at(self.now);
        for (me, other) in [(a, b), (b, a)] {
            let sent = self.nodes.get_mut(&me).unwrap().up(now, other);
            self.post(me, sent);
        }
    }

    pub(super) fn disconnect(&mut self, a: NodeId, b: NodeId) {
        self.links.remove(&(a.min(b), a.max(b)));
        let now = at(self.now);
        for (me, other) in [(a, b), (b, a)] {
            let sent = self.nodes.get_mut(&me).unwrap().down(now, other);
            self.post(me, sent);
        }
    }

    pub(super) fn publish(&mut self, who: NodeId, sequence: u64) {
        self.say(who, sequence, b"hello");
    }

    pub(super) fn say(&mut self, who: NodeId, sequence: u64, payload: &[u8]) {
        let now = at(self.now);
        let node = self.nodes.get_mut(&who).unwrap();
        let message = say_at(&node.identity, sequence, payload, now.wall);
        let sent = node.publish(now, message);
        self.post(who, sent);
    }

    pub(super) fn post(&mut self, from: NodeId, sent: Sent) {
        for (to, message) in sent {
            self.sent += 1;
            let [from, to] = [from, to].map(|node| self.address_of(node));
            // Whether it was lost is for the network to know.
            let _ = self.internet.send(self.now, from, to, message.encode(), DEFAULT_TTL);
        }
    }

    fn address_of(&self, node: NodeId) -> SocketAddr {
        // Strangers that a test made up are nowhere.
        let host = self.hosts.iter().position(|id| *id == node);
        address(host.unwrap_or(self.hosts.len()))
    }

    pub(super) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            let wake = self.nodes.values().filter_map(|node| node.gossip.poll_timeout()).min();
            let wake = wake.map(|at| at.since(Instant::ORIGIN));
            let next = [wake, self.internet.next_event_time()].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            self.step();
        }
        self.now = end;
    }

    fn step(&mut self) {
        let now = at(self.now);
        while let Some(delivery) = self.internet.poll(self.now) {
            let Event::Datagram { from, payload, .. } = delivery.event else { continue };
            let from = self.hosts[self.internet.topology().host_at(from.ip()).unwrap().index()];
            let to = self.hosts[delivery.host.index()];
            let linked = self.links.contains(&(from.min(to), from.max(to)));
            if let Some(node) = self.nodes.get_mut(&to).filter(|_| linked) {
                let message = Envelope::open(payload).unwrap().read(to).unwrap();
                let sent = node.hear(now, from, message);
                self.post(to, sent);
            }
        }
        for id in self.ids() {
            let node = self.nodes.get_mut(&id).unwrap();
            if node.gossip.poll_timeout().is_some_and(|due| due <= now.mono) {
                let sent = node.wake(now);
                self.post(id, sent);
            }
        }
    }

    /// Whether every node has every message of `said`.
    pub(super) fn assert_everybody_has(&self, said: &[(NodeId, u64)]) {
        for (id, node) in &self.nodes {
            let missing = said.iter().find(|item| !node.disk.contains_key(item));
            assert_eq!(missing, None, "at {:?}: node {}", self.now, id.short());
        }
    }

    /// Whether every node delivered every message of `published` exactly once, except its own.
    pub(super) fn assert_all_delivered_once(&self, published: &[(NodeId, u64)], why: &str) {
        for (id, node) in &self.nodes {
            let mut delivered = node.delivered.clone();
            delivered.sort_unstable();
            let mut expected: Vec<_> =
                published.iter().filter(|(sender, _)| sender != id).copied().collect();
            expected.sort_unstable();
            assert_eq!(delivered, expected, "{why}: node {}", id.short());
        }
    }
}

fn address(host: usize) -> SocketAddr {
    let [.., high, low] = u32::try_from(host).unwrap().to_be_bytes();
    SocketAddr::from(([10, 0, high, low], 8888))
}
