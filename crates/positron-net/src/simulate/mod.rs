//! A network on this machine: real nodes, real sockets, real databases, and books about every
//! message.

mod cpu;
pub(crate) mod experiment;
mod latency;
mod lateness;
mod ledger;
mod live;
mod living;
mod network;
mod play;
mod record;
mod report;
mod table;
mod traffic;
pub(crate) mod virtual_time;

pub(crate) use latency::Percentiles;
pub(crate) use ledger::lock;
pub(crate) use live::LiveNetwork;
pub(crate) use living::Living;
pub(crate) use network::{LocalNetwork, MAX_NODES, Nodes};
pub(crate) use play::play;
pub(crate) use record::Record;
pub(crate) use report::Report;
pub(crate) use traffic::{PAYLOAD, Plan};
