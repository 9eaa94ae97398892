//! The machine of a UDP transport: the endpoint, its connections, and the socket.

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    sync::Arc,
};

use bytes::Bytes;
use positron_proto::{
    datagram::{
        Endpoint,
        contract::{
            ConnectionId, Delivery, EndpointCounters, EndpointEvent, LaneNumber, RemoteNode,
            StreamId,
        },
    },
    handshake::Expect,
    time::{Instant, Now},
    wire::frame::CloseReason,
};

use super::{
    super::{
        ConnectError, ConnectionStats, TransportSendError,
        attempt::Attempt,
        channel::Channel as _,
        key_cache::KeyCache,
        machine::{DialFor, ProtocolEvent, ProtocolMachine},
        mailbox::QueuedMessage,
        send_turn::Transmit,
        stats::ProtocolStats,
    },
    channel::UdpChannel,
};
use crate::driver::datagrams::DatagramSocket;

/// The protocol of a [`UdpTransport`](super::UdpTransport): our own packets in datagrams.
#[derive(Debug)]
pub struct Udp {
    pub(super) endpoint: Endpoint,
    /// Gone when the transport is closed: the port is free then.
    pub(super) socket: Option<Arc<DatagramSocket>>,
    channels: HashMap<ConnectionId, Arc<UdpChannel>>,
    /// Connections by where they lead, the oldest first.
    by_address: BTreeSet<(SocketAddr, ConnectionId)>,
    key_cache: KeyCache,
}

impl ProtocolMachine for Udp {
    type Channel = UdpChannel;
    type Counters = EndpointCounters;

    const TRANSMITS: bool = true;

    fn reaches(from: SocketAddr, to: &SocketAddr) -> bool {
        from.is_ipv6() || to.is_ipv4()
    }

    fn dial(
        &mut self,
        now: Now,
        to: SocketAddr,
        expect: Expect,
        _whose: DialFor,
    ) -> Result<Attempt<UdpChannel>, ConnectError> {
        let id = self.endpoint.connect(now, to, expect, self.key_cache.key_of(expect))?;
        Ok(Attempt::Pending(self.enter(id, to, None)))
    }

    fn give_up(&mut self, now: Now, attempt: Attempt<UdpChannel>) {
        if let Attempt::Pending(channel) = attempt {
            self.reset(now, &channel, CloseReason::ShuttingDown);
        }
    }

    /// The oldest first.
    fn connections_to(&self, to: SocketAddr) -> Vec<Arc<UdpChannel>> {
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
        let sent = self.endpoint.send(now, channel.endpoint_id, lane, delivery, data);
        sent.inspect(|()| channel.sent())
            .map_err(|why| TransportSendError::new(why, channel.closed()))
    }

    fn release(&mut self, now: Now, channel: &UdpChannel, bytes: usize) {
        self.endpoint.release(now, channel.endpoint_id, bytes);
    }

    fn close(&mut self, now: Now, channel: &Arc<UdpChannel>, reason: CloseReason) {
        self.endpoint.close(now, channel.endpoint_id, reason);
    }

    /// What waits in streams would keep the other end from closing, too.
    fn abandon(&mut self, now: Now, channel: &Arc<UdpChannel>, reason: CloseReason) {
        while let Some(stream) = channel.accept_stream() {
            self.refuse(now, channel, stream);
        }
        self.endpoint.close(now, channel.endpoint_id, reason);
    }

    fn reset(&mut self, now: Now, channel: &UdpChannel, reason: CloseReason) {
        self.endpoint.reset(now, channel.endpoint_id, reason);
    }

    fn connections(&self) -> impl Iterator<Item = &Arc<UdpChannel>> {
        self.channels.values()
    }

    fn reset_all(&mut self, now: Now) {
        for connection in self.channels.keys() {
            self.endpoint.reset(now, *connection, CloseReason::ShuttingDown);
        }
    }

    /// The kernel has it when it is sent.
    fn is_flushed(&self) -> bool {
        true
    }

    fn shut_down(&mut self) -> Vec<Arc<UdpChannel>> {
        self.socket = None;
        self.by_address.clear();
        self.channels.drain().map(|(_, channel)| channel).collect()
    }

    fn poll_event(&mut self, now: Now) -> Option<ProtocolEvent<UdpChannel>> {
        while let Some(event) = self.endpoint.poll_event() {
            let told = self.handle_event(now, event);
            if told.is_some() {
                return told;
            }
        }
        None
    }

    fn poll_transmit(&mut self, now: Now, buffer: &mut Vec<u8>) -> Option<Transmit> {
        let socket = self.socket.as_ref()?;
        for to in socket.take_no_way() {
            self.endpoint.handle_no_way(now, to);
        }
        let batch = self.endpoint.poll_transmit(now, socket.max_segments(), buffer)?;
        let (to, segment_size, len) = (batch.to, batch.segment_size, batch.len);
        Some(Transmit { socket: socket.clone(), to, segment_size, len })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.endpoint.poll_timeout()
    }

    fn stats(&self, now: Now) -> ProtocolStats<EndpointCounters> {
        let unsent = self.socket.as_ref().map(|socket| socket.unsent());
        let views = self.endpoint.views();
        ProtocolStats {
            half_open: self.endpoint.half_open(),
            unsent: unsent.map_or(0, |(too_large, others)| too_large + others),
            counters: self.endpoint.counters(),
            connections: views.iter().map(|view| ConnectionStats::of_view(view, now)).collect(),
        }
    }

    fn connection_stats(&self, channel: &UdpChannel, now: Now) -> Option<ConnectionStats> {
        Some(ConnectionStats::of_view(&self.endpoint.view(channel.endpoint_id)?, now))
    }
}

impl Udp {
    pub(super) fn new(endpoint: Endpoint, socket: Arc<DatagramSocket>) -> Self {
        Self {
            endpoint,
            socket: Some(socket),
            channels: HashMap::new(),
            by_address: BTreeSet::new(),
            key_cache: KeyCache::default(),
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

    /// What others have to hear of it; the rest is told to the connection.
    fn handle_event(
        &mut self,
        now: Now,
        event: EndpointEvent,
    ) -> Option<ProtocolEvent<UdpChannel>> {
        match event {
            EndpointEvent::Accepted { connection, remote } => {
                self.key_cache.insert(remote.id, remote.noise_static);
                let channel = self.enter(connection, remote.addr, Some(remote));
                return Some(ProtocolEvent::Established(channel));
            }
            EndpointEvent::Closed { connection, why } => {
                let channel = self.channels.remove(&connection)?;
                self.by_address.remove(&(channel.address(), connection));
                return Some(ProtocolEvent::Closed(channel, why));
            }
            EndpointEvent::Message { connection, lane, delivery, body: data } => {
                let channel = self.channels.get(&connection)?.clone();
                // Messages come after the event that says who sends them.
                let RemoteNode { id: from, addr, .. } = channel.remote()?;
                let message = QueuedMessage { from, addr, lane, delivery, data };
                return Some(ProtocolEvent::Message(channel, message));
            }
            EndpointEvent::Moved { connection, addr } => {
                let channel = self.channels.get(&connection)?;
                self.by_address.remove(&(channel.move_to(addr), connection));
                self.by_address.insert((addr, connection));
            }
            EndpointEvent::Connected { connection, remote } => {
                self.key_cache.insert(remote.id, remote.noise_static);
                self.channels.get(&connection)?.connected(remote);
            }
            EndpointEvent::Drained { connection } => self.channels.get(&connection)?.drained(),
            EndpointEvent::Writable { connection }
            | EndpointEvent::StreamsAvailable { connection } => {
                self.channels.get(&connection)?.writable.notify_waiters();
            }
            EndpointEvent::StreamReadable { connection, stream }
            | EndpointEvent::StreamWritable { connection, stream } => {
                let channel = self.channels.get(&connection)?.clone();
                channel.wake_stream(stream);
                if channel.ownership.is_abandoned()
                    && let Some(stream) = channel.accept_stream()
                {
                    self.refuse(now, &channel, stream);
                }
            }
            EndpointEvent::StreamStopped { connection, stream, code } => {
                self.channels.get(&connection)?.stop_stream(stream, code);
            }
            EndpointEvent::Finished { connection, reason } => {
                let channel = self.channels.get(&connection)?.clone();
                channel.finished(reason);
                self.close_if_read(now, &channel);
            }
        }
        None
    }

    /// Nobody will read this stream.
    fn refuse(&mut self, now: Now, channel: &UdpChannel, stream: StreamId) {
        self.endpoint.drop_stream(now, channel.endpoint_id, stream, 0);
        channel.forget_stream(stream);
        self.close_if_read(now, channel);
    }

    /// The other end closed: so does this one, once everything that came is read. (Messages wait in
    /// the receive queue, but streams in the machine.)
    pub(super) fn close_if_read(&mut self, now: Now, channel: &UdpChannel) {
        if let Some(reason) = channel.finished_because()
            && !channel.has_inbound_streams()
        {
            self.endpoint.close(now, channel.endpoint_id, reason.clone());
        }
    }
}
