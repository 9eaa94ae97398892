//! What callers want of the core, and how it ended.

use positron_proto::{
    id::{MessageId, NodeId},
    node::{Command, Outcome, RoundTrip},
};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::{
    OrderError, SendError, SubscriptionError,
    driver::{Order, Reply},
};

/// The way to a node's core, for everybody who has an errand there. It does not keep the node
/// running.
#[derive(Clone, Debug)]
pub(crate) struct Orders(mpsc::Sender<Order>);

/// The node has ended: nobody takes orders.
#[derive(Debug)]
pub(crate) struct NobodyThere;

impl Orders {
    pub(crate) const fn new(orders: mpsc::Sender<Order>) -> Self {
        Self(orders)
    }

    /// Whether the node has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Waits until the core takes the order.
    pub(crate) async fn send(&self, order: Order) -> Result<(), NobodyThere> {
        self.0.send(order).await.map_err(|_| NobodyThere)
    }

    /// Says something to one or all, and waits for its end.
    pub(crate) async fn say(
        &self,
        command: Command,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<MessageId, SendError> {
        match self.command(command, permit).await.ok_or(SendError::Stopped)?? {
            Outcome::Durable(id) | Outcome::Delivered(id) => Ok(id),
            Outcome::Undelivered(why) => Err(SendError::Undelivered(why)),
            Outcome::NotDurable(why) => Err(SendError::NotDurable(why)),
            _ => Err(SendError::Stopped),
        }
    }

    /// Tells the core something about a subscription, and waits until it is on disk.
    pub(crate) async fn note(&self, command: Command) -> Result<(), SubscriptionError> {
        match self.command(command, None).await.ok_or(SubscriptionError::Stopped)?? {
            Outcome::Noted => Ok(()),
            Outcome::NotDurable(why) => Err(SubscriptionError::NotDurable(why)),
            _ => Err(SubscriptionError::Stopped),
        }
    }

    /// Has something done, and waits until it is.
    pub(crate) async fn carry_out(&self, command: Command) -> Result<(), OrderError> {
        self.command(command, None).await.ok_or(OrderError::Stopped)??;
        Ok(())
    }

    /// Has a linked peer answer, and waits until it has.
    pub(crate) async fn ping(&self, peer: NodeId) -> Result<RoundTrip, OrderError> {
        match self.command(Command::Ping { peer }, None).await.ok_or(OrderError::Stopped)?? {
            Outcome::Pong(trip) => Ok(trip),
            _ => Err(OrderError::Stopped),
        }
    }

    /// Gives a command and waits for its end; `None` if the node ended first.
    pub(crate) async fn command(
        &self,
        command: Command,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Option<Reply> {
        let (reply, end) = oneshot::channel();
        self.send(Order::Command { command, reply, permit }).await.ok()?;
        end.await.ok()
    }
}
