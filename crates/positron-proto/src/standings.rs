//! What we make of every peer: made by `trust`, lent to `peers` and `gossip`.

use std::collections::BTreeMap;

use crate::{id::NodeId, time::WallTime};

/// What we make of one peer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeerTrust {
    /// From 0.0 (worthless) to the configured maximum (1.0 unless said).
    pub score: f64,
    /// Until when it is refused; `None` when it is welcome.
    pub banned_until: Option<WallTime>,
}

/// The standing of every peer that was ever observed, and of strangers.
#[derive(Clone, Debug)]
pub struct TrustTable {
    initial: f64,
    known: BTreeMap<NodeId, PeerTrust>,
}

impl TrustTable {
    /// Nobody was observed yet; strangers stand at `initial`.
    pub fn new(initial: f64) -> Self {
        Self { initial, known: BTreeMap::new() }
    }

    /// The standing of `peer`.
    pub fn of(&self, peer: &NodeId) -> PeerTrust {
        let stranger = PeerTrust { score: self.initial, banned_until: None };
        self.known.get(peer).copied().unwrap_or(stranger)
    }

    /// Whether `peer` is refused at `now`.
    pub fn is_banned(&self, peer: &NodeId, now: WallTime) -> bool {
        self.of(peer).banned_until.is_some_and(|until| now < until)
    }

    /// Every observed peer, in order of its id.
    pub fn iter(&self) -> impl Iterator<Item = (&NodeId, &PeerTrust)> {
        self.known.iter()
    }

    /// How many peers were observed.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether nobody was observed yet.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    pub(crate) fn set(&mut self, peer: NodeId, standing: PeerTrust) {
        self.known.insert(peer, standing);
    }

    pub(crate) fn forget(&mut self, peer: &NodeId) {
        self.known.remove(peer);
    }
}
