//! What goes to the disk, and what may be said when it is there.

use bytes::Bytes;

use super::{
    ChangeId, Effect, Event, NodeCore, Outcome, SequenceKind, change::reserve, publisher::Awaited,
};
use crate::{
    gossip::change::keep_message,
    identity::Verified,
    storage::Change,
    time::{Now, WallTime},
    wire::message::{AppMessage, Audience},
};

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
    pub(super) fn keep(&mut self, message: &Verified<AppMessage>) {
        let id = message.id();
        let ours = message.content().sender == *self.me.public_key();
        let change = self.persist(keep_message(message));
        if ours && let Some(ticket) = self.publisher.publishing.take() {
            self.publisher.awaited.insert(change, Awaited::Broadcast(ticket, id));
        }
    }

    /// Asks the disk for the numbers that will be needed next.
    pub(super) fn reserve_numbers(&mut self) {
        if self.publisher.failed.is_some() {
            return;
        }
        for kind in [SequenceKind::Broadcast, SequenceKind::Direct] {
            if let Some(below) = self.publisher.reservation(kind) {
                let change = self.persist(reserve(kind, below));
                self.publisher.awaited.insert(change, Awaited::Numbers(kind, below));
            }
        }
    }

    /// Hands a change to the disk.
    pub(super) fn persist(&mut self, change: Change) -> ChangeId {
        self.publisher.last_change += 1;
        let id = ChangeId(self.publisher.last_change);
        if self.publisher.failed.is_some() {
            return id;
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
