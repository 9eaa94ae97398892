//! What all hosts share: the network, names, signatures, and the laws.

use std::{collections::BTreeMap, net::SocketAddr};

use positron_internet::{HostId, Topology, Traffic};
use positron_proto::{rng::Seed, session::sessions::LinkKind, time::Duration};

use crate::{address_block::AddressBlock, physics::Physics, verdicts::Verdicts};

/// What all hosts share. Nothing here changes while hosts run: only between two windows of time.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) network: Topology,
    pub(crate) verdicts: Verdicts,
    physics: Physics,
    names: BTreeMap<String, Vec<SocketAddr>>,
    addresses: AddressBlock,
    /// How often each host moved to another address.
    moves: BTreeMap<usize, usize>,
}

impl Environment {
    pub(crate) fn new(
        physics: Physics,
        (hosts, addresses): (usize, AddressBlock),
        seed: &Seed,
    ) -> Self {
        assert!(physics.delay.0 > Duration::ZERO, "two hosts are some time apart");
        let geography = seed.stream("geography").next_u64();
        let (paths, streams) = (physics.paths(), physics.streams());
        let mut network = Topology::new(geography, physics.delay, paths, streams);
        for host in 0..hosts {
            network.add_host(addresses.of(host).ip());
        }
        let (verdicts, names) = (Verdicts::default(), BTreeMap::new());
        Self { network, verdicts, physics, names, addresses, moves: BTreeMap::new() }
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
        let to = self.addresses.after(host, *moves);
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
