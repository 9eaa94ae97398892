//! What a node is told once.

use crate::{gossip, id::NetworkId, peers, session::sessions, trust};

/// The configuration of every room. Each room owns its defaults; there are no others, so that what
/// is simulated is what runs.
#[derive(Clone, Debug, PartialEq)]
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

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            network: NetworkId::from_name(NetworkId::DEFAULT),
            session: sessions::SessionConfig::default(),
            peers: peers::PeersConfig::default(),
            gossip: gossip::GossipConfig::default(),
            trust: trust::TrustConfig::default(),
        }
    }
}
