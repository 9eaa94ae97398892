//! Every key of a configuration: what is allowed, what to say when it is not, and where it goes.

use std::{
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    time::Duration,
};

use positron_proto::{
    dht::{DhtConfig, Serve},
    gossip::GossipConfig,
    limits::{
        LEAST_BANDWIDTH, MAX_BOOTSTRAP, MAX_CONFIGURED_ADDRESS_BANS, MAX_EXTERNAL_ADDRESSES,
        MAX_RESERVED, MAX_TTL, MOST_BANDWIDTH,
    },
    node::NodeConfig,
    peers::{PeersConfig, Reservation},
    relay::{PathPolicy, RelayConfig},
    session::sessions::{LinkKind, LinkKinds, RateLimit, SessionConfig},
    subnet::Subnet,
    trace::TraceConfig,
    trust::TrustConfig,
    wire::has_zone,
};

use super::{error::ConfigError, external::to_dial, network::NetworkConfig, reserved::to_reserve};
use crate::invite::targets_of;

/// A configuration of which every key was checked: what a node may be started with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checked<'a> {
    config: &'a NetworkConfig,
    listen: SocketAddr,
}

impl<'a> Checked<'a> {
    /// Checks every key.
    ///
    /// # Errors
    /// The first key whose value is not allowed.
    pub(crate) fn of(config: &'a NetworkConfig) -> Result<Self, ConfigError> {
        network(config)?;
        let listen = listen(config)?;
        bootstrap_nodes(config)?;
        reserved_peers(config)?;
        banned_addresses(config)?;
        external_addresses(config)?;
        log_level(config)?;
        node_id(config)?;
        gossip(config)?;
        peers(config)?;
        one_policy(config)?;
        map_port(config)?;
        bandwidth(config)?;
        trust(config)?;
        Ok(Self { config, listen })
    }

    /// Where to listen.
    pub(crate) const fn listen_address(&self) -> SocketAddr {
        self.listen
    }

    /// Where the operator says that others reach the node, which got `port`: something to dial.
    pub(crate) fn external_addresses(&self, port: u16) -> Vec<String> {
        self.config.external_addresses_at(port)
    }

    /// Which peers have slots of their own.
    fn reserved_peers(&self) -> impl Iterator<Item = Reservation> {
        self.config.reserved_peers.iter().filter_map(|peer| to_reserve(peer))
    }

    /// What links may be made of.
    pub(crate) fn transports(&self) -> LinkKinds {
        self.config.transport.for_core()
    }

    /// The same configuration, room by room, of a node that got `port`.
    pub(crate) fn for_core(&self, port: u16) -> NodeConfig {
        let config = self.config;
        let external = self.external_addresses(port);
        let network = config.network_id();
        let banned = config.banned_addresses.iter();
        let heartbeat = Duration::from_secs_f64(config.heartbeat_interval);
        NodeConfig {
            network,
            session: SessionConfig {
                network,
                max_links: config.max_concurrent_connections,
                connect_timeout: Duration::from_secs_f64(config.connection_timeout),
                heartbeat,
                transports: self.transports(),
                udp_batches: config.udp_batches,
                congestion: config.congestion_control,
                upload: RateLimit {
                    node: config.max_upload_rate,
                    peer: config.max_peer_upload_rate,
                },
                download: RateLimit {
                    node: config.max_download_rate,
                    peer: config.max_peer_download_rate,
                },
            },
            peers: PeersConfig {
                bootstrap: bootstrap_targets(config),
                // A record has no names.
                external: external.iter().filter_map(|address| address.parse().ok()).collect(),
                reserved: self.reserved_peers().collect(),
                min_peers: config.min_peers,
                max_peers: config.max_peers,
                max_inbound: config.max_inbound,
                max_outbound: config.max_outbound,
                max_peers_per_address: config.max_peers_per_address,
                discovery_interval: Duration::from_secs_f64(config.peer_discovery_interval),
                heartbeat_interval: heartbeat,
                hidden: config.relay_only,
                software: NetworkConfig::software(),
            },
            gossip: GossipConfig {
                fanout: config.gossip_fanout,
                interval: Duration::from_secs_f64(config.gossip_interval),
                ttl: config.message_ttl,
                cache_size: config.message_cache_size,
                validates: false,
            },
            trace: TraceConfig { answer: config.trace_answer, name: config.trace_name },
            map_port: config.map_port,
            relay: RelayConfig { forwards: config.relay, paths: paths(config) },
            dht: DhtConfig { serve: if config.dht_serve { Serve::Auto } else { Serve::Never } },
            trust: TrustConfig {
                initial_score: config.initial_trust_score,
                min_threshold: config.min_trust_threshold,
                max_score: config.max_trust_score,
                decay_rate: config.trust_decay_rate,
                decay_interval: Duration::from_secs_f64(config.trust_decay_interval),
                boost_message: config.trust_boost_message,
                penalty_invalid: config.trust_penalty_invalid,
                banned_addresses: banned.filter_map(|net| net.parse().ok()).collect(),
            },
        }
    }
}

const fn paths(config: &NetworkConfig) -> PathPolicy {
    match (config.direct_only, config.relay_only) {
        (true, _) => PathPolicy::DirectOnly,
        (false, true) => PathPolicy::RelayOnly,
        (false, false) => PathPolicy::Any,
    }
}

fn one_policy(config: &NetworkConfig) -> Result<(), ConfigError> {
    ensure(
        !(config.direct_only && config.relay_only),
        "relay_only",
        || "true".into(),
        || "`direct_only` is true as well, and no path is both".into(),
    )
}

fn map_port(config: &NetworkConfig) -> Result<(), ConfigError> {
    let is = |wanted: bool, but: &'static str| {
        let found = || "true".into();
        ensure(!(config.map_port && wanted), "map_port", found, || but.into())
    };
    is(config.relay_only, "`relay_only` is true as well, and tells nobody where this node is")?;
    let is_without_udp = !config.transport.for_core().has(LinkKind::Udp);
    is(is_without_udp, "the node has no UDP, by which it is found out whether strangers get in")
}

fn network(config: &NetworkConfig) -> Result<(), ConfigError> {
    let name = &config.network;
    let printable = !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic());
    ensure(
        printable && name.len() <= 64,
        "network",
        || quoted(name),
        || "it must be 1 to 64 printable ASCII characters without spaces".into(),
    )
}

fn listen(config: &NetworkConfig) -> Result<SocketAddr, ConfigError> {
    let wrong = |allowed: &str| ConfigError::BadValue {
        key: "host",
        value: quoted(&config.host),
        allowed: allowed.into(),
    };
    let host = config.host.trim_matches(['[', ']']);
    if has_zone(&format!("[{host}]")) {
        // No name server is asked: the operating system knows its own interfaces.
        let mut found = (host, config.port).to_socket_addrs().ok().into_iter().flatten();
        return found.next().ok_or_else(|| wrong("there is no such interface on this machine"));
    }
    let ip: Result<IpAddr, _> = host.parse();
    ip.map(|ip| SocketAddr::new(ip, config.port)).map_err(|_| {
        wrong("it must be an IP address of this machine, such as ::, 0.0.0.0 or 127.0.0.1")
    })
}

/// They were checked.
fn bootstrap_targets(config: &NetworkConfig) -> Vec<String> {
    let targets = config.bootstrap_nodes.iter();
    targets.flat_map(|text| targets_of(text, &config.network).unwrap_or_default()).collect()
}

fn bootstrap_nodes(config: &NetworkConfig) -> Result<(), ConfigError> {
    let count = config.bootstrap_nodes.len();
    ensure(
        count <= MAX_BOOTSTRAP,
        "bootstrap_nodes",
        || format!("{count} addresses"),
        || format!("at most {MAX_BOOTSTRAP} are allowed"),
    )?;
    for target in &config.bootstrap_nodes {
        if let Err(why) = targets_of(target, &config.network) {
            let examples = "host:port such as 192.0.2.1:8888, [2001:db8::1]:8888 or \
                            node.example.org:8888, with id@ before it or not, or an invite";
            let allowed = format!("{why}; each is {examples}");
            return ensure(false, "bootstrap_nodes", || quoted(target), || allowed);
        }
    }
    Ok(())
}

fn reserved_peers(config: &NetworkConfig) -> Result<(), ConfigError> {
    let count = config.reserved_peers.len();
    ensure(
        count <= MAX_RESERVED,
        "reserved_peers",
        || format!("{count} nodes"),
        || format!("at most {MAX_RESERVED} are allowed"),
    )?;
    for peer in &config.reserved_peers {
        ensure(
            to_reserve(peer).is_some(),
            "reserved_peers",
            || quoted(peer),
            || "each must be the id of a node, or id@ip:port with its IP address and port".into(),
        )?;
    }
    Ok(())
}

fn banned_addresses(config: &NetworkConfig) -> Result<(), ConfigError> {
    let count = config.banned_addresses.len();
    ensure(
        count <= MAX_CONFIGURED_ADDRESS_BANS,
        "banned_addresses",
        || format!("{count} addresses"),
        || format!("at most {MAX_CONFIGURED_ADDRESS_BANS} are allowed"),
    )?;
    for address in &config.banned_addresses {
        if let Err(why) = address.parse::<Subnet>() {
            return Err(ConfigError::BadValue {
                key: "banned_addresses",
                value: quoted(address),
                allowed: format!("each must be such as 203.0.113.7 or 2001:db8::/32: {why}"),
            });
        }
    }
    Ok(())
}

fn external_addresses(config: &NetworkConfig) -> Result<(), ConfigError> {
    let count = config.external_addresses.len();
    ensure(
        count <= MAX_EXTERNAL_ADDRESSES,
        "external_addresses",
        || format!("{count} addresses"),
        || format!("at most {MAX_EXTERNAL_ADDRESSES} are allowed"),
    )?;
    for address in &config.external_addresses {
        ensure(
            to_dial(address, 1).is_some(),
            "external_addresses",
            || quoted(address),
            || {
                "each must be a host or host:port that others can dial, such as 198.51.100.7, \
                 [2001:db8::1]:8888 or node.example.org"
                    .into()
            },
        )?;
    }
    Ok(())
}

fn log_level(config: &NetworkConfig) -> Result<(), ConfigError> {
    let level = config.log_level.to_ascii_uppercase();
    ensure(
        LOG_LEVELS.contains(&level.as_str()),
        "log_level",
        || quoted(&config.log_level),
        || format!("it must be one of {}", LOG_LEVELS.join(", ")),
    )
}

fn node_id(config: &NetworkConfig) -> Result<(), ConfigError> {
    let id = config.node_id.as_deref().unwrap_or("0000000000000000");
    let reads = matches!(id.len(), 16 | 64) && id.chars().all(|c| c.is_ascii_hexdigit());
    ensure(
        reads,
        "node_id",
        || quoted(id),
        || "it must be 64 hexadecimal characters, or the first 16 of them".into(),
    )
}

fn gossip(config: &NetworkConfig) -> Result<(), ConfigError> {
    count("gossip_fanout", config.gossip_fanout, 1, 1_000)?;
    seconds("gossip_interval", config.gossip_interval, 0.02, 3_600.0)?;
    count("message_ttl", usize::from(config.message_ttl), 1, usize::from(MAX_TTL))?;
    count("message_cache_size", config.message_cache_size, 16, 1_000_000)?;
    count("message_buffer_size", config.message_buffer_size, 1, 1 << 20)
}

fn peers(config: &NetworkConfig) -> Result<(), ConfigError> {
    count("max_peers", config.max_peers, 1, 10_000)?;
    count("max_peers_per_address", config.max_peers_per_address, 1, 10_000)?;
    let most = config.max_peers;
    let (inbound, outbound) = (config.max_inbound, config.max_outbound);
    for (key, value) in [
        ("min_peers", Some(config.min_peers)),
        ("max_inbound", inbound),
        ("max_outbound", outbound),
    ] {
        let value = value.unwrap_or(0);
        let allowed = || format!("it must be at most max_peers, which is {most}");
        ensure(value <= most, key, || value.to_string(), allowed)?;
    }
    let both = inbound.unwrap_or(most) + outbound.unwrap_or(most);
    ensure(
        config.min_peers <= both,
        "min_peers",
        || config.min_peers.to_string(),
        || format!("it must be at most max_inbound and max_outbound together, which are {both}"),
    )?;
    ensure(
        config.bootstrap_nodes.is_empty() || outbound != Some(0),
        "max_outbound",
        || "0".into(),
        || "it must be at least 1 where bootstrap_nodes are to be dialled".into(),
    )?;
    count("max_concurrent_connections", config.max_concurrent_connections, 1, 65_536)?;
    seconds("connection_timeout", config.connection_timeout, 0.1, 120.0)?;
    seconds("peer_discovery_interval", config.peer_discovery_interval, 0.1, 86_400.0)?;
    seconds("peer_timeout", config.peer_timeout, 0.1, 86_400.0)?;
    seconds("heartbeat_interval", config.heartbeat_interval, 0.1, 3_600.0)
}

fn bandwidth(config: &NetworkConfig) -> Result<(), ConfigError> {
    for (key, rate) in [
        ("max_upload_rate", config.max_upload_rate),
        ("max_download_rate", config.max_download_rate),
        ("max_peer_upload_rate", config.max_peer_upload_rate),
        ("max_peer_download_rate", config.max_peer_download_rate),
    ] {
        let Some(rate) = rate else { continue };
        ensure(
            (LEAST_BANDWIDTH..=MOST_BANDWIDTH).contains(&rate),
            key,
            || rate.to_string(),
            || {
                format!(
                    "it must be from {LEAST_BANDWIDTH} to {MOST_BANDWIDTH} bytes a second, or \
                     null for no limit"
                )
            },
        )?;
    }
    Ok(())
}

fn trust(config: &NetworkConfig) -> Result<(), ConfigError> {
    let highest = config.max_trust_score;
    number("max_trust_score", highest, 0.001, 1_000.0, "")?;
    number("initial_trust_score", config.initial_trust_score, 0.0, highest, "")?;
    let initial = config.initial_trust_score;
    let threshold = config.min_trust_threshold;
    ensure(
        (0.0..=initial).contains(&threshold),
        "min_trust_threshold",
        || threshold.to_string(),
        || {
            format!(
                "it must be from 0 to initial_trust_score, which is {initial}: \
             strangers would be banned at once"
            )
        },
    )?;
    number("trust_decay_rate", config.trust_decay_rate, 0.0, 1.0, "")?;
    seconds("trust_decay_interval", config.trust_decay_interval, 1.0, 31_536_000.0)?;
    number("trust_boost_message", config.trust_boost_message, 0.0, highest, "")?;
    number("trust_penalty_invalid", config.trust_penalty_invalid, 0.0, highest, "")
}

fn ensure(
    holds: bool,
    key: &'static str,
    value: impl FnOnce() -> String,
    allowed: impl FnOnce() -> String,
) -> Result<(), ConfigError> {
    if holds {
        return Ok(());
    }
    Err(ConfigError::BadValue { key, value: value(), allowed: allowed() })
}

fn count(key: &'static str, value: usize, least: usize, most: usize) -> Result<(), ConfigError> {
    ensure(
        (least..=most).contains(&value),
        key,
        || value.to_string(),
        || format!("it must be from {least} to {most}"),
    )
}

/// A range never contains NaN.
fn number(
    key: &'static str,
    value: f64,
    least: f64,
    most: f64,
    unit: &str,
) -> Result<(), ConfigError> {
    ensure(
        (least..=most).contains(&value),
        key,
        || value.to_string(),
        || format!("it must be from {least} to {most}{unit}"),
    )
}

fn seconds(key: &'static str, value: f64, least: f64, most: f64) -> Result<(), ConfigError> {
    number(key, value, least, most, " seconds")
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

const LOG_LEVELS: [&str; 7] = ["TRACE", "DEBUG", "INFO", "WARNING", "WARN", "ERROR", "CRITICAL"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_is_told_nothing_runs_with_the_defaults_of_its_rooms() {
        let config = NetworkConfig::default();
        assert_eq!(
            Checked::of(&config).map(|c| c.for_core(config.port)),
            Ok(NodeConfig::default())
        );
    }

    #[test]
    fn an_external_address_goes_into_the_record_with_the_port_that_the_node_got() {
        let external_addresses =
            vec!["198.51.100.7".into(), "node.example.org".into(), "[2001:db8::7]:443".into()];
        let config = NetworkConfig { port: 0, external_addresses, ..NetworkConfig::default() };
        let checked = Checked::of(&config).unwrap();
        let wanted = ["198.51.100.7:8889", "[2001:db8::7]:443"].map(|one| one.parse().unwrap());
        assert_eq!(checked.for_core(8889).peers.external, wanted);
    }

    #[test]
    fn limits_of_bandwidth_go_to_the_sessions_each_to_its_own_place() {
        let text = r#"{"max_upload_rate": 100000, "max_peer_upload_rate": 20000,
            "max_download_rate": 300000, "max_peer_download_rate": 40000}"#;
        let config = NetworkConfig::from_json(text, "c.json").unwrap();
        let session = Checked::of(&config).unwrap().for_core(1).session;
        assert_eq!(session.upload, RateLimit { node: Some(100_000), peer: Some(20_000) });
        assert_eq!(session.download, RateLimit { node: Some(300_000), peer: Some(40_000) });
        let refused = refusal(|c| c.max_peer_download_rate = Some(16_383));
        assert_eq!(
            refused,
            "`max_peer_download_rate` is 16383, but it must be from 16384 to 100000000000 bytes a \
             second, or null for no limit"
        );
        assert!(refusal(|c| c.max_upload_rate = Some(0)).starts_with("`max_upload_rate` is 0"));
    }

    fn refusal(change: impl FnOnce(&mut NetworkConfig)) -> String {
        let mut config = NetworkConfig::default();
        change(&mut config);
        Checked::of(&config).unwrap_err().to_string()
    }

    #[test]
    fn a_refusal_names_the_key_the_value_and_what_is_allowed() {
        assert_eq!(
            refusal(|c| c.host = "localhost".into()),
            "`host` is \"localhost\", but it must be an IP address of this machine, such as \
             ::, 0.0.0.0 or 127.0.0.1"
        );
        let refused = refusal(|c| c.external_addresses = vec!["0.0.0.0".into()]);
        assert!(refused.starts_with("`external_addresses` is \"0.0.0.0\", but each"), "{refused}");
        let refused = refusal(|c| c.external_addresses = vec!["a".into(); 5]);
        assert!(refused.contains("5 addresses") && refused.contains("at most 4"), "{refused}");
        assert_eq!(
            refusal(|c| c.min_peers = 51),
            "`min_peers` is 51, but it must be at most max_peers, which is 50"
        );
        let refused = refusal(|c| c.banned_addresses = vec!["203.0.113.7/24".into()]);
        let says = "`banned_addresses` is \"203.0.113.7/24\"";
        assert!(
            refused.starts_with(says) && refused.ends_with("is 203.0.113.0/24 meant?"),
            "{refused}"
        );
        assert_eq!(
            refusal(|c| c.max_inbound = Some(51)),
            "`max_inbound` is 51, but it must be at most max_peers, which is 50"
        );
        assert_eq!(
            refusal(|c| (c.max_peers, c.max_outbound) = (20, Some(21))),
            "`max_outbound` is 21, but it must be at most max_peers, which is 20"
        );
        assert_eq!(
            refusal(|c| (c.max_inbound, c.max_outbound) = (Some(1), Some(3))),
            "`min_peers` is 5, but it must be at most max_inbound and max_outbound together, \
             which are 4"
        );
        assert_eq!(
            refusal(|c| {
                (c.max_outbound, c.bootstrap_nodes) = (Some(0), vec!["192.0.2.1:8888".into()]);
            }),
            "`max_outbound` is 0, but it must be at least 1 where bootstrap_nodes are to be dialled"
        );
        assert_eq!(
            refusal(|c| c.message_ttl = 0),
            "`message_ttl` is 0, but it must be from 1 to 32"
        );
    }

    #[test]
    fn no_number_of_seconds_or_score_may_be_nan_infinite_or_negative() {
        type Knob = fn(&mut NetworkConfig) -> &mut f64;
        let knobs: [Knob; 12] = [
            |c| &mut c.gossip_interval,
            |c| &mut c.connection_timeout,
            |c| &mut c.peer_discovery_interval,
            |c| &mut c.peer_timeout,
            |c| &mut c.heartbeat_interval,
            |c| &mut c.initial_trust_score,
            |c| &mut c.min_trust_threshold,
            |c| &mut c.max_trust_score,
            |c| &mut c.trust_decay_rate,
            |c| &mut c.trust_decay_interval,
            |c| &mut c.trust_boost_message,
            |c| &mut c.trust_penalty_invalid,
        ];
        for knob in knobs {
            for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.5] {
                let mut config = NetworkConfig::default();
                *knob(&mut config) = wrong;
                assert!(Checked::of(&config).is_err(), "{config:?}");
            }
        }
    }
}
