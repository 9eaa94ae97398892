//! All hosts, run through one window of time after another.
//!
//! Time goes on in windows that are as long as the shortest delay between two hosts. Within a
//! window no host can hear of what another one does in it, so each host runs through it on its own:
//! what happens does not depend on the order in which hosts are taken up (a conservative simulation
//! in the sense of Chandy and Misra 1979, with the physics' shortest delay for lookahead).

use core::ops::Index;
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    thread,
};

use positron_proto::{
    node::Event,
    time::{Duration, Instant},
};

use crate::{
    clock::at,
    environment::Environment,
    host::{Host, Tally},
};

/// Hosts beyond which a world runs on several threads; many small worlds run side by side instead.
const MANY: usize = 100;
/// Hosts that a thread takes up at a time.
const CHUNK: usize = 16;

/// All hosts and what they share.
///
/// # Contract
///
/// [`run_window`](Self::run_window) lets time go on; between two windows,
/// [`change`](Self::change) lets something happen to one host. After either,
/// [`poll_news`](Self::poll_news) says what applications heard, in an order that depends on nothing
/// but what happened.
pub(crate) struct Hosts {
    all: Vec<Host>,
    environment: Environment,
    /// When each host has something to do; [`Instant::FAR_FUTURE`] if never.
    due: Vec<Instant>,
    window: Duration,
    threads: usize,
    news: VecDeque<News>,
    /// Whether one of them can go no further: asked after each window, and not of each host.
    broken: bool,
}

/// What the world is to know of a host.
#[derive(Debug)]
pub(crate) enum News {
    /// Its application heard something.
    Heard { host: usize, at: Instant, event: Event },
    /// Its process ended because it was told to.
    Exited { host: usize, at: Instant },
}

impl Hosts {
    pub(crate) fn new(all: Vec<Host>, environment: Environment) -> Self {
        Self {
            due: vec![Instant::FAR_FUTURE; all.len()],
            window: environment.physics().delay.0,
            threads: if all.len() < MANY { 1 } else { cores() },
            news: VecDeque::new(),
            broken: false,
            all,
            environment,
        }
    }

    /// Runs on this many threads, whatever the number of hosts.
    pub(crate) fn use_threads(&mut self, threads: usize) {
        self.threads = threads.max(1);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Host> {
        self.all.iter()
    }

    pub(crate) const fn len(&self) -> usize {
        self.all.len()
    }

    /// Those of the first `nodes` hosts whose process runs, in order.
    pub(crate) fn live(&self, nodes: usize) -> impl Iterator<Item = usize> {
        (0..nodes).filter(|node| self.all[*node].is_live())
    }

    /// What all hosts spent together.
    pub(crate) fn spent(&self) -> Tally {
        let mut all = Tally::default();
        for host in &self.all {
            let Tally { inputs, verifications, wire_bytes, streams } = host.tally();
            all.inputs += inputs;
            all.verifications += verifications;
            all.wire_bytes += wire_bytes;
            all.streams += streams;
        }
        all
    }

    /// Bytes that the first `nodes` hosts gave to links.
    pub(crate) fn wire_bytes(&self, nodes: usize) -> u64 {
        self.all[..nodes].iter().map(|host| host.tally().wire_bytes).sum()
    }

    /// What all of them share.
    pub(crate) const fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The same, to change it between two windows.
    pub(crate) const fn environment_mut(&mut self) -> &mut Environment {
        &mut self.environment
    }

    /// Whether one of them can go no further.
    pub(crate) const fn is_broken(&self) -> bool {
        self.broken
    }

    /// Runs all through the next window in which something happens before `stop`, if there is one.
    pub(crate) fn run_window(&mut self, stop: Instant) -> bool {
        let first = self.due.iter().copied().min().unwrap_or(Instant::FAR_FUTURE);
        if first >= stop {
            return false;
        }
        let end = (first + self.window).min(stop);
        self.advance(end);
        for host in 0..self.all.len() {
            if self.due[host] < end {
                self.collect(host);
            }
        }
        true
    }

    /// Runs every host to the end of the window, on several threads if there are many: nothing that
    /// a host does in a window depends on another one, so the threads cannot change what happens.
    fn advance(&mut self, end: Instant) {
        let (due, environment) = (&self.due, &self.environment);
        let run = |hosts: &mut [Host], due: &[Instant]| {
            for (host, due) in hosts.iter_mut().zip(due) {
                if *due < end {
                    host.advance(end, environment);
                }
            }
        };
        let busy = due.iter().filter(|due| **due < end).count();
        if self.threads == 1 || busy < 2 * CHUNK {
            return run(&mut self.all, due);
        }
        let chunks = Mutex::new(self.all.chunks_mut(CHUNK).zip(due.chunks(CHUNK)));
        let next = || chunks.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = || {
            while let Some((hosts, due)) = next() {
                run(hosts, due);
            }
        };
        thread::scope(|scope| {
            for _ in 1..self.threads {
                scope.spawn(work);
            }
            work();
        });
    }

    /// Lets something happen to a host between two windows.
    pub(crate) fn change<T>(
        &mut self,
        host: usize,
        how: impl FnOnce(&mut Host, &Environment) -> T,
    ) -> T {
        let answer = how(&mut self.all[host], &self.environment);
        self.all[host].settle(&self.environment);
        self.collect(host);
        answer
    }

    /// Brings to others what a host sent, and keeps what its application heard.
    fn collect(&mut self, index: usize) {
        let mut outbox = std::mem::take(self.all[index].stack().outbox());
        for (to, arrival) in outbox.drain(..) {
            let due = &mut self.due[to.index()];
            *due = at(arrival.at()).min(*due);
            self.all[to.index()].stack().receive(arrival);
        }
        let host = &mut self.all[index];
        // Its room is kept.
        *host.stack().outbox() = outbox;
        self.due[index] = host.due().unwrap_or(Instant::FAR_FUTURE);
        self.broken |= host.broken().is_some();
        for (at, event) in host.take_heard() {
            self.news.push_back(News::Heard { host: index, at, event });
        }
        if host.take_exited() {
            self.news.push_back(News::Exited { host: index, at: host.now() });
        }
    }

    /// What the world is to know next.
    pub(crate) fn poll_news(&mut self) -> Option<News> {
        self.news.pop_front()
    }
}

impl Index<usize> for Hosts {
    type Output = Host;

    fn index(&self, host: usize) -> &Host {
        &self.all[host]
    }
}

/// How many threads are worth while. What happens in a world does not depend on it.
fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}
