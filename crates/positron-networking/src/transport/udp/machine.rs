//! The machine of a UDP transport: the endpoint, its connections, and the socket.

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    sync::{Arc, MutexGuard},
};

use bytes::Bytes;
use positron_proto::{
    datagram::{
        Endpoint,
        contract::{ConnectionId, Delivery, EndpointEvent, LaneNumber, RemoteNode},
    },
    handshake::Expect,
    limits::MAX_DATAGRAM_MESSAGE,
    time::Now,
    wire::frame::CloseReason,
};

use super::{
    super::{
        ConnectError, ConnectionStats, TransportSendError,
        inbox::Waiting,
        key_cache::KeyCache,
        protocol::{Channel as _, Protocol, ProtocolDriver},
        shared::Shared,
        wait::until,
    },
    channel::UdpChannel,
    sending::{BUFFER, Sending},
};
use crate::driver::datagrams::DatagramSocket;

/// What carries a [`UdpTransport`](super::UdpTransport): our own packets in datagrams.
#[derive(Debug)]
pub struct Udp {
    pub(super) endpoint: Endpoint,
    /// Gone when the transport is closed: the port is free then.
    pub(super) socket: Option<Arc<DatagramSocket>>,
    channels: HashMap<ConnectionId, Arc<UdpChannel>>,
    /// Connections by where they lead, the oldest first.
    by_address: BTreeSet<(SocketAddr, ConnectionId)>,
    acquaintances: KeyCache,
    pub(super) sending: Sending,
}

impl Protocol for Udp {}

impl ProtocolDriver for Udp {
    type Channel = UdpChannel;
    type Attempt = Arc<UdpChannel>;

    const MAX_MESSAGE: usize = MAX_DATAGRAM_MESSAGE;

    fn reaches(from: SocketAddr, to: &SocketAddr) -> bool {
        from.is_ipv6() || to.is_ipv4()
    }

    fn settle(&mut self, now: Now, shared: &Shared<Self>) {
        while let Some(event) = self.endpoint.poll_event() {
            self.note(now, event, shared);
        }
    }

    fn transmit(shared: &Shared<Self>, rounds: usize) -> bool {
        let mut buffer = BUFFER.take();
        let is_all = (0..rounds).any(|_| !shared.transmit_one(&mut buffer));
        BUFFER.set(buffer);
        is_all
    }

    /// Sends by itself only if the driver has been there since the last time, so that what comes
    /// quickly shares datagrams and calls.
    fn transmit_packed(shared: &Shared<Self>, mut machine: MutexGuard<'_, Self>) {
        if std::mem::take(&mut machine.sending.direct) {
            drop(machine);
            if !Self::transmit(shared, 1) {
                shared.look().leave_to_driver(shared);
            }
        } else {
            machine.leave_to_driver(shared);
        }
    }

    fn dial(
        &mut self,
        now: Now,
        to: SocketAddr,
        expect: Expect,
    ) -> Result<Arc<UdpChannel>, ConnectError> {
        let id = self.endpoint.connect(now, to, expect, self.acquaintances.key_of(expect))?;
        Ok(self.enter(id, to, None))
    }

    fn queue_of(attempt: Arc<UdpChannel>) -> Option<Arc<UdpChannel>> {
        Some(attempt)
    }

    /// Whoever does not wait for it gives it up.
    async fn made(
        shared: &Shared<Self>,
        channel: Arc<UdpChannel>,
    ) -> Result<Arc<UdpChannel>, ConnectError> {
        let mut handshake = Handshake { shared, channel: &channel, done: false };
        let outcome = until(&channel.changed, || match channel.closed() {
            Some(why) => Some(Err(why.clone())),
            None => channel.remote().map(|_| Ok(())),
        })
        .await;
        handshake.done = true;
        outcome?;
        Ok(channel.clone())
    }

    /// The oldest first.
    fn leading_to(&self, to: SocketAddr) -> Vec<Arc<UdpChannel>> {
        let all = (to, ConnectionId(0))..=(to, ConnectionId(u64::MAX));
        let ids = self.by_address.range(all);
        ids.filter_map(|(_, id)| self.channels.get(id).cloned()).collect()
    }

    fn send(
        &mut self,
        now: Now,
        channel: &Arc<UdpChannel>,
        (lane, delivery): (LaneNumber, Delivery),
        data: Bytes,
    ) -> Result<(), TransportSendError> {
        let sent = self.endpoint.send(now, channel.id, lane, delivery, data);
        sent.inspect(|()| channel.sent())
            .map_err(|why| TransportSendError::new(why, channel.closed()))
    }

    fn release(&mut self, now: Now, channel: &UdpChannel, bytes: usize) {
        self.endpoint.release(now, channel.id, bytes);
    }

    fn close(&mut self, now: Now, channel: &Arc<UdpChannel>, reason: CloseReason) {
        self.endpoint.close(now, channel.id, reason);
    }

    fn reset(&mut self, now: Now, channel: &UdpChannel, reason: CloseReason) {
        self.endpoint.reset(now, channel.id, reason);
    }

    fn channels(&self) -> impl Iterator<Item = &Arc<UdpChannel>> {
        self.channels.values()
    }

    fn half_open(&self) -> usize {
        self.endpoint.half_open()
    }

    fn unsent(&self) -> u64 {
        let unsent = self.socket.as_ref().map(|socket| socket.unsent());
        unsent.map_or(0, |(too_large, others)| too_large + others)
    }

    fn views(&self, now: Now) -> Vec<ConnectionStats> {
        self.endpoint.views().iter().map(|view| ConnectionStats::of_view(view, now)).collect()
    }

    fn view(&self, channel: &UdpChannel, now: Now) -> Option<ConnectionStats> {
        Some(ConnectionStats::of_view(&self.endpoint.view(channel.id)?, now))
    }

    fn say_goodbye(&mut self, now: Now) {
        for connection in self.channels.keys() {
            self.endpoint.reset(now, *connection, CloseReason::ShuttingDown);
        }
    }

    /// The kernel has it when it is said.
    async fn last_words(_: &Shared<Self>) {}

    fn let_go(&mut self) -> Vec<Arc<UdpChannel>> {
        self.socket = None;
        self.by_address.clear();
        self.channels.drain().map(|(_, channel)| channel).collect()
    }
}

impl Udp {
    pub(super) fn new(endpoint: Endpoint, socket: Arc<DatagramSocket>) -> Self {
        Self {
            endpoint,
            socket: Some(socket),
            channels: HashMap::new(),
            by_address: BTreeSet::new(),
            acquaintances: KeyCache::default(),
            sending: Sending::default(),
        }
    }

    fn enter(
        &mut self,
        id: ConnectionId,
        at: SocketAddr,
        remote: Option<RemoteNode>,
    ) -> Arc<UdpChannel> {
        let channel = Arc::new(UdpChannel::new(id, at, remote));
        self.channels.insert(id, channel.clone());
        self.by_address.insert((at, id));
        channel
    }

    fn note(&mut self, now: Now, event: EndpointEvent, shared: &Shared<Self>) {
        match event {
            EndpointEvent::Accepted { connection, remote } => {
                self.acquaintances.meet(remote.id, remote.noise_static);
                let channel = self.enter(connection, remote.addr, Some(remote));
                shared.came(self, now, &channel);
            }
            EndpointEvent::Closed { connection, why } => {
                let Some(channel) = self.channels.remove(&connection) else { return };
                self.by_address.remove(&(channel.address(), connection));
                shared.left(&channel, why);
            }
            EndpointEvent::Moved { connection, addr } => {
                let Some(channel) = self.channels.get(&connection) else { return };
                self.by_address.remove(&(channel.move_to(addr), connection));
                self.by_address.insert((addr, connection));
            }
            EndpointEvent::Message { connection, lane, delivery, body: data } => {
                let Some(channel) = self.channels.get(&connection).cloned() else { return };
                // Messages come after the event that says who sends them.
                let Some(RemoteNode { id: from, addr, .. }) = channel.remote() else { return };
                shared.inbox.push(Waiting { channel, from, addr, lane, delivery, data });
            }
            EndpointEvent::Connected { connection, remote } => {
                self.acquaintances.meet(remote.id, remote.noise_static);
                self.with(connection, |channel| channel.connected(remote));
            }
            EndpointEvent::Drained { connection } => {
                self.with(connection, |channel| channel.drained());
            }
            EndpointEvent::Writable { connection }
            | EndpointEvent::StreamsAvailable { connection } => {
                self.with(connection, |channel| channel.writable.notify_waiters());
            }
            EndpointEvent::StreamReadable { connection, stream }
            | EndpointEvent::StreamWritable { connection, stream } => {
                self.with(connection, |channel| channel.wake_stream(stream));
            }
            EndpointEvent::Finished { connection, reason } => {
                let Some(channel) = self.channels.get(&connection).cloned() else { return };
                channel.finished(reason);
                self.close_if_read(now, &channel);
            }
        }
    }

    /// The other end closed: so does this one, once everything that came is read. (Messages wait in
    /// the inbox, but streams in the machine.)
    pub(super) fn close_if_read(&mut self, now: Now, channel: &UdpChannel) {
        if let Some(reason) = channel.finished_because()
            && !channel.has_inbound_streams()
        {
            self.endpoint.close(now, channel.id, reason.clone());
        }
    }

    fn with(&self, connection: ConnectionId, tell: impl Fn(&UdpChannel)) {
        self.channels.get(&connection).into_iter().for_each(|channel| tell(channel));
    }
}

/// A handshake that is being waited for.
struct Handshake<'a> {
    shared: &'a Shared<Udp>,
    channel: &'a UdpChannel,
    done: bool,
}

impl Drop for Handshake<'_> {
    fn drop(&mut self) {
        if !self.done {
            let reason = CloseReason::ShuttingDown;
            self.shared.act(|machine, now| machine.reset(now, self.channel, reason));
        }
    }
}
