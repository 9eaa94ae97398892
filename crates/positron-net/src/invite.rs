//! Invites: what one node needs to know to join another, in one line that can be pasted.

use std::{
    fmt, fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    path::Path,
    str::FromStr,
};

use positron_networking::NodeId;
use positron_proto::wire::has_zone;

const SCHEME: &str = "positron:";
/// Addresses of this machine in an invite: it must stay short enough to be pasted (guess).
const MAX_OWN_ADDRESSES: usize = 8;

/// `positron:<node id>@<address>[,<address>]?network=<name>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invite {
    /// Who must answer.
    pub node: NodeId,
    /// Where, most promising first; never empty.
    pub addresses: Vec<String>,
    /// In which network.
    pub network: String,
}

/// Why a text is no invite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotAnInvite(String);

impl fmt::Display for NotAnInvite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Invite {
    /// The invite of a node that listens on `listen` and is seen by others at `observed`.
    ///
    /// `None` if there is no address to dial: every port is still to be chosen.
    pub(crate) fn new(
        node: NodeId,
        network: &str,
        observed: &[SocketAddr],
        listen: &[SocketAddr],
    ) -> Option<Self> {
        let local = listen.iter().flat_map(|address| {
            let ips = match address.ip().is_unspecified() {
                true => own_ips(address),
                false => vec![address.ip()],
            };
            ips.into_iter().map(|ip| SocketAddr::new(ip, address.port()))
        });
        let mut addresses = Vec::new();
        for address in observed.iter().copied().chain(local) {
            let text = address.to_string();
            if address.port() != 0 && !address.ip().is_unspecified() && !addresses.contains(&text) {
                addresses.push(text);
            }
        }
        let network = network.to_owned();
        (!addresses.is_empty()).then_some(Self { node, addresses, network })
    }
}

/// Where a node that listens everywhere can be dialled: the addresses from which this machine talks
/// to the world, then those of its other interfaces; loopback if there is nothing else. `::`
/// listens on IPv4 too.
fn own_ips(listen: &SocketAddr) -> Vec<IpAddr> {
    let v4 = Ipv4Addr::UNSPECIFIED.into();
    let families = if listen.is_ipv6() { vec![v4, listen.ip()] } else { vec![v4] };
    let is_heard = |ip: &IpAddr| families.iter().any(|family| family.is_ipv6() == ip.is_ipv6());
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let up = || interfaces.iter().filter(|interface| interface.is_oper_up());
    let outward = families.iter().filter_map(|any| outward_ip(*any));
    let others = up().filter(|interface| !is_within_machine(&interface.name));
    let ips = dialable(outward.chain(others.map(if_addrs::Interface::ip).filter(is_heard)));
    if !ips.is_empty() {
        return ips;
    }
    let own = up().map(if_addrs::Interface::ip).filter(|ip| ip.is_loopback() && is_heard(ip));
    let mut own: Vec<IpAddr> = own.collect();
    own.sort_unstable();
    if own.is_empty() { vec![Ipv4Addr::LOCALHOST.into()] } else { own }
}

/// Those of `ips` that mean the same on every machine around, each once.
fn dialable(ips: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    // A link-local IPv6 address needs an interface beside it, and each machine has its own names;
    // one of IPv4 is what a machine gives itself that nobody gave one.
    let is_scoped = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    let mut named = Vec::new();
    for ip in ips.filter(|ip| !ip.is_loopback() && !is_scoped(ip)) {
        if named.len() < MAX_OWN_ADDRESSES && !named.contains(&ip) {
            named.push(ip);
        }
    }
    named
}

/// Whether an interface is a bridge to nothing but containers or virtual machines, such as
/// docker's: its address means nothing on any other machine. Only Linux tells.
fn is_within_machine(interface: &str) -> bool {
    let interfaces = Path::new("/sys/class/net");
    let Ok(ports) = fs::read_dir(interfaces.join(interface).join("brif")) else { return false };
    let is_physical =
        |port: fs::DirEntry| interfaces.join(port.file_name()).join("device").exists();
    !ports.flatten().any(is_physical)
}

/// The address from which this machine talks to others. Nothing is sent to find it out.
fn outward_ip(any: IpAddr) -> Option<IpAddr> {
    let elsewhere = if any.is_ipv4() { "192.0.2.1:9" } else { "[2001:db8::1]:9" };
    // Connecting a UDP socket only asks the routing table.
    UdpSocket::bind(SocketAddr::new(any, 0))
        .and_then(|socket| {
            socket.connect(elsewhere)?;
            socket.local_addr()
        })
        .map(|address| address.ip())
        .ok()
}

impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let network = percent_encoded(&self.network);
        write!(f, "{SCHEME}{}@{}?network={network}", self.node, self.addresses.join(","))
    }
}

impl FromStr for Invite {
    type Err = NotAnInvite;

    fn from_str(text: &str) -> Result<Self, NotAnInvite> {
        let wrong = |why: &str| NotAnInvite(why.to_owned());
        let rest = text.trim().strip_prefix(SCHEME);
        let rest = rest.ok_or_else(|| wrong("an invite begins with `positron:`"))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (node, addresses) =
            rest.split_once('@').ok_or_else(|| wrong("there is no `@` after the node's id"))?;
        let node = node.parse().map_err(|error| NotAnInvite(format!("'{node}': {error}")))?;
        let addresses = addresses
            .split(',')
            .map(|address| is_address(address).map(|()| address.to_owned()).map_err(NotAnInvite))
            .collect::<Result<Vec<_>, _>>()?;
        let mut network = "positron".to_owned();
        // Parameters of later versions are none of our business.
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            if name == "network" {
                network =
                    percent_decoded(value).ok_or_else(|| wrong("the network's name is garbled"))?;
            }
        }
        Ok(Self { node, addresses, network })
    }
}

/// Whether `text` reads as `host:port`, where host may be a name.
pub(crate) fn is_address(text: &str) -> Result<(), String> {
    if text.parse::<SocketAddr>().is_ok_and(|address| address.port() != 0) {
        return Ok(());
    }
    let wrong = |why: &str| Err(format!("'{text}' is no address: {why}"));
    let Some((host, port)) = text.rsplit_once(':') else {
        return wrong("it has no port (host:port)");
    };
    match port.parse::<u16>() {
        Ok(0) | Err(_) => return wrong("the port is a number from 1 to 65535"),
        Ok(_) => {}
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if host.is_empty() || !(host.chars().all(plain) || has_zone(host)) {
        return wrong("the host is a name, an IPv4 address or an IPv6 address in brackets");
    }
    Ok(())
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invite_survives_being_pasted() {
        let invite = Invite {
            node: NodeId::from_bytes([7; 32]),
            addresses: vec!["192.0.2.1:8888".into(), "[2001:db8::1]:8888".into()],
            network: "Grüne Wiese & Co".into(),
        };
        assert_eq!(format!(" {invite}\n").parse(), Ok(invite));
    }

    #[test]
    fn an_invite_names_what_others_see_first_and_never_an_address_that_cannot_be_dialled() {
        let id = NodeId::from_bytes([7; 32]);
        let seen: SocketAddr = "198.51.100.7:8888".parse().unwrap();
        let here: SocketAddr = "127.0.0.1:8888".parse().unwrap();
        let invite = Invite::new(id, "n", &[seen, here], &[here]).unwrap();
        assert_eq!(invite.addresses, ["198.51.100.7:8888", "127.0.0.1:8888"]);
        let everywhere = Invite::new(id, "n", &[], &["0.0.0.0:8888".parse().unwrap()]).unwrap();
        assert!(!everywhere.addresses[0].starts_with("0.0.0.0"));
        assert_eq!(Invite::new(id, "n", &[], &["127.0.0.1:0".parse().unwrap()]), None);
    }

    #[test]
    fn an_invite_names_what_others_can_dial_each_once_and_the_likeliest_first() {
        let ips = ["127.0.0.1", "192.168.5.1", "fe80::1", "fd00::2", "::1", "169.254.1.1"];
        let ips = ips.iter().chain(&["10.77.0.1", "192.168.5.1"]);
        let ips = ips.map(|ip| ip.parse::<IpAddr>().unwrap());
        let texts: Vec<_> = dialable(ips).iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["192.168.5.1", "fd00::2", "10.77.0.1"]);
        let many = (0..100).map(|n| IpAddr::from([10, 0, 0, n]));
        assert_eq!(dialable(many).len(), MAX_OWN_ADDRESSES);
    }

    #[test]
    fn what_is_no_invite_says_why() {
        let id = "07".repeat(32);
        for (text, why) in [
            ("http://example.org", "begins with"),
            ("positron:abc", "no `@`"),
            ("positron:abc@1.2.3.4:5", "64 hexadecimal"),
            (&format!("positron:{id}@1.2.3.4"), "no port"),
            (&format!("positron:{id}@1.2.3.4:0"), "1 to 65535"),
            (&format!("positron:{id}@:5"), "the host is"),
            (&format!("positron:{id}@h:5?network=%zz"), "garbled"),
        ] {
            let error = text.parse::<Invite>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
