//! What each observation is worth.
//!
//! Good is worth less and less towards the highest score; wrong is worth the same everywhere. The
//! weights of wrongs are multiples of the configured penalty; with the founding document's numbers
//! (start 0.5, threshold 0.1, penalty 0.1) a stranger is banned by
//!
//! | wrong | weight | times |
//! | --- | --- | --- |
//! | forged signature, equivocation | 4 | 2 |
//! | malformed bytes, protocol violation | 2 | 3 |
//! | reported by the application | 1 | 5 |
//! | flooding | 0.5 | 9 |
//! | withheld message | 0.25 | 17 |
//! | timed out | 0.05 | never: silence alone bans nobody |
//!
//! Who equivocated is at the threshold, or below it, however much good it did before: two
//! signatures prove it.
//!
//! Guesses, each by how easily an honest node does it: nobody relays a forgery by accident, since
//! everybody verifies first; a node restored from a backup equivocates once; overload withholds and
//! times out.

use core::time::Duration;

use super::TrustConfig;
use crate::misbehavior::{Misbehavior, Observation};

/// The score after an observation.
pub(super) fn after(config: &TrustConfig, score: f64, what: Observation) -> f64 {
    let changed = match what {
        Observation::ValidMessage => score + boost(config, score),
        Observation::Answered => score + boost(config, score) * ANSWER,
        Observation::TimedOut => {
            let lowered = score - config.penalty_invalid * TIMEOUT;
            lowered.max(config.min_threshold.min(score))
        }
        // A proof: whatever good it did, it is at the ban, and the next wrong is one.
        Observation::Misbehaved(Misbehavior::Equivocation) => {
            let lowered = score - config.penalty_invalid * weight(Misbehavior::Equivocation);
            lowered.min(config.min_threshold)
        }
        Observation::Misbehaved(wrong) => score - config.penalty_invalid * weight(wrong),
        Observation::Reported => score - config.penalty_invalid,
    };
    clamp(config, changed)
}

/// The score after one decay.
pub(super) fn decayed(config: &TrustConfig, score: f64) -> f64 {
    clamp(config, score + (config.initial_score - score) * config.decay_rate)
}

/// The score after as many decays as fit into `away`, and within its bounds.
pub(super) fn decayed_for(config: &TrustConfig, score: f64, away: Duration) -> f64 {
    let decays = (away.as_secs_f64() / config.decay_interval.as_secs_f64()).floor();
    let kept = (1.0 - config.decay_rate).powf(decays);
    clamp(config, config.initial_score + (clamp(config, score) - config.initial_score) * kept)
}

/// The score when a ban is over: one plain penalty above the threshold at least.
pub(super) fn pardoned(config: &TrustConfig, score: f64) -> f64 {
    score.max((config.min_threshold + config.penalty_invalid).min(config.initial_score))
}

/// A score from storage or arithmetic, within its bounds. What is no number is a stranger's.
fn clamp(config: &TrustConfig, score: f64) -> f64 {
    if score.is_nan() { config.initial_score } else { score.clamp(0.0, config.max_score) }
}

/// The whole boost up to a stranger's score, and from there in proportion to what is missing to the
/// highest.
fn boost(config: &TrustConfig, score: f64) -> f64 {
    let span = config.max_score - config.initial_score;
    let missing = config.max_score - score;
    if span <= 0.0 {
        config.boost_message
    } else {
        config.boost_message * (missing / span).min(1.0)
    }
}

const fn weight(wrong: Misbehavior) -> f64 {
    match wrong {
        Misbehavior::ForgedSignature | Misbehavior::Equivocation => 4.0,
        Misbehavior::Malformed | Misbehavior::ProtocolViolation => 2.0,
        Misbehavior::Flooding | Misbehavior::FalseAddress => 0.5,
        Misbehavior::WithheldMessage => 0.25,
    }
}

/// Of the boost of a valid message.
const ANSWER: f64 = 0.5;
/// Of the penalty.
const TIMEOUT: f64 = 0.05;
