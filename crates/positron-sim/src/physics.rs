//! The laws of one world, by name: what links, disks, names, clocks and workers do to a node.

pub use positron_internet::Range;
use positron_internet::{PathLaws, StreamLaws};
use positron_proto::time::Duration;

const fn ms(low: u64, high: u64) -> Range {
    (Duration::from_millis(low), Duration::from_millis(high))
}

/// What the world does to its nodes. Times are virtual.
#[derive(Clone, Debug, PartialEq)]
pub struct Physics {
    /// One way between two nodes; drawn once for each pair: geography. Its low end is how far apart
    /// two nodes are at least in time, so it must not be zero.
    pub delay: Range,
    /// Added to each chunk of bytes; never reorders a stream.
    pub jitter: Range,
    /// The part of all packets that is lost. On a stream a loss is a stall: of one round trip when
    /// three later packets tell of it, else of [`rto`](Self::rto).
    pub loss: f64,
    /// Bytes in one packet: 1,500 less the headers of IPv4 and TCP with timestamps.
    pub packet: usize,
    /// The shortest retransmission timeout of a kernel (Linux: 200 ms); doubles with each loss.
    pub rto: Duration,
    /// Bytes per second that one direction of one link carries; `None`: any number.
    pub rate: Option<u64>,
    /// Bytes that the two kernels of one direction hold together. What is written beyond them waits
    /// in the node's process and is not reported as written.
    pub kernel_buffer: usize,
    /// After how long a kernel gives up a connection that nobody answers. Linux takes 127 s;
    /// shorter here so that it happens within a run.
    pub connect_timeout: Duration,
    /// How long a hung-up link may take to flush before it is reset.
    pub linger: Duration,
    /// From the question for a name to its answer.
    pub resolve: Range,
    /// From a signature to its verdict: the queue of the worker threads.
    pub verdict: Range,
    /// From the beginning of a batch on disk to its commit.
    pub commit: Range,
    /// How often committed changes reach the platter even if none of them is critical.
    pub checkpoint: Duration,
    /// How wrong a wall clock may be at the start, in either direction.
    pub clock_skew: Duration,
    /// How wrong a wall clock may run, in parts per million.
    pub clock_drift_ppm: u32,
}

impl Default for Physics {
    /// The default story's: 10 to 50 ms, 2 % loss, disks and workers of a small server.
    fn default() -> Self {
        Self {
            delay: ms(10, 50),
            jitter: (Duration::ZERO, Duration::from_micros(500)),
            loss: 0.02,
            packet: 1448,
            rto: Duration::from_millis(200),
            rate: None,
            kernel_buffer: 256 * 1024,
            connect_timeout: Duration::from_secs(20),
            linger: Duration::from_secs(5),
            resolve: ms(5, 50),
            verdict: (Duration::from_micros(100), Duration::from_millis(2)),
            commit: (Duration::from_micros(500), Duration::from_millis(5)),
            checkpoint: Duration::from_secs(5),
            clock_skew: Duration::from_millis(500),
            clock_drift_ppm: 50,
        }
    }
}

impl Physics {
    /// No loss, no jitter, right clocks: for a story about something else.
    pub fn calm() -> Self {
        Self {
            jitter: (Duration::ZERO, Duration::ZERO),
            loss: 0.0,
            clock_skew: Duration::ZERO,
            clock_drift_ppm: 0,
            ..Self::default()
        }
    }

    /// What datagrams undergo, beside the geography. Each is late on its own account, and overtaken
    /// by later ones.
    pub(crate) fn paths(&self) -> PathLaws {
        PathLaws {
            loss: self.loss,
            detours: if self.jitter.1.is_zero() { 0.0 } else { 1.0 },
            detour: self.jitter,
            rate: self.rate,
            queue: self.rate.map_or(0, |rate| rate / QUEUE_PARTS),
            mtu: self.packet + SHORTER_HEADERS,
            ..PathLaws::calm(Duration::ZERO)
        }
    }

    /// What streams undergo, beside the geography.
    pub(crate) const fn streams(&self) -> StreamLaws {
        StreamLaws {
            jitter: self.jitter,
            loss: self.loss,
            packet: self.packet,
            rto: self.rto,
            rate: self.rate,
            kernel_buffer: self.kernel_buffer,
            connect_timeout: self.connect_timeout,
            linger: self.linger,
        }
    }

    /// Verdicts that take up to a second, so that they arrive in any order.
    #[must_use]
    pub fn slow_verdicts(mut self) -> Self {
        self.verdict = (Duration::from_micros(100), Duration::from_secs(1));
        self
    }

    /// A disk that takes up to half a second for a batch.
    #[must_use]
    pub fn slow_disks(mut self) -> Self {
        self.commit = ms(50, 500);
        self
    }
}

/// Bytes that the headers of TCP with timestamps are longer than those of UDP: a packet carries as
/// many more of a datagram.
const SHORTER_HEADERS: usize = 24;
/// What part of a second the queue in front of a slow line holds before it drops what comes: what
/// routers were long built with (Villamizar and Song 1994: the product of bandwidth and 250 ms).
const QUEUE_PARTS: u64 = 4;
