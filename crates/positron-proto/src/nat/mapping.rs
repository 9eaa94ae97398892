//! How our port is mapped: the verdict, and the evidence for it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::{IpAddr, SocketAddr},
};

use super::{
    NatCounters, NatEffect, OwnPlaces,
    filtering::FilteringTests,
    mapped_port::{MappedPort, MappedState, RouterNews},
    port_mapper::{PortMapper, PortWish},
    strangers::Strangers,
    trials::{Filtering, FilteringTrial, TrialSender},
};
use crate::{
    handshake::Direction,
    id::NodeId,
    limits::{MAPPING_OWNERS, MAX_INTERFACE_ADDRESSES, MAX_SIGHTINGS, SIGHTING_LIFE},
    netgroup::Owner,
    rng::Seed,
    scope::{Scope, canonical},
    time::{Duration, Instant},
};

/// How a translator maps our listening UDP socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PortMapping {
    /// To one address and port towards everybody, or not at all: others reach us there, if nothing
    /// filters.
    Same,
    /// To another port towards each: what one peer sees is of no use to another.
    Varies,
    /// Nobody knows: too few peers said where they see us.
    #[default]
    Unknown,
}

/// What is known of the translators before a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct NatInfo {
    /// Over IPv4.
    pub ipv4: FamilyNat,
    /// Over IPv6, where an address is seldom translated.
    pub ipv6: FamilyNat,
    /// The port that the router was asked to map, if the operator wants that.
    pub port_mapping: Option<MappedPort>,
}

/// What is known of one family.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct FamilyNat {
    /// Where the internet sees our listening UDP socket: what the operator says, or what most
    /// owners of peers see, if our port is mapped to the [same](PortMapping::Same) everywhere.
    pub public_addresses: Vec<SocketAddr>,
    /// The IP address of them, which is known before the port is.
    pub public_ip: Option<IpAddr>,
    /// How our port is mapped.
    pub mapping: PortMapping,
    /// From whom packets are let in.
    pub filtering: Filtering,
    /// Whether another machine has the address at which we are seen; `None` if nobody knows.
    pub behind_nat: Option<bool>,
    /// Whether the operator named the address, which goes before all that peers see.
    pub is_forced: bool,
    /// Who saw us where, in order of their ids.
    pub evidence: Vec<SeenAt>,
    /// Which packets were sent to us to find that out, the last as the last.
    pub filtering_evidence: Vec<FilteringTrial>,
    #[serde(skip)]
    owners: OwnersWhoSee,
}

/// How many owners of peers say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct OwnersWhoSee {
    /// They see our public IP address.
    ip: usize,
    /// They see a port of our listening UDP socket there.
    any_port: usize,
    /// They see the port that most of them see.
    port: Option<(SocketAddr, usize)>,
}

/// One peer's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SeenAt {
    /// Who said so.
    pub peer: NodeId,
    /// Where it saw us.
    pub addr: SocketAddr,
    /// Whether it saw our listening UDP socket; of another it tells our IP address only.
    pub is_listening_socket: bool,
    /// How long ago it said so.
    #[serde(serialize_with = "seconds")]
    pub age: Duration,
}

/// Where a peer sees us, as it just said.
#[derive(Clone, Copy, Debug)]
pub struct Sighting {
    /// The peer.
    pub peer: NodeId,
    /// Where we see the peer: whose it is.
    pub from: SocketAddr,
    /// Who dialled.
    pub direction: Direction,
    /// Where it sees us.
    pub seen: SocketAddr,
    /// Whether the link goes over our listening UDP socket.
    pub is_listening_socket: bool,
}

/// Keeps where peers see us, and judges by it.
///
/// *Same* needs [`MAPPING_OWNERS`] owners of peers (a /16 of IPv4, a /32 of IPv6) who see one
/// address and port, and more than see all other ports there. *Varies* needs as many who see one
/// address, and no port that more than half of them see. All else is *unknown*, never a guess. Of
/// several addresses that one counts which most owners see.
///
/// Only words from the internet about the internet count: on a private network everybody sees us
/// as we are. A link from a port of its own, as over TCP, says nothing of the mapping.
///
/// A peer's word stands while it is linked and [`SIGHTING_LIFE`] longer. When one sees another
/// address than before, that of all who left is forgotten: it was of the old one. So it is when the
/// machine changes its network; a word of who is linked then stands while its link does, because
/// who sees us elsewhere says so, and who sees us where we were says nothing.
///
/// **Bounds**: [`MAX_SIGHTINGS`] peers.
#[derive(Debug)]
pub struct Nat {
    /// Where the operator says that others reach us.
    external: Vec<SocketAddr>,
    interfaces: BTreeSet<IpAddr>,
    seen: BTreeMap<NodeId, Kept>,
    /// From whom packets are let in.
    pub(crate) filtering: FilteringTests,
    /// What is done so that others find that out.
    pub(crate) strangers: Strangers,
    /// The router of this network, if it is to map our port.
    pub(crate) router: Option<PortMapper>,
}

/// A word that counts.
#[derive(Clone, Copy, Debug)]
struct Kept {
    addr: SocketAddr,
    owner: Owner,
    is_listening_socket: bool,
    /// Whether we dialled who said it.
    chosen: bool,
    at: Instant,
    /// Since when it is linked no more.
    gone: Option<Instant>,
    /// Whether the machine has changed its network since.
    is_doubted: bool,
}

impl Nat {
    /// Nothing is known but what the operator says.
    pub fn new(external: &[SocketAddr], seed: &Seed) -> Self {
        Self {
            external: external.iter().copied().map(canonical).collect(),
            interfaces: BTreeSet::new(),
            seen: BTreeMap::new(),
            filtering: FilteringTests::new(seed.stream("filtering")),
            strangers: Strangers::new(seed.stream("strangers")),
            router: None,
        }
    }

    /// Has the port mapped by the router of this network, too.
    #[must_use]
    pub fn with_port_mapping(self, wish: PortWish) -> Self {
        Self { router: Some(PortMapper::new(wish)), ..self }
    }

    /// The addresses of this machine's interfaces, all of them: at first, and whenever the machine
    /// changes its network.
    pub fn handle_interfaces(&mut self, addresses: &[IpAddr]) {
        let addresses = addresses.iter().take(MAX_INTERFACE_ADDRESSES).map(IpAddr::to_canonical);
        let before = core::mem::replace(&mut self.interfaces, addresses.collect());
        if !before.is_empty() {
            self.filtering.handle_network_changed();
        }
        self.seen.retain(|_, kept| kept.gone.is_none());
        for kept in self.seen.values_mut() {
            kept.is_doubted = true;
        }
    }

    /// A linked peer says where it sees us.
    pub fn handle_seen(&mut self, now: Instant, sighting: Sighting) {
        let Sighting { peer, from, direction, seen, is_listening_socket } = sighting;
        let (addr, owner) = (canonical(seen), Owner::of(from));
        let of_internet = Scope::of(addr.ip()) == Some(Scope::Public) && addr.port() != 0;
        if !of_internet || !matches!(owner, Owner::Network(_)) {
            return;
        }
        self.forget_old(now);
        let before = self.seen.get(&peer).map(|before| before.addr.ip());
        if before.is_some_and(|ip| ip != addr.ip() && ip.is_ipv4() == addr.is_ipv4()) {
            self.seen.retain(|_, kept| kept.gone.is_none() || kept.addr.ip() == addr.ip());
        }
        if before.is_none() && !self.has_room() {
            return;
        }
        let chosen = direction == Direction::Outbound;
        let (gone, is_doubted) = (None, false);
        let kept = Kept { addr, owner, is_listening_socket, chosen, at: now, gone, is_doubted };
        self.seen.insert(peer, kept);
    }

    /// The router, or our address on the way there, is another one, or it said something; and the
    /// port at which we listen.
    pub(crate) fn handle_router(
        &mut self,
        now: Instant,
        news: RouterNews,
        port: u16,
        out: &mut VecDeque<NatEffect>,
    ) {
        let Some(router) = &mut self.router else { return };
        match news {
            RouterNews::Gateway(gateway) => router.handle_gateway(now, gateway, port, out),
            RouterNews::Answered { from, bytes } => router.handle_answer(now, from, &bytes, out),
        }
        self.look_at_mapped(now, out);
    }

    /// Asks the router what is due.
    pub(crate) fn handle_router_timeout(&mut self, now: Instant, out: &mut VecDeque<NatEffect>) {
        let is_due = |router: &&mut PortMapper| router.poll_timeout().is_some_and(|at| at <= now);
        if let Some(router) = self.router.as_mut().filter(is_due) {
            router.handle_timeout(now, out);
            self.look_at_mapped(now, out);
        }
    }

    /// The node stops: its port is mapped no more.
    pub(crate) fn stop(&mut self, now: Instant, out: &mut VecDeque<NatEffect>) {
        if let Some(router) = &mut self.router {
            router.stop(now, out);
        }
    }

    /// What the router says, or where peers see us, may have changed: a port that it mapped is
    /// tried if the router is where we are seen. Whoever is asked sends to no other address.
    pub(crate) fn look_at_mapped(&mut self, now: Instant, out: &mut VecDeque<NatEffect>) {
        let Some(router) = &self.router else { return };
        let public_ip = self.of_family(now, false).public_ip;
        let at = router.external().filter(|at| public_ip == Some((*at.ip()).into()));
        let is_seen = self.seen.values().any(|kept| Some(kept.addr) == at.map(SocketAddr::from));
        self.filtering.handle_mapped(now, at, is_seen);
        out.push_back(NatEffect::StateAnew);
    }

    /// A session is over.
    pub fn peer_down(&mut self, now: Instant, peer: &NodeId) {
        if self.seen.get(peer).is_some_and(|kept| kept.is_doubted) {
            self.seen.remove(peer);
        } else if let Some(kept) = self.seen.get_mut(peer) {
            kept.gone = Some(now);
        }
        self.strangers.peer_down(peer);
    }

    /// Where a peer may find us that is willing to try: beside what is sure, whatever peers say of
    /// our listening socket, the newest first.
    pub(crate) fn places(&self, now: Instant, port: u16) -> OwnPlaces {
        let mut seen: Vec<_> = self.seen.values().filter(|it| it.is_listening_socket).collect();
        seen.sort_by_key(|kept| (kept.gone.is_some(), core::cmp::Reverse(kept.at)));
        let info = self.info(now);
        let is_usable =
            |it: &&MappedPort| matches!(it.state, MappedState::Verified | MappedState::Unverified);
        let mapped = info.port_mapping.as_ref().filter(is_usable).and_then(|it| it.external);
        // A router is not believed to be where no peer sees us: who looks for us would send there.
        let mapped = mapped.filter(|at| info.ipv4.public_ip == Some(at.ip()));
        let public = mapped.into_iter().chain(info.public_addresses());
        let public = public.chain(seen.iter().map(|kept| kept.addr));
        // Two who see different ports are enough to try: it costs nobody else anything.
        let is_translated = |kept: &&Kept| Some(kept.addr.ip()) == info.ipv4.public_ip;
        let mut ports = seen.iter().copied().filter(is_translated).map(|kept| kept.addr.port());
        let first = ports.next();
        let is_same = info.ipv4.is_forced || info.ipv4.mapping == PortMapping::Same;
        let port_varies = !is_same && ports.any(|port| Some(port) != first);
        OwnPlaces {
            public: public.collect(),
            interfaces: self.interfaces.iter().copied().collect(),
            port,
            port_varies,
        }
    }

    /// What is known, with the age of each word.
    pub fn info(&self, now: Instant) -> NatInfo {
        let (ipv4, ipv6) = (self.of_family(now, false), self.of_family(now, true));
        let port_mapping = self.router.as_ref().map(|router| {
            let mut told = router.told();
            let seen_at = ipv4.public_ip;
            told.state = match (told.external, self.filtering.mapped_verdict(now)) {
                (None, _) => MappedState::None,
                (Some(at), _) if seen_at.is_some_and(|ip| ip != at.ip()) => MappedState::Elsewhere,
                (_, Filtering::EndpointIndependent) => MappedState::Verified,
                (_, found) if found.is_shut() => MappedState::Shut,
                _ => MappedState::Unverified,
            };
            told
        });
        NatInfo { ipv4, ipv6, port_mapping }
    }

    /// When something is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let router = self.router.as_ref().and_then(PortMapper::poll_timeout);
        let rooms = [self.filtering.poll_timeout(), self.strangers.poll_timeout(), router];
        rooms.into_iter().flatten().min()
    }

    /// What happened and what was dropped.
    pub fn counters(&self) -> NatCounters {
        let router = self.router.as_ref().map(PortMapper::counters).unwrap_or_default();
        self.filtering.counters() + self.strangers.counters() + router
    }

    fn of_family(&self, now: Instant, is_ipv6: bool) -> FamilyNat {
        let fits = |kept: &Kept| kept.addr.is_ipv6() == is_ipv6 && !kept.is_old(now);
        let kept = || self.seen.iter().filter(|(_, kept)| fits(kept));
        let evidence = kept().map(|(peer, kept)| SeenAt {
            peer: *peer,
            addr: kept.addr,
            is_listening_socket: kept.is_listening_socket,
            age: now.since(kept.at),
        });
        let forced = self.external.iter().filter(|addr| addr.is_ipv6() == is_ipv6);
        let forced: Vec<SocketAddr> = forced.copied().collect();
        let words: Vec<Kept> = kept().map(|(_, kept)| *kept).collect();
        let mut info = FamilyNat { evidence: evidence.collect(), ..judged(&words) };
        if let Some(first) = forced.first() {
            info.public_ip = Some(first.ip());
            info.mapping = PortMapping::Same;
            info.public_addresses = forced;
            info.is_forced = true;
        }
        let (found, trials) = self.filtering.verdict(now, is_ipv6);
        info.filtering = if info.is_forced { Filtering::EndpointIndependent } else { found };
        info.filtering_evidence = trials;
        let is_ours = |ip: IpAddr| self.interfaces.contains(&ip);
        let is_told = info.is_forced || info.public_ip.is_some_and(|ip| is_believed(ip, &words));
        info.behind_nat = info.public_ip.and_then(|ip| match is_ours(ip) {
            true => Some(false),
            false => (is_told && !self.interfaces.is_empty()).then_some(true),
        });
        info
    }

    fn forget_old(&mut self, now: Instant) {
        self.seen.retain(|_, kept| !kept.is_old(now));
    }

    /// Makes room, if anybody is there who left.
    fn has_room(&mut self) -> bool {
        if self.seen.len() < MAX_SIGHTINGS {
            return true;
        }
        let gone = self.seen.iter().filter_map(|(peer, kept)| Some((kept.gone?, *peer)));
        let oldest = gone.min();
        oldest.is_some_and(|(_, peer)| self.seen.remove(&peer).is_some())
    }
}

impl NatInfo {
    /// Whether the node is behind a translator: over IPv4, or over IPv6 if only that is known.
    pub fn is_behind_nat(&self) -> Option<bool> {
        self.ipv4.behind_nat.or(self.ipv6.behind_nat)
    }

    /// Where strangers are known to get in, because the router mapped the port.
    pub fn mapped_address(&self) -> Option<SocketAddr> {
        self.port_mapping.as_ref().and_then(MappedPort::verified)
    }

    /// Where the internet sees the node, IPv4 first.
    pub fn public_addresses(&self) -> impl Iterator<Item = SocketAddr> {
        [&self.ipv4, &self.ipv6].into_iter().flat_map(|family| &family.public_addresses).copied()
    }

    /// In one line, for people.
    pub fn in_words(&self) -> String {
        let (ipv4, ipv6) = (self.ipv4.in_words(), self.ipv6.in_words());
        match (ipv4, ipv6) {
            (None, None) => "unknown: no peer on the internet has said how it sees us".to_owned(),
            (Some(one), None) => one,
            (None, Some(other)) => format!("IPv6: {other}"),
            (Some(one), Some(other)) => format!("{one}; IPv6: {other}"),
        }
    }
}

impl FamilyNat {
    /// Whether strangers are known not to get in: the operator says no address, and none that peers
    /// see is of use to others.
    pub fn is_shut(&self) -> bool {
        let is_varying = self.mapping == PortMapping::Varies;
        !self.is_forced && (is_varying || self.filtering.is_shut())
    }

    /// `None` if nothing is known.
    fn in_words(&self) -> Option<String> {
        let mapping = self.mapping_in_words()?;
        let filtering = self.filtering_in_words().filter(|_| !self.is_forced);
        Some(match filtering {
            Some(filtering) => format!("{mapping}; {filtering}"),
            None => mapping,
        })
    }

    fn filtering_in_words(&self) -> Option<String> {
        let tried = |by, got_in| {
            let is_it = |it: &&FilteringTrial| it.sender == by && it.arrived == got_in;
            let found = || self.filtering_evidence.iter().filter(is_it);
            let last = found().map(|it| it.age.as_secs()).min().unwrap_or(0);
            let how = if got_in { "got in" } else { "did not get in" };
            format!("{} that tried {how}, the last {last} s ago", found().count())
        };
        let stranger = |got_in| tried(TrialSender::Stranger, got_in);
        let other_port = |got_in| tried(TrialSender::AnotherPort, got_in);
        Some(match self.filtering {
            Filtering::EndpointIndependent => {
                format!("strangers are let in: {}", stranger(true))
            }
            Filtering::AddressDependent => format!(
                "who was sent to is let in from every port, and strangers are not: {}",
                stranger(false)
            ),
            Filtering::AddressAndPortDependent => format!(
                "who was sent to is let in from that port only: of other ports, {}",
                other_port(false)
            ),
            Filtering::AtMostAddressDependent => format!(
                "who was sent to is let in from every port: {}; whether strangers are is not known",
                other_port(true)
            ),
            Filtering::Dependent => format!("strangers are not let in: {}", stranger(false)),
            Filtering::Unknown => return None,
        })
    }

    fn mapping_in_words(&self) -> Option<String> {
        let ip = self.public_ip?;
        let behind = match self.behind_nat {
            Some(true) => "behind a NAT",
            Some(false) => "no NAT",
            None => "perhaps behind a NAT",
        };
        let OwnersWhoSee { ip: of_ip, any_port, port } = self.owners;
        let peers = |owners| match owners {
            1 => "peers of one network".to_owned(),
            _ => format!("peers of {owners} networks"),
        };
        let sure = MAPPING_OWNERS;
        Some(match (self.mapping, self.public_addresses.first(), port) {
            (_, Some(at), _) if self.is_forced => {
                format!("{behind}: {at}, by `external_addresses`")
            }
            (PortMapping::Same, Some(at), Some((_, owners))) => {
                format!("{behind}: seen as {at} by {}", peers(owners))
            }
            (PortMapping::Varies, ..) => {
                format!("{behind}: {ip}, and another port for each, by {}", peers(any_port))
            }
            (_, _, None) => {
                let by = peers(of_ip);
                format!("{behind}: seen as {ip} by {by}, and none of them sees our UDP port")
            }
            (_, _, Some((at, owners))) if owners == any_port => {
                let by = peers(owners);
                format!("{behind}: seen as {at} by {by} so far; it takes {sure} to be sure")
            }
            (_, _, Some((at, owners))) => {
                let by = peers(any_port);
                format!(
                    "{behind}: seen as {ip} by {by}, of which {owners} see port {} and others \
                     another; it takes {sure} that agree to be sure",
                    at.port()
                )
            }
        })
    }
}

impl Kept {
    fn is_old(&self, now: Instant) -> bool {
        self.gone.is_some_and(|gone| now.since(gone) >= SIGHTING_LIFE)
    }
}

/// What follows from words about one family, without what this machine itself knows.
fn judged(words: &[Kept]) -> FamilyNat {
    let mut by_ip: BTreeMap<IpAddr, BTreeSet<Owner>> = BTreeMap::new();
    for word in words {
        by_ip.entry(word.addr.ip()).or_default().insert(word.owner);
    }
    // Of as many the one that was said last.
    let said = |ip: &IpAddr| words.iter().filter(|w| w.addr.ip() == *ip).map(|w| w.at).max();
    let most = by_ip.iter().max_by_key(|(ip, owners)| (owners.len(), said(ip)));
    let Some((&ip, of_ip)) = most else { return FamilyNat::default() };
    let mut by_port: BTreeMap<SocketAddr, BTreeSet<Owner>> = BTreeMap::new();
    for word in words.iter().filter(|word| word.is_listening_socket && word.addr.ip() == ip) {
        by_port.entry(word.addr).or_default().insert(word.owner);
    }
    let all: BTreeSet<Owner> = by_port.values().flatten().copied().collect();
    let best = by_port.iter().max_by_key(|(_, owners)| owners.len());
    let best = best.map(|(addr, owners)| (*addr, owners.len()));
    let agree = best.map_or(0, |(_, owners)| owners);
    let is_most = agree * 2 > all.len();
    let mapping = match is_most {
        true if agree >= MAPPING_OWNERS => PortMapping::Same,
        false if all.len() >= MAPPING_OWNERS => PortMapping::Varies,
        _ => PortMapping::Unknown,
    };
    let at = best.filter(|_| mapping == PortMapping::Same).map(|(addr, _)| addr);
    let public_addresses = Vec::from_iter(at);
    let owners = OwnersWhoSee { ip: of_ip.len(), any_port: all.len(), port: best };
    FamilyNat { public_addresses, public_ip: Some(ip), mapping, owners, ..FamilyNat::default() }
}

/// Whether an address that no interface has is believed to be ours: two owners see it, or all who
/// see any, and we dialled one of them.
fn is_believed(ip: IpAddr, words: &[Kept]) -> bool {
    let of_it = || words.iter().filter(|word| word.addr.ip() == ip);
    let owners: BTreeSet<Owner> = of_it().map(|word| word.owner).collect();
    let is_unanimous = of_it().count() == words.len();
    owners.len() > 1 || (is_unanimous && of_it().any(|word| word.chosen))
}

fn seconds<S: serde::Serializer>(age: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(age.as_secs())
}
