//! What peers are told once.

use std::net::SocketAddr;

use crate::scope::Scope;
use crate::{
    id::NodeId,
    limits::{MAX_EXTERNAL_ADDRESSES, MAX_RESERVED},
    time::Duration,
};

/// A slot that is kept for one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// For whom.
    pub peer: NodeId,
    /// Where the application says that it is.
    pub at: Option<SocketAddr>,
}

/// The founding document's knobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeersConfig {
    /// `host:port` of nodes to begin with; host may be a name.
    pub bootstrap: Vec<String>,
    /// Where the operator says that others reach us: at most [`MAX_EXTERNAL_ADDRESSES`], the first
    /// of our record.
    pub external: Vec<SocketAddr>,
    /// Peers that have slots of their own, at most [`MAX_RESERVED`].
    pub reserved: Vec<Reservation>,
    /// Peers below which everybody that we know of is dialled, as often as may be; also the number
    /// of outbound links aimed at.
    pub min_peers: usize,
    /// Peers, in all, above which newcomers are refused. Reserved ones stand beside this and all
    /// the limits below.
    pub max_peers: usize,
    /// Of them, those that dialled us. `None` are all but the links that we dial: `min_peers`, and
    /// half of `max_peers` at most.
    pub max_inbound: Option<usize>,
    /// Of them, those that we dialled. `None` are all.
    pub max_outbound: Option<usize>,
    /// Of them, those that dialled us from one public IP address (IPv6: /64). Private networks and
    /// this machine are not counted by address: a whole network may be behind one of theirs, and
    /// whoever is in it could have as many of them as they like.
    pub max_peers_per_address: usize,
    /// Time between two questions for more peers.
    pub discovery_interval: Duration,
    /// Time between two heartbeats on each link.
    pub heartbeat_interval: Duration,
    /// Whether this node tells nobody where it is, and dials nobody but the nodes that the operator
    /// named: its record has no addresses.
    pub hidden: bool,
    /// Name and version, for our record.
    pub software: String,
}

/// What a node runs with that is told nothing else.
impl Default for PeersConfig {
    fn default() -> Self {
        Self {
            bootstrap: Vec::new(),
            external: Vec::new(),
            reserved: Vec::new(),
            min_peers: 5,
            max_peers: 50,
            max_inbound: None,
            max_outbound: None,
            max_peers_per_address: 8,
            discovery_interval: Duration::from_secs(30),
            heartbeat_interval: Duration::from_secs(30),
            hidden: false,
            software: concat!("positron-net/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Links in slots that all share: how many there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots {
    /// In all.
    pub max: usize,
    /// Of those that others dialled.
    pub inbound: usize,
    /// Of those that we dialled.
    pub outbound: usize,
    /// Of those that were dialled from one public address.
    pub per_address: usize,
}

impl PeersConfig {
    /// Half of the slots at most are kept for links that we choose ourselves, unless the operator
    /// says otherwise: who dials us can fill the others, never these (Heilman et al. 2015).
    pub(super) fn slots(&self) -> Slots {
        let max = self.max_peers;
        let outbound = self.max_outbound.unwrap_or(max).min(max);
        let chosen = self.min_peers.min(outbound).min(max / 2);
        let inbound = self.max_inbound.unwrap_or(max - chosen).min(max);
        Slots { max, inbound, outbound, per_address: self.max_peers_per_address }
    }

    /// The same, without what would spin, never admit anybody or be refused by others.
    pub(super) fn sane(mut self) -> Self {
        self.discovery_interval = self.discovery_interval.max(SHORTEST_INTERVAL);
        self.heartbeat_interval = self.heartbeat_interval.max(SHORTEST_INTERVAL);
        self.max_peers = self.max_peers.max(1);
        self.max_peers_per_address = self.max_peers_per_address.max(1);
        self.min_peers = self.min_peers.min(self.max_peers);
        self.external.retain(|addr| addr.port() != 0 && Scope::of(addr.ip()).is_some());
        self.external.truncate(if self.hidden { 0 } else { MAX_EXTERNAL_ADDRESSES });
        self.reserved.truncate(MAX_RESERVED);
        self.software.retain(|c| matches!(c, ' '..='~'));
        self.software.truncate(crate::limits::MAX_SOFTWARE);
        self
    }
}

/// Guess: nobody wants to hear from us more often.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
