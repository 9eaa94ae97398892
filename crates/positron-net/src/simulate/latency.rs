//! Latencies, counted in bounded memory.

use std::time::Duration;

use serde::Serialize;

/// Counters for each power of two: a value is off by 1.6 % at most.
const STEPS: u64 = 64;
/// Powers of two of microseconds: the last one is a bit over an hour.
const POWERS: u64 = 33;

/// How often each latency was seen, in microseconds.
#[derive(Clone, Debug)]
pub(super) struct Latencies {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

/// The usual excerpt, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Percentiles {
    /// Half are faster.
    pub p50: f64,
    /// 99 of 100 are faster.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
}

impl Default for Latencies {
    fn default() -> Self {
        let len = usize::try_from(STEPS * POWERS).unwrap_or(0);
        Self { counts: vec![0; len], total: 0, max: 0 }
    }
}

impl Latencies {
    /// Counts one.
    pub(super) fn add(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let last = self.counts.len() - 1;
        self.counts[bucket(micros).min(last)] += 1;
        self.total += 1;
        self.max = self.max.max(micros);
    }

    /// Adds those of `other`.
    pub(super) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    /// `None` before the first.
    pub(super) fn percentiles(&self) -> Option<Percentiles> {
        (self.total > 0).then(|| Percentiles {
            p50: millis(self.at(50)),
            p99: millis(self.at(99)),
            max: millis(self.max),
        })
    }

    /// The smallest latency that `percent` of all do not exceed, rounded down to its bucket.
    fn at(&self, percent: u64) -> u64 {
        let rank = (self.total * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (bucket, count) in (0..).zip(&self.counts) {
            seen += count;
            if seen >= rank {
                return lowest(bucket).min(self.max);
            }
        }
        self.max
    }
}

/// The first two powers share the exact buckets from 0 to 127; then each has [`STEPS`] of them.
fn bucket(micros: u64) -> usize {
    let power = u64::from(micros.max(1).ilog2());
    let exact = u64::from(STEPS.ilog2());
    let bucket =
        if power <= exact { micros } else { (power - exact) * STEPS + (micros >> (power - exact)) };
    usize::try_from(bucket).unwrap_or(usize::MAX)
}

/// The lowest latency that is counted in `bucket`.
fn lowest(bucket: u64) -> u64 {
    if bucket < 2 * STEPS {
        return bucket;
    }
    let shift = bucket / STEPS - 1;
    (bucket - shift * STEPS) << shift
}

#[expect(clippy::cast_precision_loss, reason = "latencies stay far below 2^53 microseconds")]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_latency_is_counted_within_two_percent_of_where_it_is() {
        for micros in (0..200).chain((8..32).flat_map(|power| [1 << power, (1 << power) + 12_345]))
        {
            let low = lowest(bucket(micros) as u64);
            assert!(low <= micros && (micros - low) * 64 <= micros, "{micros} counted at {low}");
        }
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_list() {
        let mut half = Latencies::default();
        let mut other = Latencies::default();
        assert_eq!(half.percentiles(), None);
        (1..=50).for_each(|ms| half.add(Duration::from_millis(ms)));
        (51..=100).for_each(|ms| other.add(Duration::from_millis(ms)));
        half.merge(&other);
        let Percentiles { p50, p99, max } = half.percentiles().unwrap();
        assert!((49.0..=50.0).contains(&p50), "{p50}");
        assert!((97.0..=99.0).contains(&p99), "{p99}");
        assert_eq!(max, 100.0);
    }
}
