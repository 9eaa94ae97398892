//! Where a peer is, for people and programs.

use std::{fmt, net::SocketAddr};

use crate::id::NodeId;

/// Where a peer is, as this node reaches it: at an address, or behind a relay. Relayed addresses
/// ([`super::RelayedAddresses`]) are never told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerPlace {
    /// Its address; `None` behind a relay.
    pub address: Option<SocketAddr>,
    /// Who forwards; `None` without a relay, or if that is forgotten.
    pub relay: Option<NodeId>,
}

impl fmt::Display for PeerPlace {
    /// The address, or `relayed by` and the beginning of an id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.address, self.relay) {
            (Some(address), _) => address.fmt(f),
            (None, Some(relay)) => write!(f, "relayed by {}", relay.short()),
            (None, None) => f.write_str("relayed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::{RelayConfig, Relays};

    #[test]
    fn a_peer_is_told_by_its_address_or_by_its_relay_and_never_by_what_it_is_called_here() {
        let (relay, peer) = (NodeId::from_bytes([7; 32]), NodeId::from_bytes([8; 32]));
        let mut relays = Relays::new(RelayConfig::default());
        let told = |relays: &Relays, at| relays.place_of(at).to_string();
        let direct = "192.0.2.1:8888".parse().unwrap();
        assert_eq!(told(&relays, direct), "192.0.2.1:8888");
        let behind = relays.address_of(relay, peer);
        assert_eq!(relays.place_of(behind), PeerPlace { address: None, relay: Some(relay) });
        assert_eq!(told(&relays, behind), "relayed by 0707070707070707");
        let forgotten = "[172::1]:1".parse().unwrap();
        assert_eq!(told(&relays, forgotten), "relayed");
    }
}
