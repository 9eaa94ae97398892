//! What a process is told to measure, and what it tells of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::connection_kind::ConnectionKind;

/// One measurement of one contender.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Measurement {
    pub(crate) contender: ConnectionKind,
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
    Stream(Sizing),
    /// Messages of so many bytes, as fast as it goes.
    Messages(usize, Sizing),
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
pub(crate) enum Sizing {
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
pub(crate) type Readings = Vec<f64>;

impl Work {
    /// Everything that is measured.
    pub(crate) const ALL: [Self; 11] = [
        Self::Stream(Sizing::Fixed),
        Self::Messages(16 << 10, Sizing::Fixed),
        Self::Messages(64 << 10, Sizing::Fixed),
        Self::Stream(Sizing::Probed),
        Self::Messages(16 << 10, Sizing::Probed),
        Self::Messages(64 << 10, Sizing::Probed),
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
            Self::Stream(Sizing::Fixed) | Self::Messages(_, Sizing::Fixed) => "a",
            Self::Stream(Sizing::Probed) | Self::Messages(_, Sizing::Probed) => "probed",
            Self::PingPong => "b",
            Self::Small => "c",
            Self::Handshakes(_) => "d",
            Self::Idle => "e",
        }
    }

    /// Whether it is the same work for this contender as for the others.
    pub(crate) const fn suits(self, contender: ConnectionKind) -> bool {
        use ConnectionKind::{Messages, PositronTcp, Stream, Tcp, Tls};
        match self {
            Self::Stream(size) => match contender {
                Messages(_) | PositronTcp => false,
                // They have no size of datagrams: once is enough.
                Tls | Tcp => matches!(size, Sizing::Fixed),
                _ => true,
            },
            Self::Messages(_, size) => match contender {
                Stream(_) => false,
                Tls | Tcp | PositronTcp => matches!(size, Sizing::Fixed),
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
                matches!(contender, Messages(_) | ConnectionKind::Quinn)
            }
        }
    }
}

/// As it is written above a table.
impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |size: &Sizing| match size {
            Sizing::Fixed => "datagrams of 1,400 bytes",
            Sizing::Probed => "datagrams as large as is found",
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
