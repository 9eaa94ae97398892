//! The words of links over byte streams: what is to be done with the streams, and what happened.

use core::ops::Range;
use std::net::SocketAddr;

use bytes::Bytes;

use crate::{
    handshake::{HandshakeFailure, RemoteNode},
    id::LinkId,
    limits::SHARED_TAIL,
    wire::body::Body,
};

/// How a stream is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hangup {
    /// After everything written has been taken by the kernel.
    Flush,
    /// At once.
    Abort,
}

/// Why a stream ended, as the operating system tells it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkDown {
    /// Nobody listens there.
    #[error("connection refused: nobody listens there")]
    Refused,
    /// No answer.
    #[error("timed out: no answer from this address")]
    TimedOut,
    /// No route.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// The other end vanished.
    #[error("connection reset")]
    Reset,
    /// The other end closed without saying why.
    #[error("connection closed")]
    Eof,
    /// We hung up.
    #[error("hung up by this node")]
    HungUp,
    /// We dial nobody at this address.
    #[error("this node has banned that address")]
    BannedAddress,
    /// Anything else the operating system says.
    #[error("{0}")]
    Other(String),
}

/// What is to be done with a stream, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEffect {
    /// Open one; [`connected`](super::StreamEndpoint::handle_connected) or
    /// [`link down`](super::StreamEndpoint::handle_link_down) answers.
    Dial {
        /// Its name.
        link: LinkId,
        /// Where to.
        to: SocketAddr,
    },
    /// Write all of it.
    Write {
        /// To which.
        link: LinkId,
        /// What.
        bytes: Bytes,
    },
    /// Read it, or not.
    Read {
        /// Which.
        link: LinkId,
        /// Which of the two.
        reading: Reading,
    },
    /// End it; [`link down`](super::StreamEndpoint::handle_link_down) answers.
    Hangup {
        /// Which.
        link: LinkId,
        /// How.
        how: Hangup,
    },
}

/// Whether a stream is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// As it arrives.
    Open,
    /// Not for now: what arrives stays with the kernel, and fills the other end's window.
    Held,
}

/// What happened on a link, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamLinkEvent {
    /// A stream that we dialled is open; the handshake is under way.
    Reached {
        /// Which.
        link: LinkId,
    },
    /// The other end proved who it is; one that dialled us, that it is live too: its first record
    /// opened.
    Authenticated {
        /// Which.
        link: LinkId,
        /// Who.
        remote: RemoteNode,
    },
    /// The contents of one record, never empty: a slice of the buffer in which it arrived.
    Record {
        /// On which link.
        link: LinkId,
        /// What was sealed.
        contents: Bytes,
    },
    /// The kernel took some of what was written.
    Taken {
        /// On which link.
        link: LinkId,
    },
    /// The link is of no use; [`close`](super::StreamEndpoint::close) or
    /// [`reset`](super::StreamEndpoint::reset) it. Nothing of it follows but `Closed`.
    Failed {
        /// Which.
        link: LinkId,
        /// Why.
        why: StreamFault,
    },
    /// The stream ended. The last event of each link.
    Closed {
        /// Which.
        link: LinkId,
        /// Why.
        why: LinkDown,
    },
}

/// Why a link is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamFault {
    /// The handshake led to nothing.
    Handshake(HandshakeFailure),
    /// A record does not open: somebody else's bytes, or broken ones. Nobody's misbehavior.
    Forged,
}

/// A buffer to which the contents of one record are appended.
#[derive(Debug, Default)]
pub struct Draft {
    /// Append here, at most [`MAX_RECORD`](crate::limits::MAX_RECORD) bytes of contents.
    pub bytes: Vec<u8>,
    /// Where the record begins, with room for what goes in front of the contents.
    pub(super) start: usize,
    /// Bytes in front of the contents.
    pub(super) front: usize,
    /// What stands behind the bytes, shared with whoever queued it; nothing may follow it.
    pub(crate) tail: Bytes,
    /// Whether it may have a tail: where a record is sealed in its place it may not.
    shares: bool,
}

impl Draft {
    /// A draft of which the end may be shared instead of copied.
    pub(crate) fn sharing() -> Self {
        Self { shares: true, ..Self::default() }
    }

    pub(super) const fn within(bytes: Vec<u8>, start: usize, front: usize) -> Self {
        Self { bytes, start, front, tail: Bytes::new(), shares: false }
    }

    /// Bytes of the contents so far.
    pub const fn len(&self) -> usize {
        self.bytes.len() - self.start - self.front + self.tail.len()
    }

    /// Whether something may be appended.
    pub(crate) const fn is_open(&self) -> bool {
        self.tail.is_empty()
    }

    /// Appends this range of a message: its end is shared if it is worth it, and then nothing
    /// follows it.
    pub(crate) fn append(&mut self, body: &Body, range: Range<usize>) {
        if self.shares {
            let (head, tail) = body.slice(range.clone());
            if tail.len() >= SHARED_TAIL {
                self.bytes.extend_from_slice(&head);
                self.tail = tail;
                return;
            }
        }
        body.parts(range).into_iter().for_each(|part| self.bytes.extend_from_slice(part));
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamCounters {
    /// Bytes given to streams.
    pub bytes_sent: u64,
    /// Bytes taken from streams.
    pub bytes_received: u64,
    /// Records sealed.
    pub records_sealed: u64,
    /// Records opened.
    pub records_opened: u64,
}
