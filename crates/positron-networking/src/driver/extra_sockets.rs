//! The sockets of searches for direct paths, and of the paths that were found so.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    task::Poll,
};

use positron_proto::datagram::contract::ExtraSocket;

use super::datagrams::{Arrived, Batch, DatagramSocket};

/// UDP sockets beside the one that is listened on: seldom any, in a search hundreds for some
/// seconds. Which are open, the core says.
#[derive(Debug)]
pub(super) struct ExtraSockets {
    ip: Ipv4Addr,
    open: BTreeMap<ExtraSocket, DatagramSocket>,
}

impl ExtraSockets {
    /// None, for a node that listens here.
    pub(super) const fn new(listening: SocketAddr) -> Self {
        let ip = match listening.ip() {
            IpAddr::V4(ip) => ip,
            IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
        };
        Self { ip, open: BTreeMap::new() }
    }

    /// Opens one at any port. Where that cannot be, as without descriptors, a search has one guess
    /// less.
    pub(super) fn open(&mut self, socket: ExtraSocket) {
        match DatagramSocket::bind((self.ip, 0).into()) {
            Ok((bound, _)) => drop(self.open.insert(socket, bound)),
            Err(error) => tracing::debug!(%error, "no socket to search for a path with"),
        }
    }

    pub(super) fn close(&mut self, socket: ExtraSocket) {
        self.open.remove(&socket);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn get(&self, socket: ExtraSocket) -> Option<&DatagramSocket> {
        self.open.get(&socket)
    }

    /// Waits until one has something to read.
    pub(super) async fn readable(&self) {
        poll_fn(|cx| {
            // All of them, so that each wakes us.
            let ready = self.open.values().filter(|socket| socket.poll_readable(cx).is_ready());
            if ready.count() > 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Reads one batch of the first that has something: of which, if any has.
    pub(super) fn read(&self, batch: &mut Batch) -> Option<ExtraSocket> {
        self.open.iter().find_map(|(name, socket)| {
            let arrived = socket.try_recv(batch);
            let has_some =
                batch.datagrams().next().is_some() || arrived.ok() == Some(Arrived::More);
            has_some.then_some(*name)
        })
    }
}
