//! Tell one: application messages to one node, once `[PROTOCOL 3.1]`.
//!
//! Reading order: [`DirectMessage`], [`DirectEffect`] and [`Undelivered`] (the contract),
//! `direct.rs` (the machine), `outbox.rs` (what is not acknowledged yet), `inbox.rs` (what came
//! already), `counters.rs`.

mod counters;
#[allow(clippy::module_inception)]
mod direct;
mod effect;
mod inbox;
mod message;
mod outbox;
#[cfg(test)]
pub(crate) mod tests;

pub use counters::DirectCounters;
pub use direct::Direct;
pub use effect::{DirectEffect, QueueFull, Undelivered};
pub use message::DirectMessage;
