//! Spreads what the congestion window allows over a round trip, in batches worth sending
//! (RFC 9002, 7.7).
//!
//! A pacer that wakes up for one or two packets forbids segmentation offload, which is worth more
//! than smoothness below a millisecond: so it waits until a whole quantum may go. The average rate
//! is exact: what a late sender missed is made good up to [`PACER_LATENESS`], and what the last
//! datagram of a batch took too much is missing next time.

use super::{congestion::Controller, rtt::Rtt};
use crate::{
    limits::{MAX_BATCH, PACER_BURST_DATAGRAMS, PACER_LATENESS, PACER_QUANTUM},
    time::{Duration, Instant},
};

/// A token bucket that is emptied in quanta.
///
/// Ask [`allowance`](Self::allowance), send whole datagrams until that much has gone (the last one
/// may exceed it), and say so with [`handle_sent`](Self::handle_sent).
#[derive(Clone, Debug)]
pub(super) struct Pacer {
    datagram: u64,
    /// Bytes per second.
    rate: u64,
    /// Millionths of a byte, so that a microsecond at any rate is a whole number; negative after a
    /// batch that was larger than allowed.
    credit: i64,
    filled_at: Instant,
    /// There was nothing to send, so that what was not sent is not lateness.
    idle: bool,
}

impl Pacer {
    /// Datagrams of `datagram` bytes; the first [`PACER_BURST_DATAGRAMS`] go at once.
    pub(super) fn new(now: Instant, datagram: u64) -> Self {
        let burst = datagram.saturating_mul(PACER_BURST_DATAGRAMS);
        Self { datagram, rate: LEAST_RATE, credit: millionths(burst), filled_at: now, idle: true }
    }

    /// Takes the rate of a controller that says one, otherwise 1.25 windows a round trip (RFC 9002,
    /// 7.7), or two while the window doubles, so that the pacer never holds slow start back.
    pub(super) fn follow(&mut self, now: Instant, congestion: &dyn Controller, rtt: &Rtt) {
        if let Some(rate) = congestion.pacing_rate() {
            self.rate_changed(now, rate);
            return;
        }
        let percent = if congestion.in_slow_start() { 200 } else { 125 };
        let micros = rtt.smoothed().as_micros().max(1);
        let rate = u128::from(congestion.window()) * percent * 10_000 / micros;
        self.rate_changed(now, u64::try_from(rate).unwrap_or(u64::MAX));
    }

    /// The rate from now on, in bytes per second.
    pub(super) fn rate_changed(&mut self, now: Instant, bytes_per_second: u64) {
        self.fill(now);
        self.rate = bytes_per_second.clamp(LEAST_RATE, HIGHEST_RATE);
    }

    /// Datagrams have this many bytes from now on.
    pub(super) fn datagram_size_changed(&mut self, datagram: u64) {
        self.datagram = datagram;
    }

    /// Bytes of one batch: ten datagrams, or a millisecond's worth, at most what one call sends.
    pub(super) fn quantum(&self) -> u64 {
        let burst = self.datagram.saturating_mul(PACER_BURST_DATAGRAMS);
        let batch = u64::try_from(MAX_BATCH).unwrap_or(u64::MAX);
        burst.max(self.bytes_in(PACER_QUANTUM)).min(batch)
    }

    /// Bytes that may be sent now of the `wanted` ones that wait: zero until a whole quantum, or
    /// all that is wanted, may go.
    pub(super) fn allowance(&mut self, now: Instant, wanted: u64) -> u64 {
        self.fill(now);
        let credit = u64::try_from(self.credit / MILLION).unwrap_or(0);
        if credit < wanted.min(self.quantum()) { 0 } else { credit.min(wanted) }
    }

    /// Nothing may or can be sent, whatever the pacer says: the time until then is not made good.
    pub(super) fn handle_idle(&mut self) {
        self.idle = true;
    }

    /// Bytes went out.
    pub(super) fn handle_sent(&mut self, now: Instant, bytes: u64) {
        self.fill(now);
        self.idle = false;
        self.credit = self.credit.saturating_sub(millionths(bytes));
    }

    /// When [`allowance`](Self::allowance) stops being zero for `wanted` bytes; `None` if it is
    /// not.
    pub(super) fn poll_timeout(&self, now: Instant, wanted: u64) -> Option<Instant> {
        let missing = millionths(wanted.min(self.quantum())).saturating_sub(self.credit);
        let wait = u64::try_from(missing).unwrap_or(0).div_ceil(self.rate);
        let at = self.filled_at + Duration::from_micros(wait);
        (at > now).then_some(at)
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = now.since(self.filled_at).min(LONGEST_FILL);
        if elapsed.is_zero() {
            return;
        }
        self.filled_at = now;
        let micros = i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX);
        let rate = i64::try_from(self.rate).unwrap_or(i64::MAX);
        let late = if self.idle { 0 } else { self.bytes_in(PACER_LATENESS) };
        let most = millionths(self.quantum().saturating_add(late));
        self.credit = self.credit.saturating_add(micros.saturating_mul(rate)).min(most);
    }

    fn bytes_in(&self, time: Duration) -> u64 {
        let bytes = u128::from(self.rate) * time.as_micros() / 1_000_000;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

fn millionths(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX).saturating_mul(MILLION)
}

const MILLION: i64 = 1_000_000;
/// Bytes per second below which no path is: the pacer must not stop for good.
const LEAST_RATE: u64 = 1_000;
/// Bytes per second that no path exceeds, so that sums stay small.
const HIGHEST_RATE: u64 = 100_000_000_000;
/// A bucket is full long before.
const LONGEST_FILL: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seed;

    const DATAGRAM: u64 = 1400;

    /// A sender that always has more, and wakes up late by up to half a millisecond: what it sent
    /// and when.
    fn backlogged(rate: u64, seconds: u64) -> (Vec<(u64, u64)>, Pacer) {
        let mut dice = Seed::from_number(rate).stream("pacer");
        let mut pacer = Pacer::new(Instant::ORIGIN, DATAGRAM);
        pacer.rate_changed(Instant::ORIGIN, rate);
        let mut log = Vec::new();
        let mut now = Instant::ORIGIN;
        while now.as_micros() < seconds * 1_000_000 {
            let allowed = pacer.allowance(now, u64::MAX);
            if allowed > 0 {
                let bytes = allowed.div_ceil(DATAGRAM) * DATAGRAM;
                pacer.handle_sent(now, bytes);
                log.push((now.as_micros(), bytes));
            }
            let next = pacer.poll_timeout(now, u64::MAX).unwrap_or(now);
            now = next + Duration::from_micros(dice.next_u64() % 500 + 1);
        }
        (log, pacer)
    }

    #[test]
    fn any_tenth_of_a_second_carries_the_rate_within_two_percent_and_a_batch() {
        for rate in [100_000, 1_000_000, 12_500_000, 125_000_000, 1_250_000_000, 5_000_000_000] {
            let (log, pacer) = backlogged(rate, 2);
            let expected = rate / 10;
            let tolerance = expected / 50 + pacer.quantum() + DATAGRAM;
            for start in (100_000..1_800_000).step_by(7_919) {
                let sent: u64 = log
                    .iter()
                    .filter(|(at, _)| (start..start + 100_000).contains(at))
                    .map(|(_, bytes)| bytes)
                    .sum();
                assert!(
                    sent.abs_diff(expected) <= tolerance,
                    "{sent} of {expected} bytes from {start} µs on at {rate} bytes/s"
                );
            }
        }
    }

    #[test]
    fn the_average_of_ten_seconds_is_the_rate_at_every_rate() {
        for rate in [100_000, 1_250_000, 125_000_000, 5_000_000_000] {
            let (log, pacer) = backlogged(rate, 10);
            let sent: u64 = log.iter().map(|(_, bytes)| bytes).sum();
            assert!(
                sent.abs_diff(rate * 10) <= rate * 10 / 50 + pacer.quantum(),
                "{sent} bytes at {rate} bytes/s"
            );
        }
    }

    #[test]
    fn a_batch_is_never_a_dribble_while_more_waits() {
        for rate in [100_000, 12_500_000, 1_250_000_000] {
            let (log, pacer) = backlogged(rate, 1);
            assert!(log.iter().all(|&(_, bytes)| bytes >= pacer.quantum()), "{rate}");
        }
    }

    #[test]
    fn the_first_ten_datagrams_and_a_small_rest_need_not_wait() {
        let now = Instant::from_micros(77);
        let mut pacer = Pacer::new(now, DATAGRAM);
        pacer.rate_changed(now, 140_000);
        assert_eq!(pacer.allowance(now, 1_000_000), 10 * DATAGRAM);
        pacer.handle_sent(now, 10 * DATAGRAM);
        assert_eq!(pacer.allowance(now, 100), 0);
        // One small packet: 100 bytes at 140,000 a second.
        let soon = pacer.poll_timeout(now, 100).expect("it has to wait");
        assert_eq!(soon.since(now), Duration::from_micros(715));
        assert_eq!(pacer.allowance(soon, 100), 100);
        // More waits: ten datagrams at once after 100 ms.
        let later = pacer.poll_timeout(now, 1_000_000).expect("it has to wait");
        assert_eq!(later.since(now), Duration::from_millis(100));
        assert_eq!(pacer.poll_timeout(later, 1_000_000), None);
    }

    #[test]
    fn time_in_which_there_was_nothing_to_send_is_no_lateness() {
        let allowed = |is_idle: bool| {
            let mut pacer = Pacer::new(Instant::ORIGIN, DATAGRAM);
            pacer.rate_changed(Instant::ORIGIN, 10_000_000);
            pacer.handle_sent(Instant::ORIGIN, pacer.quantum());
            if is_idle {
                pacer.handle_idle();
            }
            pacer.allowance(Instant::from_micros(100_000), u64::MAX) / DATAGRAM
        };
        assert_eq!((allowed(true), allowed(false)), (10, 38));
    }

    #[test]
    fn a_clock_that_jumps_gives_no_more_than_a_full_bucket() {
        let mut pacer = Pacer::new(Instant::from_micros(5_000_000), DATAGRAM);
        pacer.rate_changed(Instant::from_micros(5_000_000), 1_000_000);
        pacer.handle_sent(Instant::ORIGIN, 14_000);
        assert_eq!(pacer.allowance(Instant::ORIGIN, u64::MAX), 0);
        let full = 10 * DATAGRAM + 4_000;
        assert_eq!(pacer.allowance(Instant::FAR_FUTURE, u64::MAX), full);
        pacer.handle_sent(Instant::FAR_FUTURE, u64::MAX);
        assert_eq!(pacer.allowance(Instant::FAR_FUTURE, u64::MAX), 0);
    }
}
