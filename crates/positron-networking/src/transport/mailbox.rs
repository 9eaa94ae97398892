//! What arrived over one connection and was not taken, bounded by what the other end may have
//! unreleased; and who reads.

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
    limits::MESSAGE_COST,
};

use super::wait::lock;
use crate::limits::{RELEASE_BYTES, RELEASE_MESSAGES};

/// A message as it waits.
#[derive(Debug)]
pub struct QueuedMessage {
    pub(super) from: NodeId,
    pub(super) addr: SocketAddr,
    pub(super) lane: LaneNumber,
    pub(super) delivery: Delivery,
    pub(super) data: Bytes,
}

/// The messages of one connection, in order.
///
/// They are for the readers of the transport, until the connection is asked for them itself: from
/// then on they are for its own, and for nobody else.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    state: Mutex<MailboxState>,
}

#[derive(Debug, Default)]
struct MailboxState {
    queue: VecDeque<QueuedMessage>,
    bytes: usize,
    /// How many of the first ones the other end need not wait for: they were released before they
    /// were taken.
    released: usize,
    claimed: bool,
    closed: bool,
    taken: TakenBatch<usize>,
    readers: Readers,
}

/// Where a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// To readers of the connection, who were woken.
    Own,
    /// To those of the transport: the first that waits.
    First,
    /// To those of the transport, behind others.
    Behind,
}

/// What was taken of a mailbox.
#[derive(Debug)]
pub(super) struct Popped {
    pub(super) message: QueuedMessage,
    /// Whether more waits.
    pub(super) more: bool,
    /// Whether the other end waits for it to be released.
    pub(super) owed: bool,
}

impl Mailbox {
    pub(super) fn push(&self, message: QueuedMessage) -> Pushed {
        let mut state = lock(&self.state);
        state.bytes += message.data.len() + MESSAGE_COST;
        state.queue.push_back(message);
        let pushed = match (state.claimed, state.queue.len()) {
            (true, _) => Pushed::Own,
            (false, 1) => Pushed::First,
            (false, _) => Pushed::Behind,
        };
        let wakers = if state.claimed { state.readers.take_wakers() } else { Vec::new() };
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        pushed
    }

    /// They are for readers of the connection from now on; whether that is news.
    pub(super) fn claim(&self) -> bool {
        !std::mem::replace(&mut lock(&self.state).claimed, true)
    }

    pub(super) fn is_claimed(&self) -> bool {
        lock(&self.state).claimed
    }

    /// What waits for the readers of the transport, in bytes.
    pub(super) fn shared_bytes(&self) -> usize {
        let state = lock(&self.state);
        if state.claimed { 0 } else { state.bytes }
    }

    /// The next message for a reader of the transport.
    pub(super) fn pop_shared(&self) -> Option<Popped> {
        let mut state = lock(&self.state);
        if state.claimed { None } else { state.pop() }
    }

    /// Nobody is to take what waits: how many messages.
    pub(super) fn clear(&self) -> usize {
        let mut state = lock(&self.state);
        (state.bytes, state.released) = (0, 0);
        std::mem::take(&mut state.queue).len()
    }

    /// The application let go of the connection. Only readers of the transport may still take what
    /// waits, and the other end need not wait for that: the bytes of each message to release.
    pub(super) fn let_go(&self) -> Vec<usize> {
        let mut state = lock(&self.state);
        let mut owed = state.taken.take();
        owed.extend(state.queue.iter().skip(state.released).map(|message| message.data.len()));
        state.released = state.queue.len();
        if state.claimed {
            (state.bytes, state.released) = (0, 0);
            state.queue.clear();
        }
        owed
    }

    /// No more messages: readers take what waits, then hear the end.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        let wakers = state.readers.take_wakers();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// A new reader of this connection. Each message goes to one of them.
    pub(super) fn reader(&self) -> Reader {
        lock(&self.state).readers.enter()
    }

    /// A reader left; what it was woken for is somebody else's now.
    pub(super) fn leave(&self, reader: &Reader) {
        let mut state = lock(&self.state);
        state.readers.leave(reader);
        let wakers = if state.queue.is_empty() { Vec::new() } else { state.readers.take_wakers() };
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Hands out what waits, at most `limit` messages, and says how many bytes each has that is to
    /// be released now; `None` at the end.
    pub(super) fn poll_take(
        &self,
        reader: &Reader,
        cx: &Context<'_>,
        limit: usize,
        mut each: impl FnMut(QueuedMessage),
    ) -> Poll<Option<Vec<usize>>> {
        let mut state = lock(&self.state);
        let waits = state.queue.len();
        for _ in 0..limit.min(waits) {
            let Some(Popped { message, owed, .. }) = state.pop() else { break };
            if owed {
                state.taken.add(message.data.len(), message.data.len());
            }
            each(message);
        }
        if waits > 0 {
            let is_last = state.queue.is_empty();
            return Poll::Ready(Some(state.taken.due(is_last)));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        state.readers.wait(reader, cx);
        Poll::Pending
    }
}

impl MailboxState {
    fn pop(&mut self) -> Option<Popped> {
        let message = self.queue.pop_front()?;
        self.bytes -= message.data.len() + MESSAGE_COST;
        let owed = self.released == 0;
        self.released = self.released.saturating_sub(1);
        Some(Popped { message, more: !self.queue.is_empty(), owed })
    }
}

/// Messages that were taken and of which the machine was not told: it costs more than a small one.
#[derive(Debug)]
pub(super) struct TakenBatch<T> {
    messages: Vec<T>,
    bytes: usize,
}

impl<T> Default for TakenBatch<T> {
    fn default() -> Self {
        Self { messages: Vec::new(), bytes: 0 }
    }
}

impl<T> TakenBatch<T> {
    pub(super) fn add(&mut self, message: T, bytes: usize) {
        self.messages.push(message);
        self.bytes += bytes;
    }

    /// What to tell now: all of it if there is enough, or if nothing else waits.
    pub(super) fn due(&mut self, is_last: bool) -> Vec<T> {
        let enough = self.bytes >= RELEASE_BYTES || self.messages.len() >= RELEASE_MESSAGES;
        if is_last || enough { self.take() } else { Vec::new() }
    }

    fn take(&mut self) -> Vec<T> {
        self.bytes = 0;
        std::mem::take(&mut self.messages)
    }
}

/// Who reads, and waits for it.
#[derive(Debug, Default)]
pub(super) struct Readers {
    waiting: BTreeMap<u64, Option<Waker>>,
    last: u64,
}

/// Names a reader.
#[derive(Debug)]
pub(super) struct Reader(u64);

impl Readers {
    pub(super) fn enter(&mut self) -> Reader {
        self.last += 1;
        self.waiting.insert(self.last, None);
        Reader(self.last)
    }

    pub(super) fn leave(&mut self, reader: &Reader) {
        self.waiting.remove(&reader.0);
    }

    pub(super) fn wait(&mut self, reader: &Reader, cx: &Context<'_>) {
        self.waiting.insert(reader.0, Some(cx.waker().clone()));
    }

    pub(super) fn take_wakers(&mut self) -> Vec<Waker> {
        self.waiting.values_mut().filter_map(Option::take).collect()
    }
}
