//! Our own messages on their way: tickets, numbers, signatures `[PROTOCOL 3.1]`.
//!
//! A broadcast is numbered, signed, pushed and handed to the disk in one step; its ticket completes
//! when the disk has it. It waits for that, in order, while there is no reserved number, and while
//! the peers do not keep up with what was published before.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;

use super::{Numbers, Refused, SequenceKind, sequence::Sequence};
use crate::{
    id::{MessageId, NetworkId, NodeId, Ticket},
    identity::{Identity, PublicKey, Verified},
    limits::{MAX_NUMBER, MAX_PENDING_BROADCASTS, MAX_PENDING_BYTES, MAX_WAITING_DIRECT},
    time::WallTime,
    wire::message::{AppMessage, Audience},
};

/// What the application says, from the command to the signed message.
///
/// [`queue_broadcast`](Self::queue_broadcast) and [`queue_direct`](Self::queue_direct) take it;
/// [`next_broadcast`](Self::next_broadcast) and [`next_direct`](Self::next_direct) give it back
/// signed, in order, as long as there are numbers. Those are reserved by
/// [`reservation`](Self::reservation), and there when the disk has that
/// ([`handle_reserved`](Self::handle_reserved)). A broadcast is taken to be kept
/// ([`handle_kept`](Self::handle_kept)) before the next one is asked for; a direct message is under
/// way until it is [`direct_over`](Self::direct_over).
///
/// Bounded by [`MAX_PENDING_BROADCASTS`], [`MAX_PENDING_BYTES`] and [`MAX_WAITING_DIRECT`].
#[derive(Debug)]
pub(super) struct Publisher {
    me: Arc<Identity>,
    network: NetworkId,
    last_ticket: u64,
    broadcast_numbers: Sequence,
    direct_numbers: Sequence,
    broadcasts: VecDeque<(Ticket, Bytes)>,
    /// Of the payloads of those.
    broadcast_bytes: usize,
    directs: VecDeque<(Ticket, NodeId, Bytes)>,
    /// The broadcast that is being published right now, until gossip says that it keeps it.
    publishing: Option<Ticket>,
    under_way: BTreeMap<Ticket, MessageId>,
}

impl Publisher {
    /// The numbers were never given out, as far as this disk knows. Counting goes on at the clock
    /// if that is further: a key whose database was lost, or set back to a backup, would otherwise
    /// sign its old numbers again, which is equivocation.
    pub(super) fn new(me: Arc<Identity>, network: NetworkId, next: Numbers, now: WallTime) -> Self {
        let clock = now.as_unix_micros().min(MAX_NUMBER / 2);
        Self {
            me,
            network,
            last_ticket: 0,
            broadcast_numbers: Sequence::new(next.next_broadcast.max(clock)),
            direct_numbers: Sequence::new(next.next_direct.max(clock)),
            broadcasts: VecDeque::new(),
            broadcast_bytes: 0,
            directs: VecDeque::new(),
            publishing: None,
            under_way: BTreeMap::new(),
        }
    }

    /// A ticket that was never given out.
    pub(super) const fn ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        Ticket(self.last_ticket)
    }

    /// Takes a broadcast, unless too many wait, here or, by `waiting`, for the disk. One is taken
    /// however large it is.
    pub(super) fn queue_broadcast(
        &mut self,
        payload: Bytes,
        waiting: usize,
    ) -> Result<Ticket, Refused> {
        let bytes = self.broadcast_bytes + payload.len();
        if self.broadcasts.len() + waiting >= MAX_PENDING_BROADCASTS
            || self.broadcast_bytes > 0 && bytes > MAX_PENDING_BYTES
        {
            return Err(Refused::TooManyPending);
        }
        self.broadcast_bytes = bytes;
        let ticket = self.ticket();
        self.broadcasts.push_back((ticket, payload));
        Ok(ticket)
    }

    /// Takes a direct message, unless too many wait for a number or for their receivers.
    pub(super) fn queue_direct(&mut self, to: NodeId, payload: Bytes) -> Result<Ticket, Refused> {
        if self.directs.len() + self.under_way.len() >= MAX_WAITING_DIRECT {
            return Err(Refused::QueueFull);
        }
        let ticket = self.ticket();
        self.directs.push_back((ticket, to, payload));
        Ok(ticket)
    }

    /// Whether broadcasts wait.
    pub(super) fn is_held_up(&self) -> bool {
        !self.broadcasts.is_empty()
    }

    /// The next broadcast, if there is a number for it.
    pub(super) fn next_broadcast(&mut self, now: WallTime) -> Option<Verified<AppMessage>> {
        let (sequence, (ticket, payload)) =
            pop_numbered(&mut self.broadcasts, &mut self.broadcast_numbers)?;
        self.broadcast_bytes -= payload.len();
        self.publishing = Some(ticket);
        Some(self.sign(Audience::Everyone, (sequence, payload), now))
    }

    /// The next direct message, its receiver and its ticket, if there is a number for it.
    pub(super) fn next_direct(
        &mut self,
        now: WallTime,
    ) -> Option<(NodeId, Ticket, Verified<AppMessage>)> {
        let (sequence, (ticket, to, payload)) =
            pop_numbered(&mut self.directs, &mut self.direct_numbers)?;
        let message = self.sign(Audience::Node(to), (sequence, payload), now);
        self.under_way.insert(ticket, message.id());
        Some((to, ticket, message))
    }

    fn sign(
        &self,
        audience: Audience,
        (sequence, payload): (u64, Bytes),
        timestamp: WallTime,
    ) -> Verified<AppMessage> {
        let sender = *self.me.public_key();
        let message = AppMessage { sender, audience, sequence, timestamp, payload };
        self.me.sign(message, &self.network)
    }

    /// A broadcast of `sender` is kept: its ticket, if it is the one that is being published.
    pub(super) fn handle_kept(&mut self, sender: &PublicKey) -> Option<Ticket> {
        self.publishing.take_if(|_| sender == self.me.public_key())
    }

    /// The direct message with this ticket is over; its id.
    pub(super) fn direct_over(&mut self, ticket: Ticket) -> Option<MessageId> {
        self.under_way.remove(&ticket)
    }

    /// Broadcasts that wait for a number will not be sent any more.
    pub(super) fn give_up_broadcasts(&mut self) -> impl Iterator<Item = Ticket> + use<> {
        self.broadcast_bytes = 0;
        core::mem::take(&mut self.broadcasts).into_iter().map(|(ticket, ..)| ticket)
    }

    /// Direct messages that wait for a number will not be sent any more.
    pub(super) fn give_up_directs(&mut self) -> impl Iterator<Item = Ticket> + use<> {
        core::mem::take(&mut self.directs).into_iter().map(|(ticket, ..)| ticket)
    }

    /// The reservation of numbers to ask the disk for now, if any.
    pub(super) fn reservation(&mut self, kind: SequenceKind) -> Option<u64> {
        self.numbers(kind).ask()
    }

    /// The disk has the reservation of every number below `below`.
    pub(super) fn handle_reserved(&mut self, kind: SequenceKind, below: u64) {
        self.numbers(kind).handle_reserved(below);
    }

    const fn numbers(&mut self, kind: SequenceKind) -> &mut Sequence {
        match kind {
            SequenceKind::Broadcast => &mut self.broadcast_numbers,
            SequenceKind::Direct => &mut self.direct_numbers,
        }
    }
}

/// The first of what waits, with a number, if there is one.
fn pop_numbered<T>(queue: &mut VecDeque<T>, numbers: &mut Sequence) -> Option<(u64, T)> {
    if queue.is_empty() {
        return None;
    }
    let sequence = numbers.take()?;
    queue.pop_front().map(|first| (sequence, first))
}
