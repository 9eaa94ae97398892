//! What nodes say of whom they trust `[PROTOCOL 3.9]`.

use crate::time::Duration;

/// Nodes in one recommendation: 34 bytes each, so that one fits a datagram.
pub const MAX_RECOMMENDED: usize = 32;
/// Peers whose recommendations are kept, the weightiest: with [`MAX_RECOMMENDED`] a bound of 2,048
/// words. Who has earned nothing here has no place.
pub const MAX_RECOMMENDERS: usize = 64;
/// How long a recommendation counts. Guess: a day without a word is a peer that is gone.
pub const RECOMMENDATION_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Time between two recommendations that a node makes by itself, to all its peers.
pub const RECOMMENDATION_INTERVAL: Duration = Duration::from_secs(3600);
/// A peer says and asks one thing in so long, [`RECOMMENDATION_BURST`] at once. Guess: an
/// application may share after each of its decisions.
pub const RECOMMENDATION_PACE: Duration = Duration::from_secs(10);
/// What a peer may say and ask at once.
pub const RECOMMENDATION_BURST: u32 = 8;
/// Questions of the application for recommendations that wait for an answer.
pub const MAX_RECOMMENDATION_QUESTIONS: usize = 64;
/// How long an answer may take: it needs no application.
pub const RECOMMENDATION_TIMEOUT: Duration = Duration::from_secs(10);
/// The part of the way from a stranger's score to the highest that words alone may raise anybody.
/// Guess: enough to be preferred to a stranger, half of what is needed to be recommended.
pub const MOST_BY_WORD: f64 = 0.2;
/// The part of the same way from which on a peer is recommended: with the founding document's
/// numbers a score of 0.7.
pub const RECOMMENDED_FROM: f64 = 0.4;
