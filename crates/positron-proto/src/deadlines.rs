//! Ordered deadlines that say why they will wake.

use std::collections::{BTreeMap, BTreeSet};

use crate::time::Instant;

/// A set of deadlines, at most one for each reason `W`.
///
/// Setting a reason again moves it. [`next`](Self::next) is the earliest; ties wake in the order of
/// `W`, so that a run is reproducible. Every operation is O(log n).
///
/// ```
/// use positron_proto::{deadlines::Deadlines, time::Instant};
///
/// let mut deadlines = Deadlines::new();
/// deadlines.set("probe", Instant::from_micros(20));
/// deadlines.set("close", Instant::from_micros(10));
/// assert_eq!(deadlines.next(), Some((Instant::from_micros(10), "close")));
/// assert_eq!(deadlines.pop_due(Instant::from_micros(15)), Some("close"));
/// assert_eq!(deadlines.pop_due(Instant::from_micros(15)), None);
/// ```
#[derive(Debug, Clone)]
pub struct Deadlines<W> {
    by_time: BTreeSet<(Instant, W)>,
    by_reason: BTreeMap<W, Instant>,
}

impl<W: Ord + Copy> Deadlines<W> {
    /// No deadlines.
    pub fn new() -> Self {
        Self { by_time: BTreeSet::new(), by_reason: BTreeMap::new() }
    }

    /// Wake at `at` because of `why`; replaces an earlier deadline for the same reason.
    pub fn set(&mut self, why: W, at: Instant) {
        if let Some(before) = self.by_reason.insert(why, at) {
            self.by_time.remove(&(before, why));
        }
        self.by_time.insert((at, why));
    }

    /// Wake at `at` or earlier because of `why`.
    pub fn set_earliest(&mut self, why: W, at: Instant) {
        if self.by_reason.get(&why).is_none_or(|&present| at < present) {
            self.set(why, at);
        }
    }

    /// Forgets the deadline for `why`, if there is one.
    pub fn clear(&mut self, why: W) {
        if let Some(at) = self.by_reason.remove(&why) {
            self.by_time.remove(&(at, why));
        }
    }

    /// When `why` will wake.
    pub fn get(&self, why: W) -> Option<Instant> {
        self.by_reason.get(&why).copied()
    }

    /// The earliest deadline and its reason.
    pub fn next(&self) -> Option<(Instant, W)> {
        self.by_time.first().copied()
    }

    /// Takes the earliest deadline that is due at `now`; call until `None`.
    pub fn pop_due(&mut self, now: Instant) -> Option<W> {
        let &(at, why) = self.by_time.first()?;
        if at > now {
            return None;
        }
        self.by_time.pop_first();
        self.by_reason.remove(&why);
        Some(why)
    }

    /// How many deadlines are set.
    pub fn len(&self) -> usize {
        self.by_reason.len()
    }

    /// Whether no deadline is set.
    pub fn is_empty(&self) -> bool {
        self.by_reason.is_empty()
    }
}

impl<W: Ord + Copy> Default for Deadlines<W> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_a_reason_again_moves_its_deadline() {
        let mut deadlines = Deadlines::new();
        deadlines.set(1, Instant::from_micros(10));
        deadlines.set(1, Instant::from_micros(30));
        deadlines.set_earliest(1, Instant::from_micros(40));
        assert_eq!(deadlines.next(), Some((Instant::from_micros(30), 1)));
        assert_eq!(deadlines.len(), 1);
        deadlines.clear(1);
        assert!(deadlines.is_empty());
        assert_eq!(deadlines.next(), None);
    }
}
