//! Who is here and whom to dial `[PROTOCOL 7]`.
//!
//! - [`Peers`]: the machine; its type documents the contract;
//! - `book`, `entry`: the address book, bounded in all, per source, per group and per IP address;
//! - `records`: from a signed record that somebody sent to an entry of the book, and back out;
//! - `choice`, `dialing`: whom to dial next, what came of it, when to try again;
//! - `healing`: lost peers, exploration, pruning: what makes two satisfied halves one again;
//! - `bootstrap`: the addresses that the operator gave, and how it goes with them, in words;
//! - `talking`: hello, heartbeats, questions, announcements;
//! - `links`: who is linked, slots, and how much each may say;
//! - `own`: our own record, and what others observe of our address;
//! - `groups`: how far away an IP address is, and in whose network.

mod address_book;
mod announce;
mod bootstrap;
mod choice;
mod config;
mod connected;
mod counters;
mod dialer;
mod effect;
mod entry;
mod local_record;
mod message;
mod netgroup;
#[expect(clippy::module_inception, reason = "the machine of this room is called after it")]
mod peers;
mod records;
mod redial;
#[cfg(test)]
mod tests;

pub use bootstrap::{Bootstrap, BootstrapState};
pub use config::PeersConfig;
pub use counters::PeersCounters;
pub use effect::PeersEffect;
pub use entry::KnownPeer;
pub use message::PeersMessage;
pub use peers::Peers;
