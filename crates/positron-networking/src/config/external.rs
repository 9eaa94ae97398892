//! Where others reach a node, as its operator says it.

use std::net::{IpAddr, SocketAddr};

use crate::is_address;

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
    is_address(&text).is_ok().then_some(text)
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
