//! What lies between the nodes of a test, and what comes of their own doing.

use std::{collections::BTreeMap, net::SocketAddr, ops::Range};

use positron_internet::{DEFAULT_TTL, Event, HostId, Internet, PathLaws, Payload, StreamLaws};

use crate::time::{Duration, Instant};

/// Brings `T`s to nodes: those that a node [sends](Self::send) another one over an internet, where
/// each is the host of its number, and those that come to it [later](Self::later) of its own doing:
/// verdicts, names, dials given up, silence noticed.
///
/// [`next_time`](Self::next_time) says when something comes, and [`poll`](Self::poll) gives it. To
/// a node that has [ended](Self::end) nothing comes, and its timers are lost.
pub(super) struct Network<T> {
    internet: Internet<Sealed<T>>,
    timers: BTreeMap<(Instant, u64), (usize, T)>,
    set: u64,
    nodes: usize,
}

/// What nodes say within their sessions: nothing is too large, and nothing takes up room.
#[derive(Clone)]
struct Sealed<T>(T);

impl<T: Clone> Payload for Sealed<T> {
    fn size(&self) -> usize {
        0
    }
}

impl<T: Clone> Network<T> {
    pub(super) fn new(seed: u64, latency: Duration) -> Self {
        let internet = Internet::new(seed, PathLaws::calm(latency), StreamLaws::CALM);
        Self { internet, timers: BTreeMap::new(), set: 0, nodes: 0 }
    }

    /// One node more; it runs.
    pub(super) fn add(&mut self) {
        self.internet.add_host(address(self.nodes));
        self.nodes += 1;
    }

    /// What a partition swallows nobody hears of.
    pub(super) fn send(&mut self, now: Instant, from: usize, to: usize, what: T) {
        let (from, to) = (address(from), address(to));
        let _ = self.internet.send(since_origin(now), from, to, Sealed(what), DEFAULT_TTL);
    }

    pub(super) fn later(&mut self, at: Instant, node: usize, what: T) {
        self.set += 1;
        self.timers.insert((at, self.set), (node, what));
    }

    pub(super) fn next_time(&self) -> Option<Instant> {
        let timer = self.timers.keys().next().map(|(at, _)| *at);
        let arrival = self.internet.next_event_time().map(|at| Instant::ORIGIN + at);
        timer.into_iter().chain(arrival).min()
    }

    /// What comes by now, and to whom; timers first.
    pub(super) fn poll(&mut self, now: Instant) -> Option<(usize, T)> {
        if let Some(entry) = self.timers.first_entry()
            && entry.key().0 <= now
        {
            return Some(entry.remove());
        }
        let delivery = self.internet.poll(since_origin(now))?;
        let Event::Datagram { payload, .. } = delivery.event else {
            panic!("there are no streams")
        };
        Some((delivery.host.index(), payload.0))
    }

    pub(super) fn end(&mut self, node: usize) {
        self.timers.retain(|_, (of, ..)| *of != node);
        self.internet.kernel_mut(HostId::new(node)).end();
    }

    pub(super) fn start(&mut self, node: usize) {
        self.internet.kernel_mut(HostId::new(node)).start(address(node).port());
    }

    pub(super) fn part(&mut self, side: Range<usize>) {
        self.internet.part(side.map(HostId::new));
    }

    pub(super) fn heal(&mut self, now: Instant) {
        self.internet.heal(since_origin(now));
    }

    pub(super) fn reaches(&self, a: usize, b: usize) -> bool {
        self.internet.topology().reachable(HostId::new(a), HostId::new(b))
    }
}

fn since_origin(now: Instant) -> Duration {
    now.since(Instant::ORIGIN)
}

/// Where a node is, wherever it believes to be.
fn address(node: usize) -> SocketAddr {
    let [.., high, low] = u32::try_from(node).unwrap().to_be_bytes();
    SocketAddr::from(([10, 0, high, low], 8888))
}
