//! A node before it starts.

use std::sync::Arc;

use positron_proto::identity::{Identity, Passphrase};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::{
    Events, Inbox, NetworkConfig, TypedInbox,
    driver::{HandlerSlot, Subscriptions},
    feed::Feeds,
    limits::{MAX_INBOX_BYTES, MAX_WAITING_EVENTS},
    open::GivenKey,
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

    /// Keeps every message from the first one on for a durable subscription, until it is
    /// acknowledged; [`Node::durable`](crate::Node::durable) gives them.
    #[must_use]
    pub fn durable(mut self, name: impl Into<String>) -> Self {
        self.durable.push(name.into());
        self
    }
}
