//! Many hash tables of nodes, alone: [`positron_proto::dht::Dht`]s over a made-up network, without
//! sessions and sockets, so that ten thousand of them fit into one machine.
//!
//! The machines are the shipped ones; what is left out is what carries their questions. A question
//! takes a round trip, and another one the first time that two nodes make a session; who asks
//! another node for the first time has no ticket of it, so that its answers have less room and its
//! records are not taken `[PROTOCOL 9.11]`. Signatures are made and checked for real.
//!
//! - [`DhtScenario`]: how many nodes, how far apart, which of them are frozen, gone or hostile;
//! - [`play`]: plays it; [`DhtReport`] is what came of it.

mod hostile;
mod report;
mod scenario;
mod table_world;

pub use report::{DhtReport, Spread};
pub use scenario::{DhtScenario, Hostility};
pub use table_world::play;
