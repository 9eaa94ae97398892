//! Connections that other nodes made and that nobody has accepted.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::{carrier::Channel, wait::until};

/// The queue, the oldest first. Bounded by the connections that a transport may have: one that is
/// over leaves it.
#[derive(Debug)]
pub(super) struct Newcomers<C> {
    waiting: Mutex<Waiting<C>>,
    /// There is one, or none will come any more.
    changed: Notify,
}

#[derive(Debug)]
struct Waiting<C> {
    queue: BTreeMap<u64, Arc<C>>,
    closed: bool,
}

impl<C> Default for Newcomers<C> {
    fn default() -> Self {
        let waiting = Waiting { queue: BTreeMap::new(), closed: false };
        Self { waiting: Mutex::new(waiting), changed: Notify::new() }
    }
}

impl<C: Channel> Newcomers<C> {
    pub(super) fn push(&self, channel: Arc<C>) {
        self.lock().queue.insert(channel.number(), channel);
        self.changed.notify_waiters();
    }

    /// It is over, whether it was accepted or not.
    pub(super) fn remove(&self, channel: &Arc<C>) {
        let mut waiting = self.lock();
        if waiting.queue.get(&channel.number()).is_some_and(|other| Arc::ptr_eq(other, channel)) {
            waiting.queue.remove(&channel.number());
        }
    }

    /// Waits for the next one; `None` when none will come any more.
    pub(super) async fn next(&self) -> Option<Arc<C>> {
        until(&self.changed, || {
            let mut waiting = self.lock();
            match waiting.queue.pop_first() {
                Some((_, channel)) => Some(Some(channel)),
                None => waiting.closed.then_some(None),
            }
        })
        .await
    }

    /// None will come any more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<C>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
