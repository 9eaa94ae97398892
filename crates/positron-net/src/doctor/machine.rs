//! What this machine gives: ports, families, descriptors.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
};

use positron_networking::{NetworkConfig, TransportPolicy};
use serde_json::Value;

use super::{finding::Finding, node::NodeState};
use crate::table::count;

/// Descriptors below which a node of many peers runs out of them: as many as systems begin with.
const ENOUGH_DESCRIPTORS: u64 = 1024;
/// Addresses that nobody has (RFC 5737, RFC 3849): a socket that is set to send there tells which
/// address of this machine it would send from, and nothing is sent.
const NOBODY: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), 9),
];

/// Whether the UDP port can be had; the socket, if it is ours now.
pub(super) fn udp(config: &NetworkConfig, node: &NodeState) -> (Finding, Option<UdpSocket>) {
    if config.transport == TransportPolicy::Tcp {
        let says = "not used: the configuration says TCP only";
        return (Finding::note("UDP port", says), None);
    }
    if let Some(status) = node.status() {
        return (running("UDP port", status), None);
    }
    match bound(config, UdpSocket::bind) {
        Ok((socket, at)) => (Finding::right("UDP port", format!("{at} is free")), Some(socket)),
        Err(finding) => (finding.of("UDP port", config, node), None),
    }
}

/// Whether the TCP port can be had.
pub(super) fn tcp(config: &NetworkConfig, node: &NodeState) -> Finding {
    if config.transport == TransportPolicy::Udp {
        return Finding::note("TCP port", "not used: the configuration says UDP only");
    }
    if let Some(status) = node.status() {
        return running("TCP port", status);
    }
    match bound(config, TcpListener::bind) {
        Ok((_, at)) => Finding::right("TCP port", format!("{at} is free")),
        Err(finding) => finding.of("TCP port", config, node),
    }
}

/// The node has it.
fn running(about: &'static str, status: &Value) -> Finding {
    let listen = status["listen"].as_array().into_iter().flatten();
    let at: Vec<&str> = listen.filter_map(Value::as_str).collect();
    Finding::right(about, format!("the node listens at {}", at.join(", ")))
}

/// Why an address cannot be listened on.
struct NotBound(io::Error);

impl NotBound {
    fn of(&self, about: &'static str, config: &NetworkConfig, node: &NodeState) -> Finding {
        let (host, port, error) = (&config.host, config.port, &self.0);
        if matches!(node, NodeState::Silent) && error.kind() == ErrorKind::AddrInUse {
            let says = format!("{port} is taken, probably by the node that does not answer");
            return Finding::unknown(about, says);
        }
        let finding = Finding::wrong(about, format!("{host} port {port} cannot be had: {error}"));
        finding.advise(match error.kind() {
            ErrorKind::AddrInUse => {
                "end who has it, or choose another: `port` in the configuration, or `start --port`"
            }
            ErrorKind::PermissionDenied => {
                "choose a port above 1023: `port` in the configuration, or `start --port`"
            }
            _ => "name an address of this machine: `host` in the configuration, or `start --host`",
        })
    }
}

/// Takes the port as a node does: `::` is IPv4 where there is no IPv6.
fn bound<T>(
    config: &NetworkConfig,
    bind: fn(SocketAddr) -> io::Result<T>,
) -> Result<(T, SocketAddr), NotBound> {
    let ip: IpAddr = config.host.parse().unwrap_or(Ipv6Addr::UNSPECIFIED.into());
    let at = SocketAddr::new(ip, config.port);
    match bind(at) {
        Err(error) if ip == Ipv6Addr::UNSPECIFIED && error.kind() != ErrorKind::AddrInUse => {
            let at = SocketAddr::from(([0; 4], config.port));
            bind(at).map(|socket| (socket, at)).map_err(NotBound)
        }
        taken => taken.map(|socket| (socket, at)).map_err(NotBound),
    }
}

/// Whether there is a way to the internet, in each family.
pub(super) fn families(config: &NetworkConfig, status: Option<&Value>) -> Vec<Finding> {
    let links = [false, true].map(|is_ipv6| {
        let peers = status.and_then(|status| status["peers"].as_array()).into_iter().flatten();
        let at = peers.filter_map(|peer| peer["address"].as_str()?.parse::<SocketAddr>().ok());
        at.filter(|at| at.ip().to_canonical().is_ipv6() == is_ipv6).count()
    });
    let listen = status.and_then(|status| status["listen"].as_array()).into_iter().flatten();
    let mut listen: Vec<IpAddr> =
        listen.filter_map(|at| at.as_str()?.parse::<SocketAddr>().ok()).map(|at| at.ip()).collect();
    if listen.is_empty() {
        listen.extend(config.host.parse::<IpAddr>());
    }
    let is_ipv4_only = !listen.is_empty() && listen.iter().all(|ip| *ip == Ipv4Addr::UNSPECIFIED);
    ways(NOBODY.map(|nobody| source_towards(nobody).ok()), links, is_ipv4_only)
}

/// `from`: where packets to the internet leave, `links`: those of the node, both over IPv4 and over
/// IPv6.
fn ways(from: [Option<IpAddr>; 2], links: [usize; 2], is_ipv4_only: bool) -> Vec<Finding> {
    let is_usable = |at: usize| from[at].is_some() || links[at] > 0;
    let none = "there is no way to the internet by it";
    let of_one = |(at, about): (usize, &'static str)| match (from[at], links[at]) {
        (Some(from), _) => Finding::right(about, format!("packets leave from {from}")),
        (None, 1..) => {
            let links = count(links[at], "link");
            let says = format!("{links} over it, but no default route: none to the internet");
            Finding::right(about, says)
        }
        (None, 0) if at == 0 && is_ipv4_only && is_usable(1) => {
            let says = format!("{none}, and the node listens on nothing else (0.0.0.0)");
            let advice = "listen on both families: `host` in the configuration, or `start --host`, \
                          is `::` then";
            Finding::wrong(about, says).advise(advice)
        }
        (None, 0) if is_usable(1 - at) => Finding::note(about, none),
        (None, 0) => Finding::wrong(about, none)
            .advise("connect this machine to a network; see its default route"),
    };
    ["IPv4", "IPv6"].into_iter().enumerate().map(of_one).collect()
}

/// Which address of this machine packets to an address leave from. None does.
pub(super) fn source_towards(to: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(to)?;
    Ok(socket.local_addr()?.ip())
}

/// Nothing tells the time yet.
pub(super) fn clock() -> Finding {
    let says = "not compared: peers do not tell what time it is, and no decision needs it";
    Finding::unknown("clock", says)
}

/// Whether there are enough file descriptors; `None` is no limit.
pub(super) fn descriptors(most: Option<u64>) -> Finding {
    match most {
        None => Finding::right("file descriptors", "as many as there are"),
        Some(most) if most < ENOUGH_DESCRIPTORS => {
            let says = format!("only {most} at once: links may fail");
            let advice = format!("raise it: `ulimit -n {ENOUGH_DESCRIPTORS}`, LimitNOFILE=");
            Finding::note("file descriptors", says).advise(advice)
        }
        Some(most) => Finding::right("file descriptors", format!("{most} at once")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Verdict;

    #[test]
    fn few_descriptors_are_noted_and_no_limit_is_none() {
        assert_eq!(descriptors(None).verdict, Verdict::Right);
        assert_eq!(descriptors(Some(1024)).verdict, Verdict::Right);
        let few = descriptors(Some(256));
        assert!(few.verdict == Verdict::Note && few.advice.is_some());
    }

    #[test]
    fn a_port_that_somebody_has_is_wrong_and_one_that_nobody_has_is_right() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let config = NetworkConfig { host: "127.0.0.1".into(), port, ..NetworkConfig::default() };
        let (finding, socket) = udp(&config, &NodeState::Absent);
        assert_eq!((finding.verdict, socket.is_some()), (Verdict::Wrong, false));
        assert!(finding.advice.unwrap().contains("`port` in the configuration"));
        let (of_silent, _) = udp(&config, &NodeState::Silent);
        assert_eq!(of_silent.verdict, Verdict::Unknown, "the node itself may have it");
        drop(taken);
        let (finding, socket) = udp(&config, &NodeState::Absent);
        assert_eq!((finding.verdict, socket.is_some()), (Verdict::Right, true));
        let only = NetworkConfig { transport: TransportPolicy::Tcp, ..config };
        assert_eq!(udp(&only, &NodeState::Absent).0.verdict, Verdict::Note);
    }
    #[test]
    fn a_family_with_links_is_right_without_a_way_to_the_internet() {
        let verdicts = |from: [Option<&str>; 2], links, is_ipv4_only| {
            let from = from.map(|from| from.map(|ip| ip.parse().unwrap()));
            let found = ways(from, links, is_ipv4_only);
            <[Verdict; 2]>::try_from(found.iter().map(|it| it.verdict).collect::<Vec<_>>()).unwrap()
        };
        let (v4, v6) = (Some("192.168.1.7"), Some("2001:db8::7"));
        assert_eq!(verdicts([None, None], [0, 0], false), [Verdict::Wrong, Verdict::Wrong]);
        assert_eq!(verdicts([None, None], [2, 0], false), [Verdict::Right, Verdict::Note]);
        assert_eq!(verdicts([v4, None], [0, 0], true), [Verdict::Right, Verdict::Note]);
        assert_eq!(verdicts([None, v6], [0, 0], false), [Verdict::Note, Verdict::Right]);
        // Who listens on IPv4 only has nothing from IPv6.
        assert_eq!(verdicts([None, v6], [0, 0], true), [Verdict::Wrong, Verdict::Right]);
    }

    #[test]
    fn links_are_counted_by_the_addresses_of_peers() {
        let status = serde_json::json!({
            "listen": ["0.0.0.0:8888"],
            "peers": [
                { "address": "192.168.1.8:8888" }, { "address": "[::ffff:192.168.1.9]:8888" },
                { "address": null },
            ],
        });
        let found = families(&NetworkConfig::default(), Some(&status));
        assert_eq!(found[0].verdict, Verdict::Right, "{}", found[0].says);
    }
}
