//! Nodes that say in their records through which others they are reached `[PROTOCOL 3.10]`.

use std::net::SocketAddr;

use super::NodeCore;
use crate::{
    handshake::{Direction, Expect},
    id::NodeId,
    limits::{MAX_STATED_RELAYS, SPARING_DIAL_PACKETS},
    netgroup::Owner,
    peers::StatedRelays,
    relay::PathPolicy,
    scope::{Scope, is_plausible, is_relayed},
    session::sessions::{DialOutcome, DialRequest, Effort, Purpose},
    time::Now,
    wire::{Address, record::PeerRecord},
};

/// A node, while it states relays of its own, or reaches others through theirs.
pub(super) struct ThroughRelays<'a>(pub(super) &'a mut NodeCore);

impl ThroughRelays<'_> {
    /// What stands before this node or whom it is linked to may have changed: where strangers are
    /// not let in, it says through whom it is reached instead of where it is seen.
    pub(super) fn state(&mut self, now: Now) {
        let nat = self.0.nat.info(now.mono);
        let (is_ipv4_shut, is_ipv6_shut) = (nat.ipv4.is_shut(), nat.ipv6.is_shut());
        let mapped = nat.mapped_address();
        let is_shut = (is_ipv4_shut && mapped.is_none()) || is_ipv6_shut;
        let relays = if is_shut { self.choose() } else { Vec::new() };
        let stated = StatedRelays { is_ipv4_shut, is_ipv6_shut, relays, mapped };
        self.0.peers.handle_relays(now, stated, &mut self.0.queues.peers);
    }

    /// Those that we dialled, so that others can, the longest linked first, each of another owner.
    fn choose(&self) -> Vec<(NodeId, SocketAddr)> {
        let mut sessions: Vec<_> = self.0.sessions.views().collect();
        sessions.sort_by_key(|session| (session.since, session.peer.id));
        let (mut owners, mut relays) = (Vec::new(), Vec::new());
        for peer in sessions.into_iter().map(|session| session.peer) {
            let owner = Owner::of(peer.addr);
            let fits = peer.direction == Direction::Outbound
                && !is_relayed(peer.addr.ip())
                && matches!(owner, Owner::Network(_))
                && !self.0.relays.was_behind_relay(peer.id)
                && !owners.contains(&owner);
            if fits && relays.len() < MAX_STATED_RELAYS {
                owners.push(owner);
                relays.push((peer.id, peer.addr));
            }
        }
        relays
    }

    /// A node says through whom it is reached: those that we are linked to are asked to forward,
    /// the others are linked first.
    pub(super) fn reach(&mut self, now: Now, record: &PeerRecord) {
        let peer = record.node_id();
        let paths = self.0.paths;
        if paths == PathPolicy::DirectOnly || peer == self.0.id() || self.0.sessions.is_up(&peer) {
            return;
        }
        let relays = record.addresses.iter().filter_map(Address::relay);
        for (relay, at) in relays.take(MAX_STATED_RELAYS) {
            let standings = self.0.trust.standings();
            let is_unwelcome = |it| standings.is_banned(it, now.wall) || standings.is_retired(it);
            // A record is its node's word: nobody makes us send into our own network.
            let is_usable = is_plausible(at, Scope::Public);
            if relay == self.0.id() || relay == peer || is_unwelcome(&relay) || !is_usable {
                continue;
            }
            if self.0.sessions.is_up(&relay) {
                self.dial(now, relay, peer);
            } else if paths == PathPolicy::RelayOnly {
                // Whom its record names would see where we are.
            } else if self.0.relays.await_relay(relay, peer) {
                let (expect, purpose) = (Expect::Node(relay), Purpose::Connect);
                let effort = Effort::Packets(SPARING_DIAL_PACKETS);
                let dial = DialRequest { to: at, expect, noise_static: None, purpose, effort };
                self.0.endings.handle_dial(now, dial);
                self.0.sessions.dial(now, dial, &mut self.0.queues.session);
            }
        }
    }

    /// A link to `peer` through `relay`, which is linked.
    pub(super) fn dial(&mut self, now: Now, relay: NodeId, peer: NodeId) {
        let core = &mut *self.0;
        let record = core.peers.record_of(&peer);
        let noise_static = record.map(|record| record.content().noise_static);
        let to = core.relays.address_of(relay, peer);
        let (expect, purpose) = (Expect::Node(peer), Purpose::Connect);
        let dial = DialRequest { to, expect, noise_static, purpose, effort: Effort::Full };
        core.relays.handle_dial(peer);
        core.sessions.dial(now, dial, &mut core.queues.session);
    }

    /// A session is up: perhaps with a relay that others are reached through.
    pub(super) fn peer_up(&mut self, now: Now, relay: NodeId) {
        for peer in self.0.relays.take_awaiting(&relay) {
            if !self.0.sessions.is_up(&peer) {
                self.dial(now, relay, peer);
            }
            self.0.relays.handle_dial_ended(&peer);
        }
    }

    /// A dial is over: who cannot be reached by it, and by no other one.
    pub(super) fn handle_dial_ended(
        &mut self,
        dial: &DialRequest,
        outcome: &DialOutcome,
    ) -> Vec<NodeId> {
        let Expect::Node(relay) = dial.expect else { return Vec::new() };
        let is_up = self.0.sessions.is_up(&relay);
        if is_up && !matches!(outcome, DialOutcome::Failed(_)) {
            return Vec::new();
        }
        let relays = &mut self.0.relays;
        let lost = relays.take_awaiting(&relay).into_iter();
        lost.filter(|peer| relays.handle_dial_ended(peer)).collect()
    }
}
