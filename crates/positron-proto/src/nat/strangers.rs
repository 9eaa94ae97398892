//! What a node does for others that ask from whom their packets are let in.

use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, SocketAddr},
    num::NonZeroU16,
};

use super::{
    NatCounters, NatEffect, NatMessage,
    message::{ProbeStep, StrangerProbe},
    trial_sockets::TrialSockets,
    trials::DatagramPeer,
};
use crate::{
    allowance::Allowance,
    id::NodeId,
    limits::{
        FILTERING_PROBES_BURST, FILTERING_PROBES_PACE, MAX_PROBED_ADDRESSES, SECOND_PORT_LIFE,
        SECOND_PORTS,
    },
    lru::LruMap,
    netgroup::counted,
    rng::Rng,
    scope::{Group, Scope, canonical, is_plausible},
    time::Instant,
    wire::Address,
};

/// Has strangers send to peers that ask for it, sends as a stranger, and sends from another port.
///
/// Who asks is only ever sent to where we see it, at most at another port of that address, so it
/// can aim at nobody but those who share it. Who passes that on names an address on its word: it
/// gets one packet, as long as a STUN answer, no more of them than the bounds allow.
///
/// The other port is that of a socket which all share that ask, and which is closed when nobody did
/// for [`SECOND_PORT_LIFE`].
///
/// **Bounds**: [`FILTERING_PROBES_BURST`] a minute for who asks for strangers and as many for who
/// asks for another port, by whom we ask, for whom we are asked, and to one IP address (IPv6: /64),
/// of which [`MAX_PROBED_ADDRESSES`] are known; one socket.
#[derive(Debug)]
pub struct Strangers {
    per_peer: BTreeMap<NodeId, Allowances>,
    per_address: LruMap<IpAddr, Allowance>,
    /// At most one.
    second_port: TrialSockets,
    rng: Rng,
    counters: NatCounters,
}

#[derive(Debug, Default)]
struct Allowances {
    /// What it asks for itself, of strangers.
    asks: Allowance,
    /// What it asks for itself, of us.
    other_ports: Allowance,
    /// What it asks for others.
    passes: Allowance,
    /// What we ask of it for others.
    sends: Allowance,
}

impl Strangers {
    /// Nobody has asked yet.
    pub(super) fn new(rng: Rng) -> Self {
        Self {
            per_peer: BTreeMap::new(),
            per_address: LruMap::new(MAX_PROBED_ADDRESSES),
            second_port: TrialSockets::new(SECOND_PORTS),
            rng,
            counters: NatCounters::default(),
        }
    }

    /// A session is over.
    pub(super) fn peer_down(&mut self, peer: &NodeId) {
        self.per_peer.remove(peer);
    }

    /// A linked peer asks for something, while these are linked over datagrams.
    pub fn handle_request(
        &mut self,
        now: Instant,
        from: NodeId,
        probe: &StrangerProbe,
        peers: &[DatagramPeer],
        out: &mut VecDeque<NatEffect>,
    ) {
        match &probe.step {
            ProbeStep::Ask => self.handle_ask(now, (from, None), probe, peers, out),
            ProbeStep::AskAt(port) => self.handle_ask(now, (from, Some(*port)), probe, peers, out),
            ProbeStep::OtherPort(port) => {
                self.handle_other_port(now, (from, *port), probe, peers, out);
            }
            ProbeStep::Send(to) => self.handle_send(now, from, probe, to, out),
            ProbeStep::Asked(_) | ProbeStep::Nobody | ProbeStep::Sent => {}
        }
    }

    /// When something is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.second_port.poll_timeout()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut VecDeque<NatEffect>) {
        self.second_port.handle_timeout(now, out);
    }

    fn handle_ask(
        &mut self,
        now: Instant,
        (from, port): (NodeId, Option<NonZeroU16>),
        &StrangerProbe { id, .. }: &StrangerProbe,
        peers: &[DatagramPeer],
        out: &mut VecDeque<NatEffect>,
    ) {
        if !pay(&mut self.per_peer.entry(from).or_default().asks, now) {
            self.counters.filtering_refused += 1;
            return;
        }
        let asker = place(from, port, peers);
        let stranger = asker.and_then(|asker| self.choose(now, asker, peers));
        let step = stranger.map_or(ProbeStep::Nobody, |it| ProbeStep::Asked(it.addr.into()));
        let mut say = |to, step| {
            let message = NatMessage::Probe(StrangerProbe { id, step });
            out.push_back(NatEffect::Send { to, message });
        };
        if let (Some(stranger), Some(asker)) = (stranger, asker) {
            say(stranger.peer, ProbeStep::Send(asker.into()));
        }
        say(from, step);
    }

    /// Sends from another port than all else, once.
    fn handle_other_port(
        &mut self,
        now: Instant,
        (from, port): (NodeId, Option<NonZeroU16>),
        &StrangerProbe { id, .. }: &StrangerProbe,
        peers: &[DatagramPeer],
        out: &mut VecDeque<NatEffect>,
    ) {
        if !pay(&mut self.per_peer.entry(from).or_default().other_ports, now) {
            self.counters.filtering_refused += 1;
            return;
        }
        let asker = place(from, port, peers).filter(|at| is_plausible(*at, Scope::Public));
        // Other sockets speak IPv4 alone.
        let asker = asker.filter(|at| at.is_ipv4() && self.may_send(now, *at));
        let path = asker.and_then(|at| {
            let socket = self.second_port.share(now, SECOND_PORT_LIFE, out)?;
            socket.path(at)
        });
        let step = if path.is_some() { ProbeStep::Sent } else { ProbeStep::Nobody };
        if let Some(to) = path {
            self.counters.filtering_sent += 1;
            out.push_back(NatEffect::Answer { to, id });
        }
        let message = NatMessage::Probe(StrangerProbe { id, step });
        out.push_back(NatEffect::Send { to: from, message });
    }

    /// One that is not of the asker's network, rather one that we dialled: it lets in strangers,
    /// and loses nothing by what the asker's translator makes of its packet.
    fn choose(
        &mut self,
        now: Instant,
        asker: SocketAddr,
        peers: &[DatagramPeer],
    ) -> Option<DatagramPeer> {
        if !is_plausible(asker, Scope::Public) {
            return None;
        }
        // Who came to us may be at home: what it sends would change what its router lets in, and
        // spoil what the two may try later.
        let fits = |peer: &&DatagramPeer| {
            peer.is_dialled
                && peer.addr.is_ipv4() == asker.is_ipv4()
                && is_plausible(peer.addr, Scope::Public)
                && Group::of(peer.addr.ip()) != Group::of(asker.ip())
        };
        let mut fitting: Vec<DatagramPeer> = peers.iter().filter(fits).copied().collect();
        self.rng.shuffle(&mut fitting);
        let per_peer = &mut self.per_peer;
        fitting.into_iter().find(|it| pay(&mut per_peer.entry(it.peer).or_default().sends, now))
    }

    fn handle_send(
        &mut self,
        now: Instant,
        from: NodeId,
        &StrangerProbe { id, .. }: &StrangerProbe,
        to: &Address,
        out: &mut VecDeque<NatEffect>,
    ) {
        let to = to.socket_addr().map(canonical);
        let to = to.filter(|to| is_plausible(*to, Scope::Public));
        let may_ask = pay(&mut self.per_peer.entry(from).or_default().passes, now);
        match to {
            Some(to) if may_ask && self.may_send(now, to) => {
                self.counters.filtering_sent += 1;
                out.push_back(NatEffect::Answer { to, id });
            }
            _ => self.counters.filtering_refused += 1,
        }
    }

    fn may_send(&mut self, now: Instant, to: SocketAddr) -> bool {
        let Some(ip) = counted(to) else { return false };
        self.per_address.touch(&ip);
        if let Some(allowance) = self.per_address.get_mut(&ip) {
            return pay(allowance, now);
        }
        let mut allowance = Allowance::default();
        let paid = pay(&mut allowance, now);
        self.per_address.insert(ip, allowance);
        paid
    }

    /// What happened and what was dropped.
    pub(super) const fn counters(&self) -> NatCounters {
        self.counters
    }
}

/// Where a linked peer is seen, or another port of the same address.
fn place(peer: NodeId, port: Option<NonZeroU16>, peers: &[DatagramPeer]) -> Option<SocketAddr> {
    let at = peers.iter().find(|it| it.peer == peer)?.addr;
    Some(port.map_or(at, |port| SocketAddr::new(at.ip(), port.get())))
}

fn pay(allowance: &mut Allowance, now: Instant) -> bool {
    allowance.pay(now, FILTERING_PROBES_PACE, FILTERING_PROBES_BURST)
}
