//! How the last operations went.

use std::collections::VecDeque;

use crate::{limits::RECENT_LOOKUPS, time::Duration};

/// The last [`RECENT_LOOKUPS`] operations that asked anybody, upkeep included.
#[derive(Debug, Default)]
pub(super) struct RecentLookups(VecDeque<Ended>);

#[derive(Clone, Copy, Debug)]
struct Ended {
    hops: u32,
    took: Duration,
}

/// How the last operations went that asked anybody, upkeep included: of half of them no worse than
/// `p50`, of 99 of a hundred no worse than `p99`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LookupTimes {
    /// How many they are.
    pub operations: usize,
    /// Nodes in a row that had to answer.
    pub hops_p50: u32,
    /// The same.
    pub hops_p99: u32,
    /// From the first question to the end.
    pub took_p50: Duration,
    /// The same.
    pub took_p99: Duration,
}

impl RecentLookups {
    /// One ended that asked so many.
    pub(super) fn add(&mut self, asked: usize, hops: u32, took: Duration) {
        if asked == 0 {
            return;
        }
        if self.0.len() >= RECENT_LOOKUPS {
            self.0.pop_front();
        }
        self.0.push_back(Ended { hops, took });
    }

    pub(super) fn times(&self) -> LookupTimes {
        let mut hops: Vec<_> = self.0.iter().map(|ended| ended.hops).collect();
        let mut took: Vec<_> = self.0.iter().map(|ended| ended.took).collect();
        hops.sort_unstable();
        took.sort_unstable();
        LookupTimes {
            operations: self.0.len(),
            hops_p50: quantile(&hops, 50),
            hops_p99: quantile(&hops, 99),
            took_p50: quantile(&took, 50),
            took_p99: quantile(&took, 99),
        }
    }
}

/// The smallest of these that is at least as large as so many of a hundred; they are sorted.
fn quantile<T: Copy + Default>(sorted: &[T], of_hundred: usize) -> T {
    let rank = (sorted.len() * of_hundred).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_are_no_worse_than_the_middle_and_the_oldest_are_forgotten() {
        let mut recent = RecentLookups::default();
        recent.add(0, 0, Duration::ZERO);
        assert_eq!(recent.times(), LookupTimes::default(), "nobody was asked");
        recent.add(1, 3, Duration::from_millis(7));
        let once = recent.times();
        assert_eq!((once.hops_p50, once.hops_p99, once.operations), (3, 3, 1));
        for n in 1..=1_000_u32 {
            recent.add(7, n, Duration::from_millis(n.into()));
        }
        let times = recent.times();
        assert_eq!(times.operations, RECENT_LOOKUPS);
        // The last 256 are 745 to 1,000.
        assert_eq!((times.hops_p50, times.hops_p99), (872, 998));
        assert_eq!(times.took_p50, Duration::from_millis(872));
    }
}
