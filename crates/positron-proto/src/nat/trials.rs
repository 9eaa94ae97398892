//! What is known of who is let in, and who took part in finding that out.

use std::net::SocketAddr;

use crate::{id::NodeId, time::Duration};

/// From whom packets are let in that come to our listening UDP socket (RFC 4787, section 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Filtering {
    /// From everybody: "endpoint-independent".
    EndpointIndependent,
    /// From every port of an address that we sent to, and from no other address:
    /// "address-dependent".
    AddressDependent,
    /// From the ports only that we sent to: "address and port-dependent".
    AddressAndPortDependent,
    /// From every port of an address that we sent to, and perhaps from everybody: no stranger
    /// tried, or none whose silence tells.
    AtMostAddressDependent,
    /// From those only that we sent to before, by address or by port: no peer tried another port.
    Dependent,
    /// Nobody knows: too few tried.
    #[default]
    Unknown,
}

impl Filtering {
    /// Whether strangers are known not to get in.
    pub const fn is_shut(self) -> bool {
        match self {
            Self::AddressDependent | Self::AddressAndPortDependent | Self::Dependent => true,
            Self::EndpointIndependent | Self::AtMostAddressDependent | Self::Unknown => false,
        }
    }

    /// Whether nothing is left to find out.
    pub(super) const fn is_exact(self) -> bool {
        match self {
            Self::EndpointIndependent | Self::AddressDependent | Self::AddressAndPortDependent => {
                true
            }
            Self::AtMostAddressDependent | Self::Dependent | Self::Unknown => false,
        }
    }
}

/// One packet that was sent to us to see whether it gets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FilteringTrial {
    /// The peer that was asked for it.
    pub asked: NodeId,
    /// Who sent it.
    pub sender: TrialSender,
    /// From where it came, or would have come; of another port that was silent only the address is
    /// known, and the port is the one that we know.
    pub from: SocketAddr,
    /// Whether it came.
    pub arrived: bool,
    /// Whether it went to our listening socket; else to one that had sent to the peer alone.
    pub is_listening_socket: bool,
    /// How long ago.
    #[serde(serialize_with = "seconds")]
    pub age: Duration,
}

/// Who sends so that we see whether it gets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialSender {
    /// The peer that was asked, from a port of its own that we never sent to.
    AnotherPort,
    /// Somebody at an address that the socket never sent to.
    Stranger,
}

/// A peer that is linked directly over datagrams, so that it sees our listening socket and we its.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatagramPeer {
    /// Who.
    pub peer: NodeId,
    /// Where we see it.
    pub addr: SocketAddr,
    /// Whether a dial of ours reached it, now or before, so that it lets in strangers.
    pub is_dialled: bool,
}

fn seconds<S: serde::Serializer>(age: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(age.as_secs())
}
