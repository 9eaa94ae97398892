//! A port that a router was asked to map, as people and programs are told of it.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
};

use bytes::Bytes;
use serde::Serialize as _;

use super::router_message::RouterProtocol;

/// How it goes with the port that the router of this network was asked to map.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct MappedPort {
    /// The router: where the default route leads; `None` where there is none.
    pub gateway: Option<Ipv4Addr>,
    /// How it is spoken to, if it answered.
    pub protocol: Option<RouterProtocol>,
    /// Where strangers come in, as the router says. By PCP it is known at once, by NAT-PMP after
    /// another question.
    pub external: Option<SocketAddr>,
    /// Whether the port is mapped for TCP too.
    pub is_for_tcp: bool,
    /// How far it is.
    pub state: MappedState,
    /// Why there is none, if there is none; or why it may be over soon. As JSON the word for it.
    #[serde(serialize_with = "word")]
    pub failure: Option<RouterFailure>,
}

/// How far a mapped port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MappedState {
    /// There is none.
    None,
    /// The router says that there is one, and nobody has tried it yet.
    Unverified,
    /// A stranger's packet came in there.
    Verified,
    /// Strangers tried, and did not get in.
    Shut,
    /// The router is at another address than the one at which peers see this node, so that there is
    /// another translator behind it.
    Elsewhere,
}

/// Why a router has mapped no port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouterFailure {
    /// There is no default route over IPv4.
    NoGateway,
    /// This machine has an address of the internet itself, so that no router translates it.
    Untranslated,
    /// It does not answer, by PCP or by NAT-PMP.
    Silent,
    /// It has no address itself.
    NoAddress,
    /// It refused, by this number of its protocol.
    Refused(u16),
}

/// The router of this machine's network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Where the default route leads.
    pub address: Ipv4Addr,
    /// Our address on the way there.
    pub own: Ipv4Addr,
}

/// Something new of the router of this machine's network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouterNews {
    /// Which it is, if there is one: at first, and whenever that, or our address on the way there,
    /// may have changed.
    Gateway(Option<Gateway>),
    /// A datagram came to the socket over which it is asked.
    Answered {
        /// From where.
        from: SocketAddr,
        /// What.
        bytes: Bytes,
    },
}

impl MappedPort {
    /// Where strangers are known to get in.
    pub fn verified(&self) -> Option<SocketAddr> {
        self.external.filter(|_| self.state == MappedState::Verified)
    }

    /// In one line, for people.
    pub fn in_words(&self) -> String {
        let by = match self.protocol {
            Some(protocol) => format!("by {}", protocol.name()),
            None => "asked for".to_owned(),
        };
        let but = self.failure.map(|failure| format!(" ({failure})")).unwrap_or_default();
        match (self.external, self.state) {
            (None, _) | (_, MappedState::None) => match self.failure {
                Some(failure) => format!("none: {failure}"),
                None => "none yet: the router is being asked".to_owned(),
            },
            (Some(at), MappedState::Verified) => {
                format!("{at} {by}: strangers get in there{but}")
            }
            (Some(at), MappedState::Unverified) => {
                format!("{at} {by}, and no stranger has tried it yet{but}")
            }
            (Some(at), MappedState::Shut) => {
                format!("{at} {by}, but strangers that tried did not get in{but}")
            }
            (Some(at), MappedState::Elsewhere) => format!(
                "{at} {by}, which is of no use: peers see this node at another address, so the \
                 router is behind another translator itself{but}"
            ),
        }
    }
}

impl RouterFailure {
    /// One word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoGateway => "no_gateway",
            Self::Untranslated => "untranslated",
            Self::Silent => "silent",
            Self::NoAddress => "no_address",
            Self::Refused(_) => "refused",
        }
    }
}

fn word<S: serde::Serializer>(of: &Option<RouterFailure>, to: S) -> Result<S::Ok, S::Error> {
    of.map(RouterFailure::word).serialize(to)
}

impl fmt::Display for RouterFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoGateway => f.write_str("there is no default route over IPv4"),
            Self::Untranslated => f.write_str("this machine has an address of the internet itself"),
            Self::Silent => f.write_str("the router answers neither PCP nor NAT-PMP"),
            Self::NoAddress => f.write_str("the router has no address on the internet"),
            Self::Refused(code) => write!(f, "the router refused (result {code})"),
        }
    }
}

impl Gateway {
    /// Where it is asked.
    pub const fn at(&self) -> SocketAddr {
        SocketAddr::V4(SocketAddrV4::new(self.address, super::router_message::ROUTER_PORT))
    }
}
