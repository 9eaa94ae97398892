//! The network stack of one host.

use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, SocketAddr},
};

use bytes::Bytes;

use crate::{
    Payload, Time,
    context::Context,
    event::{Closed, Event, Hangup, StreamId},
    middlebox::{Header, Middlebox, Protocol},
    nat::{INSIDE, NatType},
    path::{Loss, Path},
    queue::{Arrival, EventQueue, Packet, StreamEnd},
    tcp::{Streams, refuse},
    topology::{HostId, Topology},
    uplink::Uplink,
};

/// The network stack of one host: datagrams, streams, and what is under way to it.
///
/// # Contract
///
/// Nothing happens by itself. [`next_event_time`](Self::next_event_time) says when
/// [`handle_timeout`](Self::handle_timeout) is due; after that and after each call that takes a
/// [`Topology`], take what [`poll_event`](Self::poll_event) gives and bring what stands in the
/// [`outbox`](Self::outbox) to its receivers ([`receive`](Self::receive)). Times do not go back.
///
/// What is sent arrives no sooner than the shortest delay of the topology. So kernels may run on
/// their own, on several threads, through a window of time as long as that delay; what happens
/// does not depend on the order in which they are taken up (a conservative simulation in the sense
/// of Chandy and Misra 1979). [`Internet`](crate::Internet) does all this for a handful of hosts.
///
/// A process that [ends](Self::end) leaves its streams without a word, as a power cut does; a
/// kernel that lives on [resets](Self::reset_all) them first. With [power](Self::set_power) and
/// without a process, questions for streams are refused and what comes to former streams is reset.
#[derive(Debug)]
pub struct Kernel<P> {
    host: HostId,
    uplink: Uplink,
    /// Which process runs or ran last: 1, 2, 3, ...
    life: u32,
    runs: bool,
    powered: bool,
    reads: bool,
    /// Where the process listens for streams.
    listens: u16,
    /// Where the process takes datagrams.
    ports: Vec<u16>,
    queue: EventQueue<P>,
    streams: Streams,
    /// To each host that a datagram ever went to.
    paths: BTreeMap<HostId, Path>,
    /// Datagrams that arrived while the process did not read.
    unread: VecDeque<(Header, P)>,
    unread_bytes: usize,
    events: VecDeque<Event<P>>,
}

impl<P: Payload> Kernel<P> {
    /// A host with power, and without a process.
    pub const fn new(host: HostId, ip: IpAddr) -> Self {
        Self {
            host,
            uplink: Uplink::new(ip),
            life: 0,
            runs: false,
            powered: true,
            reads: true,
            listens: 0,
            ports: Vec::new(),
            queue: EventQueue::new(host),
            streams: Streams::new(),
            paths: BTreeMap::new(),
            unread: VecDeque::new(),
            unread_bytes: 0,
            events: VecDeque::new(),
        }
    }

    /// Which host it is.
    pub const fn host(&self) -> HostId {
        self.host
    }

    /// Its address, as it knows it itself.
    pub const fn ip(&self) -> IpAddr {
        self.uplink.ip()
    }

    /// One box more on its way out, behind all that are there.
    pub fn install(&mut self, middlebox: Box<dyn Middlebox>) {
        self.uplink.install(middlebox);
    }

    /// Makes it a home of this type, in place of the boxes that are there. The internet knows it by
    /// the same address as before; if that is translated, its own is [`INSIDE`].
    pub fn put_behind(&mut self, nat_type: NatType, seed: u64) {
        let outside = self.uplink.outside();
        let inside = nat_type.behavior().map_or(outside, |_| INSIDE.into());
        self.uplink.put_behind(nat_type.boxes(outside, seed), inside);
    }

    /// The box next to it forwards a port to it, for datagrams and streams, as routers do that are
    /// asked by UPnP or PCP. Behind a carrier's box that is of no use.
    pub fn forward_port(&mut self, port: u16) {
        self.uplink.forward(port);
    }

    /// The boxes on its way out forget everything. Its streams are dead, and nobody is told: they
    /// were flows too.
    pub fn reboot_boxes(&mut self) {
        self.uplink.reboot();
        self.streams.sever(|_| true);
    }

    // --- the process ---

    /// A process starts that listens on this port, for streams and datagrams.
    pub fn start(&mut self, port: u16) {
        self.life += 1;
        (self.runs, self.powered, self.reads) = (true, true, true);
        self.listens = port;
        self.ports = vec![port];
        self.streams = Streams::new();
    }

    /// The process ends; its streams are forgotten without a word.
    pub fn end(&mut self) {
        self.runs = false;
        self.streams = Streams::new();
        self.events.clear();
        self.unread.clear();
        self.unread_bytes = 0;
    }

    /// Which process runs or ran last, counted from 1.
    pub const fn life(&self) -> u32 {
        self.life
    }

    /// Without power not even the kernel answers.
    pub const fn set_power(&mut self, powered: bool) {
        self.powered = powered;
    }

    /// Whether the process takes what arrives. What it left is there after
    /// [`release_all`](Self::release_all).
    pub const fn set_reading(&mut self, reads: bool) {
        self.reads = reads;
    }

    /// Whether the process takes what arrives.
    pub const fn is_reading(&self) -> bool {
        self.reads
    }

    /// Takes datagrams on this port too.
    pub fn bind(&mut self, port: u16) {
        if !self.ports.contains(&port) {
            self.ports.push(port);
        }
    }

    /// Takes no more datagrams on this port.
    pub fn unbind(&mut self, port: u16) {
        self.ports.retain(|bound| *bound != port);
    }

    /// The internet knows the host by another address: that of its outermost translator, or its own
    /// if there is none. Its streams are dead, and nobody is told. The topology must be
    /// [told](Topology::move_host) too.
    pub fn renumber(&mut self, ip: IpAddr) {
        self.uplink.renumber(ip);
        self.streams.sever(|_| true);
    }

    // --- datagrams ---

    /// Sends a datagram from a port of this host.
    ///
    /// # Errors
    ///
    /// Why it does not arrive, as far as that is decided by now. Real hosts are not told.
    pub fn send(
        &mut self,
        (now, topology): (Time, &Topology),
        port: u16,
        to: SocketAddr,
        payload: P,
        ttl: u8,
    ) -> Result<(), Loss> {
        let from = SocketAddr::new(self.uplink.ip(), port);
        let header = Header { protocol: Protocol::Udp, from, to, ttl };
        let mut header = self.uplink.outbound(now, header)?;
        let remote = topology.host_at(header.to.ip()).ok_or(Loss::Nobody)?;
        if !topology.carries_datagrams(self.host, remote) || topology.is_cut(self.host, remote, now)
        {
            return Err(Loss::Unreachable);
        }
        let laws = topology.path(self.host, remote);
        let left = header.ttl.checked_sub(laws.hops).filter(|ttl| *ttl > 0);
        header.ttl = left.ok_or(Loss::Expired)?;
        let dice = || Path::new(topology.path_dice(self.host, remote));
        let path = self.paths.entry(remote).or_insert_with(dice);
        let arrivals = path.send(now, payload.size(), &laws)?;
        let second = arrivals.second.map(|arrival| (arrival, payload.clone()));
        for (arrival, mut payload) in second.into_iter().chain([(arrivals.first, payload)]) {
            if let Some(damage) = arrival.damage {
                payload.damage(damage);
            }
            // For whichever process listens there then.
            let packet = Packet::Datagram { header, sender: self.host, payload };
            self.queue.send(remote, arrival.at, 0, packet);
        }
        Ok(())
    }

    /// Lets a datagram arrive that no host sent: an attacker who writes any address.
    pub fn inject(&mut self, at: Time, from: SocketAddr, to: SocketAddr, payload: P) {
        let header = Header { protocol: Protocol::Udp, from, to, ttl: u8::MAX };
        let packet = Packet::Datagram { header, sender: self.host, payload };
        self.queue.later(at, 0, packet);
    }

    fn datagram(&mut self, header: Header, payload: P, topology: &Topology) {
        if !self.runs || header.to.ip() != self.ip() || !self.ports.contains(&header.to.port()) {
            return;
        }
        if self.reads {
            return self.hand_over(header, payload);
        }
        if self.unread_bytes + payload.size() <= topology.streams.kernel_buffer {
            self.unread_bytes += payload.size();
            self.unread.push_back((header, payload));
        }
    }

    fn hand_over(&mut self, Header { from, to, .. }: Header, payload: P) {
        self.events.push_back(Event::Datagram { from, to, payload });
    }

    // --- streams ---

    /// Asks for a stream; `id` is one that this process never used.
    pub fn connect(&mut self, at: (Time, &Topology), id: StreamId, to: SocketAddr) {
        let (streams, mut context) = self.split(at);
        streams.connect(&mut context, id, to);
    }

    /// Writes bytes. [`Event::Written`] says when the kernel took them.
    pub fn write(&mut self, at: (Time, &Topology), id: StreamId, bytes: Bytes) {
        let (streams, mut context) = self.split(at);
        streams.write(&mut context, id, bytes);
    }

    /// Closes a stream. [`Event::Closed`] says when it is over.
    pub fn close(&mut self, at: (Time, &Topology), id: StreamId, how: Hangup) {
        let (streams, mut context) = self.split(at);
        streams.close(&mut context, id, how);
    }

    /// Something between the two ends resets a stream: both hear of it.
    pub fn break_off(&mut self, at: (Time, &Topology), id: StreamId) {
        let (streams, mut context) = self.split(at);
        streams.reset_peer(&mut context, id);
        streams.forget(&mut context, id, Closed::Reset);
    }

    /// Tells the other ends of all streams that they are over, as the kernel of a dead process.
    pub fn reset_all(&mut self, at: (Time, &Topology)) {
        for id in self.streams() {
            let (streams, mut context) = self.split(at);
            streams.reset_peer(&mut context, id);
        }
    }

    /// Whatever waited for a partition to heal or for its reader goes on now.
    pub fn release_all(&mut self, at: (Time, &Topology)) {
        if !self.unread.is_empty() {
            self.queue.later(at.0, self.life, Packet::ReadDatagrams);
        }
        let (streams, mut context) = self.split(at);
        streams.release_all(&mut context);
    }

    /// The streams to these hosts die at this end, without a word.
    pub fn sever(&mut self, which: impl Fn(HostId) -> bool) {
        self.streams.sever(which);
    }

    /// A stream dies at this end without a word; its other end, if it is known.
    pub fn sever_one(&mut self, id: StreamId) -> Option<StreamEnd> {
        self.streams.sever_one(id)
    }

    /// All streams, in order.
    pub fn streams(&self) -> Vec<StreamId> {
        self.streams.ids().collect()
    }

    // --- time and others ---

    /// When something happens next.
    pub fn next_event_time(&self) -> Option<Time> {
        self.queue.next()
    }

    /// Lets the next thing happen, if it is due.
    pub fn handle_timeout(&mut self, now: Time, topology: &Topology) {
        if self.queue.next().is_none_or(|at| at > now) {
            return;
        }
        let Some(arrival) = self.queue.pop() else { return };
        let (life, packet) = arrival.open();
        match packet {
            Packet::Datagram { header, sender, payload } => {
                if self.powered
                    && topology.carries_datagrams(sender, self.host)
                    && let Some(header) = self.uplink.inbound(now, header)
                {
                    self.datagram(header, payload, topology);
                }
            }
            Packet::Syn { from, header } => self.handle_syn((now, topology), from, header),
            Packet::ReadDatagrams if life == self.life && self.runs && self.reads => {
                self.unread_bytes = 0;
                for (header, payload) in std::mem::take(&mut self.unread) {
                    self.hand_over(header, payload);
                }
            }
            packet if life == self.life && self.runs => {
                let reads = self.reads;
                let (streams, mut context) = self.split((now, topology));
                streams.handle(&mut context, packet, reads);
            }
            packet => self.stray((now, topology), packet),
        }
    }

    /// Another host asks for a stream.
    fn handle_syn(&mut self, at: (Time, &Topology), from: StreamEnd, header: Header) {
        let (now, topology) = at;
        if !self.powered || !topology.carries_streams(self.host, from.host) {
            return;
        }
        let Some(header) = self.uplink.inbound(now, header) else { return };
        if !self.runs || header.to.ip() != self.ip() || header.to.port() != self.listens {
            let arrival = now + topology.delay(self.host, from.host);
            let rst = Packet::Rst { to: from.id, why: Closed::Refused };
            return self.queue.send(from.host, arrival, from.life, rst);
        }
        let (streams, mut context) = self.split(at);
        streams.handle_syn(&mut context, from, header.from);
    }

    /// Something reached a process that is no more. Its kernel answers if the machine has power.
    fn stray(&mut self, at: (Time, &Topology), packet: Packet<P>) {
        let from = match packet {
            Packet::Segment { from, .. } => from,
            Packet::SynAck { peer, .. } => peer,
            _ => return,
        };
        if self.powered {
            let (_, mut context) = self.split(at);
            refuse(&mut context, from);
        }
    }

    /// What the process is to hear next.
    pub fn poll_event(&mut self) -> Option<Event<P>> {
        let written = || {
            let (id, bytes) = self.streams.poll_written()?;
            Some(Event::Written { id, bytes })
        };
        self.events.pop_front().or_else(written)
    }

    /// What this host sent to others: bring it to them, in any order.
    pub const fn outbox(&mut self) -> &mut Vec<(HostId, Arrival<P>)> {
        self.queue.outbox()
    }

    /// Takes in what another host sent.
    pub fn receive(&mut self, arrival: Arrival<P>) {
        self.queue.receive(arrival);
    }

    fn split<'a>(
        &'a mut self,
        (now, topology): (Time, &'a Topology),
    ) -> (&'a mut Streams, Context<'a, P>) {
        let context = Context {
            now,
            host: self.host,
            life: self.life,
            topology,
            uplink: &mut self.uplink,
            queue: &mut self.queue,
            events: &mut self.events,
        };
        (&mut self.streams, context)
    }
}
