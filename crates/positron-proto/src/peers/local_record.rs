//! Our own record, and what others observe of our address.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use super::{config::PeersConfig, connected::PeerLink};
use crate::{
    handshake::{Direction, link_public_key},
    id::{NetworkId, NodeId},
    identity::{Identity, Signed, Verified},
    limits::{
        MAX_ADDRESSES, MAX_INTERFACE_ADDRESSES, MAX_OBSERVED_ADDRESSES, MAX_STATED_RELAYS,
        OWN_RECORD_INTERVAL,
    },
    netgroup::Owner,
    scope::{Group, Scope, canonical, is_plausible},
    time::{Instant, Now, WallTime},
    wire::{Address, record::PeerRecord},
};

/// Our own record.
///
/// What the operator says comes first, and is believed. A socket bound to a specific IP address is
/// listed as it is. One bound to all addresses of this machine stands for what others observe.
///
/// An observed address is a peer's word. One that an interface of this machine has, with the port
/// that we listen at, is taken from anybody and goes before all others. On loopback and private
/// networks one peer's word is enough for any, and what those see that we dialled goes first. On
/// the internet those decide that we dialled, because guests come as they like, and in any number;
/// guests do where nobody else sees that family, and about ports, which only who dials us knows:
/// two owners of them add one at an IP address that those see. Another address is taken when two
/// [`Owner`]s of them see it, or when all of them do and we dialled one or there are two. A false
/// one does little harm: nobody passes an address on before having found us there.
///
/// What was taken stays until the interface that had it has it no more, or two owners of those who
/// decide see addresses of its kind and none sees this one: no single peer can take an address from
/// us. One that was taken before the machine changed its network goes when nobody linked sees it.
/// Where one word is enough it stays until another of its kind is seen instead. Of more than
/// there is room for, those stay that were taken last, and of these those that most owners see.
#[derive(Debug)]
pub(super) struct LocalRecord {
    me: Arc<Identity>,
    network: NetworkId,
    /// Where the operator says that others reach us.
    external: Vec<SocketAddr>,
    /// Whether it says nothing of where we are.
    hidden: bool,
    bound: Vec<SocketAddr>,
    /// Those of this machine's interfaces; empty if nobody told.
    interfaces: BTreeSet<IpAddr>,
    /// What each linked peer sees; at most one vote a peer.
    votes: BTreeMap<NodeId, Vote>,
    observed: Vec<Observed>,
    relays: StatedRelays,
    record: Verified<PeerRecord>,
    /// When a new record may be made.
    next: Instant,
}

/// Through whom we are reached, where strangers are not let in; or where they are after all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatedRelays {
    /// Whether no stranger reaches us over IPv4.
    pub is_ipv4_shut: bool,
    /// Whether no stranger reaches us over IPv6.
    pub is_ipv6_shut: bool,
    /// Who forwards to us, and where they are; at most
    /// [`MAX_STATED_RELAYS`].
    pub relays: Vec<(NodeId, SocketAddr)>,
    /// Where strangers do reach us, because a router mapped a port: known by one who did.
    pub mapped: Option<SocketAddr>,
}

/// An address at which peers see us.
#[derive(Clone, Copy, Debug)]
struct Observed {
    addr: SocketAddr,
    /// Whether an interface had it, then or since: then it is gone when that loses it.
    local: bool,
    /// Whether the machine changed its network since it was said.
    doubted: bool,
}

#[derive(Clone, Copy, Debug)]
struct Vote {
    observed: Observed,
    owner: Owner,
    /// Whether we dialled the observer.
    chosen: bool,
}

/// What is said for one address.
#[derive(Debug, Default)]
struct Ballot {
    /// Whose peers see it, guests among them where they say only at which port we are.
    owners: BTreeSet<Owner>,
    /// Peers that decide.
    votes: usize,
    /// Whether we dialled one of them.
    chosen: bool,
    local: bool,
    /// Somebody sees it since the machine changed its network.
    fresh: bool,
}

impl LocalRecord {
    pub(super) fn new(
        me: Arc<Identity>,
        network: NetworkId,
        config: &PeersConfig,
        now: WallTime,
    ) -> Self {
        let record = PeerRecord {
            key: *me.public_key(),
            sequence: now.as_unix_micros(),
            noise_static: link_public_key(&me),
            capabilities: 0,
            addresses: Vec::new(),
            carriers: Vec::new(),
            software: config.software.clone(),
        };
        let record = me.sign(record, &network);
        Self {
            me,
            network,
            external: config.external.iter().copied().map(canonical).collect(),
            hidden: config.hidden,
            bound: Vec::new(),
            interfaces: BTreeSet::new(),
            votes: BTreeMap::new(),
            observed: Vec::new(),
            relays: StatedRelays::default(),
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

    /// The addresses of this machine's interfaces, all of them: at first, and whenever the machine
    /// changes its network.
    pub(super) fn handle_interfaces(&mut self, addresses: &[IpAddr]) {
        let addresses = addresses.iter().take(MAX_INTERFACE_ADDRESSES);
        self.interfaces = addresses.map(IpAddr::to_canonical).collect();
        let votes = self.votes.values_mut().map(|vote| &mut vote.observed);
        for observed in votes.chain(&mut self.observed) {
            observed.local |= self.interfaces.contains(&observed.addr.ip());
            observed.doubted = true;
        }
    }

    /// Through whom we are reached has changed.
    pub(super) fn handle_relays(&mut self, relays: StatedRelays) {
        self.relays = relays;
    }

    /// A linked peer says where it sees us, at the beginning.
    pub(super) fn seen_by(&mut self, link: &PeerLink, observed: &Address) {
        // Who dialled us sees the address that it dialled. Whom we dialled sees the source of our
        // link: the IP address is ours, the port is not the one we listen at.
        let port = |own: &Self, addr: SocketAddr| match link.peer.direction {
            Direction::Outbound => own.port_for(addr.ip()),
            Direction::Inbound => Some(addr.port()),
        };
        self.vote(link, observed, port);
    }

    /// A linked peer sees us elsewhere than it said before: at the source of our packets.
    pub(super) fn seen_elsewhere_by(&mut self, link: &PeerLink, observed: &Address) {
        let port = |own: &Self, addr: SocketAddr| {
            let before = own.votes.get(&link.peer.id).map(|vote| vote.observed.addr.port());
            before.or_else(|| own.port_for(addr.ip()))
        };
        self.vote(link, observed, port);
    }

    fn vote(
        &mut self,
        link: &PeerLink,
        observed: &Address,
        port: impl FnOnce(&Self, SocketAddr) -> Option<u16>,
    ) {
        let Some(seen) = observed.socket_addr().filter(|at| is_plausible(*at, link.scope)) else {
            return;
        };
        let Some(port) = port(self, seen) else { return };
        let addr = SocketAddr::new(seen.ip(), port);
        let local = self.interfaces.contains(&addr.ip());
        let observed = Observed { addr, local, doubted: false };
        let chosen = link.peer.direction == Direction::Outbound;
        self.votes.insert(link.peer.id, Vote { observed, owner: link.owner, chosen });
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
        if self.hidden {
            return Vec::new();
        }
        let specific = self.bound.iter().filter(|addr| !addr.ip().is_unspecified());
        let mut addresses: Vec<SocketAddr> = specific.copied().collect();
        if self.bound.iter().any(|addr| addr.ip().is_unspecified()) {
            addresses.extend(self.observed.iter().map(|observed| observed.addr));
        }
        addresses.retain(|addr| !self.is_shut(*addr));
        let named = self.external.iter().copied().chain(self.relays.mapped);
        let mut addresses: Vec<SocketAddr> = named.chain(addresses).collect();
        let mut seen = BTreeSet::new();
        addresses.retain(|addr| addr.port() != 0 && seen.insert(*addr));
        let relays = self.relays.relays.iter().take(MAX_STATED_RELAYS);
        addresses.truncate(MAX_ADDRESSES - relays.len());
        let relays = relays.map(|(relay, at)| Address::relayed(*relay, *at));
        addresses.into_iter().map(Address::from).chain(relays).collect()
    }

    /// Whether it is stated instead through whom we are reached, or where a router lets strangers
    /// in: packets of theirs would come to nothing there, and may spoil a path that is looked for.
    fn is_shut(&self, addr: SocketAddr) -> bool {
        let StatedRelays { is_ipv4_shut, is_ipv6_shut, relays, mapped } = &self.relays;
        let is_shut = if addr.is_ipv4() { *is_ipv4_shut } else { *is_ipv6_shut };
        let is_beside = mapped.is_some_and(|mapped| {
            mapped.is_ipv4() == addr.is_ipv4() && !self.interfaces.contains(&addr.ip())
        });
        let is_of_no_use = is_shut && !relays.is_empty() || is_beside;
        is_of_no_use && Scope::of(addr.ip()) == Some(Scope::Public)
    }

    /// The first port at which we listen; 0 before we do.
    pub(super) fn port(&self) -> u16 {
        self.bound.first().map_or(0, SocketAddr::port)
    }

    /// The port at which all addresses of the family of `ip` listen. `[::]` takes IPv4 as well.
    fn port_for(&self, ip: IpAddr) -> Option<u16> {
        let fits =
            |bound: &&SocketAddr| bound.ip().is_unspecified() && (bound.is_ipv6() || ip.is_ipv4());
        self.bound.iter().find(fits).map(SocketAddr::port)
    }

    /// Whether the interface that had an observed address has it no more.
    fn is_gone(&self, observed: &Observed) -> bool {
        observed.local && !self.interfaces.contains(&observed.addr.ip())
    }

    /// Whether an observed address is one at which this machine itself says that we listen.
    fn is_confirmed(&self, addr: SocketAddr) -> bool {
        self.interfaces.contains(&addr.ip()) && self.port_for(addr.ip()) == Some(addr.port())
    }

    /// Decides by what peers see where others reach us.
    fn observe(&mut self) {
        let mut known = core::mem::take(&mut self.observed);
        known.retain(|observed| !self.is_gone(observed));
        // Each peer of the internet sees one family of us: what peers of the other see is no
        // contradiction.
        let kinds: [fn(Group) -> bool; 3] = [
            |group| matches!(group, Group::Near),
            |group| matches!(group, Group::V4(_)),
            |group| matches!(group, Group::V6(_)),
        ];
        let mut observed = Vec::new();
        for is_of_kind in kinds {
            let fits = |observed: &&Observed| is_of_kind(Group::of(observed.addr.ip()));
            let votes = self.votes.values().filter(|vote| fits(&&vote.observed));
            let known = known.iter().filter(fits).copied();
            observed.extend(self.elect(votes, known, is_of_kind(Group::Near)));
        }
        // Public addresses first: they are the ones that most peers can use.
        observed.sort_by_key(|Observed { addr, .. }| (Reverse(Scope::of(addr.ip())), *addr));
        self.observed = observed;
    }

    /// Who is elected of one kind, and what of the `known` ones stays.
    fn elect<'a>(
        &self,
        votes: impl Iterator<Item = &'a Vote>,
        known: impl Iterator<Item = Observed>,
        is_near: bool,
    ) -> Vec<Observed> {
        let votes: Vec<&Vote> = votes.filter(|vote| !self.is_gone(&vote.observed)).collect();
        let guests_decide = is_near || !votes.iter().any(|vote| vote.chosen);
        // Whom we dialled sees where we are, and not at which port we are dialled.
        let chosen = votes.iter().filter(|vote| vote.chosen);
        let seen: BTreeSet<IpAddr> = chosen.map(|vote| vote.observed.addr.ip()).collect();
        let mut ballots: BTreeMap<SocketAddr, Ballot> = BTreeMap::new();
        let mut electorate = BTreeSet::new();
        for vote in votes {
            let addr = vote.observed.addr;
            let decides = vote.chosen || guests_decide;
            if decides || seen.contains(&addr.ip()) || self.is_confirmed(addr) {
                let ballot = ballots.entry(addr).or_default();
                ballot.local |= vote.observed.local;
                ballot.fresh |= !vote.observed.doubted;
                ballot.chosen |= vote.chosen;
                ballot.votes += usize::from(decides);
                ballot.owners.insert(vote.owner);
                electorate.extend(decides.then_some(vote.owner));
            }
        }
        let is_unanimous = ballots.values().filter(|ballot| ballot.votes > 0).count() == 1;
        let mut elected = Vec::new();
        for (&addr, ballot) in &ballots {
            let is_confirmed = self.is_confirmed(addr);
            let Ballot { votes, chosen, local, fresh, .. } = *ballot;
            let owners = ballot.owners.len();
            let is_agreed = is_unanimous && (votes > 1 || chosen);
            if is_confirmed || is_near || owners > 1 || is_agreed {
                let rank = Reverse((is_confirmed, chosen || is_confirmed, owners));
                elected.push((rank, Observed { addr, local, doubted: !fresh }));
            }
        }
        elected.sort_by_key(|(rank, observed)| (*rank, observed.addr));
        let mut elected: Vec<Observed> = elected.into_iter().map(|(_, one)| one).collect();
        let is_contested = electorate.len() > usize::from(!is_near);
        let is_seen = |addr: &SocketAddr| ballots.get(addr).is_some_and(|ballot| ballot.votes > 0);
        let stays = |old: &Observed| is_seen(&old.addr) || !(is_contested || old.doubted);
        for old in known.filter(stays) {
            if elected.iter().all(|one| one.addr != old.addr) {
                elected.push(old);
            }
        }
        elected.truncate(MAX_OBSERVED_ADDRESSES / 3);
        elected
    }
}
