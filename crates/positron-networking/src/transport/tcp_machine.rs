//! What the handles and the driver of a TCP transport share: the table of sessions and their links,
//! behind a lock that nobody holds for longer than one input takes.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use bytes::Bytes;
use positron_proto::{
    id::{NodeId, Ticket},
    node::Input,
    session::{
        Sessions,
        datagram::contract::{Closed, Delivery},
        sessions::{
            Dial, DialFailure, DialOutcome, DownReason, Expect, LinkDown, NotSent, Out, Purpose,
        },
    },
    time::{Instant, Now},
    wire::frame::{CloseReason, Lane},
};
use tokio::{net::TcpStream, sync::Notify};

use super::{
    ConnectError, DEFAULT_LANE, SendError,
    inbox::{Inbox, Waiting},
    tcp_channel::{MAX_TCP_MESSAGE, Said, TcpChannel},
};
use crate::driver::{Arrival, Clock, Links};

/// Everything but the driver's own buffers.
#[derive(Debug)]
pub(super) struct TcpShared {
    pub(super) me: NodeId,
    pub(super) address: SocketAddr,
    pub(super) clock: Clock,
    pub(super) inbox: Inbox<Arc<TcpChannel>>,
    /// The driver has something to do.
    pub(super) kick: Notify,
    /// There is a connection to accept, or none will come any more.
    pub(super) accepting: Notify,
    /// A connection is over, or the transport is.
    pub(super) ended: Notify,
    machine: Mutex<TcpMachine>,
}

/// What is behind the lock.
#[derive(Debug)]
pub(super) struct TcpMachine {
    pub(super) sessions: Sessions,
    /// Gone when the transport is closed.
    pub(super) links: Option<Links>,
    pub(super) channels: BTreeMap<NodeId, Arc<TcpChannel>>,
    /// Where each of them can be reached: where it came from, and what was dialled.
    by_address: BTreeMap<SocketAddr, NodeId>,
    /// Connections that nobody has accepted yet, the oldest first.
    pub(super) accepted: VecDeque<Arc<TcpChannel>>,
    dials: Vec<(Dial, Arc<Attempt>)>,
    /// Connections that are to end when everything is acknowledged.
    ending: Vec<Arc<TcpChannel>>,
    /// Messages under way, by what names them in the sessions.
    tickets: BTreeMap<Ticket, Arc<TcpChannel>>,
    next_ticket: u64,
    /// Sessions that are to be told how much was taken.
    owed: BTreeSet<NodeId>,
    out: VecDeque<Out>,
    /// Until when the driver sleeps; it does not if this is none.
    asleep: Option<Instant>,
    /// Whether the transport is being closed.
    pub(super) closing: bool,
}

/// A dial that somebody waits for.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    pub(super) outcome: OnceLock<Result<Arc<TcpChannel>, ConnectError>>,
    pub(super) changed: Notify,
}

impl TcpShared {
    pub(super) fn new(
        sessions: Sessions,
        links: Links,
        clock: Clock,
        me: NodeId,
        address: SocketAddr,
    ) -> Self {
        let machine = TcpMachine {
            sessions,
            links: Some(links),
            channels: BTreeMap::new(),
            by_address: BTreeMap::new(),
            accepted: VecDeque::new(),
            dials: Vec::new(),
            ending: Vec::new(),
            tickets: BTreeMap::new(),
            next_ticket: 0,
            owed: BTreeSet::new(),
            out: VecDeque::new(),
            asleep: None,
            closing: false,
        };
        Self {
            me,
            address,
            clock,
            inbox: Inbox::default(),
            kick: Notify::new(),
            accepting: Notify::new(),
            ended: Notify::new(),
            machine: Mutex::new(machine),
        }
    }

    /// Looks at the machine without changing it.
    pub(super) fn look(&self) -> MutexGuard<'_, TcpMachine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the machine, and what follows from it, at once.
    pub(super) fn act<T>(&self, act: impl FnOnce(&mut TcpMachine, Now) -> T) -> T {
        let mut machine = self.look();
        let now = self.clock.now();
        let outcome = act(&mut machine, now);
        machine.settle(now, self);
        if let (Some(until), Some(at)) = (machine.asleep, machine.sessions.poll_timeout())
            && at < until
        {
            self.kick.notify_one();
        }
        drop(machine);
        self.inbox.wake();
        outcome
    }

    /// Until when the driver may sleep.
    pub(super) fn rest(&self) -> Instant {
        let mut machine = self.look();
        let until = machine.sessions.poll_timeout().unwrap_or(Instant::FAR_FUTURE);
        machine.asleep = Some(until);
        until
    }

    /// The driver does not sleep any more, and does what is due.
    pub(super) fn woke(&self) {
        self.act(|machine, now| {
            machine.asleep = None;
            if machine.sessions.poll_timeout().is_some_and(|at| at <= now.mono) {
                machine.sessions.handle_timeout(now, &mut machine.out);
            }
        });
    }

    pub(super) fn arrive(&self, arrival: Arrival) {
        self.act(|machine, now| machine.arrive(now, arrival, self));
    }

    pub(super) fn accept(&self, stream: TcpStream, from: SocketAddr) {
        self.act(|machine, now| {
            let Some(links) = machine.links.as_mut().filter(|_| !machine.closing) else { return };
            let link = links.accept(stream);
            machine.sessions.accepted(now, link, from, &mut machine.out);
        });
    }

    /// Whether another connection may come in.
    pub(super) fn has_room(&self) -> bool {
        self.look().links.as_ref().is_some_and(Links::has_room)
    }

    /// Begins to close: nothing new, and every connection closes when what waits was acknowledged.
    pub(super) fn begin_closing(&self) {
        self.act(|machine, _| {
            machine.closing = true;
            let open: Vec<Arc<TcpChannel>> = machine.channels.values().cloned().collect();
            for channel in open {
                machine.close(channel, CloseReason::ShuttingDown);
            }
        });
        self.accepting.notify_waiters();
    }

    /// Says goodbye to everybody who is still there.
    pub(super) fn say_goodbye(&self) {
        self.act(|machine, now| {
            machine.closing = true;
            machine.sessions.close_all(now, CloseReason::ShuttingDown, &mut machine.out);
        });
    }

    /// Ends everything at once.
    pub(super) fn abandon(&self) {
        self.say_goodbye();
        let mut machine = self.look();
        let links = machine.links.take();
        let channels = std::mem::take(&mut machine.channels);
        let dials = std::mem::take(&mut machine.dials);
        machine.accepted.clear();
        drop(machine);
        drop(links);
        for channel in channels.values() {
            channel.close(Closed::ByUs(CloseReason::ShuttingDown));
        }
        for (_, attempt) in dials {
            attempt.end(Err(ConnectError::TransportClosed));
        }
        self.inbox.close();
        self.accepting.notify_waiters();
        self.ended.notify_waiters();
        self.kick.notify_one();
    }
}

impl Attempt {
    fn end(&self, outcome: Result<Arc<TcpChannel>, ConnectError>) {
        let _ = self.outcome.set(outcome);
        self.changed.notify_waiters();
    }
}

impl TcpMachine {
    /// Begins a connection, or waits with others for one.
    pub(super) fn dial(
        &mut self,
        now: Now,
        to: SocketAddr,
        expect: Expect,
    ) -> Result<Arc<Attempt>, ConnectError> {
        if self.closing {
            return Err(ConnectError::TransportClosed);
        }
        let dial = Dial { to, expect, noise_static: None, purpose: Purpose::Connect };
        let same = |(other, _): &&(Dial, Arc<Attempt>)| *other == dial;
        if let Some((_, attempt)) = self.dials.iter().find(same) {
            return Ok(attempt.clone());
        }
        let attempt = Arc::new(Attempt::default());
        self.dials.push((dial, attempt.clone()));
        self.sessions.dial(now, dial, &mut self.out);
        Ok(attempt)
    }

    /// The connection that leads to this address.
    pub(super) fn leading_to(&self, to: SocketAddr) -> Option<Arc<TcpChannel>> {
        let channel = self.channels.get(self.by_address.get(&to)?)?;
        channel.closing().is_none().then(|| channel.clone())
    }

    /// Closes a connection when everything is acknowledged.
    pub(super) fn close(&mut self, channel: Arc<TcpChannel>, reason: CloseReason) {
        if channel.closed().is_none() && channel.closing().is_none() {
            channel.begin_closing(reason);
            self.ending.push(channel);
        }
    }

    /// Closes a connection at once.
    pub(super) fn reset(&mut self, now: Now, channel: &TcpChannel, reason: CloseReason) {
        if channel.closed().is_none() {
            self.sessions.close(now, channel.peer.id, reason, &mut self.out);
        }
    }

    /// Queues a message of the application.
    pub(super) fn send(
        &mut self,
        now: Now,
        channel: &Arc<TcpChannel>,
        data: &Bytes,
    ) -> Result<(), SendError> {
        let len = data.len();
        if len > MAX_TCP_MESSAGE {
            return Err(SendError::TooLarge { len, limit: MAX_TCP_MESSAGE });
        }
        if channel.closed().is_some() || channel.closing().is_some() {
            return Err(SendError::Closed(channel.closed().cloned()));
        }
        if !channel.has_credit(len) {
            return Err(SendError::Full);
        }
        let ticket = Ticket(self.next_ticket);
        let (peer, said) = (channel.peer.id, Said::Data(data.clone()).encode());
        match self.sessions.send(now, peer, Lane::Direct, said, Some(ticket), &mut self.out) {
            Ok(()) => {}
            Err(NotSent::QueueFull) => return Err(SendError::Full),
            Err(NotSent::NotConnected) => return Err(SendError::Closed(None)),
            Err(NotSent::TooLarge) => {
                return Err(SendError::TooLarge { len, limit: MAX_TCP_MESSAGE });
            }
        }
        self.next_ticket += 1;
        self.tickets.insert(ticket, channel.clone());
        channel.sent(len);
        Ok(())
    }

    /// The application took a message.
    pub(super) fn release(&mut self, now: Now, channel: &TcpChannel, len: usize) {
        if channel.taken(len).is_some_and(|more| !self.tell_credit(now, channel, more)) {
            self.owed.insert(channel.peer.id);
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

    fn arrive(&mut self, now: Now, arrival: Arrival, shared: &TcpShared) {
        let Some(links) = &mut self.links else { return };
        let out = &mut self.out;
        match arrival {
            Arrival::Input(Input::Connected { link }) => self.sessions.connected(now, link, out),
            Arrival::Input(Input::Bytes { link, bytes }) => {
                self.sessions.bytes(now, link, bytes, out);
                links.chunk_handled(link, 0);
            }
            Arrival::Input(Input::LinkDown { link, reason }) => {
                links.ended(link);
                self.sessions.link_down(now, link, reason, out);
                shared.ended.notify_waiters();
            }
            Arrival::Written(link) => {
                let bytes = links.take_written(link);
                self.sessions.written(now, link, bytes, out);
            }
            // Links bring nothing else.
            Arrival::Input(_) | Arrival::Verdict(..) => {}
        }
    }

    /// Carries out what the sessions want, until they want nothing more.
    fn settle(&mut self, now: Now, shared: &TcpShared) {
        loop {
            while let Some(out) = self.out.pop_front() {
                self.carry_out(now, out, shared);
            }
            self.sessions.flush(now, &mut self.out);
            self.close_what_is_drained(now);
            if self.out.is_empty() {
                return;
            }
        }
    }

    fn carry_out(&mut self, now: Now, out: Out, shared: &TcpShared) {
        match out {
            Out::Dial { link, to } => {
                self.links.iter_mut().for_each(|links| links.dial(link, to));
            }
            Out::Write { link, bytes } => {
                self.links.iter().for_each(|links| links.write(link, bytes.clone()));
            }
            Out::Hangup { link, how } => {
                self.links.iter_mut().for_each(|links| links.hangup(link, how));
            }
            Out::Knock(peer) => self.sessions.admit(now, peer.link, &mut self.out),
            Out::Up(peer) => {
                let channel = Arc::new(TcpChannel::new(peer));
                self.by_address.insert(peer.addr, peer.id);
                self.channels.insert(peer.id, channel.clone());
                if self.closing {
                    self.close(channel, CloseReason::ShuttingDown);
                } else if peer.link.is_accepted() {
                    self.accepted.push_back(channel);
                    shared.accepting.notify_waiters();
                }
            }
            Out::Down { peer, reason } => self.down(peer, reason, shared),
            Out::DialEnded { dial, outcome } => self.dial_ended(dial, outcome),
            Out::Message { peer, body } => self.hear(now, peer, body, shared),
            Out::Delivered { ticket } => {
                let Some(channel) = self.tickets.remove(&ticket) else { return };
                channel.acknowledged();
                if self.owed.remove(&channel.peer.id)
                    && let Some(more) = channel.take_untold()
                    && !self.tell_credit(now, &channel, more)
                {
                    self.owed.insert(channel.peer.id);
                }
            }
            Out::Undelivered { ticket } => drop(self.tickets.remove(&ticket)),
            Out::Parting { .. } => {}
            Out::Misbehaved { peer, what } => {
                tracing::debug!(peer = %peer.short(), ?what, "a peer broke the protocol");
            }
        }
    }

    fn hear(&mut self, now: Now, peer: NodeId, body: Bytes, shared: &TcpShared) {
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

    fn down(&mut self, peer: NodeId, reason: DownReason, shared: &TcpShared) {
        let Some(channel) = self.channels.remove(&peer) else { return };
        self.by_address.retain(|_, node| *node != peer);
        self.accepted.retain(|other| other.peer.id != peer);
        self.owed.remove(&peer);
        channel.close(match reason {
            DownReason::ByPeer(reason) => Closed::ByPeer(reason),
            DownReason::ByUs(CloseReason::Timeout | CloseReason::SlowReader) => Closed::Silent,
            DownReason::ByUs(reason) => Closed::ByUs(reason),
            DownReason::Link(_) => Closed::Silent,
        });
        shared.ended.notify_waiters();
    }

    fn dial_ended(&mut self, dial: Dial, outcome: DialOutcome) {
        let Some(at) = self.dials.iter().position(|(other, _)| *other == dial) else { return };
        let (_, attempt) = self.dials.swap_remove(at);
        attempt.end(match outcome {
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
        });
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
