//! Streams between two nodes that a third one forwards `[PROTOCOL 3.10]`.
//!
//! # Nouns
//!
//! - a *relay* is any linked peer that [forwards](RelayForwarding) between two nodes that both have
//!   a session with it: between ids, never to an address, so that it is no proxy to anywhere;
//! - a *relayed stream* is bytes in order, both ways, between its two *ends*. To the sessions it is
//!   a byte stream like one of TCP: a link of its own kind, the least preferred one, with a
//!   handshake and sealed records on it. So the relay reads and changes nothing; it sees who talks
//!   to whom, when, and how much;
//! - a *relayed address* ([`RelayedAddresses`]) is what this node calls a node behind a relay,
//!   wherever an address is wanted. It means nothing to anybody else.
//!
//! # A stream at one end
//!
//! ```text
//!   dial ──OPEN──▶ opening ──OPENED──▶ open ──CLOSE, or the relay's session down──▶ down
//!                     │
//!                     └──REFUSED, hung up──▶ down
//!   OPENED that nobody asked for ──▶ open
//! ```
//!
//! # How much
//!
//! Each end may have [`RELAY_WINDOW`](crate::limits::RELAY_WINDOW) under way to the other; CREDIT
//! grants more as it is read. The relay passes CREDIT on no faster than it forwards for a pair, for
//! one peer, and in all: who is over a rate is slowed down, and nothing is cut off or lost. So it
//! holds no more than the windows, and a reader who reads nothing stops its writer.
//!
//! A relay that drops, delays or invents bytes breaks the records of the link, which ends; what was
//! said is said again over the next one.

mod addresses;
mod counters;
mod effect;
mod forwarding;
mod message;
mod path_policy;
mod place;
mod rate;
mod refusal;
mod relays;
mod streams;
#[cfg(test)]
mod tests;

pub use addresses::{RelayedAddresses, Route};
pub use counters::{RelayCounters, RelayLevels};
pub use effect::RelayEffect;
pub use forwarding::RelayForwarding;
pub(crate) use message::{RELAY_DATA, RELAY_TYPES};
pub use message::{RelayLabel, RelayMessage};
pub use path_policy::PathPolicy;
pub use place::PeerPlace;
pub use refusal::RelayRefusal;
pub use relays::{RelayConfig, Relays};
