//! What all hosts share: who has which address, who can reach whom, and the laws.

use core::time::Duration;
use std::{collections::BTreeMap, net::IpAddr};

use crate::{
    Time,
    dice::Dice,
    laws::{PathLaws, Range, StreamLaws},
};

/// One of the hosts of a network, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(u32);

impl HostId {
    /// The host number `index`.
    ///
    /// # Panics
    ///
    /// If `index` does not fit 32 bits: many of these numbers are kept.
    pub fn new(index: usize) -> Self {
        Self(u32::try_from(index).expect("a network has fewer than four thousand million hosts"))
    }

    /// Its number.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    const fn wide(self) -> u64 {
        self.0 as u64
    }
}

/// What a black hole at a host swallows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Traffic {
    /// Datagrams that the host sends.
    DatagramsOut,
    /// Datagrams to the host.
    DatagramsIn,
    /// Byte streams, in both directions.
    Streams,
}

/// What does not get from one side to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Partition {
    /// Anything.
    BothWays,
    /// Streams, and what the hosts that were named send.
    OneWay,
}

/// Where everybody is, who can reach whom, and the laws. Nothing here changes while hosts run on
/// their own: only between two windows of time.
#[derive(Clone, Debug)]
pub struct Topology {
    /// What byte streams undergo.
    pub streams: StreamLaws,
    /// What datagrams undergo where no law was [set](Self::set_path) for a pair; its delay is
    /// added to that of the [geography](Self::delay).
    pub paths: PathLaws,
    distance: Range,
    seed: u64,
    addresses: BTreeMap<IpAddr, HostId>,
    pairs: BTreeMap<(HostId, HostId), PathLaws>,
    /// One way, until when.
    cuts: BTreeMap<(HostId, HostId), Time>,
    /// Which side of the partition each host is on, while there is one.
    sides: Vec<bool>,
    partition: Option<Partition>,
    /// By host and [`Traffic`].
    black_holes: Vec<[bool; 3]>,
}

impl Topology {
    /// A network without hosts. One way between two of them takes a time of its own within
    /// `distance`: geography.
    pub fn new(seed: u64, distance: Range, paths: PathLaws, streams: StreamLaws) -> Self {
        Self {
            streams,
            paths,
            distance,
            seed,
            addresses: BTreeMap::new(),
            pairs: BTreeMap::new(),
            cuts: BTreeMap::new(),
            sides: Vec::new(),
            partition: None,
            black_holes: Vec::new(),
        }
    }

    /// One host more, at this address.
    pub fn add_host(&mut self, ip: IpAddr) -> HostId {
        let host = HostId::new(self.sides.len());
        self.addresses.insert(ip, host);
        self.sides.push(false);
        self.black_holes.push([false; 3]);
        host
    }

    /// Which host has this address.
    pub fn host_at(&self, ip: IpAddr) -> Option<HostId> {
        self.addresses.get(&ip).copied()
    }

    /// A host has another address from now on, and nobody the former one.
    pub fn move_host(&mut self, host: HostId, ip: IpAddr) {
        self.addresses.retain(|_, owner| *owner != host);
        self.addresses.insert(ip, host);
    }

    /// One way between two hosts: the same in both directions and for each stream.
    pub fn delay(&self, a: HostId, b: HostId) -> Duration {
        let pair = a.min(b).wide() << 32 | a.max(b).wide();
        Dice::keyed(self.seed, pair).between(self.distance)
    }

    /// Other distances from now on; what is under way arrives as it would have.
    pub fn set_distance(&mut self, distance: Range) {
        self.distance = distance;
    }

    /// Laws for datagrams of this direction only; what is under way arrives as it would have.
    pub fn set_path(&mut self, from: HostId, to: HostId, laws: PathLaws) {
        self.pairs.insert((from, to), laws);
    }

    /// The laws for datagrams of this direction.
    pub fn path(&self, from: HostId, to: HostId) -> PathLaws {
        let laws = self.pairs.get(&(from, to));
        laws.copied().unwrap_or_else(|| PathLaws {
            delay: self.paths.delay + self.delay(from, to),
            ..self.paths
        })
    }

    /// No datagram that is sent in this direction before `until` arrives; what is under way does.
    pub fn cut(&mut self, from: HostId, to: HostId, until: Time) {
        let cut = self.cuts.entry((from, to)).or_default();
        *cut = until.max(*cut);
    }

    /// Ends all cuts.
    pub fn mend(&mut self) {
        self.cuts.clear();
    }

    pub(crate) fn is_cut(&self, from: HostId, to: HostId, now: Time) -> bool {
        !self.cuts.is_empty() && self.cuts.get(&(from, to)).is_some_and(|until| now < *until)
    }

    /// Lets a host swallow what comes or goes this way, or no longer.
    pub fn black_hole(&mut self, host: HostId, traffic: Traffic, swallows: bool) {
        self.black_holes[host.index()][traffic as usize] = swallows;
    }

    /// Parts these hosts from all others.
    pub fn part(&mut self, side: impl IntoIterator<Item = HostId>) {
        self.part_by(side, Partition::BothWays);
    }

    /// Nothing that these hosts send reaches the others; datagrams of the others reach them. No
    /// stream crosses it in either direction: what arrives of one is never acknowledged.
    pub fn part_one_way(&mut self, side: impl IntoIterator<Item = HostId>) {
        self.part_by(side, Partition::OneWay);
    }

    fn part_by(&mut self, side: impl IntoIterator<Item = HostId>, partition: Partition) {
        self.sides.fill(false);
        for host in side {
            self.sides[host.index()] = true;
        }
        self.partition = Some(partition);
    }

    /// Ends a partition.
    pub const fn heal(&mut self) {
        self.partition = None;
    }

    /// Whether there is a partition.
    pub const fn is_parted(&self) -> bool {
        self.partition.is_some()
    }

    /// Whether two hosts are on one side of the partition, if there is one.
    pub fn reachable(&self, a: HostId, b: HostId) -> bool {
        !self.is_parted() || self.sides[a.index()] == self.sides[b.index()]
    }

    fn swallows(&self, host: HostId, traffic: Traffic) -> bool {
        self.black_holes[host.index()][traffic as usize]
    }

    /// Whether datagrams get through from one host to another.
    pub(crate) fn carries_datagrams(&self, from: HostId, to: HostId) -> bool {
        let passes = self.partition == Some(Partition::OneWay) && self.sides[to.index()];
        (passes || self.reachable(from, to))
            && !self.swallows(from, Traffic::DatagramsOut)
            && !self.swallows(to, Traffic::DatagramsIn)
    }

    /// Whether the bytes of a stream get through between two hosts.
    pub(crate) fn carries_streams(&self, a: HostId, b: HostId) -> bool {
        self.reachable(a, b)
            && !self.swallows(a, Traffic::Streams)
            && !self.swallows(b, Traffic::Streams)
    }

    /// The dice of a path.
    pub(crate) const fn path_dice(&self, from: HostId, to: HostId) -> Dice {
        Dice::keyed(self.seed ^ PATHS, from.wide() << 32 | to.wide())
    }

    /// The dice of the `nth` end of a stream that a host opens.
    pub(crate) const fn stream_dice(&self, host: HostId, nth: u64) -> Dice {
        Dice::keyed(self.seed ^ STREAMS, host.wide() << 40 ^ nth)
    }
}

/// Families of dice beside that of the geography: any two numbers.
const PATHS: u64 = 0x7061_7468_7300_0001;
const STREAMS: u64 = 0x7374_7265_616D_0002;
