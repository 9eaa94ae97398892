//! What the application decides about its peers.

use std::{net::SocketAddr, time::Duration};

use positron_proto::{
    id::NodeId,
    node::{Command, PeerOrder},
};
use tokio::sync::oneshot;

use crate::{
    Node, OrderError,
    driver::{Reply, Request},
};

/// Each of these is obeyed when it returns. All are cancel-safe: a future that was polled to its
/// first wait is obeyed or not, never by half, and dropping it loses only the answer.
impl Node {
    /// Refuses a node from now on, for so long: its session is closed with
    /// [`CloseReason::Banned`](crate::CloseReason::Banned), it is let in no more, and it is not
    /// dialled. A ban lasts over restarts, and stands in place of any that there is.
    /// [`NodeEvent::PeerBanned`](crate::NodeEvent::PeerBanned) tells it with `why`.
    ///
    /// A node is its key: whoever makes a new key is somebody else. A duration above 100 years is
    /// 100 years.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use std::time::Duration;
    ///
    /// use positron_networking::{NetworkConfig, Node, OrderError, Refused};
    ///
    /// let alice = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// let bob = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// alice.join(&bob.listen_addresses()[0].to_string()).await.unwrap();
    /// alice.ban(bob.id(), "sold us a horse", Duration::from_secs(86_400)).await.unwrap();
    /// assert!(bob.join(&alice.listen_addresses()[0].to_string()).await.is_err());
    ///
    /// alice.unban(bob.id()).await.unwrap();
    /// alice.join(&bob.listen_addresses()[0].to_string()).await.unwrap();
    ///
    /// let itself = alice.ban(alice.id(), "", Duration::MAX).await;
    /// assert_eq!(itself, Err(OrderError::Refused(Refused::AgainstOurselves)));
    /// # });
    /// ```
    ///
    /// # Errors
    /// [`Refused::AgainstOurselves`](crate::Refused), [`Refused::BanWords`](crate::Refused) if
    /// `why` has more than 256 bytes, [`Refused::TooManyBans`](crate::Refused) if the application
    /// has banned 1,024 nodes already.
    pub async fn ban(&self, peer: NodeId, why: &str, lasts: Duration) -> Result<(), OrderError> {
        self.order(PeerOrder::Ban { peer, why: why.into(), lasts }).await
    }

    /// Lifts the ban of a node, whether the application or its score made it, and dials it again if
    /// it is one to dial. Nothing happens if there is none. The node itself may leave us alone for
    /// about ten minutes, because it was refused; [`join`](Self::join) does not wait for it.
    ///
    /// # Errors
    /// [`Refused::AgainstOurselves`](crate::Refused).
    pub async fn unban(&self, peer: NodeId) -> Result<(), OrderError> {
        self.order(PeerOrder::Unban { peer }).await
    }

    /// Ends the session with a peer, which is not banned: it is not dialled for about ten minutes
    /// (7.5 to 12.5), unless [`join`](Self::join), a message or a stream asks for it. It is told
    /// the same and keeps to it if it is honest; if it dials, it is let in. A restart forgets it.
    ///
    /// # Errors
    /// [`Refused::NotConnected`](crate::Refused), [`Refused::AgainstOurselves`](crate::Refused),
    /// [`Refused::IsReserved`](crate::Refused) of a [reserved](Self::reserve) peer, which would be
    /// dialled again at once.
    pub async fn disconnect(&self, peer: NodeId) -> Result<(), OrderError> {
        self.order(PeerOrder::Disconnect { peer }).await
    }

    /// Keeps a slot for a node, beside `max_peers` and `max_peers_per_address`: it is let in however
    /// many are connected, dialled at `address` or where it says that it is for as long as it is
    /// not (every four seconds at least, so that it is connected within ten of being reachable),
    /// never let go for others, and never banned for its score. A [`ban`](Self::ban) by the
    /// application ends all that. A restart forgets it; `reserved_peers` in the configuration is
    /// there from the start.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use positron_networking::{NetworkConfig, Node, OrderError, Refused};
    ///
    /// let alice = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// let bob = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// let mut events = alice.events();
    /// alice.reserve(bob.id(), Some(bob.listen_addresses()[0])).await.unwrap();
    /// events.recv().await.unwrap(); // bob is connected
    ///
    /// let reserved = Err(OrderError::Refused(Refused::IsReserved(bob.id())));
    /// assert_eq!(alice.disconnect(bob.id()).await, reserved);
    /// alice.unreserve(bob.id()).await.unwrap();
    /// # });
    /// ```
    ///
    /// # Errors
    /// [`Refused::TooManyReserved`](crate::Refused) if there are 32,
    /// [`Refused::IsBanned`](crate::Refused) if the application has banned it,
    /// [`Refused::AgainstOurselves`](crate::Refused).
    pub async fn reserve(
        &self,
        peer: NodeId,
        address: Option<SocketAddr>,
    ) -> Result<(), OrderError> {
        self.order(PeerOrder::Reserve { peer, at: address }).await
    }

    /// Treats a node like others again. It stays connected if a slot is free. Nothing happens if
    /// none is reserved for it.
    ///
    /// # Errors
    /// [`Refused::AgainstOurselves`](crate::Refused).
    pub async fn unreserve(&self, peer: NodeId) -> Result<(), OrderError> {
        self.order(PeerOrder::Unreserve { peer }).await
    }

    /// Says that a peer did wrong by rules that only the application knows, such as a block that
    /// is none. Its score falls by `trust_penalty_invalid`: with the defaults a stranger is banned
    /// for an hour at the fifth report, and who behaves well earns it back. The audit trail has
    /// each report as `reported`; `why` is told if it leads to a ban, and logged.
    ///
    /// # Errors
    /// [`Refused::AgainstOurselves`](crate::Refused), [`Refused::BanWords`](crate::Refused) if
    /// `why` has more than 256 bytes.
    pub async fn report(&self, peer: NodeId, why: &str) -> Result<(), OrderError> {
        self.order(PeerOrder::Report { peer, why: why.into() }).await?;
        tracing::info!(peer = %peer.short(), why, "peer reported by the application");
        Ok(())
    }

    async fn order(&self, order: PeerOrder) -> Result<(), OrderError> {
        let (reply, end) = oneshot::channel::<Reply>();
        let order = Request::Command { command: Command::Peer(order), reply, permit: None };
        self.orders.send(order).await.map_err(|_| OrderError::Stopped)?;
        end.await.map_err(|_| OrderError::Stopped)??;
        Ok(())
    }
}
