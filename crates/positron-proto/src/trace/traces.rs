//! The machine: remembering where messages went, and adding up what others say of it.

use std::collections::{BTreeMap, VecDeque};

use super::{
    AskTraceError, MessageTrace, PendingAsk, TraceAnswer, TraceConfig, TraceCounters, TraceEffect,
    TraceLevels, TraceMessage, TraceOrder, TraceTag,
    errand::{Errand, OpenAsk},
    journeys::{Journey, Journeys, micros},
    report::NetworkTrace,
    sum::{Loss, NodePrefix, SlowestHop},
};
use crate::{
    allowance::Allowance,
    deadlines::Deadlines,
    id::{MessageId, NetworkId, NodeId},
    identity::{Signed, Verified},
    journey::{CameFrom, Dropped, JourneyStep, Nth, Origin},
    limits::{
        LEAST_PLAUSIBLE_NODES, MAX_DIRECT_JOURNEYS, MAX_JOURNEY_BYTES, MAX_JOURNEYS,
        MAX_KNOWN_TRACES, MAX_TRACE_ASKS_PER_PEER, MAX_TRACE_DEPTH, MAX_TRACE_REPORTS,
        MAX_TRACES_PER_INTERVAL, MAX_TRACES_UNDER_WAY, PLAUSIBLE_FACTOR, TRACE_INTERVAL,
        TRACE_INTERVAL_LEAST, TRACED_FOR,
    },
    lru::LruMap,
    metric::{Level, WATCHED},
    misbehavior::Misbehavior,
    rng::Rng,
    time::{Duration, Instant, Now},
    wire::message::AppMessage,
};

/// Where messages went, here and from here on.
///
/// Tell it every [`JourneyStep`] of a broadcast ([`handle_step`](Self::handle_step)) and every one
/// that was [`Dropped`]; it remembers the last ones. Say [`peer_up`](Self::peer_up) and
/// [`peer_down`](Self::peer_down) of every peer; answer each [`TraceEffect::Verify`] with
/// [`handle_verified`](Self::handle_verified) or [`handle_refuted`](Self::handle_refuted), or not
/// at all where there is no room to check it.
///
/// [`may_ask`](Self::may_ask), then [`ask`](Self::ask), send a message's own sender after it:
///
/// ```text
/// root -> child    TRACE_ASK      where did it go from you?
///         child -> grandchild ..  the same: whoever may have it from there
/// root <- child    TRACE_ANSWER   once, when all below it answered or were waited for: a sum
/// ```
///
/// Guaranteed, whatever peers do: a trace costs a node one answer and a question for each peer that
/// it sent the message to; a node answers only whom it has the message from, once; what it holds is
/// bounded by [`crate::limits`]. What others answer is a claim: it is shown, cut to what is
/// plausible, and changes nothing else.
#[derive(Debug)]
pub struct Traces {
    config: TraceConfig,
    me: NodeId,
    network: NetworkId,
    rng: Rng,
    journeys: Journeys,
    up: BTreeMap<NodeId, UpPeer>,
    errands: BTreeMap<TraceTag, Errand>,
    /// Traces in which we took part or take part, with their senders: not answered twice.
    known: VecDeque<KnownTrace>,
    taking_part: Allowance,
    asked_last: Option<Instant>,
    reports: LruMap<MessageId, NetworkTrace>,
    deadlines: Deadlines<TraceTag>,
    counters: TraceCounters,
}

#[derive(Debug)]
struct UpPeer {
    since: Instant,
    asks: Allowance,
}

#[derive(Debug)]
struct KnownTrace {
    tag: TraceTag,
    sender: NodeId,
    since: Instant,
}

impl Traces {
    /// Nothing is remembered.
    pub fn new(config: TraceConfig, me: NodeId, network: NetworkId, rng: Rng) -> Self {
        Self {
            config,
            me,
            network,
            rng,
            journeys: Journeys::default(),
            up: BTreeMap::new(),
            errands: BTreeMap::new(),
            known: VecDeque::new(),
            taking_part: Allowance::default(),
            asked_last: None,
            reports: LruMap::new(MAX_TRACE_REPORTS),
            deadlines: Deadlines::new(),
            counters: TraceCounters::default(),
        }
    }

    /// Something happened to a broadcast.
    pub fn handle_step(&mut self, now: Now, nth: Nth, step: JourneyStep) {
        self.journeys.handle_step(now, nth, step);
    }

    /// A broadcast was not taken.
    pub fn handle_dropped(&mut self, now: Now, dropped: Dropped) {
        self.journeys.handle_dropped(now, dropped);
    }

    /// A direct message is given to the application, or goes to `to`.
    pub fn handle_direct(&mut self, now: Now, message: &Verified<AppMessage>, to: Option<NodeId>) {
        if !WATCHED {
            return;
        }
        let AppMessage { sender, sequence, .. } = message.content();
        let sender = sender.node_id();
        let heard = CameFrom::Heard { from: sender, at: now.mono, asked: false };
        let arrival = to.map_or(heard, |_| CameFrom::Own);
        let (id, sequence) = (message.id(), *sequence);
        let origin = Origin { id, sender, sequence, arrival, also: Vec::new() };
        self.journeys.handle_direct(now, origin, to);
    }

    /// A direct message of ours arrived.
    pub fn handle_direct_arrived(&mut self, message: &MessageId) {
        self.journeys.handle_arrived(message);
    }

    /// What is known of a message; of one that is forgotten nothing is.
    pub fn trace(&self, now: Now, message: &MessageId) -> Option<MessageTrace> {
        let journey = self.journeys.find(message);
        let drops = self.journeys.drops(message, journey);
        let network = match self.errands.values().find(|errand| errand.is_own(message)) {
            Some(errand) => Some(NetworkTrace::new(errand, self.me)),
            None => self.reports.get(message).cloned(),
        };
        MessageTrace::new(now, *message, journey, drops, network)
    }

    /// Whether a message of ours may be traced now.
    pub fn may_ask(&self, now: Now, message: &MessageId) -> Result<(), AskTraceError> {
        let Some(journey) = self.journeys.find_broadcast(message) else {
            let is_direct = self.journeys.find(message).is_some();
            return Err(if is_direct { AskTraceError::NotOurs } else { AskTraceError::Unknown });
        };
        if journey.arrival != CameFrom::Own {
            return Err(AskTraceError::NotOurs);
        }
        if now.mono.since(journey.heard()) > TRACED_FOR {
            return Err(AskTraceError::TooOld);
        }
        let since_last = self.asked_last.map_or(Duration::MAX, |last| now.mono.since(last));
        match TRACE_INTERVAL.checked_sub(since_last) {
            Some(again_in) if !again_in.is_zero() => Err(AskTraceError::TooOften { again_in }),
            _ => Ok(()),
        }
    }

    /// Begins a trace that [may be asked](Self::may_ask) for. `known` nodes are in the address
    /// book.
    pub fn ask(
        &mut self,
        now: Now,
        order: &Verified<TraceOrder>,
        known: usize,
        out: &mut VecDeque<TraceEffect>,
    ) {
        self.asked_last = Some(now.mono);
        self.counters.started += 1;
        let tag = TraceTag::of(order.id());
        self.note_known(now, tag, self.me);
        let says = TraceConfig { answer: true, name: true };
        self.begin(now, order, (None, now.mono), MAX_TRACE_DEPTH, (says, known), out);
    }

    /// Hears what a peer says, to which a round trip takes so long. `known` nodes are in the
    /// address book.
    pub fn handle_message(
        &mut self,
        now: Now,
        from: NodeId,
        message: TraceMessage,
        (rtt, known): (Option<Duration>, usize),
        out: &mut VecDeque<TraceEffect>,
    ) {
        match message {
            TraceMessage::Ask { hops, order } => {
                self.counters.asks_received += 1;
                self.handle_ask(now, from, hops, order, out);
            }
            TraceMessage::Answer { tag, answer } => {
                self.counters.answers_received += 1;
                self.handle_answer(now, from, tag, answer, (rtt, known), out);
            }
        }
    }

    /// The order of [`TraceEffect::Verify`] is its sender's.
    pub fn handle_verified(
        &mut self,
        now: Now,
        ask: (NodeId, u8, Instant),
        order: &Verified<TraceOrder>,
        out: &mut VecDeque<TraceEffect>,
    ) {
        let (from, hops, arrived) = ask;
        let (tag, sender) = (TraceTag::of(order.id()), order.content().sender.node_id());
        if self.is_known(&tag) {
            self.counters.asks_replayed += 1;
            return;
        }
        let of_sender = |known: &&KnownTrace| known.sender == sender;
        let last = self.known.iter().rev().find(of_sender).map(|known| known.since);
        let is_early = last.is_some_and(|last| now.mono.since(last) < TRACE_INTERVAL_LEAST);
        let pace = TRACE_INTERVAL / MAX_TRACES_PER_INTERVAL;
        let is_full = self.errands.len() >= MAX_TRACES_UNDER_WAY;
        if is_early || is_full || !self.taking_part.pay(now.mono, pace, MAX_TRACES_PER_INTERVAL) {
            self.counters.asks_refused += 1;
            return answer(from, tag, TraceAnswer::Busy, out);
        }
        self.note_known(now, tag, sender);
        self.counters.joined += 1;
        self.begin(now, order, (Some(from), arrived), hops, (self.config, 0), out);
    }

    /// The order of [`TraceEffect::Verify`] is not its sender's: honest nodes pass on only what
    /// they verified.
    pub fn handle_refuted(&mut self, from: NodeId, out: &mut VecDeque<TraceEffect>) {
        misbehaved(from, Misbehavior::ForgedSignature, out);
    }

    /// A message of [`TraceEffect::Send`] of so many bytes is on its way.
    pub fn handle_sent(&mut self, bytes: usize) {
        self.counters.bytes_sent += u64::try_from(bytes).unwrap_or(u64::MAX);
    }

    /// A session with `peer` is up.
    pub fn peer_up(&mut self, now: Now, peer: NodeId) {
        self.up.insert(peer, UpPeer { since: now.mono, asks: Allowance::default() });
    }

    /// The session with `peer` is down: it answers no more, and nobody there waits for us.
    pub fn peer_down(&mut self, now: Now, peer: NodeId, out: &mut VecDeque<TraceEffect>) {
        self.up.remove(&peer);
        let tags: Vec<TraceTag> = self.errands.keys().copied().collect();
        for tag in tags {
            let Some(errand) = self.errands.get_mut(&tag) else { continue };
            if errand.parent == Some(peer) {
                self.errands.remove(&tag);
                self.deadlines.clear(tag);
            } else if errand.open.remove(&peer).is_some() {
                errand.sum.lose(Loss::Silent, 1);
                self.counters.silent += 1;
                self.finish_if_done(now, tag, out);
            }
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now, out: &mut VecDeque<TraceEffect>) {
        while let Some(tag) = self.deadlines.pop_due(now.mono) {
            if let Some(errand) = self.errands.get_mut(&tag) {
                let silent = core::mem::take(&mut errand.open).len();
                errand.sum.lose(Loss::Silent, silent);
                self.counters.silent += u64::try_from(silent).unwrap_or(u64::MAX);
                self.finish_if_done(now, tag, out);
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next().map(|(at, _)| at)
    }

    /// What happened so far.
    pub fn counters(&self) -> TraceCounters {
        TraceCounters {
            journeys_forgotten: self.journeys.forgotten,
            steps_untold: self.journeys.untold,
            ..self.counters
        }
    }

    /// What is there, beside the most that there can be.
    pub fn levels(&self) -> TraceLevels {
        let most = MAX_JOURNEYS + MAX_DIRECT_JOURNEYS;
        TraceLevels {
            journeys: Level::new(self.journeys.len(), most),
            journey_bytes: Level::new(self.journeys.bytes(), MAX_JOURNEY_BYTES),
            under_way: Level::new(self.errands.len(), MAX_TRACES_UNDER_WAY),
        }
    }

    fn handle_ask(
        &mut self,
        now: Now,
        from: NodeId,
        hops: u8,
        order: Signed<TraceOrder>,
        out: &mut VecDeque<TraceEffect>,
    ) {
        let Some(peer) = self.up.get_mut(&from) else { return };
        let pace = TRACE_INTERVAL / MAX_TRACE_ASKS_PER_PEER;
        if !peer.asks.pay(now.mono, pace, MAX_TRACE_ASKS_PER_PEER) {
            self.counters.asks_refused += 1;
            return misbehaved(from, Misbehavior::Flooding, out);
        }
        let tag = TraceTag::of(order.id(&self.network));
        let (sender, message) = (order.content().sender.node_id(), order.content().message);
        let journey = self.journeys.find_broadcast(&message);
        let is_young = |journey: &&Journey| now.mono.since(journey.heard()) <= TRACED_FOR;
        let Some(journey) = journey.filter(is_young) else {
            self.counters.asks_refused += 1;
            return answer(from, tag, TraceAnswer::Forgotten, out);
        };
        if journey.sender != sender {
            // Whoever passes on an order sees whose message it is.
            self.counters.asks_refused += 1;
            return misbehaved(from, Misbehavior::ProtocolViolation, out);
        }
        if !matches!(journey.arrival, CameFrom::Heard { from: parent, .. } if parent == from) {
            self.counters.asks_refused += 1;
            return answer(from, tag, TraceAnswer::NotYours, out);
        }
        if self.is_known(&tag) {
            self.counters.asks_replayed += 1;
            return;
        }
        out.push_back(TraceEffect::Verify(PendingAsk { from, hops, arrived: now.mono, order }));
    }

    /// Asks those who may have it from us, and waits for them.
    fn begin(
        &mut self,
        now: Now,
        order: &Verified<TraceOrder>,
        (parent, arrived): (Option<NodeId>, Instant),
        hops: u8,
        (says, expected): (TraceConfig, usize),
        out: &mut VecDeque<TraceEffect>,
    ) {
        let tag = TraceTag::of(order.id());
        let message = order.content().message;
        let Some(journey) = self.journeys.find_broadcast(&message) else { return };
        let heard = journey.heard();
        let mut errand = Errand::new(message, (parent, arrived), (heard, says), expected);
        for (child, held) in journey.children() {
            if Some(child) == parent {
                continue;
            }
            match hops.checked_sub(1) {
                Some(_) if !self.up.contains_key(&child) => errand.sum.lose(Loss::Gone, 1),
                Some(hops) => {
                    self.counters.asks_sent += 1;
                    errand.open.insert(child, OpenAsk { at: now.mono, held });
                    let order = order.claim().clone();
                    let message = TraceMessage::Ask { hops, order };
                    out.push_back(TraceEffect::Send { to: child, message });
                }
                None => errand.sum.lose(Loss::TooDeep, 1),
            }
        }
        self.deadlines.set(tag, now.mono + Errand::patience(hops));
        self.errands.insert(tag, errand);
        self.finish_if_done(now, tag, out);
    }

    fn handle_answer(
        &mut self,
        now: Now,
        from: NodeId,
        tag: TraceTag,
        said: TraceAnswer,
        (rtt, known): (Option<Duration>, usize),
        out: &mut VecDeque<TraceEffect>,
    ) {
        let asked = self.errands.get_mut(&tag).and_then(|errand| {
            let asked = errand.open.remove(&from)?;
            errand.answered.insert(from);
            Some((errand, asked))
        });
        let Some((errand, asked)) = asked else {
            let again =
                self.errands.get(&tag).is_some_and(|errand| errand.answered.contains(&from));
            if again || !self.is_known(&tag) {
                // An answer to what we asked before we started again is none of its faults.
                let patience = Errand::patience(MAX_TRACE_DEPTH);
                let is_old = |peer: &UpPeer| now.mono.since(peer.since) > patience;
                if again || self.up.get(&from).is_some_and(is_old) {
                    misbehaved(from, Misbehavior::ProtocolViolation, out);
                }
            } else {
                self.counters.answers_late += 1;
            }
            return;
        };
        match said {
            TraceAnswer::NotYours => {}
            TraceAnswer::Forgotten => errand.sum.lose(Loss::Forgotten, 1),
            TraceAnswer::Busy => errand.sum.lose(Loss::Busy, 1),
            TraceAnswer::Sum { age, held, mut sum } => {
                sum.cap(plausible(known));
                self.counters.answers_implausible += u64::from(sum.implausible);
                let hop = errand.hop(now.mono, &asked, rtt, (age, held));
                if errand.says.answer {
                    errand.sum.hold(asked.held);
                    errand.sum.slow(Some(SlowestHop {
                        from: NodePrefix::of(errand.says.name.then_some(&self.me)),
                        to: NodePrefix::of(sum.named.then_some(&from)),
                        depth: 1,
                        micros: hop,
                    }));
                }
                let me = errand.says.name.then_some(&self.me);
                errand.sum.add_child(me, (&from, *sum), hop, &mut self.rng);
                // Many who claim as much as each may claim more than there can be.
                errand.sum.cap(plausible(known));
            }
        }
        self.finish_if_done(now, tag, out);
    }

    /// Answers whom we have the message from, or has a result, when nobody is waited for any more.
    fn finish_if_done(&mut self, now: Now, tag: TraceTag, out: &mut VecDeque<TraceEffect>) {
        if self.errands.get(&tag).is_none_or(|errand| !errand.open.is_empty()) {
            return;
        }
        let Some(errand) = self.errands.remove(&tag) else { return };
        self.deadlines.clear(tag);
        let Some(parent) = errand.parent else {
            self.reports.insert(errand.message, NetworkTrace::new(&errand, self.me));
            return;
        };
        let age = micros(errand.arrived.since(errand.heard));
        let held = micros(now.mono.since(errand.arrived));
        let sum = Box::new(errand.sum);
        answer(parent, tag, TraceAnswer::Sum { age, held, sum }, out);
    }

    fn is_known(&self, tag: &TraceTag) -> bool {
        self.known.iter().any(|known| known.tag == *tag)
    }

    fn note_known(&mut self, now: Now, tag: TraceTag, sender: NodeId) {
        if self.known.len() >= MAX_KNOWN_TRACES {
            self.known.pop_front();
        }
        self.known.push_back(KnownTrace { tag, sender, since: now.mono });
    }
}

/// The most nodes that an answer may claim: so many times as many as are in our address book, which
/// has not everybody in it.
fn plausible(known: usize) -> u32 {
    let most = known.saturating_mul(PLAUSIBLE_FACTOR).max(LEAST_PLAUSIBLE_NODES);
    u32::try_from(most).unwrap_or(u32::MAX)
}

fn answer(to: NodeId, tag: TraceTag, answer: TraceAnswer, out: &mut VecDeque<TraceEffect>) {
    out.push_back(TraceEffect::Send { to, message: TraceMessage::Answer { tag, answer } });
}

fn misbehaved(peer: NodeId, what: Misbehavior, out: &mut VecDeque<TraceEffect>) {
    out.push_back(TraceEffect::Misbehaved { peer, what });
}
