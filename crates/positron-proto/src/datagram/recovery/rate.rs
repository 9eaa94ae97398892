//! How fast the path delivers (draft-cheng-iccrg-delivery-rate-estimation-02).

use crate::time::{Duration, Instant};

/// What a packet remembers from the moment it was sent (2.2 of the draft: `P.delivered` and so on).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RateStamp {
    /// Bytes delivered by then.
    pub(super) delivered: u64,
    /// When the last of them were acknowledged.
    delivered_at: Instant,
    /// When the packet was sent whose acknowledgment was the last one by then.
    first_sent_at: Instant,
    /// There was less to send than the window allowed.
    pub(super) app_limited: bool,
}

/// Delivery in one direction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RateSample {
    delivered: u64,
    delivered_at: Instant,
    first_sent_at: Instant,
    /// Delivered bytes up to which the bubble in the pipe lasts.
    app_limited_until: Option<u64>,
}

impl RateSample {
    /// A packet goes out; `in_flight` does not count it yet.
    pub(super) fn sent(&mut self, now: Instant, in_flight: u64) -> RateStamp {
        if in_flight == 0 {
            self.first_sent_at = now;
            self.delivered_at = now;
        }
        RateStamp {
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent_at: self.first_sent_at,
            app_limited: self.app_limited_until.is_some(),
        }
    }

    /// There is nothing more to send.
    pub(super) fn app_limited(&mut self, in_flight: u64) {
        self.app_limited_until = Some(self.delivered.saturating_add(in_flight).max(1));
    }

    /// Whether packets that go out now are marked as limited by the application.
    pub(super) fn is_app_limited(&self) -> bool {
        self.app_limited_until.is_some()
    }

    /// Bytes arrived.
    pub(super) fn add(&mut self, now: Instant, bytes: u64) {
        self.delivered = self.delivered.saturating_add(bytes);
        self.delivered_at = now;
        if self.app_limited_until.is_some_and(|until| self.delivered > until) {
            self.app_limited_until = None;
        }
    }

    /// Bytes delivered in all.
    pub(super) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Bytes per second while the newest acknowledged packet was under way, after [`Self::add`].
    /// `None` if the interval is shorter than any round trip was: then it is no measurement (3.3).
    pub(super) fn rate(
        &mut self,
        sent_at: Instant,
        stamp: &RateStamp,
        least_rtt: Duration,
    ) -> Option<u64> {
        self.first_sent_at = sent_at;
        let send_elapsed = sent_at.since(stamp.first_sent_at);
        let ack_elapsed = self.delivered_at.since(stamp.delivered_at);
        let interval = send_elapsed.max(ack_elapsed);
        if interval < least_rtt || interval.is_zero() {
            return None;
        }
        let bytes = u128::from(self.delivered.saturating_sub(stamp.delivered));
        Some(u64::try_from(bytes * 1_000_000 / interval.as_micros()).unwrap_or(u64::MAX))
    }
}
