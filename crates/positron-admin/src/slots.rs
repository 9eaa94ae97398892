//! The connections of one door: how many there may be, and which gives way.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{sync::Notify, task::AbortHandle};

/// The connections that there are, in the order in which they came.
#[derive(Debug)]
pub(crate) struct Slots {
    most: usize,
    taken: Mutex<Taken>,
    /// A connection ended, or may be cut from now on.
    freed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    by_age: BTreeMap<u64, (Guest, Option<AbortHandle>)>,
}

/// What is known of who is at the other end of a connection. Clones are of the same connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guest(Arc<AtomicBool>);

impl Guest {
    /// It showed that it may ask: it is not cut for others.
    pub(crate) fn welcome(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_welcome(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A place among the connections, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    number: u64,
    slots: Arc<Slots>,
    pub(crate) guest: Guest,
}

impl Slots {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, taken: Mutex::default(), freed: Notify::new() })
    }

    /// A slot for a newcomer. When all are taken, the oldest connection that has shown nothing is
    /// cut for it: whoever means it has asked within milliseconds. Waits if all have.
    pub(crate) async fn take(self: &Arc<Self>, guest: Guest) -> Slot {
        loop {
            let freed = self.freed.notified();
            if let Some(number) = self.lock().admit(self.most, &guest) {
                return Slot { number, slots: Arc::clone(self), guest };
            }
            freed.await;
        }
    }

    /// What cuts the connection of that number, for when another needs its place.
    pub(crate) fn cut_by(&self, number: u64, cut: AbortHandle) {
        match self.lock().by_age.get_mut(&number) {
            Some((_, known)) => *known = Some(cut),
            // It is over, or gave way before it was known how.
            None => cut.abort(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.lock().by_age.remove(&self.number);
        self.slots.freed.notify_one();
    }
}

impl Taken {
    fn admit(&mut self, most: usize, guest: &Guest) -> Option<u64> {
        if self.by_age.len() >= most {
            let oldest = self.by_age.iter().find(|(_, (guest, _))| !guest.is_welcome());
            let (&number, _) = oldest?;
            if let Some((_, Some(cut))) = self.by_age.remove(&number) {
                cut.abort();
            }
        }
        let number = self.next;
        self.next += 1;
        self.by_age.insert(number, (guest.clone(), None));
        Some(number)
    }
}
