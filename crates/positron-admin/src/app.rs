//! What routes answer from.

use std::{
    net::SocketAddr,
    ops::Deref,
    sync::{Arc, OnceLock},
};

use axum::http::StatusCode;
use positron_networking::Node;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use crate::{
    feed::Feed, history::History, limits::MAX_ACTIONS, refusal::Refusal, surroundings::Surroundings,
};

/// What routes answer from. Clones are of the same.
#[derive(Clone, Debug)]
pub(crate) struct App(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) node: Node,
    pub(crate) feed: Arc<Feed>,
    pub(crate) history: Arc<History>,
    pub(crate) around: Surroundings,
    /// Where it listens, if at a TCP port.
    address: OnceLock<SocketAddr>,
    actions: Semaphore,
    pub(crate) stop: Arc<Notify>,
}

impl Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl App {
    pub(crate) fn new(
        node: Node,
        feed: Arc<Feed>,
        history: Arc<History>,
        around: Surroundings,
        stop: Arc<Notify>,
    ) -> Self {
        let (address, actions) = (OnceLock::new(), Semaphore::new(MAX_ACTIONS));
        Self(Arc::new(Inner { node, feed, history, around, address, actions, stop }))
    }

    /// The right to act, for as long as it is held.
    pub(crate) fn turn(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        self.actions.try_acquire().map_err(|_| {
            let code = StatusCode::TOO_MANY_REQUESTS;
            Refusal::new(code, "busy", "too much else is being done").try_this("try again later")
        })
    }

    /// Where it listens, if at a TCP port.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.address.get().copied()
    }

    pub(crate) fn listens_at(&self, address: SocketAddr) {
        // The first address stays: there is one door of this kind.
        let _ = self.address.set(address);
    }
}
