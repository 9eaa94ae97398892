//! What the room hears from above: which links are wanted and which are not, and where this node
//! and its peers are now.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};

use super::{
    PeersEffect, PeersMessage, Reservation,
    peers::{Peers, PeersWake},
};
use crate::{
    id::NodeId,
    session::sessions::{DialRequest, LinkKind},
    time::Now,
    wire::{Address, frame::CloseReason},
};

impl Peers {
    /// A link to this node is wanted now (a direct message waits): dials it if an address is
    /// known. The dial leaves at the next [`handle_timeout`](Self::handle_timeout), due at once.
    pub fn connect(&mut self, now: Now, peer: NodeId, _out: &mut VecDeque<PeersEffect>) {
        if !self.dialer.is_taken(&peer, &self.links) && self.knows(&peer) {
            self.outbound.want(now.mono, peer);
        }
    }

    /// A person wants a link to this address, and to know who answers there now; it is kept like a
    /// bootstrap address. Returns whether there is room for it. The outcome is the first state of
    /// its [`bootstrap`](Self::bootstrap) that is not
    /// [`BootstrapState::Trying`](super::BootstrapState::Trying). The dial leaves at the next
    /// [`handle_timeout`](Self::handle_timeout), due at once.
    pub fn join(&mut self, now: Now, address: String) -> bool {
        self.bootstraps.ask(now.mono, address)
    }

    /// Trust banned somebody.
    pub fn handle_banned(&mut self, now: Now, peer: NodeId, out: &mut VecDeque<PeersEffect>) {
        self.give_up_reservation(&peer, out);
        self.redial.forget(&peer);
        self.outbound.unwant(&peer);
        self.bootstraps.handle_banned(peer, &mut self.shared.turn(now, out));
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
    pub fn unreserve(&mut self, peer: &NodeId, out: &mut VecDeque<PeersEffect>) {
        let was_reserved = self.give_up_reservation(peer, out);
        if was_reserved && self.links.contains(peer) && self.links.has_too_many() {
            let reason = CloseReason::SlotsFull;
            out.push_back(PeersEffect::Disconnect { peer: *peer, reason });
        }
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

    /// Whether the application keeps a slot for this peer.
    pub fn is_reserved(&self, peer: &NodeId) -> bool {
        self.reserved.contains(peer)
    }

    /// The addresses of this machine's interfaces, at first and whenever they change.
    pub fn handle_interfaces(
        &mut self,
        now: Now,
        addresses: &[IpAddr],
        out: &mut VecDeque<PeersEffect>,
    ) {
        self.own.handle_interfaces(addresses);
        self.refresh_own(now, out);
    }

    /// A linked peer is at another address: it is told where we see it now.
    pub fn handle_moved(
        &mut self,
        now: Now,
        peer: NodeId,
        addr: SocketAddr,
        out: &mut VecDeque<PeersEffect>,
    ) {
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
        let turn = &mut self.shared.turn(now, out);
        self.intake.handle_found(node, dial, proof, &mut self.book, &mut self.links, turn);
    }

    /// Where we say that we listen.
    pub fn external_addresses(&self) -> Vec<SocketAddr> {
        self.own.record().addresses.iter().filter_map(Address::socket_addr).collect()
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
