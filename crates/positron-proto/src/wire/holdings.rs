//! Which messages a node has: ranges of sequence numbers per sender `[PROTOCOL 6]`.

use std::{
    collections::{BTreeMap, btree_map},
    ops::RangeInclusive,
};

use super::codec::{Malformed, Reader, Writer as _};
use crate::{
    id::NodeId,
    limits::{MAX_HOLDINGS_RANGES, MAX_HOLDINGS_SENDERS},
};

/// Sequence numbers, as ranges that are ordered, not empty, and do not touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// No numbers.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Whether `number` is among them.
    pub fn contains(&self, number: u64) -> bool {
        self.0.range(..=number).next_back().is_some_and(|(_, &last)| number <= last)
    }

    /// Adds `number`; returns whether it was new.
    pub fn insert(&mut self, number: u64) -> bool {
        if self.contains(number) {
            return false;
        }
        let before = number.checked_sub(1).and_then(|end| {
            let (&first, &last) = self.0.range(..=end).next_back()?;
            (last == end).then_some(first)
        });
        let after = number.checked_add(1).and_then(|start| self.0.remove(&start));
        self.0.insert(before.unwrap_or(number), after.unwrap_or(number));
        true
    }

    /// Adds every number of `range`.
    pub fn insert_range(&mut self, range: RangeInclusive<u64>) {
        let (mut first, mut last) = range.into_inner();
        if first > last {
            return;
        }
        if let Some((&before, &end)) = self.0.range(..=first).next_back()
            && end.saturating_add(1) >= first
        {
            first = before;
        }
        while let Some((&start, &end)) = self.0.range(first..=last.saturating_add(1)).next() {
            self.0.remove(&start);
            last = last.max(end);
        }
        self.0.insert(first, last);
    }

    /// Removes `number`; returns whether it was there.
    pub fn remove(&mut self, number: u64) -> bool {
        let Some((&first, &last)) = self.0.range(..=number).next_back() else {
            return false;
        };
        if number > last {
            return false;
        }
        self.0.remove(&first);
        if first < number {
            self.0.insert(first, number - 1);
        }
        if number < last {
            self.0.insert(number + 1, last);
        }
        true
    }

    /// The ranges, lowest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = RangeInclusive<u64>> {
        self.0.iter().map(|(&first, &last)| first..=last)
    }

    /// How many ranges.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no numbers.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The numbers of `self` that are not in `other`, at most `limit` of them, lowest first.
    pub fn missing_from<'a>(&'a self, other: &'a Self, limit: usize) -> impl Iterator<Item = u64> {
        self.iter().flat_map(move |range| other.gaps_in(range)).flatten().take(limit)
    }

    /// The numbers of `self` that are not in `other`.
    pub fn without(&self, other: &Self) -> Self {
        Self(
            self.iter()
                .flat_map(|range| other.gaps_in(range))
                .map(RangeInclusive::into_inner)
                .collect(),
        )
    }

    /// The numbers that are in `self` and in `other`: at the cost of `other`, however many ranges
    /// of `self` are elsewhere.
    pub fn common_with(&self, other: &Self) -> Self {
        let parts = |within: RangeInclusive<u64>| {
            let (start, end) = within.clone().into_inner();
            let part = move |(&first, &last): (&u64, &u64)| (first.max(start), last.min(end));
            self.around(within).map(part).filter(|(first, last)| first <= last)
        };
        Self(other.iter().flat_map(parts).collect())
    }

    /// The ranges that reach into `within`, and perhaps the one that ends before it.
    fn around(&self, within: RangeInclusive<u64>) -> btree_map::Range<'_, u64, u64> {
        let (start, end) = within.into_inner();
        let from = self.0.range(..=start).next_back().map_or(start, |(&first, _)| first);
        self.0.range(from..=end)
    }

    /// The parts of `within` that `self` does not cover.
    fn gaps_in(&self, within: RangeInclusive<u64>) -> impl Iterator<Item = RangeInclusive<u64>> {
        let mut covered = self.around(within.clone());
        let (start, end) = within.into_inner();
        let mut next = Some(start);
        core::iter::from_fn(move || {
            loop {
                let at = next.filter(|&at| at <= end)?;
                match covered.next() {
                    Some((&first, &last)) => {
                        next = last.checked_add(1).map(|after| after.max(at));
                        if first > at {
                            return Some(at..=first - 1);
                        }
                    }
                    None => {
                        next = None;
                        return Some(at..=end);
                    }
                }
            }
        })
    }
}

impl FromIterator<u64> for Ranges {
    fn from_iter<I: IntoIterator<Item = u64>>(numbers: I) -> Self {
        let mut ranges = Self::new();
        for number in numbers {
            ranges.insert(number);
        }
        ranges
    }
}

/// Ranges of sequence numbers per sender.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holdings(BTreeMap<NodeId, Ranges>);

impl Holdings {
    /// No messages.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds one message.
    pub fn insert(&mut self, sender: NodeId, number: u64) -> bool {
        self.0.entry(sender).or_default().insert(number)
    }

    /// Adds all ranges of one sender.
    pub fn insert_ranges(&mut self, sender: NodeId, ranges: Ranges) {
        if !ranges.is_empty() {
            self.0.insert(sender, ranges);
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ranges of one sender.
    pub fn of(&self, sender: &NodeId) -> Option<&Ranges> {
        self.0.get(sender)
    }

    /// Senders and their ranges, in order of the sender's id.
    pub fn iter(&self) -> impl Iterator<Item = (&NodeId, &Ranges)> {
        self.0.iter()
    }

    /// How many senders.
    pub fn senders(&self) -> usize {
        self.0.len()
    }

    /// Reads a list from the front of `reader`.
    pub fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        let count = reader.len(MAX_HOLDINGS_SENDERS)?;
        let mut holdings = BTreeMap::new();
        let mut budget = MAX_HOLDINGS_RANGES;
        for _ in 0..count {
            let unordered = reader.malformed("senders not in order");
            let sender = NodeId::from_bytes(reader.array()?);
            if holdings.last_key_value().is_some_and(|(last, _)| *last >= sender) {
                return Err(unordered);
            }
            let ranges = decode_ranges(reader, budget)?;
            budget -= ranges.len();
            holdings.insert(sender, ranges);
        }
        Ok(Self(holdings))
    }

    /// Ranges are written as distances: from the end of the one before, and their own length less
    /// one.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.append_varint(self.0.len() as u64);
        for (sender, ranges) in &self.0 {
            out.append_raw(sender.as_bytes());
            out.append_varint(ranges.len() as u64);
            let mut after = 0;
            for range in ranges.iter() {
                out.append_varint(range.start() - after);
                out.append_varint(range.end() - range.start());
                after = range.end() + 1;
            }
        }
    }
}

fn decode_ranges(reader: &mut Reader, budget: usize) -> Result<Ranges, Malformed> {
    let count = reader.len(budget)?;
    let mut ranges = BTreeMap::new();
    let mut after = 0_u64;
    for index in 0..count {
        let wrong = reader.malformed("range");
        let (gap, more) = (reader.varint()?, reader.varint()?);
        if index > 0 && gap == 0 {
            return Err(wrong);
        }
        // Sequence numbers are below 2^62 so that they fit a varint.
        let first = after.checked_add(gap).filter(|&n| n < 1 << 62).ok_or(wrong)?;
        let last = first.checked_add(more).filter(|&n| n < 1 << 62).ok_or(wrong)?;
        ranges.insert(first, last);
        after = last + 1;
    }
    if ranges.is_empty() {
        return Err(reader.malformed("sender without ranges"));
    }
    Ok(Ranges(ranges))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seed;

    #[test]
    fn ranges_behave_like_a_set_of_numbers() {
        let mut rng = Seed::from_number(3).stream("ranges");
        let (mut ranges, mut set) = (Ranges::new(), std::collections::BTreeSet::new());
        for _ in 0..5_000 {
            let number = rng.below(60);
            if rng.chance(0.6) {
                assert_eq!(ranges.insert(number), set.insert(number));
            } else {
                assert_eq!(ranges.remove(number), set.remove(&number));
            }
            assert!(ranges.iter().flatten().eq(set.iter().copied()));
            let touching =
                ranges.iter().zip(ranges.iter().skip(1)).any(|(a, b)| a.end() + 1 == *b.start());
            assert!(!touching);
        }
    }

    #[test]
    fn missing_numbers_are_the_difference_of_the_sets() {
        let mut rng = Seed::from_number(4).stream("missing");
        for _ in 0..500 {
            let mut draw = || (0..rng.below(30)).map(|_| rng.below(40)).collect::<Vec<_>>();
            let (a, b) = (draw(), draw());
            let (a, b): (Ranges, Ranges) = (a.into_iter().collect(), b.into_iter().collect());
            let expected: Vec<u64> = a.iter().flatten().filter(|n| !b.contains(*n)).collect();
            assert_eq!(a.missing_from(&b, usize::MAX).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn whole_ranges_are_added_and_taken_away_like_sets() {
        let mut rng = Seed::from_number(5).stream("whole ranges");
        for _ in 0..500 {
            let mut draw = || {
                let (mut ranges, mut set) = (Ranges::new(), std::collections::BTreeSet::new());
                for _ in 0..rng.below(8) {
                    let first = rng.below(40);
                    let range = first..=first + rng.below(6);
                    set.extend(range.clone());
                    ranges.insert_range(range);
                }
                assert_eq!(ranges, set.iter().copied().collect());
                (ranges, set)
            };
            let ((a, in_a), (b, in_b)) = (draw(), draw());
            assert_eq!(a.without(&b), in_a.difference(&in_b).copied().collect());
            assert_eq!(a.common_with(&b), in_a.intersection(&in_b).copied().collect());
        }
        let mut all = Ranges::new();
        all.insert_range(0..=u64::MAX);
        all.insert_range(7..=9);
        assert_eq!(all.len(), 1);
        assert!(all.without(&all).is_empty());
    }

    #[test]
    fn holdings_survive_their_encoding_and_disorder_is_refused() {
        let mut holdings = Holdings::new();
        for number in [0, 1, 2, 7, 9, (1 << 62) - 1] {
            holdings.insert(NodeId::from_bytes([1; 32]), number);
            holdings.insert(NodeId::from_bytes([2; 32]), number * 2 % (1 << 62));
        }
        let mut bytes = Vec::new();
        holdings.encode(&mut bytes);
        let mut reader = Reader::new(bytes.clone().into());
        assert_eq!(Holdings::decode(&mut reader), Ok(holdings));
        assert!(reader.is_empty());

        let mut unordered = vec![2];
        for sender in [2, 1] {
            unordered.append_raw(&[sender; 32]);
            unordered.append_raw(&[1, 0, 0]);
        }
        let malformed = Holdings::decode(&mut Reader::new(unordered.into())).unwrap_err();
        assert_eq!(malformed.what, "senders not in order");
    }
}
