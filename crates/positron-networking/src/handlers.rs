//! Handlers: functions that are called with what others send, by name.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use crate::{Inbox, Received, panic::caught};

/// What a handler may return: nothing, or a future of nothing. You never implement it.
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
    running: Mutex<BTreeMap<String, Handler>>,
}

/// A handler that runs.
#[derive(Debug)]
struct Handler {
    task: JoinHandle<()>,
    /// Whether it asked for the end of its node.
    excused: watch::Receiver<bool>,
    /// It is called until this is dropped.
    _wanted: oneshot::Sender<()>,
}

/// The handler that a task is calling.
struct Caller {
    of: Weak<Handlers>,
    excused: watch::Sender<bool>,
}

tokio::task_local! {
    static CALLER: Caller;
}

impl Handlers {
    /// Calls `handler` with what `inbox` brings; one that had the name is called no more.
    pub(crate) fn register<H, R, How>(self: &Arc<Self>, name: String, inbox: Inbox, handler: H)
    where
        H: Fn(Received) -> R + Send + Sync + 'static,
        R: Handled<How>,
        How: 'static,
    {
        let (asks, excused) = watch::channel(false);
        let (wanted, unwanted) = oneshot::channel();
        let caller = Caller { of: Arc::downgrade(self), excused: asks };
        let calls = serve(name.clone(), inbox, unwanted, handler);
        let task = tokio::spawn(CALLER.scope(caller, calls));
        self.running().insert(name, Handler { task, excused, _wanted: wanted });
    }

    /// Whether there was one.
    pub(crate) fn unregister(&self, name: &str) -> bool {
        self.running().remove(name).is_some()
    }

    /// If a handler of these is asking for the end of its node, that end does not wait for it: it
    /// waits for the end.
    pub(crate) fn excuse_caller(&self) {
        let excuse = |caller: &Caller| {
            if std::ptr::eq(caller.of.as_ptr(), self) {
                caller.excused.send_replace(true);
            }
        };
        // Who is no handler needs no excuse.
        let _ = CALLER.try_with(excuse);
    }

    /// Lets every handler see what its inbox held when it was closed, and ends those that do not
    /// come to an end in time. Returns whether all did.
    pub(crate) async fn finish(&self, until: Instant) -> bool {
        let running = std::mem::take(&mut *self.running());
        let mut all = true;
        for (name, mut handler) in running {
            let ended = async {
                tokio::select! {
                    // An excused one ends by itself, after the node.
                    _ = handler.excused.wait_for(|excused| *excused) => {}
                    _ = &mut handler.task => {}
                }
            };
            if timeout_at(until, ended).await.is_err() {
                tracing::warn!(handler = name, "a handler did not end with its node, and is ended");
                handler.task.abort();
                all = false;
            }
        }
        all
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<String, Handler>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls `handler` with one message after the other, as long as it is wanted. A panic ends the call
/// and not the handler.
async fn serve<H, R, How>(
    name: String,
    mut inbox: Inbox,
    mut unwanted: oneshot::Receiver<()>,
    handler: H,
) where
    H: Fn(Received) -> R + Send + Sync + 'static,
    R: Handled<How>,
    How: 'static,
{
    loop {
        let message = tokio::select! {
            biased;
            _ = &mut unwanted => return,
            message = inbox.recv() => message,
        };
        let Some(message) = message else { return };
        let call = async { handler(message).rest().await };
        if let Err(panicked) = caught(call).await {
            tracing::warn!(handler = name, "a handler panicked: {panicked}");
        }
    }
}
