//! What happens to a host, and when.

use core::cmp::{Ordering, Reverse};
use std::net::SocketAddr;

use bytes::Bytes;
use positron_proto::{
    id::LinkId, identity::Verdict, node::CheckId, session::sessions::LinkDown, time::Instant,
};

/// One end of one connection: which host, in which life of its process, by which name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PeerEnd {
    pub(crate) host: u32,
    pub(crate) life: u32,
    pub(crate) link: LinkId,
}

/// Something that happens to one host. What comes from another host takes at least the shortest
/// delay of the physics: that is what lets hosts run one window of time without one another.
#[derive(Debug)]
pub(crate) enum Event {
    /// A connection is asked for.
    Syn { from: PeerEnd, addr: SocketAddr, port: u16 },
    /// The connection that `to` asked for is there; `peer` is its other end.
    SynAck { to: LinkId, peer: PeerEnd },
    /// Bytes of a connection.
    Segment { to: LinkId, from: PeerEnd, bytes: Bytes },
    /// The other end wrote its last byte.
    Fin { to: LinkId },
    /// There is no such connection, or no longer.
    Rst { to: LinkId, reason: LinkDown },
    /// Bytes that arrived were not read.
    Unread { to: LinkId, bytes: usize },
    /// Bytes that had arrived were read at last.
    Read { to: LinkId, bytes: usize },
    /// A datagram, for whichever process listens.
    Datagram { from: SocketAddr, port: u16, sender: u32, bytes: Bytes },
    /// Own: the kernel may have room again.
    Room { link: LinkId },
    /// Own: what a stopped reader left in the kernel, or a cut held back, is there now.
    Release { link: LinkId },
    /// Own: an unanswered connection is asked for again.
    SynRetry { link: LinkId, attempt: u32 },
    /// Own: nobody answered.
    ConnectTimeout { link: LinkId },
    /// Own: a link that was to be flushed has had its time.
    Linger { link: LinkId },
    /// Own: the process reads its socket again.
    ReadSocket,
    /// Own: a link is over.
    Down { link: LinkId, reason: LinkDown },
    /// Own: a worker checked a signature.
    Verdict { check: CheckId, verdict: Verdict },
    /// Own: a batch is on disk.
    Committed,
    /// Own: nothing will ever be on disk again.
    DiskFailed,
    /// Own: a stopped process ends.
    Exit,
    /// Own: a name was looked up.
    Resolved { name: String },
}

/// An event with its place in the order of a host's events. The order depends on nothing but who
/// sent what when: neither on how hosts are scheduled nor on the order of delivery.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) at: Instant,
    /// Who sent it, and the how-many-eth of this sender it is.
    pub(crate) from: (u32, u64),
    /// The life of the process that it is meant for.
    pub(crate) life: u32,
    pub(crate) event: Event,
}

impl Entry {
    const fn key(&self) -> (Instant, (u32, u64)) {
        (self.at, self.from)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    /// Earliest last: a [`std::collections::BinaryHeap`] pops the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        Reverse(self.key()).cmp(&Reverse(other.key()))
    }
}
