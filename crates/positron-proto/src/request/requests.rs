//! The machine: asking until there is an answer or none can come, and serving once.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::{
    Refusal, RequestCounters, RequestEffect, RequestLevels, RequestMessage, Status,
    TooManyRequests, Unanswered,
    letters::{Letter, Letters},
    questions::{EndedQuestion, Questions},
    served::Served,
};
use crate::{
    deadlines::Deadlines,
    id::{NodeId, Ticket},
    limits::{
        LONGEST_REQUEST, MAX_FAILURE_TEXT, MAX_PAYLOAD, MAX_REFUSALS, PROBE_AFTER,
        REQUEST_RECONNECT, REQUEST_RETRY,
    },
    metric::Level,
    misbehavior::Misbehavior,
    time::{Duration, Instant, Now},
};

/// Requests to single nodes and their answers, in both directions.
///
/// Every request that [`ask`](Self::ask) took and nobody [cancelled](Self::cancel) ends with
/// exactly one [`RequestEffect::Completed`], within its timeout. It is handed to the other
/// application at most once: a session brings what it took once or not at all, whichever link it
/// goes on over, and nothing is sent again. When a session is down, what it took is over at once;
/// what it did not take waits for the next one. An end that comes back to the same process of a
/// peer tells it what is over.
///
/// Each [`RequestEffect::Serve`] is to be followed by one [`answer`](Self::answer), unless
/// [`RequestEffect::Abandon`] came meanwhile. Answer [`RequestEffect::Send`] by giving the session
/// what [`offer`](Self::offer) gives, and saying [`handle_sent`](Self::handle_sent), until there is
/// nothing, or [`handle_not_sent`](Self::handle_not_sent). Say [`peer_up`](Self::peer_up) and
/// [`peer_down`](Self::peer_down) of every peer.
#[derive(Debug, Default)]
pub struct Requests {
    /// Who is linked, and which start of its process.
    up: BTreeMap<NodeId, u64>,
    asked: Questions,
    served: Served,
    outbox: Letters,
    deadlines: Deadlines<RequestWake>,
    counters: RequestCounters,
}

/// Why requests wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum RequestWake {
    /// A request of ours is out of time.
    Expire(Ticket),
    /// A request of a peer was served for too long.
    Overdue(NodeId, u64),
    /// The session of a peer that is up may take messages again.
    Retry(NodeId),
    /// A link that is waited for did not come up.
    Reconnect(NodeId),
    /// Somebody here or there waits for an answer between us and this peer.
    Awaited(NodeId),
}

impl Requests {
    /// Asks `to`, and waits for the answer for at most `timeout`, or [`LONGEST_REQUEST`] if that is
    /// less. No two tickets are equal.
    pub fn ask(
        &mut self,
        now: Now,
        to: NodeId,
        payload: Bytes,
        timeout: Duration,
        ticket: Ticket,
        out: &mut VecDeque<RequestEffect>,
    ) -> Result<(), TooManyRequests> {
        self.asked.add(now.mono, ticket, to, payload)?;
        self.counters.asked += 1;
        let until = now.mono + timeout.min(LONGEST_REQUEST);
        self.deadlines.set(RequestWake::Expire(ticket), until);
        self.say(to, Letter::Ask(ticket), out);
        self.deadlines.set_earliest(RequestWake::Awaited(to), now.mono + PROBE_AFTER);
        if !self.up.contains_key(&to) && self.deadlines.get(RequestWake::Reconnect(to)).is_none() {
            self.connect(now, to, out);
        }
        Ok(())
    }

    /// Nobody waits for the answer any more: it ends without a word here, and the other end is
    /// told.
    pub fn cancel(&mut self, ticket: Ticket, out: &mut VecDeque<RequestEffect>) {
        if self.end(ticket, out).is_some() {
            self.counters.unanswered += 1;
        }
    }

    /// The application answers a request of `from`. Nothing happens if its answer is not wanted any
    /// more.
    pub fn answer(
        &mut self,
        from: NodeId,
        id: u64,
        answer: Result<Bytes, Refusal>,
        out: &mut VecDeque<RequestEffect>,
    ) {
        let Some(question) = self.served.open_question(from, id) else { return };
        self.deadlines.clear(RequestWake::Overdue(from, id));
        let worked = answer.is_ok();
        let (status, payload) = match answer {
            Ok(payload) if payload.len() > MAX_PAYLOAD => failed(TOO_LARGE),
            Ok(payload) => (Status::Answered, payload),
            Err(Refusal::NoHandler) => (Status::NoHandler, Bytes::new()),
            Err(Refusal::Busy) => (Status::Busy, Bytes::new()),
            Err(Refusal::Failed(why)) => failed(&why),
        };
        if worked {
            out.push_back(RequestEffect::Useful { peer: from, payload: question });
        }
        let message = if self.served.answer(from, id, payload.len()) {
            RequestMessage::Response { id, status, payload }
        } else {
            self.counters.answers_dropped += 1;
            RequestMessage::Response { id, status: Status::Busy, payload: Bytes::new() }
        };
        self.say(from, Letter::Say(message), out);
    }

    /// A [`RequestMessage`] came in.
    pub fn handle_message(
        &mut self,
        now: Now,
        from: NodeId,
        message: RequestMessage,
        out: &mut VecDeque<RequestEffect>,
    ) {
        match message {
            RequestMessage::Request { id, payload } => {
                self.deadlines.set_earliest(RequestWake::Awaited(from), now.mono + PROBE_AFTER);
                self.serve(now, from, id, payload, out);
            }
            RequestMessage::Response { id, status, payload } => {
                let ticket = Ticket(id);
                if !self.asked.is_sent_to(ticket, &from) {
                    self.counters.late += 1;
                    return;
                }
                if let Some(since) = self.asked.since(ticket) {
                    self.counters.round_trip.note(now.mono.since(since));
                }
                out.push_back(RequestEffect::Useful { peer: from, payload: payload.len() });
                self.complete(ticket, outcome(status, payload), out);
            }
            RequestMessage::Cancel { id } => {
                if self.served.open_question(from, id).is_some() {
                    self.abandon(from, id, out);
                }
            }
        }
    }

    /// The first of what waits for the session of `to`.
    pub fn offer(&self, to: &NodeId) -> Option<RequestMessage> {
        match self.outbox.first(to)? {
            Letter::Say(message) => Some(message.clone()),
            Letter::Ask(ticket) => {
                let payload = self.asked.payload(*ticket)?.clone();
                Some(RequestMessage::Request { id: ticket.0, payload })
            }
        }
    }

    /// The session has what was [offered](Self::offer).
    pub fn handle_sent(&mut self, to: NodeId) {
        match self.outbox.pop(&to) {
            Some(Letter::Ask(ticket)) => self.asked.set_sent(ticket),
            Some(Letter::Say(RequestMessage::Response { id, .. })) => {
                self.served.end(to, id);
            }
            _ => {}
        }
    }

    /// The session could not take what was [offered](Self::offer).
    pub fn handle_not_sent(&mut self, now: Now, to: NodeId) {
        if self.up.contains_key(&to) {
            self.deadlines.set_earliest(RequestWake::Retry(to), now.mono + REQUEST_RETRY);
        }
    }

    /// A session with the process of `peer` that `boot` names is up: what waits for it is sent.
    pub fn peer_up(
        &mut self,
        _now: Now,
        peer: NodeId,
        boot: u64,
        out: &mut VecDeque<RequestEffect>,
    ) {
        self.up.insert(peer, boot);
        self.deadlines.clear(RequestWake::Reconnect(peer));
        self.deadlines.clear(RequestWake::Retry(peer));
        self.outbox.meet(peer, boot);
        if self.outbox.has_any(&peer) {
            out.push_back(RequestEffect::Send { to: peer });
        }
    }

    /// A session is down: what it was asked is over, and nobody wants our answers.
    pub fn peer_down(&mut self, now: Now, peer: NodeId, out: &mut VecDeque<RequestEffect>) {
        let boot = self.up.remove(&peer).unwrap_or_default();
        self.deadlines.clear(RequestWake::Retry(peer));
        let mut owed = Vec::new();
        for ticket in self.asked.sent_to(&peer) {
            owed.push(RequestMessage::Cancel { id: ticket.0 });
            self.complete(ticket, Err(Unanswered::PeerGone), out);
        }
        for id in self.served.of(peer) {
            let (status, payload) = (Status::CutOff, Bytes::new());
            owed.push(RequestMessage::Response { id, status, payload });
            self.abandon(peer, id, out);
        }
        self.outbox.part(peer, boot, owed);
        if self.outbox.has_any(&peer) {
            self.connect(now, peer, out);
        }
    }

    /// The node stops: what is asked is given up, and what is served is of no use any more.
    pub fn give_up_all(&mut self, out: &mut VecDeque<RequestEffect>) {
        for ticket in self.asked.tickets() {
            self.complete(ticket, Err(Unanswered::Stopped), out);
        }
        for (from, id) in self.served.open() {
            self.abandon(from, id, out);
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now, out: &mut VecDeque<RequestEffect>) {
        while let Some(wake) = self.deadlines.pop_due(now.mono) {
            match wake {
                RequestWake::Expire(ticket) => self.expire(ticket, out),
                RequestWake::Overdue(from, id) => {
                    out.push_back(RequestEffect::Abandon { from, id });
                    self.counters.abandoned += 1;
                    self.answer(from, id, Err(Refusal::Failed(OVERDUE.to_owned())), out);
                }
                RequestWake::Retry(peer) => out.push_back(RequestEffect::Send { to: peer }),
                RequestWake::Reconnect(peer) => self.connect(now, peer, out),
                RequestWake::Awaited(peer) => {
                    if self.asked.is_any_to(&peer) || !self.served.of(peer).is_empty() {
                        if self.up.contains_key(&peer) {
                            out.push_back(RequestEffect::Awaited(peer));
                        }
                        self.deadlines.set(RequestWake::Awaited(peer), now.mono + PROBE_AFTER);
                    }
                }
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next().map(|(at, _)| at)
    }

    /// What happened so far.
    pub const fn counters(&self) -> RequestCounters {
        self.counters
    }

    /// What is there, beside the most that there can be.
    pub fn levels(&self) -> RequestLevels {
        RequestLevels { waiting: self.asked.level(), serving: self.served.level() }
    }

    /// What `peer` asked and the application has yet to answer, and its bytes.
    pub fn served_for(&self, peer: &NodeId) -> (Level, Level) {
        self.served.levels_of(peer)
    }

    fn serve(
        &mut self,
        now: Now,
        from: NodeId,
        id: u64,
        payload: Bytes,
        out: &mut VecDeque<RequestEffect>,
    ) {
        if self.served.has(from, id) {
            let what = Misbehavior::ProtocolViolation;
            out.push_back(RequestEffect::Misbehaved { peer: from, what });
        } else if self.served.add(from, id, payload.len()) {
            self.counters.served += 1;
            self.deadlines.set(RequestWake::Overdue(from, id), now.mono + LONGEST_REQUEST);
            out.push_back(RequestEffect::Serve { from, id, payload });
        } else if self.outbox.len(&from) < MAX_REFUSALS {
            self.counters.refused += 1;
            let (status, payload) = (Status::Busy, Bytes::new());
            let message = RequestMessage::Response { id, status, payload };
            self.say(from, Letter::Say(message), out);
        } else {
            self.counters.ignored += 1;
        }
    }

    /// Puts it behind what waits for the session of `to`, and has it sent if nothing does.
    fn say(&mut self, to: NodeId, letter: Letter, out: &mut VecDeque<RequestEffect>) {
        let first = self.outbox.push(to, letter);
        if first && self.up.contains_key(&to) {
            out.push_back(RequestEffect::Send { to });
        }
    }

    fn connect(&mut self, now: Now, to: NodeId, out: &mut VecDeque<RequestEffect>) {
        self.deadlines.set(RequestWake::Reconnect(to), now.mono + REQUEST_RECONNECT);
        out.push_back(RequestEffect::Connect(to));
    }

    fn expire(&mut self, ticket: Ticket, out: &mut VecDeque<RequestEffect>) {
        let Some(ended) = self.end(ticket, out) else { return };
        let linked = ended.sent || self.up.contains_key(&ended.to);
        let why = if linked { Unanswered::TimedOut } else { Unanswered::NoLink };
        self.counters.unanswered += 1;
        out.push_back(RequestEffect::Completed { ticket, outcome: Err(why) });
    }

    /// Ends a request without asking the other end not to answer: it has, or cannot.
    fn complete(
        &mut self,
        ticket: Ticket,
        outcome: Result<Bytes, Unanswered>,
        out: &mut VecDeque<RequestEffect>,
    ) {
        let Some(ended) = self.asked.end(ticket) else { return };
        self.deadlines.clear(RequestWake::Expire(ticket));
        if !ended.sent {
            self.outbox.take_back(&ended.to, ticket);
        }
        let counter = match &outcome {
            Ok(_) => &mut self.counters.answered,
            Err(_) => &mut self.counters.unanswered,
        };
        *counter += 1;
        out.push_back(RequestEffect::Completed { ticket, outcome });
        self.tidy(ended.to);
    }

    /// Ends a request that the other end may be carrying out, and tells it so.
    fn end(&mut self, ticket: Ticket, out: &mut VecDeque<RequestEffect>) -> Option<EndedQuestion> {
        let ended = self.asked.end(ticket)?;
        self.deadlines.clear(RequestWake::Expire(ticket));
        if ended.sent {
            self.say(ended.to, Letter::Say(RequestMessage::Cancel { id: ticket.0 }), out);
        } else {
            self.outbox.take_back(&ended.to, ticket);
        }
        self.tidy(ended.to);
        Some(ended)
    }

    fn abandon(&mut self, from: NodeId, id: u64, out: &mut VecDeque<RequestEffect>) {
        let open = self.served.open_question(from, id).is_some();
        self.served.end(from, id);
        self.deadlines.clear(RequestWake::Overdue(from, id));
        if open {
            self.counters.abandoned += 1;
            out.push_back(RequestEffect::Abandon { from, id });
        }
    }

    /// Wakes for a peer only while something waits for it.
    fn tidy(&mut self, peer: NodeId) {
        if !self.outbox.has_any(&peer) {
            self.deadlines.clear(RequestWake::Reconnect(peer));
            self.deadlines.clear(RequestWake::Retry(peer));
        }
    }
}

fn failed(why: &str) -> (Status, Bytes) {
    let mut end = why.len().min(MAX_FAILURE_TEXT);
    while !why.is_char_boundary(end) {
        end -= 1;
    }
    (Status::Failed, Bytes::copy_from_slice(&why.as_bytes()[..end]))
}

fn outcome(status: Status, payload: Bytes) -> Result<Bytes, Unanswered> {
    match status {
        Status::Answered => Ok(payload),
        Status::NoHandler => Err(Unanswered::NoHandler),
        Status::Busy => Err(Unanswered::Busy),
        Status::CutOff => Err(Unanswered::PeerGone),
        Status::Failed | Status::Other(_) => {
            Err(Unanswered::Failed(String::from_utf8_lossy(&payload).into_owned()))
        }
    }
}

const TOO_LARGE: &str = "the answer is above the limit of a payload";
const OVERDUE: &str = "it took too long";
