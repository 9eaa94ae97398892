//! The node that an application holds.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use positron_proto::{
    id::{MessageId, NodeId},
    node::{Command, NodeCore},
    peers::BootstrapState,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::{
    runtime::Handle,
    sync::{Mutex, Semaphore, mpsc, oneshot},
    time::timeout,
};

use crate::{
    DurableInbox, Events, Handled, Inbox, Invite, JoinError, KeptMessage, NetworkConfig,
    NodeBuilder, Received, SendError, ShutdownError, StartError, Stats, SubscriptionError,
    TrustError, TrustManager, TrustedPeer, TypedInbox,
    config::Checked,
    driver::{Arrivals, Clock, CoreTask, IncomingStreams, Order, Shown, Sockets, Subscriptions},
    handlers::Handlers,
    invite::targets_of,
    limits::{BROADCAST_SHARE, BROADCASTS_UNDER_WAY, JOIN_TIMEOUT, MAX_ORDERS},
    message::encode,
    metrics::{ByPeer, MetricsFormat, Numbers, get_metrics},
    open::{Seeds, open, warn_of_missing},
    orders::Orders,
    shutdown::Shutdown,
    stats::Surroundings,
};

/// A handle of a node of the network that runs: cheap to clone, and each clone is the same node.
///
/// The node runs on the tokio runtime that it was started on, until [`shutdown`](Self::shutdown),
/// or until its last handle is dropped, which begins the same end, goodbye to its peers included,
/// and does not wait for it. An [`Inbox`], a [`DurableInbox`] and [`Events`] do not keep a node
/// running; a clone that a handler holds does. When the runtime ends first, nothing more is said:
/// peers notice within three seconds of what they say to it next.
#[derive(Clone, Debug)]
pub struct Node(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    id: NodeId,
    network: String,
    listen: Vec<SocketAddr>,
    configured: Vec<String>,
    pub(crate) clock: Clock,
    pub(crate) orders: Orders,
    pub(crate) arrivals: Arrivals,
    /// Broadcasts that may be under way.
    turns: Arc<Semaphore>,
    pub(crate) shown: Shown,
    pub(crate) hub: Arc<Subscriptions>,
    handlers: Arc<Handlers>,
    pub(crate) incoming_streams: Mutex<IncomingStreams>,
    shutdown: Shutdown,
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
    /// On a tokio runtime without its time and network drivers.
    pub async fn start(config: NetworkConfig) -> Result<Self, StartError> {
        Self::builder(config).start().await
    }

    /// A node that has yet to start, for who wants to hear everything from its first moment on.
    pub fn builder(config: NetworkConfig) -> NodeBuilder {
        NodeBuilder::new(config)
    }

    /// Who the node is: the hash of its public key, the same after every restart from one data
    /// folder.
    pub fn id(&self) -> NodeId {
        self.0.id
    }

    /// Where it listens, with the port that it got. An unspecified IP address stands for all of
    /// this machine's: `0.0.0.0` for those of IPv4, `::` for those of both families.
    pub fn listen_addresses(&self) -> &[SocketAddr] {
        &self.0.listen
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
    /// node.shutdown().await.unwrap();
    /// assert_eq!(inbox.recv().await, None, "a stopped node has no more messages");
    /// # });
    /// ```
    pub fn subscribe(&self) -> Inbox {
        Inbox(self.0.hub.messages.subscribe())
    }

    /// Every message from now on that reads as a `T`, with what it says. Others are skipped, and
    /// [counted](TypedInbox::skipped).
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # use positron_networking::{NetworkConfig, Node};
    /// # let alice = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// # let bob = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// # alice.join(&bob.listen_addresses()[0].to_string()).await.unwrap();
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct Block { height: u64 }
    ///
    /// let mut blocks = bob.subscribe_as::<Block>();
    /// alice.send_to_peer(bob.id(), "no block").await.unwrap();
    /// alice.send_to_peer(bob.id(), &Block { height: 7 }).await.unwrap();
    /// let (message, block) = blocks.recv().await.unwrap();
    /// assert_eq!((message.sender, block.height, blocks.skipped()), (alice.id(), 7, 1));
    /// # });
    /// ```
    pub fn subscribe_as<T: DeserializeOwned>(&self) -> TypedInbox<T> {
        TypedInbox::new(self.subscribe(), self.0.hub.undecodable.clone())
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
        if self.0.shown.look().folder.is_none() {
            return Err(SubscriptionError::InMemory);
        }
        let name = name.into();
        self.0.orders.note(Command::Subscribe { name: name.clone() }).await?;
        Ok(DurableInbox::new(name, self.0.orders.clone(), self.0.hub.appended.subscribe()))
    }

    /// Ends a durable subscription: what only this one has not acknowledged is forgotten.
    ///
    /// # Errors
    /// See [`SubscriptionError`].
    pub async fn forget_durable(&self, name: impl Into<String>) -> Result<(), SubscriptionError> {
        self.0.orders.note(Command::Unsubscribe { name: name.into() }).await
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
        let _ = self.0.orders.send(Order::History { reply }).await;
        let kept = kept.await.unwrap_or_default();
        let mut kept: Vec<_> = kept.iter().map(KeptMessage::new).collect();
        kept.sort_by_key(|message| message.timestamp);
        kept
    }

    /// What happens from now on: who joins, who leaves and why, who is banned and for what.
    pub fn events(&self) -> Events {
        Events(self.0.hub.events.subscribe())
    }

    /// Tells everyone, as MessagePack with the names of the fields; at most 1 MiB.
    ///
    /// Returns the message's id when message and number are on disk: from then on it survives a
    /// crash of this process (not a loss of power). Sending does not wait for that; the result
    /// does, for as long as the disk is full or away, and
    /// [`StorageWaits`](crate::NodeEvent::StorageWaits) and [`stats`](Self::stats) say what for. On
    /// a node that hears much more than it says it comes up to 10 ms later, with what else is
    /// written then: who has much to say need not wait for one before the next.
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
        let turn = Arc::clone(&self.0.turns).acquire_many_owned(share.min(BROADCASTS_UNDER_WAY));
        let permit = turn.await.map_err(|_| SendError::Stopped)?;
        self.0.orders.say(Command::Broadcast { payload }, Some(permit)).await
    }

    /// Tells one node, as MessagePack with the names of the fields; at most 1 MiB.
    ///
    /// Returns the message's id when the receiver acknowledged it, end to end; a node that is not
    /// connected is dialled. One that is not in the address book either is looked for in the hash
    /// table, by its id: see [`dht`](Self::dht). Gives up after 15 seconds, and 10 for the search.
    /// Cancel-safe as [`broadcast`](Self::broadcast) is.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use positron_networking::{MessageKind, NetworkConfig, Node, Refused, SendError};
    ///
    /// let alice = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// let bob = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// let stranger = alice.send_to_peer(bob.id(), "hello").await;
    /// // Nobody knows him here, and there is nobody to ask.
    /// let unknown = Refused::UnknownPeer { peer: bob.id(), asked: 0 };
    /// assert_eq!(stranger, Err(SendError::Refused(unknown)));
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
        self.0.orders.say(Command::Send { to: peer, payload }, None).await
    }

    /// Calls `handler` with every message from now on, one after the other, beside
    /// [`subscribe`](Self::subscribe). A handler of the same name is called no more.
    ///
    /// A handler is a function or an async function; it [replies](Received::reply) or not. One that
    /// blocks belongs into [`spawn_blocking`](tokio::task::spawn_blocking). One that panics is
    /// called with the next message all the same; one that is too slow loses the oldest messages,
    /// as an [`Inbox`] does.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # use positron_networking::{NetworkConfig, Node};
    /// # let node = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// node.on_message("greeter", async |message| {
    ///     let _ = message.reply("hello").await; // whoever is gone hears nothing
    /// });
    /// node.on_message("log", |message| println!("{}: {:?}", message.sender, message.payload));
    /// assert!(node.remove_handler("log"));
    /// # });
    /// ```
    pub fn on_message<H, R, How>(&self, name: impl Into<String>, handler: H)
    where
        H: Fn(Received) -> R + Send + Sync + 'static,
        R: Handled<How>,
        How: 'static,
    {
        self.0.handlers.register(name.into(), self.subscribe(), handler);
    }

    /// As [`on_message`](Self::on_message), for handlers that want sender and content alone. What
    /// JSON cannot express (binary, keys that are no text) is not handed over, and counted.
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
    /// # });
    /// ```
    pub fn register_data_handler<H, R, How>(&self, name: impl Into<String>, handler: H)
    where
        H: Fn(NodeId, Value) -> R + Send + Sync + 'static,
        R: Handled<How>,
        How: 'static,
    {
        let undecodable = self.0.hub.undecodable.clone();
        self.on_message(name, move |message| {
            let call = match message.decode() {
                Ok(data) => Some(handler(message.sender, data).rest()),
                Err(_) => {
                    undecodable.count();
                    None
                }
            };
            async {
                if let Some(rest) = call {
                    rest.await;
                }
            }
        });
    }

    /// Calls the handler of this name no more, except for the message that it is handling. Returns
    /// whether there was one.
    pub fn remove_handler(&self, name: &str) -> bool {
        self.0.handlers.unregister(name)
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
    /// seconds; the node goes on trying until it is told to [forget](Self::forget) the address.
    pub async fn join(&self, target: &str) -> Result<NodeId, JoinError> {
        let targets = targets_of(target, &self.0.network)
            .map_err(|why| JoinError::unreached(target, &why))?;
        for address in &targets {
            let (reply, taken) = oneshot::channel();
            let order = Order::Join { address: address.clone(), reply };
            self.0.orders.send(order).await.map_err(|_| JoinError::Stopped)?;
            taken.await.map_err(|_| JoinError::Stopped)??;
        }
        let answered = timeout(JOIN_TIMEOUT, self.until_reached(&targets)).await;
        answered.unwrap_or_else(|_| Err(JoinError::unreached(target, "no answer yet")))
    }

    /// What another node needs to join this one: every address at which it can be dialled, those of
    /// `external_addresses` first, then the likeliest. `None` if this machine has none of a family
    /// that the node listens on.
    pub fn invite(&self) -> Option<Invite> {
        self.stats().invite()
    }

    /// The node's numbers, at most half a second old, 100 ms if somebody looks at them that often,
    /// and not older than the last event.
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
        let published = self.0.shown.look();
        let around = Surroundings {
            network: &self.0.network,
            listen: &self.0.listen,
            configured: &self.0.configured,
            uptime: self.0.clock.uptime(),
            age: published.at.elapsed(),
            folder: published.folder.as_deref(),
            unsent: published.unsent,
            application: self.0.hub.application(),
        };
        Stats::new(&published.view, around)
    }

    /// The node's numbers, not older than the call: whatever was awaited before is in them.
    pub async fn stats_now(&self) -> Stats {
        let (reply, published) = oneshot::channel();
        // The last numbers of a node that stopped stay as they are.
        let _ = self.0.orders.send(Order::Publish { reply }).await;
        let _ = published.await;
        self.stats()
    }

    /// The node's numbers as a text for Prometheus and the like, and beside them those of the
    /// application ([`metrics`](crate::metrics)). As old as [`stats`](Self::stats).
    pub fn metrics(&self, format: MetricsFormat, detail: ByPeer) -> String {
        get_metrics().of_node(self.0.numbers(detail)).text(format)
    }

    /// When no peer is connected: why, in words. As old as [`stats`](Self::stats).
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
        self.0.shown.look().view.isolation_reason()
    }

    /// What this node makes of others; beside it [`trusted_peers`](Self::trusted_peers).
    pub fn trust_manager(&self) -> TrustManager {
        TrustManager::new(self.0.orders.clone())
    }

    /// Whom a connected peer trusts, by its own word.
    ///
    /// # Errors
    /// Those of [`TrustManager::request_trusted_peers`], which says more.
    pub async fn request_trusted_peers(
        &self,
        peer: NodeId,
    ) -> Result<Vec<TrustedPeer>, TrustError> {
        self.trust_manager().request_trusted_peers(peer).await
    }

    /// Tells all peers whom this node trusts; how many were told.
    ///
    /// # Errors
    /// The node stopped; [`TrustManager::share_trusted_peers`] says more.
    pub async fn share_trusted_peers(&self) -> Result<usize, TrustError> {
        self.trust_manager().share_trusted_peers().await
    }

    /// The peers with at least this score (0.0 to `max_trust_score`), connected or not, the most
    /// trusted first, as they are now.
    pub async fn trusted_peers(&self, min_trust: f64) -> Vec<TrustedPeer> {
        self.trust_manager().get_trusted_peers(min_trust).await
    }

    /// Ends the node within five seconds: tells every peer that it is shutting down, sends what was
    /// said, writes what is to be remembered, lets the handlers finish. When this returns, its
    /// port, its connections and its data folder are free, and another node may have them at once.
    ///
    /// May be called from everywhere and as often as you like: there is one end, for which all
    /// callers wait, and each hears how it was. A data handler that calls it is not waited for.
    ///
    /// Cancel-safe: once polled, the end goes on without the future.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # use positron_networking::{NetworkConfig, Node};
    /// let node = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// let port = node.listen_addresses()[0].port();
    /// node.shutdown().await.unwrap();
    /// Node::start(NetworkConfig { port, ..NetworkConfig::loopback() }).await.unwrap();
    /// # });
    /// ```
    ///
    /// # Errors
    /// See [`ShutdownError`]; the node is ended all the same. Only with
    /// [`ShutdownError::TimedOut`] may the data folder be held on, until the disk has taken what it
    /// was given.
    pub async fn shutdown(&self) -> Result<(), ShutdownError> {
        self.0.handlers.excuse_caller();
        self.0.shutdown.ask().await
    }

    /// Follows the state of some bootstrap addresses until one is reached, or none can be.
    async fn until_reached(&self, addresses: &[String]) -> Result<NodeId, JoinError> {
        // What was published before the call is not the answer to it.
        self.stats_now().await;
        let mut shown = self.0.shown.clone();
        loop {
            let mut failures = Vec::new();
            for address in addresses {
                let all = &shown.look_again().view.bootstrap;
                match all.iter().find(|one| one.address == *address).map(|one| &one.state) {
                    Some(BootstrapState::Reached(node)) => return Ok(*node),
                    Some(BootstrapState::Trying) => {}
                    Some(failed) => failures.push(failed.to_string()),
                    None => failures.push("it was forgotten".to_owned()),
                }
            }
            if failures.len() == addresses.len() {
                return Err(JoinError::unreached(&addresses.join(", "), &failures.join("; ")));
            }
            shown.changed().await.map_err(|_| JoinError::Stopped)?;
        }
    }
}

impl NodeBuilder {
    /// Starts the node; see [`Node::start`].
    ///
    /// # Errors
    /// See [`StartError`]; each says what to do about it.
    ///
    /// # Panics
    /// On a tokio runtime without its time and network drivers.
    pub async fn start(self) -> Result<Node, StartError> {
        let Self { config, key, hub, durable } = self;
        Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        let checked = Checked::of(&config)?;
        if config.data_dir.is_none() && !durable.is_empty() {
            return Err(SubscriptionError::InMemory.into());
        }
        let sockets = Sockets::bind(checked.listen_address(), checked.transports()).await?;
        let bound = sockets.address;
        let mut core_config = checked.for_core(bound.port());
        core_config.gossip.validates = hub.validator.handler().is_some();
        let configured = checked.external_addresses(bound.port());
        let seeds = Seeds::draw()?;
        let (arrivals, inputs) = mpsc::unbounded_channel();
        let (identity, storage, snapshot) =
            open(config.clone(), key, seeds.identity, arrivals.clone()).await?;

        let reserved = [&core_config.peers.reserved[..], &snapshot.reserved].concat();
        let clock = Clock::start();
        let id = identity.node_id();
        let mut core =
            NodeCore::new(core_config, Arc::new(identity), snapshot, &seeds.dice, clock.now());
        for name in durable {
            let subscribed = core.command(clock.now(), Command::Subscribe { name });
            subscribed.map_err(SubscriptionError::from)?;
        }
        warn_of_missing(&reserved, &core.view(clock.now()).reserved);
        let dial_timeout = Duration::from_secs_f64(config.connection_timeout);
        let (orders, ordered) = mpsc::channel(MAX_ORDERS);
        let orders = Orders::new(orders);
        let (task, shown, incoming_streams) = CoreTask::new(
            core,
            clock,
            dial_timeout,
            storage,
            hub.clone(),
            arrivals.clone(),
            orders.clone(),
        );
        let handlers = Arc::new(Handlers::default());
        let driver = tokio::spawn(task.run(sockets, inputs, ordered));
        tracing::info!(node = %id.short(), listen = %bound, "node started");
        let node = Arc::new(Inner {
            id,
            network: config.network,
            listen: vec![bound],
            configured,
            clock,
            orders: orders.clone(),
            arrivals,
            turns: Arc::new(Semaphore::new(BROADCASTS_UNDER_WAY as usize)),
            shown,
            hub,
            handlers: handlers.clone(),
            incoming_streams: Mutex::new(incoming_streams),
            shutdown: Shutdown::watch(driver, orders, handlers),
        });
        get_metrics().watch(Arc::downgrade(&node) as _);
        Ok(Node(node))
    }
}
