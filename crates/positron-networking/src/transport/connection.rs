//! One connection of a UDP transport.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use positron_proto::{
    id::NodeId,
    session::datagram::contract::{Closed, Delivery, LaneNumber, RemoteNode},
    wire::frame::CloseReason,
};

use super::{
    ConnectionStats, SendError, channel::Channel, life::Life, stream::RecvStream,
    stream::SendStream, wait::until,
};

/// A connection to another node: encrypted, and both ends are authenticated.
///
/// Clones are handles of the same connection. It stays open when they are gone, until either end
/// closes it or the transport ends.
#[derive(Clone, Debug)]
pub struct UdpConnection {
    pub(super) life: Arc<Life>,
    pub(super) channel: Arc<Channel>,
}

impl PartialEq for UdpConnection {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.channel, &other.channel)
    }
}

impl Eq for UdpConnection {}

impl UdpConnection {
    /// Who is at the other end. `None` for a connection that
    /// [`send_reliable`](super::UdpTransport::send_reliable) began, until somebody has answered.
    pub fn remote(&self) -> Option<RemoteNode> {
        self.channel.remote()
    }

    /// The id of the node at the other end, see [`remote`](Self::remote).
    pub fn peer(&self) -> Option<NodeId> {
        self.remote().map(|remote| remote.id)
    }

    /// Where the other end is now.
    pub fn address(&self) -> SocketAddr {
        self.channel.address()
    }

    /// Sends a message in a lane, 0 to 15; a lower one is more urgent, and one never waits for
    /// another. Returns when the message is queued, and waits for that while the queue is full.
    /// Cancel-safe: the message is queued or not.
    ///
    /// # Errors
    /// See [`SendError`]; the connection goes on, unless it is that which is over.
    pub async fn send(
        &self,
        lane: LaneNumber,
        delivery: Delivery,
        data: impl Into<Bytes>,
    ) -> Result<(), SendError> {
        // A flood from one task gives the driver its turn, and the driver packs it.
        tokio::task::coop::consume_budget().await;
        let data = data.into();
        match self.try_send(lane, delivery, data.clone()) {
            Err(SendError::Full) => {}
            outcome => return outcome,
        }
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
        delivery: Delivery,
        data: impl Into<Bytes>,
    ) -> Result<(), SendError> {
        let (id, data) = (self.channel.id, data.into());
        let outcome = self.life.act_packed(|machine, now| {
            machine.endpoint.send(now, id, lane, delivery, data).inspect(|()| self.channel.sent())
        });
        outcome.map_err(|why| SendError::new(why, self.channel.closed()))
    }

    /// Opens a stream of bytes towards the other end, in a lane.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn open_stream(&self, lane: LaneNumber) -> Result<SendStream, SendError> {
        let id = self.channel.id;
        let opened = self.life.act(|machine, now| {
            let stream = machine.endpoint.open_stream(now, id, lane)?;
            self.channel.stream_opened(stream);
            Ok(stream)
        });
        let stream = opened.map_err(|why| SendError::new(why, self.channel.closed()))?;
        Ok(SendStream::new(self.life.clone(), self.channel.clone(), stream))
    }

    /// Waits for a stream that the other end opens; `None` when the connection is over. A stream is
    /// there when its first bytes (or its end) are. Cancel-safe.
    pub async fn accept_stream(&self) -> Option<RecvStream> {
        let stream = until(&self.channel.changed, || match self.channel.accept_stream() {
            None if self.channel.closed().is_some() => Some(None),
            none_or_some => none_or_some.map(Some),
        });
        let stream = stream.await?;
        Some(RecvStream::new(self.life.clone(), self.channel.clone(), stream))
    }

    /// Waits until everything that was sent is acknowledged by the other end's transport (not by
    /// its application), or, if it was unreliable, given up.
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
        let id = self.channel.id;
        self.life.act(|machine, now| machine.endpoint.close(now, id, reason));
        self.closed().await
    }

    /// Closes the connection at once: what waits is not sent, but the other end is told.
    pub fn reset(&self, reason: CloseReason) {
        let id = self.channel.id;
        self.life.act(|machine, now| machine.endpoint.reset(now, id, reason));
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
            // The machine remembers it for a while, to answer what still comes.
            return None;
        }
        let view = self.life.look().endpoint.view(self.channel.id)?;
        Some(ConnectionStats::of_view(&view, self.life.clock.now()))
    }
}
