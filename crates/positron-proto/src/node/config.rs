//! What a node is told once.

use crate::{gossip, id::NetworkId, peers, session::sessions, trust};

/// The configuration of every room.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which network.
    pub network: NetworkId,
    /// Links.
    pub session: sessions::Config,
    /// Peers.
    pub peers: peers::Config,
    /// Gossip.
    pub gossip: gossip::Config,
    /// Trust.
    pub trust: trust::Config,
}
