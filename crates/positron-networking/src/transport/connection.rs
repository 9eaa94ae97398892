//! One connection, whatever protocol is below it.

use std::{
    fmt::{self, Debug},
    net::SocketAddr,
    sync::Arc,
};

use bytes::Bytes;
use positron_proto::{
    datagram::contract::{Closed, Delivery, LaneNumber},
    wire::frame::CloseReason,
};

use super::{
    ConnectionStats, Protocol, TransportSendError, channel::Channel as _, guard::TransportGuard,
    wait::until,
};

/// A connection to another node: encrypted, and both ends are authenticated.
///
/// Clones are handles of the same connection. It stays open when they are gone, until either end
/// closes it or the transport ends.
///
/// Over TCP there is at most one between two transports, whoever made it.
pub struct Connection<P: Protocol> {
    pub(super) guard: Arc<TransportGuard<P>>,
    pub(super) channel: Arc<P::Channel>,
}

impl<P: Protocol> Connection<P> {
    /// Where the other end is now.
    pub fn address(&self) -> SocketAddr {
        self.channel.address()
    }

    /// Sends a message in a lane, 0 to 15; a lower one is more urgent, and one never waits for
    /// another. Returns when the message is queued, and waits for that while the queue is full or
    /// the other application has not taken enough. Cancel-safe: the message is queued or not.
    ///
    /// Over TCP there is one lane, and everything arrives once and in order, however it was to be
    /// delivered.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use positron_networking::transport::{Delivery, Expect, UdpTransport};
    ///
    /// let alice = UdpTransport::bind("127.0.0.1:0").await?;
    /// let bob = UdpTransport::bind("127.0.0.1:0").await?;
    /// let connection = alice.connect(bob.local_addr(), Expect::Anyone).await?;
    /// connection.send(0, Delivery::Ordered, "once and in order").await?;
    /// connection.send(0, Delivery::Unordered, "once").await?;
    /// connection.send(0, Delivery::Unreliable, "at most once").await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// See [`TransportSendError`]; the connection goes on, unless it is that which is over.
    pub async fn send(
        &self,
        lane: LaneNumber,
        delivery: Delivery,
        data: impl Into<Bytes>,
    ) -> Result<(), TransportSendError> {
        // A flood from one task gives the driver its turn, and the driver packs it.
        tokio::task::coop::consume_budget().await;
        let data = data.into();
        until(&self.channel.writable, || match self.try_send(lane, delivery, data.clone()) {
            Err(TransportSendError::Full) => None,
            outcome => Some(outcome),
        })
        .await
    }

    /// As [`send`](Self::send), but says [`TransportSendError::Full`] instead of waiting.
    ///
    /// # Errors
    /// See [`TransportSendError`].
    pub fn try_send(
        &self,
        lane: LaneNumber,
        delivery: Delivery,
        data: impl Into<Bytes>,
    ) -> Result<(), TransportSendError> {
        let (how, data) = ((lane, delivery), data.into());
        self.guard.act_coalesced(|machine, now| machine.send(now, &self.channel, how, data))
    }

    /// Waits until everything that was sent is acknowledged by the other end's transport (not by
    /// its application), or, if it was unreliable, given up.
    ///
    /// # Errors
    /// The connection was over before that: what was not acknowledged may have arrived or not.
    pub async fn flush(&self) -> Result<(), Closed> {
        self.channel.until_drained().await
    }

    /// Closes the connection when everything that waits was sent and acknowledged, and waits for
    /// that. It is closed in any case, also if this is not awaited to its end.
    pub async fn close(&self, reason: CloseReason) -> Closed {
        self.guard.act(|machine, now| machine.close(now, &self.channel, reason));
        self.closed().await
    }

    /// Closes the connection at once: what waits is not sent, but the other end is told.
    pub fn reset(&self, reason: CloseReason) {
        self.guard.act(|machine, now| machine.reset(now, &self.channel, reason));
    }

    /// Waits until the connection is over, and says why.
    pub async fn closed(&self) -> Closed {
        self.channel.until_closed().await
    }

    /// Whether it is over.
    pub fn is_closed(&self) -> bool {
        self.channel.closed().is_some()
    }

    /// The connection now; `None` when it is over.
    pub fn stats(&self) -> Option<ConnectionStats> {
        if self.is_closed() {
            // The machine may remember it for a while, to answer what still comes.
            return None;
        }
        self.guard.lock().machine.connection_stats(&self.channel, self.guard.clock.now())
    }
}

impl<P: Protocol> Clone for Connection<P> {
    fn clone(&self) -> Self {
        Self { guard: self.guard.clone(), channel: self.channel.clone() }
    }
}

impl<P: Protocol> PartialEq for Connection<P> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.channel, &other.channel)
    }
}

impl<P: Protocol> Eq for Connection<P> {}

impl<P: Protocol> Debug for Connection<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, closed) = (self.address(), self.channel.closed());
        f.debug_struct("Connection").field("address", &address).field("closed", &closed).finish()
    }
}
