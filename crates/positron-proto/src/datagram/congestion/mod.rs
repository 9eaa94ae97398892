//! How much may be in flight: congestion control behind one trait.
//!
//! A controller is told what was acknowledged and lost, and answers with a window. It knows nothing
//! of packet numbers, timers or contents.

mod bbr;
mod cubic;
mod hystart;
mod new_reno;
mod round_counter;

use core::fmt::Debug;

use self::{bbr::Bbr, cubic::Cubic};
pub(super) use new_reno::NewReno;
pub use new_reno::Phase;

use crate::time::{Duration, Instant};

/// How an endpoint finds out how much may be in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum CongestionAlgorithm {
    /// Slow start, AIMD, one reduction for each flight with a loss (RFC 9002, 7).
    NewReno,
    /// Grows by the cube of the time since a loss (RFC 9438), with HyStart++ (RFC 9406).
    Cubic,
    /// Measures what the path delivers and how long it takes, and keeps that much in flight
    /// (draft-ietf-ccwg-bbr, with departures). Losses alone do not slow it down.
    #[default]
    Bbr,
}

impl CongestionAlgorithm {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::NewReno, Self::Cubic, Self::Bbr];

    /// As statistics show it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NewReno => "newreno",
            Self::Cubic => "cubic",
            Self::Bbr => "bbr",
        }
    }

    /// A controller that knows nothing of the path, for datagrams of so many bytes.
    pub(super) fn controller(self, datagram: u64) -> Box<dyn Controller> {
        match self {
            Self::NewReno => Box::new(NewReno::new(datagram)),
            Self::Cubic => Box::new(Cubic::new(datagram)),
            Self::Bbr => Box::new(Bbr::new(datagram)),
        }
    }
}

/// What one acknowledgment told of packets that had not been acknowledged before.
#[derive(Clone, Copy, Debug)]
pub(super) struct AckSample {
    /// When it arrived.
    pub(super) now: Instant,
    /// Bytes that it acknowledged for the first time.
    pub(super) bytes: u64,
    /// When the newest packet among them was sent.
    pub(super) newest_sent_at: Instant,
    /// When the newest packet was sent there was less to send than the window allowed, so that the
    /// flight does not say how much the path carries.
    pub(super) app_limited: bool,
    /// The round trip time that it told, if it did.
    pub(super) rtt: Option<Duration>,
    /// Bytes in flight afterwards.
    pub(super) in_flight: u64,
    /// What was delivered since the newest packet was sent.
    pub(super) delivery: DeliverySample,
}

/// What became of packets between the sending of one and now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DeliverySample {
    /// Bytes that arrived in all until now.
    pub(super) delivered: u64,
    /// The same when it was sent.
    pub(super) prior_delivered: u64,
    /// The time that the delivery between took; zero: none was measured.
    pub(super) interval: Duration,
    /// Bytes declared lost meanwhile.
    pub(super) lost: u64,
    /// Bytes in flight when it was sent, with it.
    pub(super) in_flight_then: u64,
    /// There was less to send than allowed when it was sent.
    pub(super) app_limited: bool,
}

impl DeliverySample {
    /// Bytes that arrived between.
    pub(super) const fn bytes(&self) -> u64 {
        self.delivered.saturating_sub(self.prior_delivered)
    }

    /// Bytes per second; `None` if that was not measured over `least` at least
    /// (draft-cheng-iccrg-delivery-rate-estimation-02, 3.3: less is a burst, not a rate).
    pub(super) fn rate(&self, least: Duration) -> Option<u64> {
        let micros = self.interval.as_micros();
        if micros == 0 || self.interval < least {
            return None;
        }
        u64::try_from(u128::from(self.bytes()) * 1_000_000 / micros).ok()
    }
}

/// Packets declared lost at one time, without those that probed for a datagram size.
#[derive(Clone, Copy, Debug)]
pub(super) struct LossSample {
    /// When the newest of them was sent.
    pub(super) newest_lost_sent_at: Instant,
    /// Nothing got through for longer than persistent congestion takes (RFC 9002, 7.6).
    pub(super) persistent: bool,
    /// Bytes of them.
    pub(super) bytes: u64,
    /// What became of packets since the newest of them was sent.
    pub(super) delivery: DeliverySample,
}

/// Decides how many bytes may be in flight.
pub(super) trait Controller: Debug + Send {
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
    fn of(bytes: u64, newest_sent_at: Instant) -> Self {
        let (app_limited, rtt, in_flight) = (false, None, 0);
        let (now, delivery) = (newest_sent_at, DeliverySample::default());
        Self { now, bytes, newest_sent_at, app_limited, rtt, in_flight, delivery }
    }
}

#[cfg(test)]
impl LossSample {
    /// So many bytes were lost, the last of them sent then.
    fn of(bytes: u64, newest_lost_sent_at: Instant) -> Self {
        let delivery = DeliverySample::default();
        Self { newest_lost_sent_at, persistent: false, bytes, delivery }
    }
}
