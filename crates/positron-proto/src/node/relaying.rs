//! Links that go through a third node: to the sessions byte streams like any other.

use super::{
    Effect, Event, NodeCore, filters::Filters, judging::Judging, pinging::Pinging,
    room_name::RoomName, through_relays::ThroughRelays,
};
use crate::{
    handshake::{Direction, Expect},
    id::{LinkId, NodeId},
    limits::{RELAYS_ASKED, RELAYS_STANDING_BY},
    nat::{DialOver, NatEffect, NatMessage, OwnPlaces, Relayed},
    relay::{PathPolicy, RelayEffect},
    scope::is_relayed,
    session::sessions::{
        DialRequest, LinkKind, LinkKinds, Peer, SessionEffect, SessionView, StunAnswered,
    },
    time::Now,
    wire::{frame::CloseReason, message::RoomMessage as _},
};

/// A node, while something is forwarded through it, by it, or to it.
pub(super) struct Relaying<'a>(pub(super) &'a mut NodeCore);

impl Relaying<'_> {
    /// Does what is to be done with links that go through a relay: what is left is for the driver,
    /// or for others to hear.
    pub(super) fn take(&mut self, out: SessionEffect) -> Option<SessionEffect> {
        let (relays, queue) = (&mut self.0.relays, &mut self.0.queues.relay);
        match out {
            SessionEffect::Dial { link, kind: LinkKind::Relay, to } => relays.dial(link, to, queue),
            SessionEffect::Write { link, bytes } if relays.carries(link) => {
                relays.write(link, bytes, queue);
            }
            SessionEffect::Hangup { link, how } if relays.carries(link) => {
                relays.hang_up(link, how, queue);
            }
            SessionEffect::Read { link, reading } if relays.carries(link) => {
                relays.set_reading(link, reading, queue);
            }
            out => return Some(out),
        }
        None
    }

    pub(super) fn route(&mut self, now: Now, out: RelayEffect) {
        let session = &mut self.0.queues.session;
        match out {
            RelayEffect::Send { to, message } => {
                let (lane, body) = (message.lane(), message.encode_parts());
                if !self.0.send(now, to, RoomName::Relay, lane, body, None) {
                    self.0.relays.handle_unsent(&to, &message, &mut self.0.queues.relay);
                }
            }
            RelayEffect::Accepted { link, from } => {
                self.0.sessions.handle_accepted(now, LinkKind::Relay, link, from, None, session);
            }
            RelayEffect::Connected(link) => {
                self.0.sessions.handle_connected(now, link, None, session);
            }
            RelayEffect::Bytes { link, bytes } => {
                let len = bytes.len();
                self.0.sessions.handle_bytes(now, link, bytes, session);
                self.count(now, link, len);
            }
            RelayEffect::Written { link, bytes } => {
                self.0.sessions.handle_written(now, link, bytes, session);
                self.count(now, link, bytes);
            }
            RelayEffect::Down { link, reason } => {
                self.0.sessions.handle_link_down(now, link, reason, session);
            }
            RelayEffect::Misbehaved { peer, what } => {
                Judging(self.0).observe_misbehavior(now, peer, what);
            }
        }
    }

    /// So much went over a relay.
    fn count(&mut self, now: Now, link: LinkId, bytes: usize) {
        if let Some(peer) = self.0.sessions.peer_over(link) {
            self.0.punching.handle_traffic(now, &peer, bytes);
        }
    }

    /// A session is up.
    pub(super) fn tell_up(&mut self, peer: &Peer) {
        let (place, direction) = (self.0.relays.place_of(peer.addr), peer.direction);
        self.0.emit(Event::PeerJoined { peer: peer.id, place, direction });
    }

    /// Newcomers were refused, this one as the last.
    pub(super) fn tell_refused(&mut self, peer: &Peer, reason: CloseReason, untold: u64) {
        let place = self.0.relays.place_of(peer.addr);
        self.0.emit(Event::PeersRefused { peer: peer.id, place, reason, untold });
    }

    /// A session goes on over another path.
    pub(super) fn handle_moved(&mut self, now: Now, peer: NodeId) {
        let session = self.0.sessions.views().find(|session| session.peer.id == peer);
        if let Some(session) = session {
            self.handle_place(now, &session.peer);
            let place = self.0.relays.place_of(session.peer.addr);
            self.0.emit(Event::PeerMoved { peer, place, transport: session.transport });
        }
        Pinging(self.0).handle_moved(now, peer);
    }

    /// A session is up, or goes on over another link: who is reached through a relay is none, and
    /// is looked for where it may be reached directly.
    pub(super) fn handle_place(&mut self, now: Now, peer: &Peer) {
        Filters(self.0).handle_place(now, peer);
        let core = &mut *self.0;
        if is_relayed(peer.addr.ip()) {
            core.relays.peer_out_of_reach(&peer.id, &mut core.queues.relay);
            let relay = core.relays.relay_of(peer.addr);
            let over_datagrams = |session: &SessionView| {
                Some(session.peer.id) == relay && session.transport == LinkKind::Udp
            };
            let relay = core.sessions.views().find(over_datagrams);
            if core.paths == PathPolicy::RelayOnly {
                return; // a path of its own takes that both tell where they are
            }
            // Whoever came to us may be of one mind with the peer.
            let is_chosen =
                relay.as_ref().is_some_and(|it| it.peer.direction == Direction::Outbound);
            let over = Relayed {
                begins: peer.direction == Direction::Outbound,
                relay: relay.map(|session| session.peer.addr),
                is_one_site: is_chosen && core.relays.is_one_site(peer.addr),
            };
            core.punching.peer_relayed(now, peer.id, over);
        } else {
            core.relays.peer_in_reach(peer.id, peer.addr);
            core.punching.peer_direct(&peer.id);
        }
    }

    /// A session is over.
    pub(super) fn peer_down(&mut self, now: Now, peer: &NodeId) {
        self.0.nat.peer_down(now.mono, peer);
        self.0.punching.peer_down(peer);
        Filters(self.0).peer_down(now);
    }

    pub(super) fn route_nat(&mut self, now: Now, out: NatEffect) {
        match out {
            NatEffect::Send { to, message } => {
                let (lane, body) = (message.lane(), message.encode());
                self.0.send(now, to, RoomName::Nat, lane, body, None);
            }
            NatEffect::Ask { to, id, hops } => self.0.sessions.ask_stun(to, id, hops),
            NatEffect::OpenSocket(socket) => {
                self.0.effects.push_back(Effect::OpenSocket(socket));
            }
            NatEffect::CloseSocket(socket) => {
                self.0.effects.push_back(Effect::CloseSocket(socket));
            }
            NatEffect::AskRouter { to, bytes } => {
                self.0.effects.push_back(Effect::AskRouter { to, bytes });
            }
            NatEffect::StateAnew => ThroughRelays(self.0).state(now),
            NatEffect::Answer { to, id } => self.0.sessions.answer_stun(to, id),
            NatEffect::Dial { peer, to, over } => {
                let over = match over {
                    DialOver::Datagrams => LinkKinds::UDP,
                    DialOver::Anything => LinkKinds::BOTH,
                };
                self.0.sessions.dial_direct(now, &peer, (to, over), &mut self.0.queues.session);
            }
        }
    }

    pub(super) fn handle_message(&mut self, now: Now, from: NodeId, message: NatMessage) {
        if let NatMessage::Probe(probe) = &message {
            return Filters(self.0).handle_message(now, from, probe);
        }
        let own = self.own_places(now);
        self.0.punching.handle_message(now, from, message, &own, &mut self.0.queues.nat);
    }

    pub(super) fn handle_stun(&mut self, now: Now, answered: StunAnswered) {
        if Filters(self.0).handle_stun(now, &answered) {
            return;
        }
        self.0.punching.handle_stun_answer(now, &answered, &mut self.0.queues.nat);
    }

    pub(super) fn handle_timeout(&mut self, now: Now) {
        Pinging(self.0).handle_timeout(now);
        Filters(self.0).handle_timeout(now);
        self.0.nat.handle_router_timeout(now.mono, &mut self.0.queues.nat);
        self.0.relays.handle_timeout(now, &mut self.0.queues.relay);
        if self.0.punching.poll_timeout().is_some_and(|at| at <= now.mono) {
            let own = self.own_places(now);
            let core = &mut *self.0;
            let used = || core.sessions.extra_sockets();
            core.punching.handle_timeout(now, &own, used, &mut core.queues.nat);
        }
    }

    fn own_places(&self, now: Now) -> OwnPlaces {
        self.0.nat.places(now.mono, self.0.peers.port())
    }

    /// The link to a peer fell silent. Who was reached through relays before may be reached through
    /// them again.
    pub(super) fn stand_by(&mut self, now: Now, peer: NodeId) {
        let core = &mut *self.0;
        if core.paths == PathPolicy::DirectOnly {
            return;
        }
        let at = core.sessions.views().find(|it| it.peer.id == peer).map(|it| it.peer.addr);
        let silent = at.and_then(|at| core.relays.relay_of(at));
        let known = core.relays.relays_of(peer).filter(|relay| Some(*relay) != silent);
        let known: Vec<NodeId> = known.collect();
        let direct = core.sessions.views().map(|session| session.peer);
        let direct = direct.filter(|it| known.contains(&it.id) && !is_relayed(it.addr.ip()));
        let relays: Vec<NodeId> = direct.map(|relay| relay.id).take(RELAYS_STANDING_BY).collect();
        for relay in relays {
            let to = core.relays.address_of(relay, peer);
            core.sessions.stand_by(now, &peer, to, &mut core.queues.session);
        }
    }

    /// A dial through one relay of several is over: to whom, if it was the last one.
    pub(super) fn handle_dial_ended(&mut self, dial: &DialRequest) -> Option<NodeId> {
        let Expect::Node(peer) = dial.expect else { return None };
        self.0.relays.handle_dial_ended(&peer).then_some(peer)
    }

    /// A link to a node is wanted that may be nowhere where it can be dialled: every peer that is
    /// linked directly, those first that we dialled, is asked to forward to it. The first that does
    /// wins.
    pub(super) fn reach(&mut self, now: Now, peer: NodeId) {
        let core = &mut *self.0;
        let standings = core.trust.standings();
        let is_unwelcome = standings.is_banned(&peer, now.wall) || standings.is_retired(&peer);
        let is_taken = core.sessions.is_up(&peer) || core.relays.is_reaching(&peer);
        let is_unwelcome = is_unwelcome || core.paths == PathPolicy::DirectOnly;
        if is_unwelcome || is_taken || peer == core.id() {
            return;
        }
        let direct = core.sessions.views().map(|session| session.peer);
        let mut relays: Vec<_> = direct
            .filter(|relay| !is_relayed(relay.addr.ip()))
            .map(|relay| (relay.direction == Direction::Inbound, relay.id))
            .collect();
        relays.sort();
        for (_, relay) in relays.into_iter().take(RELAYS_ASKED) {
            ThroughRelays(self.0).dial(now, relay, peer);
        }
    }
}
