//! Many hash tables of nodes, alone: [`positron_proto::dht::Dht`]s over a made-up network, without
//! sessions and sockets, so that ten thousand of them fit into one machine.
//!
//! The machines are the shipped ones; what is left out is what carries their questions. A question
//! takes a round trip, and more where a session has to be made first. Who has no ticket of another
//! node, which lasts for an hour, asks it with a padded handshake: the answer has less room, and
//! records are not taken `[PROTOCOL 9.11]`. Both count in full as bytes. That a node serves is
//! heard when it asks, in place of its peer record. Signatures are made and checked for real.
//!
//! - [`DhtScenario`]: how many nodes, how far apart, which of them are frozen, gone or hostile, and
//!   what is done; [`DhtScenario::named`] has all stories;
//! - [`play`]: plays it; [`DhtReport`] is what came of it.

mod carriage;
mod deletion;
mod eclipse;
mod experiment;
mod flood;
mod hostile;
mod play;
mod report;
mod scenario;
mod table_node;
mod table_world;

pub use play::play;
pub use report::{DeletionReport, DhtReport, FloodReport, Spread};
pub use scenario::{DhtPlot, DhtScenario, Hostility};
