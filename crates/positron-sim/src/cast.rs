//! Who is on each host, and what it is told when it starts.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use positron_internet::HostId;
use positron_proto::{
    identity::Identity,
    node::{KeyAge, NodeCore},
    rng::Seed,
    time::Instant,
};

use crate::{
    adversary::Arrival,
    clock::Clock,
    dice::named_dice,
    environment::Environment,
    host::Host,
    hosts::Hosts,
    machine::Machine,
    scenario::{BootstrapBy, Listen, Scenario},
};

/// Bootstrap addresses that a node is given at most. Guess: nobody lists more, and each is dialled.
const LISTED: usize = 8;
/// What all bootstrap nodes are called together.
const BOOTSTRAP_NAME: &str = "bootstrap.example:8888";

/// Who is on each host: the nodes of a scenario in order, after them its guests, and then the
/// second machines of its twins. Identities, clocks and what a process draws come from the seed
/// alone.
pub(crate) struct Cast {
    scenario: Arc<Scenario>,
    seed: Seed,
}

impl Cast {
    pub(crate) const fn new(scenario: Arc<Scenario>, seed: Seed) -> Self {
        Self { scenario, seed }
    }

    /// All hosts, before anything runs on them.
    pub(crate) fn hosts(&self) -> Hosts {
        let Scenario { nodes, guests, physics, bootstraps, addresses, .. } = &*self.scenario;
        let count = nodes + guests.len() + self.scenario.twins.len();
        let mut clocks = named_dice(&self.seed, "clocks");
        let mut hosts: Vec<Host> = (0..count)
            .map(|index| {
                let seed = self.seed.child(&format!("host {index}"));
                let identity = self.first_identity(self.scenario.owner(index));
                let clock = Clock::new(physics, &mut clocks);
                let addr = self.scenario.addresses.of(index);
                Host::new(HostId::new(index), addr, (identity, clock), &seed)
            })
            .collect();
        let mut environment = Environment::new(physics.clone(), (count, *addresses), &self.seed);
        for (node, nat_type) in &self.scenario.homes {
            let seed = self.seed.child(&format!("host {node}"));
            hosts[*node].put_behind(*nat_type, seed.stream("boxes").next_u64());
            if self.scenario.forwarded.contains(node) {
                hosts[*node].stack().forward_port();
            }
        }
        environment.name(BOOTSTRAP_NAME, (0..*bootstraps).map(|n| addresses.of(n)).collect());
        Hosts::new(hosts, environment)
    }

    /// The key that the owner of a host begins with.
    fn first_identity(&self, owner: usize) -> Identity {
        let owner = self.seed.child(&format!("host {owner}"));
        Identity::from_seed(owner.stream("identity").bytes())
    }

    /// A key that nobody had yet, for the owner of a host.
    pub(crate) fn new_identity(&self, index: usize, now: Instant) -> Identity {
        let owner = self.seed.child(&format!("host {index}"));
        Identity::from_seed(owner.stream(&format!("identity at {now:?}")).bytes())
    }

    /// What begins to run on a host.
    pub(crate) fn machine(&self, index: usize, host: &Host, now: Instant) -> Box<dyn Machine> {
        let seed = self.seed.child(&format!("host {index} life {}", host.life() + 1));
        let owner = self.scenario.owner(index);
        if let Some(guest) = owner.checked_sub(self.scenario.nodes) {
            return self.scenario.guests[guest].machine(Arrival {
                identity: host.identity().clone(),
                network: self.scenario.config.network,
                config: self.scenario.config.clone(),
                addr: host.addr(),
                life: host.life() + 1,
                targets: (0..self.scenario.nodes).map(|n| self.scenario.addresses.of(n)).collect(),
                victim: self.first_identity(self.scenario.victim()).node_id(),
                seed,
            });
        }
        let mut config = self.scenario.config.clone();
        config.peers.bootstrap = self.bootstrap(owner);
        config.trace.answer &= !self.scenario.declining.contains(&owner);
        let (identity, now) = (host.identity().clone(), host.clocks(now));
        let mut snapshot = host.disk().snapshot(&config.network);
        snapshot.numbers.key = if host.life() == 0 { KeyAge::New } else { KeyAge::Used };
        Box::new(NodeCore::new(config, identity, snapshot, &seed, now))
    }

    /// What a host's process is told of its address.
    pub(crate) fn listening(&self, host: &Host) -> SocketAddr {
        match self.scenario.listen {
            Listen::Address => host.addr(),
            Listen::Port => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), host.addr().port()),
        }
    }

    /// The bootstrap addresses of a node: all, or of many as many as an operator lists, which are
    /// neighbours of each other in a circle. So whoever begins there can reach everybody.
    fn bootstrap(&self, node: usize) -> Vec<String> {
        if self.scenario.bootstrap_by == BootstrapBy::Name && node >= self.scenario.bootstraps {
            return vec![BOOTSTRAP_NAME.into()];
        }
        let all = self.scenario.bootstraps.min(self.scenario.nodes);
        let listed = (0..all.min(LISTED + 1)).map(|n| (node + n) % all);
        let others = listed.filter(|n| *n != node).take(LISTED);
        let mut others: Vec<usize> = others.collect();
        others.sort_unstable();
        others.into_iter().map(|n| self.scenario.addresses.of(n).to_string()).collect()
    }
}

#[cfg(test)]
mod tests {
    use positron_proto::time::Duration;

    use super::*;
    use crate::address_block::AddressBlock;

    #[test]
    fn of_many_bootstrap_nodes_each_node_is_given_some_and_those_of_all_are_one_network() {
        for nodes in [1, 3, 1_000, 1_800, 10_000] {
            let scenario = Arc::new(Scenario::quiet("many", nodes, Duration::from_secs(1)));
            let bootstraps = scenario.bootstraps;
            let address = |node| AddressBlock::Private.of(node);
            let cast = Cast::new(scenario, Seed::from_number(7));
            let next = |node: usize| address((node + 1) % bootstraps).to_string();
            for node in 0..nodes {
                let given = cast.bootstrap(node);
                let others = bootstraps - usize::from(node < bootstraps);
                assert_eq!(given.len(), others.min(LISTED), "node {node} of {nodes}");
                assert!(given.is_empty() || node >= bootstraps || given.contains(&next(node)));
                assert!(!given.contains(&address(node).to_string()));
            }
        }
    }
}
