//! Who is to be dialled, and when.

use std::collections::BTreeMap;

use crate::{
    deadlines::Deadlines,
    id::NodeId,
    limits::REDIAL_FIRST,
    rng::Rng,
    time::{Duration, Instant},
};

/// Peers that are to be dialled, and what is to be known of each. One that has no time is not
/// dialled for now; one that is gone has none. Whoever puts peers in bounds them.
#[derive(Debug)]
pub(super) struct DialSchedule<T> {
    by_peer: BTreeMap<NodeId, T>,
    times: Deadlines<NodeId>,
}

impl<T> DialSchedule<T> {
    pub(super) fn new() -> Self {
        Self { by_peer: BTreeMap::new(), times: Deadlines::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.by_peer.len()
    }

    pub(super) fn contains(&self, peer: &NodeId) -> bool {
        self.by_peer.contains_key(peer)
    }

    pub(super) fn get_mut(&mut self, peer: &NodeId) -> Option<&mut T> {
        self.by_peer.get_mut(peer)
    }

    /// In order of the peers' ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&NodeId, &T)> {
        self.by_peer.iter()
    }

    /// In place of what was known of it; its time stays.
    pub(super) fn insert(&mut self, peer: NodeId, known: T) {
        self.by_peer.insert(peer, known);
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, peer: &NodeId) -> bool {
        self.times.clear(*peer);
        self.by_peer.remove(peer).is_some()
    }

    /// Keeps those of whom `is_kept` says so.
    pub(super) fn retain(&mut self, is_kept: impl Fn(&T) -> bool) {
        let times = &mut self.times;
        self.by_peer.retain(|peer, known| {
            let keep = is_kept(known);
            if !keep {
                times.clear(*peer);
            }
            keep
        });
    }

    /// It is to be dialled at `at`, and not before, if it is here.
    pub(super) fn set(&mut self, peer: NodeId, at: Instant) {
        if self.contains(&peer) {
            self.times.set(peer, at);
        }
    }

    /// It is not to be dialled until it is [set](Self::set) again.
    pub(super) fn pause(&mut self, peer: NodeId) {
        self.times.clear(peer);
    }

    /// When the first of them is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.times.next().map(|(at, _)| at)
    }

    /// Who is due; it has no time now.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<NodeId> {
        self.times.pop_due(now)
    }
}

/// The wait after `failures` failures in a row: doubling, with jitter, never above `longest`.
pub(super) fn backoff(rng: &mut Rng, failures: u32, longest: Duration) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let wait = REDIAL_FIRST.saturating_mul(1 << doublings).min(longest);
    rng.duration(wait - wait / 4..=wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_gone_or_was_never_there_is_not_due() {
        let [a, b, c] = [1, 2, 3].map(|n| NodeId::from_bytes([n; 32]));
        let at = Instant::from_micros;
        let mut schedule = DialSchedule::new();
        schedule.insert(a, 1);
        schedule.insert(b, 2);
        for peer in [a, b, c] {
            schedule.set(peer, at(5));
        }
        schedule.retain(|known| *known != 1);
        assert_eq!((schedule.poll_timeout(), schedule.pop_due(at(4))), (Some(at(5)), None));
        assert_eq!((schedule.pop_due(at(5)), schedule.pop_due(at(5))), (Some(b), None));
        assert!(schedule.contains(&b), "it may be set again");
        schedule.set(b, at(6));
        schedule.pause(b);
        assert_eq!((schedule.poll_timeout(), schedule.len()), (None, 1));
        assert!(schedule.remove(&b) && !schedule.remove(&b));
    }
}
