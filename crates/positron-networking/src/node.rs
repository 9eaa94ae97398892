//! The node that an application holds.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use positron_proto::{
    id::{MessageId, NodeId},
    node::{Command, NodeCore, Outcome},
    peers::BootstrapState,
};
use serde::Serialize;
use serde_json::Value;
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch},
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    DurableInbox, Events, Handled, Inbox, Invite, JoinError, KeptMessage, NetworkConfig, SendError,
    StartError, Stats, StopError, SubscriptionError, TrustedPeer,
    config::Checked,
    driver::{Clock, CoreTask, IncomingStreams, Published, Reply, Request, Sockets, Subscriptions},
    durable::note,
    feed::Feeds,
    handlers::Handlers,
    invite::targets_of,
    limits::{
        BROADCAST_SHARE, BROADCASTS_UNDER_WAY, JOIN_TIMEOUT, MAX_INBOX_BYTES, MAX_ORDERS,
        MAX_WAITING_EVENTS, STOP_TIMEOUT,
    },
    message::encode,
    open::{Seeds, open},
    stats::{ApplicationStats, Surroundings},
};

/// A node of the network, running.
///
/// It runs on the tokio runtime that it was started on, until [`stop`](Self::stop). A node that is
/// dropped ends too, without a goodbye: its peers notice by themselves, within three seconds. Its
/// port and its data folder are free when the runtime has come to drop its tasks and the last
/// changes are written: within five seconds, unless the runtime or the disk is held up.
///
/// All methods take `&self`: share a node between tasks in an [`Arc`].
#[derive(Debug)]
pub struct Node {
    id: NodeId,
    network: String,
    listen: Vec<SocketAddr>,
    configured: Vec<String>,
    clock: Clock,
    pub(crate) orders: mpsc::Sender<Request>,
    /// Broadcasts that may be under way.
    turns: Arc<Semaphore>,
    published: watch::Receiver<Published>,
    hub: Arc<Subscriptions>,
    handlers: Handlers,
    pub(crate) incoming_streams: Mutex<IncomingStreams>,
    driver: JoinHandle<Result<(), StopError>>,
}

/// A node that has yet to start: whoever subscribes here misses nothing.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use positron_networking::{NetworkConfig, Node};
///
/// let builder = Node::builder(NetworkConfig::loopback());
/// let (mut inbox, mut events) = (builder.subscribe(), builder.events());
/// let node = builder.start().await.unwrap();
/// # node.stop().await.unwrap();
/// # while events.recv().await.is_some() {}
/// # assert_eq!(inbox.recv().await, None);
/// # });
/// ```
#[derive(Debug)]
pub struct NodeBuilder {
    config: NetworkConfig,
    hub: Arc<Subscriptions>,
    durable: Vec<String>,
}

impl Node {
    /// Starts a node: takes the port, loads (or makes) the identity, opens the data folder, and
    /// begins to look for peers. A bootstrap node that does not answer is no error: the node goes
    /// on trying, and [`isolation_reason`](Self::isolation_reason) says how it goes.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use positron_networking::{NetworkConfig, Node, StartError};
    ///
    /// let first = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// let port = first.listen_addresses()[0].port();
    /// let second = Node::start(NetworkConfig { port, ..NetworkConfig::loopback() }).await;
    /// assert!(matches!(second, Err(StartError::Bind { .. })), "the port is in use");
    /// # });
    /// ```
    ///
    /// A start that is dropped before its end leaves no node. Its port is free at once, and its
    /// data folder when the database, which is being opened, is closed again: within five seconds,
    /// unless the disk is held up.
    ///
    /// # Errors
    /// See [`StartError`]; each says what to do about it.
    ///
    /// # Panics
    /// Outside of a tokio runtime, or on one without its time and network drivers.
    pub async fn start(config: NetworkConfig) -> Result<Self, StartError> {
        Self::builder(config).start().await
    }

    /// A node that has yet to start, for who wants to hear everything from its first moment on.
    pub fn builder(config: NetworkConfig) -> NodeBuilder {
        NodeBuilder::new(config)
    }

    async fn start_with(
        config: NetworkConfig,
        hub: Arc<Subscriptions>,
        durable: Vec<String>,
    ) -> Result<Self, StartError> {
        let checked = Checked::of(&config)?;
        if config.data_dir.is_none() && !durable.is_empty() {
            return Err(SubscriptionError::InMemory.into());
        }
        let sockets = Sockets::bind(checked.listen_address(), checked.transports()).await?;
        let bound = sockets.address;
        let core_config = checked.for_core(bound.port());
        let configured = checked.external_addresses(bound.port());
        let seeds = Seeds::draw()?;
        let (arrivals, inputs) = mpsc::unbounded_channel();
        let (identity, storage, snapshot) =
            open(config.clone(), seeds.identity, arrivals.clone()).await?;

        let clock = Clock::start();
        let id = identity.node_id();
        let mut core =
            NodeCore::new(core_config, Arc::new(identity), snapshot, &seeds.dice, clock.now());
        for name in durable {
            let subscribed = core.command(clock.now(), Command::Subscribe { name });
            subscribed.map_err(SubscriptionError::from)?;
        }
        let dial_timeout = Duration::from_secs_f64(config.connection_timeout);
        let (task, published, incoming_streams) =
            CoreTask::new(core, clock, dial_timeout, storage, hub.clone(), arrivals);
        let (orders, ordered) = mpsc::channel(MAX_ORDERS);
        let driver = tokio::spawn(task.run(sockets, inputs, ordered));
        tracing::info!(node = %id.short(), listen = %bound, "node started");
        Ok(Self {
            id,
            network: config.network,
            listen: vec![bound],
            configured,
            clock,
            orders,
            turns: Arc::new(Semaphore::new(BROADCASTS_UNDER_WAY as usize)),
            published,
            hub,
            handlers: Handlers::default(),
            incoming_streams: Mutex::new(incoming_streams),
            driver,
        })
    }

    /// Who the node is: the hash of its public key, the same after every restart from one data
    /// folder.
    pub const fn id(&self) -> NodeId {
        self.id
    }

    /// Where it listens, with the port that it got. An unspecified IP address stands for all of
    /// this machine's: `0.0.0.0` for those of IPv4, `::` for those of both families.
    pub fn listen_addresses(&self) -> &[SocketAddr] {
        &self.listen
    }

    /// Every message from now on, from everyone and to everyone or to this node.
    /// [`NodeBuilder::subscribe`] is there before the first one can come; what an inbox held when
    /// the process died is gone ([`durable`](Self::durable) has it).
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use positron_networking::{NetworkConfig, Node};
    ///
    /// let node = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// let mut inbox = node.subscribe();
    /// node.stop().await.unwrap();
    /// assert_eq!(inbox.recv().await, None, "a stopped node has no more messages");
    /// # });
    /// ```
    pub fn subscribe(&self) -> Inbox {
        Inbox(self.hub.messages.subscribe())
    }

    /// The durable subscription of this name, made if there is none: what comes from then on is
    /// kept on disk until it is [acknowledged](DurableInbox::acknowledge), and handed over again
    /// after a crash. [`NodeBuilder::durable`] makes it before the first message can come.
    ///
    /// # Errors
    /// [`SubscriptionError::InMemory`] without a data folder; others say why there is none.
    pub async fn durable(
        &self,
        name: impl Into<String>,
    ) -> Result<DurableInbox, SubscriptionError> {
        if self.published.borrow().folder.is_none() {
            return Err(SubscriptionError::InMemory);
        }
        let name = name.into();
        note(&self.orders, Command::Subscribe { name: name.clone() }).await?;
        Ok(DurableInbox::new(name, self.orders.clone(), self.hub.appended.subscribe()))
    }

    /// Ends a durable subscription: what only this one has not acknowledged is forgotten.
    ///
    /// # Errors
    /// See [`SubscriptionError`].
    pub async fn forget_durable(&self, name: impl Into<String>) -> Result<(), SubscriptionError> {
        note(&self.orders, Command::Unsubscribe { name: name.into() }).await
    }

    /// The broadcasts that the node keeps for late and healed nodes, its own and what it had before
    /// its last start too: of an hour at most, up to 10,000 messages or 32 MiB. In the order of
    /// their senders' clocks.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # use positron_networking::{NetworkConfig, Node};
    /// # let node = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// let id = node.broadcast("hello").await.unwrap();
    /// let history = node.history().await;
    /// assert_eq!((history.len(), history[0].id), (1, id));
    /// assert_eq!(history[0].decode::<String>().unwrap(), "hello");
    /// # });
    /// ```
    pub async fn history(&self) -> Vec<KeptMessage> {
        let (reply, kept) = oneshot::channel();
        // A node that stopped tells nothing.
        let _ = self.orders.send(Request::History { reply }).await;
        let mut kept = kept.await.unwrap_or_default();
        kept.sort_by_key(|message| message.timestamp);
        kept
    }

    /// What happens from now on: who joins, who leaves and why, who is banned and for what.
    pub fn events(&self) -> Events {
        Events(self.hub.events.subscribe())
    }

    /// Tells everyone, as MessagePack with the names of the fields; at most 1 MiB.
    ///
    /// Returns the message's id when message and number are on disk: from then on it survives a
    /// crash of this process (not a loss of power). Sending does not wait for that; the result
    /// does, for as long as the disk is full or away, and
    /// [`StorageWaits`](crate::NodeEvent::StorageWaits) and [`stats`](Self::stats) say what for.
    ///
    /// Cancel-safe: dropping the future does not stop the broadcast once it was polled; what is
    /// lost is only its result. While 2,048 broadcasts or 16 MiB of them are under way it waits for
    /// its turn first, and is not sent when dropped then.
    ///
    /// Who publishes faster than the connected peers take it is slowed down to the slowest of them,
    /// as long as that one moves: see [`BroadcastOutran`](crate::NodeEvent::BroadcastOutran), which
    /// says what a peer does not get because it did not. Only who publishes more than the window
    /// that is kept (10,000 messages, 32 MiB) within ten seconds ever waits for a peer.
    ///
    /// # Errors
    /// [`SendError::Refused`] and [`SendError::NotSerializable`]: nothing was sent. With
    /// [`SendError::NotDurable`] and [`SendError::Stopped`] it may have reached others.
    pub async fn broadcast<T: Serialize + ?Sized>(&self, data: &T) -> Result<MessageId, SendError> {
        self.broadcast_bytes(encode(data)?).await
    }

    /// As [`broadcast`](Self::broadcast), with the payload as it is.
    ///
    /// # Errors
    /// As [`broadcast`](Self::broadcast).
    pub async fn broadcast_bytes(&self, payload: Bytes) -> Result<MessageId, SendError> {
        let share = u32::try_from(payload.len()).unwrap_or(u32::MAX) / BROADCAST_SHARE + 1;
        let turn = Arc::clone(&self.turns).acquire_many_owned(share.min(BROADCASTS_UNDER_WAY));
        let permit = turn.await.map_err(|_| SendError::Stopped)?;
        self.finish(Command::Broadcast { payload }, Some(permit)).await
    }

    /// Tells one node, connected or in the address book, as MessagePack with the names of the
    /// fields; at most 1 MiB.
    ///
    /// Returns the message's id when the receiver acknowledged it, end to end; a node that is not
    /// connected is dialled. Gives up after 15 seconds. Cancel-safe as
    /// [`broadcast`](Self::broadcast) is.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use positron_networking::{MessageKind, NetworkConfig, Node, Refused, SendError};
    ///
    /// let alice = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// let bob = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// let stranger = alice.send_to_peer(bob.id(), "hello").await;
    /// assert_eq!(stranger, Err(SendError::Refused(Refused::UnknownPeer(bob.id()))));
    ///
    /// let mut inbox = bob.subscribe();
    /// alice.join(&bob.listen_addresses()[0].to_string()).await.unwrap();
    /// alice.send_to_peer(bob.id(), "hello").await.unwrap();
    /// let message = inbox.recv().await.unwrap();
    /// assert_eq!(message.decode::<String>().unwrap(), "hello");
    /// assert_eq!(message.kind, MessageKind::Direct);
    /// # });
    /// ```
    ///
    /// # Errors
    /// [`SendError::Refused`] and [`SendError::NotSerializable`]: nothing was sent.
    /// [`SendError::Undelivered`]: no acknowledgment came, although the receiver may have it.
    pub async fn send_to_peer<T: Serialize + ?Sized>(
        &self,
        peer: NodeId,
        data: &T,
    ) -> Result<MessageId, SendError> {
        self.send_bytes_to_peer(peer, encode(data)?).await
    }

    /// As [`send_to_peer`](Self::send_to_peer), with the payload as it is.
    ///
    /// # Errors
    /// As [`send_to_peer`](Self::send_to_peer).
    pub async fn send_bytes_to_peer(
        &self,
        peer: NodeId,
        payload: Bytes,
    ) -> Result<MessageId, SendError> {
        self.finish(Command::Send { to: peer, payload }, None).await
    }

    /// Calls `handler` with the sender and the content of every message from now on, one after the
    /// other, beside [`subscribe`](Self::subscribe). A handler of the same name is replaced.
    ///
    /// A handler is a function or an async function (one that blocks belongs into
    /// [`spawn_blocking`](tokio::task::spawn_blocking)). Messages that JSON cannot express (binary,
    /// keys that are no text) are not handed over, and counted. A handler that is too slow loses
    /// the oldest messages, as an [`Inbox`] does.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # use positron_networking::{NetworkConfig, Node};
    /// # let node = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// node.register_data_handler("log", |sender, data| println!("{sender}: {data}"));
    /// node.register_data_handler("later", async |sender, data| {
    ///     tokio::task::yield_now().await;
    ///     println!("{sender}: {}", data["message"]);
    /// });
    /// assert!(node.unregister_data_handler("log"));
    /// # });
    /// ```
    pub fn register_data_handler<H, R, How>(&self, name: impl Into<String>, handler: H)
    where
        H: Fn(NodeId, Value) -> R + Send + Sync + 'static,
        R: Handled<How>,
        How: 'static,
    {
        self.handlers.register(name.into(), self.subscribe(), handler);
    }

    /// Calls that handler no more, except for the message that it is handling. Returns whether
    /// there was one.
    pub fn unregister_data_handler(&self, name: &str) -> bool {
        self.handlers.unregister(name)
    }

    /// Connects to another node and keeps its addresses like bootstrap addresses. Returns who
    /// answered first.
    ///
    /// `target` is `host:port`, or `id@host:port`, or an [invite](Self::invite): then only the node
    /// of that id counts, whoever else answers. All addresses of an invite are tried at once.
    ///
    /// Cancel-safe: the node goes on trying.
    ///
    /// # Errors
    /// [`JoinError::Unreached`] after the first attempt at each address failed, or after 30
    /// seconds; the node goes on trying.
    pub async fn join(&self, target: &str) -> Result<NodeId, JoinError> {
        let targets = targets_of(target, &self.network).map_err(|why| unreached(target, &why))?;
        for address in &targets {
            let (reply, taken) = oneshot::channel();
            let order = Request::Join { address: address.clone(), reply };
            self.orders.send(order).await.map_err(|_| JoinError::Stopped)?;
            taken.await.map_err(|_| JoinError::Stopped)??;
        }
        let answered = timeout(JOIN_TIMEOUT, self.until_reached(&targets)).await;
        answered.unwrap_or_else(|_| Err(unreached(target, "no answer yet")))
    }

    /// What another node needs to join this one: every address at which it can be dialled, those of
    /// `external_addresses` first, then the likeliest. `None` if this machine has none of a family
    /// that the node listens on.
    pub fn invite(&self) -> Option<Invite> {
        self.stats().invite()
    }

    /// The node's numbers, at most 100 ms old, and not older than the last event.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # use positron_networking::{NetworkConfig, Node};
    /// # let node = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// let stats = node.stats();
    /// assert_eq!((stats.node_id, stats.active_peers), (node.id(), 0));
    /// println!("{}", serde_json::to_string_pretty(&stats).unwrap());
    /// # });
    /// ```
    pub fn stats(&self) -> Stats {
        let published = self.published.borrow();
        let around = Surroundings {
            network: &self.network,
            listen: &self.listen,
            configured: &self.configured,
            uptime: self.clock.uptime(),
            age: published.at.elapsed(),
            folder: published.folder.as_deref(),
            unsent: published.unsent,
            application: self.application(),
        };
        Stats::new(&published.view, around)
    }

    /// The node's numbers, not older than the call: whatever was awaited before is in them.
    pub async fn stats_now(&self) -> Stats {
        let (reply, published) = oneshot::channel();
        // The last numbers of a node that stopped stay as they are.
        let _ = self.orders.send(Request::Publish { reply }).await;
        let _ = published.await;
        self.stats()
    }

    /// When no peer is connected: why, in words. At most 100 ms old.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # use positron_networking::{NetworkConfig, Node};
    /// # let node = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// let why = node.isolation_reason().unwrap();
    /// assert!(why.starts_with("no bootstrap address was given"), "{why}");
    /// # });
    /// ```
    pub fn isolation_reason(&self) -> Option<String> {
        self.published.borrow().view.isolation_reason()
    }

    /// The peers with at least this score (0.0 to `max_trust_score`), connected or not, the most
    /// trusted first, as they are now.
    pub async fn trusted_peers(&self, min_trust: f64) -> Vec<TrustedPeer> {
        let (reply, trusted) = oneshot::channel();
        // A node that stopped trusts nobody.
        let _ = self.orders.send(Request::Trusted { min_trust, reply }).await;
        trusted.await.unwrap_or_default()
    }

    /// Ends the node within five seconds: tells every peer that it is shutting down, sends what was
    /// said, writes what is to be remembered, lets the handlers finish. When this returns, its
    /// port, its connections and its data folder are free, and another node may have them at once.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # use positron_networking::{NetworkConfig, Node};
    /// let node = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// let port = node.listen_addresses()[0].port();
    /// node.stop().await.unwrap();
    /// Node::start(NetworkConfig { port, ..NetworkConfig::loopback() }).await.unwrap();
    /// # });
    /// ```
    ///
    /// # Errors
    /// See [`StopError`]; the node is stopped all the same. Only with [`StopError::TimedOut`] may
    /// the data folder be held on, until the disk has taken what it was given.
    pub async fn stop(mut self) -> Result<(), StopError> {
        let until = Instant::now() + STOP_TIMEOUT;
        let graceful = async {
            let (reply, _) = oneshot::channel();
            // A driver that is over has nothing to be told.
            let stop = Request::Command { command: Command::Stop, reply, permit: None };
            let _ = self.orders.send(stop).await;
            (&mut self.driver).await.unwrap_or(Err(StopError::Crashed))
        };
        let Ok(ended) = timeout_at(until, graceful).await else {
            self.driver.abort();
            // It is gone when its task is; how it ended is known.
            let _ = (&mut self.driver).await;
            return Err(StopError::TimedOut);
        };
        match timeout_at(until, self.handlers.finish()).await {
            Ok(()) => ended,
            Err(_) => ended.and(Err(StopError::TimedOut)),
        }
    }

    /// Gives a command to the core and waits for its end.
    async fn finish(
        &self,
        command: Command,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<MessageId, SendError> {
        let (reply, end) = oneshot::channel::<Reply>();
        let order = Request::Command { command, reply, permit };
        self.orders.send(order).await.map_err(|_| SendError::Stopped)?;
        match end.await.map_err(|_| SendError::Stopped)?? {
            Outcome::Durable(id) | Outcome::Delivered(id) => Ok(id),
            Outcome::Undelivered(why) => Err(SendError::Undelivered(why)),
            Outcome::NotDurable(why) => Err(SendError::NotDurable(why)),
            Outcome::Joining
            | Outcome::Noted
            | Outcome::Stopped
            | Outcome::StreamOpened(_)
            | Outcome::StreamNotOpened(_) => Err(SendError::Stopped),
        }
    }

    /// Follows the state of some bootstrap addresses until one is reached, or none can be.
    async fn until_reached(&self, addresses: &[String]) -> Result<NodeId, JoinError> {
        // What was published before the call is not the answer to it.
        self.stats_now().await;
        let mut published = self.published.clone();
        loop {
            let mut failures = Vec::new();
            for one in &published.borrow_and_update().view.bootstrap {
                match &one.state {
                    _ if !addresses.contains(&one.address) => {}
                    BootstrapState::Reached(node) => return Ok(*node),
                    BootstrapState::Trying => {}
                    failed => failures.push(failed.to_string()),
                }
            }
            if failures.len() == addresses.len() {
                return Err(unreached(&addresses.join(", "), &failures.join("; ")));
            }
            published.changed().await.map_err(|_| JoinError::Stopped)?;
        }
    }

    fn application(&self) -> ApplicationStats {
        let (subscribers, messages_dropped) = self.hub.messages.usage();
        let (_, events_dropped) = self.hub.events.usage();
        ApplicationStats {
            subscribers,
            messages_dropped,
            messages_unheard: self.hub.messages.unheard(),
            events_dropped,
            undecodable: self.handlers.undecodable(),
        }
    }
}

impl NodeBuilder {
    fn new(config: NetworkConfig) -> Self {
        let hub = Subscriptions {
            messages: Feeds::new(config.message_buffer_size, MAX_INBOX_BYTES),
            events: Feeds::new(MAX_WAITING_EVENTS, usize::MAX),
            appended: watch::Sender::default(),
        };
        Self { config, hub: Arc::new(hub), durable: Vec::new() }
    }

    /// Every message from the first one on; see [`Node::subscribe`].
    pub fn subscribe(&self) -> Inbox {
        Inbox(self.hub.messages.subscribe())
    }

    /// Everything that happens from the start on; see [`Node::events`].
    pub fn events(&self) -> Events {
        Events(self.hub.events.subscribe())
    }

    /// Keeps every message from the first one on for a durable subscription, until it is
    /// acknowledged; [`Node::durable`] gives them.
    #[must_use]
    pub fn durable(mut self, name: impl Into<String>) -> Self {
        self.durable.push(name.into());
        self
    }

    /// Starts the node; see [`Node::start`].
    ///
    /// # Errors
    /// See [`StartError`]; each says what to do about it.
    ///
    /// # Panics
    /// Outside of a tokio runtime, or on one without its time and network drivers.
    pub async fn start(self) -> Result<Node, StartError> {
        Node::start_with(self.config, self.hub, self.durable).await
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn unreached(address: &str, why: &str) -> JoinError {
    JoinError::Unreached { address: address.to_owned(), reason: why.to_owned() }
}
