//! One connection of a TCP transport.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use positron_proto::{
    id::NodeId,
    session::{
        datagram::contract::{Closed, Delivery, LaneNumber},
        sessions::Peer,
    },
    wire::frame::CloseReason,
};

use super::{ConnectionStats, SendError, tcp_channel::TcpChannel, tcp_life::TcpLife, wait::until};

/// A connection to another node over TCP: encrypted, and both ends are authenticated. There is at
/// most one between two transports, whoever made it.
///
/// Clones are handles of the same connection. It stays open when they are gone, until either end
/// closes it or the transport ends.
#[derive(Clone, Debug)]
pub struct TcpConnection {
    pub(super) life: Arc<TcpLife>,
    pub(super) channel: Arc<TcpChannel>,
}

impl PartialEq for TcpConnection {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.channel, &other.channel)
    }
}

impl Eq for TcpConnection {}

impl TcpConnection {
    /// Who is at the other end.
    pub fn remote(&self) -> Peer {
        self.channel.peer
    }

    /// The id of the node at the other end.
    pub fn peer(&self) -> NodeId {
        self.channel.peer.id
    }

    /// Where the other end is.
    pub fn address(&self) -> SocketAddr {
        self.channel.address()
    }

    /// Sends a message. Over TCP there is one lane, and everything arrives once and in order,
    /// however it was to be delivered. Returns when the message is queued, and waits for that while
    /// the queue is full or the other application has not taken enough. Cancel-safe.
    ///
    /// # Errors
    /// See [`SendError`]; the connection goes on, unless it is that which is over.
    pub async fn send(
        &self,
        lane: LaneNumber,
        delivery: Delivery,
        data: impl Into<Bytes>,
    ) -> Result<(), SendError> {
        tokio::task::coop::consume_budget().await;
        let data = data.into();
        until(&self.channel.writable, || match self.try_send(lane, delivery, data.clone()) {
            Err(SendError::Full) => None,
            outcome => Some(outcome),
        })
        .await
    }

    /// As [`send`](Self::send), but says [`SendError::Full`] instead of waiting.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn try_send(
        &self,
        lane: LaneNumber,
        _delivery: Delivery,
        data: impl Into<Bytes>,
    ) -> Result<(), SendError> {
        if lane >= positron_proto::limits::LANES {
            return Err(SendError::NoSuchLane(lane));
        }
        let data = data.into();
        self.life.act(|machine, now| machine.send(now, &self.channel, &data))
    }

    /// Waits until everything that was sent is acknowledged by the other end's transport (not by
    /// its application).
    ///
    /// # Errors
    /// The connection was over before that: what was not acknowledged may have arrived or not.
    pub async fn flush(&self) -> Result<(), Closed> {
        until(&self.channel.changed, || match self.channel.closed() {
            _ if self.channel.is_drained() => Some(Ok(())),
            Some(why) => Some(Err(why.clone())),
            None => None,
        })
        .await
    }

    /// Closes the connection when everything that waits was sent and acknowledged, and waits for
    /// that. It is closed in any case, also if this is not awaited to its end.
    pub async fn close(&self, reason: CloseReason) -> Closed {
        self.life.act(|machine, _| machine.close(self.channel.clone(), reason));
        self.closed().await
    }

    /// Closes the connection at once: what waits is not sent, but the other end is told.
    pub fn reset(&self, reason: CloseReason) {
        self.life.act(|machine, now| machine.reset(now, &self.channel, reason));
    }

    /// Waits until the connection is over, and says why.
    pub async fn closed(&self) -> Closed {
        until(&self.channel.changed, || self.channel.closed().cloned()).await
    }

    /// Whether it is over.
    pub fn is_closed(&self) -> bool {
        self.channel.closed().is_some()
    }

    /// The connection now; `None` when it is over.
    pub fn stats(&self) -> Option<ConnectionStats> {
        if self.is_closed() {
            return None;
        }
        let machine = self.life.look();
        let view = machine.sessions.views().find(|view| view.peer.id == self.peer())?;
        Some(ConnectionStats::of_session(&view, self.channel.held(), self.life.clock.now()))
    }
}
