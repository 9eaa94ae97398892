//! What a node does with its peers one by one: asks them, opens streams to them, and decides about
//! them.

use std::{fmt::Display, future::Future, net::SocketAddr, time::Duration};

use bytes::Bytes;
use positron_proto::{
    id::{MessageId, NodeId},
    node::{Command, PeerOrder},
    subnet::Subnet,
};
use positron_store::summary;
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::oneshot;

use crate::{
    Ban, Deleted, DhtError, DhtStats, FoundNode, HashTable, LostPeer, MessageTrace, NatInfo, Node,
    NodeStream, OpenStreamError, OrderError, PeerDetail, Readiness, RecentDial, Request,
    RequestError, RoundTrip, StoreError, Stored, Summary,
    asking::ask,
    driver::Order,
    message::{decode, encode},
    request::RequestHandler,
    stats::KnownNode,
};

impl Node {
    /// What stands between this node and the internet, by what its peers see of it.
    pub fn nat_info(&self) -> NatInfo {
        self.0.shown.look().view.nat.clone()
    }

    /// Whether another machine has the address at which the internet sees us, if anybody knows.
    pub fn is_behind_nat(&self) -> Option<bool> {
        self.nat_info().is_behind_nat()
    }

    /// What this node offers to who looks for a direct path to it: where peers see it, and private
    /// addresses of its interfaces. Empty with `direct_only` and with `relay_only`.
    pub fn nat_candidates(&self) -> Vec<SocketAddr> {
        self.0.shown.look().view.candidates.clone()
    }

    /// Who was connected and left, and why: the last 256, the newest first.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # use positron_networking::{By, NetworkConfig, Node, Reason};
    /// # let alice = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// # let bob = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// # alice.join(&bob.listen_addresses()[0].to_string()).await.unwrap();
    /// alice.disconnect(bob.id()).await.unwrap();
    /// let lost = alice.lost_peers().await;
    /// assert_eq!((lost[0].node_id, lost[0].by), (bob.id(), By::Us));
    /// assert_eq!(lost[0].why.reason, Reason::Pruned);
    /// # });
    /// ```
    pub async fn lost_peers(&self) -> Vec<LostPeer> {
        let (reply, lost) = oneshot::channel();
        // A node that stopped knows nobody.
        let _ = self.0.orders.send(Order::LostPeers { reply }).await;
        lost.await.unwrap_or_default()
    }

    /// Why the score of `peer` is what it is, and how near it is to each of its bounds. Whoever
    /// is not connected has no bounds; a node that stopped knows nothing.
    pub async fn peer_detail(&self, peer: NodeId) -> Option<PeerDetail> {
        self.trust_manager().explain(peer).await
    }

    /// What came of the last 256 dials, the newest first.
    pub async fn recent_dials(&self) -> Vec<RecentDial> {
        let (reply, dials) = oneshot::channel();
        // A node that stopped dials nobody.
        let _ = self.0.orders.send(Order::RecentDials { reply }).await;
        dials.await.unwrap_or_default()
    }

    /// Whether the node can do its work, and if not, what is missing and what to do about it; as
    /// old as [`stats`](Self::stats).
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # use positron_networking::{NetworkConfig, Node};
    /// let config = NetworkConfig { min_peers: 1, ..NetworkConfig::loopback() };
    /// let readiness = Node::start(config).await.unwrap().readiness();
    /// assert!(!readiness.ready);
    /// assert_eq!(readiness.sentence, "not ready: 0 peers of at least 1 (`min_peers`)");
    /// # });
    /// ```
    pub fn readiness(&self) -> Readiness {
        self.0.readiness()
    }

    /// Asks one node, found as by [`send_to_peer`](Self::send_to_peer), and waits for its answer,
    /// at most `timeout` (and at most 5 minutes). Both are MessagePack with the names of the
    /// fields, of at most 1 MiB.
    ///
    /// A request is carried out once or not at all: it goes on over whichever link there is, is
    /// never sent again, and ends within three seconds of the other node's death. Beyond 64
    /// requests of one node that are not answered yet, others answer that they are
    /// [busy](crate::Unanswered::Busy).
    ///
    /// Dropping the future ends the request: the other node drops its handler's future, too.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use std::time::Duration;
    ///
    /// use positron_networking::{NetworkConfig, Node, Request};
    ///
    /// # let alice = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// # let bob = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// # alice.join(&bob.listen_addresses()[0].to_string()).await.unwrap();
    /// bob.on_request(async |request: Request<u64>| {
    ///     request.data.checked_mul(2).ok_or("that is too much")
    /// });
    /// let limit = Duration::from_secs(5);
    /// let answer: u64 = alice.request(bob.id(), &21_u64, limit).await.unwrap();
    /// assert_eq!(answer, 42);
    /// let none = alice.request::<_, u64>(bob.id(), &u64::MAX, limit).await;
    /// assert_eq!(none.unwrap_err().to_string(), "that node failed: that is too much");
    /// # });
    /// ```
    ///
    /// # Errors
    /// [`RequestError::Refused`] and [`RequestError::NotSerializable`]: nothing was sent. See
    /// [`Unanswered`](crate::Unanswered) for the others.
    pub async fn request<T: Serialize + ?Sized, R: DeserializeOwned>(
        &self,
        peer: NodeId,
        data: &T,
        timeout: Duration,
    ) -> Result<R, RequestError> {
        let payload =
            encode(data).map_err(|error| RequestError::NotSerializable(error.to_string()))?;
        let answer = self.request_bytes(peer, payload, timeout).await?;
        decode(&answer).map_err(RequestError::Undecodable)
    }

    /// As [`request`](Self::request), with question and answer as they are.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub async fn request_bytes(
        &self,
        peer: NodeId,
        payload: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, RequestError> {
        ask(&self.0.orders, &self.0.arrivals, peer, payload, timeout).await
    }

    /// Answers the requests of others with what `handler` returns: its value, or its error as text,
    /// of which 1 KiB is told. A node has one such handler, and a later one takes its place; let
    /// the requests of an application be one enum.
    ///
    /// It is called for many requests at once, each in a task of its own: at most 64 of one node
    /// and 2,048 in all. A call is dropped at an `await` when its asker is gone, does not want the
    /// answer any more or has waited for 5 minutes. One that panics has failed. What does not read
    /// as a `T` never comes to it.
    ///
    /// See [`request`](Self::request) for an example. A handler that holds a clone of its node
    /// keeps it running.
    pub fn on_request<T, R, E, F>(&self, handler: impl Fn(Request<T>) -> F + Send + Sync + 'static)
    where
        T: DeserializeOwned,
        R: Serialize,
        E: Display,
        F: Future<Output = Result<R, E>> + Send + 'static,
    {
        self.0.hub.requests.set(Some(RequestHandler::typed(handler)));
    }

    /// As [`on_request`](Self::on_request), with question and answer as they are.
    pub fn on_request_bytes<E, F>(
        &self,
        handler: impl Fn(Request<Bytes>) -> F + Send + Sync + 'static,
    ) where
        E: Display,
        F: Future<Output = Result<Bytes, E>> + Send + 'static,
    {
        self.0.hub.requests.set(Some(RequestHandler::bytes(handler)));
    }

    /// Connects with a node that is known by its id alone, through a relay if need be, within ten
    /// seconds. Where two homes can reach each other, the session then moves to a path of its own.
    ///
    /// # Errors
    /// [`Refused::UnknownPeer`](crate::Refused), [`Refused::NotUsable`](crate::Refused) and
    /// [`Refused::NotReached`](crate::Refused); [`Refused::ToOurselves`](crate::Refused).
    pub async fn request_peer_connection(&self, peer: NodeId) -> Result<(), OrderError> {
        self.0.orders.carry_out(Command::Link { to: peer }).await
    }

    /// How long a round trip to a node takes, which is connected with first, as by
    /// [`request_peer_connection`](Self::request_peer_connection), and over which path. Several at
    /// once share a question; one goes every 100 ms at the most.
    ///
    /// # Errors
    /// Those of [`request_peer_connection`](Self::request_peer_connection);
    /// [`Refused::NoPong`](crate::Refused), [`Refused::NotConnected`](crate::Refused) if the
    /// session ends first.
    pub async fn ping(&self, peer: NodeId) -> Result<RoundTrip, OrderError> {
        self.request_peer_connection(peer).await?;
        self.0.orders.ping(peer).await
    }

    /// Opens a stream to a node, found as by [`send_to_peer`](Self::send_to_peer); one that is not
    /// connected is dialled, for up to 15 seconds.
    ///
    /// Returns when the session is up and the stream on its way; the other node takes it with
    /// [`accept_stream`](Self::accept_stream). Cancel-safe: a stream that was opened for nobody is
    /// reset.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use positron_networking::{NetworkConfig, Node};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # let alice = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// # let bob = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// # alice.join(&bob.listen_addresses()[0].to_string()).await.unwrap();
    /// let mut question = alice.open_stream(bob.id()).await.unwrap();
    /// question.write_all(b"the whole block, please").await.unwrap();
    ///
    /// let mut asked = bob.accept_stream().await.unwrap();
    /// assert_eq!(asked.peer(), alice.id());
    /// let mut text = [0; 23];
    /// asked.read_exact(&mut text).await.unwrap();
    /// asked.write_all(&vec![7; 3_000_000]).await.unwrap();
    /// asked.shutdown().await.unwrap();
    ///
    /// let mut block = Vec::new();
    /// question.read_to_end(&mut block).await.unwrap();
    /// assert_eq!(block.len(), 3_000_000);
    /// # });
    /// ```
    ///
    /// # Errors
    /// See [`OpenStreamError`].
    pub async fn open_stream(&self, peer: NodeId) -> Result<NodeStream, OpenStreamError> {
        let (reply, opened) = oneshot::channel();
        let order = Order::OpenStream { to: peer, reply };
        self.0.orders.send(order).await.map_err(|_| OpenStreamError::Stopped)?;
        opened.await.unwrap_or(Err(OpenStreamError::Stopped)).map(NodeStream::held)
    }

    /// The next stream that another node opened; `None` when the node stopped. Cancel-safe.
    ///
    /// Up to 1,024 wait for it, each with up to 16 KiB; others are reset. Each stream is given
    /// once, whoever asks.
    pub async fn accept_stream(&self) -> Option<NodeStream> {
        self.0.incoming_streams.lock().await.recv().await.map(NodeStream::held)
    }

    // --- what the application decides about peers: obeyed when it returns; cancel-safe, because an
    //     order that was polled to its first wait is obeyed or not, never by half ---

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

    /// Refuses whoever is at an address, or at all that begin with the same bits, from now on, for
    /// so long: nothing from there is read, nobody there is dialled, and sessions with who is there
    /// are closed with [`CloseReason::Banned`](crate::CloseReason::Banned). A ban lasts over
    /// restarts, and stands in place of one of exactly these addresses.
    /// [`NodeEvent::AddressBanned`](crate::NodeEvent::AddressBanned) tells it with `why`.
    ///
    /// A [reserved](Self::reserve) peer goes before it: it is dialled all the same, keeps its
    /// session, and is let in from the address that is reserved with it. A peer of this node that
    /// moves to a banned address is not heard there, and its session goes on if it comes back in
    /// time. Who is banned by address alone may come from another one.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use std::time::Duration;
    ///
    /// use positron_networking::{NetworkConfig, Node, Subnet};
    ///
    /// let alice = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// let bob = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// let loopback: Subnet = "127.0.0.0/8".parse().unwrap();
    /// alice.ban_address(loopback, "scans us", Duration::from_secs(3600)).await.unwrap();
    /// assert!(alice.join(&bob.listen_addresses()[0].to_string()).await.is_err());
    /// assert_eq!(alice.bans().await[0].reason.as_deref(), Some("scans us"));
    ///
    /// alice.unban_address(loopback).await.unwrap();
    /// alice.join(&bob.listen_addresses()[0].to_string()).await.unwrap();
    /// # });
    /// ```
    ///
    /// # Errors
    /// [`Refused::BanWords`](crate::Refused) if `why` has more than 256 bytes,
    /// [`Refused::TooManyAddressBans`](crate::Refused) if there are 512.
    pub async fn ban_address(
        &self,
        addresses: Subnet,
        why: &str,
        lasts: Duration,
    ) -> Result<(), OrderError> {
        self.order(PeerOrder::BanAddress { addresses, why: why.into(), lasts }).await
    }

    /// Lifts the ban of exactly these addresses. Nothing happens if there is none. One of
    /// `banned_addresses` in the configuration is there again at the next start.
    ///
    /// # Errors
    /// [`OrderError::Stopped`].
    pub async fn unban_address(&self, addresses: Subnet) -> Result<(), OrderError> {
        self.order(PeerOrder::UnbanAddress { addresses }).await
    }

    /// Everybody in the address book, 4,096 at most, and who told of them.
    pub async fn known_nodes(&self) -> Vec<KnownNode> {
        let (reply, known) = oneshot::channel();
        // A node that stopped knows nobody.
        let _ = self.0.orders.send(Order::KnownNodes { reply }).await;
        known.await.unwrap_or_default()
    }

    /// What the database of this node holds, read from the disk; `None` of a node that has none.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn stored(&self) -> Result<Option<Summary>, StoreError> {
        let Some(folder) = self.stats().storage.folder else { return Ok(None) };
        let read = tokio::task::spawn_blocking(move || summary(folder)).await;
        read.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())).map(Some)
    }

    /// The bans that there are now, of nodes and of addresses.
    pub async fn bans(&self) -> Vec<Ban> {
        let (reply, bans) = oneshot::channel();
        // A node that stopped refuses everybody.
        let _ = self.0.orders.send(Order::Bans { reply }).await;
        bans.await.unwrap_or_default()
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

    /// Keeps a slot for a node, beside `max_peers` and `max_peers_per_address`: it is let in
    /// however many are connected, dialled at `address` or where it says that it is for as long as
    /// it is not (every four seconds at least, so that it is connected within ten of being
    /// reachable), never let go for others, and never banned for its score. A [`ban`](Self::ban) by
    /// the application ends all that. With a data folder it is remembered over restarts until
    /// [`unreserve`](Self::unreserve); what `reserved_peers` in the configuration names is there at
    /// each start, at the address that stands there. [`stats`](Self::stats) lists all.
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
    /// none is reserved for it. One of `reserved_peers` has its slot again at the next start.
    ///
    /// # Errors
    /// [`Refused::AgainstOurselves`](crate::Refused).
    pub async fn unreserve(&self, peer: NodeId) -> Result<(), OrderError> {
        self.order(PeerOrder::Unreserve { peer }).await
    }

    /// Dials an address no more that the node was asked to [join](Self::join), or that the
    /// configuration names; the configuration gives it again at the next start. `address` is as in
    /// [`Stats::bootstrap`](crate::Stats::bootstrap). A connection that there is stays.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # use positron_networking::{NetworkConfig, Node};
    /// let node = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    /// node.join(&nobody.to_string()).await.unwrap_err();
    /// assert!(node.isolation_reason().unwrap().contains("asked to join"));
    ///
    /// node.forget(&nobody.to_string()).await.unwrap();
    /// assert!(node.stats_now().await.bootstrap.is_empty());
    /// # });
    /// ```
    ///
    /// # Errors
    /// [`Refused::UnknownAddress`](crate::Refused).
    pub async fn forget(&self, address: &str) -> Result<(), OrderError> {
        self.order(PeerOrder::Forget { address: address.into() }).await
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

    /// What is known of the way of a message through this node, of those of the last 4,096 that
    /// came or went; and through the network, if others [were asked](Self::ask_trace). `None`: it
    /// never came, or is forgotten.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # use positron_networking::{Node, NetworkConfig};
    /// # let alice = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// # let bob = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// # alice.join(&bob.listen_addresses()[0].to_string()).await.unwrap();
    /// # let mut inbox = bob.subscribe();
    /// let message = alice.broadcast(&"hello").await.unwrap();
    /// # inbox.recv().await.unwrap();
    ///
    /// let way = bob.trace(message).await.unwrap().local.unwrap();
    /// assert_eq!((way.from, way.how), (Some(alice.id()), "push"));
    ///
    /// alice.ask_trace(message).await.unwrap();
    /// let report = loop {
    ///     let network = alice.trace(message).await.unwrap().network.unwrap();
    ///     if network.state == "done" {
    ///         break network;
    ///     }
    /// };
    /// assert_eq!((report.reached, report.silent), (2, 0));
    /// # });
    /// ```
    pub async fn trace(&self, message: MessageId) -> Option<MessageTrace> {
        let (reply, known) = oneshot::channel();
        // A node that stopped remembers nothing.
        let _ = self.0.orders.send(Order::Trace { message, reply }).await;
        known.await.ok().flatten()
    }

    /// Asks others for the way of a broadcast of ours; [`trace`](Self::trace) says what they
    /// report, within seconds, first of all those that are near. They are claims that nobody can
    /// check. Who says nothing of itself (`trace_answer`) is counted.
    ///
    /// # Errors
    /// [`Refused::Trace`](crate::Refused), with [why](crate::AskTraceError): it is no broadcast of
    /// this node, it is forgotten or older than ten minutes, or there was another trace less than
    /// a minute ago.
    pub async fn ask_trace(&self, message: MessageId) -> Result<(), OrderError> {
        self.0.orders.carry_out(Command::Trace { message }).await
    }

    /// Values that are found by their keys, on whichever nodes keep them.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # use positron_networking::{Deleted, NetworkConfig, Node};
    /// # use std::time::Duration;
    /// # let alice = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// # let bob = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// # alice.join(&bob.listen_addresses()[0].to_string()).await.unwrap();
    /// let hour = Duration::from_secs(3600);
    /// alice.dht().store("my_key", &"value", hour).await.unwrap();
    /// assert_eq!(bob.dht().retrieve::<String>("my_key").await.unwrap().unwrap(), "value");
    /// assert!(matches!(alice.dht().delete("my_key").await.unwrap(), Deleted::Deleted(_)));
    /// assert_eq!(bob.dht().retrieve::<String>("my_key").await.unwrap(), None);
    /// # });
    /// ```
    pub fn dht(&self) -> HashTable {
        HashTable::new(self.0.orders.clone())
    }

    /// [`HashTable::store`]: a value under a name that everybody may use.
    ///
    /// # Errors
    /// Those of [`HashTable::store`].
    pub async fn dht_store<T: Serialize + ?Sized>(
        &self,
        key: &str,
        value: &T,
        ttl: Duration,
    ) -> Result<Stored, DhtError> {
        self.dht().store(key, value, ttl).await
    }

    /// [`HashTable::retrieve`]: the value under such a name.
    ///
    /// # Errors
    /// Those of [`HashTable::retrieve`].
    pub async fn dht_retrieve<T: DeserializeOwned>(
        &self,
        key: &str,
    ) -> Result<Option<T>, DhtError> {
        self.dht().retrieve(key).await
    }

    /// [`HashTable::delete`]: takes back what this node stored under such a name.
    ///
    /// # Errors
    /// Those of [`HashTable::delete`].
    pub async fn dht_delete(&self, key: &str) -> Result<Deleted, DhtError> {
        self.dht().delete(key).await
    }

    /// [`HashTable::find_node`]: where a node is, by its id.
    ///
    /// # Errors
    /// Those of [`HashTable::find_node`].
    pub async fn dht_find_node(&self, id: NodeId) -> Result<Option<FoundNode>, DhtError> {
        self.dht().find_node(id).await
    }

    /// [`HashTable::stats`]: what this node keeps, knows and did of the hash table, whether it
    /// serves it, and why.
    ///
    /// # Errors
    /// The node stopped.
    pub async fn dht_get_stats(&self) -> Result<DhtStats, DhtError> {
        self.dht().stats().await
    }

    async fn order(&self, order: PeerOrder) -> Result<(), OrderError> {
        self.0.orders.carry_out(Command::Peer(order)).await
    }
}
