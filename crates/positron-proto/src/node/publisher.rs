//! Our own messages on their way: tickets, numbers, and what waits for the disk `[PROTOCOL 3.1]`.
//!
//! A broadcast is numbered, signed, pushed and handed to the disk in one step; its ticket completes
//! when the disk has it. Without a reserved number it waits, in order.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::{ChangeId, Numbers, Refused, SequenceKind, sequence::Sequence};
use crate::{
    id::{MessageId, NodeId, Ticket},
    limits::{MAX_NUMBER, MAX_PENDING_BROADCASTS, MAX_WAITING_DIRECT},
    time::WallTime,
};

/// See the module.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) last_ticket: u64,
    pub(super) last_change: u64,
    pub(super) broadcast_numbers: Sequence,
    pub(super) direct_numbers: Sequence,
    pub(super) broadcasts: VecDeque<(Ticket, Bytes)>,
    pub(super) directs: VecDeque<(Ticket, NodeId, Bytes)>,
    /// The broadcast that is being published right now, until gossip says that it keeps it.
    pub(super) publishing: Option<Ticket>,
    pub(super) awaited: BTreeMap<ChangeId, Awaited>,
    pub(super) under_way: BTreeMap<Ticket, MessageId>,
    pub(super) failed: Option<String>,
}

/// What becomes possible when a change is on disk.
#[derive(Clone, Copy, Debug)]
pub(super) enum Awaited {
    Numbers(SequenceKind, u64),
    Broadcast(Ticket, MessageId),
}

impl Publisher {
    /// The numbers were never given out, as far as this disk knows. Counting goes on at the
    /// clock if that is further: a key whose database was lost, or set back to a backup, would
    /// otherwise sign its old numbers again, which is equivocation.
    pub(super) fn new(next: Numbers, now: WallTime) -> Self {
        let clock = now.as_unix_micros().min(MAX_NUMBER / 2);
        Self {
            last_ticket: 0,
            last_change: 0,
            broadcast_numbers: Sequence::new(next.next_broadcast.max(clock)),
            direct_numbers: Sequence::new(next.next_direct.max(clock)),
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

    pub(super) const fn numbers(&mut self, kind: SequenceKind) -> &mut Sequence {
        match kind {
            SequenceKind::Broadcast => &mut self.broadcast_numbers,
            SequenceKind::Direct => &mut self.direct_numbers,
        }
    }

    pub(super) fn check_storage(&self) -> Result<(), Refused> {
        self.failed.clone().map_or(Ok(()), |why| Err(Refused::StorageFailed(why)))
    }
}
