//! The whole node as one machine.

use std::{collections::VecDeque, net::SocketAddr, sync::Arc};

use super::{
    AllCounters, AllLevels, ChangeId, Command, Effect, Event, Input, LostPeer, NodeConfig,
    NodeCounters, Outcome, RecentDial, Refused, RoomQueues, SequenceKind, Snapshot, Wake,
    change::reserve,
    check_pace::CheckPace,
    delivery_log::{DeliveryLog, Unacknowledged},
    endings::Endings,
    equivocations::Equivocations,
    held_links::{HeldFor, HeldLinks},
    identity_use::IdentityUse,
    mapped::nat_of,
    peer_order::restore_reservations,
    pending_verification::PendingVerification,
    persistence::{Awaited, Persistence},
    pings::Pings,
    publisher::Publisher,
    pushes::PushesUnderWay,
    table_carrier::TableCarrier,
    unread::Unread,
    view::{NodeView, PeerBounds, PeerView},
    wanted_links::WantedLinks,
    work_budget::WorkBudgets,
};
use crate::{
    datagram::contract::Transmit,
    dht::Dht,
    direct::{self, Direct},
    gossip::Gossip,
    id::{MessageId, NetworkId, NodeId, Ticket},
    identity::Identity,
    nat::{Nat, Punching},
    peers::Peers,
    reason::Reason,
    recommendation::Recommendations,
    relay::{PathPolicy, Relays},
    request::Requests,
    rng::Seed,
    session::{
        Sessions,
        sessions::{Hangup, Reading, SessionView},
    },
    substream::{SubstreamId, SubstreamOrder, Substreams},
    succession::Successions,
    time::{Instant, Now},
    trace::{MessageTrace, Traces},
    trust::Trust,
};

/// A node. Give it inputs and commands, drain its effects after each, wake it when it says so.
///
/// > **Purity.** The sequence of effects and datagrams is a function of (config, identity,
/// > snapshot, seed, the sequence of (`Now`, `Input` | `Command`)) and of nothing else.
///
/// - [`handle`](Self::handle) cannot fail: a peer's nonsense is counted and held against the peer.
/// - [`command`](Self::command) is refused with a reason, or gives a [`Ticket`] that exactly one
///   [`Event::Completed`] answers.
/// - [`poll_effect`](Self::poll_effect) until `None` after each of the two, then
///   [`poll_transmit`](Self::poll_transmit) until `None`.
/// - [`poll_timeout`](Self::poll_timeout) says when to send [`Input::Timeout`], and why.
///
/// `now.mono` never goes back between two calls.
#[derive(Debug)]
pub struct NodeCore {
    pub(super) me: Arc<Identity>,
    pub(super) network: NetworkId,
    pub(super) sessions: Sessions,
    pub(super) nat: Nat,
    pub(super) peers: Peers,
    pub(super) gossip: Gossip,
    pub(super) direct: Direct,
    pub(super) requests: Requests,
    pub(super) substreams: Substreams,
    pub(super) trust: Trust,
    pub(super) successions: Successions,
    pub(super) recommendations: Recommendations,
    pub(super) traces: Traces,
    pub(super) punching: Punching,
    pub(super) relays: Relays,
    pub(super) wanted_links: WantedLinks,
    pub(super) pings: Pings,
    pub(super) paths: PathPolicy,
    pub(super) dht: Dht,
    pub(super) table: TableCarrier,
    pub(super) pending: PendingVerification,
    pub(super) pace: CheckPace<Effect>,
    pub(super) publisher: Publisher,
    pub(super) persistence: Persistence,
    pub(super) held: HeldLinks,
    pub(super) unread: Unread,
    pub(super) identity_use: IdentityUse,
    pub(super) work: WorkBudgets,
    pub(super) deliveries: DeliveryLog,
    pub(super) endings: Endings,
    pub(super) equivocations: Equivocations,
    pub(super) pushes: PushesUnderWay,
    pub(super) queues: RoomQueues,
    pub(super) effects: VecDeque<Effect>,
    pub(super) counters: NodeCounters,
    pub(super) stopping: bool,
    /// When broadcasts wait no longer for peers whose queues are long.
    pub(super) unclogged_at: Option<Instant>,
    /// When the application was told last that our numbers were behind.
    pub(super) told_behind: Option<Instant>,
}

impl NodeCore {
    /// A node with what its storage brought back. It dials nobody before [`Input::Listening`].
    pub fn new(
        config: NodeConfig,
        identity: Arc<Identity>,
        snapshot: Snapshot,
        seed: &Seed,
        now: Now,
    ) -> Self {
        let (me, id, network) = (Arc::clone(&identity), identity.node_id(), config.network);
        let (session_dice, peers_dice) = (seed.stream("session"), seed.stream("peers"));
        let table = TableCarrier::new(&config, now);
        let (configured, mut queues) = (config.peers.reserved.clone(), RoomQueues::default());
        let nat = nat_of(&config, &me, seed);
        let mut trust = Trust::new(config.trust, snapshot.standings, now)
            .with_trail(snapshot.trust_events)
            .with_address_bans(snapshot.address_bans, now);
        let mut peers =
            Peers::new(config.peers, Arc::clone(&me), network, snapshot.peers, peers_dice, now);
        let reserved = (configured, snapshot.reserved);
        restore_reservations(now, id, reserved, (&mut trust, &mut peers), &mut queues);
        let mut core = Self {
            nat,
            sessions: Sessions::new(config.session, Arc::clone(&me), session_dice),
            peers,
            gossip: Gossip::new(config.gossip, id, snapshot.gossip, seed.stream("gossip"), now),
            direct: Direct::default(),
            requests: Requests::default(),
            substreams: Substreams::default(),
            trust,
            successions: Successions::new(id, snapshot.successions),
            recommendations: Recommendations::new(now),
            traces: Traces::new(config.trace, id, network, seed.stream("trace")),
            punching: Punching::new(seed.stream("nat")),
            relays: Relays::new(config.relay),
            wanted_links: WantedLinks::new(),
            pings: Pings::new(),
            paths: config.relay.paths,
            dht: Dht::new(Arc::clone(&me), network, snapshot.dht, seed.stream("dht"), now),
            table,
            pending: PendingVerification::default(),
            pace: CheckPace::default(),
            publisher: Publisher::new(Arc::clone(&me), network, snapshot.numbers, now),
            persistence: Persistence::default(),
            held: HeldLinks::default(),
            unread: Unread::default(),
            identity_use: IdentityUse::new(id),
            work: WorkBudgets::default(),
            deliveries: snapshot.deliveries,
            endings: Endings::default(),
            equivocations: Equivocations::default(),
            pushes: PushesUnderWay::default(),
            queues,
            effects: VecDeque::new(),
            counters: NodeCounters::default(),
            stopping: false,
            unclogged_at: None,
            told_behind: None,
            me: identity,
            network,
        };
        core.begin_inheritance(now);
        core
    }

    /// Something happened.
    pub fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Listening(addresses) => {
                self.reserve_numbers(now);
                self.peers.handle_listening(now, &addresses, &mut self.queues.peers);
            }
            Input::Interfaces(addresses) => {
                self.nat.handle_interfaces(&addresses);
                self.peers.handle_interfaces(now, &addresses, &mut self.queues.peers);
                self.sessions.handle_network_changed(now);
                self.punching.handle_network_changed(now);
            }
            Input::Accepted { link, from, .. } if self.refuses(from) => {
                self.counters.banned_addresses_dropped += 1;
                self.effects.push_back(Effect::Hangup { link, how: Hangup::Abort });
            }
            Input::Accepted { kind, link, from, certificate } => {
                let out = &mut self.queues.session;
                self.sessions.handle_accepted(now, kind, link, from, certificate, out);
            }
            Input::Connected { link, certificate } => {
                let out = &mut self.queues.session;
                self.sessions.handle_connected(now, link, certificate, out);
            }
            Input::Bytes { link, bytes } => {
                self.sessions.handle_bytes(now, link, bytes, &mut self.queues.session);
            }
            Input::Written { link, bytes } => {
                self.sessions.handle_written(now, link, bytes, &mut self.queues.session);
            }
            Input::LinkDown { link, reason } => {
                self.sessions.handle_link_down(now, link, reason, &mut self.queues.session);
            }
            Input::Router(news) => {
                let (port, out) = (self.peers.port(), &mut self.queues.nat);
                self.nat.handle_router(now.mono, news, port, out);
            }
            Input::NoWay { to } => {
                self.sessions.handle_no_way(now, to, &mut self.queues.session);
            }
            Input::Resolved { name, outcome } => {
                if outcome.is_err() {
                    self.endings.handle_unresolved(now, name.clone());
                }
                self.peers.handle_resolved(now, &name, outcome, &mut self.queues.peers);
            }
            Input::Verdict { check, verdict } => self.handle_verdict(now, check, verdict),
            Input::Persisted { up_to } => self.handle_persisted(now, up_to),
            Input::StorageWaits { reason, why } => self.handle_storage_waits(now, reason, why),
            Input::StorageFailed { reason, why } => self.handle_storage_failed(now, reason, why),
            Input::Answered { from, id, answer } => {
                self.requests.answer(from, id, answer, &mut self.queues.requests);
            }
            Input::Validity { id, validity } => self.handle_validity(now, id, validity),
            Input::Unwanted { ticket } => self.handle_unwanted(ticket),
            Input::Timeout => self.timeout(now),
        }
        self.flush_and_route(now);
    }

    /// Datagrams arrived from one address, in one buffer: each has `segment_size` bytes but the
    /// last, which may have less. An input like the others, but lent: the socket's own memory is
    /// read, and nothing of it is kept.
    pub fn handle_datagrams(
        &mut self,
        now: Now,
        from: SocketAddr,
        segment_size: usize,
        datagrams: &[u8],
    ) {
        if self.refuses(from) {
            self.counters.banned_addresses_dropped += 1;
            return;
        }
        let out = &mut self.queues.session;
        self.sessions.handle_datagrams(now, from, segment_size, datagrams, out);
        self.flush_and_route(now);
    }

    /// The application wants something.
    pub fn command(&mut self, now: Now, command: Command) -> Result<Ticket, Refused> {
        if self.stopping {
            return Err(Refused::Stopping);
        }
        let ticket = self.carry_out(now, command)?;
        self.flush_and_route(now);
        Ok(ticket)
    }

    /// What the application wants of a stream between nodes; nothing happens if it is over. Drain
    /// the effects after it, as after an input.
    pub fn handle_stream_order(&mut self, now: Now, id: SubstreamId, order: SubstreamOrder) {
        self.substreams.handle_order(now, id, order, &mut self.queues.substream);
        self.flush_and_route(now);
    }

    /// What is known of the way of a message; nothing, if it never came or is forgotten.
    pub fn trace(&self, now: Now, message: &MessageId) -> Option<MessageTrace> {
        self.traces.trace(now, message)
    }

    /// How near `peer` is to each of its bounds; nothing, if it is not linked.
    pub fn bounds_of(&self, now: Now, peer: &NodeId) -> Option<PeerBounds> {
        let (requests, request_bytes) = self.requests.served_for(peer);
        Some(PeerBounds {
            session: self.sessions.bounds_of(peer)?,
            work: self.work.level(now.mono, peer),
            requests,
            request_bytes,
            streams: self.substreams.level_with(peer),
        })
    }

    /// The next thing to be done outside; call until `None`.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Fills `buf` (which is cleared first) with the next datagrams to be sent to one address, at
    /// most `max_segments` of one size; call until `None`, after the effects of the same input.
    pub fn poll_transmit(
        &mut self,
        now: Now,
        max_segments: usize,
        buf: &mut Vec<u8>,
    ) -> Option<Transmit> {
        let transmit = self.sessions.poll_transmit(now, max_segments, buf)?;
        self.nat.filtering.handle_sent(now.mono, transmit.to);
        Some(transmit)
    }

    /// When the node wants [`Input::Timeout`], and why.
    pub fn poll_timeout(&self) -> Option<(Instant, Wake)> {
        let rooms = [
            (self.sessions.poll_timeout(), Wake::Session),
            (self.peers.poll_timeout(), Wake::Peers),
            (self.gossip.poll_timeout(), Wake::Gossip),
            (self.direct.poll_timeout(), Wake::Direct),
            (self.requests.poll_timeout(), Wake::Requests),
            (self.substreams.poll_timeout(), Wake::Substream),
            (self.trust.poll_timeout(), Wake::Trust),
            (self.recommendations.poll_timeout(), Wake::Recommendation),
            (self.traces.poll_timeout(), Wake::Trace),
            (self.punching.poll_timeout(), Wake::Nat),
            (self.nat.poll_timeout(), Wake::Nat),
            (self.relays.poll_timeout(), Wake::Relay),
            (self.wanted_links.poll_timeout(), Wake::WantedLinks),
            (self.pings.poll_timeout(), Wake::Ping),
            (self.dht.poll_timeout(), Wake::Dht),
            (self.held.poll_timeout(), Wake::HeldLinks),
            (self.unread.poll_timeout(), Wake::Unread),
            (self.pace.poll_timeout(), Wake::Checks),
            (self.persistence.poll_timeout(), Wake::Storage),
            (self.publisher.poll_timeout(), Wake::Publisher),
            (self.unclogged_at, Wake::Publisher),
        ];
        let mut first = None;
        for (at, why) in rooms {
            // Of two at one time the first of them, in the order of `Wake`.
            if let Some(at) = at.filter(|at| first.is_none_or(|(first, _)| *at < first)) {
                first = Some((at, why));
            }
        }
        first
    }

    /// Who this is.
    pub fn id(&self) -> NodeId {
        self.me.node_id()
    }

    /// The broadcasts that it keeps.
    pub const fn gossip(&self) -> &Gossip {
        &self.gossip
    }

    /// The first message from `from` on that a durable subscription has not acknowledged.
    pub fn first_unacknowledged(&self, name: &str, from: u64) -> Option<Unacknowledged> {
        self.deliveries.first_unacknowledged(name, from)
    }

    /// What everybody is made of who was ever observed, and which bans there are.
    pub const fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Who was linked and is not any more, the newest first.
    pub fn lost_peers(&self) -> impl Iterator<Item = &LostPeer> {
        self.endings.lost()
    }

    /// The last dials, the newest first.
    pub fn recent_dials(&self) -> impl Iterator<Item = &RecentDial> {
        self.endings.dials()
    }

    /// Who is known, and from whom.
    pub const fn peers(&self) -> &Peers {
        &self.peers
    }

    /// Links whose handshake is not complete.
    pub fn half_open(&self) -> usize {
        self.sessions.half_open()
    }

    /// The node as it is now.
    pub fn view(&self, now: Now) -> NodeView {
        let standings = self.trust.standings();
        let peer = |session: SessionView| {
            let place = self.relays.place_of(session.peer.addr);
            PeerView::new(session, place, standings, now.mono)
        };
        let next_wake = self.poll_timeout().map(|(at, why)| (at.since(now.mono), why));
        NodeView {
            id: self.id(),
            external_addresses: self.peers.external_addresses(),
            nat: self.nat.info(now.mono),
            candidates: self.candidates(now),
            peers: self.sessions.views().map(peer).collect(),
            min_peers: self.peers.min_peers(),
            known_peers: self.peers.known().count(),
            bootstrap: self.peers.bootstrap().cloned().collect(),
            reserved: self.peers.reserved().collect(),
            kept: self.gossip.kept(),
            subscriptions: self.deliveries.views().collect(),
            storage: self.persistence.view(),
            next_wake,
            banned: standings.banned(),
            banned_addresses: standings.banned_addresses(),
            moves: self.sessions.moves(),
            levels: AllLevels::of(self),
            used_twice: self.identity_use.views(now.mono),
            is_stopping: self.stopping,
            counters: AllCounters::of(self),
        }
    }

    /// What this node offers to who looks for a direct path to it.
    fn candidates(&self, now: Now) -> Vec<SocketAddr> {
        match self.paths {
            PathPolicy::Any => self.nat.places(now.mono, self.peers.port()).candidates(),
            PathPolicy::DirectOnly | PathPolicy::RelayOnly => Vec::new(),
        }
    }

    /// Whether what comes from there is not read.
    fn refuses(&self, from: SocketAddr) -> bool {
        let standings = self.trust.standings();
        standings.bans_address(from.ip()) && !self.peers.expects_at(from.ip())
    }

    /// Gives the lanes of streams what they take: the rest waits where it can be reset, and where
    /// each stream has its turn.
    pub(super) fn fill_bulk(&mut self, now: Now) {
        for peer in self.substreams.wanting() {
            let room = self.sessions.bulk_room(&peer);
            self.substreams.fill(peer, room, &mut self.queues.substream);
        }
        self.route_until_idle(now);
    }

    fn timeout(&mut self, now: Now) {
        self.unread.begin_turn();
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now.mono);
        let standings = self.trust.standings();
        if due(self.sessions.poll_timeout()) {
            self.sessions.handle_timeout(now, &mut self.queues.session);
        }
        if due(self.peers.poll_timeout()) {
            self.peers.handle_timeout(now, standings, &mut self.queues.peers);
        }
        if due(self.gossip.poll_timeout()) {
            self.gossip.handle_timeout(now, standings, &mut self.queues.gossip);
        }
        self.direct.handle_timeout(now, &mut self.queues.direct);
        self.requests.handle_timeout(now, &mut self.queues.requests);
        self.substreams.handle_timeout(now, &mut self.queues.substream);
        self.trust.handle_timeout(now, &mut self.queues.trust);
        self.recommendations.handle_timeout(now, &mut self.queues.recommendation);
        self.traces.handle_timeout(now, &mut self.queues.trace);
        self.handle_paths_timeout(now);
        self.handle_table_timeout(now);
        if due(self.held.poll_timeout()) {
            let due = self.held.take_due(now.mono);
            self.read_on(now, due);
        }
        self.effects.extend(core::iter::from_fn(|| self.pace.pop_due(now.mono)));
        self.persistence.handle_timeout(now.mono, &mut self.effects);
        if due(self.publisher.poll_timeout()) {
            self.publisher.handle_timeout(now.mono);
            self.flush_outgoing(now);
        }
    }

    /// Whether the node was told to stop.
    pub const fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Whether there is any link left. A node that stops is done when there is none, and its last
    /// datagrams are sent.
    pub fn has_links(&self) -> bool {
        self.sessions.has_links()
    }

    /// Whether a broadcast would reach somebody, and push out none that has not. Without peers it
    /// is kept for those who come.
    pub(super) fn may_publish(&self, now: Now) -> bool {
        self.gossip.may_publish() && self.sessions.clogged_until(now.mono).is_none()
    }

    /// Sends what has a number, in order.
    pub(super) fn flush_outgoing(&mut self, now: Now) {
        while self.may_publish(now)
            && let Some(message) = self.publisher.next_broadcast(now)
        {
            self.gossip.publish(now, message, &mut self.queues.gossip);
            self.route_until_idle(now);
        }
        while let Some((to, ticket, message)) = self.publisher.next_direct(now) {
            self.traces.handle_direct(now, &message, Some(to));
            let up = self.sessions.is_up(&to);
            if self.direct.send(now, to, message, ticket, up, &mut self.queues.direct).is_err() {
                self.publisher.direct_over(ticket);
                let outcome = Outcome::Undelivered(direct::Undelivered::QueueFull);
                self.emit(Event::Completed { ticket, outcome });
            }
            self.route_until_idle(now);
        }
        self.reserve_numbers(now);
    }

    /// Asks the disk for the numbers that will be needed next, and has our record follow them.
    fn reserve_numbers(&mut self, now: Now) {
        if self.persistence.check().is_err() {
            return;
        }
        for kind in [SequenceKind::Broadcast, SequenceKind::Direct] {
            if let Some(below) = self.publisher.reservation(now, kind) {
                let (what, change) = (Awaited::Numbers(kind, below), reserve(kind, below));
                self.persistence.persist_for(what, change, &mut self.effects);
            }
        }
        let next = self.publisher.next_number();
        self.peers.handle_numbers(now, next, &mut self.queues.peers);
    }

    /// The disk has everything up to `up_to`.
    fn handle_persisted(&mut self, now: Now, up_to: ChangeId) {
        if self.persistence.handle_back() {
            self.emit(Event::StorageBack);
        }
        for awaited in self.persistence.handle_persisted(up_to, &mut self.effects) {
            match awaited {
                Awaited::Numbers(kind, below) => self.publisher.handle_reserved(kind, below),
                Awaited::Broadcast(ticket, id) => {
                    self.emit(Event::Completed { ticket, outcome: Outcome::Durable(id) });
                }
                Awaited::Subscription(ticket) => {
                    self.emit(Event::Completed { ticket, outcome: Outcome::Noted });
                }
            }
        }
        self.flush_outgoing(now);
        if !self.persistence.is_behind() {
            let held = self.held.release_all(HeldFor::Disk);
            self.read_on(now, held);
        }
    }

    /// The disk takes nothing for now. Nobody is held for it: that could take hours.
    fn handle_storage_waits(&mut self, now: Now, reason: Reason, why: String) {
        if self.persistence.handle_waits(reason, &why) {
            self.emit(Event::StorageWaits { reason, why });
        }
        let held = self.held.release_all(HeldFor::Disk);
        self.read_on(now, held);
    }

    /// `peer` brought something that is to be kept: if the disk is behind, its link is read no
    /// further for now.
    pub(super) fn brought_by(&mut self, now: Now, peer: NodeId) {
        if self.persistence.is_behind() && self.hold(now, peer, HeldFor::Disk, None) {
            self.counters.links_held += 1;
        }
    }

    /// Reads the link of `peer` no further, for this reason and at most until then. Whether it was
    /// read for all that this reason knows of.
    pub(super) fn hold(
        &mut self,
        now: Now,
        peer: NodeId,
        why: HeldFor,
        until: Option<Instant>,
    ) -> bool {
        let Some(link) = self.sessions.link_of(&peer) else { return false };
        let is_new = self.held.hold(now.mono, link, why, until);
        if self.held.is_stuck(link) {
            self.unread.suspend(peer);
        }
        if is_new {
            self.sessions.set_reading(now, link, Reading::Held, &mut self.queues.session);
        }
        is_new
    }

    /// The disk is gone: what waits for it fails, what needs it is refused from now on.
    fn handle_storage_failed(&mut self, now: Now, reason: Reason, why: String) {
        let Some(published) = self.persistence.handle_failed(reason, &why) else { return };
        let held = self.held.release_all(HeldFor::Disk);
        self.read_on(now, held);
        let queued = self.publisher.give_up_broadcasts();
        let unsent = self.publisher.give_up_directs();
        for ticket in published.chain(queued).chain(unsent) {
            self.emit(Event::Completed { ticket, outcome: Outcome::NotDurable(why.clone()) });
        }
        self.emit(Event::StorageFailed { reason, why });
    }

    pub(super) fn emit(&mut self, event: Event) {
        self.effects.push_back(Effect::Emit(event));
    }
}
