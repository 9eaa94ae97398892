//! An address as the operator writes it: where, and perhaps who.

use std::net::{IpAddr, SocketAddr};

use crate::scope::with_zone;
use crate::{handshake::Expect, wire::has_zone};

/// `host:port`, or `id@host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Who must answer.
    pub(super) expect: Expect,
    /// Without who.
    pub(super) host_and_port: String,
    pub(super) place: DialPlace,
}

/// What stands in front of the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DialPlace {
    Address(SocketAddr),
    Name,
    Nowhere,
}

impl Target {
    /// An address that cannot be read.
    pub(super) const fn nobody() -> Self {
        Self { expect: Expect::Anyone, host_and_port: String::new(), place: DialPlace::Nowhere }
    }

    pub(super) fn read(address: &str) -> Result<Self, &'static str> {
        let (expect, host_and_port) = match address.split_once('@') {
            None => (Expect::Anyone, address),
            Some((id, host_and_port)) => {
                let no_id = "before `@` stands no id of 64 hexadecimal characters";
                (Expect::Node(id.parse().map_err(|_| no_id)?), host_and_port)
            }
        };
        let place = parse(host_and_port)?;
        Ok(Self { expect, host_and_port: host_and_port.to_owned(), place })
    }
}

fn parse(address: &str) -> Result<DialPlace, &'static str> {
    if let Ok(addr) = address.parse::<SocketAddr>() {
        return match addr {
            _ if addr.port() == 0 => Err("port 0 is no port"),
            _ if addr.ip().is_unspecified() => {
                Err("this IP address means any, dial a specific one")
            }
            _ if addr.ip().is_multicast() => Err("this IP address is of a group, not of a node"),
            _ => Ok(DialPlace::Address(with_zone(addr))),
        };
    }
    if address.parse::<IpAddr>().is_ok() {
        return Err("the port is missing: write host:port, an IPv6 address as [address]:port");
    }
    let (host, port) = address.rsplit_once(':').ok_or("the port is missing: write host:port")?;
    match port.parse::<u16>() {
        Ok(0) => return Err("port 0 is no port"),
        Ok(_) => {}
        Err(_) => return Err("the port is not a number from 1 to 65535"),
    }
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
    let readable = !host.is_empty() && host.len() <= MAX_NAME && host.chars().all(is_name);
    if readable || has_zone(host) {
        Ok(DialPlace::Name)
    } else {
        Err("the host is neither a name nor an IP address")
    }
}

/// Bytes in a host name (RFC 1035, 2.3.4).
const MAX_NAME: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::NodeId;

    #[test]
    fn an_address_may_say_who_must_answer() {
        let id = NodeId::from_bytes([7; 32]);
        let target = Target::read(&format!("{id}@node.example.org:8888")).unwrap();
        assert_eq!((target.expect, target.place), (Expect::Node(id), DialPlace::Name));
        assert_eq!(target.host_and_port, "node.example.org:8888");
        for wrong in [format!("{id}@"), format!("{id}@host"), "somebody@host:1".to_owned()] {
            assert!(Target::read(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_zone_that_is_a_name_is_looked_up() {
        assert!(matches!(parse("[fe80::1%eth0]:8888"), Ok(DialPlace::Name)));
        assert!(parse("[fe80::1%]:8888").is_err());
    }

    #[test]
    fn an_address_reads_as_host_and_port_or_says_why_not() {
        for good in ["1.2.3.4:8888", "[::1]:8888", "seed.example.org:1", "localhost:8888"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        let bad = [
            "",
            "8888",
            "1.2.3.4",
            "::1",
            "host",
            "host:",
            "host:x",
            "host:0",
            "1.2.3.4:0",
            "host:70000",
            ":8888",
            "a b:1",
            "http://host:80",
            "0.0.0.0:8888",
            "224.0.0.1:1",
        ];
        for bad in bad {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
