//! What a process is told to measure, and what it tells of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::contender::Contender;

/// One measurement of one contender.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) contender: Contender,
    pub(crate) work: Work,
    /// For which it is measured, where it is not a number of things.
    pub(crate) seconds: f64,
    /// Connections at once, where idle ones are measured.
    pub(crate) connections: usize,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Work {
    /// One stream, as fast as it goes.
    Stream(Size),
    /// Messages of so many bytes, as fast as it goes.
    Messages(usize, Size),
    /// 64 bytes there and back.
    PingPong,
    /// 256 bytes a message, one call each.
    Small,
    /// Connecting, and one byte back.
    Handshakes(Acquaintance),
    /// Connections that say nothing.
    Idle,
}

/// Of datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Size {
    /// 1,400 bytes.
    Fixed,
    /// As large as the contender finds.
    Probed,
}

/// Whether the two ends met before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Acquaintance {
    /// Nothing is known of the other end.
    Strangers,
    /// Its key is known.
    Known,
}

/// The figures of [`Work::figures`], in their order.
pub(crate) type Outcome = Vec<f64>;

impl Work {
    /// Everything that is measured.
    pub(crate) const ALL: [Self; 11] = [
        Self::Stream(Size::Fixed),
        Self::Messages(16 << 10, Size::Fixed),
        Self::Messages(64 << 10, Size::Fixed),
        Self::Stream(Size::Probed),
        Self::Messages(16 << 10, Size::Probed),
        Self::Messages(64 << 10, Size::Probed),
        Self::PingPong,
        Self::Small,
        Self::Handshakes(Acquaintance::Strangers),
        Self::Handshakes(Acquaintance::Known),
        Self::Idle,
    ];

    /// What is told of it.
    pub(crate) const fn figures(self) -> &'static [&'static str] {
        match self {
            Self::Stream(_) | Self::Messages(..) => &["MiB/s", "CPU s/GiB"],
            Self::PingPong => &["median, µs", "p99, µs", "CPU µs"],
            Self::Small => &["thousands/s", "CPU µs"],
            Self::Handshakes(_) => &["a second", "CPU µs"],
            Self::Idle => &["KiB a side"],
        }
    }

    /// As it is written on the command line.
    pub(crate) const fn letter(self) -> &'static str {
        match self {
            Self::Stream(Size::Fixed) | Self::Messages(_, Size::Fixed) => "a",
            Self::Stream(Size::Probed) | Self::Messages(_, Size::Probed) => "probed",
            Self::PingPong => "b",
            Self::Small => "c",
            Self::Handshakes(_) => "d",
            Self::Idle => "e",
        }
    }

    /// Whether it is the same work for this contender as for the others.
    pub(crate) const fn suits(self, contender: Contender) -> bool {
        use Contender::{Messages, PositronTcp, Stream, Tcp, Tls};
        match self {
            Self::Stream(size) => match contender {
                Messages(_) | PositronTcp => false,
                // They have no size of datagrams: once is enough.
                Tls | Tcp => matches!(size, Size::Fixed),
                _ => true,
            },
            Self::Messages(_, size) => match contender {
                Stream(_) => false,
                Tls | Tcp | PositronTcp => matches!(size, Size::Fixed),
                _ => true,
            },
            Self::PingPong | Self::Small => true,
            // Ours over TCP has one connection with a node, whoever dials; a stream needs no
            // connection of its own kind.
            Self::Handshakes(Acquaintance::Strangers) | Self::Idle => {
                !matches!(contender, Stream(_) | PositronTcp)
            }
            // None of the others remembers keys without skipping signatures.
            Self::Handshakes(Acquaintance::Known) => {
                matches!(contender, Messages(_) | Contender::Quinn)
            }
        }
    }
}

/// As it is written above a table.
impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |size: &Size| match size {
            Size::Fixed => "datagrams of 1,400 bytes",
            Size::Probed => "datagrams as large as is found",
        };
        match self {
            Self::Stream(size) => write!(f, "one stream, {}", of(size)),
            Self::Messages(bytes, size) => {
                write!(f, "messages of {} KiB, {}", bytes >> 10, of(size))
            }
            Self::PingPong => f.write_str("64 bytes there and back"),
            Self::Small => f.write_str("256 bytes a message, one call each"),
            Self::Handshakes(Acquaintance::Strangers) => {
                f.write_str("handshake and one byte back, the other end not known")
            }
            Self::Handshakes(Acquaintance::Known) => {
                f.write_str("handshake and one byte back, the key of the other end known")
            }
            Self::Idle => f.write_str("idle connections"),
        }
    }
}
