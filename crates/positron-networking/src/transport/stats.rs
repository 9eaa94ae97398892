//! What a transport tells about itself.

use std::net::SocketAddr;

use positron_proto::{
    datagram::contract::{ConnectionState, ConnectionView},
    handshake::Direction,
    id::NodeId,
    session::sessions::SessionView,
    shown::{millis, seconds},
    time::Now,
};
use serde::Serialize;

/// A transport at one moment. `C` are the counters of its protocol.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TransportStats<C> {
    /// Who it is.
    pub node_id: NodeId,
    /// Where it listens.
    pub address: SocketAddr,
    /// Seconds since its start.
    pub uptime_s: f64,
    /// Handshakes of strangers that are not complete.
    pub half_open: usize,
    /// Datagrams, or batches of them, that the operating system did not take (none over TCP).
    pub unsent: u64,
    /// Messages that nobody read: they arrived on connections whose last handle was gone, or had
    /// waited longest, when connections that were over left more than 16 MiB behind.
    pub discarded: u64,
    /// What happened and what was dropped, since the start.
    pub counters: C,
    /// The connections.
    pub connections: Vec<ConnectionStats>,
}

/// One connection. What a protocol does not know is `None`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConnectionStats {
    /// Who is at the other end, once that is proven.
    pub node_id: Option<NodeId>,
    /// Where.
    pub address: Option<SocketAddr>,
    /// Who dialled.
    pub direction: Option<Direction>,
    /// How far it is.
    pub state: ConnectionState,
    /// Seconds since it began.
    pub age_s: f64,
    /// Smoothed round trip time in milliseconds, once measured.
    pub rtt_ms: Option<f64>,
    /// Bytes that wait to be acknowledged.
    pub queued_bytes: usize,
    /// Bytes that arrived and the application has not taken.
    pub untaken_bytes: usize,
    /// What is known of its path, over UDP.
    pub path: Option<PathStats>,
}

/// What a connection knows of its path.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PathStats {
    /// Least round trip time in milliseconds, once measured.
    pub least_rtt_ms: Option<f64>,
    /// Congestion window in bytes.
    pub congestion_window: u64,
    /// Bytes sent and neither acknowledged nor lost.
    pub in_flight: u64,
    /// Bytes that the other end lets this one send.
    pub send_window: u64,
    /// Bytes of each full datagram.
    pub datagram_size: usize,
    /// Packets sent.
    pub sent: u64,
    /// Packets declared lost.
    pub lost: u64,
}

/// What the machine of a protocol tells of itself.
#[derive(Debug)]
pub struct ProtocolStats<C> {
    pub(super) half_open: usize,
    pub(super) unsent: u64,
    pub(super) counters: C,
    pub(super) connections: Vec<ConnectionStats>,
}

impl ConnectionStats {
    pub(super) fn of_view(view: &ConnectionView, now: Now) -> Self {
        Self {
            node_id: view.remote.map(|remote| remote.id),
            address: view.remote.map(|remote| remote.addr),
            direction: view.remote.map(|remote| remote.direction),
            state: view.state,
            age_s: seconds(now.mono.since(view.since)),
            rtt_ms: view.rtt.map(millis),
            queued_bytes: view.queued_bytes,
            untaken_bytes: view.unreleased_bytes,
            path: Some(PathStats {
                least_rtt_ms: view.least_rtt.map(millis),
                congestion_window: view.congestion_window,
                in_flight: view.in_flight,
                send_window: view.send_window,
                datagram_size: view.datagram_size,
                sent: view.sent,
                lost: view.lost,
            }),
        }
    }

    pub(super) fn of_session(view: &SessionView, untaken_bytes: usize, now: Now) -> Self {
        Self {
            node_id: Some(view.peer.id),
            address: Some(view.peer.addr),
            direction: Some(view.peer.direction),
            state: ConnectionState::Established,
            age_s: seconds(now.mono.since(view.since)),
            rtt_ms: view.rtt.map(millis),
            queued_bytes: view.queued_bytes,
            untaken_bytes,
            path: None,
        }
    }
}
