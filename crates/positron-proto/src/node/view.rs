//! What a node looks like from outside at one moment: for `stats`, `status` and the simulator's
//! checkers.

use std::net::SocketAddr;

use super::{AllCounters, SubscriptionView, Wake};
use crate::{id::NodeId, peers::Bootstrap, session::sessions, time::Duration};

/// One linked peer.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerView {
    /// The session.
    pub session: sessions::SessionView,
    /// What we make of it.
    pub score: f64,
    /// How long it is linked.
    pub connected_for: Duration,
}

/// What is on its way to the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StorageView {
    /// What the disk waits for, in words, if it takes nothing for now.
    pub waits_for: Option<String>,
    /// Why it failed for good, if it did.
    pub failed: Option<String>,
    /// Changes that were made.
    pub changes: u64,
    /// Changes that are not on disk.
    pub waiting_changes: usize,
    /// Their memory in bytes, about.
    pub waiting_bytes: usize,
    /// Our own broadcasts that are not.
    pub waiting_broadcasts: usize,
}

/// A key that is used in two places at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedTwice {
    /// Whose: ours, or that of a peer.
    pub node: NodeId,
    /// Where: for our key the other place, as a peer told it; for that of a peer both.
    pub addresses: Vec<SocketAddr>,
}

/// The node at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeView {
    /// Who it is.
    pub id: NodeId,
    /// Where others can reach it, as far as it knows.
    pub external_addresses: Vec<SocketAddr>,
    /// Its peers, in order of their ids.
    pub peers: Vec<PeerView>,
    /// How many peers its address book has.
    pub known_peers: usize,
    /// How it goes with the bootstrap addresses.
    pub bootstrap: Vec<Bootstrap>,
    /// Broadcasts that it keeps, and their bytes.
    pub kept: (usize, usize),
    /// How its durable subscriptions stand.
    pub subscriptions: Vec<SubscriptionView>,
    /// How its disk is.
    pub storage: StorageView,
    /// How long until it acts, if nothing happens, and why.
    pub next_wake: Option<(Duration, Wake)>,
    /// Peers that it bans.
    pub banned: usize,
    /// Sessions that went on over a link of each kind instead of one of another.
    pub moves: sessions::PerKind<u64>,
    /// Keys that are used in two places at once: ours may be among them.
    pub used_twice: Vec<UsedTwice>,
    /// What happened.
    pub counters: AllCounters,
}
