//! Who is here and whom to dial `[PROTOCOL 7]`.
//!
//! - [`Peers`]: the front door, which only wires the machines below; its type documents the
//!   contract;
//! - `address_book`, `entry`: who exists and where, bounded in all, per source, per group and per
//!   IP address;
//! - `connected`: who is linked, slots, and how much each may say;
//! - `refusals`: what is told of newcomers who are refused;
//! - `local_record`: our own record, and what others observe of our address;
//! - `contacts`: who may have opened the way to itself for us only;
//! - `dialer`: dials under way, and for what there is room;
//! - `silence`: what addresses get where nobody ever answered;
//! - `dial_schedule`: who is to be dialled when, and how long to wait after failures;
//! - `redial`: back-off, and lost peers: what makes two satisfied halves one again;
//! - `bootstrap`: the addresses that the operator gave, and how it goes with them, in words;
//! - `intake`: from a signed record that somebody sent to an entry of the book, with its proof;
//! - `outbound`, `choice`: links of our own choice: filled up, explored, pruned;
//! - `reserved`: peers that the application keeps a slot for;
//! - `orders`: what the room hears from above: links that are wanted, addresses that changed;
//! - `discovery`: hello, heartbeats, questions;
//! - `target`: where, and perhaps who, as an operator writes it;
//! - [`change`]: what is kept across restarts, as rows;
//! - `turn`: what one call lends to all of them.

mod address_book;
mod bootstrap;
mod bootstrap_state;
pub mod change;
mod choice;
mod config;
mod connected;
mod contacts;
mod counters;
mod dial_schedule;
mod dialer;
mod discovery;
mod effect;
mod entry;
mod guests;
mod intake;
mod local_record;
mod message;
mod orders;
mod outbound;
#[expect(clippy::module_inception, reason = "the machine of this room is called after it")]
mod peers;
mod redial;
mod refusals;
mod reserved;
mod silence;
mod target;
#[cfg(test)]
mod tests;
mod turn;

pub use bootstrap_state::{Bootstrap, BootstrapState, Given};
pub use config::{PeersConfig, Reservation};
pub use counters::{PeersCounters, PeersLevels};
pub use effect::PeersEffect;
pub use entry::KnownPeer;
pub use local_record::StatedRelays;
pub use message::PeersMessage;
pub use peers::Peers;
