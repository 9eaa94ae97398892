//! From a signed record that somebody sent to an entry of the book, and the proof of its addresses.

use std::{collections::BTreeMap, net::SocketAddr};

use super::{
    KnownPeer, PeersEffect,
    address_book::{AddressBook, Learned},
    connected::ConnectedPeers,
    dial_schedule::backoff,
    dialer::{DialReason, Dialer},
    entry::{AddressEntry, SourceShare},
    turn::Turn,
};
use crate::{
    deadlines::Deadlines,
    handshake::{Direction, Expect},
    id::NodeId,
    identity::{Signed, Verified},
    limits::{
        CHECK_TIMEOUT, HANDSHAKE_TIMEOUT, MAX_CHECKS, MAX_CHECKS_PER_PEER, MAX_PROBES_PER_PEER,
        REDIAL_LONGEST, SILENT_PROBE_LATER,
    },
    misbehavior::Misbehavior,
    scope::{Scope, canonical, is_plausible, is_relayed},
    session::sessions::{DialRequest, LinkKind, Purpose},
    standings::TrustTable,
    time::{Duration, Instant},
    wire::{Address, record::PeerRecord},
};

/// Records that others send, on their way into the book.
///
/// [`handle_record`](Self::handle_record) drops what is old, of nobody who may come in, or of no
/// use; what is left leaves as [`PeersEffect::Verify`], and comes back to
/// [`handle_verified`](Self::handle_verified) or [`handle_refuted`](Self::handle_refuted). A linked
/// peer whose record is in the book without a proof that strangers reach it is probed at its
/// addresses, at most [`MAX_PROBES_PER_PEER`] times a link. At most [`MAX_CHECKS`] records are
/// being checked, and [`MAX_CHECKS_PER_PEER`] of one peer.
#[derive(Debug)]
pub(super) struct Intake {
    me: NodeId,
    /// At most one for each (who told us, of whom).
    checks: BTreeMap<(NodeId, NodeId), Check>,
    /// When an address of a linked peer is to be proven.
    probes: Deadlines<NodeId>,
}

#[derive(Debug)]
struct Check {
    told_over: Scope,
    sequence: u64,
    since: Instant,
}

/// A record, as it was told.
pub(super) struct ToldRecord {
    pub from: NodeId,
    /// The scope of the link over which it came.
    pub told_over: Scope,
    pub record: Signed<PeerRecord>,
}

/// What a verified record is to the rest of the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordNews {
    /// Our own one, newer than what we say: another process or an earlier life signed it.
    OfOurselves,
    /// Of somebody who was not in the book.
    NewPeer,
    /// Nothing.
    Nothing,
}

impl Intake {
    pub(super) fn new(me: NodeId) -> Self {
        Self { me, checks: BTreeMap::new(), probes: Deadlines::new() }
    }

    /// Somebody sent a record; `own_sequence` is that of our own. Whether it is being
    /// checked.
    pub(super) fn handle_record(
        &mut self,
        told: ToldRecord,
        own_sequence: u64,
        book: &mut AddressBook,
        links: &ConnectedPeers,
        standings: &TrustTable,
        turn: &mut Turn<'_>,
    ) -> bool {
        let ToldRecord { from, told_over, record } = told;
        let content = record.content();
        let (node, sequence) = (content.node_id(), content.sequence);
        book.note_teller(&node, from);
        if standings.is_banned(&node, turn.now.wall) || standings.is_retired(&node) {
            return false;
        }
        if node == self.me {
            if sequence <= own_sequence {
                return false;
            }
        } else if let Some(entry) = book.get(&node) {
            if entry.known.record.claim() == &record {
                improve(node, told_over, book);
                if from == node {
                    self.prove(node, book, links, turn);
                } else {
                    book.handle_passed_on(&node, from);
                }
                return false;
            }
            if sequence <= entry.known.record.content().sequence {
                return false;
            }
        } else if usable(content, told_over).is_empty() {
            return false;
        }
        let check = Check { told_over, sequence, since: turn.now.mono };
        let is_checked = self.begin_check(from, node, check);
        if is_checked {
            turn.push(PeersEffect::Verify { from, record });
        } else {
            turn.counters.records_dropped += 1;
        }
        is_checked
    }

    /// A record proved to be its node's.
    pub(super) fn handle_verified(
        &mut self,
        from: NodeId,
        record: Verified<PeerRecord>,
        book: &mut AddressBook,
        links: &ConnectedPeers,
        turn: &mut Turn<'_>,
    ) -> RecordNews {
        let (node, sequence) = (record.content().node_id(), record.content().sequence);
        let Some(check) = self.checks.remove(&(from, node)) else { return RecordNews::Nothing };
        if check.sequence != sequence {
            return RecordNews::Nothing;
        }
        if node == self.me {
            return RecordNews::OfOurselves;
        }
        let was_good = book.get(&node).is_some_and(AddressEntry::is_verified);
        let usable = usable(record.content(), check.told_over);
        let mut news = RecordNews::Nothing;
        match book.learn(record, usable, share_of(from, node, links)) {
            Learned::New => {
                turn.counters.records_learned += 1;
                news = RecordNews::NewPeer;
                if links.contains(&node) {
                    book.change(&node, |entry| {
                        entry.linked = true;
                        entry.known.last_seen = turn.now.wall;
                    });
                }
            }
            Learned::Newer => {
                turn.counters.records_learned += 1;
                match book.get(&node).map(AddressEntry::is_verified) {
                    Some(true) => book.remember(node, turn.out),
                    _ if was_good => book.forget_stored(node, turn.out),
                    _ => {}
                }
            }
            Learned::Dropped => turn.counters.records_dropped += 1,
            Learned::Old => {}
        }
        book.note_teller(&node, from);
        book.report_evicted(turn.out);
        if from == node || links.contains(&node) {
            self.prove(node, book, links, turn);
        }
        news
    }

    /// Whether a record of ours that `from` showed is being checked.
    pub(super) fn checks_own(&self, from: NodeId) -> bool {
        self.checks.contains_key(&(from, self.me))
    }

    /// A record was not its node's: `from` is blamed.
    pub(super) fn handle_refuted(&mut self, from: NodeId, node: NodeId, turn: &mut Turn<'_>) {
        if self.checks.remove(&(from, node)).is_some() {
            turn.counters.records_forged += 1;
            turn.blame(from, Misbehavior::ForgedSignature);
        }
    }

    /// A dial found `node`; `proof` is over which kind of link, if that proves that strangers find
    /// it there, too. If not, a dial over another kind may.
    pub(super) fn handle_found(
        &mut self,
        node: NodeId,
        dial: &DialRequest,
        proof: Option<LinkKind>,
        book: &mut AddressBook,
        links: &mut ConnectedPeers,
        turn: &mut Turn<'_>,
    ) {
        let was_proven = book.get(&node).is_some_and(AddressEntry::is_proven);
        book.answered_at(node, (dial.to, proof.is_some()), turn.now.wall, turn.out);
        let Some(link) = links.get_mut(&node) else { return };
        if !was_proven && link.dialled.map(canonical) == Some(canonical(dial.to)) {
            link.proof = link.proof.or(proof);
        }
        if book.get(&node).is_none_or(AddressEntry::is_proven) {
            return;
        }
        match dial.purpose {
            Purpose::Connect => self.probes.set_earliest(node, turn.now.mono),
            Purpose::Probe => self.handle_unproven(node, links, turn),
        }
    }

    /// `node` dialled us when we dialled it: what it sent may have let our datagrams in.
    pub(super) fn handle_dialled_us(
        &mut self,
        node: NodeId,
        book: &mut AddressBook,
        links: &mut ConnectedPeers,
        turn: &mut Turn<'_>,
    ) {
        let Some(link) = links.get_mut(&node) else { return };
        let at_once = turn.now.mono.since(link.since) < HANDSHAKE_TIMEOUT;
        if at_once && link.proof.take_if(|kind| !kind.has_own_port()).is_some() {
            book.change(&node, |entry| entry.known.proven = None);
            book.remember(node, turn.out);
            self.probes.set_earliest(node, turn.now.mono);
        }
    }

    /// A probe of a linked peer's address proved nothing: later again.
    pub(super) fn handle_unproven(
        &mut self,
        node: NodeId,
        links: &ConnectedPeers,
        turn: &mut Turn<'_>,
    ) {
        let Some(probes) = links.get(&node).map(|link| link.probes) else { return };
        // The first doublings are skipped: nobody waits for a proof.
        let wait = backoff(turn.rng, probes + 2, REDIAL_LONGEST);
        self.probes.set(node, turn.now.mono + wait);
    }

    /// Somebody else answers at an address of `node`: it is dropped, and held against nobody.
    /// Others may have told the node that it is there, and one translator may have two nodes behind
    /// it.
    pub(super) fn handle_wrong_node(
        &mut self,
        node: NodeId,
        dial: &DialRequest,
        book: &mut AddressBook,
        links: &ConnectedPeers,
        turn: &mut Turn<'_>,
    ) {
        if book.is_pinned(&node) {
            return self.handle_unproven(node, links, turn);
        }
        let to = canonical(dial.to);
        let demoted = book.change(&node, |entry| {
            entry.usable.retain(|addr| *addr != to);
            let was_good = entry.is_verified();
            entry.known.dialled = entry.known.dialled.filter(|addr| *addr != to);
            entry.known.proven = entry.known.proven.filter(|addr| *addr != to);
            was_good && !entry.is_verified()
        });
        let Some(demoted) = demoted else { return };
        if demoted {
            book.forget_stored(node, turn.out);
        }
        book.report_evicted(turn.out);
        if dial.purpose == Purpose::Probe {
            self.handle_unproven(node, links, turn);
        }
    }

    pub(super) fn peer_down(&mut self, peer: NodeId) {
        self.probes.clear(peer);
    }

    /// Forgets checks whose verdict never came.
    pub(super) fn expire(&mut self, now: Instant) {
        self.checks.retain(|_, check| now.since(check.since) < CHECK_TIMEOUT);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.probes.next().map(|(at, _)| at)
    }

    /// Dials addresses of linked peers to see whether others may be told of them.
    pub(super) fn handle_timeout(
        &mut self,
        book: &AddressBook,
        links: &mut ConnectedPeers,
        dialer: &mut Dialer,
        turn: &mut Turn<'_>,
    ) {
        while let Some(node) = self.probes.pop_due(turn.now.mono) {
            let Some(entry) = book.get(&node) else { continue };
            let Some(link) = links.get(&node) else { continue };
            // Who is behind a relay is found by another way, which an uninvited packet would spoil.
            let is_behind = is_relayed(link.peer.addr.ip());
            let may = dialer.may(DialReason::Probe);
            if !may || is_behind || entry.is_proven() || link.probes >= MAX_PROBES_PER_PEER {
                continue;
            }
            let turns = usize::try_from(link.probes).unwrap_or(0) % entry.usable.len().max(1);
            let Some(&to) = entry.usable.get(turns) else { continue };
            let probe = DialRequest {
                to,
                expect: Expect::Node(node),
                noise_static: Some(entry.known.record.content().noise_static),
                purpose: Purpose::Probe,
                effort: Dialer::HEARSAY,
            };
            if dialer.dial(probe, DialReason::Probe, links, turn) {
                links.get_mut(&node).into_iter().for_each(|link| link.probes += 1);
            } else {
                let now = turn.now.mono;
                let later = now + turn.rng.jitter(PROBE_LATER);
                let silent_until = dialer.address_silent_until(to, now);
                let silent_until = silent_until.map(|at| at.min(now + SILENT_PROBE_LATER));
                self.probes.set(node, silent_until.map_or(later, |at| at.max(later)));
            }
        }
    }

    fn begin_check(&mut self, from: NodeId, node: NodeId, check: Check) -> bool {
        let of_peer = (from, NodeId::from_bytes([0; 32]))..=(from, NodeId::from_bytes([255; 32]));
        let room = self.checks.len() < MAX_CHECKS
            && self.checks.range(of_peer).count() < MAX_CHECKS_PER_PEER
            && !self.checks.contains_key(&(from, node));
        if room {
            self.checks.insert((from, node), check);
        }
        room
    }

    /// A linked peer's record is in the book: do strangers reach one of its addresses?
    fn prove(
        &mut self,
        node: NodeId,
        book: &mut AddressBook,
        links: &ConnectedPeers,
        turn: &mut Turn<'_>,
    ) {
        let Some(link) = links.get(&node) else { return };
        let Some(entry) = book.get(&node) else { return };
        if let Some(at) = link.dialled.filter(|_| link.proof.is_some() || !entry.is_verified()) {
            book.answered_at(node, (at, link.proof.is_some()), turn.now.wall, turn.out);
        }
        if !book.get(&node).is_none_or(AddressEntry::is_proven) {
            self.probes.set_earliest(node, turn.now.mono);
        }
    }
}

/// Puts back what storage remembers. An address that answered once says how near the peer is, and
/// with that which of its other addresses mean something.
pub(super) fn restore(mut remembered: Vec<KnownPeer>, me: NodeId, book: &mut AddressBook) {
    let rank = |known: &KnownPeer| (known.failures, core::cmp::Reverse(known.last_seen));
    remembered.sort_by_key(rank);
    let mut named_too = Vec::new();
    for mut known in remembered {
        if known.record.content().node_id() == me {
            continue;
        }
        let named = |addr: &SocketAddr| known.record.content().lists(*addr);
        known.dialled = known.dialled.filter(named);
        known.proven = known.proven.filter(named);
        let scope = known.dialled.map_or(Scope::Public, Scope::of_peer);
        let usable = usable(known.record.content(), scope);
        // What one claims beside takes no room from where another was found.
        let found = |addr: &&SocketAddr| known.dialled.is_none_or(|at| at == **addr);
        let proven: Vec<SocketAddr> = usable.iter().filter(found).copied().collect();
        named_too.push((known.record.content().node_id(), usable));
        book.restore(known, proven);
    }
    for (node, usable) in named_too {
        book.widen(&node, usable);
    }
}

/// The record that we have was told again, perhaps over a nearer link.
fn improve(node: NodeId, told_over: Scope, book: &mut AddressBook) {
    let Some(entry) = book.get(&node) else { return };
    let more = usable(entry.known.record.content(), told_over);
    if more.len() > entry.usable.len() {
        book.widen(&node, more);
    }
}

/// Whose part of the book a record takes up. A peer that we chose to dial speaks for itself;
/// those that dialled us share one part, however many there come.
fn share_of(from: NodeId, node: NodeId, links: &ConnectedPeers) -> SourceShare {
    let is_inbound = links.get(&node).is_none_or(|link| link.peer.direction == Direction::Inbound);
    if from == node && is_inbound { SourceShare::Inbound } else { SourceShare::Hearsay(from) }
}

/// The addresses of a record that are worth a dial when it was told over a link of this scope.
/// Addresses of kinds that this version cannot dial end here: they stay in the record, and nobody
/// is worse for them.
fn usable(record: &PeerRecord, told_over: Scope) -> Vec<SocketAddr> {
    let mut addresses = Vec::with_capacity(record.addresses.len());
    for addr in record.addresses.iter().filter_map(Address::socket_addr) {
        if is_plausible(addr, told_over) && !addresses.contains(&addr) {
            addresses.push(addr);
        }
    }
    addresses
}

/// Wait for a free probe.
const PROBE_LATER: Duration = Duration::from_millis(500);
