//! What an adversary knows when it comes.

use std::{net::SocketAddr, sync::Arc};

use positron_proto::{
    handshake::link_public_key,
    id::NetworkId,
    identity::{Identity, Signed},
    rng::Seed,
    wire::record::PeerRecord,
};

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
