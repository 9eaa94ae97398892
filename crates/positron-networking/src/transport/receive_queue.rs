//! Whose messages are next for the readers of a transport: connections take turns.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use super::{
    channel::Channel,
    mailbox::{Popped, Pushed, QueuedMessage, Reader, Readers, TakenBatch},
    wait::lock,
};
use crate::limits::MAX_LEFT_BEHIND_BYTES;

/// The connections of a transport in whose mailboxes something waits for its readers.
#[derive(Debug)]
pub(super) struct ReceiveQueue<C> {
    state: Mutex<QueueState<C>>,
}

/// Messages to release: whose, and how many bytes each.
pub(super) type Released<C> = Vec<(Arc<C>, usize)>;

#[derive(Debug)]
struct QueueState<C> {
    /// Each at most once, and never one whose messages are for readers of its own.
    ready: VecDeque<Arc<C>>,
    /// Connections that are over, the oldest first, and what waits in them.
    left_behind: VecDeque<(Arc<C>, usize)>,
    left_bytes: usize,
    taken: TakenBatch<(Arc<C>, usize)>,
    readers: Readers,
    closed: bool,
}

impl<C> Default for ReceiveQueue<C> {
    fn default() -> Self {
        let state = QueueState {
            ready: VecDeque::new(),
            left_behind: VecDeque::new(),
            left_bytes: 0,
            taken: TakenBatch::default(),
            readers: Readers::default(),
            closed: false,
        };
        Self { state: Mutex::new(state) }
    }
}

impl<C: Channel> ReceiveQueue<C> {
    /// Adds a message. [`wake`](Self::wake) follows, when no lock is held.
    pub(super) fn push(&self, channel: &Arc<C>, message: QueuedMessage) {
        if channel.mailbox.push(message) == Pushed::First {
            let mut state = lock(&self.state);
            // Asked again: it may have been claimed meanwhile.
            if !channel.mailbox.is_claimed() {
                state.ready.push_back(channel.clone());
            }
        }
    }

    /// The messages of this connection are for readers of its own from now on.
    pub(super) fn claim(&self, channel: &Arc<C>) {
        if channel.mailbox.is_claimed() {
            return;
        }
        let mut state = lock(&self.state);
        if channel.mailbox.claim() {
            state.forget(channel);
        }
    }

    /// A connection is over. What waits in it stays to be taken, within bounds: what was given up
    /// for that, in messages.
    pub(super) fn handle_closed(&self, channel: &Arc<C>) -> usize {
        channel.mailbox.close();
        let bytes = channel.mailbox.shared_bytes();
        let mut state = lock(&self.state);
        if bytes > 0 {
            state.left_behind.push_back((channel.clone(), bytes));
            state.left_bytes += bytes;
        }
        state.give_up_oldest()
    }

    /// Wakes the readers, if there is something for them.
    pub(super) fn wake(&self) {
        let mut state = lock(&self.state);
        if state.ready.is_empty() && !state.closed {
            return;
        }
        let wakers = state.readers.take_wakers();
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
        lock(&self.state).readers.enter()
    }

    /// A reader left.
    pub(super) fn leave(&self, reader: &Reader) {
        lock(&self.state).readers.leave(reader);
        // What it was woken for is somebody else's now.
        self.wake();
    }

    /// Hands out what waits, at most `limit` messages, and says what is to be released now: whose,
    /// and how many bytes each; `None` at the end.
    pub(super) fn poll_take(
        &self,
        reader: &Reader,
        cx: &Context<'_>,
        limit: usize,
        mut each: impl FnMut(Arc<C>, QueuedMessage),
    ) -> Poll<Option<Released<C>>> {
        let mut state = lock(&self.state);
        let mut count = 0;
        while count < limit
            && let Some(channel) = state.ready.pop_front()
        {
            let Some(Popped { message, more, owed }) = channel.mailbox.pop_shared() else {
                continue;
            };
            if more {
                state.ready.push_back(channel.clone());
            }
            if owed {
                let bytes = message.data.len();
                state.taken.add((channel.clone(), bytes), bytes);
            }
            each(channel, message);
            count += 1;
        }
        if count > 0 {
            let is_last = state.ready.is_empty();
            return Poll::Ready(Some(state.taken.due(is_last)));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        state.readers.wait(reader, cx);
        Poll::Pending
    }
}

impl<C: Channel> QueueState<C> {
    fn forget(&mut self, channel: &Arc<C>) {
        if let Some(at) = self.ready.iter().position(|other| Arc::ptr_eq(other, channel)) {
            self.ready.remove(at);
        }
    }

    /// Keeps what connections that are over left within its bound; how many messages were given up.
    /// A quarter of it at once, so that not every end of a connection has to look at all of them.
    fn give_up_oldest(&mut self) -> usize {
        if self.left_bytes <= MAX_LEFT_BEHIND_BYTES {
            while let Some((oldest, bytes)) = self.left_behind.front()
                && oldest.mailbox.shared_bytes() == 0
            {
                self.left_bytes -= bytes;
                self.left_behind.pop_front();
            }
            return 0;
        }
        self.left_behind.retain_mut(|(channel, bytes)| {
            *bytes = channel.mailbox.shared_bytes();
            *bytes > 0
        });
        self.left_bytes = self.left_behind.iter().map(|(_, bytes)| bytes).sum();
        let mut given_up = 0;
        if self.left_bytes > MAX_LEFT_BEHIND_BYTES {
            while self.left_bytes > MAX_LEFT_BEHIND_BYTES / 4 * 3
                && let Some((oldest, bytes)) = self.left_behind.pop_front()
            {
                self.left_bytes -= bytes;
                given_up += oldest.mailbox.clear();
                self.forget(&oldest);
            }
        }
        given_up
    }
}
