//! The configuration of a node: the founding document's keys, `network`, `transport`,
//! `external_addresses`, and who is limited or banned by what.

use std::{net::SocketAddr, path::PathBuf};

use positron_proto::{
    datagram::contract::CongestionAlgorithm, dht::Serve, id::NetworkId, node, peers,
};
use serde::{Deserialize, Serialize};

use super::{external::to_dial, log_format::LogFormat, transport::TransportPolicy};

/// Everything that a node is told at its start. Every key has a default; unknown keys are errors.
///
/// Times are seconds, scores are 0.0 to `max_trust_score`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// The name of the network: nodes of different networks refuse each other.
    pub network: String,
    /// The IP address to listen on. `::` is all of this machine's, of both families (IPv4 alone
    /// where IPv6 is switched off), `0.0.0.0` all of IPv4. A link-local one has its zone with it:
    /// `fe80::1%eth0`.
    pub host: String,
    /// The port to listen on; 0 takes a free one.
    pub port: u16,
    /// Where others reach the node, if it cannot see that itself (a forwarded port, a name): each
    /// `host` or `host:port`, without a port that one which the node listens on. They come first
    /// in invites, IP addresses in the node's own record too.
    pub external_addresses: Vec<String>,
    /// What links are made of: `auto` (UDP, and TCP where UDP is blocked), `udp` or `tcp`. The port
    /// is taken for all that is used.
    pub transport: TransportPolicy,
    /// Whether datagrams go to the kernel in batches (segmentation offload). A node sends them one
    /// by one on a path that loses batches by itself; this is for machines where all of them do.
    pub udp_batches: bool,
    /// How links over UDP find out how much may be in flight: `newreno`, `cubic` or `bbr`. (TCP
    /// leaves that to the operating system.)
    pub congestion_control: CongestionAlgorithm,
    /// `host:port` of nodes to begin with.
    pub bootstrap_nodes: Vec<String>,
    /// Nodes that always have a slot, beside `max_peers` and all that is part of it, and are
    /// dialled for as long as they are not connected ([`Node::reserve`](crate::Node::reserve)):
    /// each an id, or `id@ip:port`.
    pub reserved_peers: Vec<String>,
    /// Addresses where nobody is welcome, each one or all that begin with the same bits:
    /// `203.0.113.7`, `2001:db8::/32` ([`Node::ban_address`](crate::Node::ban_address)).
    pub banned_addresses: Vec<String>,
    /// Where keys and the database live; `None` keeps everything in memory, under a new identity.
    pub data_dir: Option<PathBuf>,
    /// `DEBUG`, `INFO`, `WARNING` or `ERROR`; only the command reads it.
    pub log_level: String,
    /// What a line of the log looks like; only the command reads it.
    pub log_format: LogFormat,
    /// A file for the log; only the command reads it.
    pub log_file: Option<PathBuf>,
    /// Where the admin API and the page are, beside the socket in the data folder: `ip:port`, for
    /// whoever has the token. Only the command reads it, and the next.
    pub api_listen: Option<SocketAddr>,
    /// That `api_listen` may be an address which other machines reach: everything, the token too,
    /// crosses the network in clear text.
    pub api_in_clear_text: bool,

    /// Links over which a node that has just begun is pushed new messages, the most that are tried
    /// out when something is late, and peers beside the tree of pushes that announce.
    pub gossip_fanout: usize,
    /// Seconds between two rounds of anti-entropy.
    pub gossip_interval: f64,
    /// Hops that a message is pushed.
    pub message_ttl: u8,
    /// Messages kept for late and healed nodes.
    pub message_cache_size: usize,
    /// Events that wait for a slow subscriber before the oldest are dropped and counted.
    pub message_buffer_size: usize,

    /// Peers, in all.
    pub max_peers: usize,
    /// Of them, those that dialled this node. `None`: all but `min_peers`, and half of `max_peers`
    /// at least.
    pub max_inbound: Option<usize>,
    /// Of them, those that this node dialled. `None`: all.
    pub max_outbound: Option<usize>,
    /// Of them, those that dialled from one public IP address (IPv6: /64). Private networks and
    /// this machine are not counted: a whole network may be behind one address of theirs.
    pub max_peers_per_address: usize,
    /// Peers that there should be: with fewer, the node dials whom it knows of, asks its peers for
    /// others, and says so ([`FewPeers`](crate::NodeEvent::FewPeers)). Also how many it dials
    /// itself, however many dial it.
    pub min_peers: usize,
    /// Links, in all, both directions, half-open ones included.
    pub max_concurrent_connections: usize,
    /// Seconds that a connection and its handshake may take.
    pub connection_timeout: f64,
    /// Seconds between two questions for more peers.
    pub peer_discovery_interval: f64,
    /// A hint only: silence is noticed by probes, within three seconds of what is said next.
    pub peer_timeout: f64,
    /// Seconds between two heartbeats on a link.
    pub heartbeat_interval: f64,
    /// Bytes a second that are sent to all peers together, headers of IP and below not counted;
    /// `None` is no limit, here as in the three below. What is urgent (heartbeats,
    /// acknowledgments, what nodes tell each other about peers and messages) is counted and never
    /// waits; the rest shares what is left.
    pub max_upload_rate: Option<u64>,
    /// Bytes a second that are received from all peers together: they are told how much they may
    /// send.
    pub max_download_rate: Option<u64>,
    /// Bytes a second that are sent to any one peer.
    pub max_peer_upload_rate: Option<u64>,
    /// Bytes a second that are received from any one peer.
    pub max_peer_download_rate: Option<u64>,

    /// Where strangers start.
    pub initial_trust_score: f64,
    /// Below it a peer is banned.
    pub min_trust_threshold: f64,
    /// The highest score.
    pub max_trust_score: f64,
    /// The part of the distance to the initial score that is lost at each decay.
    pub trust_decay_rate: f64,
    /// Seconds between two decays.
    pub trust_decay_interval: f64,
    /// What a valid message adds.
    pub trust_boost_message: f64,
    /// What an invalid one takes away.
    pub trust_penalty_invalid: f64,

    /// Whether this node, when strangers reach it, answers questions of the hash table and keeps
    /// records for others; without it, it only asks.
    pub dht_serve: bool,
    /// Whether it forwards between peers that cannot reach each other, at bounded rates.
    pub relay: bool,
    /// Whether this node takes no path through a relay, whoever asks for it. Nodes that only a
    /// relay leads to are not reached, nor are direct paths to them found.
    pub direct_only: bool,
    /// Whether it tells nobody where it is, and dials only
    /// [`bootstrap_nodes`](Self::bootstrap_nodes) and [`reserved_peers`](Self::reserved_peers), who
    /// see its address; others are reached through those.
    pub relay_only: bool,
    /// Whether the router of this network is asked, by PCP or NAT-PMP, to let strangers in at the
    /// port of this node, for UDP and, if it listens there, for TCP. On Linux.
    pub map_port: bool,
    /// Whether the sender of a message may hear when it came to this node
    /// ([`Node::ask_trace`](crate::Node::ask_trace)). If not, the node is counted as one that
    /// declined, and passes on what others answer.
    pub trace_answer: bool,
    /// Whether it may hear that it was this node.
    pub trace_name: bool,

    /// A hint only: the id follows from the key. If it is given and differs, the start fails.
    pub node_id: Option<String>,
    /// The private key, if not at `data_dir/keys/private_key.pem`.
    pub private_key_path: Option<PathBuf>,
    /// A file whose first line is the passphrase that the private key is encrypted under. A key
    /// that is made while it is given is encrypted; one that is there and is not stays so.
    pub key_passphrase_file: Option<PathBuf>,
    /// A hint only: the public key follows from the private one.
    pub public_key_path: Option<PathBuf>,
    /// A hint only: our database is `data_dir/node.db`.
    pub db_path: Option<PathBuf>,
}

/// What a room owns comes from the room's own defaults.
impl Default for NetworkConfig {
    fn default() -> Self {
        let node::NodeConfig {
            network: _,
            session,
            peers,
            gossip,
            trust,
            trace,
            relay,
            dht,
            map_port,
        } = node::NodeConfig::default();
        Self {
            network: NetworkId::DEFAULT.into(),
            host: "::".into(),
            port: 8888,
            external_addresses: Vec::new(),
            transport: TransportPolicy::default(),
            udp_batches: session.udp_batches,
            congestion_control: session.congestion,
            bootstrap_nodes: peers.bootstrap,
            reserved_peers: Vec::new(),
            banned_addresses: Vec::new(),
            data_dir: None,
            log_level: "INFO".into(),
            log_format: LogFormat::default(),
            log_file: None,
            api_listen: None,
            api_in_clear_text: false,
            gossip_fanout: gossip.fanout,
            gossip_interval: gossip.interval.as_secs_f64(),
            message_ttl: gossip.ttl,
            message_cache_size: gossip.cache_size,
            message_buffer_size: 65_536,
            max_peers: peers.max_peers,
            max_inbound: peers.max_inbound,
            max_outbound: peers.max_outbound,
            max_peers_per_address: peers.max_peers_per_address,
            min_peers: peers.min_peers,
            max_concurrent_connections: session.max_links,
            connection_timeout: session.connect_timeout.as_secs_f64(),
            peer_discovery_interval: peers.discovery_interval.as_secs_f64(),
            peer_timeout: 120.0,
            heartbeat_interval: session.heartbeat.as_secs_f64(),
            max_upload_rate: session.upload.node,
            max_download_rate: session.download.node,
            max_peer_upload_rate: session.upload.peer,
            max_peer_download_rate: session.download.peer,
            initial_trust_score: trust.initial_score,
            min_trust_threshold: trust.min_threshold,
            max_trust_score: trust.max_score,
            trust_decay_rate: trust.decay_rate,
            trust_decay_interval: trust.decay_interval.as_secs_f64(),
            trust_boost_message: trust.boost_message,
            trust_penalty_invalid: trust.penalty_invalid,
            dht_serve: dht.serve != Serve::Never,
            relay: relay.forwards,
            direct_only: false,
            relay_only: false,
            map_port,
            trace_answer: trace.answer,
            trace_name: trace.name,
            node_id: None,
            private_key_path: None,
            key_passphrase_file: None,
            public_key_path: None,
            db_path: None,
        }
    }
}

impl NetworkConfig {
    /// A node for tests and examples: on loopback, on a free port, in memory.
    ///
    /// ```
    /// let config = positron_networking::NetworkConfig::loopback();
    /// assert_eq!((config.host.as_str(), config.port), ("127.0.0.1", 0));
    /// ```
    pub fn loopback() -> Self {
        Self { host: "127.0.0.1".into(), port: 0, ..Self::default() }
    }

    /// The name and version that peers are told.
    pub fn software() -> String {
        peers::PeersConfig::default().software
    }

    /// Where the private key is; `None`: a new identity at each start.
    pub fn key_path(&self) -> Option<PathBuf> {
        let beside = |folder: &PathBuf| folder.join("keys").join("private_key.pem");
        self.private_key_path.clone().or_else(|| self.data_dir.as_ref().map(beside))
    }

    /// [`external_addresses`](Self::external_addresses) as something to dial, of a node that
    /// listens on `port`. With port 0, still to be chosen, those without their own are left out.
    ///
    /// ```
    /// use positron_networking::NetworkConfig;
    ///
    /// let external_addresses = vec!["node.example.org".into(), "198.51.100.7:443".into()];
    /// let config = NetworkConfig { external_addresses, ..Default::default() };
    /// let dialled = config.external_addresses_at(8888);
    /// assert_eq!(dialled, ["node.example.org:8888", "198.51.100.7:443"]);
    /// assert_eq!(config.external_addresses_at(0), ["198.51.100.7:443"]);
    /// ```
    pub fn external_addresses_at(&self, port: u16) -> Vec<String> {
        self.external_addresses.iter().filter_map(|text| to_dial(text, port)).collect()
    }

    pub(crate) fn network_id(&self) -> NetworkId {
        NetworkId::from_name(&self.network)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What README promises; a default that is changed is changed on purpose.
    #[test]
    fn the_defaults_are_the_ones_of_the_founding_document() {
        let config = NetworkConfig::default();
        assert_eq!((config.network.as_str(), config.port), ("positron", 8888));
        // Departure: `0.0.0.0` there, which nodes with IPv6 alone cannot reach.
        assert_eq!(config.host, "::");
        // Departure: 10 hops there. A tree is as deep again on the other side of its root.
        assert_eq!(
            (config.gossip_fanout, config.gossip_interval, config.message_ttl),
            (3, 1.0, 20)
        );
        assert_eq!(
            (config.message_cache_size, config.max_peers, config.min_peers),
            (10_000, 50, 5)
        );
        assert_eq!((config.max_concurrent_connections, config.connection_timeout), (512, 10.0));
        assert_eq!((config.peer_discovery_interval, config.heartbeat_interval), (30.0, 30.0));
        assert_eq!((config.initial_trust_score, config.min_trust_threshold), (0.5, 0.1));
        assert_eq!((config.max_trust_score, config.trust_decay_rate), (1.0, 0.01));
        assert_eq!((config.trust_decay_interval, config.trust_boost_message), (3600.0, 0.01));
        assert_eq!(config.trust_penalty_invalid, 0.1);
    }
}
