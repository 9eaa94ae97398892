//! What trust is told once.

use core::time::Duration;

use crate::subnet::Subnet;

/// The founding document's knobs. Scores are 0.0 to `max_score`.
#[derive(Clone, Debug, PartialEq)]
pub struct TrustConfig {
    /// Where strangers start, and where scores drift back to.
    pub initial_score: f64,
    /// Below it a peer is banned.
    pub min_threshold: f64,
    /// The highest score.
    pub max_score: f64,
    /// The part of the distance to `initial_score` that is lost at each decay, 0.0 to 1.0.
    pub decay_rate: f64,
    /// Time between two decays.
    pub decay_interval: Duration,
    /// What a valid message adds.
    pub boost_message: f64,
    /// What an invalid one takes away.
    pub penalty_invalid: f64,
    /// Whoever is at these addresses is refused, for as long as the node runs.
    pub banned_addresses: Vec<Subnet>,
}

/// What a node runs with that is told nothing else.
impl Default for TrustConfig {
    fn default() -> Self {
        Self {
            initial_score: 0.5,
            min_threshold: 0.1,
            max_score: 1.0,
            decay_rate: 0.01,
            decay_interval: Duration::from_secs(3600),
            boost_message: 0.01,
            penalty_invalid: 0.1,
            banned_addresses: Vec::new(),
        }
    }
}

impl TrustConfig {
    /// The same, without numbers that are none, in an order that means something.
    pub(super) fn sane(self) -> Self {
        let finite = |value: f64, instead: f64| if value.is_finite() { value } else { instead };
        let max_score = finite(self.max_score, 1.0);
        let max_score = if max_score > 0.0 { max_score } else { 1.0 };
        let initial_score = finite(self.initial_score, max_score / 2.0).clamp(0.0, max_score);
        Self {
            initial_score,
            // Above it every stranger would be banned for the first thing that he does.
            min_threshold: finite(self.min_threshold, 0.0).clamp(0.0, initial_score),
            max_score,
            decay_rate: finite(self.decay_rate, 0.0).clamp(0.0, 1.0),
            decay_interval: self.decay_interval.max(SHORTEST_INTERVAL),
            boost_message: finite(self.boost_message, 0.0).clamp(0.0, max_score),
            penalty_invalid: finite(self.penalty_invalid, 0.0).clamp(0.0, max_score),
            banned_addresses: self.banned_addresses,
        }
    }
}

/// Each decay looks at every observed peer.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
