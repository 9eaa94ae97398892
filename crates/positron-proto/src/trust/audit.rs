//! Which changes are written down, and how a flood of them is summed up.

use std::collections::{BTreeMap, VecDeque};

use super::{TrustEffect, TrustEvent};
use crate::{
    deadlines::Deadlines,
    id::NodeId,
    limits::{AUDIT_INTERVAL, MAX_AUDIT_SUMS},
    misbehavior::Observation,
    time::{Instant, Now},
};

/// The audit trail: at most one event a second for each kind of wrong of each peer; what comes
/// between is summed into the next one.
#[derive(Debug, Default)]
pub(super) struct Audit {
    /// Changes since the last event, for each wrong that was written down a moment ago.
    sums: BTreeMap<(NodeId, Observation), f64>,
    due: Deadlines<(NodeId, Observation)>,
}

impl Audit {
    /// Writes a change down, now or as part of the next event.
    pub(super) fn wrong(
        &mut self,
        now: Now,
        peer: NodeId,
        what: Observation,
        change: f64,
        score: f64,
        out: &mut VecDeque<TrustEffect>,
    ) {
        if let Some(sum) = self.sums.get_mut(&(peer, what)) {
            *sum += change;
        } else if self.sums.len() < MAX_AUDIT_SUMS {
            out.push_back(record(now, peer, what, change, score));
            self.sums.insert((peer, what), 0.0);
            self.due.set((peer, what), now.mono + AUDIT_INTERVAL);
        }
    }

    /// Writes down the sums that are due.
    pub(super) fn flush(
        &mut self,
        now: Now,
        score: impl Fn(&NodeId) -> f64,
        out: &mut VecDeque<TrustEffect>,
    ) {
        while let Some((peer, what)) = self.due.pop_due(now.mono) {
            let Some(sum) = self.sums.remove(&(peer, what)) else { continue };
            if sum != 0.0 {
                out.push_back(record(now, peer, what, sum, score(&peer)));
                self.sums.insert((peer, what), 0.0);
                self.due.set((peer, what), now.mono + AUDIT_INTERVAL);
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.due.next().map(|(at, _)| at)
    }
}

/// One line of the trail.
pub(super) fn record(
    now: Now,
    peer: NodeId,
    observation: Observation,
    change: f64,
    score: f64,
) -> TrustEffect {
    TrustEffect::Record(TrustEvent { peer, at: now.wall, observation, change, score })
}
