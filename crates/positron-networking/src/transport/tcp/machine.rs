//! The machine of a TCP transport: the table of sessions, their links, and the credit of their
//! applications.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::Arc,
};

use bytes::Bytes;
use positron_proto::{
    datagram::contract::{Closed, Delivery, LaneNumber},
    handshake::{Expect, HandshakeFailure},
    id::{NodeId, Ticket},
    limits::LANES,
    session::{
        Sessions,
        sessions::{
            DialFailure, DialOutcome, DialRequest, DownReason, Effort, LinkDown, NotSent, Peer,
            Purpose, SessionCounters, SessionEffect, SessionView,
        },
    },
    time::{Instant, Now},
    wire::frame::{CloseReason, Lane},
};
use tokio::sync::watch;

use super::{
    super::{
        ConnectError, ConnectionStats, DEFAULT_LANE, TransportSendError,
        attempt::{Attempt, Outcome},
        channel::Channel as _,
        key_cache::KeyCache,
        machine::{DialFor, ProtocolEvent, ProtocolMachine},
        mailbox::QueuedMessage,
        send_turn::Transmit,
        stats::ProtocolStats,
    },
    channel::{MAX_TCP_MESSAGE, SessionMessage, TcpChannel},
};
use crate::driver::Links;

/// The protocol of a [`TcpTransport`](super::TcpTransport): sessions over TCP streams.
#[derive(Debug)]
pub struct Tcp {
    pub(super) sessions: Sessions,
    /// Gone when the transport is closed.
    pub(super) links: Option<Links>,
    channels: BTreeMap<NodeId, Arc<TcpChannel>>,
    /// Where each of them can be reached: where it came from, and what was dialled.
    by_address: BTreeMap<SocketAddr, NodeId>,
    key_cache: KeyCache,
    dials: Vec<Dial>,
    /// Connections that are to end when everything is acknowledged.
    ending: Vec<Arc<TcpChannel>>,
    /// Messages under way, by what names them in the sessions.
    tickets: BTreeMap<Ticket, Arc<TcpChannel>>,
    next_ticket: u64,
    /// Sessions that are to be told how much was taken.
    owed: BTreeSet<NodeId>,
    pub(super) out: VecDeque<SessionEffect>,
}

/// A dial that is under way.
#[derive(Debug)]
struct Dial {
    dial: DialRequest,
    whose: DialFor,
    /// Who waits for it looks here.
    outcome: watch::Sender<Outcome<TcpChannel>>,
}

impl ProtocolMachine for Tcp {
    type Channel = TcpChannel;
    type Counters = SessionCounters;

    /// The tasks of the links do.
    const TRANSMITS: bool = false;

    /// A dial has a socket of its own, of whichever family it needs.
    fn reaches(_from: SocketAddr, _to: &SocketAddr) -> bool {
        true
    }

    /// There is no session to queue anything for before the handshake says with whom.
    fn dial(
        &mut self,
        now: Now,
        to: SocketAddr,
        expect: Expect,
        whose: DialFor,
    ) -> Result<Attempt<TcpChannel>, ConnectError> {
        let noise_static = self.key_cache.key_of(expect);
        let dial = DialRequest {
            to,
            expect,
            noise_static,
            purpose: Purpose::Connect,
            effort: Effort::Full,
        };
        if let Some(known) = self.dials.iter_mut().find(|known| known.dial == dial) {
            if whose == DialFor::Transport {
                known.whose = whose;
            }
            return Ok(Attempt::Handshake(known.outcome.subscribe()));
        }
        let (outcome, attempt) = watch::channel(None);
        self.dials.push(Dial { dial, whose, outcome });
        self.sessions.dial(now, dial, &mut self.out);
        Ok(Attempt::Handshake(attempt))
    }

    fn give_up(&mut self, now: Now, attempt: Attempt<TcpChannel>) {
        if let Attempt::Handshake(outcome) = attempt
            && let Some(Ok(channel)) = &*outcome.borrow()
        {
            self.close_if_unwanted(now, channel);
        }
    }

    fn connections_to(&self, to: SocketAddr) -> Vec<Arc<TcpChannel>> {
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
        let (peer, message) = (channel.peer.id, SessionMessage::Data(data).encode());
        match self.sessions.send(
            now,
            peer,
            Lane::DIRECT,
            message.into(),
            Some(ticket),
            &mut self.out,
        ) {
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

    fn connections(&self) -> impl Iterator<Item = &Arc<TcpChannel>> {
        self.channels.values()
    }

    fn reset_all(&mut self, now: Now) {
        self.sessions.close_all(now, CloseReason::ShuttingDown, &mut self.out);
    }

    /// A link that has said its goodbye ends.
    fn is_flushed(&self) -> bool {
        self.links.as_ref().is_none_or(Links::is_empty)
    }

    fn shut_down(&mut self) -> Vec<Arc<TcpChannel>> {
        self.links = None;
        self.dials.clear();
        std::mem::take(&mut self.channels).into_values().collect()
    }

    fn poll_event(&mut self, now: Now) -> Option<ProtocolEvent<TcpChannel>> {
        loop {
            while let Some(effect) = self.out.pop_front() {
                let told = self.handle_effect(now, effect);
                if told.is_some() {
                    return told;
                }
            }
            self.sessions.flush(now, &mut self.out);
            self.close_what_is_drained(now);
            if self.out.is_empty() {
                return None;
            }
        }
    }

    fn poll_transmit(&mut self, _now: Now, _buffer: &mut Vec<u8>) -> Option<Transmit> {
        None
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.sessions.poll_timeout()
    }

    fn stats(&self, now: Now) -> ProtocolStats<SessionCounters> {
        let held = |id: &NodeId| self.channels.get(id).map_or(0, |channel| channel.held());
        let of = |view: SessionView| ConnectionStats::of_session(&view, held(&view.peer.id), now);
        ProtocolStats {
            half_open: self.sessions.half_open(),
            unsent: 0,
            counters: self.sessions.counters(),
            connections: self.sessions.views().map(of).collect(),
        }
    }

    fn connection_stats(&self, channel: &TcpChannel, now: Now) -> Option<ConnectionStats> {
        let view = self.sessions.views().find(|view| view.peer.id == channel.peer.id)?;
        Some(ConnectionStats::of_session(&view, channel.held(), now))
    }
}

impl Tcp {
    pub(super) fn new(sessions: Sessions, links: Links) -> Self {
        Self {
            sessions,
            links: Some(links),
            channels: BTreeMap::new(),
            by_address: BTreeMap::new(),
            key_cache: KeyCache::default(),
            dials: Vec::new(),
            ending: Vec::new(),
            tickets: BTreeMap::new(),
            next_ticket: 0,
            owed: BTreeSet::new(),
            out: VecDeque::new(),
        }
    }

    /// Whether it could be told; otherwise it is told later.
    fn tell_credit(&mut self, now: Now, channel: &TcpChannel, more: usize) -> bool {
        if channel.closed().is_some() {
            return true;
        }
        let (peer, message) = (channel.peer.id, SessionMessage::Credit(more).encode());
        // In a lane of its own: it must not wait behind what the other end lets us not send.
        let sent =
            self.sessions.send(now, peer, Lane::CONTROL, message.into(), None, &mut self.out);
        if sent == Err(NotSent::QueueFull) {
            channel.not_told(more);
        }
        sent != Err(NotSent::QueueFull)
    }

    /// What others have to hear of it.
    fn handle_effect(
        &mut self,
        now: Now,
        effect: SessionEffect,
    ) -> Option<ProtocolEvent<TcpChannel>> {
        match effect {
            SessionEffect::Dial { link, kind, to } => {
                self.links.iter_mut().for_each(|links| links.dial(link, kind, to));
            }
            SessionEffect::Write { link, bytes } => {
                self.links.iter().for_each(|links| links.write(link, bytes.clone()));
            }
            SessionEffect::Read { link, reading } => {
                self.links.iter_mut().for_each(|links| links.set_reading(link, reading));
            }
            SessionEffect::Hangup { link, how } => {
                self.links.iter_mut().for_each(|links| links.hangup(link, how));
            }
            SessionEffect::Incoming(peer) => self.sessions.accept(now, peer.link, &mut self.out),
            SessionEffect::Up(peer) => return Some(self.handle_up(peer)),
            SessionEffect::Down { peer, reason, .. } => return self.handle_down(peer, reason),
            SessionEffect::DialEnded { dial, outcome } => self.dial_ended(now, dial, outcome),
            SessionEffect::Message { peer, body } => return self.handle_message(now, peer, body),
            SessionEffect::Delivered { ticket } => {
                let channel = self.tickets.remove(&ticket)?;
                channel.acknowledged();
                if self.owed.remove(&channel.peer.id)
                    && let Some(more) = channel.take_untold()
                    && !self.tell_credit(now, &channel, more)
                {
                    self.owed.insert(channel.peer.id);
                }
            }
            SessionEffect::Undelivered { ticket } => drop(self.tickets.remove(&ticket)),
            SessionEffect::Referral { .. }
            | SessionEffect::Moved { .. }
            | SessionEffect::DialledUs { .. }
            | SessionEffect::Query(_)
            | SessionEffect::Suspect(_)
            | SessionEffect::Pong { .. }
            | SessionEffect::Stun(_)
            | SessionEffect::Idle { .. } => {}
            SessionEffect::UsedTwice { peer, addrs: [one, other] } => {
                tracing::debug!(peer = %peer.short(), %one, %other, "a key is used in two places");
            }
            SessionEffect::Misbehaved { peer, what } => {
                tracing::debug!(peer = %peer.short(), ?what, "a peer broke the protocol");
            }
        }
        None
    }

    fn handle_up(&mut self, peer: Peer) -> ProtocolEvent<TcpChannel> {
        self.key_cache.insert(peer.id, peer.noise_static);
        let channel = Arc::new(TcpChannel::new(peer));
        self.by_address.insert(peer.addr, peer.id);
        self.channels.insert(peer.id, channel.clone());
        ProtocolEvent::Established(channel)
    }

    fn handle_message(
        &mut self,
        now: Now,
        peer: NodeId,
        body: Bytes,
    ) -> Option<ProtocolEvent<TcpChannel>> {
        let channel = self.channels.get(&peer)?.clone();
        let wrong = match SessionMessage::decode(body) {
            Some(SessionMessage::Data(data)) if channel.handle_data(data.len()) => {
                let (from, addr) = (peer, channel.address());
                let (lane, delivery) = (DEFAULT_LANE, Delivery::Ordered);
                let message = QueuedMessage { from, addr, lane, delivery, data };
                return Some(ProtocolEvent::Message(channel, message));
            }
            Some(SessionMessage::Credit(more)) => {
                channel.handle_credit(more);
                return None;
            }
            Some(SessionMessage::Data(_)) => "more than its credit",
            None => "no message of a transport",
        };
        self.sessions.close(now, peer, CloseReason::Violation(wrong.into()), &mut self.out);
        None
    }

    fn handle_down(
        &mut self,
        peer: NodeId,
        reason: DownReason,
    ) -> Option<ProtocolEvent<TcpChannel>> {
        let channel = self.channels.remove(&peer)?;
        self.by_address.retain(|_, node| *node != peer);
        self.owed.remove(&peer);
        let why = match reason {
            DownReason::ByPeer(reason) => Closed::ByPeer(reason),
            DownReason::ByUs(
                CloseReason::Timeout | CloseReason::SlowReader | CloseReason::OtherProcess(_),
            ) => Closed::Silent,
            DownReason::ByUs(reason) => Closed::ByUs(reason),
            DownReason::Link(_) => Closed::Silent,
        };
        Some(ProtocolEvent::Closed(channel, why))
    }

    fn dial_ended(&mut self, now: Now, dial: DialRequest, outcome: DialOutcome) {
        let Some(at) = self.dials.iter().position(|known| known.dial == dial) else { return };
        let Dial { whose, outcome: waiting, .. } = self.dials.swap_remove(at);
        let outcome = match outcome {
            DialOutcome::Connected(node, _) | DialOutcome::Probed(node, _) => {
                let channel = self.channels.get(&node).cloned();
                channel.ok_or(ConnectError::Failed(Closed::Silent))
            }
            DialOutcome::Failed(why) => Err(failure(why)),
        };
        if let Ok(channel) = &outcome {
            self.by_address.insert(dial.to, channel.peer.id);
            match whose {
                DialFor::Transport => channel.ownership.keep(),
                DialFor::Caller if waiting.receiver_count() == 0 => {
                    self.close_if_unwanted(now, channel);
                }
                DialFor::Caller => {}
            }
        }
        waiting.send_replace(Some(outcome));
    }

    /// Closes a connection that this end made, if nobody has it.
    fn close_if_unwanted(&mut self, now: Now, channel: &Arc<TcpChannel>) {
        if channel.accept_order().is_none() && !channel.ownership.is_wanted() {
            self.close(now, channel, CloseReason::ShuttingDown);
        }
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
        DialFailure::Handshake(why) => match why {
            HandshakeFailure::NotPositron(_) => Closed::Handshake("that is no transport"),
            HandshakeFailure::Broken(why) => Closed::Handshake(why),
            HandshakeFailure::WrongNode { found } => Closed::WrongNode { found },
            HandshakeFailure::Ourselves => Closed::Ourselves,
            HandshakeFailure::Refused(reason) => Closed::ByPeer(reason),
        }
        .into(),
    }
}
