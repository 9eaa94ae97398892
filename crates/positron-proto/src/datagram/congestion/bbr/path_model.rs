//! What is known of the path: how much it delivers, how long it takes, how much it holds
//! (draft-ietf-ccwg-bbr, 2.6 to 2.11 and 5.5).

use super::super::controller::{AckSample, DeliverySample};
use crate::{
    limits::{ACK_DELAY, BBR_MIN_RTT_AGE, BBR_PROBE_RTT_EVERY},
    time::{Duration, Instant},
};

/// The highest delivery rate of the last two cycles of probing (`BBR.max_bw`), in bytes per second.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BandwidthFilter([u64; 2]);

impl BandwidthFilter {
    pub(super) fn highest(&self) -> u64 {
        self.0[0].max(self.0[1])
    }

    /// 5.5.7: what an application held back counts only if it is more.
    pub(super) fn handle_rate(&mut self, rate: u64, app_limited: bool) {
        if !app_limited || rate >= self.highest() {
            self.0[1] = self.0[1].max(rate);
        }
    }

    /// A cycle is over; what was measured in the one before it is forgotten.
    pub(super) fn advance(&mut self) {
        if self.0[1] > 0 {
            self.0 = [self.0[1], 0];
        }
    }
}

/// The least round trip time, and whether it is to be looked for (5.3.4.3).
#[derive(Clone, Copy, Debug)]
pub(super) struct LeastRtt {
    least: Option<Duration>,
    at: Instant,
    /// The least since it was looked for.
    probed: Option<Duration>,
    probed_at: Instant,
}

impl LeastRtt {
    pub(super) const fn new() -> Self {
        Self { least: None, at: Instant::ORIGIN, probed: None, probed_at: Instant::ORIGIN }
    }

    /// Zero before the first sample.
    pub(super) fn least(&self) -> Duration {
        self.least.unwrap_or(Duration::ZERO)
    }

    /// A sample; whether the least one was not seen for so long that the queue must be drained to
    /// see it.
    pub(super) fn handle_rtt(&mut self, now: Instant, rtt: Duration) -> bool {
        let first = self.probed.is_none();
        let due = !first && now.since(self.probed_at) > BBR_PROBE_RTT_EVERY;
        // Departure: what is as good as the least one has seen it. A path that never takes exactly
        // as long again need not be drained for that.
        let probed = self.probed.filter(|_| !due).map_or(rtt, |probed| probed.min(rtt));
        if rtt <= probed + probed / SAME_PART {
            self.probed_at = now;
        }
        self.probed = Some(probed);
        let old = now.since(self.at) > BBR_MIN_RTT_AGE;
        if old || self.least.is_none_or(|least| probed <= least + least / SAME_PART) {
            let least = self.least.filter(|_| !old);
            self.least = Some(least.map_or(probed, |least| least.min(probed)));
            self.at = self.probed_at;
        }
        due
    }

    /// The queue was drained: what was seen holds from now on.
    pub(super) fn handle_drained(&mut self, now: Instant) {
        self.probed_at = now;
    }
}

/// How much more was acknowledged at once than the rate delivers: what has to be in flight beside
/// (5.5.9, `BBR.extra_acked`).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AckAggregation {
    began: Instant,
    bytes: u64,
    /// The most in the last five round trips or more, and the same before.
    most: [u64; 2],
    rounds: u32,
}

impl AckAggregation {
    pub(super) fn extra(&self) -> u64 {
        self.most[0].max(self.most[1])
    }

    pub(super) fn handle_ack(&mut self, sample: &AckSample, rate: u64, window: u64) {
        let expected = bytes_in(rate, sample.now.since(self.began));
        let expected = if self.bytes <= expected {
            (self.began, self.bytes) = (sample.now, 0);
            0
        } else {
            expected
        };
        self.bytes = self.bytes.saturating_add(sample.bytes);
        self.most[1] = self.most[1].max((self.bytes - expected).min(window));
    }

    pub(super) fn handle_round(&mut self) {
        self.rounds += 1;
        if self.rounds >= AGGREGATION_ROUNDS {
            self.rounds = 0;
            self.most = [self.most[1], 0];
        }
    }
}

/// Losses and delays of one round trip, and what it delivered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RoundTally {
    pub(super) lost: u64,
    /// The highest delivery rate (`BBR.bw_latest`).
    pub(super) rate: u64,
    /// The most that was delivered within a round trip (`BBR.inflight_latest`).
    pub(super) delivered: u64,
    /// The longest round trip time.
    pub(super) longest_rtt: Duration,
}

impl RoundTally {
    pub(super) fn handle_ack(&mut self, sample: &AckSample, rate: Option<u64>) {
        self.rate = self.rate.max(rate.unwrap_or(0));
        self.delivered = self.delivered.max(sample.delivery.bytes());
        self.longest_rtt = self.longest_rtt.max(sample.rtt.unwrap_or_default());
    }
}

/// Judges whether losses tell of a queue that overflows.
///
/// Departure from the draft (5.5.10.2: more than 2 % of a flight): a path may lose more than that
/// at random. Where a queue overflows it is full, which the round trip time shows; where it is too
/// short for that, who sends too much loses far more.
#[derive(Clone, Copy, Debug)]
pub(super) struct LossJudge {
    pub(super) least_rtt: Duration,
    pub(super) longest_rtt: Duration,
    pub(super) datagram: u64,
}

impl LossJudge {
    /// Whether `lost` bytes of `of` are too many.
    pub(super) fn is_too_much(&self, lost: u64, of: u64) -> bool {
        let part_of_rtt = self.least_rtt / QUEUED_PART;
        // An acknowledgment waits too, and does not always say for how long.
        let queue_from = self.least_rtt + part_of_rtt + part_of_rtt.min(ACK_DELAY);
        let part = |percent: u64| lost.saturating_mul(100) > of.saturating_mul(percent);
        if self.longest_rtt > queue_from {
            return part(LOSS_PERCENT_QUEUED);
        }
        part(LOSS_PERCENT) && lost >= self.datagram.saturating_mul(LOSS_DATAGRAMS)
    }

    /// The same of what was in flight when a packet was sent.
    pub(super) fn is_flight_too_much(&self, sample: &DeliverySample) -> bool {
        self.is_too_much(sample.lost, sample.in_flight_then)
    }
}

/// Bytes that a rate delivers in this time.
pub(super) fn bytes_in(rate: u64, time: Duration) -> u64 {
    let bytes = u128::from(rate) * time.as_micros() / 1_000_000;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Round trips after which the aggregation of acknowledgments before is forgotten, and again as
/// many (5.5.9: `ExtraAckedFilterLen`, 10).
const AGGREGATION_ROUNDS: u32 = 5;
/// Round trip times that differ by less than this part are the same (guess: well below what a queue
/// adds that matters).
const SAME_PART: u32 = 64;
/// A queue is seen from a fourth of the least round trip time on: what probing adds to it.
const QUEUED_PART: u32 = 4;
/// Part of a flight that is too much to lose where there is a queue (2.7: `BBR.LossThresh`).
const LOSS_PERCENT_QUEUED: u64 = 2;
/// The same where there is none (measured: 5 % at random is seldom taken for as much, and what is
/// sent a fourth too fast into a short queue loses a fifth).
const LOSS_PERCENT: u64 = 10;
/// Datagrams that are lost then at the least: of a small flight each is a large part (5.3.1.3:
/// `BBR.StartupFullLossCnt`).
const LOSS_DATAGRAMS: u64 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_rate_is_remembered_for_two_cycles_and_an_idle_application_lowers_nothing() {
        let mut filter = BandwidthFilter::default();
        filter.handle_rate(100, false);
        filter.handle_rate(50, true);
        assert_eq!(filter.highest(), 100);
        filter.advance();
        filter.handle_rate(80, false);
        assert_eq!(filter.highest(), 100);
        filter.advance();
        assert_eq!(filter.highest(), 80);
        filter.handle_rate(90, true);
        assert_eq!(filter.highest(), 90, "more is more");
    }

    #[test]
    fn a_longer_path_is_believed_after_ten_seconds_and_looked_for_after_five() {
        let mut least = LeastRtt::new();
        let at = |ms: u64| Instant::from_micros(ms * 1_000);
        assert!(!least.handle_rtt(at(0), millis(20)));
        assert!(!least.handle_rtt(at(5_000), millis(30)));
        assert!(least.handle_rtt(at(5_001), millis(30)));
        assert_eq!(least.least(), millis(20));
        assert!(least.handle_rtt(at(10_002), millis(30)));
        assert_eq!(least.least(), millis(30));
    }

    #[test]
    fn losses_without_a_queue_are_chance_unless_there_are_many() {
        let judge = |longest| LossJudge {
            least_rtt: millis(20),
            longest_rtt: millis(longest),
            datagram: 1,
        };
        assert!(!judge(29).is_too_much(5, 100));
        assert!(judge(24).is_too_much(11, 100));
        assert!(!judge(24).is_too_much(5, 20), "a few datagrams");
        assert!(judge(31).is_too_much(3, 100));
        assert!(!judge(31).is_too_much(2, 100));
    }

    #[test]
    fn acknowledgments_that_come_together_are_extra() {
        let mut extra = AckAggregation::default();
        let ack = |ms: u64, bytes| AckSample::of(bytes, Instant::from_micros(ms * 1_000));
        for n in 1..10 {
            extra.handle_ack(&ack(n, 1_000), 1_000_000, u64::MAX);
        }
        assert!(extra.extra() <= 2_000, "{}", extra.extra());
        extra.handle_ack(&ack(20, 11_000), 1_000_000, u64::MAX);
        assert!((10_000..=12_000).contains(&extra.extra()), "{}", extra.extra());
        (0..AGGREGATION_ROUNDS * 2).for_each(|_| extra.handle_round());
        assert_eq!(extra.extra(), 0);
    }
}
