//! A line, and what came of a flow over it.

use positron_internet::PathLaws;
use positron_proto::time::Duration;

/// Bytes of IP and UDP headers around a datagram.
pub(super) const IP_UDP_HEADERS: usize = 28;
/// The largest packet of the line, with its headers: Ethernet's.
const PACKET: usize = 1_500;

/// A line with a queue before it that drops what finds no room; the same in both directions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bottleneck {
    /// Bits per second, headers of IP and UDP included.
    pub rate: u64,
    /// The round trip time while nothing waits.
    pub round_trip: Duration,
    /// How long a packet waits in the queue at most.
    pub queue: Duration,
    /// The part of all packets that is lost behind the queue, each for itself.
    pub loss: f64,
    /// The part of all packets that comes 3 ms later than those around it; all others are up to
    /// 1 ms late then, in order.
    pub reordered: f64,
}

impl Bottleneck {
    /// 100 Mbit/s, 20 ms, a queue of 40 ms, and nothing goes wrong.
    pub const fn calm() -> Self {
        Self {
            rate: 100_000_000,
            round_trip: Duration::from_millis(20),
            queue: Duration::from_millis(40),
            loss: 0.0,
            reordered: 0.0,
        }
    }

    /// What each direction does to packets.
    pub(super) fn laws(&self) -> PathLaws {
        let bytes_per_second = self.rate / 8;
        let queue = u128::from(bytes_per_second) * self.queue.as_micros() / 1_000_000;
        let late = if self.reordered > 0.0 { 1 } else { 0 };
        let detour = Duration::from_millis(3);
        PathLaws {
            rate: Some(bytes_per_second),
            queue: u64::try_from(queue).unwrap_or(u64::MAX),
            loss: self.loss,
            detours: self.reordered,
            detour: (detour, detour),
            jitter: (Duration::ZERO, Duration::from_millis(late)),
            mtu: PACKET,
            ..PathLaws::calm(self.round_trip / 2)
        }
    }
}

/// What came of one flow.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct FlowReport {
    /// Which congestion control it had, as it calls itself.
    pub congestion: &'static str,
    /// Bits per second that its reader got.
    pub goodput: f64,
    /// Packets sent for each that what was read fills.
    pub sent_per_needed: f64,
    /// Packets that its sender took for lost.
    pub lost: u64,
    /// Of those, how many arrived after all.
    pub spurious: u64,
    /// Milliseconds that its packets waited beyond the bare line, on average.
    pub waited_ms: f64,
    /// The same that one in twenty packets waited for longer.
    pub waited_p95_ms: f64,
}
