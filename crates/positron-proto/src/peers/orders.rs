//! What is wanted of the room from above: links, and none.

use std::{collections::VecDeque, net::SocketAddr};

use super::{Peers, PeersEffect, entry::AddressEntry};
use crate::{id::NodeId, standings::TrustTable, time::Now, wire::frame::CloseReason};

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
        self.give_up_reservation(&peer);
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

    /// The application wants no session with this peer for now. Whether there was one.
    pub fn disconnect(&mut self, peer: NodeId, out: &mut VecDeque<PeersEffect>) -> bool {
        let is_linked = self.links.contains(&peer);
        if is_linked {
            out.push_back(PeersEffect::Disconnect { peer, reason: CloseReason::Pruned });
        }
        is_linked
    }

    /// The application keeps a slot for this peer, beside all others: it is let in and dialled
    /// however many are linked, at `at` and where the book says, and never forgotten. Nothing
    /// happens without [room](Self::may_reserve).
    pub fn reserve(&mut self, now: Now, peer: NodeId, at: Option<SocketAddr>) {
        if !self.may_reserve(&peer) {
            return;
        }
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
        let was_reserved = self.give_up_reservation(peer);
        if was_reserved && self.links.contains(peer) && self.links.has_too_many() {
            let reason = CloseReason::SlotsFull;
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
        if self.give_up_reservation(&old) && !standings.is_banned(&new, now.wall) {
            // Nobody has shown yet that the new one is there: a reserved dial asks.
            let at = self.reserved.address_of(&new).or(reserved_at).or(found_at);
            self.reserve(now, new, at);
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
        let is_proven = || self.book.get(peer).is_some_and(AddressEntry::is_verified);
        self.links.contains(peer) || is_proven()
    }

    /// Whether there was one.
    fn give_up_reservation(&mut self, peer: &NodeId) -> bool {
        let was_reserved = self.reserved.remove(peer);
        if was_reserved {
            self.book.unpin(peer);
            self.links.unreserve(peer);
        }
        was_reserved
    }

    /// Whether the application keeps a slot for this peer.
    pub fn is_reserved(&self, peer: &NodeId) -> bool {
        self.reserved.contains(peer)
    }
}
