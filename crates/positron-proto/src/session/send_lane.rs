//! What was said in one lane and not acknowledged.

use std::collections::VecDeque;

use super::carrier::Draft;
use crate::{
    fair_queue::FairQueue,
    id::{NodeId, Ticket},
    limits::MAX_RECORD,
    wire::{
        body::Body,
        frame::{Frame, Lane},
    },
};

/// One lane towards the peer: what was said in it and not acknowledged, whatever links come and go.
///
/// [`push`](Self::push) queues, [`put`](Self::put) fills records once the peer said on the present
/// link where it stands ([`resume`](Self::resume)), [`let_go_below`](Self::let_go_below) ends what
/// it acknowledged; [`restart`](Self::restart) begins over on the next link. Those whose messages
/// these are take turns; a message has its number, and keeps it, from the first record on.
#[derive(Debug)]
pub(super) struct SendLane {
    /// Numbered and not acknowledged, oldest first.
    queue: VecDeque<Queued>,
    /// Not numbered, and never on a link; made for the first message.
    waiting: Option<Box<FairQueue<Option<NodeId>, Queued>>>,
    /// The number of the first in the queue.
    base: u64,
    /// How many of the queue are wholly on the present link.
    sent: usize,
    /// Bytes of the next one that are on the present link, in parts.
    offset: usize,
    /// The number after the last that was ever wholly on a link.
    ever_sent: u64,
    /// How many of the queue are known to be at the other end, handed over or not.
    arrived: u32,
    /// Whether the peer said on the present link where it stands.
    resumed: bool,
}

#[derive(Debug)]
struct Queued {
    body: Body,
    ticket: Option<Ticket>,
}

/// What was put on a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Put {
    /// Bytes of messages.
    pub(super) bytes: usize,
    /// Whether somebody [waits](Lane::is_awaited) for one of them.
    pub(super) is_awaited: bool,
    /// Messages that had been wholly on a link before.
    pub(super) resent: u64,
}

/// Whether filling a record ended with the lane or with the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    LaneEmpty,
    RecordFull,
}

/// A message that was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LetGo {
    /// Its bytes.
    pub(super) len: usize,
    /// Whether it was wholly on the present link.
    pub(super) was_sent: bool,
    pub(super) ticket: Option<Ticket>,
}

impl SendLane {
    pub(super) const fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            waiting: None,
            base: 0,
            sent: 0,
            offset: 0,
            ever_sent: 0,
            arrived: 0,
            resumed: false,
        }
    }

    /// Appends the next messages to a record, at most `allowed` bytes of them. What is larger is
    /// cut if a part of it may go.
    pub(super) fn put(
        &mut self,
        lane: Lane,
        record: &mut Draft,
        largest: usize,
        allowed: usize,
        put: &mut Put,
    ) -> Done {
        let mut allowed = allowed;
        while self.resumed
            && self.number_next()
            && let Some(next) = self.queue.get(self.sent)
        {
            if !record.is_open() {
                return Done::RecordFull;
            }
            let number = self.base + as_u64(self.sent);
            let overhead = Frame::overhead(number, next.body.len());
            let full = if record.is_empty() { largest } else { largest.min(MAX_RECORD) };
            let room = full.saturating_sub(record.len());
            let rest = next.body.len() - self.offset;
            let is_whole = self.offset == 0 && rest <= allowed;
            let part;
            if is_whole && overhead + rest <= largest {
                if overhead + rest > room {
                    return Done::RecordFull;
                }
                Frame::begin_message(lane, number, rest, &mut record.bytes);
                record.append(&next.body, 0..rest);
                part = rest;
            } else {
                if room < overhead + MIN_PART || allowed < rest.min(MIN_PART) {
                    return Done::RecordFull;
                }
                let from = self.offset;
                part = rest.min(room - overhead).min(allowed);
                let (to, place) = (from + part, (as_u64(from), as_u64(next.body.len())));
                Frame::begin_fragment(lane, number, place, part, &mut record.bytes);
                record.append(&next.body, from..to);
                self.offset = to;
            }
            put.bytes += part;
            allowed -= part;
            if part < rest {
                return Done::RecordFull;
            }
            self.offset = 0;
            self.sent += 1;
            if number < self.ever_sent {
                put.resent += 1;
            }
            self.ever_sent = self.ever_sent.max(number + 1);
        }
        Done::LaneEmpty
    }

    /// Queues a message behind the others of the same sender.
    pub(super) fn push(&mut self, of: Option<NodeId>, body: Body, ticket: Option<Ticket>) {
        let waiting = self.waiting.get_or_insert_with(|| Box::new(FairQueue::new()));
        waiting.push(of, body.len(), Queued { body, ticket });
    }

    /// Bytes and messages that are not acknowledged, counted when somebody asks.
    pub(super) fn queued(&self) -> (usize, usize) {
        let waiting = self.waiting.as_ref().map_or((0, 0), |waiting| waiting.all_waiting());
        let numbered: usize = self.queue.iter().map(|queued| queued.body.len()).sum();
        (numbered + waiting.0, self.queue.len() + waiting.1)
    }

    /// Bytes and messages of this sender that have no number.
    pub(super) fn waiting_of(&self, of: Option<NodeId>) -> (usize, usize) {
        self.waiting.as_ref().map_or((0, 0), |waiting| waiting.waiting(&of))
    }

    /// Whether there is a numbered message that is not wholly on the present link; sees to it that
    /// there is, if anything waits.
    fn number_next(&mut self) -> bool {
        if self.sent == self.queue.len() {
            self.queue.extend(self.waiting.as_mut().and_then(|waiting| waiting.pop()));
        }
        self.sent < self.queue.len()
    }

    /// Nothing is on the present link, and where the peer stands on it is not known.
    pub(super) const fn restart(&mut self) {
        (self.sent, self.offset, self.resumed) = (0, 0, false);
    }

    /// The peer said on the present link where it stands.
    pub(super) const fn resume(&mut self) {
        self.resumed = true;
    }

    /// Whether it did.
    pub(super) const fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// Whether something could be put on the present link now.
    pub(super) fn has_next(&self) -> bool {
        let waits = self.waiting.as_ref().is_some_and(|waiting| !waiting.is_empty());
        self.resumed && (self.sent < self.queue.len() || waits)
    }

    /// The number of the first message that is not wholly on the present link.
    pub(super) fn next_unsent(&self) -> u64 {
        self.base + as_u64(self.sent)
    }

    /// The number after the last that was ever wholly on a link.
    pub(super) const fn ever_sent(&self) -> u64 {
        self.ever_sent
    }

    /// What waits is numbered from here: the peer remembers nothing of what was numbered before.
    pub(super) const fn number_from(&mut self, next: u64) {
        (self.base, self.ever_sent, self.arrived) = (next, next, 0);
    }

    /// The oldest message, if its number is below `next`: it was acknowledged.
    pub(super) fn let_go_below(&mut self, next: u64) -> Option<LetGo> {
        if self.base >= next {
            return None;
        }
        let Queued { body, ticket } = self.queue.pop_front()?;
        self.base += 1;
        self.arrived = self.arrived.saturating_sub(1);
        let was_sent = self.sent > 0;
        self.sent -= usize::from(was_sent);
        Some(LetGo { len: body.len(), was_sent, ticket })
    }

    /// All that was wholly on the present link is at its other end.
    pub(super) fn handle_arrived(&mut self) {
        self.arrived = self.arrived.max(u32::try_from(self.sent).unwrap_or(u32::MAX));
    }

    /// Whether that is known.
    pub(super) fn has_arrived(&self) -> bool {
        usize::try_from(self.arrived).is_ok_and(|arrived| arrived >= self.sent)
    }

    /// The oldest message, if it is at the other end and nobody holds a ticket for it.
    pub(super) fn let_go_of_said(&mut self) -> Option<LetGo> {
        self.queue.front().filter(|queued| self.arrived > 0 && queued.ticket.is_none())?;
        self.let_go_below(self.base + 1)
    }

    /// The tickets of everything that was not acknowledged.
    pub(super) fn into_tickets(self) -> impl Iterator<Item = Ticket> {
        let waiting = self.waiting.into_iter().flat_map(|waiting| waiting.into_items());
        self.queue.into_iter().chain(waiting).filter_map(|queued| queued.ticket)
    }
}

fn as_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// A smaller part is not worth its frame; it waits for the next record (guess).
pub(super) const MIN_PART: usize = 256;
