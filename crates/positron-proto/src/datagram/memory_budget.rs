//! What all connections of an endpoint hold together, and who gives way beyond it.

use core::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::{contract::ConnectionId, incoming::Unfinished};
use crate::{
    limits::{ENDPOINT_OVERDRAFT_BYTES, MAX_FRAGMENT_BYTES},
    time::Instant,
};

/// What the connections of an endpoint hold that is bounded over all of them.
///
/// Say with [`note`](Self::note) what a connection holds, after each change. Then let the ones that
/// are named give way, and note that, until nobody is named.
///
/// **Bounds**: [`MAX_FRAGMENT_BYTES`] of unfinished messages, [`ENDPOINT_OVERDRAFT_BYTES`] beyond
/// what windows promised.
#[derive(Debug, Default)]
pub(super) struct MemoryBudget {
    /// Connections that hold something of either.
    held: BTreeMap<ConnectionId, Held>,
    /// Unfinished messages: the connection of the oldest gives way.
    unfinished: Shares<Instant>,
    /// What is held beyond the windows: the connection that holds most gives way.
    overdrafts: Shares<Reverse<u64>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Held {
    unfinished: Option<Share<Instant>>,
    overdraft: Option<Share<Reverse<u64>>>,
}

/// What one connection holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Share<K> {
    /// The lowest gives way first.
    rank: K,
    bytes: usize,
}

/// The shares of one kind, in the order in which they give way.
#[derive(Debug, Default)]
struct Shares<K> {
    order: BTreeSet<(K, ConnectionId)>,
    bytes: usize,
}

impl MemoryBudget {
    /// What a connection holds by now.
    pub(super) fn note(
        &mut self,
        id: ConnectionId,
        unfinished: Option<Unfinished>,
        overdraft: u64,
    ) {
        let unfinished = unfinished.map(|it| Share { rank: it.since, bytes: it.bytes });
        let overdraft = (overdraft > 0).then(|| Share {
            rank: Reverse(overdraft),
            bytes: usize::try_from(overdraft).unwrap_or(usize::MAX),
        });
        let after = Held { unfinished, overdraft };
        let before = if after == Held::default() {
            self.held.remove(&id)
        } else {
            self.held.insert(id, after)
        };
        let before = before.unwrap_or_default();
        self.unfinished.change(id, before.unfinished, after.unfinished);
        self.overdrafts.change(id, before.overdraft, after.overdraft);
    }

    /// A connection is gone.
    pub(super) fn forget(&mut self, id: ConnectionId) {
        self.note(id, None, 0);
    }

    /// The connection that has to let go of its oldest unfinished message, if there are too many.
    pub(super) fn beyond_fragments(&self) -> Option<ConnectionId> {
        self.unfinished.beyond(MAX_FRAGMENT_BYTES)
    }

    /// The connection that has to end, if too much is held beyond what windows promised. Honest
    /// ends go beyond theirs too, by messages in fragments that became whole; but whoever holds
    /// most is hardly one of them.
    pub(super) fn beyond_windows(&self) -> Option<ConnectionId> {
        self.overdrafts.beyond(ENDPOINT_OVERDRAFT_BYTES)
    }
}

impl<K: Ord + Copy> Shares<K> {
    fn change(&mut self, id: ConnectionId, before: Option<Share<K>>, after: Option<Share<K>>) {
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
