//! What an adversary knows when it comes.

use std::{net::SocketAddr, sync::Arc};

use positron_proto::{
    id::{NetworkId, NodeId},
    identity::Identity,
    node::NodeConfig,
    rng::Seed,
};

/// What a guest knows when it comes.
pub(crate) struct Arrival {
    pub(crate) identity: Arc<Identity>,
    pub(crate) network: NetworkId,
    /// What the nodes run with.
    pub(crate) config: NodeConfig,
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    /// Which of its processes this is: 1, 2, 3, ...
    pub(crate) life: u32,
    /// The addresses of all nodes.
    pub(crate) targets: Vec<SocketAddr>,
    /// The first of them that is no bootstrap node.
    pub(crate) victim: NodeId,
    pub(crate) seed: Seed,
}
