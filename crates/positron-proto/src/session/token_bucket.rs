//! A rate that holds: bytes that may go, as time brings them.

use crate::{
    limits::{BANDWIDTH_BURST, BANDWIDTH_DEBT, BANDWIDTH_STEP, LEAST_BANDWIDTH_STEP},
    time::{Duration, Instant},
};

/// A token bucket (RFC 2697, with one bucket), a token a byte.
///
/// What can wait asks for its [`allowance`](Self::allowance); what cannot is [taken](Self::take)
/// all the same and leaves a debt, which what can wait pays off. So any time `t` sees at most what
/// the bucket holds, `rate · t`, and what could not wait in the last moments of it. Tokens come out
/// in whole steps only: a drop at a time is not worth what is around it.
///
/// The bucket holds [`BANDWIDTH_BURST`]; a debt is forgiven beyond [`BANDWIDTH_DEBT`], so that
/// whoever makes more of what cannot wait than the rate allows does not keep the rest away for
/// long.
#[derive(Clone, Debug)]
pub(super) struct TokenBucket {
    /// Bytes per second.
    rate: u64,
    /// Millionths of a byte, so that a microsecond at any rate is a whole number; negative: a debt.
    tokens: i128,
    filled_at: Instant,
}

impl TokenBucket {
    /// A full one.
    pub(super) fn new(now: Instant, rate: u64) -> Self {
        let rate = rate.max(1);
        let mut bucket = Self { rate, tokens: 0, filled_at: now };
        bucket.tokens = bucket.depth();
        bucket
    }

    /// Bytes that come out at once, at the least.
    pub(super) fn step(&self) -> u64 {
        self.bytes_in(BANDWIDTH_STEP).max(LEAST_BANDWIDTH_STEP)
    }

    /// Bytes that come in this time.
    pub(super) fn bytes_in(&self, time: Duration) -> u64 {
        u64::try_from(u128::from(self.rate) * time.as_micros() / 1_000_000).unwrap_or(u64::MAX)
    }

    /// Bytes that may go now: none, or a step at the least.
    pub(super) fn allowance(&mut self, now: Instant) -> u64 {
        self.fill(now);
        let whole = u64::try_from(self.tokens / MILLION).unwrap_or(0);
        if whole < self.step() { 0 } else { whole }
    }

    /// Bytes went, whether they were allowed to or not.
    pub(super) fn take(&mut self, now: Instant, bytes: u64) {
        self.fill(now);
        let most_debt = i128::from(self.bytes_in(BANDWIDTH_DEBT)) * MILLION;
        self.tokens = (self.tokens - i128::from(bytes) * MILLION).max(-most_debt);
    }

    /// When there is an [`allowance`](Self::allowance), if nothing is taken before.
    pub(super) fn ready_at(&self) -> Instant {
        let missing = i128::from(self.step()) * MILLION - self.tokens;
        let wait = u128::try_from(missing).unwrap_or(0).div_ceil(u128::from(self.rate));
        self.filled_at + Duration::from_micros(u64::try_from(wait).unwrap_or(u64::MAX))
    }

    /// Whether it is as if nothing had ever been taken.
    pub(super) fn is_full(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.tokens == self.depth()
    }

    fn fill(&mut self, now: Instant) {
        let micros = i128::try_from(now.since(self.filled_at).as_micros()).unwrap_or(i128::MAX);
        self.filled_at = self.filled_at.max(now);
        let gained = micros.saturating_mul(i128::from(self.rate));
        self.tokens = self.tokens.saturating_add(gained).min(self.depth());
    }

    fn depth(&self) -> i128 {
        i128::from(self.bytes_in(BANDWIDTH_BURST).max(2 * self.step())) * MILLION
    }
}

const MILLION: i128 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{limits::LEAST_BANDWIDTH, rng::Seed};

    const RATES: [u64; 6] =
        [LEAST_BANDWIDTH, 100_000, 1_000_003, 12_500_000, 1_250_000_000, 100_000_000_000];
    const TEN_SECONDS: u64 = 10_000_000;

    /// A sender that always has more, wakes up to 20 ms late, and says now and then what cannot
    /// wait: what went, and when.
    fn backlogged(rate: u64, seconds: u64, unasked: bool) -> Vec<(u64, u64)> {
        let mut dice = Seed::from_number(rate).stream("bucket");
        let mut now = Instant::from_micros(77);
        let mut bucket = TokenBucket::new(now, rate);
        let mut log = Vec::new();
        while now.as_micros() < seconds * 1_000_000 {
            let allowed = bucket.allowance(now);
            let extra = if unasked { dice.next_u64() % (bucket.step() / 4) } else { 0 };
            bucket.take(now, allowed + extra);
            log.push((now.as_micros(), allowed + extra));
            now = bucket.ready_at() + Duration::from_micros(dice.next_u64() % 20_000);
        }
        log
    }

    #[test]
    fn any_ten_seconds_carry_the_rate_within_five_percent() {
        for (rate, unasked) in RATES.into_iter().flat_map(|rate| [(rate, false), (rate, true)]) {
            let log = backlogged(rate, 40, unasked);
            let (mut first, mut sent) = (0, 0);
            for (at, bytes) in &log {
                sent += bytes;
                while log[first].0 + TEN_SECONDS <= *at {
                    sent -= log[first].1;
                    first += 1;
                }
                assert!(sent <= rate * 10 + rate / 2, "{sent} bytes before {at} µs of {rate}/s");
                let is_whole = *at >= TEN_SECONDS + 77;
                assert!(!is_whole || sent >= rate * 10 - rate / 2, "{sent} at {at} µs of {rate}/s");
            }
        }
    }

    #[test]
    fn an_hour_of_single_microseconds_loses_nothing_to_rounding() {
        for rate in [LEAST_BANDWIDTH + 7, 999_983] {
            let start = Instant::ORIGIN;
            let mut bucket = TokenBucket::new(start, rate);
            let held = bucket.tokens / MILLION;
            bucket.take(start, u64::try_from(held).unwrap());
            let (mut now, mut taken) = (start, 0);
            while now.since(start) < Duration::from_secs(3600) {
                now = now + Duration::from_micros(997);
                let allowed = bucket.allowance(now);
                bucket.take(now, allowed);
                taken += allowed;
            }
            let expected = bucket.bytes_in(now.since(start));
            assert!(expected - taken <= bucket.step(), "{taken} of {expected}");
        }
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_gives_no_more_than_the_bucket_holds() {
        let now = Instant::from_micros(5_000_000);
        let mut bucket = TokenBucket::new(now, 1_000_000);
        let held = bucket.allowance(now);
        assert_eq!(held, 100_000);
        bucket.take(now, held);
        for then in [now, Instant::ORIGIN, now] {
            assert_eq!(bucket.allowance(then), 0);
        }
        assert_eq!(bucket.ready_at(), now + Duration::from_millis(10));
        assert_eq!(bucket.allowance(bucket.ready_at()), bucket.step());
    }

    #[test]
    fn a_huge_idle_time_fills_the_bucket_and_no_more() {
        for rate in RATES {
            let mut bucket = TokenBucket::new(Instant::ORIGIN, rate);
            let held = bucket.allowance(Instant::ORIGIN);
            bucket.take(Instant::ORIGIN, u64::MAX);
            assert!(!bucket.is_full(Instant::ORIGIN));
            assert_eq!(bucket.allowance(Instant::FAR_FUTURE), held);
            assert!(bucket.is_full(Instant::FAR_FUTURE));
            bucket.take(Instant::FAR_FUTURE, u64::MAX);
            assert_eq!(bucket.ready_at(), Instant::FAR_FUTURE);
        }
    }

    #[test]
    fn a_debt_is_paid_off_before_anything_else_goes_and_is_forgiven_beyond_its_bound() {
        let now = Instant::ORIGIN;
        let mut bucket = TokenBucket::new(now, 1_000_000);
        bucket.take(now, 600_000);
        let half_a_second = now + Duration::from_millis(510);
        assert_eq!(bucket.ready_at(), half_a_second);
        assert_eq!(bucket.allowance(half_a_second), 10_000);
        bucket.take(half_a_second, u64::MAX);
        let at_the_latest = half_a_second + BANDWIDTH_DEBT + BANDWIDTH_STEP;
        assert_eq!(bucket.ready_at(), at_the_latest);
    }

    #[test]
    fn the_smallest_limit_lets_whole_packets_go() {
        let now = Instant::ORIGIN;
        let mut bucket = TokenBucket::new(now, 1);
        assert_eq!(bucket.allowance(now), 2 * LEAST_BANDWIDTH_STEP);
        bucket.take(now, 2 * LEAST_BANDWIDTH_STEP);
        assert_eq!(bucket.ready_at(), now + Duration::from_secs(LEAST_BANDWIDTH_STEP));
    }
}
