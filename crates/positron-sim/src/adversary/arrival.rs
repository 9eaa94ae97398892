//! What an adversary knows when it comes.

use std::{net::SocketAddr, sync::Arc};

use positron_proto::{id::NetworkId, identity::Identity, rng::Seed};

/// What a guest knows when it comes.
pub(crate) struct Arrival {
    pub(crate) identity: Arc<Identity>,
    pub(crate) network: NetworkId,
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    /// The addresses of all nodes.
    pub(crate) targets: Vec<SocketAddr>,
    pub(crate) seed: Seed,
}
