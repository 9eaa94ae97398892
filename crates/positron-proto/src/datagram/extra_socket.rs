//! Sockets beside the one on which a node listens.

use std::net::SocketAddr;

use crate::scope::{is_own_name, over_socket, socket_of};

/// A UDP socket of a port of its own, beside the one on which the node listens: a search for a
/// direct path opens many (`nat`), and the one that is found goes on over its socket.
///
/// What a connection calls the address of its other end tells the socket, too: [`Self::split`]
/// takes the two apart. Only IPv4, since nobody numbers ports anew in IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExtraSocket(pub u16);

impl ExtraSocket {
    /// How the core calls an address that this socket speaks to, or hears; `None` over IPv6.
    pub fn path(self, address: SocketAddr) -> Option<SocketAddr> {
        match address {
            SocketAddr::V4(to) => Some(over_socket(self.0, to)),
            SocketAddr::V6(_) => None,
        }
    }

    /// Whether an address is a name that only a core uses. Whoever seems to send from there forged
    /// it, and is not to be heard.
    pub fn is_name(address: SocketAddr) -> bool {
        is_own_name(address.ip())
    }

    /// Which socket a path goes over, if not over that on which the node listens, and to whom.
    pub fn split(path: SocketAddr) -> (Option<Self>, SocketAddr) {
        match socket_of(path) {
            Some((socket, to)) => (Some(Self(socket)), to.into()),
            None => (None, path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_socket_and_an_address() {
        let there: SocketAddr = "20.1.2.3:4567".parse().unwrap();
        let path = ExtraSocket(7).path(there).unwrap();
        assert_eq!(ExtraSocket::split(path), (Some(ExtraSocket(7)), there));
        assert_ne!(ExtraSocket(8).path(there).unwrap(), path);
        assert_eq!(ExtraSocket::split(there), (None, there));
        assert_eq!(ExtraSocket(7).path("[2a00::1]:9".parse().unwrap()), None);
    }
}
