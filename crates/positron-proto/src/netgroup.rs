//! Addresses that count as one where something is bounded per address.

use std::net::{IpAddr, SocketAddr};

/// What an address counts as: itself in IPv4, its /64 in IPv6, which is what one customer gets;
/// `None` for loopback, which is not counted.
pub(crate) fn counted(addr: SocketAddr) -> Option<IpAddr> {
    let ip = addr.ip().to_canonical();
    if ip.is_loopback() {
        return None;
    }
    Some(match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => IpAddr::from((u128::from(v6) >> 64 << 64).to_be_bytes()),
    })
}
