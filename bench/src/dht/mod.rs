//! The hash table, beside Kademlia of libp2p.

mod contender;
mod crew;
mod kademlia;
mod options;
mod order;
mod positron;
mod report;
mod round;
mod rounds;
mod worker;

pub(crate) use kademlia::Libp2p;
pub(crate) use options::{DhtOptions, Stack};
pub(crate) use positron::Positron;
pub(crate) use rounds::measure_all;
pub(crate) use worker::run;
