//! The world of many hash tables: its network, its clock, what happens and what is measured.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque},
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use bytes::Bytes;
use positron_proto::{
    dht::{
        AskedBy, Contact, Dht, DhtAnswer, DhtAsk, DhtEffect, DhtOutcome, DhtQuery, NameHash,
        NewRecord, Place, QuestionId, ReadMode, RecordKind, RememberedDht, ReplyId, Via,
    },
    id::{NetworkId, Ticket},
    identity::Identity,
    limits::REPLICAS,
    rng::{Rng, Seed},
    time::{Duration, Instant, Now, WallTime},
};

use super::{DhtReport, DhtScenario, hostile::Conspiracy};

/// Bytes of the answer to a first question, and to one beside a ticket `[PROTOCOL 9.11]`.
const COLD_ROOM: usize = 897;
const ROOM: usize = 1136;

/// Plays a story.
pub fn play(scenario: &DhtScenario, seed: u64) -> DhtReport {
    let mut world = TableWorld::new(scenario, seed);
    world.gather();
    world.measure()
}

struct TableWorld<'a> {
    scenario: &'a DhtScenario,
    network: NetworkId,
    now: Instant,
    dice: Rng,
    nodes: Vec<TableNode>,
    by_addr: BTreeMap<SocketAddr, usize>,
    conspiracy: Conspiracy,
    queue: BinaryHeap<Reverse<(Instant, u64, Happening)>>,
    happened: u64,
    payloads: BTreeMap<u64, Payload>,
    /// Who has asked whom before.
    tickets: BTreeSet<(usize, usize)>,
    done: BTreeMap<Ticket, DhtOutcome>,
    next_ticket: u64,
}

struct TableNode {
    dht: Dht,
    contact: Contact,
    is_hostile: bool,
    is_frozen: bool,
    is_gone: bool,
    bytes: u64,
    wakes_at: Option<Instant>,
    next_reply: u64,
    /// Who asked, and its question.
    replies: BTreeMap<ReplyId, (usize, QuestionId, Via)>,
}

/// What is to happen; questions and answers are kept beside, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Wake(usize),
    Arrives { at: usize, payload: u64 },
}

enum Payload {
    Asked { by: usize, question: QuestionId, ask: DhtAsk, via: Via },
    Answered { question: QuestionId, answer: DhtAnswer, via: Via },
}

impl<'a> TableWorld<'a> {
    fn new(scenario: &'a DhtScenario, seed: u64) -> Self {
        let seed = Seed::from_number(seed);
        let mut world = Self {
            scenario,
            network: NetworkId::from_name("simulated"),
            now: Instant::ORIGIN,
            dice: seed.stream("world"),
            nodes: Vec::new(),
            by_addr: BTreeMap::new(),
            conspiracy: Conspiracy::default(),
            queue: BinaryHeap::new(),
            happened: 0,
            payloads: BTreeMap::new(),
            tickets: BTreeSet::new(),
            done: BTreeMap::new(),
            next_ticket: 0,
        };
        for _ in 0..scenario.nodes {
            let is_hostile = world.dice.chance(scenario.hostile);
            world.add_node(&seed, is_hostile);
        }
        world
    }

    fn add_node(&mut self, seed: &Seed, is_hostile: bool) -> usize {
        let index = self.nodes.len();
        let seed = seed.child(&format!("node {index}"));
        let mut dice = seed.stream("key");
        let me = Arc::new(Identity::from_seed(dice.bytes()));
        let addr = loop {
            let [a, b, c, d] = dice.bytes();
            let is_public = matches!(a, 1..=9 | 11..=99 | 128..=168 | 170..=171 | 193..=223);
            let addr = SocketAddr::from((Ipv4Addr::new(a, b, c, d), 8888));
            if is_public && !self.by_addr.contains_key(&addr) {
                break addr;
            }
        };
        let contact = Contact::new(*me.public_key(), dice.bytes(), addr);
        let mut dht =
            Dht::new(me, self.network, RememberedDht::default(), seed.stream("dht"), self.time());
        dht.handle_mode(self.time(), Ok(addr));
        self.by_addr.insert(addr, index);
        if is_hostile {
            self.conspiracy.members.push(contact);
        }
        self.nodes.push(TableNode {
            dht,
            contact,
            is_hostile,
            is_frozen: false,
            is_gone: false,
            bytes: 0,
            wakes_at: None,
            next_reply: 0,
            replies: BTreeMap::new(),
        });
        index
    }

    const fn time(&self) -> Now {
        let wall = WallTime::from_unix_micros(1_800_000_000_000_000 + self.now.as_micros());
        Now { mono: self.now, wall }
    }

    /// Everybody comes within half a minute, knowing three who may be there, and settles down.
    fn gather(&mut self) {
        let step = Duration::from_secs(30) / u32::try_from(self.nodes.len()).unwrap_or(1);
        for index in 0..self.nodes.len() {
            for _ in 0..3 {
                let other = self.dice.index(index.max(1));
                if other != index {
                    let contact = self.nodes[other].contact;
                    let now = self.time();
                    self.nodes[index].dht.handle_contact(now, contact);
                }
            }
            self.touch(index);
            self.run_for(step);
        }
        self.run_for(Duration::from_secs(30));
    }

    fn measure(&mut self) -> DhtReport {
        let mut report = DhtReport::default();
        let count = self.scenario.operations;
        let records: Vec<_> = (0..count).map(|n| self.put(n, 0, &mut report)).collect();
        self.rest(&mut report);
        self.strike();
        for _ in 0..count {
            self.find(&mut report);
        }
        for (n, key) in records.iter().enumerate() {
            let mode = if n % 2 == 0 { ReadMode::First } else { ReadMode::Fresh };
            self.get(*key, mode, &value(n, 0), &mut report);
        }
        report
    }

    /// Nobody wants anything for a while.
    fn rest(&mut self, report: &mut DhtReport) {
        let before: u64 = self.nodes.iter().map(|node| node.bytes).sum();
        let long = self.scenario.age.max(Duration::from_secs(60));
        let mut left = long;
        let churn_step = Duration::from_secs(10);
        while left > Duration::ZERO {
            let step = left.min(churn_step);
            self.churn(step);
            self.run_for(step);
            left = left.saturating_sub(step);
        }
        let after: u64 = self.nodes.iter().map(|node| node.bytes).sum();
        #[expect(clippy::cast_precision_loss, reason = "bytes of minutes")]
        let bytes = (after - before) as f64;
        #[expect(clippy::cast_precision_loss, reason = "nodes fit into memory")]
        let nodes = self.nodes.len() as f64;
        report.upkeep = bytes / nodes / long.as_secs_f64();
    }

    /// Some go, as many come, who know three others.
    fn churn(&mut self, step: Duration) {
        let part = self.scenario.churn * step.as_secs_f64() / 3600.0;
        for index in 0..self.nodes.len() {
            if !self.nodes[index].is_gone && self.dice.chance(part) {
                self.nodes[index].is_gone = true;
                let seed = Seed::from_number(self.dice.next_u64());
                let newcomer = self.add_node(&seed, false);
                for _ in 0..3 {
                    let other = self.somebody();
                    let contact = self.nodes[other].contact;
                    let now = self.time();
                    self.nodes[newcomer].dht.handle_contact(now, contact);
                }
                self.touch(newcomer);
            }
        }
    }

    fn strike(&mut self) {
        for index in 0..self.nodes.len() {
            let (frozen, crashed) = (self.scenario.frozen, self.scenario.crashed);
            self.nodes[index].is_frozen = self.dice.chance(frozen);
            self.nodes[index].is_gone |= self.dice.chance(crashed);
        }
    }

    /// An honest node that runs.
    fn somebody(&mut self) -> usize {
        loop {
            let index = self.dice.index(self.nodes.len());
            let node = &self.nodes[index];
            if !(node.is_hostile || node.is_frozen || node.is_gone) {
                return index;
            }
        }
    }

    fn put(&mut self, n: usize, version: u8, report: &mut DhtReport) -> Place {
        let (at, ticket, now) = (self.somebody(), self.ticket(), self.time());
        let new = NewRecord {
            kind: RecordKind::Shared,
            name: NameHash::of_name(&format!("record {n}")).expect("a name"),
            value: value(n, version),
            ttl: Duration::from_secs(3600),
        };
        let mut out = VecDeque::new();
        let key = self.nodes[at].dht.store(now, ticket, new, &mut out).expect("it may store");
        self.carry_out(at, out);
        if let DhtOutcome::Stored(stored) = self.wait_for(ticket) {
            report.put.add_time(stored.took);
            #[expect(clippy::cast_precision_loss, reason = "few")]
            report.put_asked.add((stored.asked + stored.holders.len()) as f64);
            #[expect(clippy::cast_precision_loss, reason = "few")]
            report.put_holders.add(stored.holders.len() as f64);
        }
        key
    }

    fn find(&mut self, report: &mut DhtReport) {
        let (at, ticket, now) = (self.somebody(), self.ticket(), self.time());
        let target = Place::from_bytes(self.dice.bytes());
        let mut out = VecDeque::new();
        self.nodes[at].dht.find(now, ticket, target, &mut out).expect("it may look");
        let before = self.nodes[at].dht.counters().questions;
        self.carry_out(at, out);
        let DhtOutcome::Nearest(found) = self.wait_for(ticket) else { return };
        report.find.add_time(self.now.since(now.mono));
        #[expect(clippy::cast_precision_loss, reason = "few")]
        report.find_asked.add((self.nodes[at].dht.counters().questions - before) as f64);
        let alive = |node: &&TableNode| !(node.is_frozen || node.is_gone || node.is_hostile);
        let mut truth: Vec<_> = self.nodes.iter().filter(alive).map(|node| node.contact).collect();
        truth.retain(|contact| contact.id() != self.nodes[at].contact.id());
        truth.sort_by_key(|contact| contact.place().distance(&target));
        let nearest = truth.iter().take(REPLICAS);
        let hits = nearest
            .filter(|contact| found.contacts.iter().any(|at| at.id() == contact.id()))
            .count();
        #[expect(clippy::cast_precision_loss, reason = "few")]
        report.recall.add(hits as f64 / REPLICAS as f64);
    }

    fn get(&mut self, key: Place, mode: ReadMode, truth: &Bytes, report: &mut DhtReport) {
        let (at, ticket, now) = (self.somebody(), self.ticket(), self.time());
        let mut out = VecDeque::new();
        self.nodes[at].dht.read(now, ticket, (key, None), mode, &mut out).expect("it may read");
        self.carry_out(at, out);
        report.reads += 1;
        let DhtOutcome::Read(read) = self.wait_for(ticket) else { return };
        let values = read.records.iter().filter_map(|found| found.record.content().value.as_ref());
        let values: Vec<_> = values.collect();
        report.outdated += values.iter().filter(|value| **value != truth).count();
        if !values.contains(&truth) {
            return;
        }
        report.found += 1;
        let (time, asked) = match mode {
            ReadMode::First => (&mut report.first, &mut report.first_asked),
            ReadMode::Fresh => (&mut report.fresh, &mut report.fresh_asked),
        };
        time.add_time(read.took);
        #[expect(clippy::cast_precision_loss, reason = "few")]
        asked.add(read.asked as f64);
    }

    const fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    fn wait_for(&mut self, ticket: Ticket) -> DhtOutcome {
        loop {
            if let Some(outcome) = self.done.remove(&ticket) {
                return outcome;
            }
            assert!(self.step(), "an operation ends");
        }
    }

    fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        while self.queue.peek().is_some_and(|Reverse((at, ..))| *at <= until) {
            self.step();
        }
        self.now = until;
    }

    /// The next thing happens. False if nothing will.
    fn step(&mut self) -> bool {
        let Some(Reverse((at, _, what))) = self.queue.pop() else { return false };
        self.now = self.now.max(at);
        match what {
            Happening::Wake(index) => {
                let node = &mut self.nodes[index];
                if node.wakes_at.is_none_or(|wakes_at| wakes_at > at) || node.is_gone {
                    return true;
                }
                node.wakes_at = None;
                if !node.is_frozen {
                    let (now, mut out) = (self.time(), VecDeque::new());
                    self.nodes[index].dht.handle_timeout(now, &mut out);
                    self.carry_out(index, out);
                }
            }
            Happening::Arrives { at, payload } => {
                let Some(payload) = self.payloads.remove(&payload) else { return true };
                self.arrive(at, payload);
            }
        }
        true
    }

    fn arrive(&mut self, at: usize, payload: Payload) {
        if self.nodes[at].is_gone || self.nodes[at].is_frozen {
            return;
        }
        let (now, mut out) = (self.time(), VecDeque::new());
        match payload {
            Payload::Answered { question, answer, via } => {
                self.nodes[at].dht.handle_answer(now, (question, via), answer, &mut out);
            }
            Payload::Asked { by, question, ask, via } => {
                let is_proven = !self.tickets.insert((by, at));
                let room = match via {
                    Via::Session => 1 << 18,
                    Via::Any | Via::Datagram if is_proven => ROOM,
                    Via::Any | Via::Datagram => COLD_ROOM,
                };
                if self.nodes[at].is_hostile {
                    let how = self.scenario.hostility;
                    let answer = self.conspiracy.answer(how, ask, room);
                    self.send(at, by, Payload::Answered { question, answer, via });
                    return;
                }
                let contact = self.nodes[by].contact;
                let node = &mut self.nodes[at];
                let reply = ReplyId(node.next_reply);
                node.next_reply += 1;
                node.replies.insert(reply, (by, question, via));
                let (id, addr, contact) = (contact.id(), contact.addr(), Some(contact));
                let asker = AskedBy { id, addr, contact, is_proven, room };
                node.dht.handle_query(now, (asker, reply), ask, &mut out);
            }
        }
        self.carry_out(at, out);
    }

    fn touch(&mut self, index: usize) {
        self.carry_out(index, VecDeque::new());
    }

    fn carry_out(&mut self, index: usize, mut out: VecDeque<DhtEffect>) {
        while let Some(effect) = out.pop_front() {
            match effect {
                DhtEffect::Ask { question, to, ask, via } => {
                    let Some(&other) = self.by_addr.get(&to.addr()) else { continue };
                    let has_ticket = self.tickets.contains(&(index, other));
                    if matches!(ask.query, DhtQuery::Store(_)) && !has_ticket {
                        let now = self.time();
                        self.nodes[index].dht.handle_unanswered(now, question, &mut out);
                        continue;
                    }
                    let via = if via == Via::Any { Via::Datagram } else { via };
                    self.send(index, other, Payload::Asked { by: index, question, ask, via });
                }
                DhtEffect::Answer { to, answer } => {
                    let reply = self.nodes[index].replies.remove(&to);
                    let Some((other, question, via)) = reply else { continue };
                    self.send(index, other, Payload::Answered { question, answer, via });
                }
                DhtEffect::Verify(pending) => {
                    let verdict = pending.claim.job(&self.network).run();
                    let (now, from, wanted) = (self.time(), pending.from, pending.wanted);
                    let dht = &mut self.nodes[index].dht;
                    match pending.claim.accept(verdict) {
                        Some(record) => dht.handle_verified(
                            now,
                            record,
                            (pending.remaining, from, wanted),
                            &mut out,
                        ),
                        None => dht.handle_refuted(now, (from, wanted), &mut out),
                    }
                }
                DhtEffect::Done { ticket, outcome } => {
                    self.done.insert(ticket, outcome);
                }
                DhtEffect::Abandon(_)
                | DhtEffect::Keep(_)
                | DhtEffect::Misbehaved { .. }
                | DhtEffect::Equivocated(_) => {}
            }
        }
        let next = self.nodes[index].dht.poll_timeout();
        let node = &mut self.nodes[index];
        if let Some(at) = next.filter(|at| node.wakes_at.is_none_or(|wakes_at| *at < wakes_at)) {
            node.wakes_at = Some(at);
            self.schedule(at.max(self.now), Happening::Wake(index));
        }
    }

    fn send(&mut self, from: usize, to: usize, payload: Payload) {
        let (len, via) = match &payload {
            Payload::Asked { ask, via, .. } if self.tickets.contains(&(from, to)) => {
                (ask.to_bytes().len() + 92, *via)
            }
            Payload::Asked { via, .. } => (1200, *via),
            Payload::Answered { answer, via, .. } => (answer.to_bytes().len() + 64, *via),
        };
        for index in [from, to] {
            self.nodes[index].bytes += len as u64;
        }
        let (shortest, longest) = self.scenario.rtt;
        // The same for the same two, in both directions.
        let pair = from.min(to) as u64 * 1_000_003 + from.max(to) as u64;
        let mut dice = Seed::from_number(pair).stream("rtt");
        let way = dice.duration(shortest..=longest) / 2;
        // A session is made first, and then the question goes.
        let is_first = via == Via::Session && matches!(payload, Payload::Asked { .. });
        let way = if is_first { way * 3 } else { way };
        if self.dice.chance(self.scenario.loss) && via == Via::Datagram {
            return;
        }
        let number = self.happened;
        self.payloads.insert(number, payload);
        self.schedule(self.now + way, Happening::Arrives { at: to, payload: number });
    }

    fn schedule(&mut self, at: Instant, what: Happening) {
        self.happened += 1;
        self.queue.push(Reverse((at, self.happened, what)));
    }
}

fn value(n: usize, version: u8) -> Bytes {
    format!("value {n} of version {version}").into()
}
