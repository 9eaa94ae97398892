//! The machine: who is here and whom to dial.

use std::{collections::VecDeque, net::SocketAddr, sync::Arc};

use super::{
    Bootstrap, KnownPeer, PeersConfig, PeersCounters, PeersEffect, PeersLevels, PeersMessage,
    address_book::AddressBook,
    bootstrap::BootstrapAddresses,
    connected::ConnectedPeers,
    contacts::Contacts,
    dialer::{DialReason, Dialer},
    discovery::{Discovery, sample},
    intake::{self, Intake, RecordNews, ToldRecord},
    local_record::LocalRecord,
    outbound::Outbound,
    redial::Redial,
    refusals::Refusals,
    reserved::Reserved,
    turn::Shared,
};
use crate::{
    deadlines::Deadlines,
    handshake::{Direction, Expect, HandshakeFailure},
    id::{NetworkId, NodeId},
    identity::{Identity, Signed, Verified},
    limits::{MAX_BOOK, MAX_DIALS, NUMBERS_PER_RECORD, RECORDS_PER_ANSWER, REDIAL_FIRST},
    metric::Level,
    misbehavior::Misbehavior,
    rng::Rng,
    scope::Scope,
    session::sessions::{DialFailure, DialOutcome, DialRequest, DownReason, Peer, Purpose},
    standings::TrustTable,
    time::{Duration, Instant, Now, earliest},
    wire::{frame::CloseReason, record::PeerRecord},
};

/// Why [`Peers`] itself wants to be woken, beside its machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PeersWake {
    /// A new record of our own may be made.
    Announce,
    /// See [`Peers::tidy`].
    Tidy,
}

/// The address book, and who is linked.
///
/// It is silent until [`handle_listening`](Self::handle_listening). After each call drain `out`,
/// and call [`handle_timeout`](Self::handle_timeout) when [`poll_timeout`](Self::poll_timeout) says
/// so.
///
/// - Whoever knocks is admitted or refused at once. Slots that our own choice of peers needs are
///   never given to guests.
/// - Each [`PeersEffect::Dial`] is answered by one [`handle_dial_ended`](Self::handle_dial_ended),
///   each [`PeersEffect::Resolve`] by one [`handle_resolved`](Self::handle_resolved). What a node
///   said before it refused our dial goes to [`handle_message`](Self::handle_message) before the
///   dial's end.
/// - Each [`PeersEffect::Verify`] is answered by [`handle_verified`](Self::handle_verified) or
///   [`handle_refuted`](Self::handle_refuted); one that there was no room to check is simply never
///   answered.
/// - A record is passed on only after a dial of ours found its node at one of its addresses, and to
///   more than [`MAX_TOLD_UNPROVEN`](crate::limits::MAX_TOLD_UNPROVEN) peers only if that dial
///   proved that strangers find it there, too.
/// - As long as somebody is known, somebody is dialled: bootstrap addresses and lost peers are
///   retried at bounded rates however well things go.
#[derive(Debug)]
pub struct Peers {
    discovery_interval: Duration,
    pub(super) shared: Shared,
    pub(super) deadlines: Deadlines<PeersWake>,
    pub(super) started: bool,
    pub(super) own: LocalRecord,
    pub(super) book: AddressBook,
    pub(super) links: ConnectedPeers,
    refusals: Refusals,
    pub(super) dialer: Dialer,
    pub(super) redial: Redial,
    pub(super) bootstraps: BootstrapAddresses,
    pub(super) intake: Intake,
    pub(super) outbound: Outbound,
    pub(super) reserved: Reserved,
    pub(super) discovery: Discovery,
}

impl Peers {
    /// `me` signs our own record, and nothing else.
    pub fn new(
        config: PeersConfig,
        me: Arc<Identity>,
        network: NetworkId,
        remembered: Vec<KnownPeer>,
        rng: Rng,
        now: Now,
    ) -> Self {
        let config = config.sane();
        let (id, enough, slots) = (me.node_id(), config.min_peers, config.slots());
        let contacts = Contacts::new(&remembered, now);
        let mut book = AddressBook::default();
        intake::restore(remembered, id, &mut book);
        Self {
            discovery_interval: config.discovery_interval,
            shared: Shared::new(rng),
            deadlines: Deadlines::new(),
            started: false,
            own: LocalRecord::new(me, network, &config, now.wall),
            book,
            links: ConnectedPeers::new(slots),
            refusals: Refusals::default(),
            dialer: Dialer::new(id, contacts, config.hidden),
            redial: Redial::new(),
            bootstraps: BootstrapAddresses::new(&config.bootstrap, enough),
            intake: Intake::new(id),
            outbound: Outbound::new(enough.min(slots.outbound)),
            reserved: Reserved::new(),
            discovery: Discovery::new(config.discovery_interval, config.heartbeat_interval, enough),
        }
    }

    /// Where we listen; an unspecified IP address stands for whatever others observe. The first
    /// call starts everything.
    pub fn handle_listening(
        &mut self,
        now: Now,
        addresses: &[SocketAddr],
        out: &mut VecDeque<PeersEffect>,
    ) {
        self.own.listening(addresses);
        self.refresh_own(now, out);
        self.book.report_evicted(out);
        if !core::mem::replace(&mut self.started, true) {
            self.bootstraps.hurry(now.mono);
            self.outbound.fill_soon(now.mono);
            self.reserved.hurry(now.mono);
            let tidy = now.mono + self.shared.rng.jitter(self.discovery_interval);
            self.deadlines.set(PeersWake::Tidy, tidy);
            self.discovery.discover_later(&self.links, &mut self.shared.turn(now, out));
        }
    }

    /// Somebody dialled us and is authenticated: in or out?
    pub fn handle_incoming(
        &mut self,
        now: Now,
        peer: Peer,
        standings: &TrustTable,
        out: &mut VecDeque<PeersEffect>,
    ) {
        self.dialer.note_contact(peer.addr, now.mono);
        self.note_presence(now, peer.addr);
        let is_banned_here = self.is_banned_at(&peer.id, peer.addr.ip(), standings);
        let (reason, parting) = if is_banned_here || standings.is_banned(&peer.id, now.wall) {
            self.shared.counters.inbound_refused_banned += 1;
            (CloseReason::Banned, None)
        } else if standings.is_retired(&peer.id) {
            self.shared.counters.inbound_refused_retired += 1;
            (CloseReason::KeyRetired, None)
        } else {
            let is_reserved = self.reserved.contains(&peer.id);
            match self.links.admit(now.mono, &peer, is_reserved, standings) {
                Ok(()) => return out.push_back(PeersEffect::Admit(peer)),
                Err(reason) => self.turn_away(now, &peer, reason, standings, out),
            }
        };
        out.push_back(PeersEffect::Refuse { peer, reason: reason.clone(), parting });
        self.refusals.handle_refused(now.mono, peer, reason, out);
    }

    /// Counts who finds no slot, and what it is told of others.
    fn turn_away(
        &mut self,
        now: Now,
        peer: &Peer,
        reason: CloseReason,
        standings: &TrustTable,
        out: &mut VecDeque<PeersEffect>,
    ) -> (CloseReason, Option<PeersMessage>) {
        let turn = &mut self.shared.turn(now, out);
        match reason {
            CloseReason::AddressFull => turn.counters.inbound_refused_address += 1,
            CloseReason::InboundFull => turn.counters.inbound_refused_inbound += 1,
            _ => turn.counters.inbound_refused_full += 1,
        }
        let scope = Scope::of_peer(peer.addr);
        let peers = sample(&mut self.book, peer.id, scope, RECORDS_PER_ANSWER, standings, turn);
        (reason, (!peers.is_empty()).then_some(PeersMessage::Announcement(peers)))
    }

    /// A session is up. Who dialled says hello.
    pub fn peer_up(
        &mut self,
        now: Now,
        peer: Peer,
        standings: &TrustTable,
        out: &mut VecDeque<PeersEffect>,
    ) {
        let is_banned_here = self.is_banned_at(&peer.id, peer.addr.ip(), standings);
        let turn = &mut self.shared.turn(now, out);
        let is_banned = is_banned_here || standings.is_banned(&peer.id, now.wall);
        if is_banned || standings.is_retired(&peer.id) {
            let reason = if is_banned { CloseReason::Banned } else { CloseReason::KeyRetired };
            turn.push(PeersEffect::Disconnect { peer: peer.id, reason: reason.clone() });
            return self.bootstraps.handle_unwelcome(peer.id, reason, turn);
        }
        let is_reserved = self.reserved.contains(&peer.id);
        if !self.links.up(now.mono, peer, is_reserved) {
            return;
        }
        let overflow = || self.links.overflow(peer.direction);
        if let Some(reason) = (!is_reserved).then(overflow).flatten() {
            let is_guest = peer.direction == Direction::Inbound;
            let instead = self.links.gives_way(now.mono, &peer, standings).filter(|_| is_guest);
            let last = instead.unwrap_or(peer.id);
            turn.push(PeersEffect::Disconnect { peer: last, reason });
            if instead.is_none() {
                return;
            }
            turn.counters.guests_replaced += 1;
        }
        self.bootstraps.handle_peer_up(&peer.id);
        self.outbound.handle_peer_up(&peer.id);
        self.reserved.handle_peer_up(peer.id);
        self.redial.forget(&peer.id);
        let outbound = peer.direction == Direction::Outbound;
        self.book.change(&peer.id, |entry| {
            entry.linked = true;
            entry.known.failures = 0;
            entry.known.last_seen = now.wall;
            if outbound {
                entry.answered_at(peer.addr, false, now.wall);
            }
        });
        self.discovery.peer_up(&peer, turn);
        if outbound {
            self.book.remember(peer.id, turn.out);
            if let Some(link) = self.links.get(&peer.id) {
                self.discovery.greet(link, false, &self.own, &mut self.book, standings, turn);
            }
        }
        self.discovery.handle_news();
        self.discovery.discover_later(&self.links, turn);
    }

    /// A session is over.
    pub fn peer_down(
        &mut self,
        now: Now,
        peer: NodeId,
        reason: &DownReason,
        out: &mut VecDeque<PeersEffect>,
    ) {
        Outbound::count_time(now.mono, &mut self.book, &mut self.links, &self.bootstraps);
        let Some(link) = self.links.down(&peer) else { return };
        self.dialer.note_contact(link.peer.addr, now.mono);
        let turn = &mut self.shared.turn(now, out);
        self.discovery.peer_down(peer);
        self.intake.peer_down(peer);
        self.own.peer_down(&peer);
        self.book.change(&peer, |entry| {
            entry.linked = false;
            entry.known.last_seen = now.wall;
        });
        self.book.report_evicted(turn.out);
        self.book.remember(peer, turn.out);
        let pause = self.redial.handle_disconnect(peer, &link, reason, &mut self.book, turn);
        self.reserved.handle_peer_down(peer, pause, turn);
        let is_replaced = matches!(reason, DownReason::ByPeer(CloseReason::OtherProcess(_)));
        let wait = if is_replaced { pause } else { REDIAL_FIRST };
        if matches!(reason, DownReason::ByUs(CloseReason::Pruned)) {
            self.bootstraps.leave_alone(peer, now.mono + pause);
        }
        self.bootstraps.handle_peer_down(peer, wait, &self.links, turn);
        self.discovery.handle_news();
        self.discovery.discover_later(&self.links, turn);
        self.outbound.fill_soon(now.mono);
    }

    /// What came of an [`PeersEffect::Dial`].
    #[allow(clippy::needless_pass_by_value)] // the contract of every room: inputs are given away
    pub fn handle_dial_ended(
        &mut self,
        now: Now,
        dial: DialRequest,
        outcome: DialOutcome,
        out: &mut VecDeque<PeersEffect>,
    ) {
        let ended = self.dialer.finish(&dial);
        match &outcome {
            DialOutcome::Connected(node, kind) | DialOutcome::Probed(node, kind) => {
                let to_strangers = ended.is_some_and(|ended| ended.to_strangers);
                if let Some(ended) = ended {
                    self.shared.counters.dial.note(now.mono.since(ended.since));
                }
                let proof = Some(*kind).filter(|kind| kind.has_own_port() || to_strangers);
                self.handle_found(now, *node, &dial, proof, out);
                if let Expect::Node(expected) = dial.expect
                    && expected != *node
                {
                    let turn = &mut self.shared.turn(now, out);
                    let (book, links) = (&mut self.book, &self.links);
                    self.intake.handle_wrong_node(expected, &dial, book, links, turn);
                }
            }
            DialOutcome::Failed(failure) => self.handle_dial_failed(now, &dial, failure, out),
        }
        self.reserved.handle_dial_ended(&dial, &outcome);
        if let Some(DialReason::Bootstrap(index)) = ended.map(|ended| ended.reason) {
            let (turn, dialer) = (&mut self.shared.turn(now, out), &mut self.dialer);
            let (links, redial) = (&self.links, &self.redial);
            let ended = (&dial, &outcome);
            self.bootstraps.handle_dial_ended(index, ended, links, dialer, redial, turn);
        }
        self.outbound.fill_soon(now.mono);
    }

    /// What came of an [`PeersEffect::Resolve`]: addresses, or in words why there are none.
    pub fn handle_resolved(
        &mut self,
        now: Now,
        name: &str,
        outcome: Result<Vec<SocketAddr>, String>,
        out: &mut VecDeque<PeersEffect>,
    ) {
        let turn = &mut self.shared.turn(now, out);
        self.bootstraps.handle_resolved(name, outcome, &self.links, &mut self.dialer, turn);
    }

    /// A linked peer said something, or a node that is about to refuse our dial.
    pub fn handle_message(
        &mut self,
        now: Now,
        from: NodeId,
        incoming: PeersMessage,
        standings: &TrustTable,
        out: &mut VecDeque<PeersEffect>,
    ) {
        let Some(link) = self.links.get_mut(&from) else {
            return self.handle_referral(now, from, incoming, standings, out);
        };
        // How many peers somebody says it has protects nobody: it may be a lie.
        if let PeersMessage::Heartbeat(_) = incoming {
            return self.discovery.handle_heartbeat(from, &mut self.shared.turn(now, out));
        }
        let asked = link.asked && matches!(incoming, PeersMessage::Announcement(_));
        if !asked && !link.may_speak(now.mono) {
            return self.shared.turn(now, out).blame(from, Misbehavior::Flooding);
        }
        let scope = link.scope;
        match incoming {
            PeersMessage::Heartbeat(_) => {}
            PeersMessage::Hello { answer, record, observed, peers } => {
                let content = record.content();
                let (key, noise) = (link.peer.key, link.peer.noise_static);
                if content.key != key || content.noise_static != noise {
                    self.shared.turn(now, out).blame(from, Misbehavior::ProtocolViolation);
                    let reason = CloseReason::Violation(NOT_ITS_OWN.to_owned());
                    return out.push_back(PeersEffect::Disconnect { peer: from, reason });
                }
                self.own.seen_by(link, &observed);
                self.discovery.handle_hello(from, answer);
                if let Some(link) = self.links.get_mut(&from) {
                    link.has_greeted = true;
                }
                self.refresh_own(now, out);
                if let Some(link) = self.links.get(&from).filter(|_| !answer) {
                    let (turn, book) = (&mut self.shared.turn(now, out), &mut self.book);
                    self.discovery.greet(link, true, &self.own, book, standings, turn);
                }
                self.handle_records(now, (from, scope), [record], standings, out);
                self.handle_records(now, (from, scope), peers, standings, out);
                if !self.intake.checks_own(from) {
                    out.push_back(PeersEffect::Recognized { outrun: None });
                }
            }
            PeersMessage::Discovery(count) => {
                let count = usize::from(count).min(RECORDS_PER_ANSWER);
                let turn = &mut self.shared.turn(now, out);
                let peers = sample(&mut self.book, from, scope, count, standings, turn);
                let message = PeersMessage::Announcement(peers);
                out.push_back(PeersEffect::Send { to: from, message });
            }
            PeersMessage::Announcement(peers) => {
                if core::mem::replace(&mut link.asked, false) {
                    self.discovery.handle_answer(from, &mut self.shared.turn(now, out));
                }
                self.handle_records(now, (from, scope), peers, standings, out);
            }
            PeersMessage::ObservedAddress(observed) => {
                self.own.seen_elsewhere_by(link, &observed);
                self.refresh_own(now, out);
            }
        }
    }

    /// The claim of [`PeersEffect::Verify`] proved true.
    pub fn handle_verified(
        &mut self,
        now: Now,
        from: NodeId,
        record: Verified<PeerRecord>,
        out: &mut VecDeque<PeersEffect>,
    ) {
        let sequence = record.content().sequence;
        let (turn, book) = (&mut self.shared.turn(now, out), &mut self.book);
        match self.intake.handle_verified(from, record, book, &self.links, turn) {
            RecordNews::OfOurselves => {
                let outrun = self.own.outrun(sequence, now).then_some(sequence);
                if outrun.is_some() {
                    self.announce(out);
                }
                out.push_back(PeersEffect::Recognized { outrun });
            }
            RecordNews::NewPeer => {
                self.discovery.handle_news();
                self.outbound.fill_soon(now.mono);
            }
            RecordNews::Nothing => {}
        }
    }

    /// The next of our messages has the number `next`: our record is to be no further below it than
    /// half of [`NUMBERS_PER_RECORD`], so that who has the record knows how far we are.
    pub fn handle_numbers(&mut self, now: Now, next: u64, out: &mut VecDeque<PeersEffect>) {
        let near = self.own.record().sequence.saturating_add(NUMBERS_PER_RECORD / 2);
        if next > near && self.own.outrun(next, now) {
            self.announce(out);
        }
    }

    /// The claim of [`PeersEffect::Verify`] proved false; `from` is blamed for it here. Not to be
    /// called when there was no room to check it.
    pub fn handle_refuted(
        &mut self,
        now: Now,
        from: NodeId,
        node: NodeId,
        out: &mut VecDeque<PeersEffect>,
    ) {
        self.intake.handle_refuted(from, node, &mut self.shared.turn(now, out));
    }

    /// Does what is due.
    pub fn handle_timeout(
        &mut self,
        now: Now,
        standings: &TrustTable,
        out: &mut VecDeque<PeersEffect>,
    ) {
        while self.poll_timeout().is_some_and(|at| at <= now.mono) {
            while let Some(why) = self.deadlines.pop_due(now.mono) {
                match why {
                    PeersWake::Announce => self.refresh_own(now, out),
                    PeersWake::Tidy => self.tidy(now, standings, out),
                }
            }
            let turn = &mut self.shared.turn(now, out);
            let (book, links, dialer) = (&mut self.book, &mut self.links, &mut self.dialer);
            let given = &self.bootstraps;
            self.outbound.handle_timeout(book, links, dialer, given, standings, turn);
            self.bootstraps.handle_timeout(links, dialer, turn);
            self.reserved.handle_timeout(book, links, dialer, turn);
            self.redial.handle_timeout(book, links, dialer, standings, turn);
            self.intake.handle_timeout(book, links, dialer, turn);
            self.discovery.handle_timeout(&self.own, book, links, standings, turn);
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        earliest([
            self.deadlines.next().map(|(at, _)| at),
            self.outbound.poll_timeout(),
            self.bootstraps.poll_timeout(),
            self.redial.poll_timeout(),
            self.reserved.poll_timeout(),
            self.intake.poll_timeout(),
            self.discovery.poll_timeout(),
        ])
    }

    /// What happened and what was dropped.
    pub const fn counters(&self) -> PeersCounters {
        self.shared.counters
    }

    /// What is there, beside the most that there can be.
    pub fn levels(&self) -> PeersLevels {
        PeersLevels {
            slots: self.links.slots_used(),
            slots_inbound: self.links.inbound_used(),
            wanted: u64::try_from(self.min_peers()).unwrap_or(u64::MAX),
            dialling: Level::new(self.dialer.connecting(), MAX_DIALS),
            book: Level::new(self.book.len(), MAX_BOOK),
        }
    }

    /// How it goes with each bootstrap address, in the order in which they were given.
    pub fn bootstrap(&self) -> impl Iterator<Item = &Bootstrap> {
        self.bootstraps.iter()
    }

    /// Peers in the address book.
    pub fn known(&self) -> impl Iterator<Item = &KnownPeer> {
        self.book.iter().map(|(_, entry)| &entry.known)
    }

    /// Peers in the address book, each with those who told us of it, the last at the end.
    pub fn hearsay(&self) -> impl Iterator<Item = (&KnownPeer, &VecDeque<NodeId>)> {
        self.book.iter().map(|(_, entry)| (&entry.known, &entry.tellers))
    }

    /// Whether this node is in the address book.
    pub fn knows(&self, peer: &NodeId) -> bool {
        self.book.get(peer).is_some()
    }

    /// A dial came to nothing: whose business is that?
    fn handle_dial_failed(
        &mut self,
        now: Now,
        dial: &DialRequest,
        failure: &DialFailure,
        out: &mut VecDeque<PeersEffect>,
    ) {
        use CloseReason::{SelfDial, WrongNode};
        let turn = &mut self.shared.turn(now, out);
        let is_probe = dial.purpose == Purpose::Probe;
        if failure.shows_a_node() {
            self.dialer.note_presence(dial.to);
        }
        turn.counters.dials_failed += u64::from(!is_probe);
        let Expect::Node(node) = dial.expect else { return };
        let (book, links) = (&mut self.book, &self.links);
        match failure {
            DialFailure::Handshake(
                HandshakeFailure::WrongNode { .. }
                | HandshakeFailure::Ourselves
                | HandshakeFailure::Refused(WrongNode | SelfDial),
            ) if !self.reserved.contains(&node) => {
                self.intake.handle_wrong_node(node, dial, book, links, turn);
            }
            _ if is_probe => self.intake.handle_unproven(node, links, turn),
            _ => self.redial.handle_failure(node, failure, book, turn),
        }
    }

    /// A node that is about to refuse our dial names others.
    fn handle_referral(
        &mut self,
        now: Now,
        from: NodeId,
        incoming: PeersMessage,
        standings: &TrustTable,
        out: &mut VecDeque<PeersEffect>,
    ) {
        let PeersMessage::Announcement(peers) = incoming else { return };
        if let Some(dialled) = self.dialer.referred_by(&from) {
            self.handle_records(now, (from, Scope::of_peer(dialled)), peers, standings, out);
        }
    }

    /// `from` told records over a link of a scope.
    fn handle_records(
        &mut self,
        now: Now,
        (from, told_over): (NodeId, Scope),
        records: impl IntoIterator<Item = Signed<PeerRecord>>,
        standings: &TrustTable,
        out: &mut VecDeque<PeersEffect>,
    ) {
        let own_sequence = self.own.record().sequence;
        for record in records {
            let told = ToldRecord { from, told_over, record };
            let (turn, book) = (&mut self.shared.turn(now, out), &mut self.book);
            self.intake.handle_record(told, own_sequence, book, &self.links, standings, turn);
        }
    }

    /// Once a discovery interval: what came to nothing is forgotten, who is still here is noted,
    /// and the outbound links are looked through.
    fn tidy(&mut self, now: Now, standings: &TrustTable, out: &mut VecDeque<PeersEffect>) {
        let next = now.mono + self.shared.rng.jitter(self.discovery_interval);
        self.deadlines.set(PeersWake::Tidy, next);
        self.dialer.expire(now.mono);
        self.intake.expire(now.mono);
        self.redial.expire(now.mono);
        Outbound::count_time(now.mono, &mut self.book, &mut self.links, &self.bootstraps);
        self.book.note_alive(self.links.iter().map(|(node, _)| *node), now.wall, out);
        let (turn, dialer) = (&mut self.shared.turn(now, out), &mut self.dialer);
        let (book, links, given) = (&self.book, &self.links, &self.bootstraps);
        self.outbound.handle_interval(book, links, dialer, given, standings, turn);
        self.discovery.handle_interval(&self.links, turn);
    }
}

const NOT_ITS_OWN: &str = "the record in the hello is not the peer's own";
