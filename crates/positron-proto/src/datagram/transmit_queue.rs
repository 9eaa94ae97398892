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
    unsealed: VecDeque<Unsealed>,
    ready: BTreeSet<ConnectionId>,
    /// The connection that was served last: the one after it is next.
    served: Option<ConnectionId>,
}

/// A whole datagram.
#[derive(Debug)]
pub(super) struct Unsealed {
    pub(super) to: SocketAddr,
    pub(super) datagram: Vec<u8>,
    /// How many hops it goes, if not as far as it gets.
    pub(super) hops: Option<u8>,
}

impl TransmitQueue {
    /// Queues an unsealed datagram, unless too many wait.
    pub(super) fn push(&mut self, to: SocketAddr, datagram: Vec<u8>) {
        self.push_hops(to, datagram, None);
    }

    /// The same for one that goes so many hops only.
    pub(super) fn push_hops(&mut self, to: SocketAddr, datagram: Vec<u8>, hops: Option<u8>) {
        if self.unsealed.len() < MAX_UNSEALED_QUEUE {
            self.unsealed.push_back(Unsealed { to, datagram, hops });
        }
    }

    /// The next unsealed datagram.
    pub(super) fn pop(&mut self) -> Option<Unsealed> {
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
