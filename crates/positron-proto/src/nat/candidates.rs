//! Where a node may be reached, offered and looked at.

use std::net::{IpAddr, SocketAddr};

use crate::{
    limits::MAX_CANDIDATES,
    scope::{Scope, canonical, is_plausible},
};

/// What a node knows of its own places, when it offers them and looks at another's.
#[derive(Clone, Debug, Default)]
pub struct OwnPlaces {
    /// Where others see its listening socket, the surest first.
    pub public: Vec<SocketAddr>,
    /// The addresses of its interfaces.
    pub interfaces: Vec<IpAddr>,
    /// At which port it listens.
    pub port: u16,
    /// Whether peers see its listening socket at different ports of one address.
    pub port_varies: bool,
}

impl OwnPlaces {
    /// What is offered to a peer: public addresses, and those of interfaces behind them, which only
    /// a peer in the same network tries.
    pub(crate) fn candidates(&self) -> Vec<SocketAddr> {
        let near = self.interfaces.iter().map(|ip| SocketAddr::new(*ip, self.port));
        let is_near = |addr: &SocketAddr| Scope::of(addr.ip()) == Some(Scope::Private);
        let mut offered: Vec<SocketAddr> = Vec::new();
        for addr in self.public.iter().copied().map(canonical).chain(near.filter(is_near)) {
            if !offered.contains(&addr) && addr.port() != 0 {
                offered.push(addr);
            }
        }
        offered.truncate(MAX_CANDIDATES);
        offered
    }

    /// Of what a peer offers, what is tried. Nobody makes us send into our own network: a private
    /// address is tried only in a subnet of ours, and only if the peer says that we are seen at one
    /// public address, and so does the relay.
    pub(super) fn usable(&self, offered: &[SocketAddr], is_one_site: bool) -> Vec<SocketAddr> {
        let is_ours = |addr: &SocketAddr| self.public.iter().any(|own| own.ip() == addr.ip());
        let is_same_home = is_one_site && offered.iter().any(is_ours);
        let is_near = |addr: &SocketAddr| {
            is_plausible(*addr, Scope::Private)
                && self.interfaces.iter().any(|own| is_same_subnet(*own, addr.ip()))
        };
        let is_usable = |addr: &SocketAddr| {
            !self.is_self(*addr)
                && (is_plausible(*addr, Scope::Public) || is_same_home && is_near(addr))
        };
        let mut usable: Vec<SocketAddr> = Vec::new();
        for addr in offered.iter().take(MAX_CANDIDATES).copied().filter(is_usable) {
            if !usable.contains(&addr) {
                usable.push(addr);
            }
        }
        usable
    }

    /// Whether an address is on the internet, and in another network than ours.
    pub(super) fn is_elsewhere(&self, addr: SocketAddr) -> bool {
        is_plausible(addr, Scope::Public) && self.public.iter().all(|own| own.ip() != addr.ip())
    }

    /// Whether this very node is there, or another program of its machine.
    fn is_self(&self, addr: SocketAddr) -> bool {
        self.interfaces.contains(&addr.ip())
            || self.public.iter().any(|own| canonical(*own) == addr)
    }
}

/// Whether two addresses are in one network of a home: a /24, or a /64 of IPv6.
fn is_same_subnet(one: IpAddr, other: IpAddr) -> bool {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => one.octets()[..3] == other.octets()[..3],
        (IpAddr::V6(one), IpAddr::V6(other)) => one.octets()[..8] == other.octets()[..8],
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addrs(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn home() -> OwnPlaces {
        OwnPlaces {
            public: addrs(&["20.1.1.1:4000"]),
            interfaces: vec!["192.168.1.5".parse().unwrap(), "127.0.0.1".parse().unwrap()],
            port: 8888,
            port_varies: false,
        }
    }

    #[test]
    fn a_node_offers_where_it_is_seen_and_where_its_own_network_finds_it() {
        assert_eq!(home().candidates(), addrs(&["20.1.1.1:4000", "192.168.1.5:8888"]));
    }

    #[test]
    fn nobody_makes_a_node_send_into_its_own_network_or_another_one() {
        let usable = |offered: &[&str]| home().usable(&addrs(offered), true);
        assert_eq!(usable(&["20.2.2.2:9", "192.168.1.7:9"]), addrs(&["20.2.2.2:9"]), "elsewhere");
        let same = usable(&["20.1.1.1:9", "192.168.1.7:9", "192.168.2.7:9", "192.168.1.5:9"]);
        assert_eq!(same, addrs(&["20.1.1.1:9", "192.168.1.7:9"]), "behind one address");
        let others = ["127.0.0.1:9", "[::1]:9", "169.254.169.254:80", "224.0.0.1:9", "20.2.2.2:0"];
        assert_eq!(usable(&others), []);
        let on_its_word = home().usable(&addrs(&["20.1.1.1:9", "192.168.1.7:9"]), false);
        assert_eq!(on_its_word, addrs(&["20.1.1.1:9"]), "a relay that sees two addresses");
    }
}
