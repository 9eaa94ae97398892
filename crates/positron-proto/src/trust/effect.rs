//! What trust wants done, and what storage brings back.

use std::sync::Arc;

use crate::{
    id::NodeId,
    misbehavior::{BanReason, Observation},
    standings::PeerTrust,
    subnet::Subnet,
    time::WallTime,
};

/// One change of a score, for the audit trail.
#[derive(Clone, Debug, PartialEq)]
pub struct TrustEvent {
    /// Whose.
    pub peer: NodeId,
    /// When.
    pub at: WallTime,
    /// Why.
    pub observation: Observation,
    /// By how much.
    pub change: f64,
    /// To what.
    pub score: f64,
}

/// What trust wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum TrustEffect {
    /// Keep the standing across restarts.
    Remember(RememberedTrust),
    /// Forget the standing.
    Forget(NodeId),
    /// Refuse whoever is there, across restarts.
    BanAddress(AddressBan),
    /// Refuse nobody for being there any more.
    UnbanAddress(Subnet),
    /// Write to the audit trail. Routine good behaviour is summed up, wrong is written at once.
    Record(TrustEvent),
    /// Refuse this stranger, for as long as it is remembered.
    Refuse(NodeId),
    /// Refuse the peer until then.
    Ban {
        /// Whom.
        peer: NodeId,
        /// Until when.
        until: WallTime,
        /// For what.
        why: BanReason,
    },
}

/// A ban of all who are at some addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressBan {
    /// At which.
    pub addresses: Subnet,
    /// Until when.
    pub until: WallTime,
    /// Why, for people.
    pub why: Arc<str>,
}

/// What storage keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct RememberedTrust {
    /// Whose.
    pub peer: NodeId,
    /// What.
    pub standing: PeerTrust,
    /// When it was last observed.
    pub at: WallTime,
    /// The application's words, if it is the application that refuses it.
    pub ordered: Option<Arc<str>>,
}
