//! How long things took, in plain integers.

use core::{ops::Add, time::Duration};

use super::watched::WATCHED;

/// How long things took: how many took up to 1 ms, up to 2 ms, and so on to 33 s, how many longer,
/// and how long all of them together.
///
/// ```
/// use core::time::Duration;
/// use positron_proto::metric::Histogram;
///
/// let mut waits = Histogram::default();
/// waits.note(Duration::from_millis(3));
/// waits.note(Duration::from_secs(60));
/// assert_eq!(waits.count(), 2);
/// let up_to_4_ms = waits.up_to().find(|(most, _)| *most == Duration::from_millis(4));
/// assert_eq!(up_to_4_ms, Some((Duration::from_millis(4), 1)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Histogram {
    /// The last one is of what took longer than all bounds.
    buckets: [u64; Self::BUCKETS + 1],
    sum_us: u64,
}

impl Histogram {
    /// Bounds, each twice the one before: from a network in one room to a dial that nobody answers.
    pub const BUCKETS: usize = 16;
    /// The first bound.
    const FIRST: Duration = Duration::from_millis(1);

    /// Something took so long.
    pub fn note(&mut self, took: Duration) {
        if !WATCHED {
            return;
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // The bound of bucket n is 1,000 µs * 2^n, and it is in its bucket.
        let above = micros.saturating_sub(1) / 1_000;
        let bucket = usize::try_from(u64::BITS - above.leading_zeros()).unwrap_or(Self::BUCKETS);
        self.buckets[bucket.min(Self::BUCKETS)] += 1;
        self.sum_us = self.sum_us.saturating_add(micros);
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// How long all of them took together.
    pub const fn sum(&self) -> Duration {
        Duration::from_micros(self.sum_us)
    }

    /// How many there were in each bucket, with its bound; without those that took longer.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        (0..).map(|n| Self::FIRST * (1 << n)).zip(self.buckets).take(Self::BUCKETS)
    }

    /// How many took at most so long.
    pub fn up_to(&self) -> impl Iterator<Item = (Duration, u64)> {
        self.buckets().scan(0, |total, (most, number)| {
            *total += number;
            Some((most, *total))
        })
    }
}

impl Add for Histogram {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self.buckets.iter_mut().zip(other.buckets).for_each(|(bucket, more)| *bucket += more);
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_in_its_bucket_and_a_microsecond_more_is_in_the_next() {
        for (nth, (most, _)) in Histogram::default().buckets().enumerate() {
            let mut histogram = Histogram::default();
            histogram.note(most);
            histogram.note(most + Duration::from_micros(1));
            assert_eq!(histogram.buckets[nth], 1, "{most:?}");
            assert_eq!(histogram.buckets[nth + 1], 1, "more than {most:?}");
        }
    }

    #[test]
    fn nothing_and_eternity_have_their_buckets() {
        let mut histogram = Histogram::default();
        histogram.note(Duration::ZERO);
        histogram.note(Duration::MAX);
        assert_eq!((histogram.buckets[0], histogram.buckets[Histogram::BUCKETS]), (1, 1));
        assert_eq!((histogram.count(), histogram.sum_us), (2, u64::MAX));
        let longest = histogram.up_to().last();
        assert_eq!(longest, Some((Duration::from_millis(1 << 15), 1)));
    }
}
