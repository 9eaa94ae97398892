//! Who is measured.

use std::{fmt, str::FromStr};

use positron_networking::CongestionAlgorithm;
use serde::{Deserialize, Serialize};

/// A kind of connection between two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ConnectionKind {
    /// A stream of ours over UDP.
    Stream(CongestionAlgorithm),
    /// Messages of ours over UDP, in order.
    Messages(CongestionAlgorithm),
    /// Messages of ours over TCP.
    PositronTcp,
    /// A stream of quinn.
    Quinn,
    /// A stream of iroh.
    Iroh,
    /// TLS 1.3 over TCP.
    Tls,
    /// TCP of the kernel, in clear text.
    Tcp,
}

impl ConnectionKind {
    /// All of them, with ours once for each congestion control.
    pub(crate) fn all(controls: &[CongestionAlgorithm]) -> Vec<Self> {
        let streams = controls.iter().map(|control| Self::Stream(*control));
        let messages = controls.iter().map(|control| Self::Messages(*control));
        let others = [Self::PositronTcp, Self::Quinn, Self::Iroh, Self::Tls, Self::Tcp];
        streams.chain(messages).chain(others).collect()
    }

    /// As it is written on the command line: ours over UDP have no congestion control there.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Stream(_) => "stream",
            Self::Messages(_) => "messages",
            Self::PositronTcp => "positron-tcp",
            Self::Quinn => "quinn",
            Self::Iroh => "iroh",
            Self::Tls => "tls",
            Self::Tcp => "tcp",
        }
    }
}

/// As it is written in a row of a table.
impl fmt::Display for ConnectionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(control) => write!(f, "positron, stream, {control}"),
            Self::Messages(control) => write!(f, "positron, messages, {control}"),
            Self::PositronTcp => f.write_str("positron, messages over TCP"),
            Self::Quinn => f.write_str("quinn"),
            Self::Iroh => f.write_str("iroh"),
            Self::Tls => f.write_str("TLS over TCP"),
            Self::Tcp => f.write_str("TCP, clear text"),
        }
    }
}

/// A contender as the command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named(&'static str);

impl Named {
    /// Whether it is this one.
    pub(crate) fn is(&self, contender: ConnectionKind) -> bool {
        self.0 == contender.name()
    }
}

impl FromStr for Named {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let all = ConnectionKind::all(&[CongestionAlgorithm::NewReno]);
        let names: Vec<_> = all.into_iter().map(ConnectionKind::name).collect();
        let found = names.iter().find(|name| **name == word);
        found.map(|name| Self(name)).ok_or_else(|| format!("it must be {}", names.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_are_there_once_for_each_congestion_control_and_the_others_once() {
        let all = ConnectionKind::all(&[CongestionAlgorithm::NewReno, CongestionAlgorithm::Bbr]);
        assert_eq!(all.len(), 2 * 2 + 5);
        let stream: Named = "stream".parse().unwrap();
        assert_eq!(all.iter().filter(|one| stream.is(**one)).count(), 2);
        assert!("quic".parse::<Named>().is_err());
    }
}
