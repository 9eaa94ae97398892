//! Messages as the application receives them.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use positron_proto::{
    datagram::contract::{Delivery, LaneNumber},
    id::NodeId,
};

use super::{
    Connection, Protocol,
    guard::TransportGuard,
    receive_queue::{QueuedMessage, Reader, Taken},
    shared::Shared,
};

/// A message that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming<C> {
    /// Who sent it.
    pub from: NodeId,
    /// Where that is.
    pub addr: SocketAddr,
    /// In which lane it was sent.
    pub lane: LaneNumber,
    /// How it was sent.
    pub delivery: Delivery,
    /// What it says.
    pub data: Bytes,
    /// Over which connection it came: answer there.
    pub connection: C,
}

/// What arrives at a transport, also as a [`Stream`](futures_core::Stream): one reader of
/// [`incoming`](super::Transport::incoming). It does not keep the transport alive.
#[derive(Debug)]
pub struct Receiver<P: Protocol> {
    guard: Weak<TransportGuard<P>>,
    shared: Arc<Shared<P>>,
    reader: Reader,
}

impl<P: Protocol> Receiver<P> {
    pub(super) fn new(guard: &Arc<TransportGuard<P>>) -> Self {
        let shared = guard.shared().clone();
        let reader = shared.received.reader();
        Self { guard: Arc::downgrade(guard), shared, reader }
    }

    /// The next message; `None` when the transport is closed and all that waited was taken.
    ///
    /// Cancel-safe: a message is taken or not, never lost. Taking it makes room for the next.
    pub async fn recv(&mut self) -> Option<Incoming<Connection<P>>> {
        std::future::poll_fn(|cx| self.poll_recv(cx)).await
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Incoming<Connection<P>>>> {
        let turn = ready!(tokio::task::coop::poll_proceed(cx));
        let taken = ready!(self.shared.received.poll_take(&self.reader, cx));
        turn.made_progress();
        let Some(Taken { message, release }) = taken else { return Poll::Ready(None) };
        if !release.is_empty() {
            self.shared.act(|machine, now| {
                for (channel, bytes) in &release {
                    machine.release(now, channel, *bytes);
                }
            });
        }
        let QueuedMessage { channel, from, addr, lane, delivery, data } = message;
        let guard = self.guard.upgrade();
        let guard = guard.unwrap_or_else(|| Arc::new(TransportGuard::ended(self.shared.clone())));
        let connection = Connection::new(guard, channel);
        Poll::Ready(Some(Incoming { from, addr, lane, delivery, data, connection }))
    }
}

impl<P: Protocol> futures_core::Stream for Receiver<P> {
    type Item = Incoming<Connection<P>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(cx)
    }
}

impl<P: Protocol> Drop for Receiver<P> {
    fn drop(&mut self) {
        self.shared.received.leave(&self.reader);
    }
}
