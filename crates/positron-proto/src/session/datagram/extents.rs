//! Which bytes, or messages, of a whole are there.

use core::ops::Range;

/// A set of numbers as ranges that do not touch, ascending. Finding is a binary search; inserting at
/// the end, which is where most arrives, costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extents {
    ranges: Vec<Range<u64>>,
}

impl Extents {
    /// Adds a range; whether something of it was new.
    pub(super) fn insert(&mut self, new: Range<u64>) -> bool {
        if new.is_empty() || self.covers(&new) {
            return false;
        }
        // The ranges that `new` touches become one with it.
        let from = self.ranges.partition_point(|range| range.end < new.start);
        let to = self.ranges.partition_point(|range| range.start <= new.end);
        let start = self.ranges.get(from).map_or(new.start, |range| range.start.min(new.start));
        let last = to.checked_sub(1).and_then(|last| self.ranges.get(last));
        let end = last.map_or(new.end, |range| range.end.max(new.end));
        self.ranges.splice(from..to.max(from), [start..end]);
        true
    }

    /// Takes a range out.
    pub(super) fn remove(&mut self, gone: &Range<u64>) {
        if gone.is_empty() {
            return;
        }
        let from = self.ranges.partition_point(|range| range.end <= gone.start);
        let to = self.ranges.partition_point(|range| range.start < gone.end);
        if from >= to {
            return;
        }
        let before = self.ranges[from].start..gone.start;
        let after = gone.end..self.ranges[to - 1].end;
        let left = [before, after].into_iter().filter(|range| !range.is_empty());
        self.ranges.splice(from..to, left);
    }

    /// Whether all of a range is there.
    pub(super) fn covers(&self, range: &Range<u64>) -> bool {
        let at = self.ranges.partition_point(|there| there.end < range.end);
        self.ranges.get(at).is_some_and(|there| there.start <= range.start)
    }

    /// Whether any of a range is there.
    pub(super) fn touches(&self, range: &Range<u64>) -> bool {
        let at = self.ranges.partition_point(|there| there.end <= range.start);
        self.ranges.get(at).is_some_and(|there| there.start < range.end)
    }

    /// What is missing of `range`, ascending.
    pub(super) fn gaps(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut missing = Self { ranges: vec![range.clone()] };
        let from = self.ranges.partition_point(|there| there.end <= range.start);
        for there in self.ranges[from..].iter().take_while(|there| there.start < range.end) {
            missing.remove(there);
        }
        missing.ranges
    }

    /// The lowest range.
    pub(super) fn first(&self) -> Option<Range<u64>> {
        self.ranges.first().cloned()
    }

    /// How many ranges there are.
    pub(super) fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether nothing is there.
    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Takes everything out.
    pub(super) fn clear(&mut self) {
        self.ranges = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn members(extents: &Extents) -> BTreeSet<u64> {
        extents.ranges.iter().cloned().flatten().collect()
    }

    proptest! {
        #[test]
        fn it_is_the_set_of_numbers_that_were_added_and_not_taken_out(
            steps in prop::collection::vec((any::<bool>(), 0_u64..40, 0_u64..12), 0..40),
        ) {
            let (mut extents, mut model) = (Extents::default(), BTreeSet::new());
            for (add, from, len) in steps {
                let range = from..from + len;
                if add {
                    let new = range.clone().any(|number| !model.contains(&number));
                    prop_assert_eq!(extents.insert(range.clone()), new);
                    model.extend(range.clone());
                } else {
                    extents.remove(&range);
                    model.retain(|number| !range.contains(number));
                }
                prop_assert_eq!(&members(&extents), &model);
                // Ranges ascend and do not touch.
                prop_assert!(extents.ranges.windows(2).all(|two| two[0].end < two[1].start));
                prop_assert!(extents.ranges.iter().all(|range| !range.is_empty()));
                for probe in [0..1, 3..9, 10..30] {
                    let there = |number: &u64| model.contains(number);
                    prop_assert_eq!(extents.covers(&probe), probe.clone().all(|n| there(&n)));
                    prop_assert_eq!(extents.touches(&probe), probe.clone().any(|n| there(&n)));
                    let missing: Vec<u64> = extents.gaps(probe.clone()).into_iter().flatten().collect();
                    let expected: Vec<u64> = probe.clone().filter(|n| !there(n)).collect();
                    prop_assert_eq!(missing, expected);
                }
            }
        }
    }
}
