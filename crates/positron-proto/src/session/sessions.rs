//! The table of all links and conversations.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::Arc,
};

use bytes::Bytes;

pub use super::contract::{
    Config, Counters, Dial, DialFailure, DialOutcome, Direction, DownReason, Expect, Hangup,
    LinkDown, NotSent, Out, Peer, Purpose, View,
};
use super::{
    conversation::{Conversation, Presence},
    hello::Local,
    partials::Partials,
    table::{Door, Entry, Place, Stage},
};
use crate::{
    deadlines::Deadlines,
    id::{LinkId, NodeId, Ticket},
    identity::Identity,
    limits::MAX_HALF_OPEN,
    rng::Rng,
    time::{Instant, Now},
    wire::frame::{CloseReason, Lane},
};

/// All links and conversations of one node.
///
/// **Inputs**, in the order in which they happen: [`dial`](Self::dial), then
/// [`connected`](Self::connected) or [`link_down`](Self::link_down); [`accepted`](Self::accepted);
/// then [`bytes`](Self::bytes), [`written`](Self::written) and at last
/// [`link_down`](Self::link_down), exactly once a link. What is to be done and what happened is
/// appended to `out`, in order.
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
///     id::{LinkId, NetworkId},
///     identity::Identity,
///     rng::Seed,
///     session::sessions::{Config, Dial, Expect, Out, Purpose, Sessions},
///     time::{Duration, Now},
/// };
///
/// let config = Config {
///     network: NetworkId::from_name("example"),
///     max_links: 8,
///     connect_timeout: Duration::from_secs(5),
///     heartbeat: Duration::from_secs(10),
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
    pub(super) links: BTreeMap<LinkId, Entry>,
    pub(super) dialled: u64,
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
    pub(super) counters: Counters,
}

/// Why to wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wake {
    /// A handshake, the liveness of a session, or a hanging flush: what the stage of the link says.
    Link(LinkId),
    /// The oldest dormant conversation is to be forgotten.
    Forget,
}

impl Sessions {
    /// No links. Draws the boot from `rng`: messages are numbered per pair of boots.
    pub fn new(config: Config, me: Arc<Identity>, mut rng: Rng) -> Self {
        let local = Local::new(me, config.network, rng.next_u64());
        Self {
            config,
            local,
            rng,
            links: BTreeMap::new(),
            dialled: 0,
            door: Door::default(),
            partials: Partials::default(),
            conversations: BTreeMap::new(),
            memories: 0,
            dormant: BTreeSet::new(),
            deadlines: Deadlines::new(),
            unflushed: BTreeSet::new(),
            unflushed_since: None,
            counters: Counters::default(),
        }
    }

    /// Dials. Exactly one [`Out::DialEnded`] will follow.
    pub fn dial(&mut self, now: Now, dial: Dial, out: &mut VecDeque<Out>) {
        let dialling = |(id, entry): (&LinkId, &Entry)| !id.is_accepted() && entry.is_half_open();
        if self.links.iter().filter(|link| dialling(*link)).count() >= MAX_HALF_OPEN {
            self.counters.links_refused += 1;
            let outcome = DialOutcome::Failed(DialFailure::Closed(CloseReason::SlotsFull));
            out.push_back(Out::DialEnded { dial, outcome });
            return;
        }
        let link = LinkId::dialled(self.dialled);
        self.dialled += 1;
        self.counters.dials += 1;
        self.links.insert(link, Entry::new(dial.to, Stage::Connecting(dial), Place::Free));
        self.deadlines.set(Wake::Link(link), now.mono + self.config.connect_timeout);
        out.push_back(Out::Dial { link, to: dial.to });
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
        while let Some(wake) = self.deadlines.pop_due(now.mono) {
            match wake {
                Wake::Link(link) => self.wake_link(now, link, out),
                Wake::Forget => self.forget_dormant(now, out),
            }
        }
        self.flush(now, out);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadline = self.deadlines.next().map(|(at, _)| at);
        self.unflushed_since.into_iter().chain(deadline).min()
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
            Some(View { peer, since, rtt, queued_bytes: talk.queued_bytes() })
        })
    }

    /// What happened and what was dropped since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Links whose handshake is not complete.
    pub fn half_open(&self) -> usize {
        self.links.values().filter(|entry| entry.is_half_open()).count()
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
