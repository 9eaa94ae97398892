//! From whom packets are let in: what peers and strangers do for each other to find out.

use super::{NodeCore, through_relays::ThroughRelays};
use crate::{
    handshake::Direction,
    id::NodeId,
    nat::{DatagramPeer, ProbeStep, StrangerProbe},
    relay::PathPolicy,
    scope::is_relayed,
    session::sessions::{LinkKind, Peer, StunAnswered},
    time::Now,
};

/// A node, while it finds out who is let in, or helps others to.
pub(super) struct Filters<'a>(pub(super) &'a mut NodeCore);

impl Filters<'_> {
    /// A session is up, or goes on over another link.
    pub(super) fn handle_place(&mut self, now: Now, peer: &Peer) {
        let (id, addr) = (peer.id, peer.addr);
        let is_hidden = self.0.paths == PathPolicy::RelayOnly;
        if !is_hidden && self.peers().iter().any(|it| (it.peer, it.addr) == (id, addr)) {
            self.0.nat.filtering.peer_up(now.mono, addr);
        }
        ThroughRelays(self.0).state(now);
    }

    /// A session is over, perhaps one with a relay.
    pub(super) fn peer_down(&mut self, now: Now) {
        ThroughRelays(self.0).state(now);
    }

    pub(super) fn handle_message(&mut self, now: Now, from: NodeId, probe: &StrangerProbe) {
        if self.0.paths == PathPolicy::RelayOnly {
            return; // whoever is sent to sees where we are
        }
        let now = now.mono;
        match &probe.step {
            ProbeStep::Ask | ProbeStep::AskAt(_) | ProbeStep::OtherPort(_) | ProbeStep::Send(_) => {
                let (peers, out) = (self.peers(), &mut self.0.queues.nat);
                self.0.nat.strangers.handle_request(now, from, probe, &peers, out);
            }
            ProbeStep::Asked(_) | ProbeStep::Nobody | ProbeStep::Sent => {
                self.0.nat.filtering.handle_answer(now, from, probe);
            }
        }
    }

    /// Whether it is a packet that we asked for.
    pub(super) fn handle_stun(&mut self, now: Now, answered: &StunAnswered) -> bool {
        let (filtering, out) = (&mut self.0.nat.filtering, &mut self.0.queues.nat);
        let is_ours = filtering.handle_stun_answer(now.mono, answered, out);
        if is_ours {
            ThroughRelays(self.0).state(now);
        }
        is_ours
    }

    pub(super) fn handle_timeout(&mut self, now: Now) {
        self.0.nat.strangers.handle_timeout(now.mono, &mut self.0.queues.nat);
        if self.0.nat.filtering.poll_timeout().is_some_and(|at| at <= now.mono) {
            let (peers, out) = (self.peers(), &mut self.0.queues.nat);
            self.0.nat.filtering.handle_timeout(now.mono, &peers, out);
            ThroughRelays(self.0).state(now);
        }
    }

    /// Those that see our listening socket, as we see theirs.
    fn peers(&self) -> Vec<DatagramPeer> {
        let sessions = self.0.sessions.views().filter(|session| {
            session.transport == LinkKind::Udp
                && !is_relayed(session.peer.addr.ip())
                && !self.0.sessions.is_over_extra_socket(session.peer.link)
        });
        let peers = sessions.map(|session| DatagramPeer {
            peer: session.peer.id,
            addr: session.peer.addr,
            is_dialled: session.peer.direction == Direction::Outbound
                || self.0.peers.is_proven(&session.peer.id),
        });
        peers.collect()
    }
}
