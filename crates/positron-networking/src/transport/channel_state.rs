//! What every connection has, whatever carries it: a name, whoever holds it, and who waits for what
//! becomes of it.

use std::sync::{
    OnceLock,
    atomic::{AtomicBool, Ordering},
};

use positron_proto::datagram::contract::Closed;
use tokio::sync::Notify;

use super::{
    mailbox::Mailbox,
    ownership::{ConnectionId, Ownership},
    wait::until,
};

/// Who holds a connection, whether it takes more, has sent everything, is over.
#[derive(Debug)]
pub struct ChannelState {
    pub(super) id: ConnectionId,
    pub(super) ownership: Ownership,
    pub(super) mailbox: Mailbox,
    /// A refused send may be tried again, or the connection is over.
    pub(super) writable: Notify,
    /// Anything else happened.
    pub(super) changed: Notify,
    closed: OnceLock<Closed>,
    /// Whether something was sent and is not acknowledged.
    unacknowledged: AtomicBool,
}

impl Default for ChannelState {
    fn default() -> Self {
        Self {
            id: ConnectionId::next(),
            ownership: Ownership::default(),
            mailbox: Mailbox::default(),
            writable: Notify::new(),
            changed: Notify::new(),
            closed: OnceLock::new(),
            unacknowledged: AtomicBool::new(false),
        }
    }
}

impl ChannelState {
    /// Why it is over, if it is.
    pub(super) fn closed(&self) -> Option<&Closed> {
        self.closed.get()
    }

    /// Something was sent.
    pub(super) fn sent(&self) {
        self.unacknowledged.store(true, Ordering::Release);
    }

    /// Everything was acknowledged or given up.
    pub(super) fn drained(&self) {
        self.unacknowledged.store(false, Ordering::Release);
        self.changed.notify_waiters();
    }

    pub(super) fn is_drained(&self) -> bool {
        !self.unacknowledged.load(Ordering::Acquire)
    }

    /// It is over; the first reason stays.
    pub(super) fn end(&self, why: Closed) {
        let _ = self.closed.set(why);
        self.writable.notify_waiters();
        self.changed.notify_waiters();
    }

    /// Waits until everything is acknowledged or given up, or else until it is over.
    pub(super) async fn until_drained(&self) -> Result<(), Closed> {
        until(&self.changed, || match self.closed() {
            _ if self.is_drained() => Some(Ok(())),
            Some(why) => Some(Err(why.clone())),
            None => None,
        })
        .await
    }

    /// Waits until it is over.
    pub(super) async fn until_closed(&self) -> Closed {
        until(&self.changed, || self.closed().cloned()).await
    }
}
