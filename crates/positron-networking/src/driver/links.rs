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
use positron_proto::{
    id::LinkId,
    session::sessions::{Hangup, LinkKind, Reading},
};
use tokio::{
    net::TcpStream,
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

use super::{
    Arrivals,
    link::{Link, LinkOrder, LinkShared, Origin},
};
use crate::limits::MAX_ENDING;

/// Every connection that the core has not heard the end of. Dropping the table closes them.
#[derive(Debug)]
pub(crate) struct Links {
    open: HashMap<LinkId, Open>,
    tasks: JoinSet<()>,
    accepted: u64,
    ending: usize,
    dial_timeout: Duration,
    arrivals: Arrivals,
}

#[derive(Debug)]
struct Open {
    orders: mpsc::UnboundedSender<LinkOrder>,
    shared: Arc<LinkShared>,
    /// Whether the core has had what was read last.
    is_handled: bool,
    /// Whether the core does not want it read for now.
    held: bool,
    /// Whether it was accepted, was told to end at once, and has not yet.
    ending: bool,
}

impl Open {
    /// Lets the next chunk be read, if it may.
    fn read_on(&mut self) {
        if self.is_handled && !self.held {
            self.is_handled = false;
            self.shared.chunk_handled.add_permits(1);
        }
    }
}

impl Links {
    pub(crate) fn new(dial_timeout: Duration, arrivals: Arrivals) -> Self {
        let (open, tasks) = (HashMap::new(), JoinSet::new());
        Self { open, tasks, accepted: 0, ending: 0, dial_timeout, arrivals }
    }

    /// Dials; the task reports `Connected` or `LinkDown`.
    pub(crate) fn dial(&mut self, link: LinkId, kind: LinkKind, to: SocketAddr) {
        match kind {
            LinkKind::Tcp => self.spawn(link, Origin::Dial(to, self.dial_timeout)),
            LinkKind::Udp => unreachable!("the core makes datagram connections by itself"),
            LinkKind::Relay => unreachable!("the core relays by itself"),
        }
    }

    /// Takes over a connection and names it.
    pub(crate) fn accept(&mut self, stream: TcpStream) -> LinkId {
        let link = LinkId::of_driver(self.accepted);
        self.accepted += 1;
        self.spawn(link, Origin::Accepted(stream));
        link
    }

    pub(crate) fn write(&self, link: LinkId, bytes: Bytes) {
        self.order(link, LinkOrder::Write(bytes));
    }

    pub(crate) fn hangup(&mut self, link: LinkId, how: Hangup) {
        if let Some(open) = self.open.get_mut(&link)
            && how == Hangup::Abort
            && link.is_of_driver()
            && !open.ending
        {
            open.ending = true;
            self.ending += 1;
        }
        self.order(link, LinkOrder::Hangup(how));
    }

    /// The core wants a link read, or not for now.
    pub(crate) fn set_reading(&mut self, link: LinkId, reading: Reading) {
        if let Some(open) = self.open.get_mut(&link) {
            open.held = reading == Reading::Held;
            open.read_on();
        }
    }

    /// The core handled the chunk that came last: the next may be read, now or when the core wants
    /// the link read again. So whoever sends more than can be handled is slowed down by the kernel.
    pub(crate) fn chunk_handled(&mut self, link: LinkId) {
        if let Some(open) = self.open.get_mut(&link) {
            open.is_handled = true;
            open.read_on();
        }
    }

    /// How much the kernel took since the last time this was asked.
    pub(crate) fn take_written(&self, link: LinkId) -> usize {
        self.open.get(&link).map_or(0, |open| open.shared.written.swap(0, Ordering::AcqRel))
    }

    /// The link is down; its task is over.
    pub(crate) fn handle_end(&mut self, link: LinkId) {
        if self.open.remove(&link).is_some_and(|open| open.ending) {
            self.ending -= 1;
        }
        while self.tasks.try_join_next().is_some() {}
    }

    /// Whether another connection may come in: not before those that gave way to earlier ones have
    /// given back their descriptors.
    pub(crate) fn has_room(&self) -> bool {
        self.ending < MAX_ENDING
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Closes every connection. When this returns, their descriptors are given back.
    pub(crate) async fn shutdown(&mut self) {
        self.open.clear();
        self.tasks.shutdown().await;
    }

    fn spawn(&mut self, link: LinkId, origin: Origin) {
        let (orders, receiver) = mpsc::unbounded_channel();
        let shared =
            Arc::new(LinkShared { chunk_handled: Semaphore::new(1), written: AtomicUsize::new(0) });
        let task = Link {
            id: link,
            orders: receiver,
            shared: shared.clone(),
            arrivals: self.arrivals.clone(),
        };
        self.tasks.spawn(task.run(origin));
        let before = self
            .open
            .insert(link, Open { orders, shared, is_handled: false, held: false, ending: false });
        assert!(before.is_none(), "the core named two links {link:?}");
    }

    /// Orders for a link that ended meanwhile are void: the core will hear of its end.
    fn order(&self, link: LinkId, order: LinkOrder) {
        if let Some(open) = self.open.get(&link) {
            let _ = open.orders.send(order);
        }
    }
}
