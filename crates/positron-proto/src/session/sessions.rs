//! The table of all links and conversations.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::Arc,
};

use bytes::Bytes;

pub use super::contract::{
    DialFailure, DialOutcome, DialRequest, DownReason, Hangup, LinkDown, LinkKind, LinkKinds,
    NotSent, Peer, PerKind, Purpose, SessionConfig, SessionCounters, SessionEffect, SessionView,
};
use super::{
    admission::Admission,
    attempt::{AttemptId, ConnectionAttempt},
    carrier::{CarrierEvent, LinkNames},
    carriers::Carriers,
    datagram_carrier::DatagramCarrier,
    partials_budget::Partials,
    session::{Attachment, Session},
    table::LinkEntry,
};
use crate::{
    datagram::{
        Endpoint,
        contract::{EndpointConfig, EndpointCounters, Transmit},
    },
    deadlines::Deadlines,
    handshake::hello::Local,
    id::{LinkId, NodeId, Ticket},
    identity::Identity,
    limits::MAX_HALF_OPEN,
    rng::{Rng, Seed},
    stream::StreamEndpoint,
    time::{Instant, Now},
    wire::frame::Lane,
};

/// All links and sessions of one node.
///
/// **Inputs**, in the order in which they happen: [`dial`](Self::dial), then
/// [`handle_connected`](Self::handle_connected) or [`handle_link_down`](Self::handle_link_down);
/// [`handle_accepted`](Self::handle_accepted); then [`handle_bytes`](Self::handle_bytes),
/// [`handle_written`](Self::handle_written) and at last
/// [`handle_link_down`](Self::handle_link_down), exactly once a link.
/// [`handle_datagrams`](Self::handle_datagrams) at any time. What is to be done and what happened
/// is appended to `out`, in order; datagrams are to be taken with
/// [`poll_transmit`](Self::poll_transmit) when an input is done with.
///
/// **Kinds of links.** A dial races: the preferred kind first, each other one after a head start. A
/// session whose link falls silent goes on over one of another kind, and goes back when the
/// preferred one gets through; what was said moves with it. Its caller sees none of that but in its
/// views.
///
/// **Guarantees.** Each dial ends with one [`SessionEffect::DialEnded`]; each [`SessionEffect::Up`]
/// is followed by one [`SessionEffect::Down`] before the next [`SessionEffect::Up`] of the same
/// peer. Messages arrive in order within their lane, once per boot of the peer, whatever links come
/// and go, as long as both ends remember the session. Each ticket ends as
/// [`SessionEffect::Delivered`] or [`SessionEffect::Undelivered`]. After [`SessionEffect::Hangup`]
/// nothing is written to a link; a [`Hangup::Flush`] that takes too long is followed by a
/// [`Hangup::Abort`].
///
/// **Writing is deferred**: messages and acknowledgments are sealed by [`flush`](Self::flush), so
/// that all that one input causes shares a record. Call it when an input is done with; otherwise
/// [`poll_timeout`](Self::poll_timeout) asks for it at once.
///
/// ```
/// use std::{collections::VecDeque, sync::Arc};
///
/// use positron_proto::{
///     handshake::Expect,
///     id::{LinkId, NetworkId},
///     identity::Identity,
///     rng::Seed,
///     session::sessions::{
///         DialRequest, LinkKind, LinkKinds, Purpose, SessionConfig, SessionEffect, Sessions,
///     },
///     time::{Duration, Now},
/// };
///
/// let config = SessionConfig {
///     network: NetworkId::from_name("example"),
///     max_links: 8,
///     connect_timeout: Duration::from_secs(5),
///     heartbeat: Duration::from_secs(10),
///     transports: LinkKinds::TCP,
/// };
/// let node = |seed: u8| {
///     let rng = Seed::new([seed; 32]).stream("sessions");
///     Sessions::new(config.clone(), Arc::new(Identity::from_seed([seed; 32])), rng)
/// };
/// let (mut alice, mut bob, now) = (node(1), node(2), Now::default());
/// let (mut from_alice, mut from_bob) = (VecDeque::new(), VecDeque::new());
///
/// let (here, there) = (LinkId::of_core(0), LinkId::of_driver(0));
/// let to = "10.0.0.2:4000".parse().unwrap();
/// let (expect, purpose) = (Expect::Anyone, Purpose::Connect);
/// alice.dial(now, DialRequest { to, expect, noise_static: None, purpose }, &mut from_alice);
/// bob.handle_accepted(now, LinkKind::Tcp, there, "10.0.0.1:5000".parse().unwrap(), &mut from_bob);
/// alice.handle_connected(now, here, &mut from_alice);
///
/// let mut up = 0;
/// while !from_alice.is_empty() || !from_bob.is_empty() {
///     match from_alice.pop_front() {
///         Some(SessionEffect::Write { bytes, .. }) => {
///             bob.handle_bytes(now, there, bytes, &mut from_bob);
///         }
///         Some(SessionEffect::Up(_)) => up += 1,
///         _ => {}
///     }
///     match from_bob.pop_front() {
///         Some(SessionEffect::Write { bytes, .. }) => {
///             alice.handle_bytes(now, here, bytes, &mut from_alice);
///         }
///         Some(SessionEffect::Incoming(peer)) => bob.accept(now, peer.link, &mut from_bob),
///         Some(SessionEffect::Up(_)) => up += 1,
///         _ => {}
///     }
///     alice.flush(now, &mut from_alice);
///     bob.flush(now, &mut from_bob);
/// }
/// assert_eq!(up, 2);
/// ```
///
/// **Bounds**: strangers by [`MAX_HALF_OPEN`], sessions by [`SessionConfig::max_links`],
/// conversations without a link by
/// [`MAX_DORMANT_CONVERSATIONS`](crate::limits::MAX_DORMANT_CONVERSATIONS) and
/// [`MAX_DORMANT_BYTES`](crate::limits::MAX_DORMANT_BYTES), what waits for one peer by
/// [`MAX_PEER_QUEUE_BYTES`](crate::limits::MAX_PEER_QUEUE_BYTES), unfinished messages by
/// [`MAX_PARTIAL_BYTES`](crate::limits::MAX_PARTIAL_BYTES).
#[derive(Debug)]
pub struct Sessions {
    pub(super) config: SessionConfig,
    pub(super) me: NodeId,
    pub(super) carriers: Carriers,
    pub(super) names: LinkNames,
    pub(super) links: BTreeMap<LinkId, LinkEntry>,
    pub(super) attempts: BTreeMap<AttemptId, ConnectionAttempt>,
    pub(super) raced: u64,
    pub(super) door: Admission,
    pub(super) partials: Partials,
    pub(super) sessions: BTreeMap<NodeId, Session>,
    /// How many memories of conversations were named.
    pub(super) memories: u64,
    /// Conversations without a link, by when they are forgotten.
    pub(super) dormant: BTreeSet<(Instant, NodeId)>,
    pub(super) deadlines: Deadlines<SessionWake>,
    /// Links on which something waits to be sealed, and since when.
    pub(super) unflushed: BTreeSet<LinkId>,
    pub(super) unflushed_since: Option<Instant>,
    pub(super) counters: SessionCounters,
    pub(super) moves: PerKind<u64>,
}

/// Why to wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SessionWake {
    /// A handshake, the liveness of a session, or a hanging flush: what the stage of the link says.
    Link(LinkId),
    /// The next kind of link has its turn in a dial.
    Attempt(AttemptId),
    /// The session over this link is to try a preferred kind again.
    Back(LinkId),
    /// The oldest dormant conversation is to be forgotten.
    Forget,
}

impl Sessions {
    /// No links. Draws the boot from `rng`: messages are numbered per pair of boots.
    pub fn new(config: SessionConfig, me: Arc<Identity>, mut rng: Rng) -> Self {
        let boot = rng.next_u64();
        let endpoint = EndpointConfig {
            // A session may have two links while it moves.
            max_connections: 2 * config.max_links + MAX_HALF_OPEN,
            // Whether a link lives is judged here, by the same rules for every transport.
            keep_alive: None,
            ..EndpointConfig::new(config.network)
        };
        let dice = Seed::new(rng.bytes()).stream("datagrams");
        let endpoint = Endpoint::new(endpoint, Arc::clone(&me), boot, dice);
        let id = me.node_id();
        let carriers = Carriers {
            datagrams: DatagramCarrier::new(endpoint),
            streams: StreamEndpoint::new(Local::new(me, config.network, boot), rng),
            #[cfg(test)]
            foreign: Default::default(),
        };
        Self {
            config,
            me: id,
            carriers,
            names: LinkNames::default(),
            links: BTreeMap::new(),
            attempts: BTreeMap::new(),
            raced: 0,
            door: Admission::default(),
            partials: Partials::default(),
            sessions: BTreeMap::new(),
            memories: 0,
            dormant: BTreeSet::new(),
            deadlines: Deadlines::new(),
            unflushed: BTreeSet::new(),
            unflushed_since: None,
            counters: SessionCounters::default(),
            moves: PerKind::default(),
        }
    }

    /// Bytes of a link arrived, in order, cut anywhere.
    pub fn handle_bytes(
        &mut self,
        now: Now,
        link: LinkId,
        bytes: Bytes,
        out: &mut VecDeque<SessionEffect>,
    ) {
        self.carriers.streams.handle_bytes(now, link, bytes);
        self.settle(now, out);
    }

    /// The kernel took `bytes` of what was written.
    pub fn handle_written(
        &mut self,
        now: Now,
        link: LinkId,
        bytes: usize,
        out: &mut VecDeque<SessionEffect>,
    ) {
        self.carriers.streams.handle_written(link, bytes);
        self.settle(now, out);
    }

    /// A byte stream of ours is open.
    pub fn handle_connected(&mut self, now: Now, link: LinkId, out: &mut VecDeque<SessionEffect>) {
        self.carriers.streams.handle_connected(link, None);
        self.settle(now, out);
    }

    /// A byte stream ended, or could not be opened; also the answer to [`SessionEffect::Hangup`].
    pub fn handle_link_down(
        &mut self,
        now: Now,
        link: LinkId,
        reason: LinkDown,
        out: &mut VecDeque<SessionEffect>,
    ) {
        self.carriers.streams.handle_link_down(link, reason);
        self.settle(now, out);
    }

    /// Datagrams arrived from one address, in one buffer: each has `segment_size` bytes but the
    /// last, which may have less.
    pub fn handle_datagrams(
        &mut self,
        now: Now,
        from: SocketAddr,
        segment_size: usize,
        datagrams: &[u8],
        out: &mut VecDeque<SessionEffect>,
    ) {
        if self.config.transports.has(LinkKind::Udp) {
            let endpoint = &mut self.carriers.datagrams.endpoint;
            endpoint.handle_datagrams(now, from, segment_size, datagrams);
            self.settle(now, out);
        }
    }

    /// Fills `buf` (which is cleared first) with the next batch of datagrams to one address, at
    /// most `max_segments` of one size. Call it until `None` when an input is done with.
    pub fn poll_transmit(
        &mut self,
        now: Now,
        max_segments: usize,
        buf: &mut Vec<u8>,
    ) -> Option<Transmit> {
        self.carriers.datagrams.endpoint.poll_transmit(now, max_segments, buf)
    }

    /// Deals with whatever happened below, and tells what is to be done with byte streams.
    pub(super) fn settle(&mut self, now: Now, out: &mut VecDeque<SessionEffect>) {
        while let Some((kind, event)) = self.carriers.poll_event(now, &mut self.names) {
            self.handle_event(now, kind, event, out);
        }
        self.carriers.drain_effects(out);
    }

    fn handle_event(
        &mut self,
        now: Now,
        kind: LinkKind,
        event: CarrierEvent,
        out: &mut VecDeque<SessionEffect>,
    ) {
        match event {
            CarrierEvent::Reached { link } => self.handle_reached(now, link),
            CarrierEvent::Authenticated { link, remote } => {
                self.handle_authenticated(now, kind, link, remote, out);
            }
            CarrierEvent::Message { link, lane, body } => {
                self.handle_record(now, link, lane, body, out);
            }
            CarrierEvent::Taken { link } => self.handle_taken(now, link),
            CarrierEvent::Moved { link, addr } => self.handle_moved(link, addr),
            CarrierEvent::Failed { link, why } => self.handle_failed(now, link, why, out),
            CarrierEvent::Closed { link, why } => self.handle_closed(now, link, why, out),
        }
    }

    /// Queues an encoded message; with a ticket, [`SessionEffect::Delivered`] or
    /// [`SessionEffect::Undelivered`] follows.
    pub fn send(
        &mut self,
        now: Now,
        peer: NodeId,
        lane: Lane,
        body: Bytes,
        ticket: Option<Ticket>,
        _out: &mut VecDeque<SessionEffect>,
    ) -> Result<(), NotSent> {
        let talk = self.sessions.get_mut(&peer).ok_or(NotSent::NotConnected)?;
        if let Attachment::Detached(_) = talk.attachment {
            return Err(NotSent::NotConnected);
        }
        if let Err(not_sent) = talk.push(now.mono, lane, body, ticket) {
            self.counters.messages_refused += 1;
            return Err(not_sent);
        }
        self.counters.messages_sent += 1;
        if let Attachment::Attached(link) = talk.attachment {
            self.ask_for_flush(now, link);
        }
        Ok(())
    }

    /// Does what is due. Never harmful.
    pub fn handle_timeout(&mut self, now: Now, out: &mut VecDeque<SessionEffect>) {
        let endpoint = &mut self.carriers.datagrams.endpoint;
        if endpoint.poll_timeout().is_some_and(|at| at <= now.mono) {
            endpoint.handle_timeout(now);
            self.settle(now, out);
        }
        while let Some(wake) = self.deadlines.pop_due(now.mono) {
            match wake {
                SessionWake::Link(link) => self.wake_link(now, link, out),
                SessionWake::Attempt(race) => self.dial_next(now, race, out),
                SessionWake::Back(link) => self.upgrade(now, link, out),
                SessionWake::Forget => self.forget_detached(now, out),
            }
        }
        self.flush(now, out);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadline = self.deadlines.next().map(|(at, _)| at);
        let connections = self.carriers.datagrams.endpoint.poll_timeout();
        self.unflushed_since.into_iter().chain(deadline).chain(connections).min()
    }

    /// Whether there is a session with `peer`.
    pub fn is_up(&self, peer: &NodeId) -> bool {
        let talk = self.sessions.get(peer);
        talk.is_some_and(|talk| !matches!(talk.attachment, Attachment::Detached(_)))
    }

    /// Live sessions in order of the peer's id.
    pub fn views(&self) -> impl Iterator<Item = SessionView> {
        self.sessions.values().filter_map(|talk| {
            let Attachment::Attached(id) = talk.attachment else { return None };
            let link = self.links.get(&id)?.link()?;
            let (peer, since, rtt) = (link.peer, link.since, link.rtt());
            let (queued_bytes, transport) = (talk.queued_bytes(), link.kind);
            Some(SessionView { peer, since, rtt, queued_bytes, transport })
        })
    }

    /// What happened and what was dropped since the start.
    pub fn counters(&self) -> SessionCounters {
        let traffic = self.carriers.traffic();
        SessionCounters {
            bytes_sent: traffic.bytes_sent,
            bytes_received: traffic.bytes_received,
            records_sent: traffic.messages_sent,
            records_received: traffic.messages_received,
            ..self.counters
        }
    }

    /// Sessions that went on over a link of each kind instead of one of another.
    pub const fn moves(&self) -> PerKind<u64> {
        self.moves
    }

    /// What happened on datagram connections, and what was dropped, since the start.
    pub fn datagram_counters(&self) -> EndpointCounters {
        self.carriers.datagrams.endpoint.counters()
    }

    /// Links whose handshake is not complete.
    pub fn half_open(&self) -> usize {
        let links = self.links.values().filter(|entry| entry.is_half_open()).count();
        links + self.carriers.datagrams.endpoint.half_open()
    }

    /// Whether there is any link, of whatever kind and at whatever stage: also one that was hung up
    /// and has yet to send what was said.
    pub fn has_links(&self) -> bool {
        !self.links.is_empty()
    }

    /// Something waits to be sealed on this link.
    pub(super) fn ask_for_flush(&mut self, now: Now, link: LinkId) {
        self.unflushed.insert(link);
        self.unflushed_since.get_or_insert(now.mono);
    }

    /// Sessions that are up.
    pub(super) fn sessions_up(&self) -> usize {
        self.sessions.len() - self.dormant.len()
    }
}
