//! What a controller is told, and what it answers.

use core::fmt::Debug;

use crate::time::{Duration, Instant};

/// What one acknowledgment told of packets that had not been acknowledged before.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct AckSample {
    /// When it arrived.
    pub(in super::super) now: Instant,
    /// Bytes that it acknowledged for the first time.
    pub(in super::super) bytes: u64,
    /// When the newest packet among them was sent.
    pub(in super::super) newest_sent_at: Instant,
    /// When the newest packet was sent there was less to send than the window allowed, so that the
    /// flight does not say how much the path carries.
    pub(in super::super) app_limited: bool,
    /// The round trip time that it told, if it did.
    pub(in super::super) rtt: Option<Duration>,
    /// Bytes in flight afterwards.
    pub(in super::super) in_flight: u64,
    /// What was delivered since the newest packet was sent.
    pub(in super::super) delivery: DeliverySample,
}

/// What became of packets between the sending of one and now.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct DeliverySample {
    /// Bytes that arrived in all until now.
    pub(in super::super) delivered: u64,
    /// The same when it was sent.
    pub(in super::super) prior_delivered: u64,
    /// The time that the delivery between took; zero: none was measured.
    pub(in super::super) interval: Duration,
    /// Bytes declared lost meanwhile.
    pub(in super::super) lost: u64,
    /// Bytes in flight when it was sent, with it.
    pub(in super::super) in_flight_then: u64,
    /// There was less to send than allowed when it was sent.
    pub(in super::super) app_limited: bool,
}

impl DeliverySample {
    /// Bytes that arrived between.
    pub(in super::super) const fn bytes(&self) -> u64 {
        self.delivered.saturating_sub(self.prior_delivered)
    }

    /// Bytes per second; `None` if that was not measured over `least` at least
    /// (draft-cheng-iccrg-delivery-rate-estimation-02, 3.3: less is a burst, not a rate).
    pub(in super::super) fn rate(&self, least: Duration) -> Option<u64> {
        let micros = self.interval.as_micros();
        if micros == 0 || self.interval < least {
            return None;
        }
        u64::try_from(u128::from(self.bytes()) * 1_000_000 / micros).ok()
    }
}

/// Packets declared lost at one time, without those that probed for a datagram size.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct LossSample {
    /// When the newest of them was sent.
    pub(in super::super) newest_lost_sent_at: Instant,
    /// Nothing got through for longer than persistent congestion takes (RFC 9002, 7.6).
    pub(in super::super) persistent: bool,
    /// Bytes of them.
    pub(in super::super) bytes: u64,
    /// What became of packets since the newest of them was sent.
    pub(in super::super) delivery: DeliverySample,
}

/// Decides how many bytes may be in flight.
pub(in super::super) trait Controller: Debug + Send {
    /// Bytes arrived at the other end.
    fn acknowledged(&mut self, sample: &AckSample);
    /// Packets were declared lost because later ones arrived.
    fn lost(&mut self, now: Instant, sample: &LossSample);
    /// Every packet of the last loss episode arrived after all: the path was never congested.
    fn undo(&mut self);
    /// Nothing was heard for a retransmission timeout; everything in flight was declared lost.
    fn handle_rto(&mut self, now: Instant);
    /// Bytes that may be in flight.
    fn window(&self) -> u64;
    /// Bytes per second to send, if it says; otherwise the window is spread over a round trip.
    fn pacing_rate(&self) -> Option<u64> {
        None
    }
    /// Whether the window is still looked for, so that a pacer must not hold it back.
    fn in_slow_start(&self) -> bool;
    /// Datagrams have this many bytes from now on.
    fn datagram_size_changed(&mut self, bytes: u64);
    /// For logs and statistics.
    fn name(&self) -> &'static str;
}

#[cfg(test)]
impl AckSample {
    /// So many bytes arrived, the last of them sent then; nothing was measured.
    pub(super) fn of(bytes: u64, newest_sent_at: Instant) -> Self {
        let (app_limited, rtt, in_flight) = (false, None, 0);
        let (now, delivery) = (newest_sent_at, DeliverySample::default());
        Self { now, bytes, newest_sent_at, app_limited, rtt, in_flight, delivery }
    }
}

#[cfg(test)]
impl LossSample {
    /// So many bytes were lost, the last of them sent then.
    pub(super) fn of(bytes: u64, newest_lost_sent_at: Instant) -> Self {
        let delivery = DeliverySample::default();
        Self { newest_lost_sent_at, persistent: false, bytes, delivery }
    }
}
