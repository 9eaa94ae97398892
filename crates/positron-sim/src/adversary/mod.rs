//! Hosts that are no nodes of ours, and mean them harm.

mod byzantine;
mod outsider;

use std::{net::SocketAddr, sync::Arc};

use positron_proto::{id::NetworkId, identity::Identity, rng::Seed};

use crate::{dice::named_dice, machine::Machine};
pub use byzantine::Attack;

/// What a guest does. All of it is bytes on links: a guest has no other way to reach anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adversary {
    /// Dials nodes and sends noise, lengths of four gigabytes, half a hello, or nothing at all, and
    /// answers whoever dials it alike.
    Outsider,
    /// Has an identity, makes sessions like any node, and abuses them.
    Byzantine(Attack),
}

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

impl Adversary {
    /// Its machine.
    pub(crate) fn machine(self, arrival: Arrival) -> Box<dyn Machine> {
        match self {
            Self::Outsider => {
                let dice = named_dice(&arrival.seed, "stranger");
                Box::new(outsider::Outsider::new(arrival.targets, dice))
            }
            Self::Byzantine(attack) => Box::new(byzantine::Byzantine::new(attack, arrival)),
        }
    }
}
