//! What the table of sessions is told once.

use super::contract::LinkKinds;
use crate::{datagram::contract::CongestionAlgorithm, id::NetworkId, time::Duration};

/// What the table of sessions is told once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// Whom to talk to.
    pub network: NetworkId,
    /// Established links, in all, both directions.
    pub max_links: usize,
    /// How long a TCP connection and a handshake may take together.
    pub connect_timeout: Duration,
    /// Interval of PING on a link that carries nothing.
    pub heartbeat: Duration,
    /// What links may be made of.
    pub transports: LinkKinds,
    /// Whether datagrams go in batches where the kernel takes them (segmentation offload).
    pub udp_batches: bool,
    /// How a link over UDP finds out how much may be in flight.
    pub congestion: CongestionAlgorithm,
    /// What may be sent.
    pub upload: RateLimit,
    /// What may be received.
    pub download: RateLimit,
}

/// Bytes per second in one direction [PROTOCOL 5.7]; `None`: as fast as it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimit {
    /// To or from all peers together.
    pub node: Option<u64>,
    /// To or from each peer.
    pub peer: Option<u64>,
}

/// What a node runs with that is told nothing else.
impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            network: NetworkId::from_name(NetworkId::DEFAULT),
            max_links: 512,
            connect_timeout: Duration::from_secs(10),
            heartbeat: Duration::from_secs(30),
            transports: LinkKinds::default(),
            udp_batches: true,
            congestion: CongestionAlgorithm::default(),
            upload: RateLimit::default(),
            download: RateLimit::default(),
        }
    }
}
