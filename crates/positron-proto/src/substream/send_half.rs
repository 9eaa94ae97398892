//! The sending half of a substream.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::SubstreamEnd;
use crate::limits::{SUBSTREAM_PIECE, SUBSTREAM_WINDOW_FIRST};

/// What was written and not sent, and how far may be.
///
/// [`write`](Self::write), [`finish`](Self::finish) and [`reset`](Self::reset) by the application;
/// [`next`](Self::next) while [`is_ready`](Self::is_ready) says that something can be sent.
#[derive(Debug)]
pub(super) struct SendHalf {
    queue: VecDeque<Bytes>,
    /// Bytes that were sent.
    offset: u64,
    /// Bytes that may be sent in all.
    limit: u64,
    state: SendState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SendState {
    /// The peer has yet to hear of the substream.
    Opening,
    Open,
    /// The end stands behind the queue.
    Finishing,
    /// The end was sent.
    Finished,
    /// The peer is to be told.
    Resetting(SubstreamEnd),
    Over,
}

/// What is sent next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Piece { offset: u64, bytes: Bytes, fin: bool },
    Reset(SubstreamEnd),
}

impl SendHalf {
    /// Of a substream of ours, or of one that the peer opened.
    pub(super) const fn new(ours: bool) -> Self {
        let state = if ours { SendState::Opening } else { SendState::Open };
        Self { queue: VecDeque::new(), offset: 0, limit: SUBSTREAM_WINDOW_FIRST, state }
    }

    pub(super) fn write(&mut self, bytes: Bytes) {
        if matches!(self.state, SendState::Opening | SendState::Open) && !bytes.is_empty() {
            self.queue.push_back(bytes);
        }
    }

    pub(super) const fn finish(&mut self) {
        if matches!(self.state, SendState::Opening | SendState::Open) {
            self.state = SendState::Finishing;
        }
    }

    /// Nothing more will be sent, not even what was written. The peer hears of it also when all was
    /// sent already, as long as it may not have come.
    pub(super) fn reset(&mut self, code: u32) {
        if !self.is_over() {
            self.queue.clear();
            self.state = SendState::Resetting(SubstreamEnd::Application(code));
        }
    }

    /// It is over, and the peer knows.
    pub(super) fn end(&mut self) {
        self.queue.clear();
        self.state = SendState::Over;
    }

    /// Whether it was not over when everything was acknowledged.
    pub(super) fn handle_delivered(&mut self) -> bool {
        let was_under_way = self.state == SendState::Finished;
        if was_under_way {
            self.end();
        }
        was_under_way
    }

    pub(super) fn handle_credit(&mut self, limit: u64) {
        self.limit = self.limit.max(limit);
    }

    pub(super) const fn is_over(&self) -> bool {
        matches!(self.state, SendState::Over)
    }

    /// Whether [`next`](Self::next) gives something.
    pub(super) fn is_ready(&self) -> bool {
        match self.state {
            SendState::Opening | SendState::Resetting(_) => true,
            SendState::Open => !self.queue.is_empty() && self.offset < self.limit,
            SendState::Finishing => self.queue.is_empty() || self.offset < self.limit,
            SendState::Finished | SendState::Over => false,
        }
    }

    /// The next thing to be sent, if anything can be.
    pub(super) fn next(&mut self) -> Option<Next> {
        if !self.is_ready() {
            return None;
        }
        if let SendState::Resetting(why) = self.state {
            self.end();
            return Some(Next::Reset(why));
        }
        let offset = self.offset;
        let bytes = self.take(self.limit - offset);
        self.offset += as_u64(bytes.len());
        let fin = self.state == SendState::Finishing && self.queue.is_empty();
        self.state = match self.state {
            SendState::Opening => SendState::Open,
            SendState::Finishing if fin => SendState::Finished,
            state => state,
        };
        Some(Next::Piece { offset, bytes, fin })
    }

    /// The next bytes, as many as fit into one piece: small ones together.
    fn take(&mut self, credit: u64) -> Bytes {
        let most = usize::try_from(credit).unwrap_or(usize::MAX).min(SUBSTREAM_PIECE);
        let Some(first) = self.queue.front_mut() else { return Bytes::new() };
        if first.len() > most {
            return first.split_to(most);
        }
        let first = self.queue.pop_front().unwrap_or_default();
        if self.queue.is_empty() || first.len() == most {
            return first;
        }
        let mut together = BytesMut::from(first);
        while together.len() < most
            && let Some(next) = self.queue.front_mut()
        {
            let part = next.split_to(next.len().min(most - together.len()));
            if next.is_empty() {
                self.queue.pop_front();
            }
            together.extend_from_slice(&part);
        }
        together.freeze()
    }
}

fn as_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
