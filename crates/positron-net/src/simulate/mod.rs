//! A network on this machine: real nodes, real sockets, real databases, and books about every
//! message.

mod cpu;
mod latency;
mod ledger;
mod network;
mod report;
mod table;
mod traffic;
pub(crate) mod virtual_time;

pub(crate) use cpu::process_seconds;
pub(crate) use network::{LocalNetwork, MAX_NODES};
pub(crate) use report::Report;
pub(crate) use table::draw_while;
pub(crate) use traffic::{PAYLOAD, Plan, Traffic};
