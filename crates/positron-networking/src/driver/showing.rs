//! What a core shows to who looks, and how often: a view of it costs a tenth of a millisecond, and
//! hardly anybody looks at most nodes.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use positron_proto::node::NodeView;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use crate::{
    limits::{UNWATCHED_VIEW_INTERVAL, VIEW_INTERVAL},
    stats::Unsent,
};

/// What the last look at the core showed.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) view: NodeView,
    /// The data folder.
    pub(crate) folder: Option<Arc<Path>>,
    /// Datagrams that the kernel refused.
    pub(crate) unsent: Unsent,
    pub(crate) at: Instant,
}

/// Where the core task shows its core.
#[derive(Debug)]
pub(super) struct Showing {
    published: watch::Sender<Published>,
    looks: Arc<Looks>,
}

/// Where everybody else sees it.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    published: watch::Receiver<Published>,
    looks: Arc<Looks>,
}

/// Whether somebody looks.
#[derive(Debug, Default)]
struct Looks {
    /// Since something was shown last.
    some: AtomicBool,
    first: Notify,
}

impl Showing {
    pub(super) fn new(first: Published) -> (Self, Shown) {
        let (published, receiver) = watch::channel(first);
        let looks = Arc::<Looks>::default();
        let shown = Shown { published: receiver, looks: looks.clone() };
        (Self { published, looks }, shown)
    }

    pub(super) fn last(&self) -> watch::Ref<'_, Published> {
        self.published.borrow()
    }

    pub(super) fn show(&self, new: Published) {
        self.looks.some.store(false, Ordering::Release);
        self.published.send_replace(new);
    }

    /// When to show what happened meanwhile.
    pub(super) fn next(&self) -> Instant {
        let is_watched = self.looks.some.load(Ordering::Acquire);
        self.last().at + if is_watched { VIEW_INTERVAL } else { UNWATCHED_VIEW_INTERVAL }
    }

    /// Waits for somebody who looks for the first time since something was shown:
    /// [`next`](Self::next) may be sooner then.
    pub(super) async fn looked_at(&self) {
        self.looks.first.notified().await;
    }
}

impl Shown {
    /// What was shown last. The next look sees something newer.
    pub(crate) fn look(&self) -> watch::Ref<'_, Published> {
        self.looks.note();
        self.published.borrow()
    }

    /// The same; [`changed`](Self::changed) waits for what comes after it.
    pub(crate) fn look_again(&mut self) -> watch::Ref<'_, Published> {
        self.looks.note();
        self.published.borrow_and_update()
    }

    /// Waits until something newer is shown.
    pub(crate) async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        self.looks.note();
        self.published.changed().await
    }
}

impl Looks {
    fn note(&self) {
        if !self.some.swap(true, Ordering::AcqRel) {
            self.first.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use positron_proto::{
        identity::Identity,
        node::{NodeConfig, NodeCore, Snapshot},
        rng::Seed,
        time::Now,
    };

    use super::*;

    fn published() -> Published {
        let (config, now) = (NodeConfig::default(), Now::default());
        let identity = Arc::new(Identity::from_seed([1; 32]));
        let core = NodeCore::new(config, identity, Snapshot::default(), &Seed::from_number(1), now);
        let (view, unsent) = (core.view(now), Unsent::default());
        Published { view, folder: None, unsent, at: Instant::now() }
    }

    fn wait(showing: &Showing) -> Duration {
        showing.next() - showing.last().at
    }

    #[tokio::test]
    async fn who_looks_again_and_again_sees_it_often_and_nobody_costs_little() {
        let (showing, mut shown) = Showing::new(published());
        assert_eq!(wait(&showing), UNWATCHED_VIEW_INTERVAL);
        for _ in 0..3 {
            let _ = shown.look_again();
            showing.looked_at().await;
            assert_eq!(wait(&showing), VIEW_INTERVAL, "the one who looked sees something new soon");
            showing.show(published());
            assert_eq!(wait(&showing), UNWATCHED_VIEW_INTERVAL, "nobody looked at this one");
        }
        shown.changed().await.unwrap();
        assert_eq!(wait(&showing), VIEW_INTERVAL, "who waits for something new looks");
    }
}
