//! What waits to be sent, and whose turn it is.

use core::ops::Bound;
use std::{
    collections::{BTreeSet, VecDeque},
    net::SocketAddr,
};

use super::contract::ConnectionId;
use crate::limits::MAX_UNSEALED_QUEUE;

/// Whole unsealed datagrams, which go before everything sealed, and the connections that may have
/// something to send, which take turns.
///
/// **Bounds**: [`MAX_UNSEALED_QUEUE`] datagrams; more are dropped, as on any network.
#[derive(Debug, Default)]
pub(super) struct TransmitQueue {
    unsealed: VecDeque<(SocketAddr, Vec<u8>)>,
    ready: BTreeSet<ConnectionId>,
    /// The connection that was served last: the one after it is next.
    served: Option<ConnectionId>,
}

impl TransmitQueue {
    /// Queues an unsealed datagram, unless too many wait.
    pub(super) fn push(&mut self, to: SocketAddr, datagram: Vec<u8>) {
        if self.unsealed.len() < MAX_UNSEALED_QUEUE {
            self.unsealed.push_back((to, datagram));
        }
    }

    /// The next unsealed datagram.
    pub(super) fn pop(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.unsealed.pop_front()
    }

    /// Unsealed datagrams that wait.
    #[cfg(test)]
    pub(super) fn unsealed(&self) -> usize {
        self.unsealed.len()
    }

    /// A connection may have something to send.
    pub(super) fn set_ready(&mut self, id: ConnectionId) {
        self.ready.insert(id);
    }

    /// A connection has nothing more to send.
    pub(super) fn clear_ready(&mut self, id: ConnectionId) {
        self.ready.remove(&id);
    }

    /// The connection whose turn it is.
    pub(super) fn next_ready(&mut self) -> Option<ConnectionId> {
        let after = (self.served.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let next = self.ready.range(after).next().or_else(|| self.ready.first()).copied()?;
        self.served = Some(next);
        Some(next)
    }
}
