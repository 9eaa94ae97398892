//! The network stack of a host, in the words of a node.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use bytes::Bytes;
use positron_internet::{
    self as internet, Arrival, Closed, DEFAULT_TTL, Event, HostId, Kernel, NatType, StreamEnd,
    StreamId, Topology,
};
use positron_proto::{
    datagram::contract::{ExtraSocket, Transmit},
    id::LinkId,
    node::Input,
    session::sessions::{Hangup, LinkDown, LinkKind},
    time::Instant,
};

use crate::clock::{at, since_beginning};

/// The first port that no service has by agreement (RFC 6335, 6).
const FIRST_DYNAMIC_PORT: u16 = 49_152;

/// A [`Kernel`] whose streams are a node's links, and the port of its datagrams.
///
/// Its contract is that of the kernel. Calls take the time as this host has come to it.
pub(crate) struct Stack {
    kernel: Kernel<Bytes>,
    listens: u16,
    /// The port that others see its datagrams come from.
    datagram_port: u16,
    /// The ports of extra sockets.
    extra: BTreeMap<u16, ExtraSocket>,
}

/// What a kernel says to a node.
pub(crate) enum Told {
    /// By an input.
    Input(Input),
    /// By bytes that the node reads where they are, of this path.
    Datagram(SocketAddr, Bytes),
}

impl Told {
    fn of(event: Event<Bytes>, extra: &BTreeMap<u16, ExtraSocket>) -> Self {
        Self::Input(match event {
            Event::Datagram { from, to, payload } => {
                let path = extra.get(&to.port()).and_then(|socket| socket.path(from));
                return Self::Datagram(path.unwrap_or(from), payload);
            }
            Event::Accepted { id, from } => {
                Input::Accepted { kind: LinkKind::Tcp, link: link_of(id), from, certificate: None }
            }
            Event::Connected { id } => Input::Connected { link: link_of(id), certificate: None },
            Event::Data { id, bytes } => Input::Bytes { link: link_of(id), bytes },
            Event::Written { id, bytes } => Input::Written { link: link_of(id), bytes },
            Event::Closed { id, why } => Input::LinkDown { link: link_of(id), reason: reason(why) },
        })
    }
}

impl Stack {
    pub(crate) const fn new(host: HostId, addr: SocketAddr) -> Self {
        let kernel = Kernel::new(host, addr.ip());
        let port = addr.port();
        Self { kernel, listens: port, datagram_port: port, extra: BTreeMap::new() }
    }

    // --- the process ---

    /// Which process runs or ran last: 1, 2, 3, ...
    pub(crate) const fn life(&self) -> u32 {
        self.kernel.life()
    }

    pub(crate) fn start(&mut self) {
        for port in std::mem::take(&mut self.extra).into_keys() {
            self.kernel.unbind(port);
        }
        self.kernel.start(self.listens);
        self.move_datagrams(self.listens);
    }

    /// The process ends as by a signal: its streams are reset.
    pub(crate) fn kill(&mut self, now: Instant, network: &Topology) {
        self.kernel.reset_all((since_beginning(now), network));
        self.kernel.end();
    }

    /// The machine falls silent.
    pub(crate) fn cut_power(&mut self) {
        self.kernel.end();
        self.kernel.set_power(false);
    }

    /// With power, the kernel answers though no process runs.
    #[cfg(test)]
    pub(crate) const fn restore_power(&mut self) {
        self.kernel.set_power(true);
    }

    pub(crate) const fn is_reading(&self) -> bool {
        self.kernel.is_reading()
    }

    /// The process takes nothing that arrives, or all of it again.
    pub(crate) const fn set_reading(&mut self, reads: bool) {
        self.kernel.set_reading(reads);
    }

    // --- what the node wants ---

    pub(crate) fn dial(&mut self, now: Instant, net: &Topology, link: LinkId, to: SocketAddr) {
        self.kernel.connect((since_beginning(now), net), stream_of(link), to);
    }

    pub(crate) fn write(&mut self, now: Instant, net: &Topology, link: LinkId, bytes: Bytes) {
        self.kernel.write((since_beginning(now), net), stream_of(link), bytes);
    }

    pub(crate) fn hang_up(&mut self, now: Instant, net: &Topology, link: LinkId, hangup: Hangup) {
        self.kernel.close((since_beginning(now), net), stream_of(link), how(hangup));
    }

    /// Sends a batch of datagrams.
    pub(crate) fn transmit(
        &mut self,
        now: Instant,
        network: &Topology,
        batch: &Transmit,
        mut bytes: Bytes,
    ) {
        let at = (since_beginning(now), network);
        let (over, to) = ExtraSocket::split(batch.to);
        let Some(port) = self.port(over) else { return };
        while !bytes.is_empty() {
            let datagram = bytes.split_to(batch.segment_size.clamp(1, bytes.len()));
            // Whether it arrives is nobody's business here.
            let hops = batch.hops.unwrap_or(DEFAULT_TTL);
            let _ = self.kernel.send(at, port, to, datagram, hops);
        }
    }

    /// Opens a socket of a port of its own for datagrams.
    pub(crate) fn open_socket(&mut self, socket: ExtraSocket) {
        let port = FIRST_DYNAMIC_PORT + socket.0 % (u16::MAX - FIRST_DYNAMIC_PORT);
        if port != self.datagram_port && self.port(Some(socket)).is_none() {
            self.extra.insert(port, socket);
            self.kernel.bind(port);
        }
    }

    pub(crate) fn close_socket(&mut self, socket: ExtraSocket) {
        if let Some(port) = self.port(Some(socket)) {
            self.extra.remove(&port);
            self.kernel.unbind(port);
        }
    }

    /// The port of an extra socket, if it is open, or of that for datagrams.
    fn port(&self, socket: Option<ExtraSocket>) -> Option<u16> {
        let Some(socket) = socket else { return Some(self.datagram_port) };
        self.extra.iter().find(|(_, open)| **open == socket).map(|(port, _)| *port)
    }

    /// Its address, as it knows it itself.
    pub(crate) const fn ip(&self) -> IpAddr {
        self.kernel.ip()
    }

    /// It is at home, behind boxes that draw from `seed`.
    pub(crate) fn put_behind(&mut self, nat_type: NatType, seed: u64) {
        self.kernel.put_behind(nat_type, seed);
    }

    /// Its router forwards its port to it.
    pub(crate) fn forward_port(&mut self) {
        self.kernel.forward_port(self.listens);
    }

    // --- what goes wrong ---

    /// The address translator in front of it chooses another port for datagrams.
    pub(crate) fn rebind(&mut self) {
        let former = self.datagram_port;
        self.datagram_port = former.checked_add(1).unwrap_or(FIRST_DYNAMIC_PORT);
        self.move_datagrams(former);
    }

    /// The host is known by another address; its streams are dead.
    pub(crate) fn renumber(&mut self, ip: IpAddr) {
        self.kernel.renumber(ip);
    }

    /// The boxes before it know of no flow; its streams are dead.
    pub(crate) fn reboot_boxes(&mut self) {
        self.kernel.reboot_boxes();
    }

    fn move_datagrams(&mut self, former: u16) {
        self.kernel.unbind(former);
        self.kernel.bind(self.datagram_port);
    }

    /// Whatever waited for a partition to heal or for its reader goes on now.
    pub(crate) fn release_all(&mut self, now: Instant, network: &Topology) {
        self.kernel.release_all((since_beginning(now), network));
    }

    /// All of its streams.
    pub(crate) fn streams(&self) -> Vec<StreamId> {
        self.kernel.streams()
    }

    /// Something between the two ends resets a stream.
    pub(crate) fn break_off(&mut self, now: Instant, network: &Topology, id: StreamId) {
        self.kernel.break_off((since_beginning(now), network), id);
    }

    /// The streams to these hosts die without a word.
    pub(crate) fn sever(&mut self, which: impl Fn(HostId) -> bool) {
        self.kernel.sever(which);
    }

    /// A stream dies at this end without a word; its other end.
    pub(crate) fn sever_one(&mut self, id: StreamId) -> Option<StreamEnd> {
        self.kernel.sever_one(id)
    }

    // --- time and others ---

    /// When something happens next.
    pub(crate) fn next_time(&self) -> Option<Instant> {
        self.kernel.next_event_time().map(at)
    }

    /// Lets the next thing happen, if it is due; whether it was.
    pub(crate) fn handle_timeout(&mut self, now: Instant, network: &Topology) -> bool {
        let is_due = self.next_time().is_some_and(|next| next <= now);
        if is_due {
            self.kernel.handle_timeout(since_beginning(now), network);
        }
        is_due
    }

    /// What the node is to hear next.
    pub(crate) fn poll_told(&mut self) -> Option<Told> {
        self.kernel.poll_event().map(|event| Told::of(event, &self.extra))
    }

    /// What this host sent to others.
    pub(crate) const fn outbox(&mut self) -> &mut Vec<(HostId, Arrival<Bytes>)> {
        self.kernel.outbox()
    }

    /// Takes in what another host sent.
    pub(crate) fn receive(&mut self, arrival: Arrival<Bytes>) {
        self.kernel.receive(arrival);
    }
}

/// The stream that a node calls so.
const fn stream_of(link: LinkId) -> StreamId {
    if link.is_of_driver() {
        StreamId::Accepted(link.number())
    } else {
        StreamId::Dialled(link.number())
    }
}

const fn link_of(stream: StreamId) -> LinkId {
    match stream {
        StreamId::Dialled(n) => LinkId::of_core(n),
        StreamId::Accepted(n) => LinkId::of_driver(n),
    }
}

/// How a node hangs up.
const fn how(hangup: Hangup) -> internet::Hangup {
    match hangup {
        Hangup::Flush => internet::Hangup::Flush,
        Hangup::Abort => internet::Hangup::Abort,
    }
}

const fn reason(why: Closed) -> LinkDown {
    match why {
        Closed::Refused => LinkDown::Refused,
        Closed::TimedOut => LinkDown::TimedOut,
        Closed::Reset => LinkDown::Reset,
        Closed::Eof => LinkDown::Eof,
        Closed::HungUp => LinkDown::HungUp,
    }
}
