//! What this node calls nodes behind relays.

use std::{collections::BTreeMap, net::SocketAddr};

use crate::{
    id::NodeId,
    limits::MAX_RELAYED_ADDRESSES,
    scope::{is_relayed, relayed, relayed_node},
};

/// A node, and the peer through which it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// Who forwards.
    pub relay: NodeId,
    /// Who is behind it.
    pub peer: NodeId,
}

/// The relayed addresses of this process: one for each [`Route`], the same as long as it is
/// remembered. At most [`MAX_RELAYED_ADDRESSES`]; the one that was given first is forgotten first.
#[derive(Debug, Default)]
pub struct RelayedAddresses {
    by_route: BTreeMap<Route, SocketAddr>,
    by_address: BTreeMap<SocketAddr, Route>,
    /// One number for each relay, so that all behind it are alike where addresses are counted.
    relays: BTreeMap<NodeId, u16>,
    given: u32,
}

impl RelayedAddresses {
    /// What a node behind a relay is called.
    pub fn of(&mut self, route: Route) -> SocketAddr {
        if let Some(address) = self.by_route.get(&route) {
            return *address;
        }
        let is_free = |number: &u16| !self.relays.values().any(|taken| taken == number);
        let free = (0..=u16::MAX).find(is_free).unwrap_or_default();
        let relay = *self.relays.entry(route.relay).or_insert(free);
        let address = relayed(relay, self.given);
        self.given = self.given.wrapping_add(1);
        self.by_route.insert(route, address);
        self.by_address.insert(address, route);
        while self.by_route.len() > MAX_RELAYED_ADDRESSES {
            self.forget_oldest();
        }
        address
    }

    /// Who is meant, if this is a relayed address that is remembered.
    pub fn route(&self, address: SocketAddr) -> Option<Route> {
        if !is_relayed(address.ip()) {
            return None;
        }
        self.by_address.get(&address).copied()
    }

    /// Through whom a node was reached before.
    pub fn relays_of(&self, peer: NodeId) -> impl Iterator<Item = NodeId> {
        self.by_route.keys().filter(move |route| route.peer == peer).map(|route| route.relay)
    }

    fn forget_oldest(&mut self) {
        let age = |address: &SocketAddr| match address {
            SocketAddr::V6(v6) => self.given.wrapping_sub(relayed_node(*v6.ip())),
            SocketAddr::V4(_) => u32::MAX,
        };
        let Some(oldest) = self.by_address.keys().max_by_key(|address| age(address)).copied()
        else {
            return;
        };
        let Some(Route { relay, .. }) = self.by_address.get(&oldest).copied() else { return };
        if let Some(route) = self.by_address.remove(&oldest) {
            self.by_route.remove(&route);
        }
        if !self.by_route.keys().any(|route| route.relay == relay) {
            self.relays.remove(&relay);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::{Group, Scope, is_plausible};

    fn route(relay: u8, peer: u32) -> Route {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&peer.to_be_bytes());
        Route { relay: NodeId::from_bytes([relay; 32]), peer: NodeId::from_bytes(id) }
    }

    #[test]
    fn a_route_has_one_address_that_means_nothing_to_others() {
        let mut addresses = RelayedAddresses::default();
        let [a, b, c] = [route(1, 1), route(1, 2), route(2, 1)].map(|route| addresses.of(route));
        assert_eq!(addresses.of(route(1, 1)), a);
        assert_eq!(addresses.route(b), Some(route(1, 2)));
        assert_eq!(Group::of(a.ip()), Group::of(b.ip()), "behind one relay");
        assert_ne!(Group::of(a.ip()), Group::of(c.ip()), "behind two");
        assert_eq!(Scope::of(a.ip()), None, "nobody can name it");
        assert!(!is_plausible(a, Scope::Loopback));
        assert_eq!(addresses.route("[172::9]:1".parse().unwrap()), None);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut addresses = RelayedAddresses::default();
        let most = u32::try_from(MAX_RELAYED_ADDRESSES).unwrap();
        let first = addresses.of(route(1, 0));
        for peer in 1..=most {
            addresses.of(route(2, peer));
        }
        assert_eq!(addresses.route(first), None);
        assert_eq!(addresses.by_route.len(), MAX_RELAYED_ADDRESSES);
        assert_eq!(addresses.relays.len(), 1);
    }
}
