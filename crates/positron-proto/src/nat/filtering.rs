//! From whom packets are let in: whom to ask for packets, and what follows from those that come.

use std::{
    collections::VecDeque,
    net::{SocketAddr, SocketAddrV4},
    num::NonZeroU16,
};

use super::{
    NatCounters, NatEffect, NatMessage, StrangerProbe,
    contacted::Contacted,
    family_test::{FamilyTest, MappedPlace},
    message::ProbeStep,
    trial_question::{AwaitedPacket, TrialQuestion},
    trial_sockets::TrialSockets,
    trials::{DatagramPeer, Filtering, FilteringTrial, TrialSender},
};
use crate::{
    datagram::contract::{ExtraSocket, StunAnswered},
    id::NodeId,
    limits::{FRESH_SOCKET_LIFE, FRESH_SOCKETS, MAPPING_ASKS},
    netgroup::Owner,
    rng::Rng,
    scope::{canonical, is_own_name},
    time::Instant,
};

/// Finds out who is let in: asks peers to send from another port, and to have strangers send (RFC
/// 5780, section 4.4, where one server has two ports and two addresses).
///
/// **Contract.** Tell it of everything that leaves the listening socket
/// ([`handle_sent`](Self::handle_sent)), of each new peer, of what peers say and of every STUN
/// answer. What it wants done is appended to `out`.
///
/// **Questions.** First for packets from other ports of peers. If one gets in, for strangers'
/// packets; where three answers name nobody who is one, from sockets of their own that send to one
/// peer alone, so that everybody else is a stranger to them, if that peer's other port gets in
/// there. What a router lets in to such a socket it lets in to the listening one: the listening
/// one may be open to more, where somebody opened its port in the router.
///
/// **Verdict.** What arrives is proof. From an address that we sent nothing to for
/// [`CONTACT_LIFE`](crate::limits::CONTACT_LIFE): *endpoint-independent*; from a port that we sent
/// nothing to of one that we did: not *address and port-dependent*. Silence proves little: a peer
/// may lie, and a packet may be lost. So *address and port-dependent* takes
/// [`FILTERING_HELPERS`](crate::limits::FILTERING_HELPERS) peers of as many owners whose other
/// ports were silent, and *address-dependent* as many silent strangers of as many owners, asked by
/// peers of as many owners. All else is the little that is known, or *unknown*, never a guess. A
/// verdict is looked into again every [`FILTERING_AGAIN`](crate::limits::FILTERING_AGAIN), and
/// stands for [`FILTERING_LIFE`](crate::limits::FILTERING_LIFE) without that.
///
/// A port that a router mapped is tested beside, by strangers alone.
///
/// **Bounds**: as many questions under way in each family as it takes owners, so many of each peer
/// in a round, so many pieces of evidence and sockets as `limits` says.
#[derive(Debug)]
pub struct FilteringTests {
    contacted: Contacted,
    ipv4: FamilyTest,
    ipv6: FamilyTest,
    /// At a port that a router mapped, over IPv4.
    mapped: Option<FamilyTest>,
    sockets: TrialSockets,
    rng: Rng,
    counters: NatCounters,
}

impl FilteringTests {
    /// Nothing is known.
    pub(super) fn new(rng: Rng) -> Self {
        Self {
            contacted: Contacted::default(),
            ipv4: FamilyTest::default(),
            ipv6: FamilyTest::default(),
            mapped: None,
            sockets: TrialSockets::new(FRESH_SOCKETS),
            rng,
            counters: NatCounters::default(),
        }
    }

    /// Datagrams leave our listening socket.
    pub fn handle_sent(&mut self, now: Instant, to: SocketAddr) {
        if !is_own_name(to.ip()) {
            self.contacted.handle_sent(now, to);
        }
    }

    /// A peer is linked over datagrams, or has become so.
    pub fn peer_up(&mut self, now: Instant, addr: SocketAddr) {
        if matches!(Owner::of(addr), Owner::Network(_)) {
            let is_ipv6 = canonical(addr).is_ipv6();
            let family = if is_ipv6 { &mut self.ipv6 } else { &mut self.ipv4 };
            family.peer_up(now);
            if let Some(mapped) = self.mapped.as_mut().filter(|_| !is_ipv6) {
                mapped.peer_up(now);
            }
        }
    }

    /// A router says that strangers get in here, or says so no more. Whether it is also where peers
    /// see us: then the router lets in strangers there from now on, if it does what it says.
    pub(super) fn handle_mapped(&mut self, now: Instant, at: Option<SocketAddrV4>, is_seen: bool) {
        let place = at.and_then(|at| {
            let (ip, port) = (*at.ip(), NonZeroU16::new(at.port())?);
            Some(MappedPlace { ip, port, is_set_apart: !is_seen })
        });
        let Some(place) = place else { return self.mapped = None };
        if let Some(test) = &mut self.mapped
            && test.mapped().is_some_and(|it| (it.ip, it.port) == (place.ip, place.port))
        {
            return test.set_apart(place.is_set_apart);
        }
        self.mapped = Some(FamilyTest::begun(now, Some(place)));
        if is_seen && self.ipv4.verdict(now) != Filtering::EndpointIndependent {
            self.ipv4 = FamilyTest::begun(now, None);
        }
    }

    /// What was found out about the mapped port.
    pub(super) fn mapped_verdict(&self, now: Instant) -> Filtering {
        self.mapped.as_ref().map(|test| test.verdict(now)).unwrap_or_default()
    }

    /// This machine is somewhere else: nothing that was found is of use.
    pub(super) fn handle_network_changed(&mut self) {
        (self.ipv4, self.ipv6) = (FamilyTest::default(), FamilyTest::default());
        if let Some(test) = &mut self.mapped {
            *test = FamilyTest::begun(Instant::ORIGIN, test.mapped());
        }
    }

    /// A linked peer answers what it was asked.
    pub fn handle_answer(&mut self, now: Instant, from: NodeId, probe: &StrangerProbe) {
        let StrangerProbe { id, step } = probe;
        let tests = [&mut self.ipv4, &mut self.ipv6].into_iter().chain(&mut self.mapped);
        for family in tests {
            if let Some(question) = family.question(id).filter(|asked| asked.of.peer == from) {
                family.handle_answer(now, &question, step, &self.contacted);
            }
        }
    }

    /// A STUN answer came; whether it was one that a peer was asked for.
    pub fn handle_stun_answer(
        &mut self,
        now: Instant,
        answered: &StunAnswered,
        out: &mut VecDeque<NatEffect>,
    ) -> bool {
        let (socket, from) = ExtraSocket::split(answered.from);
        let from = canonical(from);
        // Somebody near says nothing of what stands before us.
        if is_own_name(from.ip()) || !matches!(Owner::of(from), Owner::Network(_)) {
            return false;
        }
        let (has_ip, has_port) =
            (self.contacted.has(now, from.ip()), self.contacted.has_port(now, from));
        let family = if from.is_ipv6() { &mut self.ipv6 } else { &mut self.ipv4 };
        let mapped = self.mapped.as_mut().filter(|_| from.is_ipv4());
        let asked = [family].into_iter().chain(mapped).find_map(|test| {
            let question = test.question(&answered.id).filter(|asked| asked.socket == socket)?;
            Some((test, question))
        });
        let Some((family, question)) = asked else { return false };
        if !family.is_tried_at(answered.mapped) {
            return true; // it came in elsewhere
        }
        if question.awaits == AwaitedPacket::Mapping {
            let port = answered.mapped.and_then(|mapped| NonZeroU16::new(mapped.port()));
            if from != canonical(question.of.addr) || port.is_none() {
                return true;
            }
            let awaits = AwaitedPacket::OtherPort { is_sent: false };
            let next = TrialQuestion { port, ..question.then(now, awaits, &mut self.rng) };
            family.replace(question.id, next);
            say(&next, out);
            return true;
        }
        let sender = match socket {
            Some(_) => question.sender_to_fresh(from),
            None if !has_ip => Some(TrialSender::Stranger),
            None => family.known_sender(from, has_port),
        };
        match sender {
            // Whoever is at an address that was sent to is let in for that reason.
            None => family.go_on(now, question.id),
            Some(sender) => {
                let next = family.handle_arrival(now, &question, (sender, from), &mut self.rng);
                if let Some(next) = next {
                    say(&next, out);
                }
            }
        }
        true
    }

    /// When something is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let tests = [&self.ipv4, &self.ipv6].into_iter().chain(&self.mapped);
        tests.filter_map(FamilyTest::due).chain(self.sockets.poll_timeout()).min()
    }

    /// Does what is due.
    pub fn handle_timeout(
        &mut self,
        now: Instant,
        peers: &[DatagramPeer],
        out: &mut VecDeque<NatEffect>,
    ) {
        if self.sockets.poll_timeout().is_some_and(|at| at <= now) {
            self.sockets.handle_timeout(now, out);
            self.ipv4.handle_room(now);
        }
        let families = [(false, &mut self.ipv4), (true, &mut self.ipv6)];
        let mapped = self.mapped.iter_mut().map(|test| (false, test));
        for (is_ipv6, family) in families.into_iter().chain(mapped) {
            if family.due().is_none_or(|at| at > now) {
                continue;
            }
            family.count_silence(now);
            let fits = |peer: &&DatagramPeer| {
                peer.addr.is_ipv6() == is_ipv6 && matches!(Owner::of(peer.addr), Owner::Network(_))
            };
            let askable: Vec<DatagramPeer> = peers.iter().filter(fits).copied().collect();
            loop {
                // Other sockets speak IPv4 alone.
                let open = || {
                    let has = !is_ipv6;
                    has.then(|| self.sockets.open(now, FRESH_SOCKET_LIFE, out)).flatten()
                };
                let Some(question) = family.ask(now, &askable, &mut self.rng, open) else { break };
                self.counters.filtering_asked += 1;
                say(&question, out);
            }
        }
    }

    /// What was found in one family.
    pub(super) fn verdict(&self, now: Instant, is_ipv6: bool) -> (Filtering, Vec<FilteringTrial>) {
        let family = if is_ipv6 { &self.ipv6 } else { &self.ipv4 };
        (family.verdict(now), family.evidence(now))
    }

    /// What happened and what was dropped.
    pub const fn counters(&self) -> NatCounters {
        self.counters
    }
}

/// Says what is asked now.
fn say(question: &TrialQuestion, out: &mut VecDeque<NatEffect>) {
    let id = question.id;
    let step = match (question.awaits, question.port) {
        (AwaitedPacket::Mapping, _) => {
            let path = question.socket.and_then(|socket| socket.path(question.of.addr));
            let asks = path.into_iter().flat_map(|to| (0..MAPPING_ASKS).map(move |_| to));
            return out.extend(asks.map(|to| NatEffect::Ask { to, id, hops: None }));
        }
        (AwaitedPacket::OtherPort { .. }, port) => ProbeStep::OtherPort(port),
        (AwaitedPacket::Stranger(_), Some(port)) => ProbeStep::AskAt(port),
        (AwaitedPacket::Stranger(_), None) => ProbeStep::Ask,
    };
    let message = NatMessage::Probe(StrangerProbe { id, step });
    out.push_back(NatEffect::Send { to: question.of.peer, message });
}
