//! The machine: who is here and whom to dial.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::Arc,
};

use super::{
    Bootstrap, KnownPeer, PeersConfig, PeersCounters, PeersEffect, PeersMessage,
    address_book::AddressBook, bootstrap::BootstrapEntry, connected::ConnectedPeers, dialer::Dials,
    local_record::LocalRecord, netgroup::Scope, records::PendingChecks,
};
use crate::{
    deadlines::Deadlines,
    handshake::Direction,
    id::{NetworkId, NodeId},
    identity::{Identity, Signed, Verified},
    limits::{MAX_WANTED_LINKS, RECORDS_PER_ANSWER},
    misbehavior::{Misbehavior, Observation},
    rng::Rng,
    session::sessions::{DialOutcome, DialRequest, DownReason, Peer},
    standings::TrustTable,
    time::{Duration, Instant, Now},
    wire::{Address, frame::CloseReason, record::PeerRecord},
};

/// Why peers want to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PeersWake {
    /// A direct message waits for a link.
    Wanted,
    /// Outbound links are missing.
    Fill,
    /// A bootstrap address is due.
    Bootstrap(usize),
    /// A lost peer is due.
    Redial(NodeId),
    /// An address is to be proven.
    Probe(NodeId),
    /// A new record of our own may be made.
    Announce,
    /// Somebody is to be asked for records.
    Discover,
    /// See [`Peers::tidy`].
    Tidy,
    /// A link is to be kept warm.
    Heartbeat(NodeId),
    /// A peer that dialled us did not say hello.
    Greet(NodeId),
    /// A peer did not answer our hello.
    HelloAnswer(NodeId),
    /// A peer did not answer our question.
    Answer(NodeId),
}

/// The address book, and who is linked.
///
/// It is silent until [`handle_listening`](Self::handle_listening). After each call drain `out`,
/// and call
/// [`handle_timeout`](Self::handle_timeout) when [`poll_timeout`](Self::poll_timeout) says so.
///
/// - Whoever knocks is admitted or refused at once. Slots that our own choice of peers needs are
///   never given to guests.
/// - Each [`PeersEffect::Dial`] is answered by one [`handle_dial_ended`](Self::handle_dial_ended),
///   each [`PeersEffect::Resolve`]
///   by one [`handle_resolved`](Self::handle_resolved). What a node said before it refused our
///   dial goes to
///   [`handle_message`](Self::handle_message) before the dial's end.
/// - Each [`PeersEffect::Verify`] is answered by [`handle_verified`](Self::handle_verified) or
///   [`handle_refuted`](Self::handle_refuted); one that there was no room to check is simply never
///   answered.
/// - A record is passed on only after a dial of ours found its node at one of its addresses.
/// - As long as somebody is known, somebody is dialled: bootstrap addresses and lost peers are
///   retried at bounded rates however well things go.
#[derive(Debug)]
pub struct Peers {
    pub(super) config: PeersConfig,
    pub(super) me: NodeId,
    pub(super) rng: Rng,
    pub(super) own: LocalRecord,
    pub(super) book: AddressBook,
    pub(super) links: ConnectedPeers,
    pub(super) dials: Dials,
    pub(super) bootstraps: Vec<BootstrapEntry>,
    pub(super) checks: PendingChecks,
    /// Peers that fell silent, and since when.
    pub(super) lost: BTreeMap<NodeId, Instant>,
    /// Peers that direct messages wait for.
    wanted: BTreeSet<NodeId>,
    pub(super) deadlines: Deadlines<PeersWake>,
    pub(super) counters: PeersCounters,
    started: bool,
    /// Whether there was ever a link in this life.
    pub(super) linked_ever: bool,
    /// Questions in a row that brought nothing new while we had too few peers.
    pub(super) fruitless_rounds: u32,
    /// Discovery intervals in a row with too many outbound links.
    pub(super) too_many: u32,
    pub(super) last_fill: Instant,
    /// Who was reached last although it is banned.
    pub(super) banned_contact: Option<NodeId>,
    /// Since when outbound links are missing.
    pub(super) short_since: Option<Instant>,
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
        let mut peers = Self {
            me: me.node_id(),
            rng,
            own: LocalRecord::new(me, network, config.software.clone(), now.wall),
            book: AddressBook::default(),
            links: ConnectedPeers::new(config.max_peers, config.min_peers),
            dials: Dials::default(),
            bootstraps: Vec::new(),
            checks: PendingChecks::default(),
            lost: BTreeMap::new(),
            wanted: BTreeSet::new(),
            deadlines: Deadlines::new(),
            counters: PeersCounters::default(),
            started: false,
            linked_ever: false,
            fruitless_rounds: 0,
            too_many: 0,
            last_fill: Instant::ORIGIN,
            banned_contact: None,
            short_since: None,
            config,
        };
        peers.restore(remembered);
        for address in peers.config.bootstrap.clone() {
            peers.insert_bootstrap(address);
        }
        peers
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
        self.forget_evicted(out);
        if !core::mem::replace(&mut self.started, true) {
            self.hurry_bootstraps(now);
            self.fill_soon(now);
            let tidy = now.mono + self.rng.jitter(self.config.discovery_interval);
            self.deadlines.set(PeersWake::Tidy, tidy);
            self.discover_later(now);
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
        if standings.is_banned(&peer.id, now.wall) {
            self.counters.refused_banned += 1;
            out.push_back(PeersEffect::Refuse { peer, reason: CloseReason::Banned, parting: None });
        } else if self.links.admit(now.mono, peer.id) {
            out.push_back(PeersEffect::Admit(peer));
        } else {
            self.counters.refused_full += 1;
            let scope = Scope::of_peer(peer.addr);
            let peers = self.sample(now, peer.id, scope, RECORDS_PER_ANSWER, standings);
            let parting = (!peers.is_empty()).then_some(PeersMessage::Announcement(peers));
            out.push_back(PeersEffect::Refuse { peer, reason: CloseReason::SlotsFull, parting });
        }
    }

    /// A session is up. Who dialled says hello.
    pub fn peer_up(
        &mut self,
        now: Now,
        peer: Peer,
        standings: &TrustTable,
        out: &mut VecDeque<PeersEffect>,
    ) {
        if standings.is_banned(&peer.id, now.wall) {
            out.push_back(PeersEffect::Disconnect { peer: peer.id, reason: CloseReason::Banned });
            self.banned_contact = Some(peer.id);
            return self.bootstrap_banned(now, peer.id);
        }
        if !self.links.up(now.mono, peer) {
            return;
        }
        if self.links.is_overfull() {
            let reason = CloseReason::SlotsFull;
            return out.push_back(PeersEffect::Disconnect { peer: peer.id, reason });
        }
        self.banned_contact = self.banned_contact.filter(|id| *id != peer.id);
        self.linked_ever = true;
        self.lost.remove(&peer.id);
        self.wanted.remove(&peer.id);
        self.deadlines.clear(PeersWake::Redial(peer.id));
        let outbound = peer.direction == Direction::Outbound;
        self.book.change(&peer.id, |entry| {
            entry.linked = true;
            entry.known.failures = 0;
            entry.known.last_seen = now.wall;
            if outbound {
                entry.answered_at(peer.addr, now.wall);
            }
        });
        // Heartbeats of different links are spread over the interval.
        let beat = self.rng.duration(Duration::ZERO..=self.config.heartbeat_interval);
        self.deadlines.set(PeersWake::Heartbeat(peer.id), now.mono + beat);
        if outbound {
            self.remember(peer.id, out);
            self.greet(now, peer.id, false, standings, out);
        } else {
            self.deadlines.set(PeersWake::Greet(peer.id), now.mono + GREET_WAIT);
        }
        self.fruitless_rounds = 0;
        self.discover_later(now);
    }

    /// A session is over.
    pub fn peer_down(
        &mut self,
        now: Now,
        peer: NodeId,
        reason: &DownReason,
        out: &mut VecDeque<PeersEffect>,
    ) {
        let Some(link) = self.links.down(&peer) else { return };
        for why in [
            PeersWake::Heartbeat,
            PeersWake::Greet,
            PeersWake::HelloAnswer,
            PeersWake::Answer,
            PeersWake::Probe,
        ] {
            self.deadlines.clear(why(peer));
        }
        self.own.peer_down(&peer);
        self.book.change(&peer, |entry| {
            entry.linked = false;
            entry.known.last_seen = now.wall;
        });
        self.forget_evicted(out);
        self.remember(peer, out);
        self.handle_disconnect(now, peer, link.peer.direction, reason);
        self.bootstrap_lost(now, peer);
        self.fruitless_rounds = 0;
        self.discover_later(now);
        self.fill_soon(now);
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
        self.dial_over(now, dial, &outcome, out);
    }

    /// What came of an [`PeersEffect::Resolve`]: addresses, or in words why there are none.
    pub fn handle_resolved(
        &mut self,
        now: Now,
        name: &str,
        outcome: Result<Vec<SocketAddr>, String>,
        out: &mut VecDeque<PeersEffect>,
    ) {
        self.bootstrap_resolved(now, name, outcome, out);
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
            return self.handle_parting(now, from, incoming, standings, out);
        };
        if let PeersMessage::Heartbeat(active_peers) = incoming {
            link.active_peers = active_peers;
            return;
        }
        let asked = link.asked && matches!(incoming, PeersMessage::Announcement(_));
        if !asked && !link.may_speak(now.mono) {
            return misbehaved(from, Misbehavior::Flooding, out);
        }
        let scope = link.scope;
        match incoming {
            PeersMessage::Heartbeat(_) => {}
            PeersMessage::Hello { answer, record, observed, peers } => {
                let content = record.content();
                let (key, noise) = (link.peer.key, link.peer.noise_static);
                if content.key != key || content.noise_static != noise {
                    misbehaved(from, Misbehavior::ProtocolViolation, out);
                    let reason = CloseReason::Violation(NOT_ITS_OWN.to_owned());
                    return out.push_back(PeersEffect::Disconnect { peer: from, reason });
                }
                self.own.seen_by(link, &observed);
                self.deadlines.clear(PeersWake::Greet(from));
                self.refresh_own(now, out);
                if answer {
                    self.deadlines.clear(PeersWake::HelloAnswer(from));
                } else {
                    self.greet(now, from, true, standings, out);
                }
                self.handle_record(now, from, scope, record, standings, out);
                self.hear_all(now, from, scope, peers, standings, out);
            }
            PeersMessage::Discovery(count) => {
                let count = usize::from(count).min(RECORDS_PER_ANSWER);
                let peers = self.sample(now, from, scope, count, standings);
                let message = PeersMessage::Announcement(peers);
                out.push_back(PeersEffect::Send { to: from, message });
            }
            PeersMessage::Announcement(peers) => {
                if core::mem::replace(&mut link.asked, false) {
                    self.deadlines.clear(PeersWake::Answer(from));
                    out.push_back(PeersEffect::Observed {
                        peer: from,
                        what: Observation::Answered,
                    });
                }
                self.hear_all(now, from, scope, peers, standings, out);
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
        self.insert_verified(now, from, record, out);
    }

    /// The claim of [`PeersEffect::Verify`] proved false; `from` is blamed for it here. Not to be
    /// called
    /// when there was no room to check it.
    pub fn handle_refuted(
        &mut self,
        _now: Now,
        from: NodeId,
        node: NodeId,
        out: &mut VecDeque<PeersEffect>,
    ) {
        self.handle_forged(from, node, out);
    }

    /// A link to this node is wanted now (a direct message waits): dials it if an address is
    /// known. The dial leaves at the next [`handle_timeout`](Self::handle_timeout), due at once.
    pub fn connect(&mut self, now: Now, peer: NodeId, _out: &mut VecDeque<PeersEffect>) {
        let wanted = !self.is_taken(&peer) && self.book.get(&peer).is_some();
        if wanted && self.wanted.len() < MAX_WANTED_LINKS {
            self.wanted.insert(peer);
            self.deadlines.set(PeersWake::Wanted, now.mono);
        }
    }

    /// A person wants a link to this address; kept like a bootstrap address.
    pub fn add_bootstrap(&mut self, now: Now, address: String, _out: &mut VecDeque<PeersEffect>) {
        if let Some(index) = self.insert_bootstrap(address) {
            self.deadlines.set_earliest(PeersWake::Bootstrap(index), now.mono);
        }
    }

    /// Trust banned somebody.
    pub fn handle_banned(&mut self, now: Now, peer: NodeId, out: &mut VecDeque<PeersEffect>) {
        self.lost.remove(&peer);
        self.wanted.remove(&peer);
        self.bootstrap_banned(now, peer);
        if self.links.contains(&peer) {
            out.push_back(PeersEffect::Disconnect { peer, reason: CloseReason::Banned });
        }
    }

    /// Does what is due.
    pub fn handle_timeout(
        &mut self,
        now: Now,
        standings: &TrustTable,
        out: &mut VecDeque<PeersEffect>,
    ) {
        while let Some(why) = self.deadlines.pop_due(now.mono) {
            match why {
                PeersWake::Wanted => self.dial_wanted(now, standings, out),
                PeersWake::Fill => self.fill(now, standings, out),
                PeersWake::Bootstrap(index) => self.bootstrap_due(now, index, out),
                PeersWake::Redial(peer) => self.redial_lost(now, peer, standings, out),
                PeersWake::Probe(peer) => self.probe(now, peer, out),
                PeersWake::Announce => self.refresh_own(now, out),
                PeersWake::Discover => self.discover(now, out),
                PeersWake::Tidy => self.tidy(now, standings, out),
                PeersWake::Heartbeat(peer) => self.heartbeat(now, peer, out),
                PeersWake::Greet(peer) => self.greet(now, peer, false, standings, out),
                PeersWake::HelloAnswer(peer) => timed_out(peer, out),
                PeersWake::Answer(peer) => {
                    if let Some(link) = self.links.get_mut(&peer) {
                        link.asked = false;
                    }
                    timed_out(peer, out);
                }
            }
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next().map(|(at, _)| at)
    }

    /// What happened and what was dropped.
    pub const fn counters(&self) -> PeersCounters {
        self.counters
    }

    /// How it goes with each bootstrap address, in the order in which they were given.
    pub fn bootstrap(&self) -> impl Iterator<Item = &Bootstrap> {
        self.bootstraps.iter().map(BootstrapEntry::view)
    }

    /// Peers in the address book.
    pub fn known(&self) -> impl Iterator<Item = &KnownPeer> {
        self.book.iter().map(|(_, entry)| &entry.known)
    }

    /// Whether this node is in the address book.
    pub fn knows(&self, peer: &NodeId) -> bool {
        self.book.get(peer).is_some()
    }

    /// Where we say that we listen.
    pub fn own_addresses(&self) -> Vec<SocketAddr> {
        self.own.record().addresses.iter().filter_map(Address::socket_addr).collect()
    }

    fn handle_parting(
        &mut self,
        now: Now,
        from: NodeId,
        incoming: PeersMessage,
        standings: &TrustTable,
        out: &mut VecDeque<PeersEffect>,
    ) {
        let PeersMessage::Announcement(peers) = incoming else { return };
        if let Some(dialled) = self.dials.parting(&from) {
            self.hear_all(now, from, Scope::of_peer(dialled), peers, standings, out);
        }
    }

    fn hear_all(
        &mut self,
        now: Now,
        from: NodeId,
        told_over: Scope,
        records: Vec<Signed<PeerRecord>>,
        standings: &TrustTable,
        out: &mut VecDeque<PeersEffect>,
    ) {
        for record in records {
            self.handle_record(now, from, told_over, record, standings, out);
        }
    }

    fn dial_wanted(&mut self, now: Now, standings: &TrustTable, out: &mut VecDeque<PeersEffect>) {
        while let Some(peer) = self.wanted.pop_first() {
            if standings.is_banned(&peer, now.wall) || self.is_taken(&peer) {
                continue;
            }
            if !self.dial_known(now, peer, out) && self.book.get(&peer).is_some() {
                // Every dial is taken.
                self.wanted.insert(peer);
                self.deadlines.set(PeersWake::Wanted, now.mono + NO_DIAL);
                return;
            }
        }
    }
}

fn misbehaved(peer: NodeId, what: Misbehavior, out: &mut VecDeque<PeersEffect>) {
    out.push_back(PeersEffect::Observed { peer, what: Observation::Misbehaved(what) });
}

fn timed_out(peer: NodeId, out: &mut VecDeque<PeersEffect>) {
    out.push_back(PeersEffect::Observed { peer, what: Observation::TimedOut });
}

/// Wait for the hello of a peer that dialled us. When both ends dialled at once, each may take the
/// other's link for the one that stays: then nobody would say hello.
const GREET_WAIT: Duration = Duration::from_secs(1);
/// Wait of a direct message's wish for a link while every dial is taken.
const NO_DIAL: Duration = Duration::from_millis(250);
const NOT_ITS_OWN: &str = "the record in the hello is not the peer's own";
