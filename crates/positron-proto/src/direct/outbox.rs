//! Direct messages that their receivers have not acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use super::{DirectMessage, QueueFull};
use crate::{
    id::{NodeId, Ticket},
    limits::{
        MAX_UNACKNOWLEDGED_DIRECT, MAX_UNACKNOWLEDGED_DIRECT_BYTES, MAX_WAITING_DIRECT,
        MAX_WAITING_DIRECT_BYTES,
    },
};

/// Messages that wait for a session, and messages that a session has taken; bounded apart.
///
/// To one peer they leave in order of their tickets: while one waits, later ones wait behind it.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pending: BTreeMap<Ticket, Pending>,
    by_peer: BTreeMap<NodeId, Tickets>,
    waiting: Load,
    taken: Load,
}

#[derive(Debug)]
struct Pending {
    to: NodeId,
    message: DirectMessage,
    bytes: usize,
    /// Whether a session took it at any time.
    tried: bool,
}

/// What is pending for one peer.
#[derive(Debug, Default)]
struct Tickets {
    waiting: BTreeSet<Ticket>,
    taken: BTreeSet<Ticket>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Load {
    messages: usize,
    bytes: usize,
}

/// What became of a message that is pending no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) to: NodeId,
    pub(super) tried: bool,
}

impl Outbox {
    /// Adds a message that waits.
    pub(super) fn add(
        &mut self,
        ticket: Ticket,
        to: NodeId,
        message: DirectMessage,
        bytes: usize,
    ) -> Result<(), QueueFull> {
        if !self.waiting.has_room(bytes, MAX_WAITING_DIRECT, MAX_WAITING_DIRECT_BYTES) {
            return Err(QueueFull);
        }
        self.waiting.add(bytes);
        self.by_peer.entry(to).or_default().waiting.insert(ticket);
        self.pending.insert(ticket, Pending { to, message, bytes, tried: false });
        Ok(())
    }

    /// Takes the first message that waits for `to`, for its session. `None`: nothing waits, or the
    /// sessions have enough.
    pub(super) fn take_next(&mut self, to: &NodeId) -> Option<(Ticket, DirectMessage)> {
        let tickets = self.by_peer.get_mut(to)?;
        let ticket = *tickets.waiting.first()?;
        let pending = self.pending.get_mut(&ticket)?;
        let (messages, bytes) = (MAX_UNACKNOWLEDGED_DIRECT, MAX_UNACKNOWLEDGED_DIRECT_BYTES);
        if !self.taken.has_room(pending.bytes, messages, bytes) {
            return None;
        }
        self.waiting.remove(pending.bytes);
        self.taken.add(pending.bytes);
        tickets.waiting.remove(&ticket);
        tickets.taken.insert(ticket);
        pending.tried = true;
        Some((ticket, pending.message.clone()))
    }

    /// The session gave it back: it waits again, even above the bound for newcomers. Returns for
    /// whom; `None` if no session had it.
    pub(super) fn put_back(&mut self, ticket: Ticket) -> Option<NodeId> {
        let pending = self.pending.get(&ticket)?;
        let tickets = self.by_peer.get_mut(&pending.to)?;
        if !tickets.taken.remove(&ticket) {
            return None;
        }
        tickets.waiting.insert(ticket);
        self.taken.remove(pending.bytes);
        self.waiting.add(pending.bytes);
        Some(pending.to)
    }

    /// It is pending no more.
    pub(super) fn end(&mut self, ticket: Ticket) -> Option<Ended> {
        let Pending { to, bytes, tried, .. } = self.pending.remove(&ticket)?;
        if let Some(tickets) = self.by_peer.get_mut(&to) {
            if tickets.waiting.remove(&ticket) {
                self.waiting.remove(bytes);
            } else if tickets.taken.remove(&ticket) {
                self.taken.remove(bytes);
            }
            if tickets.waiting.is_empty() && tickets.taken.is_empty() {
                self.by_peer.remove(&to);
            }
        }
        Some(Ended { to, tried })
    }

    /// Everything that is pending, in order.
    pub(super) fn tickets(&self) -> Vec<Ticket> {
        self.pending.keys().copied().collect()
    }

    /// Whether anything is pending for `peer`.
    pub(super) fn has_any(&self, peer: &NodeId) -> bool {
        self.by_peer.contains_key(peer)
    }

    /// Whether anything waits for `peer`.
    pub(super) fn has_waiting(&self, peer: &NodeId) -> bool {
        self.by_peer.get(peer).is_some_and(|tickets| !tickets.waiting.is_empty())
    }
}

impl Load {
    const fn has_room(&self, bytes: usize, max_messages: usize, max_bytes: usize) -> bool {
        self.messages < max_messages && self.bytes.saturating_add(bytes) <= max_bytes
    }

    const fn add(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes;
    }

    const fn remove(&mut self, bytes: usize) {
        self.messages -= 1;
        self.bytes -= bytes;
    }
}
