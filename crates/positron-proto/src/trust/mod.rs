//! What we make of what peers did: a score per peer, its decay, bans, and an audit trail.

use std::collections::VecDeque;

use crate::{
    id::NodeId,
    misbehavior::Observation,
    standings::{Standing, Standings},
    time::{Instant, Now, WallTime},
};

/// The founding document's knobs. Scores are 0.0 to `max_score`.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where strangers start, and where scores drift back to.
    pub initial_score: f64,
    /// Below it a peer is banned.
    pub min_threshold: f64,
    /// The highest score.
    pub max_score: f64,
    /// The part of the distance to `initial_score` that is lost at each decay, 0.0 to 1.0.
    pub decay_rate: f64,
    /// Time between two decays.
    pub decay_interval: core::time::Duration,
    /// What a valid message adds.
    pub boost_message: f64,
    /// What an invalid one takes away.
    pub penalty_invalid: f64,
}

/// One change of a score, for the audit trail.
#[derive(Clone, Debug, PartialEq)]
pub struct TrustEvent {
    /// Whose.
    pub peer: NodeId,
    /// When.
    pub at: WallTime,
    /// Why.
    pub observation: Observation,
    /// By how much.
    pub change: f64,
    /// To what.
    pub score: f64,
}

/// What trust wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Out {
    /// Keep the standing across restarts.
    Remember {
        /// Whose.
        peer: NodeId,
        /// What.
        standing: Standing,
        /// When it was last observed.
        at: WallTime,
    },
    /// Forget the standing.
    Forget(NodeId),
    /// Write to the audit trail. Routine good behaviour is summed up, wrong is written at once.
    Record(TrustEvent),
    /// Refuse the peer until then.
    Ban {
        /// Whom.
        peer: NodeId,
        /// Until when.
        until: WallTime,
        /// For what.
        why: Observation,
    },
}

/// What storage brings back.
#[derive(Clone, Debug, PartialEq)]
pub struct Remembered {
    /// Whose.
    pub peer: NodeId,
    /// What.
    pub standing: Standing,
    /// When it was last observed.
    pub at: WallTime,
}

/// The standing of everyone that was ever observed.
#[derive(Debug)]
pub struct Trust {
    standings: Standings,
}

#[allow(unused_variables, missing_docs, clippy::needless_pass_by_value)]
impl Trust {
    pub fn new(config: Config, remembered: Vec<Remembered>, now: Now) -> Self {
        Self { standings: Standings::new(config.initial_score) }
    }
    /// What the others are lent.
    pub const fn standings(&self) -> &Standings {
        &self.standings
    }
    pub fn observe(&mut self, now: Now, peer: NodeId, what: Observation, out: &mut VecDeque<Out>) {}
    pub fn handle_timeout(&mut self, now: Now, out: &mut VecDeque<Out>) {}
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
