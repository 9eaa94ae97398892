//! Which packets arrived, and when to say so.

use core::ops::RangeInclusive;

use crate::time::{Duration, Instant};

#[derive(Clone, Debug, Default)]
pub(super) struct Received {}

impl Received {
    /// A packet that opened; whether it is new.
    pub(super) fn arrived(&mut self, _now: Instant, _number: u64, _ack_eliciting: bool) -> bool {
        true
    }
    /// LOWEST of the other end: nothing below comes any more.
    pub(super) fn abandoned_below(&mut self, _number: u64) {}
    /// The round trip time changed: bounds the delay.
    pub(super) fn rtt_changed(&mut self, _rtt: Duration) {}
    pub(super) fn cumulative(&self) -> u64 {
        0
    }
    /// Above the cumulative number, highest first.
    pub(super) fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u64>> + Clone + '_ {
        core::iter::empty()
    }
    pub(super) fn has_gaps(&self) -> bool {
        false
    }
    pub(super) fn largest(&self) -> Option<u64> {
        None
    }
    pub(super) fn ack_due(&self, _now: Instant) -> bool {
        false
    }
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    pub(super) fn ack_delay(&self, _now: Instant) -> Duration {
        Duration::ZERO
    }
    pub(super) fn ack_sent(&mut self, _now: Instant) {}
}
