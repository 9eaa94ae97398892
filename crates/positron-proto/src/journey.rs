//! What happens to a message at this node: told by `gossip` and `direct`, kept by `trace`.

use crate::{
    id::{MessageId, NodeId},
    time::Instant,
};

/// Which of the broadcasts that this process took, counted from 1: names one without a search. What
/// storage brought back has none of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nth(pub u64);

impl Nth {
    /// The one after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// One step of a broadcast that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JourneyStep {
    /// It is here, and was not before.
    Taken(Origin),
    /// It went on, or word of it.
    Forwarded {
        /// To whom.
        to: Vec<NodeId>,
        /// How.
        how: Forwarding,
    },
    /// The session with this peer did not take it.
    NotSent(NodeId),
    /// This peer sent it too.
    Repeated(NodeId),
    /// This peer said, unasked, that it has it too.
    Had(NodeId),
}

/// Where a message came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its name.
    pub id: MessageId,
    /// Who signed it.
    pub sender: NodeId,
    /// Its number.
    pub sequence: u64,
    /// How it came here.
    pub arrival: CameFrom,
    /// Whom it came from besides, while it was checked.
    pub also: Vec<NodeId>,
}

/// How a message came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CameFrom {
    /// We wrote it.
    Own,
    /// From a peer.
    Heard {
        /// From whom first.
        from: NodeId,
        /// When, before its signature was checked.
        at: Instant,
        /// Whether we had asked for it.
        asked: bool,
    },
}

/// How a message goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Forwarding {
    /// At once, along the tree of pushes.
    Push,
    /// Only that it is there.
    Announce,
    /// To who asked for it.
    Serve,
    /// To the one whom it is for.
    Send,
}

impl Forwarding {
    /// Whether the message itself went, and not only word of it.
    pub const fn is_whole(self) -> bool {
        !matches!(self, Self::Announce)
    }
}

/// A broadcast that was not taken when it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Who is said to have signed it.
    pub sender: NodeId,
    /// Its number.
    pub sequence: u64,
    /// Its name, where its signature was looked at.
    pub id: Option<MessageId>,
    /// Who brought it.
    pub from: NodeId,
    /// Why.
    pub why: DropReason,
}

/// Why a broadcast was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// Its signature is not its sender's.
    Forged,
    /// Its sender signed another content under the same number before.
    Equivocation,
    /// Its number is below what is still new of its sender.
    Stale,
    /// Older messages of its sender had to stay; it is asked for again.
    NoRoom,
    /// Too much waited to be checked; it is asked for again.
    NotChecked,
    /// The application does not accept it.
    NotAccepted,
}

impl DropReason {
    /// In words.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Forged => "its signature is not its sender's",
            Self::Equivocation => "its sender signed another content under the same number before",
            Self::Stale => "its number is below what is still new of its sender",
            Self::NoRoom => "older messages of its sender had to stay; it is asked for again",
            Self::NotAccepted => "the application does not accept it",
            Self::NotChecked => "too much waited to be checked; it is asked for again",
        }
    }
}
