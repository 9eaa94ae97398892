//! Handlers: functions that are called with what others send, by name.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use positron_proto::id::NodeId;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::Inbox;

/// What a data handler may return: nothing, or a future of nothing. You never implement it.
pub trait Handled<How>: Send + 'static {
    /// The rest of the work.
    fn rest(self) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Marks handlers that are done when they return.
#[derive(Debug)]
pub struct SyncHandler;

/// Marks handlers that return a future.
#[derive(Debug)]
pub struct AsyncHandler;

impl Handled<SyncHandler> for () {
    fn rest(self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::ready(()))
    }
}

impl<F: Future<Output = ()> + Send + 'static> Handled<AsyncHandler> for F {
    fn rest(self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self)
    }
}

/// The handlers of one node. Each has a task and an inbox of its own.
#[derive(Debug, Default)]
pub(crate) struct Handlers {
    tasks: Mutex<BTreeMap<String, JoinHandle<()>>>,
    undecodable: Arc<AtomicU64>,
}

impl Handlers {
    pub(crate) fn register<H, R, How>(&self, name: String, inbox: Inbox, handler: H)
    where
        H: Fn(NodeId, Value) -> R + Send + Sync + 'static,
        R: Handled<How>,
        How: 'static,
    {
        let task =
            tokio::spawn(serve(name.clone(), inbox, Arc::new(handler), self.undecodable.clone()));
        if let Some(replaced) = self.tasks().insert(name, task) {
            replaced.abort();
        }
    }

    /// Whether there was one.
    pub(crate) fn unregister(&self, name: &str) -> bool {
        self.tasks().remove(name).map(|task| task.abort()).is_some()
    }

    /// Payloads that a handler did not see because they are no data that JSON can express.
    pub(crate) fn undecodable(&self) -> u64 {
        self.undecodable.load(Ordering::Relaxed)
    }

    /// Lets every handler see what its inbox held when it was closed.
    pub(crate) async fn finish(&self) {
        let tasks = std::mem::take(&mut *self.tasks());
        for (_, task) in tasks {
            // A handler that panicked was reported when it did.
            let _ = task.await;
        }
    }

    fn tasks(&self) -> MutexGuard<'_, BTreeMap<String, JoinHandle<()>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Handlers {
    fn drop(&mut self) {
        self.tasks().values().for_each(JoinHandle::abort);
    }
}

/// Calls `handler` with one message after the other. Each call is a task of its own, so that a
/// panic ends the call and not the handler.
async fn serve<H, R, How>(
    name: String,
    mut inbox: Inbox,
    handler: Arc<H>,
    undecodable: Arc<AtomicU64>,
) where
    H: Fn(NodeId, Value) -> R + Send + Sync + 'static,
    R: Handled<How>,
    How: 'static,
{
    while let Some(message) = inbox.recv().await {
        let Ok(data) = message.decode::<Value>() else {
            undecodable.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let (handler, sender) = (handler.clone(), message.sender);
        let call = async move { handler(sender, data).rest().await };
        if let Err(error) = tokio::spawn(call).await {
            tracing::warn!(handler = name, %error, "a data handler panicked");
        }
    }
}
