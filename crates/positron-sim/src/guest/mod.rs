//! Hosts that are no nodes of ours, and mean them harm.

mod stranger;

use std::net::SocketAddr;

use crate::{dice::Dice, machine::Machine};

/// What a guest does. All of it is bytes on links: a guest has no other way to reach anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guest {
    /// Dials nodes and sends noise, lengths of four gigabytes, half a hello, or nothing at all, and
    /// answers whoever dials it alike.
    Stranger,
}

impl Guest {
    /// Its machine; `targets` are the addresses of all nodes.
    pub(crate) fn machine(self, targets: Vec<SocketAddr>, dice: Dice) -> Box<dyn Machine> {
        match self {
            Self::Stranger => Box::new(stranger::Stranger::new(targets, dice)),
        }
    }
}
