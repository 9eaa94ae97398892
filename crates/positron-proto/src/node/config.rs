//! What a node is told once.

use crate::{gossip, id::NetworkId, peers, session::sessions, trust};

/// The configuration of every room.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Which network.
    pub network: NetworkId,
    /// Links.
    pub session: sessions::SessionConfig,
    /// Peers.
    pub peers: peers::PeersConfig,
    /// Gossip.
    pub gossip: gossip::GossipConfig,
    /// Trust.
    pub trust: trust::TrustConfig,
}
