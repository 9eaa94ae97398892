//! How it goes with the addresses that the operator gave, in words.

use core::fmt;

use crate::{id::NodeId, session::sessions::DialFailure};

/// How it goes with one bootstrap address: in words for `start` and `status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// As it was given.
    pub address: String,
    /// Who gave it.
    pub given: Given,
    /// What happened last.
    pub state: BootstrapState,
    /// Dials so far.
    pub attempts: u32,
}

/// By whom a bootstrap address was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// The configuration names it.
    Configured,
    /// The running node was asked to join there.
    Joined,
}

/// See [`Bootstrap`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootstrapState {
    /// Not tried yet, or being tried: nobody has answered since the start, or since the last peer
    /// was lost.
    Trying,
    /// Linked, or it answered before.
    Reached(NodeId),
    /// The address does not read as `host:port`.
    Unusable(String),
    /// The name has no address, and why.
    Unresolved(String),
    /// The last attempt failed, and why.
    Failed(DialFailure),
    /// This node answers there, and we have no slot for it.
    NoFreeSlot(NodeId),
    /// This node answers there, and we have dialled as many as we may.
    NoFreeOutbound(NodeId),
}

impl fmt::Display for BootstrapState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trying => f.write_str("being tried"),
            Self::Reached(node) => write!(f, "reached node {}", node.short()),
            Self::Unusable(why) | Self::Unresolved(why) => f.write_str(why),
            Self::Failed(why) => why.fmt(f),
            Self::NoFreeSlot(node) => {
                write!(
                    f,
                    "node {} answers, and this one has no free slot (`max_peers`)",
                    node.short()
                )
            }
            Self::NoFreeOutbound(node) => write!(
                f,
                "node {} answers, and this one has dialled as many as it may (`max_outbound`)",
                node.short()
            ),
        }
    }
}
