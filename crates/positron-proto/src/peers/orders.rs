//! What the room hears from above: which links are wanted and which are not, and where this node
//! and its peers are now.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};

use super::{
    PeersEffect, PeersMessage, Reservation,
    dialer::{DialReason, Dialer},
    entry::AddressEntry,
    intake::ToldRecord,
    local_record::StatedRelays,
    peers::{Peers, PeersWake},
};
use crate::{
    handshake::Expect,
    id::NodeId,
    identity::{Signed, Verified},
    scope::Scope,
    session::sessions::{DialRequest, Effort, LinkKind, Purpose},
    standings::TrustTable,
    time::{Instant, Now},
    wire::{Address, frame::CloseReason, record::PeerRecord},
};

impl Peers {
    /// A link to this node is wanted now (a direct message waits): dials it if an address is
    /// known. The dial leaves at the next [`handle_timeout`](Self::handle_timeout), due at once.
    pub fn connect(&mut self, now: Now, peer: NodeId, _out: &mut VecDeque<PeersEffect>) {
        let may = self.dialer.may(DialReason::Wanted) && self.knows(&peer);
        if may && !self.dialer.is_taken(&peer, &self.links) {
            self.outbound.want(now.mono, peer);
        }
    }

    /// The hash table had this record, at somebody as far away as `told_over`: it is its node's own
    /// word, and goes the way of all others. Whether it is being checked: if not, it is known
    /// already, or of no use.
    pub(crate) fn handle_found_record(
        &mut self,
        now: Now,
        record: Signed<PeerRecord>,
        told_over: Scope,
        standings: &TrustTable,
        out: &mut VecDeque<PeersEffect>,
    ) -> bool {
        let told = ToldRecord { from: record.content().node_id(), told_over, record };
        let own_sequence = self.own.record().sequence;
        let (turn, book) = (&mut self.shared.turn(now, out), &mut self.book);
        self.intake.handle_record(told, own_sequence, book, &self.links, standings, turn)
    }

    /// Whether this node did not answer where it was said to be, when it was last dialled.
    pub fn is_missed(&self, peer: &NodeId) -> bool {
        let is_missed = |entry: &AddressEntry| !entry.linked && entry.known.failures > 0;
        self.book.get(peer).is_some_and(is_missed)
    }

    /// A person wants a link to this address, and to know who answers there now; it is kept like a
    /// bootstrap address. Returns whether there is room for it. The outcome is the first state of
    /// its [`bootstrap`](Self::bootstrap) that is not
    /// [`BootstrapState::Trying`](super::BootstrapState::Trying). The dial leaves at the next
    /// [`handle_timeout`](Self::handle_timeout), due at once.
    pub fn join(&mut self, now: Now, address: String) -> bool {
        self.bootstraps.ask(now.mono, address)
    }

    /// A bootstrap address is given up, whoever gave it; a link that there is stays. Whether it was
    /// one.
    pub fn forget(&mut self, address: &str) -> bool {
        self.bootstraps.forget(address)
    }

    /// Trust banned somebody.
    pub fn handle_banned(&mut self, now: Now, peer: NodeId, out: &mut VecDeque<PeersEffect>) {
        self.give_up_reservation(&peer, out);
        self.redial.forget(&peer);
        self.outbound.unwant(&peer);
        let turn = &mut self.shared.turn(now, out);
        self.bootstraps.handle_refused(peer, &CloseReason::Banned, turn);
        if self.links.contains(&peer) {
            out.push_back(PeersEffect::Disconnect { peer, reason: CloseReason::Banned });
        }
    }

    /// A ban was lifted: its peer may be dialled at once.
    pub fn handle_unbanned(&mut self, now: Now, peer: NodeId) {
        self.book.change(&peer, |entry| entry.next_dial = now.mono);
        self.bootstraps.handle_unbanned(now.mono, peer);
        self.outbound.fill_soon(now.mono);
    }

    /// Trust bans addresses: whoever is there is let go, but for reserved peers.
    pub fn handle_address_banned(
        &mut self,
        standings: &TrustTable,
        out: &mut VecDeque<PeersEffect>,
    ) {
        for (&peer, link) in self.links.iter() {
            if self.is_banned_at(&peer, link.peer.addr.ip(), standings) {
                out.push_back(PeersEffect::Disconnect { peer, reason: CloseReason::Banned });
            }
        }
    }

    /// A ban of addresses was lifted: those where the operator wants somebody are dialled at once.
    pub fn handle_address_unbanned(&mut self, now: Now) {
        if self.started {
            self.bootstraps.hurry(now.mono);
            self.outbound.fill_soon(now.mono);
        }
    }

    /// Whether this peer is not welcome where it is.
    pub(super) fn is_banned_at(&self, peer: &NodeId, ip: IpAddr, standings: &TrustTable) -> bool {
        standings.bans_address(ip) && !self.is_reserved(peer)
    }

    /// Whether nobody is to be dialled there: a reserved peer is dialled wherever it is.
    pub fn is_banned_dial(&self, dial: &DialRequest, standings: &TrustTable) -> bool {
        let is_reserved = matches!(dial.expect, Expect::Node(node) if self.is_reserved(&node));
        !is_reserved && standings.bans_address(dial.to.ip())
    }

    /// Whether a reserved peer is at this address, is being dialled there, or is there as the
    /// application says.
    pub fn expects_at(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let is_there = |addr: SocketAddr| addr.ip().to_canonical() == ip;
        let is_reserved = |peer: &NodeId| self.reserved.contains(peer);
        self.reserved.places().any(is_there)
            || self.dialer.under_way().any(|(to, peer)| is_there(to) && is_reserved(&peer))
            || self.links.iter().any(|(peer, on)| is_there(on.peer.addr) && is_reserved(peer))
    }

    /// The application wants no session with this peer for now. Whether there was one.
    pub fn disconnect(&mut self, peer: NodeId, out: &mut VecDeque<PeersEffect>) -> bool {
        let is_linked = self.links.contains(&peer);
        if is_linked {
            out.push_back(PeersEffect::Disconnect { peer, reason: CloseReason::Pruned });
        }
        is_linked
    }

    /// The application keeps a slot for this peer, beside all others: it is let in and dialled
    /// however many are linked, at the address of the reservation and where the book says, and
    /// never forgotten. Nothing happens without [room](Self::may_reserve).
    pub fn reserve(&mut self, now: Now, slot: Reservation, out: &mut VecDeque<PeersEffect>) {
        if self.may_reserve(&slot.peer) {
            self.restore_reservation(now, slot);
            out.push_back(PeersEffect::Reserved(slot));
        }
    }

    /// The same of a slot that is kept already, by the configuration or by storage.
    pub fn restore_reservation(&mut self, now: Now, Reservation { peer, at }: Reservation) {
        self.reserved.insert(peer, at);
        self.book.pin(&peer);
        self.links.reserve(&peer);
        if self.started {
            self.reserved.hurry(now.mono);
        }
    }

    /// Whether there are less than [`MAX_RESERVED`](crate::limits::MAX_RESERVED) others.
    pub fn may_reserve(&self, peer: &NodeId) -> bool {
        self.reserved.has_room_for(peer)
    }

    /// The slot of this peer is one like others again: if there is none left, its session ends.
    pub fn unreserve(
        &mut self,
        peer: &NodeId,
        standings: &TrustTable,
        out: &mut VecDeque<PeersEffect>,
    ) {
        let was_reserved = self.give_up_reservation(peer, out);
        let Some(link) = self.links.get(peer).filter(|_| was_reserved) else { return };
        let is_banned = standings.bans_address(link.peer.addr.ip());
        let banned = is_banned.then_some(CloseReason::Banned);
        if let Some(reason) = banned.or_else(|| self.links.overflow(link.peer.direction)) {
            out.push_back(PeersEffect::Disconnect { peer: *peer, reason });
        }
    }

    /// A key gave way to another, as trust knows already: the old one is dialled no more, and what
    /// was kept for it is kept for the new one.
    pub fn handle_succession(
        &mut self,
        now: Now,
        (old, new): (NodeId, NodeId),
        standings: &TrustTable,
        out: &mut VecDeque<PeersEffect>,
    ) {
        let found_at = self.book.get(&old).and_then(AddressEntry::address);
        let reserved_at = self.reserved.address_of(&old);
        if self.give_up_reservation(&old, out) && !standings.is_banned(&new, now.wall) {
            // Nobody has shown yet that the new one is there: a reserved dial asks.
            let at = self.reserved.address_of(&new).or(reserved_at).or(found_at);
            self.reserve(now, Reservation { peer: new, at }, out);
        }
        self.redial.forget(&old);
        self.outbound.unwant(&old);
        self.bootstraps.handle_succession(old, new);
        self.book.remove(&old);
        self.book.report_evicted(out);
        if self.links.contains(&old) {
            out.push_back(PeersEffect::Disconnect { peer: old, reason: CloseReason::KeyRetired });
        }
    }

    /// Whether a dial of ours, or a link, showed that this node is there.
    pub fn has_met(&self, peer: &NodeId) -> bool {
        self.links.contains(peer) || self.is_proven(peer)
    }

    /// The same, but who dialled us is a stranger for
    /// [`ACQUAINTED_AFTER`](crate::limits::ACQUAINTED_AFTER).
    pub fn is_acquainted(&self, now: Instant, peer: &NodeId) -> bool {
        self.links.get(peer).is_some_and(|link| link.is_acquainted(now)) || self.is_proven(peer)
    }

    pub(crate) fn is_proven(&self, peer: &NodeId) -> bool {
        self.book.get(peer).is_some_and(AddressEntry::is_verified)
    }

    /// Whether there was one.
    fn give_up_reservation(&mut self, peer: &NodeId, out: &mut VecDeque<PeersEffect>) -> bool {
        let was_reserved = self.reserved.remove(peer);
        if was_reserved {
            out.push_back(PeersEffect::Unreserved(*peer));
            self.book.unpin(peer);
            self.links.unreserve(peer);
        }
        was_reserved
    }

    /// The slots that the application keeps, in order of the peers' ids.
    pub fn reserved(&self) -> impl Iterator<Item = Reservation> {
        self.reserved.iter()
    }

    /// How many peers there should be at least.
    pub const fn min_peers(&self) -> usize {
        self.discovery.enough()
    }

    /// Whether the application keeps a slot for this peer.
    pub fn is_reserved(&self, peer: &NodeId) -> bool {
        self.reserved.contains(peer)
    }

    /// The addresses of this machine's interfaces, at first and whenever the machine changes its
    /// network. Whoever did not answer where it was before may answer here: who was lost and whom
    /// the operator names is dialled at the next [`handle_timeout`](Self::handle_timeout), due at
    /// once.
    pub fn handle_interfaces(
        &mut self,
        now: Now,
        addresses: &[IpAddr],
        out: &mut VecDeque<PeersEffect>,
    ) {
        self.own.handle_interfaces(addresses);
        self.refresh_own(now, out);
        if self.started {
            self.bootstraps.hurry(now.mono);
            self.reserved.hurry(now.mono);
            self.redial.hurry(now.mono, &mut self.book);
            self.outbound.fill_soon(now.mono);
        }
    }

    /// Through whom this node is reached where strangers are not let in.
    pub(crate) fn handle_relays(
        &mut self,
        now: Now,
        relays: StatedRelays,
        out: &mut VecDeque<PeersEffect>,
    ) {
        self.own.handle_relays(relays);
        self.refresh_own(now, out);
    }

    /// A linked peer is at another address: it is told where we see it now.
    pub fn handle_moved(
        &mut self,
        now: Now,
        peer: NodeId,
        addr: SocketAddr,
        standings: &TrustTable,
        out: &mut VecDeque<PeersEffect>,
    ) {
        if self.is_banned_at(&peer, addr.ip(), standings) {
            return out.push_back(PeersEffect::Disconnect { peer, reason: CloseReason::Banned });
        }
        if let Some(link) = self.links.get(&peer) {
            self.dialer.note_contact(link.peer.addr, now.mono);
        }
        if self.links.moved(&peer, addr) {
            let message = PeersMessage::ObservedAddress(addr.into());
            out.push_back(PeersEffect::Send { to: peer, message });
        }
    }

    /// A linked peer dialled us, too: perhaps that is why our dial got through to it.
    pub fn handle_dialled_us(
        &mut self,
        now: Now,
        peer: NodeId,
        from: SocketAddr,
        out: &mut VecDeque<PeersEffect>,
    ) {
        self.dialer.note_contact(from, now.mono);
        self.note_presence(now, from);
        let turn = &mut self.shared.turn(now, out);
        self.intake.handle_dialled_us(peer, &mut self.book, &mut self.links, turn);
    }

    /// A dial of ours found this node; `proof` is over which kind of link, if that proves that
    /// strangers find it there, too.
    pub(super) fn handle_found(
        &mut self,
        now: Now,
        node: NodeId,
        dial: &DialRequest,
        proof: Option<LinkKind>,
        out: &mut VecDeque<PeersEffect>,
    ) {
        self.dialer.note_contact(dial.to, now.mono);
        self.note_presence(now, dial.to);
        let turn = &mut self.shared.turn(now, out);
        self.intake.handle_found(node, dial, proof, &mut self.book, &mut self.links, turn);
    }

    /// Somebody at this address spoke to us beside any link: it may have opened a way that
    /// strangers do not find. With `is_proven` it received something of ours there.
    pub fn handle_contact(&mut self, now: Now, addr: SocketAddr, is_proven: bool) {
        self.dialer.note_contact(addr, now.mono);
        if is_proven {
            self.note_presence(now, addr);
        }
    }

    /// Somebody at this address answered us beside any link.
    pub fn handle_answer(&mut self, now: Now, addr: SocketAddr) {
        self.dialer.note_answer(addr, now.mono);
        self.note_presence(now, addr);
    }

    /// Whether the hash table may send a query there. A silent address is spared it, as it is
    /// spared dials; otherwise the query is taken to be sent.
    pub fn may_query(&mut self, now: Now, to: SocketAddr, out: &mut VecDeque<PeersEffect>) -> bool {
        self.dialer.may_query(to, &mut self.shared.turn(now, out))
    }

    /// The hash table wants to ask this node over a session. Whether one may come of it: it is
    /// being dialled.
    pub(crate) fn dial_for_table(
        &mut self,
        now: Now,
        (node, to, noise_static): (NodeId, SocketAddr, [u8; 32]),
        standings: &TrustTable,
        out: &mut VecDeque<PeersEffect>,
    ) -> bool {
        let was_reached = |entry: &AddressEntry| entry.known.dialled == Some(to);
        let was_reached = self.book.get(&node).is_some_and(was_reached);
        let effort = if was_reached { Effort::Full } else { Dialer::HEARSAY };
        let (expect, purpose) = (Expect::Node(node), Purpose::Connect);
        let dial = DialRequest { to, expect, noise_static: Some(noise_static), purpose, effort };
        let is_banned = standings.is_banned(&node, now.wall) || standings.is_retired(&node);
        if is_banned || self.is_banned_dial(&dial, standings) {
            return false;
        }
        let turn = &mut self.shared.turn(now, out);
        self.dialer.is_taken(&node, &self.links)
            || self.dialer.dial(dial, DialReason::Table, &self.links, turn)
    }

    /// A node proved to be at this address: what it was spared may go there now.
    pub(super) fn note_presence(&mut self, now: Now, addr: SocketAddr) {
        if self.dialer.note_presence(addr) {
            self.outbound.fill_soon(now.mono);
        }
    }

    /// Where we say that we listen.
    pub fn external_addresses(&self) -> Vec<SocketAddr> {
        self.own.record().addresses.iter().filter_map(Address::socket_addr).collect()
    }

    /// The port at which we listen; 0 before we do.
    pub(crate) fn port(&self) -> u16 {
        self.own.port()
    }

    /// Our own record, as we say it to others.
    pub(crate) const fn own_record(&self) -> &Signed<PeerRecord> {
        self.own.claim()
    }

    /// The newest record of a node in the address book.
    pub(crate) fn record_of(&self, peer: &NodeId) -> Option<&Verified<PeerRecord>> {
        self.book.get(peer).map(|entry| &entry.known.record)
    }

    /// Makes and announces a new record if our addresses changed; later if it is too early.
    pub(super) fn refresh_own(&mut self, now: Now, out: &mut VecDeque<PeersEffect>) {
        if self.own.refresh(now) {
            out.push_back(PeersEffect::ExternalAddresses(self.external_addresses()));
            self.announce(out);
        } else if self.own.is_stale() {
            self.deadlines.set_earliest(PeersWake::Announce, self.own.next());
        }
    }

    /// Tells every peer our record.
    pub(super) fn announce(&self, out: &mut VecDeque<PeersEffect>) {
        for (&to, _) in self.links.iter() {
            let peers = vec![self.own.claim().clone()];
            out.push_back(PeersEffect::Send { to, message: PeersMessage::Announcement(peers) });
        }
    }
}
