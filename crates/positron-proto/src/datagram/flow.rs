//! Congestion and flow control by itself, for callers that bring their own transport.

pub use super::congestion::Phase;
use super::congestion::{AckSample, Controller, DeliverySample, NewReno};
use super::rtt::Rtt;
use crate::{
    limits::RTO_LONGEST,
    time::{Duration, Instant},
};

/// How much may be sent now, by the window of the path (NewReno) and that of the receiver.
///
/// It is made of the same parts as datagram connections, but sees no packets: only bytes that were
/// sent, acknowledged, or not answered in time. Any numbers are safe: sums saturate, and an
/// acknowledgment of more than was sent counts for what was.
///
/// ```
/// use positron_proto::{
///     datagram::flow::{AdaptiveFlowController, Phase},
///     time::{Duration, Instant},
/// };
///
/// let mut flow = AdaptiveFlowController::new(1200);
/// assert!(flow.can_send(1200));
/// flow.on_send(12_000);
/// assert!(!flow.can_send(1), "the first window is ten datagrams");
///
/// let now = Instant::from_micros(50_000);
/// flow.on_ack(12_000, 1 << 20, Duration::from_millis(50), now);
/// assert_eq!(flow.stats().congestion_window, 24_000);
/// assert_eq!(flow.stats().phase, Phase::SlowStart);
///
/// flow.on_send(24_000);
/// flow.on_timeout(now + flow.stats().rto);
/// assert_eq!(flow.stats().congestion_window, 2_400);
/// assert_eq!(flow.stats().slow_start_threshold, Some(12_000));
/// ```
#[derive(Clone, Debug)]
pub struct AdaptiveFlowController {
    congestion: NewReno,
    rtt: Rtt,
    receiver_window: u64,
    in_flight: u64,
    /// The most that was in flight since the last acknowledgment or timeout.
    flight_peak: u64,
    sent: u64,
    acknowledged: u64,
    timeouts: u64,
    /// Timeouts since the last acknowledgment.
    backoff: u32,
}

/// What an [`AdaptiveFlowController`] knows. Sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowStats {
    /// What the path is taken to carry.
    pub congestion_window: u64,
    /// The window above which growth is slow; `None` before the first loss.
    pub slow_start_threshold: Option<u64>,
    /// What the receiver told last that it has room for.
    pub receiver_window: u64,
    /// Sent and not acknowledged.
    pub in_flight: u64,
    /// Smoothed round trip time.
    pub srtt: Duration,
    /// Its variation.
    pub rttvar: Duration,
    /// How long to wait for an acknowledgment before [`AdaptiveFlowController::on_timeout`], with
    /// the backoff of timeouts in a row.
    pub rto: Duration,
    /// Sent in all.
    pub sent: u64,
    /// Acknowledged in all.
    pub acknowledged: u64,
    /// Timeouts in all.
    pub timeouts: u64,
    /// What congestion control is doing.
    pub phase: Phase,
}

impl AdaptiveFlowController {
    /// Segments have `mss` bytes; the first window is ten of them (RFC 6928).
    pub fn new(mss: u64) -> Self {
        Self {
            congestion: NewReno::new(mss),
            rtt: Rtt::new(),
            receiver_window: FIRST_RECEIVER_WINDOW,
            in_flight: 0,
            flight_peak: 0,
            sent: 0,
            acknowledged: 0,
            timeouts: 0,
            backoff: 0,
        }
    }

    /// Whether `bytes` more fit into both windows.
    pub fn can_send(&self, bytes: u64) -> bool {
        let window = self.congestion.window().min(self.receiver_window);
        self.in_flight.checked_add(bytes).is_some_and(|flight| flight <= window)
    }

    /// `bytes` were sent, new or again.
    pub fn on_send(&mut self, bytes: u64) {
        self.sent = self.sent.saturating_add(bytes);
        self.in_flight = self.in_flight.saturating_add(bytes);
        self.flight_peak = self.flight_peak.max(self.in_flight);
    }

    /// `bytes` were acknowledged, the last of them `rtt` after they were sent, by a receiver that
    /// has room for `receiver_window` more. Give a round trip time of something that was sent once
    /// only (Karn's rule, RFC 6298, 3); zero means that there is none.
    pub fn on_ack(&mut self, bytes: u64, receiver_window: u64, rtt: Duration, now: Instant) {
        self.receiver_window = receiver_window;
        if !rtt.is_zero() {
            self.rtt.sample(now, rtt, Duration::ZERO);
        }
        let bytes = bytes.min(self.in_flight);
        if bytes == 0 {
            return;
        }
        self.backoff = 0;
        self.acknowledged = self.acknowledged.saturating_add(bytes);
        // RFC 7661, 4.1: a window of which less than half was used was not tried.
        let app_limited = self.flight_peak < self.congestion.window() / 2;
        self.in_flight -= bytes;
        self.flight_peak = self.in_flight;
        let sample = AckSample {
            now,
            bytes,
            newest_sent_at: now - rtt,
            app_limited,
            rtt: (!rtt.is_zero()).then_some(rtt),
            in_flight: self.in_flight,
            delivery: DeliverySample::default(),
        };
        self.congestion.acknowledged(&sample);
    }

    /// Nothing was acknowledged for [`FlowStats::rto`]: all that is in flight is taken for lost,
    /// and is to be sent again.
    pub fn on_timeout(&mut self, now: Instant) {
        self.timeouts = self.timeouts.saturating_add(1);
        self.backoff = self.backoff.saturating_add(1);
        self.in_flight = 0;
        self.flight_peak = 0;
        self.congestion.handle_rto(now);
    }

    /// What it knows now.
    pub fn stats(&self) -> FlowStats {
        let doubled = 1u32 << self.backoff.min(16);
        let threshold = self.congestion.threshold();
        FlowStats {
            congestion_window: self.congestion.window(),
            slow_start_threshold: (threshold != u64::MAX).then_some(threshold),
            receiver_window: self.receiver_window,
            in_flight: self.in_flight,
            srtt: self.rtt.smoothed(),
            rttvar: self.rtt.variation(),
            rto: self.rtt.rto().saturating_mul(doubled).min(RTO_LONGEST),
            sent: self.sent,
            acknowledged: self.acknowledged,
            timeouts: self.timeouts,
            phase: self.congestion.phase(),
        }
    }
}

/// Bytes before the receiver has said anything: the largest window without scaling (RFC 9293).
const FIRST_RECEIVER_WINDOW: u64 = 65_535;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_receivers_window_holds_back_what_the_path_would_carry() {
        let mut flow = AdaptiveFlowController::new(1000);
        flow.on_send(1000);
        flow.on_ack(1000, 1500, Duration::from_millis(10), Instant::from_micros(10_000));
        assert!(flow.can_send(1500));
        assert!(!flow.can_send(1501));
    }

    #[test]
    fn timeouts_in_a_row_wait_longer_each_until_something_is_acknowledged() {
        let mut flow = AdaptiveFlowController::new(1000);
        flow.on_send(1000);
        flow.on_ack(1000, 1 << 20, Duration::from_millis(100), Instant::from_micros(100_000));
        let rto = flow.stats().rto;
        let mut now = Instant::from_micros(200_000);
        for doubled in [2, 4, 8] {
            flow.on_send(1000);
            now = now + flow.stats().rto;
            flow.on_timeout(now);
            assert_eq!(flow.stats().rto, rto * doubled);
        }
        flow.on_send(1000);
        flow.on_ack(1000, 1 << 20, Duration::ZERO, now + Duration::from_millis(50));
        assert_eq!(flow.stats().rto, rto);
    }

    #[test]
    fn a_window_that_is_not_used_does_not_grow() {
        let mut flow = AdaptiveFlowController::new(1000);
        for round in 1..100 {
            flow.on_send(1000);
            let now = Instant::from_micros(round * 10_000);
            flow.on_ack(1000, 1 << 20, Duration::from_millis(10), now);
        }
        assert_eq!(flow.stats().congestion_window, 10_000);
    }

    proptest! {
        #[test]
        fn no_number_is_too_wild(
            mss in any::<u64>(),
            steps in prop::collection::vec(
                (0u8..3, any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>()),
                0..60,
            ),
        ) {
            let mut flow = AdaptiveFlowController::new(mss);
            for (what, bytes, window, rtt, now) in steps {
                let now = Instant::from_micros(now);
                match what {
                    0 => flow.on_send(bytes),
                    1 => flow.on_ack(bytes, window, Duration::from_micros(rtt), now),
                    _ => flow.on_timeout(now),
                }
                let stats = flow.stats();
                prop_assert!(stats.in_flight <= stats.sent);
                prop_assert!(stats.acknowledged <= stats.sent);
                prop_assert!(stats.congestion_window > 0);
                prop_assert!(stats.rto <= RTO_LONGEST);
                flow.can_send(bytes);
            }
        }
    }
}
