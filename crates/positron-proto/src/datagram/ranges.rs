//! Sets of numbers that come in runs.

use core::ops::{Range, RangeInclusive};
use std::collections::VecDeque;

/// A set of numbers (of packets, of messages, of bytes in a stream) as its runs: 16 bytes for each
/// gap, however many numbers it holds.
///
/// Finding is a binary search; at either end, where nearly everything happens, changes cost
/// nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RangeSet {
    /// Ascending, and apart: between two runs there is at least one number missing.
    runs: VecDeque<Run>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    first: u64,
    last: u64,
}

impl RangeSet {
    /// Nothing.
    pub(super) const fn new() -> Self {
        Self { runs: VecDeque::new() }
    }

    /// Adds a number; whether it is new.
    pub(super) fn insert(&mut self, number: u64) -> bool {
        if self.contains(number) {
            return false;
        }
        self.insert_range(number..=number);
        true
    }

    /// Adds the numbers of a range; whether one of them is new.
    pub(super) fn add(&mut self, range: Range<u64>) -> bool {
        if range.is_empty() || self.covers(&range) {
            return false;
        }
        self.insert_range(range.start..=range.end - 1);
        true
    }

    /// Takes the numbers of a range out.
    pub(super) fn remove(&mut self, gone: &Range<u64>) {
        let from = self.runs.partition_point(|run| run.last < gone.start);
        let to = self.runs.partition_point(|run| run.first < gone.end);
        if gone.is_empty() || from >= to {
            return;
        }
        let (lowest, highest) = (self.runs[from], self.runs[to - 1]);
        self.runs.drain(from..to);
        if highest.last >= gone.end {
            self.runs.insert(from, Run { first: gone.end, last: highest.last });
        }
        if lowest.first < gone.start {
            self.runs.insert(from, Run { first: lowest.first, last: gone.start - 1 });
        }
    }

    /// Takes everything out.
    pub(super) fn clear(&mut self) {
        self.runs = VecDeque::new();
    }

    /// Adds a run of numbers; an empty one changes nothing.
    pub(super) fn insert_range(&mut self, range: RangeInclusive<u64>) {
        if range.is_empty() {
            return;
        }
        let (first, last) = range.into_inner();
        // The runs that the new one touches become one with it.
        let from = self.runs.partition_point(|run| run.last.saturating_add(1) < first);
        let to = self.runs.partition_point(|run| run.first <= last.saturating_add(1));
        if from == to {
            self.runs.insert(from, Run { first, last });
            return;
        }
        let joined =
            Run { first: first.min(self.runs[from].first), last: last.max(self.runs[to - 1].last) };
        self.runs[from] = joined;
        if to - from > 1 {
            self.runs.drain(from + 1..to);
        }
    }

    /// Whether it holds a number.
    pub(super) fn contains(&self, number: u64) -> bool {
        let at = self.runs.partition_point(|run| run.last < number);
        self.runs.get(at).is_some_and(|run| run.first <= number)
    }

    /// Whether it holds all of a range.
    pub(super) fn covers(&self, range: &Range<u64>) -> bool {
        let Some(last) = range.end.checked_sub(1).filter(|_| !range.is_empty()) else {
            return true;
        };
        let at = self.runs.partition_point(|run| run.last < last);
        self.runs.get(at).is_some_and(|run| run.first <= range.start)
    }

    /// What of a range it does not hold, ascending.
    pub(super) fn gaps(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut missing = Self::new();
        missing.add(range.clone());
        let from = self.runs.partition_point(|run| run.last < range.start);
        for run in self.runs.range(from..).take_while(|run| run.first < range.end) {
            missing.remove(&(run.first..run.last.saturating_add(1)));
        }
        missing.runs.iter().map(|run| run.first..run.last + 1).collect()
    }

    /// Its lowest run.
    pub(super) fn lowest_range(&self) -> Option<Range<u64>> {
        self.runs.front().map(|run| run.first..run.last.saturating_add(1))
    }

    /// Its runs, lowest first, or with `rev` highest first.
    pub(super) fn iter(
        &self,
    ) -> impl DoubleEndedIterator<Item = RangeInclusive<u64>> + ExactSizeIterator + Clone + '_ {
        self.runs.iter().map(|run| run.first..=run.last)
    }

    /// The lowest number, `from` or above, that it does not hold; `None` if there is none.
    pub(super) fn lowest_gap(&self, from: u64) -> Option<u64> {
        let at = self.runs.partition_point(|run| run.last < from);
        match self.runs.get(at) {
            Some(run) if run.first <= from => run.last.checked_add(1),
            _ => Some(from),
        }
    }

    /// Lets go of every number below `number`.
    pub(super) fn remove_below(&mut self, number: u64) {
        while let Some(run) = self.runs.front_mut() {
            if run.last < number {
                self.runs.pop_front();
            } else {
                run.first = run.first.max(number);
                break;
            }
        }
    }

    /// Takes the lowest run out.
    pub(super) fn pop_lowest_range(&mut self) -> Option<RangeInclusive<u64>> {
        self.runs.pop_front().map(|run| run.first..=run.last)
    }

    /// How many runs.
    pub(super) fn len(&self) -> usize {
        self.runs.len()
    }

    /// Whether it holds nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The highest number.
    #[cfg(test)]
    pub(super) fn highest(&self) -> Option<u64> {
        self.runs.back().map(|run| run.last)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64),
        InsertRange(u64, u64),
        Add(u64, u64),
        Remove(u64, u64),
        Clear,
        RemoveBelow(u64),
        PopLowest,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0u64..64).prop_map(Step::Insert),
            2 => (0u64..64, 0u64..20).prop_map(|(at, len)| Step::InsertRange(at, at + len)),
            3 => (0u64..64, 0u64..20).prop_map(|(at, len)| Step::Add(at, at + len)),
            3 => (0u64..64, 0u64..20).prop_map(|(at, len)| Step::Remove(at, at + len)),
            1 => Just(Step::Clear),
            1 => (0u64..64).prop_map(Step::RemoveBelow),
            1 => Just(Step::PopLowest),
        ]
    }

    fn runs_of(set: &BTreeSet<u64>) -> Vec<RangeInclusive<u64>> {
        let mut runs: Vec<RangeInclusive<u64>> = Vec::new();
        for &number in set {
            match runs.last_mut() {
                Some(run) if *run.end() + 1 == number => *run = *run.start()..=number,
                _ => runs.push(number..=number),
            }
        }
        runs
    }

    proptest! {
        #[test]
        fn it_holds_what_a_set_of_single_numbers_holds(
            steps in prop::collection::vec(step(), 0..100),
        ) {
            let mut ranges = RangeSet::new();
            let mut model = BTreeSet::new();
            for step in steps {
                match step {
                    Step::Insert(number) => {
                        prop_assert_eq!(ranges.insert(number), model.insert(number));
                    }
                    Step::InsertRange(first, last) => {
                        ranges.insert_range(first..=last);
                        model.extend(first..=last);
                    }
                    Step::Add(from, to) => {
                        let new = (from..to).any(|number| !model.contains(&number));
                        prop_assert_eq!(ranges.add(from..to), new);
                        model.extend(from..to);
                    }
                    Step::Remove(from, to) => {
                        ranges.remove(&(from..to));
                        model.retain(|held| !(from..to).contains(held));
                    }
                    Step::Clear => {
                        ranges.clear();
                        model.clear();
                    }
                    Step::RemoveBelow(number) => {
                        ranges.remove_below(number);
                        model.retain(|&held| held >= number);
                    }
                    Step::PopLowest => {
                        let popped = ranges.pop_lowest_range();
                        prop_assert_eq!(&popped, &runs_of(&model).first().cloned());
                        for number in popped.into_iter().flatten() {
                            model.remove(&number);
                        }
                    }
                }
                let runs = runs_of(&model);
                prop_assert_eq!(ranges.iter().collect::<Vec<_>>(), runs.clone());
                prop_assert_eq!(ranges.len(), runs.len());
                prop_assert_eq!(ranges.is_empty(), model.is_empty());
                prop_assert_eq!(ranges.highest(), model.last().copied());
                let lowest = runs.first().map(|run| *run.start()..*run.end() + 1);
                prop_assert_eq!(ranges.lowest_range(), lowest);
                for probe in [0..0, 0..1, 3..9, 10..30] {
                    let there = |number: &u64| model.contains(number);
                    prop_assert_eq!(ranges.covers(&probe), probe.clone().all(|n| there(&n)));
                    let missing = ranges.gaps(probe.clone()).into_iter().flatten();
                    let expected = probe.clone().filter(|n| !there(n));
                    prop_assert_eq!(missing.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
                }
                for number in 0..90 {
                    prop_assert_eq!(ranges.contains(number), model.contains(&number));
                    let gap = (number..).find(|n| !model.contains(n));
                    prop_assert_eq!(ranges.lowest_gap(number), gap);
                }
            }
        }
    }

    #[test]
    fn the_highest_number_of_all_is_a_number_like_others() {
        let mut ranges = RangeSet::new();
        assert!(ranges.insert(u64::MAX));
        assert!(!ranges.insert(u64::MAX));
        assert!(ranges.insert(u64::MAX - 1));
        assert_eq!(ranges.len(), 1);
        assert_eq!(ranges.lowest_gap(u64::MAX - 1), None);
        ranges.insert_range(0..=u64::MAX);
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [0..=u64::MAX]);
    }
}
