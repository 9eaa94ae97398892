//! Dials that are under way, and for what there is room.

use std::{collections::BTreeMap, net::SocketAddr};

use super::{
    PeersEffect, address_book::AddressBook, connected::ConnectedPeers, contacts::Contacts,
    entry::AddressEntry, silence::SilentAddresses, turn::Turn,
};
use crate::{
    handshake::Expect,
    id::NodeId,
    limits::{
        BOOTSTRAP_DIALS, MAX_DIALS, MAX_HALF_OPEN, MAX_PROBES, MAX_RESERVED, MAX_RESERVED_PLACES,
        MAX_TABLE_DIALS, QUERY_PACKETS, SPARING_DIAL_PACKETS,
    },
    scope::Scope,
    session::sessions::{DialRequest, Effort, Purpose},
    time::{Duration, Instant},
};

/// Dials that are under way. At most one with the same address, expectation and purpose.
///
/// [`dial`](Self::dial) begins one and each is over with [`finish`](Self::finish). Of those that
/// may become links there are at most [`MAX_DIALS`], of which [`BOOTSTRAP_DIALS`] are kept for
/// bootstrap addresses, and at most [`LOST_DIALS`] are to peers that fell silent; of probes at most
/// [`MAX_PROBES`]; at most [`MAX_TABLE_DIALS`] are the hash table's; and there are
/// [`MAX_RESERVED_PLACES`] for each reserved peer. A dial whose outcome nobody tells is forgotten
/// by [`expire`](Self::expire).
///
/// Where somebody only said that a node is there the dial is [sparing](Self::HEARSAY), and none
/// leaves while enough went there in vain ([`SilentAddresses`]).
#[derive(Debug)]
pub(super) struct Dialer {
    me: NodeId,
    /// Whether nobody is dialled but whom the operator named.
    only_named: bool,
    under_way: BTreeMap<Key, UnderWay>,
    contacts: Contacts,
    silence: SilentAddresses,
}

type Key = (SocketAddr, Option<NodeId>, bool);

#[derive(Debug)]
struct UnderWay {
    reason: DialReason,
    since: Instant,
    /// Whether nobody there had spoken to us by then.
    to_strangers: bool,
    /// Who answers said something before refusing us.
    parted: bool,
}

/// What is to be known of a dial that is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndedDial {
    /// On whose behalf it was.
    pub reason: DialReason,
    /// When it began.
    pub since: Instant,
    /// Whether nobody there had spoken to us, so that it went as that of any stranger would.
    pub to_strangers: bool,
}

/// On whose behalf a dial is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DialReason {
    /// The address book's.
    Book,
    /// The application's, which has something for this very node.
    Wanted,
    /// To find a peer again that fell silent.
    Lost,
    /// This bootstrap address's.
    Bootstrap(usize),
    /// To prove the address of a linked peer.
    Probe,
    /// The hash table's, which has something to ask.
    Table,
    /// For a peer that has a slot of its own.
    Reserved,
}

impl Dialer {
    /// `only_named`: nobody is dialled but whom the operator named.
    pub(super) const fn new(me: NodeId, contacts: Contacts, only_named: bool) -> Self {
        let silence = SilentAddresses::new();
        Self { me, only_named, under_way: BTreeMap::new(), contacts, silence }
    }

    /// What a dial may cost where somebody only said that a node is there.
    pub(super) const HEARSAY: Effort = Effort::Packets(SPARING_DIAL_PACKETS);

    /// Whether it dials for this reason at all.
    pub(super) const fn may(&self, reason: DialReason) -> bool {
        !self.only_named || matches!(reason, DialReason::Bootstrap(_) | DialReason::Reserved)
    }

    /// Dials unless this dial is under way already, there is no room for it, or it is sparing and
    /// its address is silent.
    pub(super) fn dial(
        &mut self,
        mut request: DialRequest,
        reason: DialReason,
        links: &ConnectedPeers,
        turn: &mut Turn<'_>,
    ) -> bool {
        let key = key(&request);
        let has_room = self.may(reason) && self.has_room(reason, request.purpose);
        if !has_room || self.under_way.contains_key(&key) {
            return false;
        }
        if let Effort::Packets(packets) = request.effort {
            if self.silence.has_answered(request.to) {
                request.effort = Effort::Full;
            } else if !self.silence.spend(turn.now.mono, request.to, packets) {
                turn.counters.silent_spared += 1;
                return false;
            }
        }
        let since = turn.now.mono;
        let to_strangers = self.contacts.are_strangers(request.to, links, since);
        let under_way = UnderWay { reason, since, to_strangers, parted: false };
        self.under_way.insert(key, under_way);
        match request.purpose {
            Purpose::Connect => turn.counters.dials += 1,
            Purpose::Probe => turn.counters.probes += 1,
        }
        turn.push(PeersEffect::Dial(request));
        true
    }

    /// Dials a node of the book.
    pub(super) fn dial_known(
        &mut self,
        node: NodeId,
        reason: DialReason,
        book: &AddressBook,
        links: &ConnectedPeers,
        turn: &mut Turn<'_>,
    ) -> bool {
        let Some(entry) = book.get(&node) else { return false };
        let Some(to) = entry.address() else { return false };
        let request = DialRequest {
            to,
            expect: Expect::Node(node),
            noise_static: Some(entry.known.record.content().noise_static),
            purpose: Purpose::Connect,
            effort: Self::effort(entry, to, reason),
        };
        !self.is_taken(&node, links) && self.dial(request, reason, links, turn)
    }

    /// Until when a node of the book is not dialled because nobody answers where it is said to be.
    pub(super) fn silent_until(&self, entry: &AddressEntry, now: Instant) -> Option<Instant> {
        let to = entry.address()?;
        match Self::effort(entry, to, DialReason::Book) {
            Effort::Full => None,
            Effort::Packets(packets) => self.silence.until(now, to, packets),
        }
    }

    /// Until when nobody is dialled at this address by hearsay.
    pub(super) fn address_silent_until(&self, to: SocketAddr, now: Instant) -> Option<Instant> {
        self.silence.until(now, to, SPARING_DIAL_PACKETS)
    }

    /// Where a node was reached before it is dialled with all means, and wherever the application
    /// wants it.
    fn effort(entry: &AddressEntry, to: SocketAddr, reason: DialReason) -> Effort {
        let is_named =
            matches!(reason, DialReason::Wanted | DialReason::Reserved | DialReason::Bootstrap(_));
        if is_named || entry.known.dialled == Some(to) { Effort::Full } else { Self::HEARSAY }
    }

    /// Whether a query may go to this address; if so, it is taken to.
    pub(super) fn may_query(&mut self, to: SocketAddr, turn: &mut Turn<'_>) -> bool {
        if self.only_named {
            return false;
        }
        let may = self.silence.spend(turn.now.mono, to, QUERY_PACKETS);
        turn.counters.silent_spared += u64::from(!may);
        may
    }

    /// A node proved to be at this address. Whether it was silent before.
    pub(super) fn note_presence(&mut self, addr: SocketAddr) -> bool {
        self.silence.note_answer(addr)
    }

    /// A dial is over.
    pub(super) fn finish(&mut self, request: &DialRequest) -> Option<EndedDial> {
        let UnderWay { reason, since, to_strangers, .. } = self.under_way.remove(&key(request))?;
        let spoke = self.contacts.spoke_since(request.to, since);
        Some(EndedDial { reason, since, to_strangers: to_strangers && !spoke })
    }

    /// Somebody at this address spoke to us.
    pub(super) fn note_contact(&mut self, addr: SocketAddr, now: Instant) {
        self.contacts.note(addr, now);
    }

    /// Somebody at this address answered us.
    pub(super) fn note_answer(&mut self, addr: SocketAddr, now: Instant) {
        self.contacts.note_answer(addr, now);
    }

    /// Forgets dials whose outcome was never told.
    pub(super) fn expire(&mut self, now: Instant) {
        self.under_way.retain(|_, at| now.since(at.since) < LOST_DIAL);
    }

    /// Whether a link to `node` is there or on its way.
    pub(super) fn is_taken(&self, node: &NodeId, links: &ConnectedPeers) -> bool {
        let is_dialling = || self.links().any(|(_, expected, _)| expected.as_ref() == Some(node));
        *node == self.me || links.contains(node) || is_dialling()
    }

    /// Slots for links of our own choice that neither a link nor a dial takes up.
    pub(super) fn free_slots(&self, links: &ConnectedPeers) -> usize {
        links.free_outbound().saturating_sub(self.connecting())
    }

    /// The addresses of dials that may become links.
    pub(super) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.links().map(|(to, ..)| *to)
    }

    /// Where a node of which we know the id is dialled.
    pub(super) fn under_way(&self) -> impl Iterator<Item = (SocketAddr, NodeId)> {
        self.under_way.keys().filter_map(|(to, peer, _)| Some((*to, (*peer)?)))
    }

    /// Dials that may become links in slots that all share.
    pub(super) fn connecting(&self) -> usize {
        let shared = |(key, at): &(&Key, &UnderWay)| {
            !key.2 && !matches!(at.reason, DialReason::Reserved | DialReason::Table)
        };
        self.under_way.iter().filter(shared).count()
    }

    /// The address of a dial that `from` may have answered, if it has not spoken yet.
    pub(super) fn referred_by(&mut self, from: &NodeId) -> Option<SocketAddr> {
        let expected = |key: &Key| !key.2 && key.1.is_none_or(|node| node == *from);
        let dials = self.under_way.iter_mut();
        let mut dials: Vec<_> = dials.filter(|(key, at)| expected(key) && !at.parted).collect();
        // Which of several it was is not known: believe the one that allows least.
        let farthest = |key: &Key| Scope::of_peer(key.0);
        let (key, at) = dials.iter_mut().max_by_key(|(key, _)| (key.1, farthest(key)))?;
        at.parted = true;
        Some(key.0)
    }

    fn links(&self) -> impl Iterator<Item = &Key> {
        self.under_way.keys().filter(|(_, _, probe)| !probe)
    }

    fn has_room(&self, reason: DialReason, purpose: Purpose) -> bool {
        let connecting = self.connecting();
        match (purpose, reason) {
            (Purpose::Probe, _) => self.under_way.len() - self.links().count() < MAX_PROBES,
            (Purpose::Connect, DialReason::Reserved) => true,
            (Purpose::Connect, DialReason::Bootstrap(_)) => connecting < MAX_DIALS,
            (Purpose::Connect, DialReason::Table) => self.count(reason) < MAX_TABLE_DIALS,
            (Purpose::Connect, DialReason::Lost) if self.count(reason) >= LOST_DIALS => false,
            (Purpose::Connect, _) => {
                let others = [DialReason::Book, DialReason::Wanted, DialReason::Lost];
                let others: usize = others.into_iter().map(|why| self.count(why)).sum();
                others < MAX_DIALS - BOOTSTRAP_DIALS && connecting < MAX_DIALS
            }
        }
    }

    /// Dials that may become links and are made for this reason.
    pub(super) fn count(&self, reason: DialReason) -> usize {
        self.under_way.iter().filter(|(key, at)| !key.2 && at.reason == reason).count()
    }
}

fn key(request: &DialRequest) -> Key {
    let node = match request.expect {
        Expect::Node(node) => Some(node),
        Expect::Anyone => None,
    };
    (request.to, node, request.purpose == Purpose::Probe)
}

/// Dials to peers that fell silent, so that those who are gone for good do not keep us from others.
const LOST_DIALS: usize = 4;
/// A dial whose outcome nobody told for so long is over.
const LOST_DIAL: Duration = Duration::from_secs(60);
/// Each is two links at most; the sessions refuse more than [`MAX_HALF_OPEN`].
const _: () = assert!(
    2 * (MAX_DIALS + MAX_PROBES + MAX_TABLE_DIALS + MAX_RESERVED * MAX_RESERVED_PLACES)
        <= MAX_HALF_OPEN,
    "every dial has its links"
);
