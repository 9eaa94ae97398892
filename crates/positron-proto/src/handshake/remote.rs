//! Who proved to be at the other end of a link.

use std::net::SocketAddr;

use super::{agreement::Agreement, expect::Direction};
use crate::{id::NodeId, identity::PublicKey};

/// Who answers at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteNode {
    /// Who.
    pub id: NodeId,
    /// Its key.
    pub key: PublicKey,
    /// The static X25519 key of its links.
    pub noise_static: [u8; 32],
    /// The start of its process.
    pub boot: u64,
    /// Where it is.
    pub addr: SocketAddr,
    /// Who dialled.
    pub direction: Direction,
}

impl RemoteNode {
    pub(crate) const fn of(agreed: &Agreement, addr: SocketAddr, direction: Direction) -> Self {
        Self {
            id: agreed.id,
            key: agreed.key,
            noise_static: agreed.noise_static,
            boot: agreed.boot,
            addr,
            direction,
        }
    }
}
