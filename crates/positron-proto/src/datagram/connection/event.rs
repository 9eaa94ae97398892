//! What happened to a connection.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::{
    datagram::contract::{
        Closed, ConnectionId, Delivery, EndpointEvent, LaneNumber, RemoteNode, StreamId,
    },
    wire::frame::CloseReason,
};

/// What happened to a connection: an [`EndpointEvent`] without its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::datagram) enum ConnectionEvent {
    Connected(RemoteNode),
    Accepted(RemoteNode),
    Message { lane: LaneNumber, delivery: Delivery, body: Bytes },
    Drained,
    Writable,
    StreamReadable(StreamId),
    StreamWritable(StreamId),
    StreamStopped(StreamId, u32),
    StreamsAvailable,
    Moved(SocketAddr),
    Finished(CloseReason),
    Closed(Closed),
}

impl ConnectionEvent {
    pub(in crate::datagram) fn of(self, connection: ConnectionId) -> EndpointEvent {
        match self {
            Self::Connected(remote) => EndpointEvent::Connected { connection, remote },
            Self::Accepted(remote) => EndpointEvent::Accepted { connection, remote },
            Self::Message { lane, delivery, body } => {
                EndpointEvent::Message { connection, lane, delivery, body }
            }
            Self::Drained => EndpointEvent::Drained { connection },
            Self::Writable => EndpointEvent::Writable { connection },
            Self::StreamReadable(stream) => EndpointEvent::StreamReadable { connection, stream },
            Self::StreamWritable(stream) => EndpointEvent::StreamWritable { connection, stream },
            Self::StreamStopped(stream, code) => {
                EndpointEvent::StreamStopped { connection, stream, code }
            }
            Self::StreamsAvailable => EndpointEvent::StreamsAvailable { connection },
            Self::Moved(addr) => EndpointEvent::Moved { connection, addr },
            Self::Finished(reason) => EndpointEvent::Finished { connection, reason },
            Self::Closed(why) => EndpointEvent::Closed { connection, why },
        }
    }

    /// Whether it says that nothing, or nothing more of the other end, follows.
    pub(super) const fn is_end(&self) -> bool {
        matches!(self, Self::Closed(_) | Self::Finished(_))
    }
}
