//! Our own record, and what others observe of our address.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use super::{
    connected::PeerLink,
    scope::{Group, Scope, canonical, is_plausible},
};
use crate::{
    handshake::{Direction, link_public_key},
    id::{NetworkId, NodeId},
    identity::{Identity, Signed, Verified},
    limits::{MAX_ADDRESSES, MAX_OBSERVED_ADDRESSES, OWN_RECORD_INTERVAL},
    time::{Instant, Now, WallTime},
    wire::{Address, record::PeerRecord},
};

/// Our own record.
///
/// What the operator says comes first, and is believed. A socket bound to a specific IP address is
/// listed as it is. One bound to all addresses of this machine stands for what others observe. On
/// loopback and private networks one peer's word is enough. On the internet an observed address is
/// taken when peers of two network groups agree, or when all peers that see its family agree and
/// one of them was dialled by us or there are two of them. A false one does little harm: nobody
/// passes an address on before having found us there.
#[derive(Debug)]
pub(super) struct LocalRecord {
    me: Arc<Identity>,
    network: NetworkId,
    /// Where the operator says that others reach us.
    external: Vec<SocketAddr>,
    bound: Vec<SocketAddr>,
    /// What each linked peer sees; at most one vote a peer.
    votes: BTreeMap<NodeId, Vote>,
    observed: Vec<SocketAddr>,
    record: Verified<PeerRecord>,
    /// When a new record may be made.
    next: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Vote {
    addr: SocketAddr,
    group: Group,
    /// Whether we dialled the observer.
    chosen: bool,
}

impl LocalRecord {
    pub(super) fn new(
        me: Arc<Identity>,
        network: NetworkId,
        external: Vec<SocketAddr>,
        software: String,
        now: WallTime,
    ) -> Self {
        let record = PeerRecord {
            key: *me.public_key(),
            sequence: now.as_unix_micros(),
            noise_static: link_public_key(&me),
            capabilities: 0,
            addresses: Vec::new(),
            carriers: Vec::new(),
            software,
        };
        let record = me.sign(record, &network);
        Self {
            me,
            network,
            external: external.into_iter().map(canonical).collect(),
            bound: Vec::new(),
            votes: BTreeMap::new(),
            observed: Vec::new(),
            record,
            next: Instant::ORIGIN,
        }
    }

    pub(super) const fn record(&self) -> &PeerRecord {
        self.record.content()
    }

    pub(super) const fn claim(&self) -> &Signed<PeerRecord> {
        self.record.claim()
    }

    /// When a new record may be made.
    pub(super) const fn next(&self) -> Instant {
        self.next
    }

    pub(super) fn listening(&mut self, addresses: &[SocketAddr]) {
        self.bound = addresses.iter().copied().map(canonical).collect();
    }

    /// A linked peer says where it sees us.
    pub(super) fn seen_by(&mut self, link: &PeerLink, observed: &Address) {
        let Some(observed) = observed.socket_addr() else { return };
        if !is_plausible(observed, link.scope) {
            return;
        }
        // Who dialled us sees the address that it dialled. Whom we dialled sees the source of our
        // link: the IP address is ours, the port is not the one we listen at.
        let chosen = link.peer.direction == Direction::Outbound;
        let port = if chosen { self.port_for(observed.ip()) } else { Some(observed.port()) };
        let Some(port) = port else { return };
        let addr = SocketAddr::new(observed.ip(), port);
        self.votes.insert(link.peer.id, Vote { addr, group: link.group, chosen });
    }

    pub(super) fn peer_down(&mut self, peer: &NodeId) {
        self.votes.remove(peer);
    }

    /// Another process or an earlier life of this node signed a newer record: ours must be newer
    /// still. Returns whether it had to be made anew.
    pub(super) fn outrun(&mut self, sequence: u64, now: Now) -> bool {
        let is_behind = sequence > self.record().sequence;
        if is_behind {
            let addresses = self.record().addresses.clone();
            self.sign(sequence, addresses, now);
        }
        is_behind
    }

    /// Whether the record does not say any more where we listen.
    pub(super) fn is_stale(&mut self) -> bool {
        self.observe();
        self.addresses() != self.record().addresses
    }

    /// Makes a new record if the old one is stale and not too young; true if it did.
    pub(super) fn refresh(&mut self, now: Now) -> bool {
        if !self.is_stale() || now.mono < self.next {
            return false;
        }
        self.sign(0, self.addresses(), now);
        true
    }

    fn sign(&mut self, above: u64, addresses: Vec<Address>, now: Now) {
        let last = self.record().sequence.max(above);
        let record = PeerRecord {
            sequence: now.wall.as_unix_micros().max(last.saturating_add(1)),
            addresses,
            ..self.record().clone()
        };
        self.record = self.me.sign(record, &self.network);
        self.next = now.mono + OWN_RECORD_INTERVAL;
    }

    fn addresses(&self) -> Vec<Address> {
        let specific = self.bound.iter().filter(|addr| !addr.ip().is_unspecified());
        let mut addresses: Vec<SocketAddr> =
            self.external.iter().chain(specific).copied().collect();
        if self.bound.iter().any(|addr| addr.ip().is_unspecified()) {
            addresses.extend(&self.observed);
        }
        let mut seen = BTreeSet::new();
        addresses.retain(|addr| addr.port() != 0 && seen.insert(*addr));
        addresses.truncate(MAX_ADDRESSES);
        addresses.into_iter().map(Address::from).collect()
    }

    /// The port at which all addresses of the family of `ip` listen. `[::]` takes IPv4 as well.
    fn port_for(&self, ip: IpAddr) -> Option<u16> {
        let fits =
            |bound: &&SocketAddr| bound.ip().is_unspecified() && (bound.is_ipv6() || ip.is_ipv4());
        self.bound.iter().find(fits).map(SocketAddr::port)
    }

    /// Counts the votes. What was accepted stays until something else of its kind is.
    fn observe(&mut self) {
        // Each peer of the internet sees one family of us: what peers of the other see is no
        // contradiction.
        let kinds: [fn(Group) -> bool; 3] = [
            |group| matches!(group, Group::Near),
            |group| matches!(group, Group::V4(_)),
            |group| matches!(group, Group::V6(_)),
        ];
        for is_of_kind in kinds {
            let elected = self.elect(|addr| is_of_kind(Group::of(addr.ip())));
            if !elected.is_empty() {
                self.observed.retain(|addr| !is_of_kind(Group::of(addr.ip())));
                self.observed.extend(elected);
            }
        }
        // Public addresses first: they are the ones that most peers can use.
        self.observed.sort_by_key(|addr| (core::cmp::Reverse(Scope::of(addr.ip())), *addr));
        self.observed.truncate(MAX_OBSERVED_ADDRESSES);
    }

    fn elect(&self, kind: impl Fn(&SocketAddr) -> bool) -> Vec<SocketAddr> {
        let mut ballots: BTreeMap<SocketAddr, Vec<Vote>> = BTreeMap::new();
        for vote in self.votes.values().filter(|vote| kind(&vote.addr)) {
            ballots.entry(vote.addr).or_default().push(*vote);
        }
        let unanimous = ballots.len() == 1;
        let mut elected: Vec<(usize, SocketAddr)> = Vec::new();
        for (addr, votes) in &ballots {
            let groups: BTreeSet<Group> = votes.iter().map(|vote| vote.group).collect();
            let trusted = votes.len() > 1 || votes.iter().any(|vote| vote.chosen);
            let near = Group::of(addr.ip()) == Group::Near;
            if near || groups.len() > 1 || (unanimous && trusted) {
                elected.push((votes.len(), *addr));
            }
        }
        elected.sort_by_key(|&(votes, addr)| (core::cmp::Reverse(votes), addr));
        elected.truncate(MAX_OBSERVED_ADDRESSES / 3);
        elected.into_iter().map(|(_, addr)| addr).collect()
    }
}
