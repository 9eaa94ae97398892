//! What all connections of an endpoint may hold together, and who gives way beyond it.

use core::cmp::Reverse;
use std::collections::BTreeSet;

use super::{contract::ConnectionId, endpoint::Endpoint};
use crate::{
    limits::{ENDPOINT_OVERDRAFT_BYTES, MAX_FRAGMENT_BYTES},
    time::Now,
    wire::frame::CloseReason,
};

/// What the connections hold of something that is bounded over all of them, in the order in which
/// they give way.
#[derive(Debug, Default)]
pub(super) struct Shares<K> {
    order: BTreeSet<(K, ConnectionId)>,
    bytes: usize,
}

/// What one connection holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share<K> {
    /// The lowest gives way first.
    pub(super) rank: K,
    pub(super) bytes: usize,
}

impl<K: Ord + Copy> Shares<K> {
    /// What a connection holds, before and now.
    pub(super) fn change(
        &mut self,
        id: ConnectionId,
        before: Option<Share<K>>,
        after: Option<Share<K>>,
    ) {
        if before == after {
            return;
        }
        if let Some(Share { rank, bytes }) = before {
            self.order.remove(&(rank, id));
            self.bytes = self.bytes.saturating_sub(bytes);
        }
        if let Some(Share { rank, bytes }) = after {
            self.order.insert((rank, id));
            self.bytes = self.bytes.saturating_add(bytes);
        }
    }

    /// The connection that has to give way if more than `most` bytes are held.
    fn beyond(&self, most: usize) -> Option<ConnectionId> {
        self.order.first().filter(|_| self.bytes > most).map(|(_, id)| *id)
    }
}

impl Endpoint {
    /// Notes what a connection holds by now, and keeps unfinished messages within their bound.
    pub(super) fn share(&mut self, id: ConnectionId) {
        self.count(id);
        while let Some(oldest) = self.unfinished.beyond(MAX_FRAGMENT_BYTES) {
            let Some(row) = self.rows.get_mut(&oldest) else { return };
            if row.connection.give_up_oldest() == 0 {
                return;
            }
            self.counters.messages_given_up += 1;
            self.dirty.insert(oldest);
            self.count(oldest);
        }
    }

    /// Ends the connections that hold most while too much is held beyond what windows promised.
    /// Honest ends go beyond theirs too, by messages in fragments that became whole; but whoever
    /// holds most is hardly one of them.
    pub(super) fn enforce_memory_budget(&mut self, now: Now) {
        while let Some(greatest) = self.overdrafts.beyond(ENDPOINT_OVERDRAFT_BYTES) {
            let Some(row) = self.rows.get_mut(&greatest) else { return };
            row.connection.reset(now.mono, CloseReason::SlotsFull);
            self.settle(greatest);
        }
    }

    fn count(&mut self, id: ConnectionId) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        let unfinished = row.connection.unfinished();
        let unfinished = unfinished.map(|it| Share { rank: it.since, bytes: it.bytes });
        let before = core::mem::replace(&mut row.unfinished, unfinished);
        self.unfinished.change(id, before, unfinished);
        let bytes = row.connection.overdraft();
        let overdraft = (bytes > 0).then(|| Share {
            rank: Reverse(bytes),
            bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
        });
        let before = core::mem::replace(&mut row.overdraft, overdraft);
        self.overdrafts.change(id, before, overdraft);
    }
}
