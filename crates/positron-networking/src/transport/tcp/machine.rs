//! The machine of a TCP transport: the table of sessions, their links, and the credit of their
//! applications.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::{Arc, MutexGuard},
};

use bytes::Bytes;
use positron_proto::{
    datagram::contract::{Closed, Delivery, LaneNumber},
    handshake::Expect,
    id::{NodeId, Ticket},
    limits::LANES,
    session::{
        Sessions,
        sessions::{
            DialFailure, DialOutcome, DialRequest, DownReason, LinkDown, NotSent, Purpose,
            SessionEffect,
        },
    },
    time::{Instant, Now},
    wire::frame::{CloseReason, Lane},
};
use tokio::{sync::watch, time::timeout};

use super::{
    super::{
        ConnectError, ConnectionStats, DEFAULT_LANE, TransportSendError,
        inbox::Waiting,
        key_cache::KeyCache,
        protocol::{Channel as _, Protocol, ProtocolDriver},
        shared::Shared,
        wait::until,
    },
    channel::{MAX_TCP_MESSAGE, Said, TcpChannel},
};
use crate::{driver::Links, limits::SOCKET_FLUSH_TIMEOUT};

/// What carries a [`TcpTransport`](super::TcpTransport): sessions over TCP streams.
#[derive(Debug)]
pub struct Tcp {
    pub(super) sessions: Sessions,
    /// Gone when the transport is closed.
    pub(super) links: Option<Links>,
    channels: BTreeMap<NodeId, Arc<TcpChannel>>,
    /// Where each of them can be reached: where it came from, and what was dialled.
    by_address: BTreeMap<SocketAddr, NodeId>,
    acquaintances: KeyCache,
    /// Dials that somebody waits for.
    dials: Vec<(DialRequest, watch::Sender<Outcome>)>,
    /// Connections that are to end when everything is acknowledged.
    ending: Vec<Arc<TcpChannel>>,
    /// Messages under way, by what names them in the sessions.
    tickets: BTreeMap<Ticket, Arc<TcpChannel>>,
    next_ticket: u64,
    /// Sessions that are to be told how much was taken.
    owed: BTreeSet<NodeId>,
    pub(super) out: VecDeque<SessionEffect>,
    /// Until when the driver sleeps; it does not if this is none.
    pub(super) asleep: Option<Instant>,
}

/// What came of a dial, once it is known.
type Outcome = Option<Result<Arc<TcpChannel>, ConnectError>>;

impl Protocol for Tcp {}

impl ProtocolDriver for Tcp {
    type Channel = TcpChannel;
    type Attempt = watch::Receiver<Outcome>;

    const MAX_MESSAGE: usize = MAX_TCP_MESSAGE;

    /// A dial has a socket of its own, of whichever family it needs.
    fn reaches(_from: SocketAddr, _to: &SocketAddr) -> bool {
        true
    }

    fn settle(&mut self, now: Now, shared: &Shared<Self>) {
        loop {
            while let Some(out) = self.out.pop_front() {
                self.carry_out(now, out, shared);
            }
            self.sessions.flush(now, &mut self.out);
            self.close_what_is_drained(now);
            if self.out.is_empty() {
                break;
            }
        }
        if let (Some(until), Some(at)) = (self.asleep, self.sessions.poll_timeout())
            && at < until
        {
            shared.kick.notify_one();
        }
    }

    /// The tasks of the links do.
    fn transmit(_: &Shared<Self>, _rounds: usize) -> bool {
        true
    }

    /// The tasks of the links do.
    fn transmit_packed(_: &Shared<Self>, _: MutexGuard<'_, Self>) {}

    /// Or waits with others for one.
    fn dial(
        &mut self,
        now: Now,
        to: SocketAddr,
        expect: Expect,
    ) -> Result<Self::Attempt, ConnectError> {
        let noise_static = self.acquaintances.key_of(expect);
        let dial = DialRequest { to, expect, noise_static, purpose: Purpose::Connect };
        if let Some((_, outcome)) = self.dials.iter().find(|(other, _)| *other == dial) {
            return Ok(outcome.subscribe());
        }
        let (outcome, attempt) = watch::channel(None);
        self.dials.push((dial, outcome));
        self.sessions.dial(now, dial, &mut self.out);
        Ok(attempt)
    }

    /// There is no session to queue anything for before the handshake says with whom.
    fn queue_of(_: Self::Attempt) -> Option<Arc<TcpChannel>> {
        None
    }

    async fn made(
        _: &Shared<Self>,
        mut attempt: Self::Attempt,
    ) -> Result<Arc<TcpChannel>, ConnectError> {
        let known = attempt.wait_for(Option::is_some).await;
        let outcome = known.ok().and_then(|outcome| outcome.clone());
        outcome.unwrap_or(Err(ConnectError::TransportClosed))
    }

    fn leading_to(&self, to: SocketAddr) -> Vec<Arc<TcpChannel>> {
        let node = self.by_address.get(&to);
        node.and_then(|node| self.channels.get(node)).cloned().into_iter().collect()
    }

    fn send(
        &mut self,
        now: Now,
        channel: &Arc<TcpChannel>,
        (lane, _): (LaneNumber, Delivery),
        data: Bytes,
    ) -> Result<(), TransportSendError> {
        if lane >= LANES {
            return Err(TransportSendError::NoSuchLane(lane));
        }
        let len = data.len();
        let too_large = TransportSendError::TooLarge { len, limit: MAX_TCP_MESSAGE };
        if len > MAX_TCP_MESSAGE {
            return Err(too_large);
        }
        if channel.closed().is_some() || channel.closing().is_some() {
            return Err(TransportSendError::Closed(channel.closed().cloned()));
        }
        if !channel.has_credit(len) {
            return Err(TransportSendError::Full);
        }
        let ticket = Ticket(self.next_ticket);
        let (peer, said) = (channel.peer.id, Said::Data(data).encode());
        match self.sessions.send(now, peer, Lane::Direct, said, Some(ticket), &mut self.out) {
            Ok(()) => {}
            Err(NotSent::QueueFull) => return Err(TransportSendError::Full),
            Err(NotSent::NotConnected) => return Err(TransportSendError::Closed(None)),
            Err(NotSent::TooLarge) => return Err(too_large),
        }
        self.next_ticket += 1;
        self.tickets.insert(ticket, channel.clone());
        channel.sent_bytes(len);
        Ok(())
    }

    fn release(&mut self, now: Now, channel: &TcpChannel, bytes: usize) {
        if channel.taken(bytes).is_some_and(|more| !self.tell_credit(now, channel, more)) {
            self.owed.insert(channel.peer.id);
        }
    }

    fn close(&mut self, _now: Now, channel: &Arc<TcpChannel>, reason: CloseReason) {
        if channel.closed().is_none() && channel.closing().is_none() {
            channel.begin_closing(reason);
            self.ending.push(channel.clone());
        }
    }

    fn reset(&mut self, now: Now, channel: &TcpChannel, reason: CloseReason) {
        if channel.closed().is_none() {
            self.sessions.close(now, channel.peer.id, reason, &mut self.out);
        }
    }

    fn channels(&self) -> impl Iterator<Item = &Arc<TcpChannel>> {
        self.channels.values()
    }

    fn half_open(&self) -> usize {
        self.sessions.half_open()
    }

    fn views(&self, now: Now) -> Vec<ConnectionStats> {
        let held = |id: &NodeId| self.channels.get(id).map_or(0, |channel| channel.held());
        let views = self.sessions.views();
        views.map(|view| ConnectionStats::of_session(&view, held(&view.peer.id), now)).collect()
    }

    fn view(&self, channel: &TcpChannel, now: Now) -> Option<ConnectionStats> {
        let view = self.sessions.views().find(|view| view.peer.id == channel.peer.id)?;
        Some(ConnectionStats::of_session(&view, channel.held(), now))
    }

    fn say_goodbye(&mut self, now: Now) {
        self.sessions.close_all(now, CloseReason::ShuttingDown, &mut self.out);
    }

    /// Whoever does not take the goodbye goes without.
    async fn last_words(shared: &Shared<Self>) {
        shared.act(Self::say_goodbye);
        let flushed = until(&shared.ended, || {
            shared.look().links.as_ref().is_none_or(Links::is_empty).then_some(())
        });
        let _ = timeout(SOCKET_FLUSH_TIMEOUT, flushed).await;
    }

    fn let_go(&mut self) -> Vec<Arc<TcpChannel>> {
        self.links = None;
        self.dials.clear();
        std::mem::take(&mut self.channels).into_values().collect()
    }
}

impl Tcp {
    pub(super) fn new(sessions: Sessions, links: Links) -> Self {
        Self {
            sessions,
            links: Some(links),
            channels: BTreeMap::new(),
            by_address: BTreeMap::new(),
            acquaintances: KeyCache::default(),
            dials: Vec::new(),
            ending: Vec::new(),
            tickets: BTreeMap::new(),
            next_ticket: 0,
            owed: BTreeSet::new(),
            out: VecDeque::new(),
            asleep: None,
        }
    }

    /// Whether it could be told; otherwise it is told later.
    fn tell_credit(&mut self, now: Now, channel: &TcpChannel, more: usize) -> bool {
        if channel.closed().is_some() {
            return true;
        }
        let (peer, said) = (channel.peer.id, Said::Credit(more).encode());
        // In a lane of its own: it must not wait behind what the other end lets us not send.
        let sent = self.sessions.send(now, peer, Lane::Control, said, None, &mut self.out);
        if sent == Err(NotSent::QueueFull) {
            channel.not_told(more);
        }
        sent != Err(NotSent::QueueFull)
    }

    fn carry_out(&mut self, now: Now, out: SessionEffect, shared: &Shared<Self>) {
        match out {
            SessionEffect::Dial { link, to } => {
                self.links.iter_mut().for_each(|links| links.dial(link, to));
            }
            SessionEffect::Write { link, bytes } => {
                self.links.iter().for_each(|links| links.write(link, bytes.clone()));
            }
            SessionEffect::Hangup { link, how } => {
                self.links.iter_mut().for_each(|links| links.hangup(link, how));
            }
            SessionEffect::Incoming(peer) => self.sessions.accept(now, peer.link, &mut self.out),
            SessionEffect::Up(peer) => {
                self.acquaintances.meet(peer.id, peer.noise_static);
                let channel = Arc::new(TcpChannel::new(peer));
                self.by_address.insert(peer.addr, peer.id);
                self.channels.insert(peer.id, channel.clone());
                shared.came(self, now, &channel);
            }
            SessionEffect::Down { peer, reason } => self.down(peer, reason, shared),
            SessionEffect::DialEnded { dial, outcome } => self.dial_ended(dial, outcome),
            SessionEffect::Message { peer, body } => self.hear(now, peer, body, shared),
            SessionEffect::Delivered { ticket } => {
                let Some(channel) = self.tickets.remove(&ticket) else { return };
                channel.acknowledged();
                if self.owed.remove(&channel.peer.id)
                    && let Some(more) = channel.take_untold()
                    && !self.tell_credit(now, &channel, more)
                {
                    self.owed.insert(channel.peer.id);
                }
            }
            SessionEffect::Undelivered { ticket } => drop(self.tickets.remove(&ticket)),
            SessionEffect::Referral { .. } => {}
            SessionEffect::Misbehaved { peer, what } => {
                tracing::debug!(peer = %peer.short(), ?what, "a peer broke the protocol");
            }
        }
    }

    fn hear(&mut self, now: Now, peer: NodeId, body: Bytes, shared: &Shared<Self>) {
        let Some(channel) = self.channels.get(&peer).cloned() else { return };
        let wrong = match Said::decode(body) {
            Some(Said::Data(data)) if channel.arrived(data.len()) => {
                let (from, addr) = (peer, channel.address());
                let (lane, delivery) = (DEFAULT_LANE, Delivery::Ordered);
                shared.inbox.push(Waiting { channel, from, addr, lane, delivery, data });
                return;
            }
            Some(Said::Credit(more)) => return channel.credited(more),
            Some(Said::Data(_)) => "more than its credit",
            None => "no message of a transport",
        };
        self.sessions.close(now, peer, CloseReason::Violation(wrong.into()), &mut self.out);
    }

    fn down(&mut self, peer: NodeId, reason: DownReason, shared: &Shared<Self>) {
        let Some(channel) = self.channels.remove(&peer) else { return };
        self.by_address.retain(|_, node| *node != peer);
        self.owed.remove(&peer);
        let why = match reason {
            DownReason::ByPeer(reason) => Closed::ByPeer(reason),
            DownReason::ByUs(CloseReason::Timeout | CloseReason::SlowReader) => Closed::Silent,
            DownReason::ByUs(reason) => Closed::ByUs(reason),
            DownReason::Link(_) => Closed::Silent,
        };
        shared.left(&channel, why);
    }

    fn dial_ended(&mut self, dial: DialRequest, outcome: DialOutcome) {
        let Some(at) = self.dials.iter().position(|(other, _)| *other == dial) else { return };
        let (_, waiting) = self.dials.swap_remove(at);
        waiting.send_replace(Some(match outcome {
            DialOutcome::Connected(node) | DialOutcome::Probed(node) => {
                match self.channels.get(&node) {
                    Some(channel) => {
                        self.by_address.insert(dial.to, node);
                        Ok(channel.clone())
                    }
                    None => Err(ConnectError::Failed(Closed::Silent)),
                }
            }
            DialOutcome::Failed(why) => Err(failure(why)),
        }));
    }

    fn close_what_is_drained(&mut self, now: Now) {
        let is_over =
            |channel: &mut Arc<TcpChannel>| channel.closed().is_some() || channel.is_drained();
        let over: Vec<Arc<TcpChannel>> = self.ending.extract_if(.., is_over).collect();
        for channel in over.into_iter().filter(|channel| channel.closed().is_none()) {
            let reason = channel.closing().cloned().unwrap_or(CloseReason::ShuttingDown);
            self.sessions.close(now, channel.peer.id, reason, &mut self.out);
        }
    }
}

fn failure(why: DialFailure) -> ConnectError {
    match why {
        DialFailure::Link(LinkDown::TimedOut) | DialFailure::Timeout => Closed::NoAnswer.into(),
        DialFailure::Link(link) => ConnectError::Unreachable(link),
        DialFailure::NotPositron(_) => Closed::Handshake("that is no transport").into(),
        DialFailure::Handshake(why) => Closed::Handshake(why).into(),
        DialFailure::WrongNode { found } => Closed::WrongNode { found }.into(),
        DialFailure::Ourselves => Closed::Ourselves.into(),
        DialFailure::Closed(reason) => Closed::ByPeer(reason).into(),
    }
}
