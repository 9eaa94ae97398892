//! The port that the router of this network maps, where the operator wants that.

use super::NodeConfig;
use crate::{
    crypto::sha256,
    identity::Identity,
    nat::{Nat, PortWish},
    rng::Seed,
    session::sessions::LinkKind,
};

/// What knows of the translators before a node of this configuration.
pub(super) fn nat_of(config: &NodeConfig, me: &Identity, seed: &Seed) -> Nat {
    let nat = Nat::new(&config.peers.external, seed);
    if !config.map_port {
        return nat;
    }
    // The same after a crash: a router lets nobody else change what it mapped. Nobody can guess it,
    // and it says nothing of the key from which it is made.
    let secret = sha256(&[b"positron-net/port-mapping/1", me.link_secret()]);
    let (nonce, _) = secret.split_first_chunk().expect("a hash is longer");
    let with_tcp = config.session.transports.has(LinkKind::Tcp);
    nat.with_port_mapping(PortWish { with_tcp, nonce: *nonce })
}
