//! Messages as the application receives them.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use positron_proto::{
    id::NodeId,
    session::datagram::contract::{Delivery, LaneNumber},
};

use super::{
    TcpConnection, UdpConnection,
    inbox::{Reader, Taken, Waiting},
    life::Life,
    tcp_life::TcpLife,
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

/// What arrives at a UDP transport: a stream.
#[derive(Debug)]
pub struct UdpIncoming {
    pub(super) life: Arc<Life>,
    pub(super) reader: Reader,
}

impl UdpIncoming {
    /// The next message; `None` when the transport is closed and all that waited was taken.
    ///
    /// Cancel-safe: a message is taken or not, never lost. Taking it makes room for the next.
    pub async fn recv(&mut self) -> Option<Incoming<UdpConnection>> {
        std::future::poll_fn(|cx| self.poll_recv(cx)).await
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Incoming<UdpConnection>>> {
        let turn = ready!(tokio::task::coop::poll_proceed(cx));
        let taken = ready!(self.life.inbox.poll_take(&self.reader, cx));
        turn.made_progress();
        let Some(Taken { message, release }) = taken else { return Poll::Ready(None) };
        if !release.is_empty() {
            self.life.act(|machine, now| {
                for (channel, bytes) in &release {
                    machine.endpoint.release(now, channel.id, *bytes);
                }
            });
        }
        let Waiting { channel, from, addr, lane, delivery, data } = message;
        let connection = UdpConnection { life: self.life.clone(), channel };
        Poll::Ready(Some(Incoming { from, addr, lane, delivery, data, connection }))
    }
}

impl futures_core::Stream for UdpIncoming {
    type Item = Incoming<UdpConnection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(cx)
    }
}

impl Drop for UdpIncoming {
    fn drop(&mut self) {
        self.life.inbox.leave(&self.reader);
    }
}

/// What arrives at a TCP transport: a stream.
#[derive(Debug)]
pub struct TcpIncoming {
    pub(super) life: Arc<TcpLife>,
    pub(super) reader: Reader,
}

impl TcpIncoming {
    /// The next message; `None` when the transport is closed and all that waited was taken.
    ///
    /// Cancel-safe: a message is taken or not, never lost. Taking it makes room for the next.
    pub async fn recv(&mut self) -> Option<Incoming<TcpConnection>> {
        std::future::poll_fn(|cx| self.poll_recv(cx)).await
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Incoming<TcpConnection>>> {
        let turn = ready!(tokio::task::coop::poll_proceed(cx));
        let taken = ready!(self.life.inbox.poll_take(&self.reader, cx));
        turn.made_progress();
        let Some(Taken { message, release }) = taken else { return Poll::Ready(None) };
        if !release.is_empty() {
            self.life.act(|machine, now| {
                for (channel, bytes) in &release {
                    machine.release(now, channel, *bytes);
                }
            });
        }
        let Waiting { channel, from, addr, lane, delivery, data } = message;
        let connection = TcpConnection { life: self.life.clone(), channel };
        Poll::Ready(Some(Incoming { from, addr, lane, delivery, data, connection }))
    }
}

impl futures_core::Stream for TcpIncoming {
    type Item = Incoming<TcpConnection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(cx)
    }
}

impl Drop for TcpIncoming {
    fn drop(&mut self) {
        self.life.inbox.leave(&self.reader);
    }
}
