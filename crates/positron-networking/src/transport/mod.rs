//! Connections without a node: encrypted and authenticated messages and streams between two
//! programs that know each other's addresses.
//!
//! - [`UdpTransport`]: our own protocol over datagrams; reliable or not, sixteen lanes, streams;
//! - [`TcpTransport`]: the same over TCP, where UDP does not get through; reliable and in order.
//! - [`AdaptiveFlowController`]: congestion and flow control by itself, for callers that bring
//!   their own transport.
//!
//! Both transports are a [`Transport`], and differ by the [`Protocol`] alone.
//!
//! What a transport receives waits until the application takes it, and what it may hold is bounded:
//! when the bound is reached the other end waits, and in the end its `send`. Nothing that is
//! reliable is dropped.

mod address;
mod attempt;
mod channel;
mod channel_state;
mod config;
mod connection;
mod error;
mod guard;
mod handle;
mod incoming;
mod key_cache;
mod machine;
mod mailbox;
mod ownership;
mod protocol;
mod receive_queue;
mod receiver;
mod send_turn;
mod shared;
mod stats;
mod tcp;
mod udp;
mod wait;

pub use config::{TcpConfig, UdpConfig};
pub use connection::Connection;
pub use error::{ConnectError, TransportError, TransportSendError};
pub use handle::Transport;
pub use incoming::Incoming;
pub use ownership::ConnectionId;
pub use positron_proto::{
    datagram::{
        contract::{
            Closed, CongestionAlgorithm, ConnectionState, Delivery, EndpointCounters, LaneNumber,
            NotDialled, RemoteNode, UnknownCongestion,
        },
        flow::{AdaptiveFlowController, FlowStats, Phase},
    },
    handshake::Expect,
    session::sessions::{LinkDown, SessionCounters},
    time::Instant,
};
pub use protocol::Protocol;
pub use receiver::Receiver;
pub use stats::{ConnectionStats, PathStats, TransportStats};
pub use tcp::{Tcp, TcpConnection, TcpIncoming, TcpTransport};
pub use udp::{RecvStream, SendStream, Udp, UdpConnection, UdpIncoming, UdpTransport};

/// The lane of messages that are sent to an address: neither the most urgent nor the least.
pub const DEFAULT_LANE: LaneNumber = 8;
