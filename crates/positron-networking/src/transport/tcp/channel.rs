//! One connection of a TCP transport, and the credit that keeps either end from sending more than
//! the other one's application takes.
//!
//! Every message of a session begins with a byte: 0, and what follows is a message of the
//! application; or 1, and what follows is how many more bytes (u32, big-endian) it took
//! `[PROTOCOL 5.6]`. A session must be read all the time, or it would look dead; so it cannot hold
//! back the sender, and credit does.

use std::{
    net::SocketAddr,
    ops::Deref,
    sync::{Mutex, MutexGuard, OnceLock},
};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use positron_proto::{
    id::NodeId,
    limits::{MAX_MESSAGE, MESSAGE_COST},
    session::sessions::Peer,
    wire::frame::CloseReason,
};

use super::super::{channel::Channel, channel_state::ChannelState, wait::lock};
use crate::limits::{TCP_MOST_HELD, TCP_TELL_AT, TCP_WINDOW};

/// Bytes of the largest message of an application.
pub(super) const MAX_TCP_MESSAGE: usize = MAX_MESSAGE - 1;

/// One session with one node.
#[derive(Debug)]
pub struct TcpChannel {
    pub(super) peer: Peer,
    state: ChannelState,
    /// Why the session is to be closed once everything is acknowledged.
    closing: OnceLock<CloseReason>,
    credit: Mutex<Credit>,
}

#[derive(Debug, Default)]
struct Credit {
    /// Messages sent and not acknowledged.
    unacknowledged: usize,
    /// Bytes sent that the other application has not taken.
    outstanding: usize,
    /// Bytes that arrived and this application has not taken.
    held: usize,
    /// Bytes that it took and the other end was not told of.
    untold: usize,
}

/// A message of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SessionMessage {
    Data(Bytes),
    Credit(usize),
}

impl SessionMessage {
    pub(super) fn encode(&self) -> Bytes {
        match self {
            Self::Data(data) => {
                let mut bytes = BytesMut::with_capacity(1 + data.len());
                bytes.put_u8(0);
                bytes.put_slice(data);
                bytes.freeze()
            }
            Self::Credit(more) => {
                let mut bytes = BytesMut::with_capacity(5);
                bytes.put_u8(1);
                bytes.put_u32(u32::try_from(*more).unwrap_or(u32::MAX));
                bytes.freeze()
            }
        }
    }

    /// `None`: the other end does not speak this.
    pub(super) fn decode(mut bytes: Bytes) -> Option<Self> {
        match bytes.try_get_u8().ok()? {
            0 => Some(Self::Data(bytes)),
            1 if bytes.len() == 4 => {
                Some(Self::Credit(usize::try_from(bytes.get_u32()).unwrap_or(usize::MAX)))
            }
            _ => None,
        }
    }
}

impl Deref for TcpChannel {
    type Target = ChannelState;

    fn deref(&self) -> &ChannelState {
        &self.state
    }
}

impl Channel for TcpChannel {
    fn accept_order(&self) -> Option<u64> {
        self.peer.link.is_of_driver().then(|| self.peer.link.number())
    }

    fn address(&self) -> SocketAddr {
        self.peer.addr
    }

    fn peer(&self) -> Option<NodeId> {
        Some(self.peer.id)
    }

    fn is_closing(&self) -> bool {
        self.closing().is_some()
    }
}

impl TcpChannel {
    pub(super) fn new(peer: Peer) -> Self {
        let (state, closing, credit) = (ChannelState::default(), OnceLock::new(), Mutex::default());
        Self { peer, state, closing, credit }
    }

    /// Whether the other application has taken enough for one more message of this length.
    pub(super) fn has_credit(&self, len: usize) -> bool {
        self.credit().outstanding + len + MESSAGE_COST <= TCP_WINDOW
    }

    /// A message of this length was sent.
    pub(super) fn sent_bytes(&self, len: usize) {
        let mut credit = self.credit();
        credit.outstanding += len + MESSAGE_COST;
        credit.unacknowledged += 1;
        drop(credit);
        self.sent();
    }

    /// A message was acknowledged.
    pub(super) fn acknowledged(&self) {
        let mut credit = self.credit();
        credit.unacknowledged -= 1;
        let is_last = credit.unacknowledged == 0;
        drop(credit);
        self.writable.notify_waiters();
        if is_last {
            self.drained();
        }
    }

    /// The other application took so many bytes more.
    pub(super) fn handle_credit(&self, more: usize) {
        let mut credit = self.credit();
        credit.outstanding = credit.outstanding.saturating_sub(more);
        drop(credit);
        self.writable.notify_waiters();
    }

    /// A message arrived; whether the other end kept to its credit.
    pub(super) fn handle_data(&self, len: usize) -> bool {
        let mut credit = self.credit();
        credit.held += len + MESSAGE_COST;
        credit.held <= TCP_MOST_HELD
    }

    /// This application took a message; how much is to be told, if it is time.
    pub(super) fn taken(&self, len: usize) -> Option<usize> {
        let mut credit = self.credit();
        credit.held = credit.held.saturating_sub(len + MESSAGE_COST);
        credit.untold += len + MESSAGE_COST;
        (credit.untold >= TCP_TELL_AT).then(|| std::mem::take(&mut credit.untold))
    }

    /// How much the other end was not told of, to tell it now.
    pub(super) fn take_untold(&self) -> Option<usize> {
        let untold = std::mem::take(&mut self.credit().untold);
        (untold > 0).then_some(untold)
    }

    /// What was to be told could not be.
    pub(super) fn not_told(&self, bytes: usize) {
        self.credit().untold += bytes;
    }

    pub(super) fn held(&self) -> usize {
        self.credit().held
    }

    /// The session is to end when everything is acknowledged; the first reason counts.
    pub(super) fn begin_closing(&self, reason: CloseReason) {
        let _ = self.closing.set(reason);
        self.writable.notify_waiters();
    }

    pub(super) fn closing(&self) -> Option<&CloseReason> {
        self.closing.get()
    }

    fn credit(&self) -> MutexGuard<'_, Credit> {
        lock(&self.credit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood_and_nothing_else() {
        for said in [
            SessionMessage::Data(Bytes::new()),
            SessionMessage::Data("data".into()),
            SessionMessage::Credit(70_000),
        ] {
            assert_eq!(SessionMessage::decode(said.encode()), Some(said));
        }
        for wrong in [&b""[..], &[1], &[1, 0, 0, 0], &[1, 0, 0, 0, 0, 0], &[2, 0]] {
            assert_eq!(SessionMessage::decode(Bytes::copy_from_slice(wrong)), None);
        }
    }
}
