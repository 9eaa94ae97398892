//! Keys that gave way to others, said by both `[PROTOCOL 3.6]`.
//!
//! - [`Succession`], [`Acceptance`]: what the two keys sign;
//! - [`Successions`]: the machine; its type documents the contract;
//! - `tellers`: what each peer told that is not checked yet, and how much it may say;
//! - [`change`]: what is kept across restarts, as rows.

pub mod change;
mod counters;
mod effect;
mod message;
mod statement;
mod successions;
mod tellers;
#[cfg(test)]
mod tests;

pub use counters::{SuccessionCounters, SuccessionLevels};
pub use effect::{SuccessionEffect, Tie};
pub use message::{SUCCESSION, SuccessionMessage};
pub use statement::{Acceptance, Succession};
pub use successions::Successions;
