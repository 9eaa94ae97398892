//! The table of all connections.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use positron_proto::{id::LinkId, session::sessions::Hangup};
use tokio::{
    net::TcpStream,
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

use super::{
    Arrivals,
    link::{Link, LinkOrder, Origin, Shared},
};

/// Every connection that the core has not heard the end of. Dropping the table closes them.
#[derive(Debug)]
pub(super) struct Links {
    open: HashMap<LinkId, Open>,
    tasks: JoinSet<()>,
    accepted: u64,
    dial_timeout: Duration,
    arrivals: Arrivals,
}

#[derive(Debug)]
struct Open {
    orders: mpsc::UnboundedSender<LinkOrder>,
    shared: Arc<Shared>,
}

impl Links {
    pub(super) fn new(dial_timeout: Duration, arrivals: Arrivals) -> Self {
        Self { open: HashMap::new(), tasks: JoinSet::new(), accepted: 0, dial_timeout, arrivals }
    }

    /// Dials; the task reports `Connected` or `LinkDown`.
    pub(super) fn dial(&mut self, link: LinkId, to: SocketAddr) {
        self.spawn(link, Origin::Dial(to, self.dial_timeout));
    }

    /// Takes over a connection and names it.
    pub(super) fn accept(&mut self, stream: TcpStream) -> LinkId {
        let link = LinkId::accepted(self.accepted);
        self.accepted += 1;
        self.spawn(link, Origin::Accepted(stream));
        link
    }

    pub(super) fn write(&self, link: LinkId, bytes: Bytes) {
        self.order(link, LinkOrder::Write(bytes));
    }

    pub(super) fn hangup(&self, link: LinkId, how: Hangup) {
        self.order(link, LinkOrder::Hangup(how));
    }

    /// The core handled the chunk that came last: the next may be read.
    pub(super) fn chunk_handled(&self, link: LinkId) {
        if let Some(open) = self.open.get(&link) {
            open.shared.chunk_handled.add_permits(1);
        }
    }

    /// How much the kernel took since the last time this was asked.
    pub(super) fn take_written(&self, link: LinkId) -> usize {
        self.open.get(&link).map_or(0, |open| open.shared.written.swap(0, Ordering::AcqRel))
    }

    /// The link is down; its task is over.
    pub(super) fn ended(&mut self, link: LinkId) {
        self.open.remove(&link);
        while self.tasks.try_join_next().is_some() {}
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn spawn(&mut self, link: LinkId, origin: Origin) {
        let (orders, receiver) = mpsc::unbounded_channel();
        let shared =
            Arc::new(Shared { chunk_handled: Semaphore::new(1), written: AtomicUsize::new(0) });
        let task = Link {
            id: link,
            orders: receiver,
            shared: shared.clone(),
            arrivals: self.arrivals.clone(),
        };
        self.tasks.spawn(task.run(origin));
        let before = self.open.insert(link, Open { orders, shared });
        assert!(before.is_none(), "the core named two links {link:?}");
    }

    /// Orders for a link that ended meanwhile are void: the core will hear of its end.
    fn order(&self, link: LinkId, order: LinkOrder) {
        if let Some(open) = self.open.get(&link) {
            let _ = open.orders.send(order);
        }
    }
}
