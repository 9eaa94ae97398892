//! What storage keeps, and what it brings back.

use crate::{
    gossip,
    id::NodeId,
    identity::Verified,
    peers::KnownPeer,
    standings::PeerTrust,
    time::WallTime,
    trust::{self, TrustEvent},
    wire::message::AppMessage,
};

/// Numbers the changes of one run: 1, 2, 3, ...
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeId(pub u64);

/// The two countings of a sender's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SequenceKind {
    /// To everyone.
    Broadcast,
    /// To one node.
    Direct,
}

/// One thing to be remembered. Applying a change twice is applying it once.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Our own numbers below `below` may have been used. Must survive a loss of power.
    ReserveSequence {
        /// Of which counting.
        kind: SequenceKind,
        /// The first number that was not given out.
        below: u64,
    },
    /// A broadcast of the retention window, our own or another's.
    KeepMessage(Verified<AppMessage>),
    /// It left the retention window.
    ForgetMessage {
        /// Whose.
        sender: NodeId,
        /// Which.
        sequence: u64,
    },
    /// Broadcasts of this sender below `floor` are old.
    Floor {
        /// Whose.
        sender: NodeId,
        /// The lowest number that may still be new.
        floor: u64,
    },
    /// Nothing is known any more of which broadcasts of this sender are old.
    ForgetFloor(NodeId),
    /// A peer of the address book.
    KeepPeer(KnownPeer),
    /// It left the address book.
    ForgetPeer(NodeId),
    /// What we make of a peer. With a ban it must survive a loss of power.
    KeepStanding {
        /// Whose.
        peer: NodeId,
        /// What.
        standing: PeerTrust,
        /// When it was last observed.
        at: WallTime,
    },
    /// A stranger again.
    ForgetStanding(NodeId),
    /// A line of the audit trail (bounded: [`crate::limits::MAX_TRUST_EVENTS`]).
    Audit(TrustEvent),
}

impl Change {
    /// Whether it must survive a loss of power, not only of the process.
    pub const fn is_critical(&self) -> bool {
        match self {
            Self::ReserveSequence { .. } => true,
            Self::KeepStanding { standing, .. } => standing.banned_until.is_some(),
            _ => false,
        }
    }
}

/// What storage brings back at the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Our first broadcast number that was never given out.
    pub next_broadcast: u64,
    /// Our first direct number that was never given out.
    pub next_direct: u64,
    /// Broadcasts and floors.
    pub gossip: gossip::GossipSnapshot,
    /// The address book.
    pub peers: Vec<KnownPeer>,
    /// What we make of peers.
    pub standings: Vec<trust::RememberedTrust>,
}
