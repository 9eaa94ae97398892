//! What all hosts share: the network, names, signatures, and the laws.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
};

use positron_internet::{HostId, Topology, Traffic};
use positron_proto::{rng::Seed, session::sessions::LinkKind, time::Duration};

use crate::{physics::Physics, verdicts::Verdicts};

/// The port that every host listens on.
const PORT: u16 = 8888;
/// Networks of 65,536 addresses that hosts are spread over: rules that spread links over networks
/// have something to choose from.
const NETWORKS: usize = 16;

/// Hosts of one network before those that moved further than there are networks.
const FAR: usize = 8_192;

/// What all hosts share. Nothing here changes while hosts run: only between two windows of time.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) network: Topology,
    pub(crate) verdicts: Verdicts,
    physics: Physics,
    names: BTreeMap<String, Vec<SocketAddr>>,
    /// How often each host moved to another address.
    moves: BTreeMap<usize, usize>,
}

impl Environment {
    pub(crate) fn new(physics: Physics, hosts: usize, seed: &Seed) -> Self {
        assert!(physics.delay.0 > Duration::ZERO, "two hosts are some time apart");
        let geography = seed.stream("geography").next_u64();
        let (paths, streams) = (physics.paths(), physics.streams());
        let mut network = Topology::new(geography, physics.delay, paths, streams);
        for host in 0..hosts {
            network.add_host(address(host).ip());
        }
        let (verdicts, names) = (Verdicts::default(), BTreeMap::new());
        Self { network, verdicts, physics, names, moves: BTreeMap::new() }
    }

    /// The laws.
    pub(crate) const fn physics(&self) -> &Physics {
        &self.physics
    }

    /// Other laws from now on.
    pub(crate) fn change(&mut self, physics: Physics) {
        assert!(physics.delay.0 >= self.physics.delay.0, "windows were laid out");
        self.network.set_distance(physics.delay);
        (self.network.paths, self.network.streams) = (physics.paths(), physics.streams());
        self.physics = physics;
    }

    /// Lets a firewall in front of a host drop what comes and goes this way, or carry it again.
    pub(crate) fn filter(&mut self, host: usize, transport: LinkKind, drops: bool) {
        let traffic: &[Traffic] = match transport {
            LinkKind::Udp => &[Traffic::DatagramsOut, Traffic::DatagramsIn],
            // What a relay forwards is inside of its links.
            LinkKind::Relay => &[],
            LinkKind::Tcp => &[Traffic::Streams],
        };
        for traffic in traffic {
            self.network.black_hole(HostId::new(host), *traffic, drops);
        }
    }

    /// Lets a firewall in front of a host drop the datagrams that it sends.
    pub(crate) fn mute(&mut self, host: usize) {
        self.network.black_hole(HostId::new(host), Traffic::DatagramsOut, true);
    }

    /// A host moves to an address that nobody had: which.
    pub(crate) fn renumber(&mut self, host: usize) -> SocketAddr {
        let moves = self.moves.entry(host).or_default();
        *moves += 1;
        let to = address_after(host, *moves);
        self.network.move_host(HostId::new(host), to.ip());
        to
    }

    /// Gives these addresses a name.
    pub(crate) fn name(&mut self, name: &str, addresses: Vec<SocketAddr>) {
        self.names.insert(name.into(), addresses);
    }

    /// What a resolver answers.
    pub(crate) fn resolve(&self, name: &str) -> Result<Vec<SocketAddr>, String> {
        if let Ok(literal) = name.parse() {
            return Ok(vec![literal]);
        }
        self.names.get(name).cloned().ok_or_else(|| "no such host is known".into())
    }
}

/// Where a host listens at first.
pub(crate) fn address(host: usize) -> SocketAddr {
    address_after(host, 0)
}

/// Where a host listens after so many moves.
fn address_after(host: usize, moves: usize) -> SocketAddr {
    let network = u8::try_from(host % NETWORKS + moves % NETWORKS * NETWORKS);
    let network = network.expect("16 times 16 networks");
    let number = host / NETWORKS + 1 + moves / NETWORKS * FAR;
    let [.., high, low] = u16::try_from(number).expect("a host moves 127 times").to_be_bytes();
    SocketAddr::new(Ipv4Addr::new(10, network, high, low).into(), PORT)
}
