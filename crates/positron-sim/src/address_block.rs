//! Where hosts are.

use std::net::{Ipv4Addr, SocketAddr};

/// Of which kind the addresses of hosts are. Nodes judge by it whose word they believe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressBlock {
    /// `10.0.0.0/8`: one owner's network, where everybody may be near everybody.
    Private,
    /// `20.0.0.0/8`: the internet, where each /16 is another owner's.
    Public,
}

/// The port that every host listens on.
const PORT: u16 = 8888;
/// Networks of 65,536 addresses that hosts are spread over: rules that spread links over networks
/// have something to choose from.
const NETWORKS: usize = 16;
/// Hosts of one network before those that moved further than there are networks.
const FAR: usize = 8_192;

impl AddressBlock {
    /// Where a host listens at first.
    pub(crate) fn of(self, host: usize) -> SocketAddr {
        self.after(host, 0)
    }

    /// Where a host listens after so many moves.
    pub(crate) fn after(self, host: usize, moves: usize) -> SocketAddr {
        let network = u8::try_from(host % NETWORKS + moves % NETWORKS * NETWORKS);
        let network = network.expect("16 times 16 networks");
        let number = host / NETWORKS + 1 + moves / NETWORKS * FAR;
        let [.., high, low] = u16::try_from(number).expect("a host moves 127 times").to_be_bytes();
        let first = match self {
            Self::Private => 10,
            Self::Public => 20,
        };
        SocketAddr::new(Ipv4Addr::new(first, network, high, low).into(), PORT)
    }
}
