//! Ask one: a request to one node, and its one answer `[PROTOCOL 3.4]`.
//!
//! Reading order: [`RequestMessage`] and [`Status`] (what is said), [`RequestEffect`],
//! [`Unanswered`] and [`Refusal`] (the contract), `requests.rs` (the machine), `questions.rs` (our
//! questions), `served.rs` (those of others), `letters.rs` (what waits for its session),
//! `counters.rs`.

mod counters;
mod effect;
mod letters;
mod message;
mod questions;
mod requests;
mod served;
#[cfg(test)]
pub(crate) mod tests;

pub use counters::{RequestCounters, RequestLevels};
pub use effect::{Refusal, RequestEffect, TooManyRequests, Unanswered};
pub use message::{CANCEL, REQUEST, RESPONSE, RequestMessage, Status};
pub use requests::Requests;
