//! All sessions of a node, and the links they run over.

use std::{collections::VecDeque, net::SocketAddr, sync::Arc};

use bytes::Bytes;

pub use super::contract::{
    AnswerTooLong, Asker, DialFailure, DialOutcome, DialRequest, DownReason, Effort, EndedSession,
    Flow, Hangup, LaneLevels, LinkDown, LinkKind, LinkKinds, NotAsked, NotSent, Peer, PerKind,
    Purpose, QueryEvent, QueryFailure, QueryId, QueryReply, QueryTarget, RateLimit, Reading,
    SessionBounds, SessionConfig, SessionCounters, SessionEffect, SessionLevels, SessionView,
    StunAnswered,
};
use super::{
    carrier::{Carrier as _, CarrierEvent},
    carriers::Carriers,
    conversations::{Attachment, Conversations, Retention},
    link_table::LinkWake,
    links::Links,
    processes::Processes,
    shaper::Shaper,
    stage::{Greeting, Stage},
};
use crate::{
    datagram::contract::{EndpointCounters, Transmit},
    id::{LinkId, NodeId, Ticket},
    identity::Identity,
    limits::{
        DOWNLOAD_AHEAD, MAX_BULK_QUEUE_BYTES, MAX_DATAGRAM_HALF_OPEN, MAX_HALF_OPEN,
        MAX_PARTIAL_BYTES, MAX_PEER_QUEUE_BYTES, MAX_RECORD, UPLOAD_AHEAD,
    },
    metric::{Family, Level, Way},
    rng::Rng,
    time::{Duration, Instant, Now, earliest},
    wire::{
        body::Body,
        frame::{CloseReason, Frame, Lane},
    },
};

/// All links and sessions of one node; an example is at [`super`].
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
/// **Bounds**: strangers by [`MAX_HALF_OPEN`], sessions by [`SessionConfig::max_links`],
/// conversations without a link by
/// [`MAX_DORMANT_CONVERSATIONS`](crate::limits::MAX_DORMANT_CONVERSATIONS) and
/// [`MAX_DORMANT_BYTES`](crate::limits::MAX_DORMANT_BYTES), what waits for one peer by
/// [`MAX_PEER_QUEUE_BYTES`], unfinished messages by [`MAX_PARTIAL_BYTES`].
#[derive(Debug)]
pub struct Sessions {
    pub(super) config: SessionConfig,
    pub(super) me: NodeId,
    pub(super) links: Links,
    pub(super) conversations: Conversations,
    pub(super) processes: Processes,
    pub(super) counters: SessionCounters,
    pub(super) moves: PerKind<u64>,
    /// What holds back what may not be sent yet.
    pub(super) upload: Shaper,
    /// What holds back what may not be received yet.
    pub(super) download: Shaper,
    /// When all quiet links were asked last.
    pub(super) asked_around: Option<Instant>,
}

impl Sessions {
    /// No links. Draws the boot from `rng`: messages are numbered per pair of boots.
    pub fn new(config: SessionConfig, me: Arc<Identity>, mut rng: Rng) -> Self {
        let boot = rng.next_u64();
        let (id, upload, download) = (me.node_id(), config.upload, config.download);
        Self {
            me: id,
            links: Links::new(&config, Carriers::new(&config, me, boot, rng)),
            config,
            conversations: Conversations::default(),
            processes: Processes::default(),
            counters: SessionCounters::default(),
            moves: PerKind::default(),
            upload: Shaper::new(upload, UPLOAD_AHEAD),
            download: Shaper::new(download, DOWNLOAD_AHEAD),
            asked_around: None,
        }
    }

    /// Dials. Exactly one [`SessionEffect::DialEnded`] will follow.
    pub fn dial(&mut self, now: Now, dial: DialRequest, out: &mut VecDeque<SessionEffect>) {
        self.links.dials.begin(&mut self.links.table, now, dial, out);
        self.settle(now, out);
    }

    /// Somebody opened a byte stream to us, under this certificate of ours (its SHA-256) if
    /// something below it has one.
    pub fn handle_accepted(
        &mut self,
        now: Now,
        kind: LinkKind,
        link: LinkId,
        from: SocketAddr,
        certificate: Option<[u8; 32]>,
        out: &mut VecDeque<SessionEffect>,
    ) {
        self.links.handle_accepted(now, kind, link, from, certificate);
        self.settle(now, out);
    }

    /// Bytes of a link arrived, in order, cut anywhere.
    pub fn handle_bytes(
        &mut self,
        now: Now,
        link: LinkId,
        bytes: Bytes,
        out: &mut VecDeque<SessionEffect>,
    ) {
        self.links.table.handle_bytes(link, bytes.len());
        self.carriers_mut().streams.handle_bytes(now, link, bytes);
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
        self.carriers_mut().streams.handle_written(link, bytes);
        self.settle(now, out);
    }

    /// A byte stream of ours is open, under this certificate (its SHA-256) if something below it
    /// has one.
    pub fn handle_connected(
        &mut self,
        now: Now,
        link: LinkId,
        certificate: Option<[u8; 32]>,
        out: &mut VecDeque<SessionEffect>,
    ) {
        self.carriers_mut().streams.handle_connected(link, certificate);
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
        self.carriers_mut().streams.handle_link_down(link, reason);
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
            let endpoint = &mut self.carriers_mut().datagrams.endpoint;
            endpoint.handle_datagrams(now, from, segment_size, datagrams);
            self.settle(now, out);
        }
    }

    /// The operating system has no way for datagrams to an address.
    pub fn handle_no_way(&mut self, now: Now, to: SocketAddr, out: &mut VecDeque<SessionEffect>) {
        self.carriers_mut().datagrams.endpoint.handle_no_way(now, to);
        self.settle(now, out);
    }

    /// Fills `buf` (which is cleared first) with the next batch of datagrams to one address, at
    /// most `max_segments` of one size. Call it until `None` when an input is done with.
    pub fn poll_transmit(
        &mut self,
        now: Now,
        max_segments: usize,
        buf: &mut Vec<u8>,
    ) -> Option<Transmit> {
        self.carriers_mut().datagrams.endpoint.poll_transmit(now, max_segments, buf)
    }

    /// Deals with whatever happened below, and tells what is to be done with byte streams.
    pub(super) fn settle(&mut self, now: Now, out: &mut VecDeque<SessionEffect>) {
        while let Some((kind, event)) = self.links.table.poll_event(now) {
            self.handle_event(now, kind, event, out);
        }
        self.links.table.drain_effects(out);
        let endpoint = &mut self.carriers_mut().datagrams.endpoint;
        out.extend(core::iter::from_fn(|| endpoint.poll_query()).map(SessionEffect::Query));
        out.extend(core::iter::from_fn(|| endpoint.poll_stun()).map(SessionEffect::Stun));
    }

    /// Asks a node something without a session. One [`QueryEvent::Answered`] or
    /// [`QueryEvent::Failed`] of this name follows, unless it is given up by `cancel_query`.
    ///
    /// # Errors
    /// Nothing was asked, and why.
    pub fn query(
        &mut self,
        now: Now,
        to: QueryTarget,
        id: QueryId,
        body: Bytes,
    ) -> Result<(), NotAsked> {
        if !self.config.transports.has(LinkKind::Udp) {
            return Err(NotAsked::NoDatagrams);
        }
        self.carriers_mut().datagrams.endpoint.query(now, to, id, body)
    }

    /// The answer is not wanted any more: nothing follows.
    pub fn cancel_query(&mut self, id: QueryId) {
        self.carriers_mut().datagrams.endpoint.cancel_query(id);
    }

    /// Answers a query of another node ([`QueryEvent::Asked`]).
    ///
    /// # Errors
    /// The answer is longer than [`QueryReply::room`]. Nothing was answered.
    pub fn answer_query(
        &mut self,
        now: Now,
        reply: QueryReply,
        body: &[u8],
    ) -> Result<(), AnswerTooLong> {
        self.carriers_mut().datagrams.endpoint.answer_query(now, reply, body)
    }

    fn handle_event(
        &mut self,
        now: Now,
        kind: LinkKind,
        event: CarrierEvent,
        out: &mut VecDeque<SessionEffect>,
    ) {
        match event {
            CarrierEvent::Reached { link } => self.links.table.handle_reached(now, link),
            CarrierEvent::Authenticated { link, remote } => {
                let conversations = &self.conversations;
                self.links.handle_authenticated(now, (kind, link), &remote, conversations, out);
            }
            CarrierEvent::Message { link, lane, body } => {
                match self.links.table.take_record(link, lane, body) {
                    Ok(()) => self.handle_record(now, link, out),
                    Err(fault) => self.handle_failed(now, link, fault, out),
                }
            }
            CarrierEvent::Taken { link } => {
                if let Some(mut session) = self.established(link) {
                    session.note_progress(now.mono);
                    self.links.table.ask_for_flush(now, link);
                }
            }
            CarrierEvent::Moved { link, addr } => {
                if let Some(peer) = self.links.table.handle_moved(link, addr) {
                    out.push_back(SessionEffect::Moved { peer, addr });
                }
            }
            CarrierEvent::Failed { link, why } => self.handle_failed(now, link, why, out),
            CarrierEvent::Closed { link, why } => self.handle_closed(now, link, why, out),
        }
    }

    /// Looks at the record at hand until there is nothing left of it.
    fn handle_record(&mut self, now: Now, link: LinkId, out: &mut VecDeque<SessionEffect>) {
        while let Some(greeting) = self.links.next_greeting(now.mono, link) {
            match greeting {
                Ok(Greeting::Nothing) => {}
                Ok(Greeting::Parting { peer, body }) => {
                    out.push_back(SessionEffect::Referral { peer, body });
                }
                Ok(Greeting::Live) => self.handle_live(now, link, out),
                Ok(Greeting::Agreed) => self.establish(now, link, out),
                Err(fault) => self.handle_failed(now, link, fault, out),
            }
        }
        self.handle_frames(now, link, out);
    }

    /// Answers a [`SessionEffect::Incoming`]: yes. [`SessionEffect::Up`] follows, unless there are
    /// as many sessions as there may be. Nothing happens if the link is gone.
    pub fn accept(&mut self, now: Now, link: LinkId, out: &mut VecDeque<SessionEffect>) {
        if let Some(Stage::AwaitAdmission(_)) = self.links.table.stage(link) {
            self.establish(now, link, out);
            self.settle(now, out);
        }
    }

    /// Answers a [`SessionEffect::Incoming`]: no. `parting` is an encoded message that goes before
    /// the reason; it is left out if it does not fit into one record. Nothing happens if the link
    /// is gone.
    pub fn refuse(
        &mut self,
        now: Now,
        link: LinkId,
        reason: CloseReason,
        parting: Option<Bytes>,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let Some(Stage::AwaitAdmission(_)) = self.links.table.stage(link) else { return };
        if reason.is_for_want_of_room() {
            self.counters.links_refused += 1;
        }
        if let Some(body) = parting.filter(|body| body.len() <= MAX_RECORD / 2) {
            let frame = Frame::Message { lane: Lane::CONTROL, number: 0, body };
            self.links.table.say(now, link, &frame);
        }
        self.links.table.close(now, link, reason);
        self.settle(now, out);
    }

    /// Queues an encoded message at the end of its flow, in order there; with a ticket,
    /// [`SessionEffect::Delivered`] or [`SessionEffect::Undelivered`] follows.
    pub fn send(
        &mut self,
        now: Now,
        peer: NodeId,
        flow: impl Into<Flow>,
        body: Body,
        ticket: Option<Ticket>,
        _out: &mut VecDeque<SessionEffect>,
    ) -> Result<(), NotSent> {
        let (flow, bytes) = (flow.into(), body.len());
        match self.conversations.push(now.mono, &peer, flow, body, ticket) {
            Ok(link) => {
                self.counters.messages_sent += 1;
                self.counters.note_lane(Way::Out, flow.lane, bytes);
                if let Some(link) = link {
                    self.links.table.ask_for_flush(now, link);
                }
                Ok(())
            }
            Err(NotSent::NotConnected) => Err(NotSent::NotConnected),
            Err(not_sent) => {
                self.counters.messages_refused += 1;
                Err(not_sent)
            }
        }
    }

    /// Bytes that the bulk lane to `peer` takes now; none without a session.
    pub fn bulk_room(&self, peer: &NodeId) -> usize {
        self.conversations.bulk_room(peer)
    }

    /// If there are sessions, and more than half of what may wait for its peer waits in each: until
    /// when to wait for them. Who takes a [sixteenth of a window](crate::limits::QUEUE_STEP_BYTES)
    /// within [`REACH_PATIENCE`](crate::limits::REACH_PATIENCE) is waited for again; who holds all
    /// links and takes less is not.
    pub fn clogged_until(&self, now: Instant) -> Option<Instant> {
        self.conversations.clogged_until(now)
    }

    /// Puts what waits on its links, as far as their carriers have room.
    ///
    /// Call it when an input is done with, so that all it caused shares records.
    pub fn flush(&mut self, now: Now, out: &mut VecDeque<SessionEffect>) {
        self.settle(now, out);
        while let Some(links) = self.links.table.take_unflushed() {
            for link in links {
                self.fill(now, link);
            }
            self.settle(now, out);
        }
    }

    /// This machine changed its network: every session is asked for a sign of life, so that it
    /// moves to a path that works, or its link is found to be dead, without waiting for its next
    /// word.
    pub fn handle_network_changed(&mut self, now: Now) {
        let links: Vec<LinkId> = self.conversations.attached().map(|(link, _)| link).collect();
        for link in links {
            let Some(on) = self.links.table.established(link) else { continue };
            on.link.keep_alive.probe_anew(now.mono);
            self.links.table.look_at(link, now.mono);
            self.links.table.ask_for_flush(now, link);
        }
    }

    /// Ends the session with `peer`, telling it why, and every link to it that is about to become
    /// one. What the write window still takes goes before the reason; the rest is undelivered.
    pub fn close(
        &mut self,
        now: Now,
        peer: NodeId,
        reason: CloseReason,
        out: &mut VecDeque<SessionEffect>,
    ) {
        self.links.dials.cancel(&mut self.links.table, now, &peer, |_| true, out);
        for link in self.links.table.links_to(&peer) {
            self.close_link(now, link, reason.clone(), out);
        }
        self.end_session(now, peer, DownReason::ByUs(reason), Retention::Drop, out);
        self.settle(now, out);
    }

    /// By which link there is a session with `peer`.
    pub fn link_of(&self, peer: &NodeId) -> Option<LinkId> {
        match self.conversations.attachment(peer)? {
            Attachment::Attached(link) => Some(*link),
            Attachment::Handover(_) | Attachment::Detached(_) => None,
        }
    }

    /// Reads a link as it arrives, or leaves its other end no room to say more for now. A link that
    /// is gone needs no word.
    pub fn set_reading(
        &mut self,
        now: Now,
        link: LinkId,
        reading: Reading,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let Some(kind) = self.links.table.link(link).map(|link| link.kind) else { return };
        self.carriers_mut().of(kind).set_reading(now, link, reading);
        self.settle(now, out);
    }

    /// Ends every session, dial and half-open link, and forgets every conversation.
    pub fn close_all(&mut self, now: Now, reason: CloseReason, out: &mut VecDeque<SessionEffect>) {
        let links: Vec<LinkId> = self.links.table.stages().map(|(link, _)| link).collect();
        for link in links {
            self.close_link(now, link, reason.clone(), out);
        }
        let peers: Vec<NodeId> = self.conversations.peers().collect();
        for peer in peers {
            self.end_session(now, peer, DownReason::ByUs(reason.clone()), Retention::Drop, out);
            self.conversations.forget(peer, out);
        }
        self.settle(now, out);
    }

    /// Does what is due. Never harmful.
    pub fn handle_timeout(&mut self, now: Now, out: &mut VecDeque<SessionEffect>) {
        let endpoint = &mut self.carriers_mut().datagrams.endpoint;
        if endpoint.poll_timeout().is_some_and(|at| at <= now.mono) {
            endpoint.handle_timeout(now);
            self.settle(now, out);
        }
        while let Some(wake) = self.links.table.pop_due(now.mono) {
            match wake {
                LinkWake::Stage(link) => self.handle_overdue(now, link, out),
                LinkWake::Upgrade(link) => self.upgrade(now, link, out),
            }
        }
        self.links.dials.handle_timeout(&mut self.links.table, now, out);
        self.conversations.handle_timeout(now.mono, out);
        self.flush(now, out);
        self.take_turns(now, out);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        earliest([
            self.links.table.poll_timeout(),
            self.links.dials.poll_timeout(),
            self.conversations.poll_timeout(),
            self.links.table.carriers().datagrams.endpoint.poll_timeout(),
            self.upload.poll_timeout(),
            self.download.poll_timeout(),
        ])
    }

    /// Whether there is a session with `peer`.
    pub fn is_up(&self, peer: &NodeId) -> bool {
        self.conversations.is_up(peer)
    }

    /// How long the shortest round trip to `peer` of late took, as far as anything is known of it.
    pub fn least_rtt(&self, peer: &NodeId) -> Option<Duration> {
        let least = self.links.table.carriers().datagrams.least_rtt(self.link_of(peer)?);
        least.or_else(|| self.rtt(peer))
    }

    /// Live sessions in order of the peer's id.
    pub fn views(&self) -> impl Iterator<Item = SessionView> {
        self.conversations.attached().filter_map(|(link, queued_bytes)| {
            let link = self.links.table.link(link)?;
            let (peer, since, rtt) = (link.peer, link.since, link.keep_alive.rtt());
            Some(SessionView { peer, since, rtt, queued_bytes, transport: link.kind })
        })
    }

    /// How near the session with `peer` is to each of its bounds; none without a link.
    pub fn bounds_of(&self, peer: &NodeId) -> Option<SessionBounds> {
        let conversation = self.conversations.get(peer)?;
        let link = self.links.table.link(self.link_of(peer)?)?;
        let (queued_bytes, queued_messages) = conversation.shared_levels();
        let (partial_messages, partial_bytes) = link.partial_levels();
        let lanes = conversation.lane_levels().collect();
        Some(SessionBounds {
            lanes,
            queued_bytes,
            queued_messages,
            partial_messages,
            partial_bytes,
        })
    }

    /// What happened and what was dropped since the start.
    pub fn counters(&self) -> SessionCounters {
        let (table, datagrams) = (&self.links.table, self.datagram_counters());
        let (traffic, relayed) = (table.carriers().traffic(), table.relayed());
        let mut wire = Family::default();
        for (way, all, relayed) in [
            (Way::Out, traffic.bytes_sent, relayed.sent),
            (Way::In, traffic.bytes_received, relayed.received),
        ] {
            wire.add((way, LinkKind::Tcp), all.saturating_sub(relayed));
            wire.add((way, LinkKind::Relay), relayed);
        }
        wire.add((Way::Out, LinkKind::Udp), datagrams.bytes_sent);
        wire.add((Way::In, LinkKind::Udp), datagrams.bytes_received);
        SessionCounters {
            wire,
            handshake: table.handshakes(),
            bytes_sent: traffic.bytes_sent,
            bytes_received: traffic.bytes_received,
            records_sent: traffic.messages_sent,
            records_received: traffic.messages_received,
            upload_waits: self.upload.waited(),
            download_waits: self.download.waited(),
            ..self.counters + self.links.counters()
        }
    }

    /// What is there, beside the most that there can be.
    pub fn levels(&self) -> SessionLevels {
        let mut peers = Family::default();
        let mut fullest = 0;
        for view in self.views() {
            peers.add((view.peer.direction, view.transport), 1);
            fullest = fullest.max(view.queued_bytes);
        }
        let (dormant, dormant_bytes) = self.conversations.dormant();
        SessionLevels {
            peers,
            half_open: Level::new(self.half_open(), MAX_HALF_OPEN + MAX_DATAGRAM_HALF_OPEN),
            fullest_queue_bytes: Level::new(fullest, MAX_PEER_QUEUE_BYTES + MAX_BULK_QUEUE_BYTES),
            dormant,
            dormant_bytes,
            partial_bytes: Level::new(self.links.table.partial_bytes(), MAX_PARTIAL_BYTES),
        }
    }

    /// Sessions that went on over a link of each kind instead of one of another.
    pub const fn moves(&self) -> PerKind<u64> {
        self.moves
    }

    /// What happened on datagram connections, and what was dropped, since the start.
    pub fn datagram_counters(&self) -> EndpointCounters {
        self.links.table.carriers().datagrams.endpoint.counters()
    }

    /// Links whose handshake is not complete.
    pub fn half_open(&self) -> usize {
        let links = self.links.table.stages().filter(|(_, stage)| stage.is_half_open()).count();
        links + self.links.table.carriers().datagrams.endpoint.half_open()
    }

    /// Whether there is any link, of whatever kind and at whatever stage: also one that was hung up
    /// and has yet to send what was said.
    pub fn has_links(&self) -> bool {
        self.links.table.stages().next().is_some()
    }
}
