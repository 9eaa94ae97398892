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
    /// The first by time, at hand: it is asked for with every input, and in a node of many machines
    /// the trees have left the cache by then.
    earliest: Option<(Instant, W)>,
}

impl<W: Ord + Copy> Deadlines<W> {
    /// No deadlines.
    pub fn new() -> Self {
        Self { by_time: BTreeSet::new(), by_reason: BTreeMap::new(), earliest: None }
    }

    /// Wake at `at` because of `why`; replaces an earlier deadline for the same reason.
    pub fn set(&mut self, why: W, at: Instant) {
        match self.by_reason.insert(why, at) {
            Some(before) if before == at => return,
            Some(before) => {
                self.by_time.remove(&(before, why));
            }
            None => {}
        }
        self.by_time.insert((at, why));
        self.note_earliest();
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
            self.note_earliest();
        }
    }

    /// Wake at `at` because of `why`, or not at all.
    pub fn set_or_clear(&mut self, why: W, at: Option<Instant>) {
        match at {
            Some(at) => self.set(why, at),
            None => self.clear(why),
        }
    }

    /// When `why` will wake.
    pub fn get(&self, why: W) -> Option<Instant> {
        self.by_reason.get(&why).copied()
    }

    /// The earliest deadline and its reason.
    pub const fn next(&self) -> Option<(Instant, W)> {
        self.earliest
    }

    /// Takes the earliest deadline that is due at `now`; call until `None`.
    pub fn pop_due(&mut self, now: Instant) -> Option<W> {
        let (_, why) = self.earliest.filter(|(at, _)| *at <= now)?;
        self.clear(why);
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

    fn note_earliest(&mut self) {
        self.earliest = self.by_time.first().copied();
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

    #[test]
    fn the_next_one_is_the_earliest_whatever_is_set_moved_cleared_and_taken() {
        let (mut deadlines, mut dice) = (Deadlines::new(), 1_u32);
        for _ in 0..2_000 {
            dice = dice.wrapping_mul(0x9E37_79B1).rotate_left(7);
            let (why, at) = (dice % 7, Instant::from_micros(u64::from(dice / 7 % 10)));
            match dice / 70 % 4 {
                0 => deadlines.set(why, at),
                1 => deadlines.set_earliest(why, at),
                2 => deadlines.set_or_clear(why, (dice / 280 % 2 == 0).then_some(at)),
                _ => {
                    let due = deadlines.next().filter(|(due, _)| *due <= at);
                    assert_eq!(deadlines.pop_due(at), due.map(|(_, why)| why));
                    assert!(due.is_none_or(|(_, why)| deadlines.get(why).is_none()));
                }
            }
            let all = (0..7).filter_map(|why| Some((deadlines.get(why)?, why)));
            assert_eq!(deadlines.next(), all.min());
        }
    }
}
