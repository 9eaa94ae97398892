//! Gossip, beside gossipsub of libp2p and iroh-gossip.

mod comparison;
mod gossipsub;
mod iroh;
mod load;
mod network;
mod node;
mod options;
mod plan;
mod positron;
mod process;
mod rounds;
mod tally;
mod worker;

pub(crate) use gossipsub::GossipsubNode;
pub(crate) use iroh::IrohNode;
pub(crate) use options::{GossipOptions, Protocol};
pub(crate) use positron::PositronNode;
pub(crate) use rounds::measure_all;
pub(crate) use worker::run;
