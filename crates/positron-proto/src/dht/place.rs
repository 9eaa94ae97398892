//! Where nodes and keys are.

use core::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::{
    crypto::sha256,
    id::{NodeId, NotAnId},
    limits::PLACES_PER_NETWORK,
    scope::Scope,
    subnet::Subnet,
};

/// A point of the space in which nodes and keys are: 256 bits. 64 hex characters.
///
/// A key is where a hash of what it is of says. A node is where its *address* says, and its key has
/// a choice of [`PLACES_PER_NETWORK`] there: keys cost nothing, and whoever could choose a place
/// would choose the one beside somebody else's record (compare BEP 42).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place([u8; 32]);

/// How far two places are from one another: their bits, where they differ (Maymounkov and Mazières
/// 2002, "Kademlia"). A number of 256 bits, in four words, the highest first: distances are taken
/// and compared more often than anything else of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Distance([u64; 4]);

impl Place {
    /// Where the node of this id is, if it answers at this address: one of the places of its /24
    /// (IPv6: /48), or that of address and port where the network is private.
    pub fn of_node(node: &NodeId, addr: SocketAddr) -> Self {
        const DOMAIN: &[u8] = b"positron-net/dht/position/1";
        match network(addr) {
            Some(network) => {
                let (ip, bits) = network.parts();
                let slot = node.as_bytes()[31] % PLACES_PER_NETWORK;
                Self(sha256(&[DOMAIN, &octets(ip)[..usize::from(bits / 8)], &[bits, slot]]))
            }
            None => {
                let port = addr.port().to_be_bytes();
                Self(sha256(&[DOMAIN, &octets(addr.ip().to_canonical()), &port, &[0]]))
            }
        }
    }

    /// The place of a hash.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// How far `other` is from here.
    pub fn distance(&self, other: &Self) -> Distance {
        let (here, there) = (words(&self.0), words(&other.0));
        Distance(core::array::from_fn(|i| here[i] ^ there[i]))
    }
}

impl Distance {
    /// That than which this part of the whole space is nearer; the farthest, from 1 on.
    pub fn of_part(mut part: f64) -> Self {
        if part >= 1.0 {
            return Self([u64::MAX; 4]);
        }
        let mut bytes = [0; 32];
        for byte in &mut bytes {
            if part == 0.0 {
                break;
            }
            for _ in 0..8 {
                part *= 2.0;
                let bit = part >= 1.0;
                *byte = *byte << 1 | u8::from(bit);
                part -= f64::from(u8::from(bit));
            }
        }
        Self(words(&bytes))
    }

    /// The bits that the two places begin with alike: 256 for one place.
    pub fn common_bits(&self) -> u32 {
        let mut bits = 0;
        for word in self.0 {
            bits += word.leading_zeros();
            if word != 0 {
                break;
            }
        }
        bits
    }

    /// The part of the whole space that is nearer than this: from 0 to 1.
    pub fn part_of_space(&self) -> f64 {
        const HALF_WORD: f64 = 4_294_967_296.0;
        let halves = self.0.iter().rev().flat_map(|word| [word & u64::from(u32::MAX), word >> 32]);
        let halves = halves.map(|half| u32::try_from(half).map_or(0.0, f64::from));
        halves.fold(0.0, |part, half| (part + half) / HALF_WORD)
    }
}

/// The words of a number of 256 bits, the highest first.
fn words(bytes: &[u8; 32]) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_be_bytes(*bytes);
    }
    words
}

/// The network of a public address, all of whose addresses count as one: its /24, in IPv6 its /48.
/// None of one that is near.
pub(crate) fn network(addr: SocketAddr) -> Option<Subnet> {
    let ip = addr.ip().to_canonical();
    let bits = if ip.is_ipv4() { 24 } else { 48 };
    (Scope::of(ip) == Some(Scope::Public)).then(|| Subnet::around(ip, bits))
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().into(),
        IpAddr::V6(ip) => ip.octets().into(),
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        NodeId::from_bytes(self.0).fmt(f)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({})", NodeId::from_bytes(self.0).short())
    }
}

impl core::str::FromStr for Place {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        text.parse().map(|id: NodeId| Self(*id.as_bytes()))
    }
}

impl serde::Serialize for Place {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn id(n: u64) -> NodeId {
        NodeId::from_bytes(sha256(&[&n.to_be_bytes()]))
    }

    fn place(n: u64, addr: &str) -> Place {
        Place::of_node(&id(n), addr.parse().unwrap())
    }

    #[test]
    fn a_network_has_eight_places_however_many_keys_and_addresses_are_tried_there() {
        for base in ["203.0.113", "2001:db9:7:1::"] {
            let places: BTreeSet<_> = (0..2_000_u64)
                .map(|n| match base.contains(':') {
                    true => place(n, &format!("[{base}{:x}]:{}", n % 250 + 1, n + 1)),
                    false => place(n, &format!("{base}.{}:{}", n % 250 + 1, n + 1)),
                })
                .collect();
            assert_eq!(places.len(), usize::from(PLACES_PER_NETWORK), "{base}");
        }
    }

    #[test]
    fn another_network_is_elsewhere_and_a_mapped_address_is_where_it_is_in_ipv4() {
        let here = place(1, "203.0.113.7:1");
        assert_eq!(place(1, "[::ffff:203.0.113.9]:2"), here);
        assert_ne!(place(1, "203.0.114.7:1"), here);
        assert_ne!(place(1, "[2001:db9::1]:1"), place(1, "[2001:db9:1::1]:1"));
        // No IPv6 network has the places of an IPv4 one that begins with its bytes.
        assert_ne!(place(1, "[cb00:7100::1]:1"), place(1, "203.0.113.0:1"));
    }

    #[test]
    fn nodes_of_one_machine_are_as_many_as_their_ports_whatever_their_keys() {
        let places: BTreeSet<_> =
            (1..100).map(|n| place(n, &format!("127.0.0.1:{}", n % 10 + 1))).collect();
        assert_eq!(places.len(), 10);
        assert_ne!(place(1, "10.0.0.1:1"), place(1, "127.0.0.1:1"));
    }

    #[test]
    fn distances_are_ordered_by_the_first_bit_that_differs() {
        let at = |byte: usize, value: u8| {
            let mut bytes = [0; 32];
            bytes[byte] = value;
            Place(bytes)
        };
        let zero = at(0, 0);
        for (place, bits) in
            [(at(0, 0x80), 0), (at(0, 1), 7), (at(15, 1), 127), (at(16, 0x80), 128)]
        {
            assert_eq!(zero.distance(&place).common_bits(), bits);
        }
        assert_eq!(zero.distance(&zero).common_bits(), 256);
        assert!(zero.distance(&at(0, 1)) > zero.distance(&at(1, 0xFF)));
        assert_eq!(at(3, 9).distance(&at(5, 7)), at(5, 7).distance(&at(3, 9)));
        let half = zero.distance(&at(0, 0x80)).part_of_space();
        assert!((half - 0.5).abs() < 1e-9, "{half}");
        for part in [0.0, 1e-30, 0.003, 0.5, 0.999] {
            let back = Distance::of_part(part).part_of_space();
            assert!((back - part).abs() <= part * 1e-9, "{part}: {back}");
        }
        assert_eq!(Distance::of_part(2.0), Distance([u64::MAX; 4]));
    }
}
