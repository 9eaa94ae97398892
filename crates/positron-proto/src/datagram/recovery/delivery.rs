//! How fast the path delivers (draft-cheng-iccrg-delivery-rate-estimation-02), and whether the
//! flight says how much the path carries, or only how little there was to send.

use super::super::congestion::DeliverySample;
use crate::time::Instant;

/// What was known when a packet was sent. Kept with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeliveryMark {
    delivered: u64,
    delivered_at: Instant,
    first_sent_at: Instant,
    lost: u64,
    /// Bytes in flight, the packet included.
    in_flight: u64,
    /// It was sent when there was less to send than the window allowed.
    pub(super) app_limited: bool,
}

/// Counts what arrives and what is lost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DeliveryMeter {
    delivered: u64,
    lost: u64,
    /// When something arrived last; when sending began, after nothing was in flight.
    delivered_at: Instant,
    /// When the newest packet that arrived was sent: what arrives next was sent since then.
    first_sent_at: Instant,
    /// Delivered bytes up to which the bubble in the pipe lasts (3.4 of the draft). While an
    /// application sends less than the window allows, the window is not tried (RFC 9002, 7.8).
    app_limited_until: Option<u64>,
}

impl DeliveryMeter {
    /// There is nothing more to send.
    pub(super) fn begin_app_limited(&mut self, in_flight: u64) {
        self.app_limited_until = Some(self.delivered.saturating_add(in_flight).max(1));
    }

    /// Bytes that arrived in all.
    pub(super) const fn delivered_bytes(&self) -> u64 {
        self.delivered
    }

    /// A packet of `size` bytes goes out while `in_flight` others are (3.2).
    pub(super) fn mark(&mut self, now: Instant, in_flight: u64, size: u64) -> DeliveryMark {
        if in_flight == 0 {
            (self.first_sent_at, self.delivered_at) = (now, now);
        }
        DeliveryMark {
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent_at: self.first_sent_at,
            lost: self.lost,
            in_flight: in_flight.saturating_add(size),
            app_limited: self.app_limited_until.is_some(),
        }
    }

    /// Bytes arrived, some of which had been taken for lost.
    pub(super) fn handle_delivered(&mut self, now: Instant, bytes: u64, returned: u64) {
        self.delivered = self.delivered.saturating_add(bytes).saturating_add(returned);
        self.lost = self.lost.saturating_sub(returned);
        self.delivered_at = now;
        if self.app_limited_until.is_some_and(|until| self.delivered > until) {
            self.app_limited_until = None;
        }
    }

    /// Bytes were lost.
    pub(super) fn handle_lost(&mut self, bytes: u64) {
        self.lost = self.lost.saturating_add(bytes);
    }

    /// A packet that was sent with this mark arrived, the newest of those that did: what was
    /// delivered meanwhile, in the longer of the times that sending and arriving took (3.3).
    pub(super) fn sample(&mut self, sent_at: Instant, mark: &DeliveryMark) -> DeliverySample {
        let sending = sent_at.since(mark.first_sent_at);
        let arriving = self.delivered_at.since(mark.delivered_at);
        self.first_sent_at = self.first_sent_at.max(sent_at);
        DeliverySample { interval: sending.max(arriving), ..self.since(mark) }
    }

    /// What became of what was in flight when a packet with this mark was sent.
    pub(super) fn since(&self, mark: &DeliveryMark) -> DeliverySample {
        DeliverySample {
            delivered: self.delivered,
            prior_delivered: mark.delivered,
            lost: self.lost.saturating_sub(mark.lost),
            in_flight_then: mark.in_flight,
            app_limited: mark.app_limited,
            ..DeliverySample::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    fn at(millis: u64) -> Instant {
        Instant::from_micros(millis * 1_000)
    }

    #[test]
    fn a_rate_is_what_arrived_in_the_longer_of_the_times_that_sending_and_arriving_took() {
        let mut meter = DeliveryMeter::default();
        let marks = [0, 1_000, 2_000].map(|in_flight| meter.mark(at(0), in_flight, 1_000));
        meter.handle_delivered(at(20), 3_000, 0);
        let first = meter.sample(at(0), &marks[2]);
        assert_eq!((first.bytes(), first.interval), (3_000, Duration::from_millis(20)));
        assert_eq!(first.rate(Duration::ZERO), Some(150_000));
        // Sent over 10 ms, acknowledged at once: no more than what was sent in that time.
        let mark = meter.mark(at(30), 1_000, 1_000);
        meter.handle_delivered(at(31), 1_000, 0);
        let burst = meter.sample(at(30), &mark);
        assert_eq!(burst.interval, Duration::from_millis(30));
        assert_eq!(burst.rate(Duration::from_millis(31)), None, "less than a round trip");
    }

    #[test]
    fn what_was_lost_and_came_after_all_is_not_lost() {
        let mut meter = DeliveryMeter::default();
        let mark = meter.mark(at(0), 0, 1_000);
        meter.handle_lost(5_000);
        assert_eq!(meter.since(&mark).lost, 5_000);
        meter.handle_delivered(at(20), 1_000, 2_000);
        let since = meter.since(&mark);
        assert_eq!((since.lost, since.bytes(), since.in_flight_then), (3_000, 3_000, 1_000));
    }

    #[test]
    fn packets_are_marked_until_the_bubble_in_the_pipe_has_passed() {
        let mut meter = DeliveryMeter::default();
        meter.begin_app_limited(2_000);
        meter.handle_delivered(at(10), 2_000, 0);
        assert!(meter.mark(at(10), 0, 1_000).app_limited);
        meter.handle_delivered(at(20), 1_000, 0);
        assert!(!meter.mark(at(20), 0, 1_000).app_limited);
    }
}
