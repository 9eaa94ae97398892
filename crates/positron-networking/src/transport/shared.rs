//! What the handles and the driver of a transport share: the machine, behind a lock that nobody
//! holds for longer than one batch of datagrams, or one input, takes.
//!
//! A caller's task does the work of its call itself: it locks, tells the machine, unlocks, and
//! gives the kernel what is due. The driver receives, keeps the time, and sends what came due by
//! either.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use positron_proto::{
    datagram::contract::Closed, handshake::Expect, id::NodeId, time::Now, wire::frame::CloseReason,
};
use tokio::sync::Notify;

use super::{
    ConnectError, TransportStats,
    inbox::TransportInbox,
    protocol::{Channel as _, ProtocolDriver},
    wait::{lock, until},
};
use crate::{
    driver::Clock,
    limits::{LAST_ROUNDS, SEND_ROUNDS},
};

/// Everything but the driver's own buffers.
#[derive(Debug)]
pub struct Shared<M: ProtocolDriver> {
    pub(super) me: NodeId,
    pub(super) address: SocketAddr,
    pub(super) clock: Clock,
    pub(super) inbox: TransportInbox<Arc<M::Channel>>,
    /// Connections that other nodes made and that nobody has accepted, the oldest first.
    newcomers: Mutex<BTreeMap<u64, Arc<M::Channel>>>,
    /// The driver has something to do.
    pub(super) kick: Notify,
    /// There is a connection to accept, or none will come any more.
    accepting: Notify,
    /// A connection is over, or the transport is.
    pub(super) ended: Notify,
    closing: AtomicBool,
    machine: Mutex<M>,
}

impl<M: ProtocolDriver> Shared<M> {
    pub(super) fn new(machine: M, me: NodeId, address: SocketAddr) -> Self {
        Self {
            me,
            address,
            clock: Clock::start(),
            inbox: TransportInbox::default(),
            newcomers: Mutex::default(),
            kick: Notify::new(),
            accepting: Notify::new(),
            ended: Notify::new(),
            closing: AtomicBool::new(false),
            machine: Mutex::new(machine),
        }
    }

    /// Looks at the machine without changing it.
    pub(super) fn look(&self) -> MutexGuard<'_, M> {
        lock(&self.machine)
    }

    /// Does something to the machine, and what follows from it, at once.
    pub(super) fn act<T>(&self, act: impl FnOnce(&mut M, Now) -> T) -> T {
        let outcome = self.tell(act);
        if !M::transmit(self, SEND_ROUNDS) {
            self.kick.notify_one();
        }
        outcome
    }

    /// Does something to the machine and takes note of what happened; sends nothing.
    pub(super) fn tell<T>(&self, act: impl FnOnce(&mut M, Now) -> T) -> T {
        let mut machine = self.look();
        let now = self.clock.now();
        let outcome = act(&mut machine, now);
        machine.settle(now, self);
        drop(machine);
        self.inbox.wake();
        outcome
    }

    /// As [`act`](Self::act), for what a flood is made of.
    pub(super) fn act_packed<T>(&self, act: impl FnOnce(&mut M, Now) -> T) -> T {
        let mut machine = self.look();
        let now = self.clock.now();
        let outcome = act(&mut machine, now);
        machine.settle(now, self);
        M::transmit_packed(self, machine);
        outcome
    }

    /// Begins a connection, unless the transport is being closed.
    pub(super) fn dial(
        &self,
        machine: &mut M,
        now: Now,
        to: SocketAddr,
        expect: Expect,
    ) -> Result<M::Attempt, ConnectError> {
        // Asked under the lock of the machine: whoever closes sees what began before.
        if self.is_closing() {
            return Err(ConnectError::TransportClosed);
        }
        machine.dial(now, to, expect)
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// A connection is up.
    pub(super) fn came(&self, machine: &mut M, now: Now, channel: &Arc<M::Channel>) {
        if self.is_closing() {
            machine.close(now, channel, CloseReason::ShuttingDown);
        } else if let Some(arrival) = channel.arrival() {
            lock(&self.newcomers).insert(arrival, channel.clone());
            self.accepting.notify_waiters();
        }
    }

    /// A connection is over.
    pub(super) fn left(&self, channel: &M::Channel, why: Closed) {
        if let Some(arrival) = channel.arrival() {
            lock(&self.newcomers).remove(&arrival);
        }
        tracing::debug!(address = %channel.address(), %why, "connection closed");
        channel.close(why);
        self.ended.notify_waiters();
    }

    /// Waits for the next connection that another node made; `None` when none will come any more.
    pub(super) async fn accept(&self) -> Option<Arc<M::Channel>> {
        until(&self.accepting, || match lock(&self.newcomers).pop_first() {
            Some((_, channel)) => Some(Some(channel)),
            None => self.is_closing().then_some(None),
        })
        .await
    }

    /// The transport and its connections now; `counters` reads those of its protocol.
    pub(super) fn stats<C>(&self, counters: impl FnOnce(&M) -> C) -> TransportStats<C> {
        let (machine, now) = (self.look(), self.clock.now());
        TransportStats {
            node_id: self.me,
            address: self.address,
            uptime_s: self.clock.uptime().as_secs_f64(),
            half_open: machine.half_open(),
            unsent: machine.unsent(),
            counters: counters(&machine),
            connections: machine.views(now),
        }
    }

    /// Begins to close: nothing new, and every connection closes when what waits was acknowledged.
    pub(super) fn begin_closing(&self) {
        self.closing.store(true, Ordering::Release);
        self.act(|machine, now| {
            let open: Vec<Arc<M::Channel>> = machine.channels().cloned().collect();
            for channel in open {
                machine.close(now, &channel, CloseReason::ShuttingDown);
            }
        });
        self.accepting.notify_waiters();
    }

    /// Ends everything at once. The other ends are told, if the kernel takes it.
    pub(super) fn abandon(&self) {
        self.closing.store(true, Ordering::Release);
        self.tell(M::say_goodbye);
        M::transmit(self, LAST_ROUNDS);
        let left = self.look().let_go();
        for channel in left {
            self.left(&channel, Closed::ByUs(CloseReason::ShuttingDown));
        }
        self.accepting.notify_waiters();
        self.inbox.close();
        self.ended.notify_waiters();
        self.kick.notify_one();
    }
}
