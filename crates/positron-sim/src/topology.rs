//! What all hosts share: where everybody is, who can reach whom, and the laws.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use positron_proto::{rng::Seed, session::sessions::LinkKind, time::Duration};

use crate::{dice::Dice, physics::Physics, verdicts::Verdicts};

/// The port that every host listens on.
const PORT: u16 = 8888;
/// Networks of 65,536 addresses that hosts are spread over: rules that spread links over networks
/// have something to choose from.
const NETWORKS: usize = 16;

/// What all hosts share. Nothing here changes while hosts run: only between two windows of time.
#[derive(Debug)]
pub(crate) struct Topology {
    pub(crate) physics: Physics,
    pub(crate) verdicts: Verdicts,
    hosts: BTreeMap<IpAddr, u32>,
    names: BTreeMap<String, Vec<SocketAddr>>,
    /// Which side of the partition each host is on.
    sides: Vec<bool>,
    parted: bool,
    /// Hosts whose datagrams a firewall drops, in both directions.
    filtered: Vec<bool>,
    /// Hosts of whose datagrams a firewall drops those that they send.
    mute: Vec<bool>,
    /// Hosts whose streams a firewall drops.
    streamless: Vec<bool>,
    geography: u64,
    links: u64,
}

impl Topology {
    pub(crate) fn new(physics: Physics, hosts: usize, seed: &Seed) -> Self {
        assert!(physics.delay.0 > Duration::ZERO, "two hosts are some time apart");
        let here = (0..hosts).map(|host| (address(host).ip(), narrow(host))).collect();
        Self {
            physics,
            verdicts: Verdicts::default(),
            hosts: here,
            names: BTreeMap::new(),
            sides: vec![false; hosts],
            parted: false,
            filtered: vec![false; hosts],
            mute: vec![false; hosts],
            streamless: vec![false; hosts],
            geography: seed.stream("geography").next_u64(),
            links: seed.stream("links").next_u64(),
        }
    }

    /// Which host has this address.
    pub(crate) fn host_at(&self, ip: IpAddr) -> Option<u32> {
        self.hosts.get(&ip).copied()
    }

    /// One way between two hosts: the same in both directions and for each link.
    pub(crate) fn delay(&self, a: u32, b: u32) -> Duration {
        let pair = u64::from(a.min(b)) << 32 | u64::from(a.max(b));
        Dice::keyed(self.geography, pair).between(self.physics.delay)
    }

    /// The dice of the `nth` link end that `host` opens.
    pub(crate) const fn link_dice(&self, host: u32, nth: u64) -> Dice {
        Dice::keyed(self.links, (host as u64) << 40 ^ nth)
    }

    pub(crate) fn reachable(&self, a: u32, b: u32) -> bool {
        !self.parted || self.sides[wide(a)] == self.sides[wide(b)]
    }

    /// Whether datagrams get through from one host to another.
    pub(crate) fn carries_datagrams(&self, from: u32, to: u32) -> bool {
        let dropped = self.filtered[wide(from)] || self.filtered[wide(to)] || self.mute[wide(from)];
        self.reachable(from, to) && !dropped
    }

    /// Whether the bytes of a stream get through between two hosts.
    pub(crate) fn carries_streams(&self, a: u32, b: u32) -> bool {
        self.reachable(a, b) && !self.streamless[wide(a)] && !self.streamless[wide(b)]
    }

    /// Lets a firewall in front of a host drop what comes and goes this way, or carry it again.
    pub(crate) fn filter(&mut self, host: usize, transport: LinkKind, drops: bool) {
        match transport {
            LinkKind::Udp => self.filtered[host] = drops,
            LinkKind::Tcp => self.streamless[host] = drops,
        }
    }

    /// Lets a firewall in front of a host drop the datagrams that it sends, or carry them again.
    pub(crate) fn mute(&mut self, host: usize, drops: bool) {
        self.mute[host] = drops;
    }

    pub(crate) const fn is_parted(&self) -> bool {
        self.parted
    }

    pub(crate) fn part(&mut self, side: &[usize]) {
        self.sides.fill(false);
        for host in side {
            self.sides[*host] = true;
        }
        self.parted = true;
    }

    pub(crate) const fn heal(&mut self) {
        self.parted = false;
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

/// Where a host listens.
pub(crate) fn address(host: usize) -> SocketAddr {
    let network = u8::try_from(host % NETWORKS).unwrap_or(0);
    let [.., high, low] = u32::try_from(host / NETWORKS + 1).unwrap_or(0).to_be_bytes();
    SocketAddr::new(Ipv4Addr::new(10, network, high, low).into(), PORT)
}

/// Hosts are counted in `u32` where many of their numbers are kept.
pub(crate) fn narrow(host: usize) -> u32 {
    u32::try_from(host).expect("a world has fewer than four thousand million hosts")
}

/// A host's number as an index.
pub(crate) fn wide(host: u32) -> usize {
    usize::try_from(host).expect("a host's number indexes the table of hosts")
}
