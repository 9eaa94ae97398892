//! What the handles and the driver of a UDP transport share: the machine, behind a lock that nobody
//! holds for longer than one batch of datagrams takes.
//!
//! A caller's task does the work of its call itself: it locks, tells the machine, seals what is
//! due, unlocks, and gives it to the kernel. The driver receives, keeps the time, and sends what
//! came due by either. While one task after the other sends, the driver is the one who packs: after
//! one batch of its own a caller only queues, until the driver has been there.

use std::{
    cell::Cell,
    collections::{BTreeSet, HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use positron_proto::{
    id::NodeId,
    session::{
        Endpoint,
        datagram::contract::{Closed, ConnectionId, Event, RemoteNode},
        sessions::Expect,
    },
    time::{Instant, Now},
    wire::frame::CloseReason,
};
use tokio::sync::Notify;

use super::{
    ConnectError,
    channel::Channel,
    inbox::{Inbox, Waiting},
};
use crate::{
    driver::{
        Clock,
        datagrams::{DatagramSocket, Datagrams, Sent},
    },
    limits::{LAST_ROUNDS, SEND_ROUNDS},
};

/// Everything but the driver's own buffers.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) me: NodeId,
    pub(super) address: SocketAddr,
    pub(super) clock: Clock,
    pub(super) inbox: Inbox<Arc<Channel>>,
    /// The driver has something to do.
    pub(super) kick: Notify,
    /// There is a connection to accept, or none will come any more.
    pub(super) accepting: Notify,
    /// A connection is over, or the transport is.
    pub(super) ended: Notify,
    machine: Mutex<Machine>,
}

/// What is behind the lock.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) endpoint: Endpoint,
    /// Gone when the transport is closed: the port is free then.
    pub(super) socket: Option<Arc<DatagramSocket>>,
    pub(super) channels: HashMap<ConnectionId, Arc<Channel>>,
    /// Connections by where they lead, the oldest first.
    by_address: BTreeSet<(SocketAddr, ConnectionId)>,
    /// Connections that nobody has accepted yet.
    pub(super) accepted: BTreeSet<ConnectionId>,
    /// Batches that the kernel has not taken, and how far it did: one a task that was sending.
    blocked: VecDeque<Blocked>,
    /// Whether a caller may send by itself: the driver found nothing to send when it looked last.
    direct: bool,
    /// Whether something was queued for the driver.
    queued: bool,
    /// Until when the driver sleeps; it does not if this is none.
    asleep: Option<Instant>,
    /// Whether the transport is being closed.
    pub(super) closing: bool,
}

#[derive(Debug)]
struct Blocked {
    to: SocketAddr,
    segment_size: usize,
    bytes: Vec<u8>,
}

/// Why the driver should not sleep, or until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// There is something to do.
    No,
    /// Nothing before that.
    Until(Instant),
    /// Nothing before that, and the kernel takes no more datagrams now.
    BlockedUntil(Instant),
    /// The transport is closed.
    Over,
}

impl Shared {
    pub(super) fn new(
        endpoint: Endpoint,
        me: NodeId,
        clock: Clock,
        (socket, address): (Arc<DatagramSocket>, SocketAddr),
    ) -> Self {
        let machine = Machine {
            endpoint,
            socket: Some(socket),
            channels: HashMap::new(),
            by_address: BTreeSet::new(),
            accepted: BTreeSet::new(),
            blocked: VecDeque::new(),
            direct: true,
            queued: false,
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
    pub(super) fn look(&self) -> MutexGuard<'_, Machine> {
        // A panic of ours leaves the machine as it is: the connections that it hit fall silent.
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the machine, and what follows from it, at once.
    pub(super) fn act<T>(&self, act: impl FnOnce(&mut Machine, Now) -> T) -> T {
        let outcome = self.tell(act);
        if !self.transmit(SEND_ROUNDS) {
            self.kick.notify_one();
        }
        outcome
    }

    /// As [`act`](Self::act), for what a flood is made of: sends by itself only if the driver has
    /// been there since the last time, so that what comes quickly shares datagrams and calls.
    pub(super) fn act_packed<T>(&self, act: impl FnOnce(&mut Machine, Now) -> T) -> T {
        let mut machine = self.look();
        let outcome = act(&mut machine, self.clock.now());
        machine.note_events(self);
        if std::mem::take(&mut machine.direct) {
            drop(machine);
            if !self.transmit(1) {
                self.look().leave_to_driver(self);
            }
        } else {
            machine.leave_to_driver(self);
        }
        outcome
    }

    /// Does something to the machine and takes note of what happened; sends nothing.
    fn tell<T>(&self, act: impl FnOnce(&mut Machine, Now) -> T) -> T {
        let mut machine = self.look();
        let outcome = act(&mut machine, self.clock.now());
        machine.note_events(self);
        drop(machine);
        self.inbox.wake();
        outcome
    }

    /// What arrived from one address.
    pub(super) fn arrive(&self, some: Datagrams<'_>) {
        self.tell(|machine, now| {
            machine.endpoint.handle_datagrams(now, some.from, some.segment_size, some.bytes);
        });
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&self) {
        let mut machine = self.look();
        let now = self.clock.now();
        if machine.endpoint.poll_timeout().is_some_and(|at| at <= now.mono) {
            machine.endpoint.handle_timeout(now);
            machine.note_events(self);
            drop(machine);
            self.inbox.wake();
        }
    }

    /// Sends what is due, at most so many batches; whether that was all, for now.
    pub(super) fn transmit(&self, rounds: usize) -> bool {
        let mut buffer = BUFFER.take();
        let is_all = (0..rounds).any(|_| !self.transmit_one(&mut buffer));
        BUFFER.set(buffer);
        is_all
    }

    /// Sends one batch; whether there was one and the kernel took it.
    fn transmit_one(&self, buffer: &mut Vec<u8>) -> bool {
        let mut machine = self.look();
        let idle = machine.blocked.is_empty();
        let Some(socket) = machine.socket.clone().filter(|_| idle) else { return false };
        let now = self.clock.now();
        let Some(batch) = machine.endpoint.poll_transmit(now, socket.max_segments(), buffer) else {
            machine.note_events(self);
            machine.wake_driver_earlier(self);
            return false;
        };
        drop(machine);
        let bytes = &buffer[..batch.len.min(buffer.len())];
        let Sent::Until(at) = socket.try_send(batch.to, batch.segment_size, bytes) else {
            return true;
        };
        let (to, segment_size, bytes) = (batch.to, batch.segment_size, bytes[at..].to_vec());
        self.look().blocked.push_back(Blocked { to, segment_size, bytes });
        self.kick.notify_one();
        false
    }

    /// Sends what the kernel did not take before.
    pub(super) fn send_blocked(&self, socket: &DatagramSocket) {
        let mut blocked = std::mem::take(&mut self.look().blocked);
        while let Some(first) = blocked.front_mut() {
            match socket.try_send(first.to, first.segment_size, &first.bytes) {
                Sent::All => drop(blocked.pop_front()),
                Sent::Until(at) => {
                    first.bytes.drain(..at);
                    break;
                }
            }
        }
        let mut machine = self.look();
        blocked.append(&mut machine.blocked);
        machine.blocked = blocked;
    }

    /// The driver looks for a reason not to sleep.
    pub(super) fn rest(&self) -> Rest {
        let mut machine = self.look();
        if machine.socket.is_none() {
            return Rest::Over;
        }
        let until = machine.endpoint.poll_timeout().unwrap_or(Instant::FAR_FUTURE);
        if std::mem::take(&mut machine.queued) || until <= self.clock.now().mono {
            return Rest::No;
        }
        machine.asleep = Some(until);
        machine.direct = machine.blocked.is_empty();
        if machine.direct { Rest::Until(until) } else { Rest::BlockedUntil(until) }
    }

    /// The driver does not sleep any more.
    pub(super) fn woke(&self) {
        self.look().asleep = None;
    }

    /// Begins to close: nothing new, and every connection closes when what waits was sent.
    pub(super) fn begin_closing(&self) {
        self.act(|machine, now| {
            machine.closing = true;
            let open: Vec<ConnectionId> = machine.channels.keys().copied().collect();
            for connection in open {
                machine.endpoint.close(now, connection, CloseReason::ShuttingDown);
            }
        });
        self.accepting.notify_waiters();
    }

    /// Ends everything at once. The other ends are told, if the kernel takes it.
    pub(super) fn abandon(&self) {
        let open = self.tell(|machine, now| {
            machine.closing = true;
            let open: Vec<Arc<Channel>> = machine.channels.values().cloned().collect();
            for channel in &open {
                machine.endpoint.reset(now, channel.id, CloseReason::ShuttingDown);
            }
            open
        });
        self.transmit(LAST_ROUNDS);
        let mut machine = self.look();
        machine.socket = None;
        machine.channels.clear();
        machine.by_address.clear();
        machine.accepted.clear();
        drop(machine);
        for channel in open {
            channel.close(Closed::ByUs(CloseReason::ShuttingDown));
        }
        self.inbox.close();
        self.accepting.notify_waiters();
        self.ended.notify_waiters();
        self.kick.notify_one();
    }
}

impl Machine {
    /// Begins a connection.
    pub(super) fn dial(
        &mut self,
        now: Now,
        to: SocketAddr,
        expect: Expect,
    ) -> Result<Arc<Channel>, ConnectError> {
        if self.closing {
            return Err(ConnectError::TransportClosed);
        }
        let id = self.endpoint.connect(now, to, expect, None)?;
        Ok(self.enter(id, to, None))
    }

    /// The connections that lead to this address, the oldest first.
    pub(super) fn leading_to(&self, to: SocketAddr) -> Vec<Arc<Channel>> {
        let all = (to, ConnectionId(0))..=(to, ConnectionId(u64::MAX));
        let ids = self.by_address.range(all);
        ids.filter_map(|(_, id)| self.channels.get(id).cloned()).collect()
    }

    fn enter(
        &mut self,
        id: ConnectionId,
        at: SocketAddr,
        remote: Option<RemoteNode>,
    ) -> Arc<Channel> {
        let channel = Arc::new(Channel::new(id, at, remote));
        self.channels.insert(id, channel.clone());
        self.by_address.insert((at, id));
        channel
    }

    fn leave_to_driver(&mut self, shared: &Shared) {
        self.queued = true;
        if self.asleep.is_some() {
            shared.kick.notify_one();
        }
    }

    fn wake_driver_earlier(&self, shared: &Shared) {
        if let (Some(until), Some(at)) = (self.asleep, self.endpoint.poll_timeout())
            && at < until
        {
            shared.kick.notify_one();
        }
    }

    fn note_events(&mut self, shared: &Shared) {
        while let Some(event) = self.endpoint.poll_event() {
            self.note(event, shared);
        }
    }

    fn note(&mut self, event: Event, shared: &Shared) {
        match event {
            Event::Accepted { connection, remote } => {
                self.enter(connection, remote.addr, Some(remote));
                if self.closing {
                    let now = shared.clock.now();
                    self.endpoint.close(now, connection, CloseReason::ShuttingDown);
                } else {
                    self.accepted.insert(connection);
                    shared.accepting.notify_waiters();
                }
            }
            Event::Closed { connection, why } => {
                let Some(channel) = self.channels.remove(&connection) else { return };
                self.by_address.remove(&(channel.address(), connection));
                self.accepted.remove(&connection);
                tracing::debug!(address = %channel.address(), %why, "connection closed");
                channel.close(why);
                shared.ended.notify_waiters();
            }
            Event::Moved { connection, addr } => {
                let Some(channel) = self.channels.get(&connection) else { return };
                self.by_address.remove(&(channel.move_to(addr), connection));
                self.by_address.insert((addr, connection));
            }
            Event::Message { connection, lane, delivery, body: data } => {
                let Some(channel) = self.channels.get(&connection).cloned() else { return };
                // Messages come after the event that says who sends them.
                let Some(RemoteNode { id: from, addr, .. }) = channel.remote() else { return };
                shared.inbox.push(Waiting { channel, from, addr, lane, delivery, data });
            }
            Event::Connected { connection, remote } => {
                self.with(connection, |channel| channel.connected(remote));
            }
            Event::Drained { connection } => self.with(connection, Channel::drained),
            Event::Writable { connection } | Event::StreamsAvailable { connection } => {
                self.with(connection, |channel| channel.writable.notify_waiters());
            }
            Event::StreamReadable { connection, stream }
            | Event::StreamWritable { connection, stream } => {
                self.with(connection, |channel| channel.wake_stream(stream));
            }
            Event::Finished { connection, reason } => {
                let Some(channel) = self.channels.get(&connection).cloned() else { return };
                channel.finished(reason);
                self.close_if_read(shared.clock.now(), &channel);
            }
        }
    }

    /// The other end closed: so does this one, once everything that came is read. (Messages wait in
    /// the inbox, but streams in the machine.)
    pub(super) fn close_if_read(&mut self, now: Now, channel: &Channel) {
        if let Some(reason) = channel.finished_because()
            && !channel.has_inbound_streams()
        {
            self.endpoint.close(now, channel.id, reason.clone());
        }
    }

    fn with(&self, connection: ConnectionId, tell: impl Fn(&Channel)) {
        self.channels.get(&connection).into_iter().for_each(|channel| tell(channel));
    }
}

thread_local! {
    /// What is being sent; sealed under the lock, given to the kernel without it.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}
