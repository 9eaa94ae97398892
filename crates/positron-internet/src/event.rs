//! What a process and its kernel say to one another.

use std::net::SocketAddr;

use bytes::Bytes;

/// A stream, as one process calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamId {
    /// One that the process asked for; the process chooses the number, each once.
    Dialled(u64),
    /// The `n`th that came to the process.
    Accepted(u64),
}

impl StreamId {
    /// Its number among those that began alike.
    pub const fn number(self) -> u64 {
        match self {
            Self::Dialled(n) | Self::Accepted(n) => n,
        }
    }
}

/// How a process closes a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hangup {
    /// After the kernel took everything that was written.
    Flush,
    /// At once.
    Abort,
}

/// Why a stream is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Nobody listens there.
    Refused,
    /// No answer.
    TimedOut,
    /// The other end, or something between, broke it off.
    Reset,
    /// The other end closed it, and all its bytes are here.
    Eof,
    /// The process closed it.
    HungUp,
}

/// What a kernel tells its process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<P> {
    /// A datagram came.
    Datagram {
        /// From whom, as it reads here.
        from: SocketAddr,
        /// To which of the process's addresses.
        to: SocketAddr,
        /// What.
        payload: P,
    },
    /// Somebody opened a stream.
    Accepted {
        /// How it is called here.
        id: StreamId,
        /// From where, as it reads here.
        from: SocketAddr,
    },
    /// A stream that was asked for is there.
    Connected {
        /// Which.
        id: StreamId,
    },
    /// Bytes of a stream, in order.
    Data {
        /// Of which.
        id: StreamId,
        /// What.
        bytes: Bytes,
    },
    /// The kernel took as many bytes of what was written.
    Written {
        /// To which stream.
        id: StreamId,
        /// How many.
        bytes: usize,
    },
    /// A stream is over.
    Closed {
        /// Which.
        id: StreamId,
        /// Why.
        why: Closed,
    },
}
