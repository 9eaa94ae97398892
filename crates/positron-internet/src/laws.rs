//! What the network does to what is sent, as data.

use core::time::Duration;

/// A range of durations, both ends included, drawn uniformly in whole microseconds.
pub type Range = (Duration, Duration);

/// What one direction of a path does to datagrams.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PathLaws {
    /// From one end to the other, for a datagram that nothing holds up.
    pub delay: Duration,
    /// Added to each datagram, without letting it overtake the one before: the queues of others.
    pub jitter: Range,
    /// The part of all datagrams that is lost, each for itself.
    pub loss: f64,
    /// Losses that come together.
    pub bursts: Option<Bursts>,
    /// The part of all datagrams that arrives twice.
    pub duplicates: f64,
    /// The part of all datagrams that takes a detour, so that later ones overtake it.
    pub detours: f64,
    /// How much longer a detour is.
    pub detour: Range,
    /// Bytes per second; `None`: any number.
    pub rate: Option<u64>,
    /// Bytes that wait for the rate; a datagram that finds no room is dropped. An empty queue takes
    /// one datagram of any size.
    pub queue: u64,
    /// Datagrams above this many bytes vanish, and nobody is told.
    pub mtu: usize,
    /// The part of all datagrams in which bits are turned over.
    pub damage: f64,
    /// Routers between the two sites. Each takes one from the hop limit of a datagram.
    pub hops: u8,
}

/// A path that is bad for a while, and good for a while (Gilbert 1960, Elliott 1963).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bursts {
    /// How probably the path turns bad, at each datagram while it is good.
    pub begin: f64,
    /// How probably it turns good again, at each datagram while it is bad.
    pub end: f64,
    /// The part of the datagrams that is lost while it is bad.
    pub loss: f64,
}

impl PathLaws {
    /// Nothing goes wrong; a datagram takes `delay`.
    pub const fn calm(delay: Duration) -> Self {
        Self {
            delay,
            jitter: (Duration::ZERO, Duration::ZERO),
            loss: 0.0,
            bursts: None,
            duplicates: 0.0,
            detours: 0.0,
            detour: (Duration::ZERO, Duration::ZERO),
            rate: None,
            queue: 0,
            mtu: usize::MAX,
            damage: 0.0,
            hops: 1,
        }
    }

    /// Whether every datagram that is not too large, and finds room, arrives as it was sent.
    pub fn is_faithful(&self) -> bool {
        self.loss <= 0.0 && self.bursts.is_none() && self.damage <= 0.0
    }
}

/// What networks and kernels do to byte streams.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StreamLaws {
    /// Added to each chunk of bytes; never reorders a stream.
    pub jitter: Range,
    /// The part of all packets that is lost. A loss is a stall: of one round trip when three later
    /// packets tell of it, else of [`rto`](Self::rto).
    pub loss: f64,
    /// Bytes in one packet.
    pub packet: usize,
    /// The shortest retransmission timeout; doubles with each loss.
    pub rto: Duration,
    /// Bytes per second that one direction of one stream carries; `None`: any number.
    pub rate: Option<u64>,
    /// Bytes that the two kernels of one direction hold together. What is written beyond them waits
    /// and is not reported as written.
    pub kernel_buffer: usize,
    /// After how long a kernel gives up a stream that nobody answers.
    pub connect_timeout: Duration,
    /// How long a closed stream may take to flush before it is reset.
    pub linger: Duration,
}

impl StreamLaws {
    /// Nothing is lost or late. Packets are those of Ethernet less the headers of IPv4 and TCP with
    /// timestamps, the shortest timeout is that of Linux; the times to connect and to linger are
    /// guesses that fit into a short story.
    pub const CALM: Self = Self {
        jitter: (Duration::ZERO, Duration::ZERO),
        loss: 0.0,
        packet: 1448,
        rto: Duration::from_millis(200),
        rate: None,
        kernel_buffer: 256 * 1024,
        connect_timeout: Duration::from_secs(20),
        linger: Duration::from_secs(5),
    };
}
