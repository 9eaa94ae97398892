//! What arrived and was not taken: one queue of a transport, bounded by what its connections may
//! have unreleased.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::Mutex,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use positron_proto::{
    datagram::contract::{Delivery, LaneNumber},
    id::NodeId,
};

use super::wait::lock;
use crate::limits::{RELEASE_BYTES, RELEASE_MESSAGES};

/// The queue. `C` says over which connection something came.
#[derive(Debug)]
pub(super) struct ReceiveQueue<C> {
    state: Mutex<QueueState<C>>,
}

/// A message as it waits.
#[derive(Debug)]
pub struct QueuedMessage<C> {
    pub(super) channel: C,
    pub(super) from: NodeId,
    pub(super) addr: SocketAddr,
    pub(super) lane: LaneNumber,
    pub(super) delivery: Delivery,
    pub(super) data: Bytes,
}

#[derive(Debug)]
struct QueueState<C> {
    queue: VecDeque<QueuedMessage<C>>,
    /// Messages that were taken and not yet told to the machine, and their bytes.
    taken: Vec<(C, usize)>,
    taken_bytes: usize,
    readers: BTreeMap<u64, Option<Waker>>,
    next_reader: u64,
    closed: bool,
}

/// Names a reader.
#[derive(Debug)]
pub(super) struct Reader(u64);

/// What a reader got.
#[derive(Debug)]
pub(super) struct Taken<C> {
    pub(super) message: QueuedMessage<C>,
    /// Messages to release now: whose, and how many bytes each.
    pub(super) release: Vec<(C, usize)>,
}

impl<C> Default for ReceiveQueue<C> {
    fn default() -> Self {
        let state = QueueState {
            queue: VecDeque::new(),
            taken: Vec::new(),
            taken_bytes: 0,
            readers: BTreeMap::new(),
            next_reader: 0,
            closed: false,
        };
        Self { state: Mutex::new(state) }
    }
}

impl<C: Clone> ReceiveQueue<C> {
    /// Adds a message. [`wake`](Self::wake) follows, when no lock is held.
    pub(super) fn push(&self, message: QueuedMessage<C>) {
        lock(&self.state).queue.push_back(message);
    }

    /// Wakes the readers, if there is something for them.
    pub(super) fn wake(&self) {
        let mut state = lock(&self.state);
        if state.queue.is_empty() && !state.closed {
            return;
        }
        let wakers: Vec<Waker> = state.readers.values_mut().filter_map(Option::take).collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// No more messages: readers take what waits, then hear the end.
    pub(super) fn close(&self) {
        lock(&self.state).closed = true;
        self.wake();
    }

    /// A new reader. Each message goes to one of them.
    pub(super) fn reader(&self) -> Reader {
        let mut state = lock(&self.state);
        state.next_reader += 1;
        let name = state.next_reader;
        state.readers.insert(name, None);
        Reader(name)
    }

    /// A reader left.
    pub(super) fn leave(&self, reader: &Reader) {
        lock(&self.state).readers.remove(&reader.0);
        // What it was woken for is somebody else's now.
        self.wake();
    }

    /// The next message; `None` at the end.
    pub(super) fn poll_take(&self, reader: &Reader, cx: &Context<'_>) -> Poll<Option<Taken<C>>> {
        let mut state = lock(&self.state);
        if let Some(message) = state.queue.pop_front() {
            let release = state.took(&message);
            return Poll::Ready(Some(Taken { message, release }));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        state.readers.insert(reader.0, Some(cx.waker().clone()));
        Poll::Pending
    }
}

impl<C: Clone> QueueState<C> {
    /// Notes what was taken, and hands it out when there is enough of it or nothing else waits.
    fn took(&mut self, message: &QueuedMessage<C>) -> Vec<(C, usize)> {
        let bytes = message.data.len();
        self.taken.push((message.channel.clone(), bytes));
        self.taken_bytes += bytes;
        let enough = self.taken_bytes >= RELEASE_BYTES || self.taken.len() >= RELEASE_MESSAGES;
        if self.queue.is_empty() || enough {
            self.taken_bytes = 0;
            return std::mem::take(&mut self.taken);
        }
        Vec::new()
    }
}
