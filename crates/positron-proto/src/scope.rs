//! How far away an IP address is, and in whose network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};

/// How far an address reaches; nearer is smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// This machine.
    Loopback,
    /// Networks that are not routed on the internet: RFC 1918, RFC 6598, RFC 4193.
    Private,
    /// Everything else.
    Public,
}

/// Addresses that one operator probably holds together: an attacker has many addresses in few
/// groups (Heilman et al. 2015, "Eclipse Attacks on Bitcoin's Peer-to-Peer Network").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    /// Loopback and private networks: one owner anyway, so the rules for groups do not apply.
    Near,
    /// An IPv4 /16.
    V4([u8; 2]),
    /// An IPv6 /32.
    V6([u8; 4]),
}

/// How this node, and no other, calls a node that it reaches through a relay: an address of a block
/// that is of no network (RFC 4291, 2.4). All that are behind one relay are in one [`Group`], and
/// count as one address wherever something is bounded by address.
pub(crate) fn relayed(relay: u16, node: u32) -> SocketAddr {
    let ip = u128::from(RELAYED) << 112 | u128::from(relay) << 96 | u128::from(node);
    SocketAddr::new(Ipv6Addr::from_bits(ip).into(), 1)
}

/// The `node` of such an address.
pub(crate) fn relayed_node(ip: Ipv6Addr) -> u32 {
    let [.., a, b, c, d] = ip.octets();
    u32::from_be_bytes([a, b, c, d])
}

/// Whether an address is one of [`relayed`].
pub(crate) fn is_relayed(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(v6) if v6.segments()[0] == RELAYED)
}

/// The beginning of what [`relayed`] gives: within 100::/8.
const RELAYED: u16 = 0x0172;

/// How this node, and no other, calls an IPv4 address that it speaks to from one of its extra
/// sockets: an address of a block that is of no network either. A path of a connection is an
/// address then, whatever socket it leaves from.
pub(crate) fn over_socket(socket: u16, to: SocketAddrV4) -> SocketAddr {
    let (socket, address) = (u128::from(socket), u128::from(to.ip().to_bits()));
    let ip = u128::from(OVER_SOCKET) << 112 | socket << 96 | address;
    SocketAddr::new(Ipv6Addr::from_bits(ip).into(), to.port())
}

/// Of such an address, the socket and whom it speaks to there.
pub(crate) fn socket_of(addr: SocketAddr) -> Option<(u16, SocketAddrV4)> {
    let SocketAddr::V6(v6) = addr else { return None };
    let [block, socket, .., high, low] = v6.ip().segments();
    let to = Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    (block == OVER_SOCKET).then_some((socket, SocketAddrV4::new(to, v6.port())))
}

/// The beginning of what [`over_socket`] gives: within 100::/8.
const OVER_SOCKET: u16 = 0x0173;

/// Whether an address is a name that only this node uses: nobody is there.
pub(crate) fn is_own_name(ip: IpAddr) -> bool {
    is_relayed(ip) || socket_of(SocketAddr::new(ip, 0)).is_some()
}

impl Scope {
    /// How far `ip` reaches; `None` for what cannot be a node's address.
    pub(crate) fn of(ip: IpAddr) -> Option<Self> {
        match ip.to_canonical() {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => Self::of_v6(v6),
        }
    }

    /// How far the other end of a link is: an address that cannot be a node's is far away.
    pub(crate) fn of_peer(addr: SocketAddr) -> Self {
        Self::of(addr.ip()).unwrap_or(Self::Public)
    }

    fn of_v4(ip: Ipv4Addr) -> Option<Self> {
        let [a, b, ..] = ip.octets();
        match (a, b) {
            // This network; link-local, where cloud providers keep their secrets; multicast,
            // reserved, broadcast.
            (0 | 224.., _) | (169, 254) => None,
            (127, _) => Some(Self::Loopback),
            (100, 64..=127) => Some(Self::Private),
            _ if ip.is_private() => Some(Self::Private),
            _ => Some(Self::Public),
        }
    }

    fn of_v6(ip: Ipv6Addr) -> Option<Self> {
        if ip.is_loopback() {
            return Some(Self::Loopback);
        }
        // Unspecified and the deprecated IPv4-compatible addresses share ::/96. A link-local
        // address means nothing without its interface, which a record does not carry.
        let compatible = ip.segments()[..6] == [0; 6];
        let nowhere = is_own_name(ip.into());
        if compatible || nowhere || ip.is_multicast() || ip.is_unicast_link_local() {
            return None;
        }
        Some(if ip.is_unique_local() { Self::Private } else { Self::Public })
    }
}

impl Group {
    /// In whose network `ip` is.
    pub(crate) fn of(ip: IpAddr) -> Self {
        if Scope::of(ip) != Some(Scope::Public) && !is_relayed(ip) {
            return Self::Near;
        }
        match ip.to_canonical() {
            IpAddr::V4(v4) => {
                let [a, b, ..] = v4.octets();
                Self::V4([a, b])
            }
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.octets();
                Self::V6([a, b, c, d])
            }
        }
    }
}

/// Whether an address is worth a dial if we were told of it over a link of scope `told_over`: a
/// remote node must not make us dial services of our own machine or network.
pub(crate) fn is_plausible(addr: SocketAddr, told_over: Scope) -> bool {
    let mapped = addr.ip() != addr.ip().to_canonical();
    addr.port() != 0 && !mapped && Scope::of(addr.ip()).is_some_and(|scope| scope >= told_over)
}

/// The same address as it is dialled: IPv4 written as IPv4, IPv6 with its zone, without which a
/// link-local address is none.
pub(crate) fn with_zone(addr: SocketAddr) -> SocketAddr {
    if addr.ip().to_canonical().is_ipv4() { canonical(addr) } else { addr }
}

/// The same address as others know it: IPv4 written as IPv4, and no zone, which is a word of one
/// machine only.
pub(crate) fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_node_cannot_name_our_own_machine_or_network() {
        let cases = [
            // address, over loopback, over a private network, over the internet
            ("127.0.0.1:80", true, false, false),
            ("[::1]:80", true, false, false),
            ("10.1.2.3:80", true, true, false),
            ("192.168.0.1:80", true, true, false),
            ("100.64.0.1:80", true, true, false),
            ("[fd00::1]:80", true, true, false),
            ("8.8.8.8:80", true, true, true),
            ("[2a00::1]:80", true, true, true),
            ("8.8.8.8:0", false, false, false),
            ("0.0.0.0:80", false, false, false),
            ("0.1.2.3:80", false, false, false),
            ("169.254.169.254:80", false, false, false),
            ("224.0.0.1:80", false, false, false),
            ("255.255.255.255:80", false, false, false),
            ("[::]:80", false, false, false),
            ("[::127.0.0.1]:80", false, false, false),
            ("[::ffff:127.0.0.1]:80", false, false, false),
            ("[::ffff:8.8.8.8]:80", false, false, false),
            ("[ff02::1]:80", false, false, false),
            ("[fe80::1]:80", false, false, false),
        ];
        for (text, loopback, private, public) in cases {
            let addr = text.parse().unwrap();
            assert_eq!(is_plausible(addr, Scope::Loopback), loopback, "{text} over loopback");
            assert_eq!(is_plausible(addr, Scope::Private), private, "{text} over private");
            assert_eq!(is_plausible(addr, Scope::Public), public, "{text} over the internet");
        }
    }

    #[test]
    fn groups_are_slash_16_and_slash_32_and_do_not_apply_nearby() {
        let group = |text: &str| Group::of(text.parse().unwrap());
        assert_eq!(group("8.8.1.1"), group("8.8.200.200"));
        assert_eq!(group("::ffff:8.8.1.1"), group("8.8.1.1"));
        assert_ne!(group("8.8.1.1"), group("8.9.1.1"));
        assert_eq!(group("2a00:1:2::1"), group("2a00:1:ffff::1"));
        assert_ne!(group("2a00:1::1"), group("2a00:2::1"));
        assert_eq!(group("127.0.0.1"), Group::Near);
        assert_eq!(group("10.0.0.1"), Group::Near);
    }
}
