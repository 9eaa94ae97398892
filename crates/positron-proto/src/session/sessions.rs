//! The table of all links and conversations.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::Arc,
};

use bytes::Bytes;

pub use super::contract::{
    Config, Counters, Dial, DialFailure, DialOutcome, DownReason, Hangup, LinkDown, NotSent, Out,
    Peer, Purpose, Transport, Transports, View,
};
use super::{
    conversation::{Conversation, Presence},
    partials::Partials,
    racing::{Race, RaceId},
    table::{Door, Entry, Stage},
};
use crate::{
    datagram::{
        Endpoint,
        contract::{ConnectionId, EndpointConfig, EndpointCounters},
    },
    deadlines::Deadlines,
    handshake::hello::Local,
    id::{LinkId, NodeId, Ticket},
    identity::Identity,
    limits::MAX_HALF_OPEN,
    rng::{Rng, Seed},
    time::{Instant, Now},
    wire::frame::Lane,
};

/// All links and conversations of one node.
///
/// **Inputs**, in the order in which they happen: [`dial`](Self::dial), then
/// [`connected`](Self::connected) or [`link_down`](Self::link_down); [`accepted`](Self::accepted);
/// then [`bytes`](Self::bytes), [`written`](Self::written) and at last
/// [`link_down`](Self::link_down), exactly once a link. [`datagrams`](Self::datagrams) at any time.
/// What is to be done and what happened is appended to `out`, in order; datagrams are to be taken
/// with [`poll_transmit`](Self::poll_transmit) when an input is done with.
///
/// **Transports.** A dial races: datagrams first, a byte stream after a head start. A session whose
/// datagrams are lost on the way goes on over a byte stream, and goes back when they get through;
/// what was said moves with it. Its caller sees none of that but in its views.
///
/// **Guarantees.** Each dial ends with one [`Out::DialEnded`]; each [`Out::Up`] is followed by one
/// [`Out::Down`] before the next `Up` of the same peer. Messages arrive in order within their lane,
/// once per boot of the peer, whatever links come and go, as long as both ends remember the
/// conversation. Each ticket ends as [`Out::Delivered`] or [`Out::Undelivered`]. After
/// [`Out::Hangup`] nothing is written to a link; a `Flush` that takes too long is followed by an
/// `Abort`.
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
///     session::sessions::{Config, Dial, Out, Purpose, Sessions, Transports},
///     time::{Duration, Now},
/// };
///
/// let config = Config {
///     network: NetworkId::from_name("example"),
///     max_links: 8,
///     connect_timeout: Duration::from_secs(5),
///     heartbeat: Duration::from_secs(10),
///     transports: Transports::Tcp,
/// };
/// let node = |seed: u8| {
///     let rng = Seed::new([seed; 32]).stream("sessions");
///     Sessions::new(config.clone(), Arc::new(Identity::from_seed([seed; 32])), rng)
/// };
/// let (mut alice, mut bob, now) = (node(1), node(2), Now::default());
/// let (mut from_alice, mut from_bob) = (VecDeque::new(), VecDeque::new());
///
/// let (here, there) = (LinkId::dialled(0), LinkId::accepted(0));
/// let to = "10.0.0.2:4000".parse().unwrap();
/// let (expect, purpose) = (Expect::Anyone, Purpose::Connect);
/// alice.dial(now, Dial { to, expect, noise_static: None, purpose }, &mut from_alice);
/// bob.accepted(now, there, "10.0.0.1:5000".parse().unwrap(), &mut from_bob);
/// alice.connected(now, here, &mut from_alice);
///
/// let mut up = 0;
/// while !from_alice.is_empty() || !from_bob.is_empty() {
///     match from_alice.pop_front() {
///         Some(Out::Write { bytes, .. }) => bob.bytes(now, there, bytes, &mut from_bob),
///         Some(Out::Up(_)) => up += 1,
///         _ => {}
///     }
///     match from_bob.pop_front() {
///         Some(Out::Write { bytes, .. }) => alice.bytes(now, here, bytes, &mut from_alice),
///         Some(Out::Knock(peer)) => bob.admit(now, peer.link, &mut from_bob),
///         Some(Out::Up(_)) => up += 1,
///         _ => {}
///     }
///     alice.flush(now, &mut from_alice);
///     bob.flush(now, &mut from_bob);
/// }
/// assert_eq!(up, 2);
/// ```
///
/// **Bounds**: strangers by [`MAX_HALF_OPEN`], sessions by [`Config::max_links`], conversations
/// without a link by [`MAX_DORMANT_CONVERSATIONS`](crate::limits::MAX_DORMANT_CONVERSATIONS) and
/// [`MAX_DORMANT_BYTES`](crate::limits::MAX_DORMANT_BYTES), what waits for one peer by
/// [`MAX_PEER_QUEUE_BYTES`](crate::limits::MAX_PEER_QUEUE_BYTES), unfinished messages by
/// [`MAX_PARTIAL_BYTES`](crate::limits::MAX_PARTIAL_BYTES).
#[derive(Debug)]
pub struct Sessions {
    pub(super) config: Config,
    pub(super) local: Local,
    pub(super) rng: Rng,
    pub(super) endpoint: Endpoint,
    pub(super) links: BTreeMap<LinkId, Entry>,
    pub(super) by_connection: BTreeMap<ConnectionId, LinkId>,
    /// How many links were dialled, and how many datagram connections accepted.
    pub(super) dialled: u64,
    pub(super) accepted: u64,
    pub(super) races: BTreeMap<RaceId, Race>,
    pub(super) raced: u64,
    pub(super) door: Door,
    pub(super) partials: Partials,
    pub(super) conversations: BTreeMap<NodeId, Conversation>,
    /// How many memories of conversations were named.
    pub(super) memories: u64,
    /// Conversations without a link, by when they are forgotten.
    pub(super) dormant: BTreeSet<(Instant, NodeId)>,
    pub(super) deadlines: Deadlines<Wake>,
    /// Links on which something waits to be sealed, and since when.
    pub(super) unflushed: BTreeSet<LinkId>,
    pub(super) unflushed_since: Option<Instant>,
    /// Datagram links whose window is full while more waits.
    pub(super) hungry: BTreeSet<LinkId>,
    pub(super) counters: Counters,
}

/// Why to wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wake {
    /// A handshake, the liveness of a session, or a hanging flush: what the stage of the link says.
    Link(LinkId),
    /// The head start of the datagrams in a race is over.
    Race(RaceId),
    /// The session over this byte stream is to try datagrams again.
    Back(LinkId),
    /// The oldest dormant conversation is to be forgotten.
    Forget,
}

impl Sessions {
    /// No links. Draws the boot from `rng`: messages are numbered per pair of boots.
    pub fn new(config: Config, me: Arc<Identity>, mut rng: Rng) -> Self {
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
        let local = Local::new(me, config.network, boot);
        Self {
            config,
            local,
            rng,
            endpoint,
            links: BTreeMap::new(),
            by_connection: BTreeMap::new(),
            dialled: 0,
            accepted: 0,
            races: BTreeMap::new(),
            raced: 0,
            door: Door::default(),
            partials: Partials::default(),
            conversations: BTreeMap::new(),
            memories: 0,
            dormant: BTreeSet::new(),
            deadlines: Deadlines::new(),
            unflushed: BTreeSet::new(),
            unflushed_since: None,
            hungry: BTreeSet::new(),
            counters: Counters::default(),
        }
    }

    /// Bytes of a link arrived, in order, cut anywhere.
    pub fn bytes(&mut self, now: Now, link: LinkId, bytes: Bytes, out: &mut VecDeque<Out>) {
        let Some(entry) = self.links.get_mut(&link) else { return };
        self.counters.bytes_received += u64::try_from(bytes.len()).unwrap_or(0);
        if matches!(entry.stage, Stage::Closing | Stage::Connecting(_)) {
            return;
        }
        entry.inbound.push(bytes);
        self.advance(now, link, out);
        if let Some(entry) = self.links.get_mut(&link) {
            entry.inbound.settle();
        }
    }

    /// The kernel took `bytes` of what was written.
    pub fn written(&mut self, now: Now, link: LinkId, bytes: usize, _out: &mut VecDeque<Out>) {
        let Some(entry) = self.links.get_mut(&link) else { return };
        entry.in_flight = entry.in_flight.saturating_sub(bytes);
        let Stage::Up(up) = &entry.stage else { return };
        if let Some(talk) = self.conversations.get_mut(&up.peer.id) {
            talk.written(now.mono, bytes);
            self.ask_for_flush(now, link);
        }
    }

    /// Queues an encoded message; with a ticket, [`Out::Delivered`] or [`Out::Undelivered`]
    /// follows.
    pub fn send(
        &mut self,
        now: Now,
        peer: NodeId,
        lane: Lane,
        body: Bytes,
        ticket: Option<Ticket>,
        _out: &mut VecDeque<Out>,
    ) -> Result<(), NotSent> {
        let talk = self.conversations.get_mut(&peer).ok_or(NotSent::NotConnected)?;
        if let Presence::Dormant(_) = talk.presence {
            return Err(NotSent::NotConnected);
        }
        if let Err(not_sent) = talk.push(now.mono, lane, body, ticket) {
            self.counters.messages_refused += 1;
            return Err(not_sent);
        }
        self.counters.messages_sent += 1;
        if let Presence::Up(link) = talk.presence {
            self.ask_for_flush(now, link);
        }
        Ok(())
    }

    /// Does what is due. Never harmful.
    pub fn handle_timeout(&mut self, now: Now, out: &mut VecDeque<Out>) {
        if self.endpoint.poll_timeout().is_some_and(|at| at <= now.mono) {
            self.endpoint.handle_timeout(now);
            self.attend(now, out);
        }
        while let Some(wake) = self.deadlines.pop_due(now.mono) {
            match wake {
                Wake::Link(link) => self.wake_link(now, link, out),
                Wake::Race(race) => self.dial_stream(now, race, out),
                Wake::Back(link) => self.dial_back(now, link, out),
                Wake::Forget => self.forget_dormant(now, out),
            }
        }
        self.flush(now, out);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadline = self.deadlines.next().map(|(at, _)| at);
        let connections = self.endpoint.poll_timeout();
        self.unflushed_since.into_iter().chain(deadline).chain(connections).min()
    }

    /// Whether there is a session with `peer`.
    pub fn is_up(&self, peer: &NodeId) -> bool {
        let talk = self.conversations.get(peer);
        talk.is_some_and(|talk| !matches!(talk.presence, Presence::Dormant(_)))
    }

    /// Live sessions in order of the peer's id.
    pub fn views(&self) -> impl Iterator<Item = View> {
        self.conversations.values().filter_map(|talk| {
            let Presence::Up(id) = talk.presence else { return None };
            let link = self.links.get(&id)?.link()?;
            let (peer, since, rtt) = (link.peer, link.since, link.rtt());
            let (queued_bytes, transport) = (talk.queued_bytes(), link.transport());
            Some(View { peer, since, rtt, queued_bytes, transport })
        })
    }

    /// What happened and what was dropped since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// What happened on datagram connections, and what was dropped, since the start.
    pub fn datagram_counters(&self) -> EndpointCounters {
        self.endpoint.counters()
    }

    /// Links whose handshake is not complete.
    pub fn half_open(&self) -> usize {
        let links = self.links.values().filter(|entry| entry.is_half_open()).count();
        links + self.endpoint.half_open()
    }

    /// Whether there is any link, of whatever kind and at whatever stage: also one that was hung up
    /// and has yet to send what was said.
    pub fn has_links(&self) -> bool {
        !self.links.is_empty()
    }

    /// Somebody connected to us.
    pub fn accepted(&mut self, now: Now, link: LinkId, from: SocketAddr, out: &mut VecDeque<Out>) {
        self.counters.accepts += 1;
        self.open_door(now, link, from, out);
    }

    /// Something waits to be sealed on this link.
    pub(super) fn ask_for_flush(&mut self, now: Now, link: LinkId) {
        self.unflushed.insert(link);
        self.unflushed_since.get_or_insert(now.mono);
    }

    /// Sessions that are up.
    pub(super) fn sessions_up(&self) -> usize {
        self.conversations.len() - self.dormant.len()
    }
}
