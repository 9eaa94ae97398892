//! A rate of bytes, with a burst.

use crate::{
    limits::RELAY_BURST,
    time::{Duration, Instant},
};

/// How much was forwarded of late (generic cell rate algorithm, ITU-T I.371): at most
/// [`RELAY_BURST`] at once, and then so many bytes a second.
#[derive(Debug)]
pub(super) struct ByteRate {
    per_second: u64,
    /// When the whole burst may go again.
    full_at: Instant,
}

impl ByteRate {
    /// Nothing was forwarded yet.
    pub(super) const fn new(per_second: u64) -> Self {
        Self { per_second, full_at: Instant::ORIGIN }
    }

    /// Takes so many bytes, after all that were taken before: when they may go.
    pub(super) fn take(&mut self, now: Instant, bytes: u64) -> Instant {
        self.full_at = self.full_at.max(now) + self.time_of(bytes);
        now.max(self.full_at - self.time_of(RELAY_BURST))
    }

    /// So many that were taken never went.
    pub(super) fn give_back(&mut self, bytes: u64) {
        self.full_at = self.full_at - self.time_of(bytes);
    }

    /// When the whole burst may go again.
    pub(super) const fn full_at(&self) -> Instant {
        self.full_at
    }

    /// How long so many bytes take, rounded up.
    fn time_of(&self, bytes: u64) -> Duration {
        let micros = (u128::from(bytes) * MILLION).div_ceil(u128::from(self.per_second));
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

const MILLION: u128 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate_one_after_the_other() {
        let mut rate = ByteRate::new(1_000);
        let start = Instant::from_micros(10_000_000_000);
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(rate.take(start, RELAY_BURST), start);
        assert_eq!(rate.take(start, 2_000), after(2));
        assert_eq!(rate.take(start, 3_000), after(5), "after those that wait");
        assert_eq!(rate.take(after(4), 1_000), after(6));
        rate.give_back(4_000);
        assert_eq!(rate.take(after(4), 3_000), after(5));
        let rested = after(4 + RELAY_BURST / 1_000 + 2);
        assert_eq!(rate.take(rested, RELAY_BURST), rested);
        assert_eq!(rate.take(rested, 1_000), rested + Duration::from_secs(1), "no more than one");
    }
}
