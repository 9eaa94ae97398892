//! What changes about where we are and where peers are, and who says so.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};

use super::{
    PeersEffect, PeersMessage,
    peers::{Peers, PeersWake},
};
use crate::{
    id::NodeId,
    session::sessions::{DialRequest, LinkKind},
    time::Now,
    wire::Address,
};

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
