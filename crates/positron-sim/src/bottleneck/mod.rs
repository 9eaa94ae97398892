//! Bulk flows through one slow line, on virtual time: what congestion control makes of it.
//!
//! All flows go from one machine to another, each over a connection of its own between two
//! [`Endpoint`]s, and share the queue before the line. Each always has more to send. The same
//! line, flows and seed give the same [`FlowReport`]s.
//!
//! [`Endpoint`]: positron_proto::datagram::Endpoint

mod line;
mod play;
mod tables;
#[cfg(test)]
mod tests;

pub use line::{Bottleneck, FlowReport};
pub use play::play;
pub use tables::{BottleneckTable, tables};
