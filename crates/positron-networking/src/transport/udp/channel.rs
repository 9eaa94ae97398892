//! What is known of one UDP connection outside of the machine.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    ops::Deref,
    sync::{Mutex, OnceLock},
    task::Waker,
};

use positron_proto::{
    datagram::contract::{Closed, ConnectionId, RemoteNode, StreamId},
    handshake::Direction,
    id::NodeId,
    wire::frame::CloseReason,
};

use super::super::{channel::Channel, channel_state::ChannelState, wait::lock};

/// One connection.
#[derive(Debug)]
pub struct UdpChannel {
    /// What the endpoint calls it.
    pub(super) endpoint_id: ConnectionId,
    state: ChannelState,
    remote: Mutex<Remote>,
    finished: OnceLock<CloseReason>,
    streams: Mutex<Streams>,
}

#[derive(Debug)]
struct Remote {
    address: SocketAddr,
    /// Once it is proven.
    node: Option<RemoteNode>,
}

#[derive(Debug, Default)]
struct Streams {
    /// Every stream that this end has a handle of, or is to accept, and who waits for it.
    live: BTreeMap<StreamId, Stream>,
    /// Streams that the other end opened and nobody has accepted.
    accepted: VecDeque<StreamId>,
}

#[derive(Debug, Default)]
struct Stream {
    waker: Option<Waker>,
    /// Why the other end reads no more of it, if it does not.
    stopped: Option<u32>,
}

impl Deref for UdpChannel {
    type Target = ChannelState;

    fn deref(&self) -> &ChannelState {
        &self.state
    }
}

impl Channel for UdpChannel {
    fn accept_order(&self) -> Option<u64> {
        let remote = self.remote().filter(|remote| remote.direction == Direction::Inbound);
        remote.map(|_| self.endpoint_id.0)
    }

    fn address(&self) -> SocketAddr {
        lock(&self.remote).address
    }

    fn peer(&self) -> Option<NodeId> {
        self.remote().map(|remote| remote.id)
    }

    fn close(&self, why: Closed) {
        self.end(why);
        let wakers: Vec<Waker> =
            lock(&self.streams).live.values_mut().filter_map(|it| it.waker.take()).collect();
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl UdpChannel {
    pub(super) fn new(
        endpoint_id: ConnectionId,
        address: SocketAddr,
        remote: Option<RemoteNode>,
    ) -> Self {
        Self {
            endpoint_id,
            state: ChannelState::default(),
            remote: Mutex::new(Remote { address, node: remote }),
            finished: OnceLock::new(),
            streams: Mutex::default(),
        }
    }

    /// Who answers, once that is proven; with the address where it is now.
    pub(super) fn remote(&self) -> Option<RemoteNode> {
        lock(&self.remote).node
    }

    /// Why the other end closed, if it did.
    pub(super) fn finished_because(&self) -> Option<&CloseReason> {
        self.finished.get()
    }

    pub(super) fn connected(&self, remote: RemoteNode) {
        lock(&self.remote).node = Some(remote);
        self.changed.notify_waiters();
    }

    /// Where it was before.
    pub(super) fn move_to(&self, address: SocketAddr) -> SocketAddr {
        let mut end = lock(&self.remote);
        if let Some(remote) = &mut end.node {
            remote.addr = address;
        }
        std::mem::replace(&mut end.address, address)
    }

    pub(super) fn finished(&self, reason: CloseReason) {
        let _ = self.finished.set(reason);
        self.changed.notify_waiters();
    }

    /// A stream that this end opened.
    pub(super) fn stream_opened(&self, stream: StreamId) {
        lock(&self.streams).live.insert(stream, Stream::default());
    }

    /// Something can be read from a stream or written to it; one that was not known was opened by
    /// the other end.
    pub(super) fn wake_stream(&self, stream: StreamId) {
        let mut streams = lock(&self.streams);
        if let Some(live) = streams.live.get_mut(&stream) {
            let waker = live.waker.take();
            drop(streams);
            waker.into_iter().for_each(Waker::wake);
        } else if stream.opened_by == Direction::Inbound {
            streams.live.insert(stream, Stream::default());
            streams.accepted.push_back(stream);
            drop(streams);
            self.changed.notify_waiters();
        }
    }

    /// The next stream that the other end opened.
    pub(super) fn accept_stream(&self) -> Option<StreamId> {
        lock(&self.streams).accepted.pop_front()
    }

    /// Wakes this task when there is something to do with the stream. Called under the lock of the
    /// machine.
    pub(super) fn wait_for_stream(&self, stream: StreamId, waker: &Waker) {
        lock(&self.streams).live.entry(stream).or_default().waker = Some(waker.clone());
    }

    /// Whether the other end opened streams that are not read to their end.
    pub(super) fn has_inbound_streams(&self) -> bool {
        lock(&self.streams).live.keys().any(|stream| stream.opened_by == Direction::Inbound)
    }

    /// The other end reads no more of a stream that this end opened.
    pub(super) fn stop_stream(&self, stream: StreamId, code: u32) {
        if let Some(live) = lock(&self.streams).live.get_mut(&stream) {
            live.stopped = Some(code);
        }
        self.wake_stream(stream);
    }

    /// Why the other end reads no more of it, if it does not.
    pub(super) fn stopped(&self, stream: StreamId) -> Option<u32> {
        lock(&self.streams).live.get(&stream)?.stopped
    }

    /// There is nothing more to do with the stream.
    pub(super) fn forget_stream(&self, stream: StreamId) {
        lock(&self.streams).live.remove(&stream);
    }
}
