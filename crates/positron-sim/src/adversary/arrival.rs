//! What an adversary knows when it comes.

use std::{net::SocketAddr, sync::Arc};

use positron_proto::{
    handshake::link_public_key,
    id::{NetworkId, NodeId},
    identity::{Identity, Signed},
    node::NodeConfig,
    rng::Seed,
    wire::record::PeerRecord,
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

impl Arrival {
    /// What it says of itself, as any node does.
    pub(super) fn record(&self, sequence: u64) -> Signed<PeerRecord> {
        let record = PeerRecord {
            key: *self.identity.public_key(),
            sequence,
            noise_static: link_public_key(&self.identity),
            capabilities: 0,
            addresses: vec![self.addr.into()],
            carriers: Vec::new(),
            software: "guest".into(),
        };
        self.identity.sign(record, &self.network).claim().clone()
    }
}
