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

    /// Bytes that may go now.
    pub(super) fn available(&self, now: Instant) -> u64 {
        let owed = self.full_at.since(now).as_micros() * u128::from(self.per_second) / MILLION;
        RELAY_BURST.saturating_sub(u64::try_from(owed).unwrap_or(u64::MAX))
    }

    /// So many went.
    pub(super) fn take(&mut self, now: Instant, bytes: u64) {
        self.full_at = self.full_at.max(now) + self.time_of(bytes);
    }

    /// When so many may go, at most a burst.
    pub(super) fn when(&self, now: Instant, bytes: u64) -> Instant {
        let missing = bytes.min(RELAY_BURST).saturating_sub(self.available(now));
        if missing == 0 { now } else { now + self.time_of(missing) }
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
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let mut rate = ByteRate::new(1_000);
        let start = Instant::from_micros(1_000_000_000);
        assert_eq!(rate.available(start), RELAY_BURST);
        rate.take(start, RELAY_BURST);
        assert_eq!(rate.available(start), 0);
        assert_eq!(rate.when(start, 500), start + Duration::from_millis(500));
        assert_eq!(rate.available(start + Duration::from_millis(500)), 500);
    }
}
