//! Where others reach a node, as its operator says it.

use std::net::{IpAddr, SocketAddr};

use positron_proto::wire::has_zone;

/// `host` or `host:port` as something to dial, where `port` is that of the node; `None` if it
/// cannot be dialled.
pub(super) fn to_dial(text: &str, port: u16) -> Option<String> {
    let at = |ip: IpAddr, port| is_of_a_node(ip, port).then(|| SocketAddr::new(ip, port));
    if let Ok(address) = text.parse::<SocketAddr>() {
        return at(address.ip(), address.port()).map(|address| address.to_string());
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse() {
        return at(ip, port).map(|address| address.to_string());
    }
    let text = if text.contains(':') { text.to_owned() } else { format!("{text}:{port}") };
    is_host_and_port(&text).then_some(text)
}

/// Whether the text reads as `host:port` with a port that one can dial.
pub(super) fn is_host_and_port(text: &str) -> bool {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return address.port() != 0;
    }
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let plausible = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let named = !host.is_empty() && host.len() <= 253 && host.chars().all(plausible);
    (named || has_zone(host)) && port.parse::<u16>().is_ok_and(|port| port != 0)
}

/// Not any, not a group, and not one that means something else on each cable.
fn is_of_a_node(ip: IpAddr, port: u16) -> bool {
    let scoped = matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    port != 0 && !ip.is_unspecified() && !ip.is_multicast() && !scoped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bootstrap_address_is_a_host_and_a_port() {
        for good in [
            "192.0.2.1:1",
            "[::1]:8888",
            "[fe80::1%eth0]:1",
            "node-1.example.org:8888",
            "localhost:65535",
        ] {
            assert!(is_host_and_port(good), "{good}");
        }
        for bad in [
            "",
            ":1",
            "192.0.2.1",
            "::1:0",
            "host:0",
            "host:65536",
            "ho st:1",
            "host:",
            "[fe80::1%]:1",
        ] {
            assert!(!is_host_and_port(bad), "{bad}");
        }
    }

    #[test]
    fn an_external_address_has_the_port_of_the_node_unless_it_has_its_own() {
        for (text, dialled) in [
            ("198.51.100.7", "198.51.100.7:8888"),
            ("198.51.100.7:443", "198.51.100.7:443"),
            ("2001:db8::7", "[2001:db8::7]:8888"),
            ("[2001:db8::7]", "[2001:db8::7]:8888"),
            ("[2001:db8::7]:443", "[2001:db8::7]:443"),
            ("node.example.org", "node.example.org:8888"),
            ("node.example.org:443", "node.example.org:443"),
        ] {
            assert_eq!(to_dial(text, 8888).as_deref(), Some(dialled));
        }
        let none = ["", "::", "0.0.0.0", "0.0.0.0:1", "198.51.100.7:0", "fe80::1", "224.0.0.1"];
        for text in none.into_iter().chain(["no de", "node:", "node:x", "http://node", "a,b"]) {
            assert_eq!(to_dial(text, 8888), None, "{text}");
        }
        assert_eq!(to_dial("198.51.100.7", 0), None, "the port is still to be chosen");
        assert_eq!(to_dial("node.example.org", 0), None);
    }
}
