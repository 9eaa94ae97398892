//! Whom a node can ask.

use std::net::SocketAddr;

use super::Place;
use crate::{
    id::NodeId,
    identity::PublicKey,
    scope::Scope,
    wire::{Address, Malformed, Reader, Writer as _},
};

/// A node that answers queries, as far as somebody says: what is needed to ask it in one round
/// trip, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contact {
    key: PublicKey,
    noise_static: [u8; 32],
    addr: SocketAddr,
    id: NodeId,
    place: Place,
}

impl Contact {
    /// The node of this key, with this static X25519 key, at this address.
    pub fn new(key: PublicKey, noise_static: [u8; 32], addr: SocketAddr) -> Self {
        let (id, addr) = (key.node_id(), SocketAddr::new(addr.ip().to_canonical(), addr.port()));
        Self { key, noise_static, addr, id, place: Place::of_node(&id, addr) }
    }

    /// Who it is.
    pub const fn id(&self) -> NodeId {
        self.id
    }

    /// Its key.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The static X25519 key of its links.
    pub const fn noise_static(&self) -> &[u8; 32] {
        &self.noise_static
    }

    /// Where it answers.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where it is among keys: what its address and key make of it, whatever anybody says.
    pub const fn place(&self) -> Place {
        self.place
    }

    /// Whether it is worth a question if a node at `told_by` named it: nobody makes us ask services
    /// of our own machine or network from farther away `[PROTOCOL 7]`.
    pub fn is_plausible(&self, told_by: SocketAddr) -> bool {
        self.addr.port() != 0
            && Scope::of(self.addr.ip()).is_some_and(|scope| scope >= Scope::of_peer(told_by))
    }

    /// Reads a contact. Nothing of it is checked but its form.
    pub fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        let bad_key = reader.malformed("public key of small order");
        let key = PublicKey::parse(reader.array()?).map_err(|_| bad_key)?;
        let noise_static = reader.array()?;
        let unreachable = reader.malformed("contact without an IP address");
        let addr = Address::decode(reader)?.socket_addr().ok_or(unreachable)?;
        Ok(Self::new(key, noise_static, addr))
    }

    /// Appends key, static key and address: [`encoded_len`](Self::encoded_len) bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.append_raw(self.key.as_bytes());
        out.append_raw(&self.noise_static);
        Address::from(self.addr).encode(out);
    }

    /// Bytes that it takes.
    pub const fn encoded_len(&self) -> usize {
        // Two keys; kind, length, IP address, port.
        64 + 2 + if self.addr.is_ipv4() { 6 } else { 18 }
    }
}
