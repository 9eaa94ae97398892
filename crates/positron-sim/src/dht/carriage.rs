//! What carries questions and answers between nodes: time, round trips, tickets, bytes.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use positron_internet::Dice;
use positron_proto::{
    dht::{Contact, DhtAnswer, DhtAsk, LivingRecord, QuestionId, Via},
    time::{Duration, Instant},
};

use super::DhtScenario;

/// The network of a world: what is under way, and what comes of it.
pub(super) struct Carriage {
    pub(super) now: Instant,
    rtt: (Duration, Duration),
    loss: f64,
    dice: Dice,
    queue: BinaryHeap<Reverse<(Instant, u64, Happening)>>,
    happened: u64,
    /// What is under way, by the number in its happening.
    payloads: Vec<Option<Payload>>,
    free: Vec<usize>,
    ends: Vec<NodeEnd>,
    is_cut: bool,
}

/// One node, as its network sees it.
#[derive(Debug, Default)]
struct NodeEnd {
    /// Bytes in and out.
    bytes: u64,
    /// Of whom it has a ticket, and since when.
    tickets: BTreeMap<usize, Instant>,
    is_slow: bool,
    /// On which side of a cut.
    side: bool,
}

/// What is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Happening {
    Wake(usize),
    Arrives { at: usize, payload: usize },
}

/// A question or an answer.
pub(super) enum Payload {
    Asked { by: usize, question: QuestionId, ask: DhtAsk, via: Via, is_proven: bool },
    Answered { by: usize, question: QuestionId, answer: DhtAnswer, via: Via },
}

impl Carriage {
    pub(super) fn new(scenario: &DhtScenario, dice: Dice) -> Self {
        Self {
            now: Instant::ORIGIN,
            rtt: scenario.rtt,
            loss: scenario.loss,
            dice,
            queue: BinaryHeap::new(),
            happened: 0,
            payloads: Vec::new(),
            free: Vec::new(),
            ends: Vec::new(),
            is_cut: false,
        }
    }

    /// The next node is there.
    pub(super) fn add_node(&mut self, is_slow: bool) {
        let side = self.dice.chance(0.5);
        self.ends.push(NodeEnd { is_slow, side, ..NodeEnd::default() });
    }

    /// Whether nothing passes between the two halves of the nodes.
    pub(super) const fn set_cut(&mut self, is_cut: bool) {
        self.is_cut = is_cut;
    }

    /// Bytes in and out of all nodes together.
    pub(super) fn bytes(&self) -> u64 {
        self.ends.iter().map(|end| end.bytes).sum()
    }

    /// Whether one node may ask another what takes a ticket `[PROTOCOL 9.11]`.
    pub(super) fn has_ticket(&self, of: usize, at: usize) -> bool {
        let since = self.ends[of].tickets.get(&at);
        since.is_some_and(|since| self.now.since(*since) < TICKET_LIFE)
    }

    /// An answer brings a ticket, if there is none yet.
    pub(super) fn keep_ticket(&mut self, of: usize, at: usize) {
        if !self.has_ticket(of, at) {
            let now = self.now;
            let tickets = &mut self.ends[of].tickets;
            if tickets.len() >= MAX_TICKETS {
                tickets.retain(|_, since| now.since(*since) < TICKET_LIFE);
            }
            tickets.insert(at, now);
        }
    }

    /// A node has another process, which knows nothing of tickets.
    pub(super) fn forget_tickets(&mut self, of: usize) {
        self.ends[of].tickets.clear();
    }

    pub(super) fn send(&mut self, from: usize, to: usize, payload: Payload) {
        let (len, via) = match &payload {
            Payload::Asked { ask, via, is_proven: true, .. } => {
                (ask.query.encoded_len() + WARM_QUERY, *via)
            }
            Payload::Asked { via, .. } => (COLD_QUERY, *via),
            Payload::Answered { answer, via, .. } => {
                let is_warm = self.has_ticket(to, from);
                (answer_len(answer) + if is_warm { WARM_ANSWER } else { COLD_ANSWER }, *via)
            }
        };
        for index in [from, to] {
            self.ends[index].bytes += len as u64;
        }
        let is_lost = via == Via::Datagram && self.dice.chance(self.loss);
        if is_lost || self.is_cut && self.ends[from].side != self.ends[to].side {
            return;
        }
        let mut way = self.rtt_between(from, to) / 2;
        // A session is made first, and then the question goes.
        if via == Via::Session && matches!(payload, Payload::Asked { .. }) {
            way *= 3;
        }
        if self.ends[from].is_slow && matches!(payload, Payload::Answered { .. }) {
            way += self.dice.between(SLOWNESS);
        }
        let number = self.free.pop().unwrap_or(self.payloads.len());
        if number == self.payloads.len() {
            self.payloads.push(None);
        }
        self.payloads[number] = Some(payload);
        self.schedule(self.now + way, Happening::Arrives { at: to, payload: number });
    }

    /// The same for the same two, in both directions, always.
    fn rtt_between(&self, one: usize, other: usize) -> Duration {
        Dice::keyed(one.min(other) as u64, one.max(other) as u64).between(self.rtt)
    }

    pub(super) fn schedule(&mut self, at: Instant, what: Happening) {
        self.happened += 1;
        self.queue.push(Reverse((at.max(self.now), self.happened, what)));
    }

    /// When the next thing happens.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.queue.peek().map(|Reverse((at, ..))| *at)
    }

    /// It happens.
    pub(super) fn pop(&mut self) -> Option<(Instant, Happening)> {
        let Reverse((at, _, what)) = self.queue.pop()?;
        self.now = self.now.max(at);
        Some((at, what))
    }

    pub(super) fn take(&mut self, payload: usize) -> Option<Payload> {
        let taken = self.payloads[payload].take()?;
        self.free.push(payload);
        Some(taken)
    }
}

fn answer_len(answer: &DhtAnswer) -> usize {
    let DhtAnswer::Found(found) = answer else { return 2 };
    let records = found.records.iter().map(LivingRecord::encoded_len);
    let contacts = found.contacts.iter().map(Contact::encoded_len);
    4 + records.sum::<usize>() + contacts.sum::<usize>() + found.heads.len() * 44
}

/// Bytes of a first question, and around one beside a ticket `[PROTOCOL 9.11]`.
const COLD_QUERY: usize = 1200;
const WARM_QUERY: usize = 32 + 8 + 4 + 32 + 32 + 16;
/// Bytes around the answer to either.
const COLD_ANSWER: usize = 303;
const WARM_ANSWER: usize = 64;
/// How long a ticket lasts, and how many a node keeps.
const TICKET_LIFE: Duration = Duration::from_secs(3600);
const MAX_TICKETS: usize = 4096;
/// How much later slow nodes answer.
const SLOWNESS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(2));
