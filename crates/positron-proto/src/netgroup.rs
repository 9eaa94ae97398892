//! Addresses that count as one where something is bounded per address.

use std::net::{IpAddr, SocketAddr};

use crate::scope::Group;

/// Whose an address probably is, where one operator is to count once however many identities it
/// has: of the internet he may have a network, of a private one a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// This machine: its nodes are one operator's anyway, so no rule for owners applies.
    Host,
    /// A machine of a private network, by what its address counts as.
    Machine(IpAddr),
    /// A network of the internet.
    Network(Group),
}

impl Owner {
    /// Whose `addr` is.
    pub(crate) fn of(addr: SocketAddr) -> Self {
        match (Group::of(addr.ip()), counted(addr)) {
            (_, None) => Self::Host,
            (Group::Near, Some(ip)) => Self::Machine(ip),
            (group, _) => Self::Network(group),
        }
    }
}

/// What an address counts as: itself in IPv4 and in a private network, its /64 on the internet of
/// IPv6, which is what one customer gets, where in a private network it is everybody's; `None` for
/// loopback, which is not counted.
pub(crate) fn counted(addr: SocketAddr) -> Option<IpAddr> {
    let ip = addr.ip().to_canonical();
    if ip.is_loopback() {
        return None;
    }
    Some(match ip {
        IpAddr::V6(v6) if Group::of(ip) != Group::Near => {
            IpAddr::from((u128::from(v6) >> 64 << 64).to_be_bytes())
        }
        IpAddr::V4(_) | IpAddr::V6(_) => ip,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_has_a_network_of_the_internet_or_one_private_machine_or_this_one() {
        let owner = |text: &str| Owner::of(text.parse().unwrap());
        assert_eq!(owner("8.8.1.1:1"), owner("8.8.200.200:2"));
        assert_eq!(owner("[::ffff:8.8.1.1]:1"), owner("8.8.1.1:1"));
        assert_ne!(owner("8.8.1.1:1"), owner("8.9.1.1:1"));
        assert_eq!(owner("[2a00:1:2::1]:1"), owner("[2a00:1:ffff::1]:1"));
        assert_eq!(owner("10.0.0.1:1"), owner("10.0.0.1:2"));
        assert_ne!(owner("10.0.0.1:1"), owner("10.0.0.2:1"));
        assert_eq!(owner("[fd00::1]:1"), owner("[fd00::1]:2"));
        assert_ne!(owner("[fd00::1]:1"), owner("[fd00::2]:1"));
        assert_eq!(owner("127.0.0.1:1"), Owner::Host);
        assert_eq!(owner("[::1]:1"), Owner::Host);
    }
}
