//! Messages that the application acknowledges, across restarts.

use positron_proto::node::{Command, Unacknowledged};
use tokio::sync::{oneshot, watch};

use crate::{Received, SubscriptionError, driver::Order, orders::Orders};

/// A durable subscription: every message since it was made is handed over until it is
/// [acknowledged](Self::acknowledge), again after every restart.
///
/// Messages wait on disk, for all subscriptions together up to 10,000 messages or 32 MiB. Beyond
/// that the oldest are forgotten, and whoever has not acknowledged them is told how many he
/// [missed](DurableMessage::missed). Nobody has to read quickly: what waits takes no memory of its
/// own.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use positron_networking::{NetworkConfig, Node};
///
/// # let folder = tempfile::tempdir().unwrap();
/// let data_dir = Some(folder.path().join("bob"));
/// let config = NetworkConfig { data_dir, ..NetworkConfig::loopback() };
/// let bob = Node::builder(config.clone()).durable("ledger").start().await.unwrap();
/// let alice = Node::start(NetworkConfig::loopback()).await.unwrap();
/// alice.join(&bob.listen_addresses()[0].to_string()).await.unwrap();
/// alice.send_to_peer(bob.id(), "hello").await.unwrap();
/// bob.shutdown().await.unwrap(); // or a crash
///
/// let bob = Node::builder(config).durable("ledger").start().await.unwrap();
/// let mut ledger = bob.durable("ledger").await.unwrap();
/// let hello = ledger.recv().await.unwrap();
/// assert_eq!(hello.message.decode::<String>().unwrap(), "hello");
/// ledger.acknowledge(&hello).await.unwrap(); // never again
/// # });
/// ```
#[derive(Debug)]
pub struct DurableInbox {
    name: String,
    /// The number of the next message, at least.
    from: u64,
    orders: Orders,
    /// Tells that a message came.
    appended: watch::Receiver<()>,
}

/// A message of a [`DurableInbox`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurableMessage {
    /// The message.
    pub message: Received,
    /// Messages right before it that were forgotten because they were not acknowledged in time.
    pub missed: u64,
    number: u64,
}

impl DurableInbox {
    pub(crate) const fn new(name: String, orders: Orders, appended: watch::Receiver<()>) -> Self {
        Self { name, from: 0, orders, appended }
    }

    /// The next message that was not acknowledged; `None` once the node stopped. A message is
    /// handed over once by each inbox, and again by the next one.
    ///
    /// Cancel-safe.
    pub async fn recv(&mut self) -> Option<DurableMessage> {
        loop {
            self.appended.borrow_and_update();
            let (reply, next) = oneshot::channel();
            let order = Order::Next { name: self.name.clone(), from: self.from, reply };
            self.orders.send(order).await.ok()?;
            if let Some(Unacknowledged { number, missed, delivered }) = next.await.ok()? {
                self.from = number + 1;
                return Some(DurableMessage {
                    message: Received::new(delivered, self.orders.clone()),
                    missed,
                    number,
                });
            }
            self.appended.changed().await.ok()?;
        }
    }

    /// This message and all before it are dealt with. Returns when that is on disk: from then on
    /// not even a crash has them handed over again.
    ///
    /// # Errors
    /// They are handed over again after a restart, or may be.
    pub async fn acknowledge(&self, message: &DurableMessage) -> Result<(), SubscriptionError> {
        let (name, up_to) = (self.name.clone(), message.number);
        self.orders.note(Command::Acknowledge { name, up_to }).await
    }
}
