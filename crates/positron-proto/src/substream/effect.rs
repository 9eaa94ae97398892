//! The words of substreams: what they are told, what comes out of them.

use bytes::Bytes;

use super::{SubstreamEnd, SubstreamId, SubstreamMessage};
use crate::{
    id::{NodeId, Ticket},
    limits::{MAX_SUBSTREAMS, MAX_SUBSTREAMS_PER_PEER},
    misbehavior::Misbehavior,
};

/// Why no substream was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOpened {
    /// No link came up in time.
    #[error("no link to that node came up in time")]
    NoLink,
    /// There are as many as there may be.
    #[error(
        "too many streams are open: {MAX_SUBSTREAMS_PER_PEER} with one node, {MAX_SUBSTREAMS} in \
         all"
    )]
    TooMany,
    /// The node stops.
    #[error("the node is stopping")]
    Stopping,
}

/// What the application wants of a substream. What concerns one that is over does nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubstreamOrder {
    /// Send these bytes. [`SubstreamNews::Taken`] says when they are on their way.
    Write(Bytes),
    /// Nothing comes after what was written. [`SubstreamNews::Delivered`] says when all of it
    /// arrived.
    Finish,
    /// Send no more, and tell the reader this code.
    Reset(u32),
    /// So many more bytes were read: as many more may come.
    Consumed(usize),
    /// Read no more, and tell the writer this code.
    Stop(u32),
}

/// What happened to a substream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubstreamNews {
    /// The peer opened it.
    Incoming,
    /// These are the next bytes, to be reported by [`SubstreamOrder::Consumed`] when they are read.
    Data(Bytes),
    /// Those were the last.
    Finished,
    /// So many bytes of what was written are on their way.
    Taken(usize),
    /// All that was written arrived, up to its end.
    Delivered,
    /// The reader wants no more: the sending half is over.
    Stopped(SubstreamEnd),
    /// The writer gave up: the receiving half is over.
    Reset(SubstreamEnd),
}

/// What substreams want done, or say happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubstreamEffect {
    /// Send this; report [`handle_not_sent`](super::Substreams::handle_not_sent) if nobody takes
    /// it.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: SubstreamMessage,
        /// Whose end it is: report when it is acknowledged
        /// ([`handle_finish_sent`](super::Substreams::handle_finish_sent)).
        finishes: Option<SubstreamId>,
    },
    /// A link to this node is wanted.
    Connect(NodeId),
    /// There is a substream with this peer: told every
    /// [`PROBE_AFTER`](crate::limits::PROBE_AFTER), so that its death is noticed.
    Awaited(NodeId),
    /// The end of an [`open`](super::Substreams::open).
    Opened {
        /// What it was given.
        ticket: Ticket,
        /// What came of it.
        outcome: Result<SubstreamId, NotOpened>,
    },
    /// Something happened to a substream.
    News {
        /// Which.
        id: SubstreamId,
        /// What.
        news: SubstreamNews,
    },
    /// A peer did wrong.
    Misbehaved {
        /// Who.
        peer: NodeId,
        /// What.
        what: Misbehavior,
    },
}
