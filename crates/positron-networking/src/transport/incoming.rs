//! Messages as the application receives them.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
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
/// [`incoming`](super::Transport::incoming).
#[derive(Debug)]
pub struct Receiver<P: Protocol> {
    pub(super) guard: Arc<TransportGuard<P>>,
    pub(super) reader: Reader,
}

impl<P: Protocol> Receiver<P> {
    /// The next message; `None` when the transport is closed and all that waited was taken.
    ///
    /// Cancel-safe: a message is taken or not, never lost. Taking it makes room for the next.
    pub async fn recv(&mut self) -> Option<Incoming<Connection<P>>> {
        std::future::poll_fn(|cx| self.poll_recv(cx)).await
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Incoming<Connection<P>>>> {
        let turn = ready!(tokio::task::coop::poll_proceed(cx));
        let taken = ready!(self.guard.received.poll_take(&self.reader, cx));
        turn.made_progress();
        let Some(Taken { message, release }) = taken else { return Poll::Ready(None) };
        if !release.is_empty() {
            self.guard.act(|machine, now| {
                for (channel, bytes) in &release {
                    machine.release(now, channel, *bytes);
                }
            });
        }
        let QueuedMessage { channel, from, addr, lane, delivery, data } = message;
        let connection = Connection { guard: self.guard.clone(), channel };
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
        self.guard.received.leave(&self.reader);
    }
}
