//! The world of many hash tables: who is there, and what happens to them.

use std::{
    collections::{BTreeMap, VecDeque},
    net::{Ipv4Addr, SocketAddr},
};

use bytes::Bytes;
use positron_internet::Dice;
use positron_proto::{
    dht::{
        AskedBy, Contact, DhtAnswer, DhtAsk, DhtEffect, DhtOutcome, DhtQuery, NameHash, NewRecord,
        Place, QuestionId, ReadMode, RecordKind, Via,
    },
    id::{NetworkId, Ticket},
    identity::Identity,
    rng::{Rng, Seed},
    time::{Duration, Now, WallTime},
};

use super::{
    DhtScenario,
    carriage::{Carriage, Happening, Payload},
    hostile::{Conspiracy, target},
    table_node::{Asker, NodeState, TableNode},
};
use crate::disk::Disk;

pub(super) struct TableWorld<'a> {
    pub(super) scenario: &'a DhtScenario,
    pub(super) network: NetworkId,
    seed: Seed,
    pub(super) dice: Rng,
    pub(super) carriage: Carriage,
    pub(super) nodes: Vec<TableNode>,
    by_addr: BTreeMap<SocketAddr, usize>,
    pub(super) conspiracies: Vec<Conspiracy>,
    done: BTreeMap<Ticket, DhtOutcome>,
    next_ticket: u64,
    pub(super) has_disks: bool,
}

impl<'a> TableWorld<'a> {
    /// Nobody is there yet.
    pub(super) fn new(scenario: &'a DhtScenario, seed: u64) -> Self {
        let seed = Seed::from_number(seed);
        let physics = Dice::new(seed.stream("physics").next_u64());
        Self {
            scenario,
            network: NetworkId::from_name("simulated"),
            dice: seed.stream("world"),
            carriage: Carriage::new(scenario, physics),
            seed,
            nodes: Vec::new(),
            by_addr: BTreeMap::new(),
            conspiracies: vec![Conspiracy::new(scenario.hostility, None)],
            done: BTreeMap::new(),
            next_ticket: 0,
            has_disks: false,
        }
    }

    /// Everybody comes within half a minute, knowing three who may be there, and settles down.
    pub(super) fn gather(&mut self) {
        self.come(self.scenario.nodes);
        self.run_for(self.scenario.settles);
    }

    /// So many come, as quickly as all come within half a minute.
    pub(super) fn come(&mut self, nodes: usize) {
        let scenario = self.scenario;
        let step = Duration::from_secs(30) / u32::try_from(scenario.nodes).unwrap_or(1);
        for _ in 0..nodes {
            let is_client = self.dice.chance(scenario.clients);
            let harm = self.dice.chance(scenario.hostile).then_some(0);
            let addr = self.address();
            self.add_node(addr, is_client, harm);
            self.run_for(step);
        }
    }

    /// A node comes that knows three others.
    pub(super) fn add_node(
        &mut self,
        addr: SocketAddr,
        is_client: bool,
        harm: Option<usize>,
    ) -> usize {
        let me = Identity::from_seed(self.dice.bytes());
        self.add_node_of(me, addr, is_client, harm)
    }

    /// The same, of the node with this key.
    pub(super) fn add_node_of(
        &mut self,
        me: Identity,
        addr: SocketAddr,
        is_client: bool,
        harm: Option<usize>,
    ) -> usize {
        let (index, now) = (self.nodes.len(), self.time());
        let seed = self.seed.child(&format!("node {index}"));
        let contact = Contact::new(*me.public_key(), self.dice.bytes(), addr);
        let mut node = TableNode::new(now, me, contact, self.network, seed, is_client);
        node.harm = harm;
        node.disk = self.has_disks.then(Disk::default);
        if let Some(harm) = harm {
            self.conspiracies[harm].add(contact);
        }
        let servers: Vec<_> = (0..200)
            .map(|_| self.dice.index(index))
            .filter(|other| self.nodes.get(*other).is_some_and(TableNode::is_of_use))
            .take(3)
            .collect();
        for other in servers {
            node.dht.handle_contact(now, self.nodes[other].contact);
        }
        let is_slow = self.dice.chance(self.scenario.slow);
        self.carriage.add_node(is_slow);
        self.by_addr.insert(addr, index);
        self.nodes.push(node);
        self.carry_out(index, VecDeque::new());
        index
    }

    /// Some public address that nobody has.
    pub(super) fn address(&mut self) -> SocketAddr {
        loop {
            let [a, b, c, d] = self.dice.bytes();
            let is_public = matches!(a, 1..=9 | 11..=99 | 128..=168 | 170..=171 | 193..=223);
            let addr = SocketAddr::from((Ipv4Addr::new(a, b, c, d), 8888));
            if is_public && !self.by_addr.contains_key(&addr) {
                return addr;
            }
        }
    }

    pub(super) const fn time(&self) -> Now {
        let now = self.carriage.now;
        let wall = WallTime::from_unix_micros(1_800_000_000_000_000 + now.as_micros());
        Now { mono: now, wall }
    }

    /// Whose user wants something: an honest node that runs.
    pub(super) fn somebody(&mut self) -> usize {
        loop {
            let index = self.dice.index(self.nodes.len());
            if self.nodes[index].has_user() {
                return index;
            }
        }
    }

    /// A process ends without a word, and another one begins.
    pub(super) fn restart(&mut self, index: usize) {
        let now = self.time();
        self.nodes[index].restart(now, self.network);
        self.carriage.forget_tickets(index);
        self.carry_out(index, VecDeque::new());
    }

    // --- what users want ---

    pub(super) fn store(
        &mut self,
        at: usize,
        (kind, name, value): (RecordKind, &str, Bytes),
    ) -> (Ticket, Place) {
        let (ticket, now) = (self.ticket(), self.time());
        let name = NameHash::of_name(name).expect("a name");
        let ttl = self.scenario.ttl;
        let (new, mut out) = (NewRecord { kind, name, value, ttl }, VecDeque::new());
        let key = self.nodes[at].dht.store(now, ticket, new, &mut out).expect("it may store");
        self.carry_out(at, out);
        (ticket, key)
    }

    pub(super) fn delete(&mut self, at: usize, kind: RecordKind, name: &str) -> Ticket {
        let (ticket, now) = (self.ticket(), self.time());
        let (name, mut out) = (NameHash::of_name(name).expect("a name"), VecDeque::new());
        self.nodes[at].dht.delete(now, ticket, (kind, name), &mut out).expect("it may delete");
        self.carry_out(at, out);
        ticket
    }

    pub(super) fn read(&mut self, at: usize, key: Place, mode: ReadMode) -> Ticket {
        let (ticket, now, mut out) = (self.ticket(), self.time(), VecDeque::new());
        self.nodes[at].dht.read(now, ticket, (key, None), mode, &mut out).expect("it may read");
        self.carry_out(at, out);
        ticket
    }

    pub(super) fn find(&mut self, at: usize, target: Place) -> Ticket {
        let (ticket, now, mut out) = (self.ticket(), self.time(), VecDeque::new());
        self.nodes[at].dht.find(now, ticket, target, &mut out).expect("it may look");
        self.carry_out(at, out);
        ticket
    }

    const fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    /// How an operation ended, when it has.
    pub(super) fn wait_for(&mut self, ticket: Ticket) -> DhtOutcome {
        loop {
            if let Some(outcome) = self.done.remove(&ticket) {
                return outcome;
            }
            assert!(self.step(), "an operation ends");
        }
    }

    // --- what happens ---

    pub(super) fn run_for(&mut self, time: Duration) {
        let until = self.carriage.now + time;
        while self.carriage.next_at().is_some_and(|at| at <= until) {
            self.step();
        }
        self.carriage.now = until;
    }

    /// The next thing happens. False if nothing will.
    fn step(&mut self) -> bool {
        let Some((at, what)) = self.carriage.pop() else { return false };
        match what {
            Happening::Wake(index) => {
                let node = &mut self.nodes[index];
                if node.wakes_at.is_none_or(|wakes_at| wakes_at > at) {
                    return true;
                }
                node.wakes_at = None;
                if node.state == NodeState::Runs {
                    let (now, mut out) = (self.time(), VecDeque::new());
                    self.nodes[index].dht.handle_timeout(now, &mut out);
                    self.carry_out(index, out);
                }
            }
            Happening::Arrives { at, payload } => {
                let Some(payload) = self.carriage.take(payload) else { return true };
                if self.nodes[at].state == NodeState::Runs {
                    self.arrive(at, payload);
                }
            }
        }
        true
    }

    fn arrive(&mut self, at: usize, payload: Payload) {
        let (now, mut out) = (self.time(), VecDeque::new());
        match payload {
            Payload::Answered { by, question, answer, via } => {
                self.carriage.keep_ticket(at, by);
                self.nodes[at].dht.handle_answer(now, (question, via), answer, &mut out);
            }
            Payload::Asked { by, question, ask, via, is_proven } => {
                let room = match via {
                    Via::Session => SESSION_ROOM,
                    Via::Any | Via::Datagram if is_proven => ROOM,
                    Via::Any | Via::Datagram => COLD_ROOM,
                };
                if let Some(harm) = self.nodes[at].harm
                    && let Some(answer) = self.conspiracies[harm].answer(&ask, room)
                {
                    let answered = Payload::Answered { by: at, question, answer, via };
                    self.carriage.send(at, by, answered);
                    return;
                }
                let asker = Asker { index: by, question, via, target: target(&ask.query) };
                let contact = self.nodes[by].contact;
                let node = &mut self.nodes[at];
                let reply = node.reply(asker);
                let (id, addr, contact) = (contact.id(), contact.addr(), Some(contact));
                let asker = AskedBy { id, addr, contact, is_proven, room };
                node.dht.handle_query(now, (asker, reply), ask, &mut out);
            }
        }
        self.carry_out(at, out);
    }

    /// A node asks another by itself, whatever its table says.
    pub(super) fn ask(&mut self, index: usize, other: usize, query: DhtQuery) {
        let (question, ask) = (QuestionId(u64::MAX), DhtAsk { serves: true, query });
        let asked =
            Payload::Asked { by: index, question, ask, via: Via::Datagram, is_proven: true };
        self.carriage.send(index, other, asked);
    }

    pub(super) fn carry_out(&mut self, index: usize, mut out: VecDeque<DhtEffect>) {
        while let Some(effect) = out.pop_front() {
            match effect {
                DhtEffect::Ask { question, to, ask, via } => {
                    let Some(&other) = self.by_addr.get(&to.addr()) else { continue };
                    let is_proven = via == Via::Session || self.carriage.has_ticket(index, other);
                    let is_store =
                        matches!(ask.query, DhtQuery::Store(_) | DhtQuery::StoreOnTheWay(_));
                    if is_store && !is_proven {
                        let now = self.time();
                        self.nodes[index].dht.handle_unanswered(now, question, &mut out);
                        continue;
                    }
                    let via = if via == Via::Any { Via::Datagram } else { via };
                    let asked = Payload::Asked { by: index, question, ask, via, is_proven };
                    self.carriage.send(index, other, asked);
                }
                DhtEffect::Answer { to, answer } => {
                    let Some(asker) = self.nodes[index].take_reply(to) else { continue };
                    self.answer(index, asker, answer);
                }
                DhtEffect::Verify(pending) => {
                    let verdict = pending.claim.job(&self.network).run();
                    let (now, from, wanted) = (self.time(), pending.from, pending.wanted);
                    let dht = &mut self.nodes[index].dht;
                    match pending.claim.accept(verdict) {
                        Some(record) => {
                            let brought = (pending.remaining, from, wanted);
                            dht.handle_verified(now, record, brought, &mut out);
                        }
                        None => dht.handle_refuted(now, (from, wanted), &mut out),
                    }
                }
                DhtEffect::Keep(change) => {
                    if let Some(disk) = &mut self.nodes[index].disk {
                        disk.put(change);
                    }
                }
                DhtEffect::Done { ticket, outcome } => {
                    self.done.insert(ticket, outcome);
                }
                DhtEffect::Abandon(_)
                | DhtEffect::Misbehaved { .. }
                | DhtEffect::Equivocated(_) => {}
            }
        }
        let next = self.nodes[index].dht.poll_timeout();
        let node = &mut self.nodes[index];
        if let Some(at) = next.filter(|at| node.wakes_at.is_none_or(|wakes_at| *at < wakes_at)) {
            node.wakes_at = Some(at);
            self.carriage.schedule(at, Happening::Wake(index));
        }
    }

    fn answer(&mut self, index: usize, asker: Asker, answer: DhtAnswer) {
        let Asker { index: other, question, via, target } = asker;
        let answer = match self.nodes[index].harm {
            Some(harm) => self.conspiracies[harm].tamper(&target, answer),
            None => answer,
        };
        self.carriage.send(index, other, Payload::Answered { by: index, question, answer, via });
    }
}

/// Bytes of the answer to a first question, to one beside a ticket, and over a session
/// `[PROTOCOL 9.11]`.
const COLD_ROOM: usize = 897;
const ROOM: usize = 1136;
const SESSION_ROOM: usize = positron_proto::limits::DHT_SESSION_ROOM;
