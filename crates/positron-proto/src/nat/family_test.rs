//! Who is let in over one family, or at a mapped port: what was found, and what is under way.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU16,
};

use super::{
    contacted::Contacted,
    message::ProbeStep,
    trial_question::{AwaitedPacket, TrialKind, TrialQuestion},
    trials::{DatagramPeer, Filtering, FilteringTrial, TrialSender},
};
use crate::{
    datagram::contract::ExtraSocket,
    id::NodeId,
    limits::{
        CONTACT_LIFE, FILTERING_AGAIN, FILTERING_ASKS, FILTERING_HELPERS, FILTERING_IN_VAIN,
        FILTERING_LIFE, FILTERING_WAIT, MAPPED_OWNERS, MAX_FILTERING_EVIDENCE, OTHER_PORT_ASKS,
    },
    netgroup::Owner,
    rng::Rng,
    scope::canonical,
    stun::TransactionId,
    time::Instant,
};

/// What is known and under way in one family. [`FilteringTests`](super::FilteringTests) says how it
/// is judged.
#[derive(Debug, Default)]
pub(super) struct FamilyTest {
    /// Whether strangers are let in.
    strangers: Option<FilteringFact>,
    /// Whether every port of an address is let in that was sent to.
    ports: Option<FilteringFact>,
    evidence: VecDeque<Evidence>,
    round: TrialRound,
    /// At most [`FILTERING_HELPERS`], of peers of as many owners.
    under_way: Vec<TrialQuestion>,
    round_ends: Option<Instant>,
    /// When peers are asked next, if there are any to ask.
    ask_at: Option<Instant>,
    /// The mapped port that is tried; else it is where peers see the listening socket.
    mapped: Option<MappedPlace>,
}

/// A port that a router mapped, by its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MappedPlace {
    /// Where the router is.
    pub(super) ip: Ipv4Addr,
    pub(super) port: NonZeroU16,
    /// Whether no peer sees us at it, so that nobody gets in there because we sent to them. Then
    /// those count, too, but it takes [`MAPPED_OWNERS`] of them: one who knows where we are seen
    /// could send there instead.
    pub(super) is_set_apart: bool,
}

#[derive(Clone, Copy, Debug)]
struct FilteringFact {
    is_so: bool,
    at: Instant,
}

/// What was done and found since peers began to be asked once more.
#[derive(Debug, Default)]
struct TrialRound {
    /// Who was asked, and how often.
    asked: BTreeMap<(TrialKind, NodeId), u32>,
    /// Owners of peers and of strangers whose silence counts.
    silent: BTreeMap<TrialKind, [BTreeSet<Owner>; 2]>,
    /// How often nobody was found who is a stranger to the listening socket.
    without_strangers: u32,
    /// How often not even the peer's other port got in to a fresh socket.
    fresh_in_vain: u32,
    /// Owners of those who got in at a port set apart though they were sent to; at most
    /// [`MAPPED_OWNERS`].
    known_let_in: BTreeSet<Owner>,
    strangers: Option<bool>,
    ports: Option<bool>,
}

#[derive(Clone, Copy, Debug)]
struct Evidence {
    asked: NodeId,
    sender: TrialSender,
    from: SocketAddr,
    arrived: bool,
    is_listening_socket: bool,
    at: Instant,
}

impl FamilyTest {
    /// Nothing is known, and peers are asked at once.
    pub(super) fn begun(now: Instant, mapped: Option<MappedPlace>) -> Self {
        Self { ask_at: Some(now), mapped, ..Self::default() }
    }

    /// The mapped port that is tried.
    pub(super) const fn mapped(&self) -> Option<MappedPlace> {
        self.mapped
    }

    /// Whether what says that it was sent to this address tells something of the port that is
    /// tried.
    pub(super) fn is_tried_at(&self, sent_to: Option<SocketAddr>) -> bool {
        let is_it = |it: MappedPlace| sent_to == Some(SocketAddr::from((it.ip, it.port.get())));
        self.mapped.is_none_or(is_it)
    }

    /// Peers see us at the mapped port from now on, or do so no more.
    pub(super) fn set_apart(&mut self, is_set_apart: bool) {
        if let Some(mapped) = &mut self.mapped {
            mapped.is_set_apart = is_set_apart;
        }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.under_way.iter().map(|asked| asked.until).chain(self.ask_at).min()
    }

    pub(super) fn peer_up(&mut self, now: Instant) {
        if !self.verdict(now).is_exact() {
            self.ask_at = Some(now);
        }
    }

    /// What follows from what was found.
    pub(super) fn verdict(&self, now: Instant) -> Filtering {
        let fresh = |fact: Option<FilteringFact>| {
            fact.filter(|it| now.since(it.at) < FILTERING_LIFE).map(|it| it.is_so)
        };
        match (fresh(self.strangers), fresh(self.ports)) {
            (Some(true), _) => Filtering::EndpointIndependent,
            (_, Some(false)) => Filtering::AddressAndPortDependent,
            (Some(false), Some(true)) => Filtering::AddressDependent,
            (Some(false), None) => Filtering::Dependent,
            (None, Some(true)) => Filtering::AtMostAddressDependent,
            (None, None) => Filtering::Unknown,
        }
    }

    pub(super) fn evidence(&self, now: Instant) -> Vec<FilteringTrial> {
        let fresh = self.evidence.iter().filter(|it| now.since(it.at) < FILTERING_LIFE);
        let shown = fresh.map(|it| FilteringTrial {
            asked: it.asked,
            sender: it.sender,
            from: it.from,
            arrived: it.arrived,
            is_listening_socket: it.is_listening_socket,
            age: now.since(it.at),
        });
        shown.collect()
    }

    /// The question under way of this name.
    pub(super) fn question(&self, id: &TransactionId) -> Option<TrialQuestion> {
        self.under_way.iter().find(|asked| asked.id == *id).copied()
    }

    /// A peer answers what it was asked, once; `contacted`: whom the listening socket sent to.
    pub(super) fn handle_answer(
        &mut self,
        now: Instant,
        question: &TrialQuestion,
        step: &ProbeStep,
        contacted: &Contacted,
    ) {
        let awaits = match (step, question.awaits) {
            // Who says it again holds up nobody.
            (_, AwaitedPacket::OtherPort { is_sent: true } | AwaitedPacket::Stranger(Some(_))) => {
                return;
            }
            (ProbeStep::Sent, AwaitedPacket::OtherPort { .. }) => {
                Some(AwaitedPacket::OtherPort { is_sent: true })
            }
            (ProbeStep::Asked(stranger), AwaitedPacket::Stranger(_)) => {
                let stranger = stranger.socket_addr().map(canonical);
                let is_known = |at: &SocketAddr| match question.socket {
                    None => !self.is_set_apart() && contacted.has(now, at.ip()),
                    Some(_) => at.ip() == canonical(question.of.addr).ip(),
                };
                let stranger = stranger.filter(|at| !is_known(at));
                stranger.map(|at| AwaitedPacket::Stranger(Some(at)))
            }
            _ => None,
        };
        match (awaits, self.under_way.iter_mut().find(|asked| asked.id == question.id)) {
            // It was sent before that was said: it is due.
            (Some(awaits), Some(asked)) => {
                (asked.awaits, asked.until) = (awaits, now + FILTERING_WAIT);
            }
            _ => {
                let round = &mut self.round;
                match question.kind {
                    TrialKind::Stranger => round.without_strangers += 1,
                    // Nor can it later.
                    TrialKind::OtherPort => {
                        let asked = (TrialKind::OtherPort, question.of.peer);
                        round.asked.insert(asked, OTHER_PORT_ASKS);
                    }
                    TrialKind::FreshSocket => {}
                }
                self.go_on(now, question.id);
            }
        }
    }

    /// Who sent, if the listening socket sent to that IP address before; `has_port`: to that very
    /// port. `None` tells nothing.
    pub(super) fn known_sender(&mut self, from: SocketAddr, has_port: bool) -> Option<TrialSender> {
        match self.mapped {
            None => (!has_port).then_some(TrialSender::AnotherPort),
            Some(mapped) if mapped.is_set_apart => {
                let known = &mut self.round.known_let_in;
                known.insert(Owner::of(from));
                (known.len() >= MAPPED_OWNERS).then_some(TrialSender::Stranger)
            }
            Some(_) => None,
        }
    }

    /// A packet that was asked for came from an address that is not contacted in this way.
    pub(super) fn handle_arrival(
        &mut self,
        now: Instant,
        question: &TrialQuestion,
        (sender, from): (TrialSender, SocketAddr),
        rng: &mut Rng,
    ) -> Option<TrialQuestion> {
        let is_listening_socket = question.socket.is_none();
        let asked = question.of.peer;
        let arrived = true;
        self.learn(Evidence { asked, sender, from, arrived, is_listening_socket, at: now });
        match (sender, question.awaits) {
            (TrialSender::Stranger, _) => {
                self.conclude(now, Some(true), Some(true));
                None
            }
            (TrialSender::AnotherPort, AwaitedPacket::OtherPort { .. }) if !is_listening_socket => {
                // So the socket is open to the peer's address. Is it to others?
                let next = question.then(now, AwaitedPacket::Stranger(None), rng);
                self.replace(question.id, next);
                Some(next)
            }
            (TrialSender::AnotherPort, _) => {
                if is_listening_socket {
                    self.find_ports(now, true);
                    // What others send from other ports tells nothing more.
                    self.under_way.retain(|asked| asked.kind != TrialKind::OtherPort);
                }
                self.go_on(now, question.id);
                None
            }
        }
    }

    /// The next question takes the place of one that told what it was to tell.
    pub(super) fn replace(&mut self, id: TransactionId, next: TrialQuestion) {
        if let Some(asked) = self.under_way.iter_mut().find(|asked| asked.id == id) {
            *asked = next;
        }
    }

    /// Fresh sockets were closed: there is room for others, if they are wanted.
    pub(super) fn handle_room(&mut self, now: Instant) {
        if self.wanted().contains(&TrialKind::FreshSocket) {
            self.ask_at = Some(now);
        }
    }

    /// A question tells nothing more: the next peer is asked.
    pub(super) fn go_on(&mut self, now: Instant, id: TransactionId) {
        self.under_way.retain(|asked| asked.id != id);
        self.ask_at = Some(now);
    }

    /// What was waited for long enough is silent.
    pub(super) fn count_silence(&mut self, now: Instant) {
        let over: Vec<TrialQuestion> =
            self.under_way.extract_if(.., |asked| asked.until <= now).collect();
        for question in over {
            self.ask_at = Some(now);
            let is_listening_socket = question.socket.is_none();
            let (sender, from) = match question.awaits {
                AwaitedPacket::OtherPort { is_sent: true } if is_listening_socket => {
                    (TrialSender::AnotherPort, question.of.addr)
                }
                AwaitedPacket::Stranger(Some(stranger)) => (TrialSender::Stranger, stranger),
                AwaitedPacket::OtherPort { is_sent: true } => {
                    self.round.fresh_in_vain += 1;
                    continue;
                }
                // Nothing was sent, as far as is known.
                AwaitedPacket::OtherPort { is_sent: false }
                | AwaitedPacket::Stranger(None)
                | AwaitedPacket::Mapping => continue,
            };
            // Whether others' ports get in, one that did has shown.
            if sender == TrialSender::AnotherPort && self.round.ports == Some(true) {
                continue;
            }
            if !self.counts(&question, from) {
                continue;
            }
            let (asked, arrived) = (question.of.peer, false);
            self.learn(Evidence { asked, sender, from, arrived, is_listening_socket, at: now });
            let silent = self.round.silent.get(&question.kind);
            if silent.is_none_or(|[peers, _]| peers.len() < FILTERING_HELPERS) {
                continue;
            }
            return match sender {
                // Who keeps out a port of an address that is known keeps out what is not known.
                TrialSender::AnotherPort => self.conclude(now, Some(false), Some(false)),
                TrialSender::Stranger => self.conclude(now, Some(false), None),
            };
        }
    }

    /// Whether a silence is that of another owner than those before, which is noted.
    fn counts(&mut self, question: &TrialQuestion, from: SocketAddr) -> bool {
        let (peer, owner) = (Owner::of(question.of.addr), Owner::of(from));
        let is_stranger = question.kind != TrialKind::OtherPort;
        let tells = matches!(owner, Owner::Network(_)) && (!is_stranger || peer != owner);
        let [peers, senders] = self.round.silent.entry(question.kind).or_default();
        if !tells || peers.contains(&peer) || senders.contains(&owner) {
            return false;
        }
        peers.insert(peer);
        senders.insert(owner);
        true
    }

    fn learn(&mut self, new: Evidence) {
        let kind = |it: &Evidence| (it.sender, it.is_listening_socket);
        let is_other = |it: &Evidence| it.arrived == new.arrived && it.asked != new.asked;
        self.evidence.retain(|it| kind(it) != kind(&new) || is_other(it));
        self.evidence.push_back(new);
        while self.evidence.len() > MAX_FILTERING_EVIDENCE {
            self.evidence.pop_front();
        }
    }

    fn find_ports(&mut self, now: Instant, is_so: bool) {
        if is_so && self.ports.is_some_and(|before| !before.is_so) {
            // What followed from that of strangers does not follow any more.
            self.strangers = None;
        }
        self.ports = Some(FilteringFact { is_so, at: now });
        self.round.ports = Some(is_so);
    }

    fn conclude(&mut self, now: Instant, strangers: Option<bool>, ports: Option<bool>) {
        if let Some(is_so) = ports {
            self.find_ports(now, is_so);
        }
        if let Some(is_so) = strangers {
            self.strangers = Some(FilteringFact { is_so, at: now });
            self.round.strangers = Some(is_so);
        }
        self.under_way.clear();
        self.round_ends = Some(now + FILTERING_AGAIN);
        self.ask_at = self.round_ends;
    }

    /// Asks the peer that was asked least in this round, in the way that tells most, if any is of
    /// use. `open` gives a fresh socket.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        peers: &[DatagramPeer],
        rng: &mut Rng,
        mut open: impl FnMut() -> Option<ExtraSocket>,
    ) -> Option<TrialQuestion> {
        if self.ask_at.is_none_or(|at| at > now) {
            return None;
        }
        if self.under_way.len() >= FILTERING_HELPERS {
            // The next is asked when one of them has told something, or nothing.
            self.ask_at = None;
            return None;
        }
        if self.round_ends.is_none_or(|at| at <= now) {
            self.round = TrialRound::default();
            // Who was sent to may be a stranger again by then.
            self.round_ends = Some(now + CONTACT_LIFE);
        }
        for kind in self.wanted() {
            let Some(of) = self.choose(*kind, peers, rng) else { continue };
            let socket = match kind {
                TrialKind::OtherPort | TrialKind::Stranger => None,
                TrialKind::FreshSocket => match open() {
                    Some(socket) => Some(socket),
                    None => continue,
                },
            };
            let port = self.mapped.map(|mapped| mapped.port);
            let question =
                TrialQuestion { port, ..TrialQuestion::new(now, of, (*kind, socket), rng) };
            *self.round.asked.entry((*kind, of.peer)).or_default() += 1;
            self.under_way.push(question);
            return Some(question);
        }
        let is_waiting = !self.under_way.is_empty() || peers.is_empty();
        self.ask_at = self.round_ends.filter(|_| !is_waiting);
        None
    }

    /// Which questions would tell something, what tells most first. Of a mapped port it matters
    /// only whether strangers get in.
    fn wanted(&self) -> &'static [TrialKind] {
        match (self.mapped, self.round.strangers) {
            (None, _) => self.round.wanted(),
            (Some(_), None) => &[TrialKind::Stranger],
            (Some(_), Some(_)) => &[],
        }
    }

    fn is_set_apart(&self) -> bool {
        self.mapped.is_some_and(|mapped| mapped.is_set_apart)
    }

    /// Whom to ask so: of those of an owner of whom nothing is known yet one that was asked least.
    fn choose(
        &self,
        kind: TrialKind,
        peers: &[DatagramPeer],
        rng: &mut Rng,
    ) -> Option<DatagramPeer> {
        let round = &self.round;
        let asked = |peer: &DatagramPeer| round.asked.get(&(kind, peer.peer)).copied().unwrap_or(0);
        // Who was silent already would only be silent again.
        let mut known: BTreeSet<Owner> =
            self.under_way.iter().map(|asked| Owner::of(asked.of.addr)).collect();
        known.extend(round.silent.get(&kind).into_iter().flat_map(|[peers, _]| peers));
        let most = match kind {
            TrialKind::OtherPort => OTHER_PORT_ASKS,
            TrialKind::Stranger | TrialKind::FreshSocket => FILTERING_ASKS,
        };
        let of_use = peers.iter().filter(|peer| !known.contains(&Owner::of(peer.addr)));
        let of_use: Vec<_> = of_use.filter(|peer| asked(peer) < most).collect();
        let least = of_use.iter().map(|peer| asked(peer)).min()?;
        let next: Vec<_> = of_use.into_iter().filter(|peer| asked(peer) == least).collect();
        rng.choose(&next).map(|peer| **peer)
    }
}

impl TrialRound {
    /// Which questions would tell something, what tells most first.
    fn wanted(&self) -> &'static [TrialKind] {
        use TrialKind::{FreshSocket, OtherPort, Stranger};
        let has_strangers = self.without_strangers < FILTERING_IN_VAIN;
        match (self.ports, self.strangers) {
            (_, Some(true)) | (Some(false), _) | (Some(true), Some(_)) => &[],
            (None, Some(false)) => &[OtherPort],
            (None, None) => &[OtherPort, Stranger],
            (Some(true), None) if has_strangers => &[Stranger, FreshSocket],
            (Some(true), None) if self.fresh_in_vain < FILTERING_IN_VAIN => {
                &[FreshSocket, Stranger]
            }
            (Some(true), None) => &[Stranger],
        }
    }
}
