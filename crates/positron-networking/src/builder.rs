//! A node before it starts.

use std::sync::Arc;

use positron_proto::identity::{Identity, Passphrase};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::{
    Events, Inbox, NetworkConfig, Received, TypedInbox, Validity,
    driver::{HandlerSlot, Subscriptions},
    feed::Feeds,
    limits::{MAX_INBOX_BYTES, MAX_WAITING_EVENTS},
    open::GivenKey,
    validation::Validator,
};

/// A node that has yet to start: whoever subscribes here misses nothing.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use positron_networking::{NetworkConfig, Node};
///
/// let builder = Node::builder(NetworkConfig::loopback());
/// let (mut inbox, mut events) = (builder.subscribe(), builder.events());
/// let node = builder.start().await.unwrap();
/// # node.shutdown().await.unwrap();
/// # while events.recv().await.is_some() {}
/// # assert_eq!(inbox.recv().await, None);
/// # });
/// ```
#[derive(Debug)]
pub struct NodeBuilder {
    pub(crate) config: NetworkConfig,
    pub(crate) key: GivenKey,
    pub(crate) hub: Arc<Subscriptions>,
    pub(crate) durable: Vec<String>,
}

impl NodeBuilder {
    pub(crate) fn new(config: NetworkConfig) -> Self {
        let hub = Subscriptions {
            messages: Feeds::new(config.message_buffer_size, MAX_INBOX_BYTES),
            events: Feeds::new(MAX_WAITING_EVENTS, usize::MAX),
            appended: watch::Sender::default(),
            undecodable: Arc::default(),
            requests: HandlerSlot::default(),
            validator: HandlerSlot::default(),
        };
        Self { config, key: GivenKey::default(), hub: Arc::new(hub), durable: Vec::new() }
    }

    /// The key of the node, for who keeps it elsewhere than in a file of the data folder; see
    /// [`keys`](crate::keys). A key file that is there as well is an error.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.key.identity = Some(identity);
        self
    }

    /// What the key file is encrypted under, in place of what
    /// [`key_passphrase_file`](NetworkConfig::key_passphrase_file) says.
    #[must_use]
    pub fn key_passphrase(mut self, passphrase: Passphrase) -> Self {
        self.key.passphrase = Some(passphrase);
        self
    }

    /// Every message from the first one on; see [`Node::subscribe`](crate::Node::subscribe).
    pub fn subscribe(&self) -> Inbox {
        Inbox(self.hub.messages.subscribe())
    }

    /// Every message from the first one on that reads as a `T`; see
    /// [`Node::subscribe_as`](crate::Node::subscribe_as).
    pub fn subscribe_as<T: DeserializeOwned>(&self) -> TypedInbox<T> {
        TypedInbox::new(self.subscribe(), self.hub.undecodable.clone())
    }

    /// Everything that happens from the start on; see [`Node::events`](crate::Node::events).
    pub fn events(&self) -> Events {
        Events(self.hub.events.subscribe())
    }

    /// Has `validator` say which broadcasts of others are valid. Before it has
    /// [accepted](Validity::Accept) one, nobody hears of it from this node: it is handed over to no
    /// inbox, kept for no latecomer and passed on to no peer. A signature is checked before that,
    /// and a message that came twice is judged once. Our own broadcasts are not judged, nor are
    /// direct messages.
    ///
    /// It is called for many messages at once, each in a task of its own: at most 512 that one peer
    /// brought, and 16,384 in all. Then peers wait. A call that takes longer than
    /// [10 s](positron_proto::limits::VALIDATION_TIMEOUT) is too late, and the message is asked for
    /// and judged again. One that panics has [ignored](Validity::Ignore) the message.
    ///
    /// Let all nodes of a network judge alike: whoever passes on what others
    /// [reject](Validity::Reject) is held to account by them. What a node refused is not told to
    /// anybody, and it is judged again after a restart.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use positron_networking::{NetworkConfig, Node, Validity};
    ///
    /// let alice = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// let bob = Node::builder(NetworkConfig::loopback())
    ///     .validator(async |message| match message.decode::<u64>() {
    ///         Ok(amount) if amount <= 21_000_000 => Validity::Accept,
    ///         Ok(_) => Validity::Ignore,
    ///         Err(_) => Validity::Reject,
    ///     })
    ///     .start()
    ///     .await
    ///     .unwrap();
    /// let mut inbox = bob.subscribe();
    /// alice.join(&bob.listen_addresses()[0].to_string()).await.unwrap();
    /// alice.broadcast(&u64::MAX).await.unwrap();
    /// alice.broadcast(&7_u64).await.unwrap();
    /// assert_eq!(inbox.recv().await.unwrap().decode::<u64>().unwrap(), 7);
    /// # });
    /// ```
    #[must_use]
    pub fn validator<F>(self, validator: impl Fn(Received) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Validity> + Send + 'static,
    {
        self.hub.validator.set(Some(Validator::new(validator)));
        self
    }

    /// Keeps every message from the first one on for a durable subscription, until it is
    /// acknowledged; [`Node::durable`](crate::Node::durable) gives them.
    #[must_use]
    pub fn durable(mut self, name: impl Into<String>) -> Self {
        self.durable.push(name.into());
        self
    }
}
