//! What a substream is called, and why it ended.

use crate::id::NodeId;

/// Which substream, as this node names it. No two of a process have one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubstreamId {
    /// With whom.
    pub peer: NodeId,
    /// Who opened it.
    pub opener: OpenedBy,
    /// Counts those of its opener.
    pub number: u64,
}

/// Who opened a substream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OpenedBy {
    /// This node.
    Us,
    /// The other one.
    Peer,
}

/// Why a direction of a substream ended before its last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SubstreamEnd {
    /// The application at the other end gave up, with this code of its own.
    #[error("the other end gave up, with code {0}")]
    Application(u32),
    /// The other node has too many streams.
    #[error("the other node has too many streams")]
    Busy,
    /// The other node does not know the stream any more: the session ended there.
    #[error("the other node lost its session with this one")]
    Gone,
    /// The session ended, and with it everything that was not acknowledged.
    #[error("the session with that node ended")]
    SessionEnded,
}

impl SubstreamEnd {
    /// As it travels. The end of a session is never told: there is nobody to be told.
    pub(super) const fn to_code(self) -> u64 {
        match self {
            Self::Gone | Self::SessionEnded => 0,
            Self::Busy => 1,
            Self::Application(code) => 2 + code as u64,
        }
    }

    pub(super) fn from_code(code: u64) -> Option<Self> {
        match code {
            0 => Some(Self::Gone),
            1 => Some(Self::Busy),
            _ => u32::try_from(code - 2).ok().map(Self::Application),
        }
    }
}
