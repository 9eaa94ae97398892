//! The machine: who is here and whom to dial.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::Arc,
};

use super::{
    Bootstrap, Config, Incoming, KnownPeer, Out, book::Book, bootstrap::Doorstep, dialing::Dials,
    groups::Scope, links::Links, own::Own, records::Checks,
};
use crate::{
    deadlines::Deadlines,
    handshake::Direction,
    id::{NetworkId, NodeId},
    identity::{Identity, Signed, Verified},
    limits::{MAX_WANTED_LINKS, RECORDS_PER_ANSWER},
    misbehavior::{Misbehavior, Observation},
    rng::Rng,
    session::sessions::{Dial, DialOutcome, DownReason, Peer},
    standings::Standings,
    time::{Duration, Instant, Now},
    wire::{frame::CloseReason, message::Message, record::PeerRecord},
};

/// What happened and what was dropped, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// Dials wished.
    pub dials: u64,
    /// Dials that failed.
    pub dials_failed: u64,
    /// Addresses probed.
    pub probes: u64,
    /// Newcomers refused because every slot was taken.
    pub refused_full: u64,
    /// Newcomers refused because they are banned.
    pub refused_banned: u64,
    /// Records that were new or newer.
    pub records_learned: u64,
    /// Records dropped because the book, or its source's share of it, is full.
    pub records_dropped: u64,
    /// Records whose signature was forged.
    pub records_forged: u64,
}

/// Why peers want to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wake {
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
/// It is silent until [`listening`](Self::listening). After each call drain `out`, and call
/// [`handle_timeout`](Self::handle_timeout) when [`poll_timeout`](Self::poll_timeout) says so.
///
/// - Whoever knocks is admitted or refused at once. Slots that our own choice of peers needs are
///   never given to guests.
/// - Each [`Out::Dial`] is answered by one [`dial_ended`](Self::dial_ended), each [`Out::Resolve`]
///   by one [`resolved`](Self::resolved). What a node said before it refused our dial goes to
///   [`handle_message`](Self::handle_message) before the dial's end.
/// - Each [`Out::Verify`] is answered by [`verified`](Self::verified) or
///   [`refuted`](Self::refuted); one that there was no room to check is simply never answered.
/// - A record is passed on only after a dial of ours found its node at one of its addresses.
/// - As long as somebody is known, somebody is dialled: bootstrap addresses and lost peers are
///   retried at bounded rates however well things go.
#[derive(Debug)]
pub struct Peers {
    pub(super) config: Config,
    pub(super) me: NodeId,
    pub(super) rng: Rng,
    pub(super) own: Own,
    pub(super) book: Book,
    pub(super) links: Links,
    pub(super) dials: Dials,
    pub(super) bootstraps: Vec<Doorstep>,
    pub(super) checks: Checks,
    /// Peers that fell silent, and since when.
    pub(super) lost: BTreeMap<NodeId, Instant>,
    /// Peers that direct messages wait for.
    wanted: BTreeSet<NodeId>,
    pub(super) deadlines: Deadlines<Wake>,
    pub(super) counters: Counters,
    started: bool,
    /// Whether there was ever a link in this life.
    pub(super) linked_ever: bool,
    /// Questions in a row that brought nothing new while we had too few peers.
    pub(super) hunger: u32,
    /// Discovery intervals in a row with too many outbound links.
    pub(super) too_many: u32,
    pub(super) last_fill: Instant,
    /// Who was reached last although it is banned.
    pub(super) turned_away: Option<NodeId>,
    /// Since when outbound links are missing.
    pub(super) short_since: Option<Instant>,
}

impl Peers {
    /// `me` signs our own record, and nothing else.
    pub fn new(
        config: Config,
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
            own: Own::new(me, network, config.software.clone(), now.wall),
            book: Book::default(),
            links: Links::new(config.max_peers, config.min_peers),
            dials: Dials::default(),
            bootstraps: Vec::new(),
            checks: Checks::default(),
            lost: BTreeMap::new(),
            wanted: BTreeSet::new(),
            deadlines: Deadlines::new(),
            counters: Counters::default(),
            started: false,
            linked_ever: false,
            hunger: 0,
            too_many: 0,
            last_fill: Instant::ORIGIN,
            turned_away: None,
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
    pub fn listening(&mut self, now: Now, addresses: &[SocketAddr], out: &mut VecDeque<Out>) {
        self.own.listening(addresses);
        self.refresh_own(now, out);
        self.forget_evicted(out);
        if !core::mem::replace(&mut self.started, true) {
            self.hurry_bootstraps(now);
            self.fill_soon(now);
            let tidy = now.mono + self.rng.jitter(self.config.discovery_interval);
            self.deadlines.set(Wake::Tidy, tidy);
            self.discover_later(now);
        }
    }

    /// Somebody dialled us and is authenticated: in or out?
    pub fn knock(&mut self, now: Now, peer: Peer, standings: &Standings, out: &mut VecDeque<Out>) {
        if standings.is_banned(&peer.id, now.wall) {
            self.counters.refused_banned += 1;
            out.push_back(Out::Refuse { peer, reason: CloseReason::Banned, parting: None });
        } else if self.links.admit(now.mono, peer.id) {
            out.push_back(Out::Admit(peer));
        } else {
            self.counters.refused_full += 1;
            let scope = Scope::of_peer(peer.addr);
            let peers = self.sample(now, peer.id, scope, RECORDS_PER_ANSWER, standings);
            let parting = (!peers.is_empty()).then_some(Message::PeerAnnouncement { peers });
            out.push_back(Out::Refuse { peer, reason: CloseReason::SlotsFull, parting });
        }
    }

    /// A session is up. Who dialled says hello.
    pub fn peer_up(
        &mut self,
        now: Now,
        peer: Peer,
        standings: &Standings,
        out: &mut VecDeque<Out>,
    ) {
        if standings.is_banned(&peer.id, now.wall) {
            out.push_back(Out::Disconnect { peer: peer.id, reason: CloseReason::Banned });
            self.turned_away = Some(peer.id);
            return self.bootstrap_banned(now, peer.id);
        }
        if !self.links.up(now.mono, peer) {
            return;
        }
        if self.links.is_overfull() {
            let reason = CloseReason::SlotsFull;
            return out.push_back(Out::Disconnect { peer: peer.id, reason });
        }
        self.turned_away = self.turned_away.filter(|id| *id != peer.id);
        self.linked_ever = true;
        self.lost.remove(&peer.id);
        self.wanted.remove(&peer.id);
        self.deadlines.clear(Wake::Redial(peer.id));
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
        self.deadlines.set(Wake::Heartbeat(peer.id), now.mono + beat);
        if outbound {
            self.remember(peer.id, out);
            self.greet(now, peer.id, false, standings, out);
        } else {
            self.deadlines.set(Wake::Greet(peer.id), now.mono + GREET_WAIT);
        }
        self.hunger = 0;
        self.discover_later(now);
    }

    /// A session is over.
    pub fn peer_down(
        &mut self,
        now: Now,
        peer: NodeId,
        reason: &DownReason,
        out: &mut VecDeque<Out>,
    ) {
        let Some(link) = self.links.down(&peer) else { return };
        for why in [Wake::Heartbeat, Wake::Greet, Wake::HelloAnswer, Wake::Answer, Wake::Probe] {
            self.deadlines.clear(why(peer));
        }
        self.own.peer_down(&peer);
        self.book.change(&peer, |entry| {
            entry.linked = false;
            entry.known.last_seen = now.wall;
        });
        self.forget_evicted(out);
        self.remember(peer, out);
        self.mourn(now, peer, link.peer.direction, reason);
        self.bootstrap_lost(now, peer);
        self.hunger = 0;
        self.discover_later(now);
        self.fill_soon(now);
    }

    /// What came of an [`Out::Dial`].
    #[allow(clippy::needless_pass_by_value)] // the contract of every room: inputs are given away
    pub fn dial_ended(
        &mut self,
        now: Now,
        dial: Dial,
        outcome: DialOutcome,
        out: &mut VecDeque<Out>,
    ) {
        self.dial_over(now, dial, &outcome, out);
    }

    /// What came of an [`Out::Resolve`]: addresses, or in words why there are none.
    pub fn resolved(
        &mut self,
        now: Now,
        name: &str,
        outcome: Result<Vec<SocketAddr>, String>,
        out: &mut VecDeque<Out>,
    ) {
        self.bootstrap_resolved(now, name, outcome, out);
    }

    /// A linked peer said something, or a node that is about to refuse our dial.
    pub fn handle_message(
        &mut self,
        now: Now,
        from: NodeId,
        incoming: Incoming,
        standings: &Standings,
        out: &mut VecDeque<Out>,
    ) {
        let Some(link) = self.links.get_mut(&from) else {
            return self.handle_parting(now, from, incoming, standings, out);
        };
        if let Incoming::Heartbeat(active_peers) = incoming {
            link.active_peers = active_peers;
            return;
        }
        let asked = link.asked && matches!(incoming, Incoming::Announcement(_));
        if !asked && !link.may_speak(now.mono) {
            return misbehaved(from, Misbehavior::Flooding, out);
        }
        let scope = link.scope;
        match incoming {
            Incoming::Heartbeat(_) => {}
            Incoming::Hello { answer, record, observed, peers } => {
                let content = record.content();
                let (key, noise) = (link.peer.key, link.peer.noise_static);
                if content.key != key || content.noise_static != noise {
                    misbehaved(from, Misbehavior::ProtocolViolation, out);
                    let reason = CloseReason::Violation(NOT_ITS_OWN.to_owned());
                    return out.push_back(Out::Disconnect { peer: from, reason });
                }
                self.own.seen_by(link, observed);
                self.deadlines.clear(Wake::Greet(from));
                self.refresh_own(now, out);
                if answer {
                    self.deadlines.clear(Wake::HelloAnswer(from));
                } else {
                    self.greet(now, from, true, standings, out);
                }
                self.hear(now, from, scope, record, standings, out);
                self.hear_all(now, from, scope, peers, standings, out);
            }
            Incoming::Discovery(count) => {
                let count = usize::from(count).min(RECORDS_PER_ANSWER);
                let peers = self.sample(now, from, scope, count, standings);
                let message = Message::PeerAnnouncement { peers };
                out.push_back(Out::Send { to: from, message });
            }
            Incoming::Announcement(peers) => {
                if core::mem::replace(&mut link.asked, false) {
                    self.deadlines.clear(Wake::Answer(from));
                    out.push_back(Out::Observed { peer: from, what: Observation::Answered });
                }
                self.hear_all(now, from, scope, peers, standings, out);
            }
        }
    }

    /// The claim of [`Out::Verify`] proved true.
    pub fn verified(
        &mut self,
        now: Now,
        from: NodeId,
        record: Verified<PeerRecord>,
        out: &mut VecDeque<Out>,
    ) {
        self.learn(now, from, record, out);
    }

    /// The claim of [`Out::Verify`] proved false; `from` is blamed for it here. Not to be called
    /// when there was no room to check it.
    pub fn refuted(&mut self, _now: Now, from: NodeId, node: NodeId, out: &mut VecDeque<Out>) {
        self.forged(from, node, out);
    }

    /// A link to this node is wanted now (a direct message waits): dials it if an address is
    /// known. The dial leaves at the next [`handle_timeout`](Self::handle_timeout), due at once.
    pub fn connect(&mut self, now: Now, peer: NodeId, _out: &mut VecDeque<Out>) {
        let wanted = !self.is_taken(&peer) && self.book.get(&peer).is_some();
        if wanted && self.wanted.len() < MAX_WANTED_LINKS {
            self.wanted.insert(peer);
            self.deadlines.set(Wake::Wanted, now.mono);
        }
    }

    /// A person wants a link to this address; kept like a bootstrap address.
    pub fn add_bootstrap(&mut self, now: Now, address: String, _out: &mut VecDeque<Out>) {
        if let Some(index) = self.insert_bootstrap(address) {
            self.deadlines.set_earliest(Wake::Bootstrap(index), now.mono);
        }
    }

    /// Trust banned somebody.
    pub fn banned(&mut self, now: Now, peer: NodeId, out: &mut VecDeque<Out>) {
        self.lost.remove(&peer);
        self.wanted.remove(&peer);
        self.bootstrap_banned(now, peer);
        if self.links.contains(&peer) {
            out.push_back(Out::Disconnect { peer, reason: CloseReason::Banned });
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now, standings: &Standings, out: &mut VecDeque<Out>) {
        while let Some(why) = self.deadlines.pop_due(now.mono) {
            match why {
                Wake::Wanted => self.dial_wanted(now, standings, out),
                Wake::Fill => self.fill(now, standings, out),
                Wake::Bootstrap(index) => self.bootstrap_due(now, index, out),
                Wake::Redial(peer) => self.redial_lost(now, peer, standings, out),
                Wake::Probe(peer) => self.probe(now, peer, out),
                Wake::Announce => self.refresh_own(now, out),
                Wake::Discover => self.discover(now, out),
                Wake::Tidy => self.tidy(now, standings, out),
                Wake::Heartbeat(peer) => self.heartbeat(now, peer, out),
                Wake::Greet(peer) => self.greet(now, peer, false, standings, out),
                Wake::HelloAnswer(peer) => timed_out(peer, out),
                Wake::Answer(peer) => {
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
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// How it goes with each bootstrap address, in the order in which they were given.
    pub fn bootstrap(&self) -> impl Iterator<Item = &Bootstrap> {
        self.bootstraps.iter().map(Doorstep::view)
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
    pub fn own_addresses(&self) -> &[SocketAddr] {
        &self.own.record().addresses
    }

    fn handle_parting(
        &mut self,
        now: Now,
        from: NodeId,
        incoming: Incoming,
        standings: &Standings,
        out: &mut VecDeque<Out>,
    ) {
        let Incoming::Announcement(peers) = incoming else { return };
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
        standings: &Standings,
        out: &mut VecDeque<Out>,
    ) {
        for record in records {
            self.hear(now, from, told_over, record, standings, out);
        }
    }

    fn dial_wanted(&mut self, now: Now, standings: &Standings, out: &mut VecDeque<Out>) {
        while let Some(peer) = self.wanted.pop_first() {
            if standings.is_banned(&peer, now.wall) || self.is_taken(&peer) {
                continue;
            }
            if !self.dial_known(now, peer, out) && self.book.get(&peer).is_some() {
                // Every dial is taken.
                self.wanted.insert(peer);
                self.deadlines.set(Wake::Wanted, now.mono + NO_DIAL);
                return;
            }
        }
    }
}

fn misbehaved(peer: NodeId, what: Misbehavior, out: &mut VecDeque<Out>) {
    out.push_back(Out::Observed { peer, what: Observation::Misbehaved(what) });
}

fn timed_out(peer: NodeId, out: &mut VecDeque<Out>) {
    out.push_back(Out::Observed { peer, what: Observation::TimedOut });
}

/// Wait for the hello of a peer that dialled us. When both ends dialled at once, each may take the
/// other's link for the one that stays: then nobody would say hello.
const GREET_WAIT: Duration = Duration::from_secs(1);
/// Wait of a direct message's wish for a link while every dial is taken.
const NO_DIAL: Duration = Duration::from_millis(250);
const NOT_ITS_OWN: &str = "the record in the hello is not the peer's own";
