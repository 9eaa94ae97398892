//! A handful of hosts, the network between them, and time.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};

use bytes::Bytes;

use crate::{
    Payload, Time,
    event::{Event, Hangup, StreamId},
    kernel::Kernel,
    laws::{PathLaws, StreamLaws},
    middlebox::Middlebox,
    path::Loss,
    topology::{HostId, Topology},
};

/// Hop limit of a datagram for which nobody chose one (RFC 1700: 64).
pub const DEFAULT_TTL: u8 = 64;

/// What a host hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery<P> {
    /// When.
    pub at: Time,
    /// Who.
    pub host: HostId,
    /// What.
    pub event: Event<P>,
}

/// Some hosts and the network between them, driven by one caller.
///
/// # Contract
///
/// Calls take the time, which does not go back. [`next_event_time`](Self::next_event_time) says
/// when something happens; [`poll`](Self::poll) gives, one after the other, what hosts heard until
/// now. The same seed and the same calls give the same deliveries.
///
/// A host has one process, which listens on the port of its address; an address that nobody has
/// swallows what is sent to it.
#[derive(Debug)]
pub struct Internet<P> {
    topology: Topology,
    kernels: Vec<Kernel<P>>,
    dialled: u64,
    heard: VecDeque<Delivery<P>>,
}

impl<P: Payload> Internet<P> {
    /// A network without hosts: `paths` between any two of them that were not given other laws.
    pub fn new(seed: u64, paths: PathLaws, streams: StreamLaws) -> Self {
        // The distance is the delay of the laws, for datagrams and streams alike.
        let distance = (paths.delay, paths.delay);
        let paths = PathLaws { delay: Time::ZERO, ..paths };
        let topology = Topology::new(seed, distance, paths, streams);
        Self { topology, kernels: Vec::new(), dialled: 0, heard: VecDeque::new() }
    }

    /// One host more; its process listens at `addr`.
    pub fn add_host(&mut self, addr: SocketAddr) -> HostId {
        let host = self.topology.add_host(addr.ip());
        let mut kernel = Kernel::new(host, addr.ip());
        kernel.start(addr.port());
        self.kernels.push(kernel);
        host
    }

    /// Where everybody is, who can reach whom, and the laws.
    pub const fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The same, to change it. After a partition or a black hole ends, [`heal`](Self::heal).
    pub const fn topology_mut(&mut self) -> &mut Topology {
        &mut self.topology
    }

    /// The network stack of a host, for what happens to its process, its ports and its streams.
    pub fn kernel_mut(&mut self, host: HostId) -> &mut Kernel<P> {
        &mut self.kernels[host.index()]
    }

    /// One box more before a host, behind all that are there.
    pub fn install(&mut self, host: HostId, middlebox: Box<dyn Middlebox>) {
        self.kernel_mut(host).install(middlebox);
    }

    /// Parts these hosts from all others: datagrams are lost, and streams held back.
    pub fn part(&mut self, side: impl IntoIterator<Item = HostId>) {
        self.topology.part(side);
    }

    /// Lets nothing through that these hosts send to others, and no stream; datagrams of the others
    /// reach them.
    pub fn part_one_way(&mut self, side: impl IntoIterator<Item = HostId>) {
        self.topology.part_one_way(side);
    }

    /// Ends the partition; what was held back goes on.
    pub fn heal(&mut self, now: Time) {
        self.topology.heal();
        for kernel in &mut self.kernels {
            kernel.release_all((now, &self.topology));
        }
    }

    /// The internet knows a host by another address from now on, and it has another port. Its
    /// streams are dead, and nobody is told.
    pub fn move_host(&mut self, host: HostId, from: SocketAddr, to: SocketAddr) {
        let kernel = &mut self.kernels[host.index()];
        kernel.unbind(from.port());
        kernel.bind(to.port());
        if from.ip() != to.ip() {
            self.topology.move_host(host, to.ip());
            kernel.renumber(to.ip());
        }
    }

    // --- datagrams ---

    /// Sends a datagram.
    ///
    /// # Errors
    ///
    /// Why it does not arrive, as far as that is decided by now, for stories that tell it: real
    /// hosts are not told.
    ///
    /// # Panics
    ///
    /// If no host has the address that it is sent from.
    pub fn send(
        &mut self,
        now: Time,
        from: SocketAddr,
        to: SocketAddr,
        payload: P,
        ttl: u8,
    ) -> Result<(), Loss> {
        let host = self.host_at(from.ip()).expect("somebody has the address of the sender");
        self.send_from(now, host, from.port(), to, payload, ttl)
    }

    /// Sends a datagram from a port of a host, whatever its address is.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_from(
        &mut self,
        now: Time,
        host: HostId,
        port: u16,
        to: SocketAddr,
        payload: P,
        ttl: u8,
    ) -> Result<(), Loss> {
        let kernel = &mut self.kernels[host.index()];
        let sent = kernel.send((now, &self.topology), port, to, payload, ttl);
        self.bring(host);
        sent
    }

    /// Lets a datagram arrive at `at` that no host sent: an attacker who writes any address.
    pub fn inject(&mut self, at: Time, from: SocketAddr, to: SocketAddr, payload: P) {
        if let Some(host) = self.host_at(to.ip()) {
            self.kernel_mut(host).inject(at, from, to, payload);
        }
    }

    // --- streams ---

    /// Asks for a stream.
    pub fn connect(&mut self, now: Time, host: HostId, to: SocketAddr) -> StreamId {
        let id = StreamId::Dialled(self.dialled);
        self.dialled += 1;
        self.kernels[host.index()].connect((now, &self.topology), id, to);
        self.bring(host);
        id
    }

    /// Writes bytes to a stream; [`Event::Written`] says when the kernel took them.
    pub fn write(&mut self, now: Time, host: HostId, id: StreamId, bytes: Bytes) {
        self.kernels[host.index()].write((now, &self.topology), id, bytes);
        self.bring(host);
        self.hear(now, host);
    }

    /// Closes a stream; [`Event::Closed`] says when it is over.
    pub fn close(&mut self, now: Time, host: HostId, id: StreamId, how: Hangup) {
        self.kernels[host.index()].close((now, &self.topology), id, how);
        self.bring(host);
        self.hear(now, host);
    }

    // --- time ---

    /// When something happens next; a delivery that waits to be taken counts as its own time.
    pub fn next_event_time(&self) -> Option<Time> {
        let waits = self.heard.front().map(|delivery| delivery.at);
        waits.or_else(|| self.kernels.iter().filter_map(Kernel::next_event_time).min())
    }

    /// The next thing that a host heard until `now`.
    pub fn poll(&mut self, now: Time) -> Option<Delivery<P>> {
        while self.heard.is_empty() {
            let next = self.kernels.iter().filter_map(|k| Some((k.next_event_time()?, k.host())));
            let (at, host) = next.min().filter(|(at, _)| *at <= now)?;
            self.kernels[host.index()].handle_timeout(at, &self.topology);
            self.bring(host);
            self.hear(at, host);
        }
        self.heard.pop_front()
    }

    fn hear(&mut self, at: Time, host: HostId) {
        while let Some(event) = self.kernels[host.index()].poll_event() {
            self.heard.push_back(Delivery { at, host, event });
        }
    }

    fn bring(&mut self, from: HostId) {
        while let Some((to, arrival)) = self.kernels[from.index()].outbox().pop() {
            self.kernels[to.index()].receive(arrival);
        }
    }

    fn host_at(&self, ip: IpAddr) -> Option<HostId> {
        self.topology.host_at(ip)
    }
}
