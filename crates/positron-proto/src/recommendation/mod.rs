//! Whom others trust: asked for, told, and bounded `[PROTOCOL 3.9]`.
//!
//! # Nouns
//!
//! - a [`Recommendation`](crate::words::Recommendation) is a node and how much somebody trusts it
//!   *by what it saw itself*: what was only heard is never passed on;
//! - a *recommender* is the linked peer that made it. It is signed by nobody and proves nothing to
//!   others.
//!
//! There is no word against anybody: who did wrong is shown by what it signed, and a slander would
//! look the same as the truth.
//!
//! # What follows from a word
//!
//! The last recommendation of each recommender is kept. The best word of all for a node
//! counts, weighed by what the recommender itself has earned here: who has earned nothing has no
//! weight, a thousand words weigh what the best of them weighs, and all of it raises a score by no
//! more than [`MOST_BY_WORD`](crate::limits::MOST_BY_WORD). Of who did wrong, words change nothing.
//!
//! What comes of it is the [regard](crate::standings::TrustTable::regard) for a node: whom to dial,
//! whose guest's place to keep, whom to believe first. Bans and merits are made of deeds alone.
//!
//! # A question
//!
//! ```text
//!   ask ──REQUEST──▶ open ──RESPONSE──▶ answered
//!                     │
//!                     └── ten seconds, or the session down ──▶ unanswered
//! ```
//!
//! # Messages
//!
//! TRUST_UPDATE tells unasked, TRUSTED_PEERS_REQUEST asks, TRUSTED_PEERS_RESPONSE answers.

mod counters;
mod effect;
mod message;
mod recommendations;
#[cfg(test)]
mod tests;

pub use counters::RecommendationCounters;
pub use effect::{NotRecommended, RecommendationEffect};
pub use message::{
    RecommendationMessage, TRUST_UPDATE, TRUSTED_PEERS_REQUEST, TRUSTED_PEERS_RESPONSE,
};
pub use recommendations::Recommendations;
