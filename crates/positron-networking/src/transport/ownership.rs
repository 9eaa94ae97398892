//! Who holds a connection: the application, by its handles, or the transport.

use std::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

/// Names a connection: no other connection of this process ever has the same, also not a later one
/// with the same node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    pub(super) fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many handles of a connection there are, and whether it ends with the last one.
///
/// It belongs to the transport until `connect` or `accept` gives it to the application. One of the
/// application's ends with its last handle. What follows from that is decided under the lock of the
/// machine, where [`is_abandoned`](Self::is_abandoned) is asked again: a handle may have been made
/// meanwhile.
#[derive(Debug, Default)]
pub(super) struct Ownership {
    handles: AtomicUsize,
    taken: AtomicBool,
    kept: AtomicBool,
}

impl Ownership {
    /// The application has it now.
    pub(super) fn take(&self) {
        self.taken.store(true, Ordering::SeqCst);
    }

    /// The transport has a use for it, whoever else has.
    pub(super) fn keep(&self) {
        self.kept.store(true, Ordering::SeqCst);
    }

    /// There is one handle more.
    pub(super) fn acquire(&self) {
        self.handles.fetch_add(1, Ordering::SeqCst);
    }

    /// There is one less; whether nobody holds it any more.
    pub(super) fn release(&self) -> bool {
        self.handles.fetch_sub(1, Ordering::SeqCst) == 1 && self.is_abandoned()
    }

    /// Whether it was the application's, and is nobody's any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.taken.load(Ordering::SeqCst) && !self.is_held()
    }

    /// Whether somebody has it: the application, or the transport for what it sends.
    pub(super) fn is_wanted(&self) -> bool {
        self.is_held() || self.taken.load(Ordering::SeqCst) || self.kept.load(Ordering::SeqCst)
    }

    fn is_held(&self) -> bool {
        self.handles.load(Ordering::SeqCst) > 0
    }
}
