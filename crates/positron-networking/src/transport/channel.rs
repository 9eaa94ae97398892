//! What is known of one UDP connection outside of the machine: who waits for what of it, and how it
//! ended.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
};

use positron_proto::{
    session::{
        datagram::contract::{Closed, ConnectionId, RemoteNode, StreamId},
        sessions::Direction,
    },
    wire::frame::CloseReason,
};
use tokio::sync::Notify;

/// One connection, as long as somebody holds it. What happens to it is noted under the lock of the
/// machine.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) id: ConnectionId,
    /// A refused send may be tried again, or the connection is over.
    pub(super) writable: Notify,
    /// Anything else happened.
    pub(super) changed: Notify,
    place: Mutex<Place>,
    closed: OnceLock<Closed>,
    finished: OnceLock<CloseReason>,
    /// Whether something was sent and is not acknowledged.
    unacknowledged: AtomicBool,
    streams: Mutex<Streams>,
}

#[derive(Debug)]
struct Place {
    address: SocketAddr,
    remote: Option<RemoteNode>,
}

#[derive(Debug, Default)]
struct Streams {
    /// Every stream that this end has a handle of, or is to accept, and who waits for it.
    live: BTreeMap<StreamId, Option<Waker>>,
    /// Streams that the other end opened and nobody has accepted.
    accepted: VecDeque<StreamId>,
}

impl Channel {
    pub(super) fn new(id: ConnectionId, address: SocketAddr, remote: Option<RemoteNode>) -> Self {
        Self {
            id,
            writable: Notify::new(),
            changed: Notify::new(),
            place: Mutex::new(Place { address, remote }),
            closed: OnceLock::new(),
            finished: OnceLock::new(),
            unacknowledged: AtomicBool::new(false),
            streams: Mutex::default(),
        }
    }

    /// Who answers, once that is proven; with the address where it is now.
    pub(super) fn remote(&self) -> Option<RemoteNode> {
        lock(&self.place).remote
    }

    pub(super) fn address(&self) -> SocketAddr {
        lock(&self.place).address
    }

    /// Why it is over, if it is.
    pub(super) fn closed(&self) -> Option<&Closed> {
        self.closed.get()
    }

    /// Why the other end closed, if it did.
    pub(super) fn finished_because(&self) -> Option<&CloseReason> {
        self.finished.get()
    }

    pub(super) fn connected(&self, remote: RemoteNode) {
        lock(&self.place).remote = Some(remote);
        self.changed.notify_waiters();
    }

    /// Where it was before.
    pub(super) fn move_to(&self, address: SocketAddr) -> SocketAddr {
        let mut place = lock(&self.place);
        if let Some(remote) = &mut place.remote {
            remote.addr = address;
        }
        std::mem::replace(&mut place.address, address)
    }

    /// Something was sent.
    pub(super) fn sent(&self) {
        self.unacknowledged.store(true, Ordering::Release);
    }

    /// Everything was acknowledged or given up.
    pub(super) fn drained(&self) {
        self.unacknowledged.store(false, Ordering::Release);
        self.changed.notify_waiters();
    }

    pub(super) fn is_drained(&self) -> bool {
        !self.unacknowledged.load(Ordering::Acquire)
    }

    pub(super) fn finished(&self, reason: CloseReason) {
        let _ = self.finished.set(reason);
        self.changed.notify_waiters();
    }

    /// It is over; the first reason stays.
    pub(super) fn close(&self, why: Closed) {
        let _ = self.closed.set(why);
        self.writable.notify_waiters();
        self.changed.notify_waiters();
        let wakers: Vec<Waker> =
            lock(&self.streams).live.values_mut().filter_map(Option::take).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// A stream that this end opened.
    pub(super) fn stream_opened(&self, stream: StreamId) {
        lock(&self.streams).live.insert(stream, None);
    }

    /// Something can be read from a stream or written to it; one that was not known was opened by
    /// the other end.
    pub(super) fn wake_stream(&self, stream: StreamId) {
        let mut streams = lock(&self.streams);
        if let Some(waker) = streams.live.get_mut(&stream) {
            let waker = waker.take();
            drop(streams);
            waker.into_iter().for_each(Waker::wake);
        } else if stream.opened_by == Direction::Inbound {
            streams.live.insert(stream, None);
            streams.accepted.push_back(stream);
            drop(streams);
            self.changed.notify_waiters();
        }
    }

    /// The next stream that the other end opened.
    pub(super) fn accept_stream(&self) -> Option<StreamId> {
        lock(&self.streams).accepted.pop_front()
    }

    /// Wakes this task when there is something to do with the stream. Called under the lock of the
    /// machine.
    pub(super) fn wait_for_stream(&self, stream: StreamId, waker: &Waker) {
        lock(&self.streams).live.insert(stream, Some(waker.clone()));
    }

    /// Whether the other end opened streams that are not read to their end.
    pub(super) fn has_inbound_streams(&self) -> bool {
        lock(&self.streams).live.keys().any(|stream| stream.opened_by == Direction::Inbound)
    }

    /// There is nothing more to do with the stream.
    pub(super) fn forget_stream(&self, stream: StreamId) {
        lock(&self.streams).live.remove(&stream);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
