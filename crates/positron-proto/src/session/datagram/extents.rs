//! Which bytes, or messages, of a whole are there.

use core::ops::{Bound, Range};
use std::collections::BTreeMap;

/// A set of numbers as ranges that do not touch. Every change costs the logarithm of their count,
/// wherever it is: somebody who sends crumbs from the end to the beginning gains nothing by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extents {
    /// The end of each range by its start.
    ranges: BTreeMap<u64, u64>,
}

impl Extents {
    /// Adds a range; whether something of it was new.
    pub(super) fn insert(&mut self, new: Range<u64>) -> bool {
        if new.is_empty() || self.covers(&new) {
            return false;
        }
        // The ranges that `new` touches become one with it.
        let Range { mut start, mut end } = new;
        if let Some(before) = self.at_or_before(start).filter(|before| before.end >= start) {
            (start, end) = (before.start, end.max(before.end));
        }
        let inside = (Bound::Excluded(start), Bound::Included(end));
        let mut next = self.ranges.range(inside).next().map(|(from, to)| (*from, *to));
        while let Some((from, to)) = next {
            self.ranges.remove(&from);
            end = end.max(to);
            let inside = (Bound::Excluded(start), Bound::Included(end));
            next = self.ranges.range(inside).next().map(|(from, to)| (*from, *to));
        }
        self.ranges.insert(start, end);
        true
    }

    /// Takes a range out.
    pub(super) fn remove(&mut self, gone: &Range<u64>) {
        if gone.is_empty() {
            return;
        }
        if let Some(before) = self.at_or_before(gone.start).filter(|it| it.end > gone.start) {
            self.ranges.remove(&before.start);
            self.keep(before.start..gone.start);
            self.keep(gone.end..before.end);
        }
        while let Some((&from, &to)) = self.ranges.range(gone.clone()).next() {
            self.ranges.remove(&from);
            self.keep(gone.end..to);
        }
    }

    /// Whether all of a range is there.
    pub(super) fn covers(&self, range: &Range<u64>) -> bool {
        self.at_or_before(range.start).is_some_and(|there| there.end >= range.end)
    }

    /// Whether any of a range is there.
    pub(super) fn touches(&self, range: &Range<u64>) -> bool {
        let last = self.ranges.range(..range.end).next_back();
        last.is_some_and(|(_, end)| *end > range.start)
    }

    /// What is missing of `range`, ascending.
    pub(super) fn gaps(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut missing = Vec::new();
        let before = self.at_or_before(range.start);
        let mut at = before.map_or(range.start, |before| before.end.max(range.start));
        while at < range.end {
            let next = self.ranges.range(at..range.end).next().map(|(from, to)| (*from, *to));
            let (from, to) = next.unwrap_or((range.end, range.end));
            missing.push(at..from);
            at = to;
        }
        missing
    }

    /// The lowest range.
    pub(super) fn first(&self) -> Option<Range<u64>> {
        self.ranges.first_key_value().map(|(start, end)| *start..*end)
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
        self.ranges = BTreeMap::new();
    }

    fn at_or_before(&self, at: u64) -> Option<Range<u64>> {
        self.ranges.range(..=at).next_back().map(|(start, end)| *start..*end)
    }

    fn keep(&mut self, rest: Range<u64>) {
        if !rest.is_empty() {
            self.ranges.insert(rest.start, rest.end);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn members(extents: &Extents) -> BTreeSet<u64> {
        all(extents).into_iter().flatten().collect()
    }

    fn all(extents: &Extents) -> Vec<Range<u64>> {
        extents.ranges.iter().map(|(start, end)| *start..*end).collect()
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
                let ranges = all(&extents);
                prop_assert!(ranges.windows(2).all(|two| two[0].end < two[1].start));
                prop_assert!(ranges.iter().all(|range| !range.is_empty()));
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
