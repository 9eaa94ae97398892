//! What changes about where we are, where peers are, and who says so.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};

use super::{
    PeersEffect, PeersMessage,
    peers::{Peers, PeersWake},
};
use crate::{id::NodeId, time::Now, wire::Address};

impl Peers {
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
        peer: NodeId,
        addr: SocketAddr,
        out: &mut VecDeque<PeersEffect>,
    ) {
        if self.links.moved(&peer, addr) {
            let message = PeersMessage::ObservedAddress(addr.into());
            out.push_back(PeersEffect::Send { to: peer, message });
        }
    }

    /// A node dialled us: what is in front of it may let us in from now on, and nobody else.
    pub fn handle_contact(&mut self, now: Now, peer: NodeId) {
        self.proofs.handle_contact(peer, &mut self.book, &self.links, now.mono);
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
