//! A configuration from a JSON text or from a caller, and what is wrong with it when it is none.

use super::{
    check::Checked, error::ConfigError, network::NetworkConfig, spelling::distance,
    transport::TransportPolicy,
};
use crate::limits::MAX_CONFIG;

impl NetworkConfig {
    /// Reads a configuration from JSON; `origin` says in errors where the text came from (a path).
    ///
    /// Every key may be left out. What the founding implementation's `generate-config` writes is
    /// accepted as it is. The values are checked too ([`validate`](Self::validate)).
    ///
    /// ```
    /// use positron_networking::NetworkConfig;
    ///
    /// let config = NetworkConfig::from_json(r#"{"port": 8889}"#, "config.json").unwrap();
    /// assert_eq!(config.port, 8889);
    ///
    /// let error = NetworkConfig::from_json("{\n  \"gosip_fanout\": 3\n}", "config.json");
    /// assert_eq!(
    ///     error.unwrap_err().to_string(),
    ///     "config.json:2:16: unknown key `gosip_fanout`; did you mean `gossip_fanout`?"
    /// );
    /// ```
    ///
    /// # Errors
    /// The text is no JSON, has an unknown key, or a value of the wrong type or range.
    pub fn from_json(text: &str, origin: &str) -> Result<Self, ConfigError> {
        if text.len() > MAX_CONFIG {
            let what = format!("the text has {} bytes, the limit is {MAX_CONFIG}", text.len());
            return Err(ConfigError::Unreadable {
                origin: origin.into(),
                line: 1,
                column: 1,
                what,
            });
        }
        // Editors of Windows begin a file with a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        // A sequence would fill the fields in order.
        if !text.trim_start().starts_with('{') {
            let what = "a configuration is a JSON object: { \"port\": 8888, ... }".into();
            return Err(ConfigError::Unreadable {
                origin: origin.into(),
                line: 1,
                column: 1,
                what,
            });
        }
        let config: Self = serde_json::from_str(text).map_err(|error| explain(&error, origin))?;
        config.validate()?;
        Ok(config)
    }

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
        Checked::of(self).map(|_| ())
    }

    /// Every key that a configuration can have.
    pub fn keys() -> Vec<String> {
        match serde_json::to_value(Self::default()) {
            Ok(serde_json::Value::Object(map)) => map.into_iter().map(|(key, _)| key).collect(),
            _ => Vec::new(),
        }
    }
}

fn explain(error: &serde_json::Error, origin: &str) -> ConfigError {
    let (line, column) = (error.line(), error.column());
    let origin = origin.to_owned();
    let text = error.to_string();
    if let Some(key) = text.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next())
    {
        let nearest = nearest(key, NetworkConfig::keys());
        return ConfigError::UnknownKey { origin, line, column, key: key.into(), nearest };
    }
    if let Some(word) =
        text.strip_prefix("unknown variant `").and_then(|rest| rest.split('`').next())
        && text.contains("`auto`")
        && let Err(what) = word.parse::<TransportPolicy>()
    {
        return ConfigError::UnknownTransport { origin, line, column, what };
    }
    let place = format!(" at line {line} column {column}");
    let what = in_plain_words(text.strip_suffix(&place).unwrap_or(&text));
    ConfigError::Unreadable { origin, line, column, what }
}

/// The parser's message, with the types of JSON in place of those of Rust.
fn in_plain_words(what: &str) -> String {
    let Some((found, expected)) = what.rsplit_once(", expected ") else {
        return what.to_owned();
    };
    let expected = match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number from 0",
        "f32" | "f64" => "a number",
        "a sequence" => "a list, such as [\"192.0.2.1:8888\"]",
        other => other,
    };
    format!("{found}, expected {expected}")
}

/// The known key at the smallest edit distance, if that is small for its length or one begins with
/// the other.
fn nearest(key: &str, known: Vec<String>) -> Option<String> {
    let close = |candidate: &String| {
        let begins = key.len() >= 3 && candidate.starts_with(&format!("{key}_"));
        begins || distance(key, candidate) <= 1 + candidate.len() / 4
    };
    known.into_iter().filter(close).min_by_key(|candidate| distance(key, candidate))
}

#[cfg(test)]
mod tests {
    use positron_proto::datagram::contract::CongestionAlgorithm;

    use super::*;

    /// Every key of the founding document, with its types.
    const FOUNDING: &str = r#"{
        "host": "0.0.0.0", "port": 8888, "bootstrap_nodes": ["192.168.1.100:8888"],
        "gossip_fanout": 3, "gossip_interval": 1.0, "message_ttl": 10,
        "message_cache_size": 10000, "max_peers": 50, "min_peers": 5,
        "peer_discovery_interval": 30, "peer_timeout": 120.0, "heartbeat_interval": 30.0,
        "initial_trust_score": 0.5, "min_trust_threshold": 0.1, "max_trust_score": 1.0,
        "trust_decay_rate": 0.01, "trust_decay_interval": 3600.0, "trust_boost_message": 0.01,
        "trust_penalty_invalid": 0.1, "max_concurrent_connections": 100,
        "connection_timeout": 10.0, "message_buffer_size": 65536, "node_id": null,
        "private_key_path": null, "public_key_path": null, "data_dir": "node_data",
        "db_path": "network.db", "log_level": "INFO", "log_file": null
    }"#;

    #[test]
    fn the_founding_generators_output_is_accepted_as_it_is() {
        let config = NetworkConfig::from_json(FOUNDING, "config.json").unwrap();
        assert_eq!(config.bootstrap_nodes, ["192.168.1.100:8888"]);
        assert_eq!(config.data_dir.as_deref(), Some("node_data".as_ref()));
    }

    #[test]
    fn a_byte_order_mark_is_no_error() {
        let config = NetworkConfig::from_json("\u{feff}{\"port\": 1}", "c.json").unwrap();
        assert_eq!(config.port, 1);
    }

    #[test]
    fn a_congestion_control_is_written_as_it_is_shown() {
        for control in CongestionAlgorithm::ALL {
            let text = format!("{{\"congestion_control\": \"{control}\"}}");
            let config = NetworkConfig::from_json(&text, "c.json").unwrap();
            assert_eq!(config.congestion_control, control);
        }
    }

    #[test]
    fn an_error_tells_where_and_what() {
        let refusal =
            |text: &str| NetworkConfig::from_json(text, "c.json").unwrap_err().to_string();
        assert_eq!(
            refusal("{\"hots\": 1}"),
            "c.json:1:7: unknown key `hots`; did you mean `host`?"
        );
        assert!(refusal("{\"bootstrap\": []}").ends_with("did you mean `bootstrap_nodes`?"));
        assert!(refusal("{\"port\": \"1\"}").ends_with("a whole number from 0 to 65535"));
        assert!(refusal("{\"bootstrap_nodes\": \"a:1\"}").contains("expected a list"));
        assert_eq!(
            refusal("{\"transport\": \"upd\"}"),
            "c.json:1:19: `upd` is no transport, it must be auto, udp or tcp; did you mean `udp`?"
        );
        let no_control = refusal("{\"congestion_control\": \"reno\"}");
        assert!(no_control.ends_with("expected one of `newreno`, `cubic`, `bbr`"), "{no_control}");
        assert!(refusal("[]").contains("a JSON object"));
        assert_eq!(refusal("{\"xyzzy\": 1}"), "c.json:1:8: unknown key `xyzzy`");
        assert!(refusal("{\"port\": 70000}").starts_with("c.json:1:14: invalid value: integer"));
        assert!(refusal("{\n\"port\": }").starts_with("c.json:2:9: expected value"));
        for no_object in ["", "[]", "8888"] {
            assert!(refusal(no_object).starts_with("c.json:1:1: a configuration is a JSON object"));
        }
        assert!(refusal("{\"port\": 1, \"port\": 2}").contains("duplicate field `port`"));
        assert_eq!(
            refusal("{\"max_peers\": 0}"),
            "`max_peers` is 0, but it must be from 1 to 10000"
        );
    }

    #[test]
    fn distances_are_those_of_levenshtein() {
        for (a, b, d) in [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("port", "prot", 2)]
        {
            assert_eq!(distance(a, b), d);
            assert_eq!(distance(b, a), d);
        }
    }
}
