//! Our own messages on their way: tickets, numbers, and what waits for the disk `[PROTOCOL 3.1]`.
//!
//! A broadcast is numbered, signed, pushed and handed to the disk in one step; its ticket completes
//! when the disk has it. Without a reserved number it waits, in order.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::{
    Change, ChangeId, Effect, Event, NodeCore, Outcome, Refused, SequenceKind, sequence::Sequence,
};
use crate::{
    id::{MessageId, NodeId, Ticket},
    identity::Verified,
    limits::{MAX_NUMBER, MAX_PENDING_BROADCASTS, MAX_WAITING_DIRECT},
    time::{Now, WallTime},
    wire::message::{AppMessage, Audience},
};

/// See the module.
#[derive(Debug)]
pub(super) struct Publisher {
    last_ticket: u64,
    last_change: u64,
    broadcast_numbers: Sequence,
    direct_numbers: Sequence,
    broadcasts: VecDeque<(Ticket, Bytes)>,
    directs: VecDeque<(Ticket, NodeId, Bytes)>,
    /// The broadcast that is being published right now, until gossip says that it keeps it.
    publishing: Option<Ticket>,
    awaited: BTreeMap<ChangeId, Awaited>,
    under_way: BTreeMap<Ticket, MessageId>,
    failed: Option<String>,
}

/// What becomes possible when a change is on disk.
#[derive(Clone, Copy, Debug)]
enum Awaited {
    Numbers(SequenceKind, u64),
    Broadcast(Ticket, MessageId),
}

impl Publisher {
    /// The two numbers were never given out, as far as this disk knows. Counting goes on at the
    /// clock if that is further: a key whose database was lost, or set back to a backup, would
    /// otherwise sign its old numbers again, which is equivocation.
    pub(super) fn new(next_broadcast: u64, next_direct: u64, now: WallTime) -> Self {
        let clock = now.as_unix_micros().min(MAX_NUMBER / 2);
        Self {
            last_ticket: 0,
            last_change: 0,
            broadcast_numbers: Sequence::new(next_broadcast.max(clock)),
            direct_numbers: Sequence::new(next_direct.max(clock)),
            broadcasts: VecDeque::new(),
            directs: VecDeque::new(),
            publishing: None,
            awaited: BTreeMap::new(),
            under_way: BTreeMap::new(),
            failed: None,
        }
    }

    pub(super) const fn ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        Ticket(self.last_ticket)
    }

    pub(super) fn queue_broadcast(&mut self, payload: Bytes) -> Result<Ticket, Refused> {
        self.check_storage()?;
        if self.broadcasts.len() + self.awaited.len() >= MAX_PENDING_BROADCASTS {
            return Err(Refused::TooManyPending);
        }
        let ticket = self.ticket();
        self.broadcasts.push_back((ticket, payload));
        Ok(ticket)
    }

    pub(super) fn queue_direct(&mut self, to: NodeId, payload: Bytes) -> Result<Ticket, Refused> {
        self.check_storage()?;
        if self.directs.len() + self.under_way.len() >= MAX_WAITING_DIRECT {
            return Err(Refused::QueueFull);
        }
        let ticket = self.ticket();
        self.directs.push_back((ticket, to, payload));
        Ok(ticket)
    }

    /// Direct messages that wait for a number will not be sent any more.
    pub(super) fn give_up_directs(&mut self) -> impl Iterator<Item = Ticket> + use<> {
        core::mem::take(&mut self.directs).into_iter().map(|(ticket, ..)| ticket)
    }

    /// The reservation of numbers to ask the disk for now, if any.
    pub(super) fn reservation(&mut self, kind: SequenceKind) -> Option<u64> {
        self.numbers(kind).ask()
    }

    /// The direct message with this ticket is over; its id.
    pub(super) fn direct_over(&mut self, ticket: Ticket) -> Option<MessageId> {
        self.under_way.remove(&ticket)
    }

    const fn numbers(&mut self, kind: SequenceKind) -> &mut Sequence {
        match kind {
            SequenceKind::Broadcast => &mut self.broadcast_numbers,
            SequenceKind::Direct => &mut self.direct_numbers,
        }
    }

    fn check_storage(&self) -> Result<(), Refused> {
        self.failed.clone().map_or(Ok(()), |why| Err(Refused::StorageFailed(why)))
    }
}

impl NodeCore {
    /// Sends what has a number, in order.
    pub(super) fn flush_outgoing(&mut self, now: Now) {
        while !self.publisher.broadcasts.is_empty() {
            let Some(sequence) = self.publisher.broadcast_numbers.take() else { break };
            let Some((ticket, payload)) = self.publisher.broadcasts.pop_front() else { break };
            let message = self.say(Audience::Everyone, sequence, now.wall, payload);
            self.publisher.publishing = Some(ticket);
            self.gossip.publish(now, message, &mut self.queues.gossip);
            self.route_until_idle(now);
        }
        while !self.publisher.directs.is_empty() {
            let Some(sequence) = self.publisher.direct_numbers.take() else { break };
            let Some((ticket, to, payload)) = self.publisher.directs.pop_front() else { break };
            let message = self.say(Audience::Node(to), sequence, now.wall, payload);
            self.publisher.under_way.insert(ticket, message.id());
            let up = self.sessions.is_up(&to);
            if self.direct.send(now, to, message, ticket, up, &mut self.queues.direct).is_err() {
                self.publisher.under_way.remove(&ticket);
                let outcome = Outcome::Undelivered(crate::direct::Undelivered::QueueFull);
                self.emit(Event::Completed { ticket, outcome });
            }
            self.route_until_idle(now);
        }
        self.reserve_numbers();
    }

    fn say(
        &self,
        audience: Audience,
        sequence: u64,
        timestamp: WallTime,
        payload: Bytes,
    ) -> Verified<AppMessage> {
        let sender = *self.me.public_key();
        let message = AppMessage { sender, audience, sequence, timestamp, payload };
        self.me.sign(message, &self.network)
    }

    /// Gossip keeps `message`; if it is the one being published, its ticket waits for the disk.
    pub(super) fn keep(&mut self, message: Verified<AppMessage>) {
        let id = message.id();
        let ours = message.content().sender == *self.me.public_key();
        let change = self.persist(Change::KeepMessage(message));
        if ours && let Some(ticket) = self.publisher.publishing.take() {
            self.publisher.awaited.insert(change, Awaited::Broadcast(ticket, id));
        }
    }

    /// Hands a change to the disk.
    pub(super) fn persist(&mut self, change: Change) -> ChangeId {
        self.publisher.last_change += 1;
        let id = ChangeId(self.publisher.last_change);
        if self.publisher.failed.is_some() {
            return id;
        }
        if let Change::ReserveSequence { kind, below } = change {
            self.publisher.awaited.insert(id, Awaited::Numbers(kind, below));
        }
        self.effects.push_back(Effect::Persist { id, change });
        id
    }

    /// The disk has everything up to `up_to`.
    pub(super) fn handle_persisted(&mut self, now: Now, up_to: ChangeId) {
        let later = self.publisher.awaited.split_off(&ChangeId(up_to.0.saturating_add(1)));
        for awaited in core::mem::replace(&mut self.publisher.awaited, later).into_values() {
            match awaited {
                Awaited::Numbers(kind, below) => {
                    self.publisher.numbers(kind).handle_reserved(below);
                }
                Awaited::Broadcast(ticket, id) => {
                    self.emit(Event::Completed { ticket, outcome: Outcome::Durable(id) });
                }
            }
        }
        self.flush_outgoing(now);
    }

    /// The disk is gone: what waits for it fails, what needs it is refused from now on.
    pub(super) fn handle_storage_failed(&mut self, why: String) {
        if self.publisher.failed.is_some() {
            return;
        }
        let awaited = core::mem::take(&mut self.publisher.awaited);
        let published = awaited.into_values().filter_map(|awaited| match awaited {
            Awaited::Broadcast(ticket, _) => Some(ticket),
            Awaited::Numbers(..) => None,
        });
        let queued = core::mem::take(&mut self.publisher.broadcasts);
        let unsent = core::mem::take(&mut self.publisher.directs);
        let tickets = published
            .chain(queued.into_iter().map(|(ticket, _)| ticket))
            .chain(unsent.into_iter().map(|(ticket, ..)| ticket));
        for ticket in tickets.collect::<Vec<_>>() {
            self.emit(Event::Completed { ticket, outcome: Outcome::NotDurable(why.clone()) });
        }
        self.publisher.failed = Some(why.clone());
        self.emit(Event::StorageFailed { why });
    }
}
