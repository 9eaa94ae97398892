//! What the handles and the driver of a transport share: the machine, behind a lock that nobody
//! holds for longer than one batch of datagrams, or one input, takes.
//!
//! A caller's task does the work of its call itself: it locks, tells the machine, unlocks, and
//! gives the kernel what is due. The driver receives, keeps the time, and sends what came due by
//! either.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use positron_proto::{
    id::NodeId, session::datagram::contract::Closed, time::Now, wire::frame::CloseReason,
};
use tokio::sync::Notify;

use super::{
    ConnectError, TransportStats,
    carrier::{Channel as _, Machine},
    inbox::Inbox,
    newcomers::Newcomers,
};
use crate::{
    driver::Clock,
    limits::{LAST_ROUNDS, SEND_ROUNDS},
};

/// Everything but the driver's own buffers.
#[derive(Debug)]
pub struct Shared<M: Machine> {
    pub(super) me: NodeId,
    pub(super) address: SocketAddr,
    pub(super) clock: Clock,
    pub(super) inbox: Inbox<Arc<M::Channel>>,
    pub(super) newcomers: Newcomers<M::Channel>,
    /// The driver has something to do.
    pub(super) kick: Notify,
    /// A connection is over, or the transport is.
    pub(super) ended: Notify,
    closing: AtomicBool,
    machine: Mutex<M>,
}

impl<M: Machine> Shared<M> {
    pub(super) fn new(machine: M, me: NodeId, address: SocketAddr) -> Self {
        Self {
            me,
            address,
            clock: Clock::start(),
            inbox: Inbox::default(),
            newcomers: Newcomers::default(),
            kick: Notify::new(),
            ended: Notify::new(),
            closing: AtomicBool::new(false),
            machine: Mutex::new(machine),
        }
    }

    /// Looks at the machine without changing it.
    pub(super) fn look(&self) -> MutexGuard<'_, M> {
        // A panic of ours leaves the machine as it is: the connections that it hit fall silent.
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Whether the transport is being closed: nothing new begins. Decided under the lock of the
    /// machine, so that whoever closes sees what began before.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// As [`is_closing`](Self::is_closing), for whoever wants to begin something.
    pub(super) fn is_open(&self) -> Result<(), ConnectError> {
        if self.is_closing() { Err(ConnectError::TransportClosed) } else { Ok(()) }
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
        self.newcomers.close();
    }

    /// Ends everything at once. The other ends are told, if the kernel takes it.
    pub(super) fn abandon(&self) {
        self.closing.store(true, Ordering::Release);
        self.tell(|machine, now| machine.say_goodbye(now));
        M::transmit(self, LAST_ROUNDS);
        let left = self.look().let_go();
        for channel in left {
            self.newcomers.remove(&channel);
            channel.close(Closed::ByUs(CloseReason::ShuttingDown));
        }
        self.newcomers.close();
        self.inbox.close();
        self.ended.notify_waiters();
        self.kick.notify_one();
    }
}
