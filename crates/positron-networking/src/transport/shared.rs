//! What the handles and the driver of a transport share: the machine, behind a lock that nobody
//! holds for longer than one batch of datagrams, or one input, takes.
//!
//! A caller's task does the work of its call itself: it locks, tells the machine, hears what
//! happened, and gives the kernel what is due without the lock. The driver receives, keeps the
//! time, and sends what came due by either.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use positron_proto::{
    datagram::contract::Closed, handshake::Expect, id::NodeId, shown::seconds, time::Now,
    wire::frame::CloseReason,
};
use tokio::sync::Notify;

use super::{
    ConnectError, TransportStats,
    attempt::Attempt,
    channel::Channel as _,
    machine::{DialFor, ProtocolEvent, ProtocolMachine},
    receive_queue::ReceiveQueue,
    send_turn::{SendTurn, Transmit},
    stats::ProtocolStats,
    wait::{lock, until},
};
use crate::{
    driver::{Clock, blocked::BUFFER},
    limits::{LAST_ROUNDS, SEND_ROUNDS},
};

/// Everything but the driver's own buffers.
#[derive(Debug)]
pub struct Shared<M: ProtocolMachine> {
    pub(super) me: NodeId,
    pub(super) address: SocketAddr,
    pub(super) clock: Clock,
    pub(super) received: ReceiveQueue<M::Channel>,
    /// Connections that other nodes made and that nobody has accepted, the oldest first.
    backlog: Mutex<BTreeMap<u64, Arc<M::Channel>>>,
    /// The driver has something to do.
    pub(super) wake_driver: Notify,
    /// There is a connection to accept, or none will come any more.
    accepting: Notify,
    /// A connection is over, or the transport is.
    pub(super) ended: Notify,
    closing: AtomicBool,
    /// Messages that nobody will read.
    discarded: AtomicU64,
    locked: Mutex<Locked<M>>,
}

/// What is behind the lock.
#[derive(Debug)]
pub(super) struct Locked<M> {
    pub(super) machine: M,
    pub(super) turn: SendTurn,
}

impl<M: ProtocolMachine> Shared<M> {
    pub(super) fn new(machine: M, me: NodeId, address: SocketAddr) -> Self {
        Self {
            me,
            address,
            clock: Clock::start(),
            received: ReceiveQueue::default(),
            backlog: Mutex::default(),
            wake_driver: Notify::new(),
            accepting: Notify::new(),
            ended: Notify::new(),
            closing: AtomicBool::new(false),
            discarded: AtomicU64::new(0),
            locked: Mutex::new(Locked { machine, turn: SendTurn::default() }),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Locked<M>> {
        lock(&self.locked)
    }

    /// Does something to the machine, and what follows from it, at once.
    pub(super) fn act<T>(&self, act: impl FnOnce(&mut M, Now) -> T) -> T {
        let (outcome, locked) = self.apply(act);
        if !self.transmit(locked, SEND_ROUNDS) {
            self.wake_driver.notify_one();
        }
        self.received.wake();
        outcome
    }

    /// As [`act`](Self::act), for what a flood is made of: while one call follows the other, it is
    /// left to the driver to pack.
    pub(super) fn act_coalesced<T>(&self, act: impl FnOnce(&mut M, Now) -> T) -> T {
        let (outcome, mut locked) = self.apply(act);
        let is_left = M::TRANSMITS && !locked.turn.take();
        if is_left {
            self.leave_to_driver(&mut locked);
        } else if !self.transmit(locked, 1) {
            self.leave_to_driver(&mut self.lock());
        }
        outcome
    }

    /// Does something to the machine, and sends nothing.
    pub(super) fn update<T>(&self, act: impl FnOnce(&mut M, Now) -> T) -> T {
        let (outcome, locked) = self.apply(act);
        drop(locked);
        self.received.wake();
        outcome
    }

    fn apply<T>(&self, act: impl FnOnce(&mut M, Now) -> T) -> (T, MutexGuard<'_, Locked<M>>) {
        let mut locked = self.lock();
        let now = self.clock.now();
        let outcome = act(&mut locked.machine, now);
        self.settle(&mut locked.machine, now);
        (outcome, locked)
    }

    /// Takes note of what happened: after every change of the machine, before the lock is given
    /// back.
    pub(super) fn settle(&self, machine: &mut M, now: Now) {
        while let Some(event) = machine.poll_event(now) {
            match event {
                ProtocolEvent::Established(channel) => {
                    self.handle_established(machine, now, channel);
                }
                ProtocolEvent::Message(channel, message) if channel.ownership.is_abandoned() => {
                    machine.release(now, &channel, message.data.len());
                    self.discarded.fetch_add(1, Ordering::Relaxed);
                }
                ProtocolEvent::Message(channel, message) => self.received.push(&channel, message),
                ProtocolEvent::Closed(channel, why) => self.handle_closed(&channel, why),
            }
        }
    }

    /// Gives the kernel what is due, at most so many batches, without the lock while it works;
    /// whether that was all, for now.
    pub(super) fn transmit<'a>(
        &'a self,
        mut locked: MutexGuard<'a, Locked<M>>,
        rounds: usize,
    ) -> bool {
        let mut buffer = BUFFER.take();
        let mut is_all = false;
        for _ in 0..rounds {
            let Some(batch) = self.next_batch(&mut locked, &mut buffer) else {
                is_all = true;
                break;
            };
            drop(locked);
            let blocked = batch.send(&buffer);
            locked = self.lock();
            if let Some(blocked) = blocked {
                locked.turn.block(blocked);
                self.wake_driver.notify_one();
                is_all = true;
                break;
            }
        }
        BUFFER.set(buffer);
        is_all
    }

    fn next_batch(&self, locked: &mut Locked<M>, buffer: &mut Vec<u8>) -> Option<Transmit> {
        if locked.turn.is_blocked() {
            return None;
        }
        if M::TRANSMITS {
            let now = self.clock.now();
            let batch = locked.machine.poll_transmit(now, buffer);
            if batch.is_some() {
                return batch;
            }
            self.settle(&mut locked.machine, now);
        }
        if locked.turn.oversleeps(locked.machine.poll_timeout()) {
            self.wake_driver.notify_one();
        }
        None
    }

    fn leave_to_driver(&self, locked: &mut Locked<M>) {
        if locked.turn.leave_to_driver() {
            self.wake_driver.notify_one();
        }
    }

    /// Begins a connection, unless the transport is being closed.
    pub(super) fn dial(
        &self,
        machine: &mut M,
        now: Now,
        to: SocketAddr,
        expect: Expect,
        whose: DialFor,
    ) -> Result<Attempt<M::Channel>, ConnectError> {
        // Asked under the lock of the machine: whoever closes sees what began before.
        if self.is_closing() {
            return Err(ConnectError::TransportClosed);
        }
        machine.dial(now, to, expect, whose)
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    fn handle_established(&self, machine: &mut M, now: Now, channel: Arc<M::Channel>) {
        if self.is_closing() {
            machine.close(now, &channel, CloseReason::ShuttingDown);
        } else if let Some(order) = channel.accept_order() {
            lock(&self.backlog).insert(order, channel);
            self.accepting.notify_waiters();
        }
    }

    fn handle_closed(&self, channel: &Arc<M::Channel>, why: Closed) {
        if let Some(order) = channel.accept_order() {
            lock(&self.backlog).remove(&order);
        }
        tracing::debug!(address = %channel.address(), %why, "connection closed");
        channel.close(why);
        let given_up = u64::try_from(self.received.handle_closed(channel)).unwrap_or(u64::MAX);
        self.discarded.fetch_add(given_up, Ordering::Relaxed);
        self.ended.notify_waiters();
    }

    /// Waits for the next connection that another node made; `None` when none will come any more.
    pub(super) async fn accept(&self) -> Option<Arc<M::Channel>> {
        until(&self.accepting, || match lock(&self.backlog).pop_first() {
            Some((_, channel)) => Some(Some(channel)),
            None => self.is_closing().then_some(None),
        })
        .await
    }

    /// The transport and its connections now.
    pub(super) fn stats(&self) -> TransportStats<M::Counters> {
        let ProtocolStats { half_open, unsent, counters, connections } = {
            let (locked, now) = (self.lock(), self.clock.now());
            locked.machine.stats(now)
        };
        TransportStats {
            node_id: self.me,
            address: self.address,
            uptime_s: seconds(self.clock.uptime()),
            half_open,
            unsent,
            discarded: self.discarded.load(Ordering::Relaxed),
            counters,
            connections,
        }
    }

    /// Begins to close: nothing new, and every connection closes when what waits was acknowledged.
    pub(super) fn begin_closing(&self) {
        self.closing.store(true, Ordering::Release);
        self.act(|machine, now| {
            let open: Vec<Arc<M::Channel>> = machine.connections().cloned().collect();
            for channel in open {
                machine.close(now, &channel, CloseReason::ShuttingDown);
            }
        });
        self.accepting.notify_waiters();
    }

    /// The last handle of a connection is gone: it is closed, unless there is another one by now.
    pub(super) fn abandon_connection(&self, channel: &Arc<M::Channel>) {
        self.act(|machine, now| {
            if channel.closed().is_none() && channel.ownership.is_abandoned() {
                let reason = CloseReason::Application { code: 0, reason: String::new() };
                abandon(machine, now, channel, reason);
            }
        });
    }

    /// The application took messages of so many bytes each.
    pub(super) fn release<'a>(
        &self,
        taken: impl ExactSizeIterator<Item = (&'a Arc<M::Channel>, usize)>,
    ) {
        if taken.len() > 0 {
            self.act(|machine, now| {
                taken.for_each(|(channel, bytes)| machine.release(now, channel, bytes));
            });
        }
    }

    /// Nobody holds it any more: what waits is sent, and nothing is heard.
    pub(super) fn let_go(&self) {
        self.closing.store(true, Ordering::Release);
        self.act(|machine, now| {
            let open: Vec<Arc<M::Channel>> = machine.connections().cloned().collect();
            for channel in open {
                channel.ownership.take();
                abandon(machine, now, &channel, CloseReason::ShuttingDown);
            }
        });
        self.accepting.notify_waiters();
        self.received.close();
    }

    /// Ends everything at once. The other ends are told, if the kernel takes it.
    pub(super) fn abandon(&self) {
        self.closing.store(true, Ordering::Release);
        self.update(M::reset_all);
        self.transmit(self.lock(), LAST_ROUNDS);
        let left = self.lock().machine.shut_down();
        for channel in left {
            self.handle_closed(&channel, Closed::ByUs(CloseReason::ShuttingDown));
        }
        self.accepting.notify_waiters();
        self.received.close();
        self.ended.notify_waiters();
        self.wake_driver.notify_one();
    }
}

/// Closes a connection that nobody holds: what waits here must not keep the other end from closing,
/// too.
fn abandon<M: ProtocolMachine>(
    machine: &mut M,
    now: Now,
    channel: &Arc<M::Channel>,
    reason: CloseReason,
) {
    for bytes in channel.mailbox.let_go() {
        machine.release(now, channel, bytes);
    }
    machine.abandon(now, channel, reason);
}
