//! What we make of what peers did: a score per peer, its decay, bans, and an audit trail.
//!
//! - [`Trust`]: the machine; its type documents the contract;
//! - [`TrustAccount`]: why a score is what it is;
//! - `address_bans`: bans of all who are at some addresses;
//! - `arithmetic`: what each observation is worth;
//! - `recommending`: whom we recommend, and what the words of others are worth;
//! - `audit`: which changes are written down, and how a flood of them is summed up;
//! - [`change`]: what is kept across restarts, as rows.

mod account;
mod address_bans;
mod arithmetic;
mod audit;
pub mod change;
mod config;
mod counters;
mod effect;
mod recommending;
#[cfg(test)]
mod tests;
#[expect(clippy::module_inception, reason = "the machine of this room is called after it")]
mod trust;

pub use account::{TrustAccount, TrustTotal, TrustWord};
pub use config::TrustConfig;
pub use counters::TrustLevels;
pub use effect::{AddressBan, RememberedTrust, TrustEffect, TrustEvent};
pub use trust::Trust;
