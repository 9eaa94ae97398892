//! Every key of a configuration, checked: what is allowed, and what to say when it is not.

use positron_proto::limits::{MAX_BOOTSTRAP, MAX_TTL};

use super::{NetworkConfig, error::ConfigError};

type Checked = Result<(), ConfigError>;

impl NetworkConfig {
    /// Checks every key.
    ///
    /// ```
    /// use positron_networking::NetworkConfig;
    ///
    /// assert_eq!(NetworkConfig::default().validate(), Ok(()));
    /// let wrong = NetworkConfig { gossip_interval: f64::NAN, ..Default::default() };
    /// let error = wrong.validate().unwrap_err().to_string();
    /// assert_eq!(error, "`gossip_interval` is NaN, but it must be from 0.02 to 3600 seconds");
    /// ```
    ///
    /// # Errors
    /// The first key whose value is not allowed.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.check_names()?;
        self.check_gossip()?;
        self.check_peers()?;
        self.check_trust()
    }

    fn check_names(&self) -> Checked {
        let name = &self.network;
        let printable = !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic());
        ensure(
            printable && name.len() <= 64,
            "network",
            || quoted(name),
            || "it must be 1 to 64 printable ASCII characters without spaces".into(),
        )?;
        ensure(
            self.ip().is_some(),
            "host",
            || quoted(&self.host),
            || "it must be an IP address of this machine, such as 127.0.0.1, 0.0.0.0 or ::".into(),
        )?;
        let count = self.bootstrap_nodes.len();
        ensure(
            count <= MAX_BOOTSTRAP,
            "bootstrap_nodes",
            || format!("{count} addresses"),
            || format!("at most {MAX_BOOTSTRAP} are allowed"),
        )?;
        for address in &self.bootstrap_nodes {
            ensure(
                is_host_and_port(address),
                "bootstrap_nodes",
                || quoted(address),
                || {
                    "each must be host:port, such as 192.0.2.1:8888, [2001:db8::1]:8888 or \
                 node.example.org:8888"
                        .into()
                },
            )?;
        }
        let level = self.log_level.to_ascii_uppercase();
        ensure(
            LOG_LEVELS.contains(&level.as_str()),
            "log_level",
            || quoted(&self.log_level),
            || format!("it must be one of {}", LOG_LEVELS.join(", ")),
        )?;
        let id = self.node_id.as_deref().unwrap_or("0000000000000000");
        let reads = matches!(id.len(), 16 | 64) && id.chars().all(|c| c.is_ascii_hexdigit());
        ensure(
            reads,
            "node_id",
            || quoted(id),
            || "it must be 64 hexadecimal characters, or the first 16 of them".into(),
        )
    }

    fn check_gossip(&self) -> Checked {
        count("gossip_fanout", self.gossip_fanout, 1, 1_000)?;
        seconds("gossip_interval", self.gossip_interval, 0.02, 3_600.0)?;
        count("message_ttl", usize::from(self.message_ttl), 1, usize::from(MAX_TTL))?;
        count("message_cache_size", self.message_cache_size, 16, 1_000_000)?;
        count("message_buffer_size", self.message_buffer_size, 1, 1 << 20)
    }

    fn check_peers(&self) -> Checked {
        count("max_peers", self.max_peers, 1, 10_000)?;
        ensure(
            self.min_peers <= self.max_peers,
            "min_peers",
            || self.min_peers.to_string(),
            || format!("it must be at most max_peers, which is {}", self.max_peers),
        )?;
        count("max_concurrent_connections", self.max_concurrent_connections, 1, 65_536)?;
        seconds("connection_timeout", self.connection_timeout, 0.1, 120.0)?;
        seconds("peer_discovery_interval", self.peer_discovery_interval, 0.1, 86_400.0)?;
        seconds("peer_timeout", self.peer_timeout, 0.1, 86_400.0)?;
        seconds("heartbeat_interval", self.heartbeat_interval, 0.1, 3_600.0)
    }

    fn check_trust(&self) -> Checked {
        let highest = self.max_trust_score;
        number("max_trust_score", highest, 0.001, 1_000.0, "")?;
        number("initial_trust_score", self.initial_trust_score, 0.0, highest, "")?;
        let initial = self.initial_trust_score;
        let threshold = self.min_trust_threshold;
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
        number("trust_decay_rate", self.trust_decay_rate, 0.0, 1.0, "")?;
        seconds("trust_decay_interval", self.trust_decay_interval, 1.0, 31_536_000.0)?;
        number("trust_boost_message", self.trust_boost_message, 0.0, highest, "")?;
        number("trust_penalty_invalid", self.trust_penalty_invalid, 0.0, highest, "")
    }
}

fn ensure(
    holds: bool,
    key: &'static str,
    value: impl FnOnce() -> String,
    allowed: impl FnOnce() -> String,
) -> Checked {
    if holds {
        return Ok(());
    }
    Err(ConfigError::BadValue { key, value: value(), allowed: allowed() })
}

fn count(key: &'static str, value: usize, least: usize, most: usize) -> Checked {
    ensure(
        (least..=most).contains(&value),
        key,
        || value.to_string(),
        || format!("it must be from {least} to {most}"),
    )
}

/// A range never contains NaN.
fn number(key: &'static str, value: f64, least: f64, most: f64, unit: &str) -> Checked {
    ensure(
        (least..=most).contains(&value),
        key,
        || value.to_string(),
        || format!("it must be from {least} to {most}{unit}"),
    )
}

fn seconds(key: &'static str, value: f64, least: f64, most: f64) -> Checked {
    number(key, value, least, most, " seconds")
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

/// Whether the text reads as `host:port` with a port that one can dial.
fn is_host_and_port(text: &str) -> bool {
    if let Ok(address) = text.parse::<std::net::SocketAddr>() {
        return address.port() != 0;
    }
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let plausible = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let named = !host.is_empty() && host.len() <= 253 && host.chars().all(plausible);
    named && port.parse::<u16>().is_ok_and(|port| port != 0)
}

const LOG_LEVELS: [&str; 7] = ["TRACE", "DEBUG", "INFO", "WARNING", "WARN", "ERROR", "CRITICAL"];

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut NetworkConfig)) -> String {
        let mut config = NetworkConfig::default();
        change(&mut config);
        config.validate().unwrap_err().to_string()
    }

    #[test]
    fn a_refusal_names_the_key_the_value_and_what_is_allowed() {
        assert_eq!(
            refusal(|c| c.host = "localhost".into()),
            "`host` is \"localhost\", but it must be an IP address of this machine, such as \
             127.0.0.1, 0.0.0.0 or ::"
        );
        assert_eq!(
            refusal(|c| c.min_peers = 51),
            "`min_peers` is 51, but it must be at most max_peers, which is 50"
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
                assert!(config.validate().is_err(), "{config:?}");
            }
        }
    }

    #[test]
    fn a_bootstrap_address_is_a_host_and_a_port() {
        for good in ["192.0.2.1:1", "[::1]:8888", "node-1.example.org:8888", "localhost:65535"] {
            assert!(is_host_and_port(good), "{good}");
        }
        for bad in ["", ":1", "192.0.2.1", "::1:0", "host:0", "host:65536", "ho st:1", "host:"] {
            assert!(!is_host_and_port(bad), "{bad}");
        }
    }
}
