//! Both sides of relaying, as one room.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
};

use bytes::Bytes;

use super::{
    PathPolicy, PeerPlace, RelayCounters, RelayEffect, RelayForwarding, RelayLevels, RelayMessage,
    addresses::{RelayedAddresses, Route},
    message::RelayLabel,
    streams::RelayedStreams,
};
use crate::{
    id::{LinkId, NodeId},
    limits::MAX_AWAITED_RELAYS,
    scope::is_relayed,
    stream::contract::{Hangup, Reading},
    time::{Instant, Now},
};

/// What relaying is told once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayConfig {
    /// Whether this node forwards for others, within its rates.
    pub forwards: bool,
    /// Which paths this node takes itself.
    pub paths: PathPolicy,
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self { forwards: true, paths: PathPolicy::Any }
    }
}

/// Relayed streams that end here, and those of others that are forwarded.
///
/// To the sessions it is what a kernel is to TCP: [`dial`](Self::dial), [`write`](Self::write),
/// [`set_reading`](Self::set_reading), [`hang_up`](Self::hang_up). What it wants done is appended
/// to `out`, in order.
#[derive(Debug)]
pub struct Relays {
    addresses: RelayedAddresses,
    streams: RelayedStreams,
    forwarding: RelayForwarding,
    /// Dials through relays that are under way, of each node.
    reaching: BTreeMap<NodeId, usize>,
    /// Whether streams are taken that others ask for.
    is_reachable: bool,
    /// Who is dialled through whom as soon as that one is linked; each counts as such a dial.
    awaiting: BTreeMap<NodeId, BTreeSet<NodeId>>,
    counters: RelayCounters,
}

impl Relays {
    /// Nobody is linked.
    pub fn new(config: RelayConfig) -> Self {
        Self {
            addresses: RelayedAddresses::default(),
            streams: RelayedStreams::default(),
            forwarding: RelayForwarding::new(config.forwards),
            reaching: BTreeMap::new(),
            is_reachable: config.paths != PathPolicy::DirectOnly,
            awaiting: BTreeMap::new(),
            counters: RelayCounters::default(),
        }
    }

    /// What `peer` is called when it is reached through `relay`.
    pub fn address_of(&mut self, relay: NodeId, peer: NodeId) -> SocketAddr {
        self.addresses.of(Route { relay, peer })
    }

    /// Through whom the node at this address is reached, if it is a relayed one.
    pub fn relay_of(&self, address: SocketAddr) -> Option<NodeId> {
        self.addresses.route(address).map(|route| route.relay)
    }

    /// Through whom a node was reached before.
    pub fn relays_of(&self, peer: NodeId) -> impl Iterator<Item = NodeId> {
        self.addresses.relays_of(peer)
    }

    /// Whether the relay through which the node at this address is reached says that it sees us
    /// both at one address.
    pub fn is_one_site(&self, address: SocketAddr) -> bool {
        self.addresses.route(address).is_some_and(|route| self.streams.is_one_site(route))
    }

    /// Where the other end of a session at this address is, for others to hear.
    pub fn place_of(&self, address: SocketAddr) -> PeerPlace {
        let is_direct = !is_relayed(address.ip());
        PeerPlace { address: is_direct.then_some(address), relay: self.relay_of(address) }
    }

    /// A node is dialled through one more relay; each is answered by
    /// [`handle_dial_ended`](Self::handle_dial_ended).
    pub(crate) fn handle_dial(&mut self, peer: NodeId) {
        *self.reaching.entry(peer).or_default() += 1;
    }

    /// Such a dial is over: whether it was the last one of its node.
    pub(crate) fn handle_dial_ended(&mut self, peer: &NodeId) -> bool {
        let Some(dials) = self.reaching.get_mut(peer) else { return false };
        *dials -= 1;
        let was_last = *dials == 0;
        if was_last {
            self.reaching.remove(peer);
        }
        was_last
    }

    /// A node is dialled through a relay once that is linked. Whether that is to be dialled for it,
    /// which it is not already.
    pub(crate) fn await_relay(&mut self, relay: NodeId, peer: NodeId) -> bool {
        let is_new = !self.awaiting.contains_key(&relay);
        if is_new && self.awaiting.len() >= MAX_AWAITED_RELAYS {
            return false;
        }
        let peers = self.awaiting.entry(relay).or_default();
        if peers.len() < MAX_AWAITED_RELAYS && peers.insert(peer) {
            self.handle_dial(peer);
        }
        is_new
    }

    /// A relay is linked, or cannot be: who was to be reached through it. For each
    /// [`handle_dial_ended`](Self::handle_dial_ended) is to be called.
    pub(crate) fn take_awaiting(&mut self, relay: &NodeId) -> BTreeSet<NodeId> {
        self.awaiting.remove(relay).unwrap_or_default()
    }

    /// Whether this node was reached through a relay itself, and so is none for others.
    pub(crate) fn was_behind_relay(&self, peer: NodeId) -> bool {
        self.relays_of(peer).next().is_some()
    }

    /// Whether a node is being dialled through relays.
    pub(crate) fn is_reaching(&self, peer: &NodeId) -> bool {
        self.reaching.contains_key(peer)
    }

    /// Whether a link goes through a relay.
    pub fn carries(&self, link: LinkId) -> bool {
        self.streams.carries(link)
    }

    /// A session with this peer goes on over a link of its own, at this address: there may be
    /// forwarded to it.
    pub fn peer_in_reach(&mut self, peer: NodeId, address: SocketAddr) {
        self.forwarding.peer_up(peer, address);
    }

    /// A session goes on over a relay: nothing is forwarded twice.
    pub fn peer_out_of_reach(&mut self, peer: &NodeId, out: &mut VecDeque<RelayEffect>) {
        self.forwarding.peer_down(peer, out);
    }

    /// A session is over.
    pub fn peer_down(&mut self, peer: &NodeId, out: &mut VecDeque<RelayEffect>) {
        self.streams.peer_down(peer, out);
        self.forwarding.peer_down(peer, out);
    }

    /// Opens a stream to a relayed address.
    pub fn dial(&mut self, link: LinkId, to: SocketAddr, out: &mut VecDeque<RelayEffect>) {
        self.counters.dialled += 1;
        self.streams.dial(link, self.addresses.route(to), out);
    }

    /// Writes all of it.
    pub fn write(&mut self, link: LinkId, bytes: Bytes, out: &mut VecDeque<RelayEffect>) {
        self.streams.write(link, bytes, out);
    }

    /// Reads a stream, or not.
    pub fn set_reading(&mut self, link: LinkId, reading: Reading, out: &mut VecDeque<RelayEffect>) {
        self.streams.set_reading(link, reading, out);
    }

    /// Ends a stream; [`RelayEffect::Down`] answers.
    pub fn hang_up(&mut self, link: LinkId, how: Hangup, out: &mut VecDeque<RelayEffect>) {
        self.streams.hang_up(link, how, out);
    }

    /// A linked peer said something, as a relay, as its client, or as both.
    pub fn handle_message(
        &mut self,
        now: Now,
        from: NodeId,
        message: RelayMessage,
        out: &mut VecDeque<RelayEffect>,
    ) {
        let counters = &mut self.counters;
        match &message {
            RelayMessage::Open { tag, peer } => {
                return self.forwarding.handle_open(now, *tag, [from, *peer], counters, out);
            }
            RelayMessage::Refused { .. } => counters.refused += 1,
            RelayMessage::Opened { asked: None, number, .. } if !self.is_reachable => {
                let close = RelayMessage::Close(RelayLabel { number: *number, by_relay: false });
                return out.push_back(RelayEffect::Send { to: from, message: close });
            }
            RelayMessage::Opened { asked, .. } => counters.accepted += u64::from(asked.is_none()),
            RelayMessage::Data { label, .. }
            | RelayMessage::Credit { label, .. }
            | RelayMessage::Close(label)
                if !label.by_relay =>
            {
                return self.forwarding.handle_message(now, from, message, counters, out);
            }
            RelayMessage::Data { .. } | RelayMessage::Credit { .. } | RelayMessage::Close(_) => {}
        }
        self.streams.handle_message(from, message, &mut self.addresses, out);
    }

    /// The session took no more of what was to be sent: the stream that lacks it is over.
    pub fn handle_unsent(
        &mut self,
        to: &NodeId,
        message: &RelayMessage,
        out: &mut VecDeque<RelayEffect>,
    ) {
        match message {
            RelayMessage::Opened { number, .. } => self.forwarding.give_up(*number, out),
            // A writer that has used up its credit and never hears of more waits for ever.
            RelayMessage::Data { label, .. } | RelayMessage::Credit { label, .. } => {
                if label.by_relay {
                    self.forwarding.give_up(label.number, out);
                } else {
                    self.streams.give_up(to, label.number, out);
                }
            }
            RelayMessage::Open { tag, .. } => self.streams.handle_unasked(*to, *tag, out),
            // Who waits for an end is told by silence.
            RelayMessage::Close(_) | RelayMessage::Refused { .. } => {}
        }
    }

    /// When something waits for its time.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.forwarding.poll_timeout()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now, out: &mut VecDeque<RelayEffect>) {
        self.forwarding.handle_timeout(now, out);
    }

    /// What happened and what was dropped.
    pub const fn counters(&self) -> RelayCounters {
        self.counters
    }

    /// What is there.
    pub fn levels(&self) -> RelayLevels {
        RelayLevels { links: self.streams.level(), pairs: self.forwarding.level() }
    }
}
