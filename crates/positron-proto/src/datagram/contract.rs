//! The words of datagram connections: what the endpoint is told, what it says, what it counts.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::{
    id::{NetworkId, NodeId},
    limits::{CONNECTION_QUEUE_BYTES, CONNECTION_WINDOW_LONGEST, LARGEST_DATAGRAM},
    misbehavior::Misbehavior,
    stun::TransactionId,
    time::{Duration, Instant},
    wire::frame::CloseReason,
};

pub use super::{
    congestion::{CongestionAlgorithm, UnknownCongestion},
    counters::EndpointCounters,
    extra_socket::ExtraSocket,
    query::contract::{
        AnswerTooLong, Asker, NotAsked, QueryEvent, QueryFailure, QueryId, QueryReply, QueryTarget,
    },
};
pub use crate::{
    handshake::{
        RemoteNode,
        expect::{Direction, Expect},
    },
    wire::packet_frame::Delivery,
};

/// What an endpoint is told once.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// Whom to talk to.
    pub network: NetworkId,
    /// Connections whose handshake is complete, in all.
    pub max_connections: usize,
    /// Bytes that may wait to be sent and acknowledged on one connection, in messages and streams;
    /// beyond it a send is refused until [`EndpointEvent::Writable`].
    pub queue_bytes: usize,
    /// Bytes that may have arrived on one connection and not been released by
    /// [`super::Endpoint::release`]: the most that flow control grows to, at least
    /// [`CONNECTION_WINDOW_LEAST`](crate::limits::CONNECTION_WINDOW_LEAST).
    pub window_bytes: usize,
    /// Silence after which a connection without traffic is asked whether it lives, at the latest:
    /// up to 18 % sooner, each in its own time. `None` leaves that to the caller.
    pub keep_alive: Option<Duration>,
    /// Silence after which a connection is lost, while something is unacknowledged.
    pub idle_timeout: Duration,
    /// The largest datagram that is ever tried, in bytes of UDP payload.
    pub max_datagram: usize,
    /// Whether a batch may have more than one datagram (segmentation offload).
    pub batches: bool,
    /// How it is found out how much may be in flight.
    pub congestion: CongestionAlgorithm,
}

impl EndpointConfig {
    /// The defaults for a network.
    pub const fn new(network: NetworkId) -> Self {
        Self {
            network,
            max_connections: 16 * 1024,
            queue_bytes: CONNECTION_QUEUE_BYTES,
            window_bytes: CONNECTION_WINDOW_LONGEST,
            keep_alive: Some(Duration::from_secs(10)),
            idle_timeout: Duration::from_secs(30),
            max_datagram: LARGEST_DATAGRAM,
            batches: true,
            congestion: CongestionAlgorithm::NewReno,
        }
    }
}

/// Names a connection at this end, unique within the life of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Names a stream within its connection; counts the streams that one end opened, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// Who opened it: outbound, we did.
    pub opened_by: Direction,
    /// Counts from 1.
    pub number: u64,
}

/// The states of a connection (the founding document's, which are RFC 9293's without LISTEN).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ConnectionState {
    /// There is no connection.
    Closed,
    /// Our SYN is out.
    SynSent,
    /// Our SYN_ACK is out; nothing sealed by the other end has been opened.
    SynReceived,
    /// Both ends hold keys and know that the other one is live.
    Established,
    /// We closed: our FIN is out.
    FinWait1,
    /// Our FIN was answered; the other end still says something.
    FinWait2,
    /// Both closed at once: our FIN is out and not answered, theirs was.
    Closing,
    /// Both closed: answers a repeated FIN for a while.
    TimeWait,
    /// They closed; we may still say something.
    CloseWait,
    /// They closed and we did: our FIN is out.
    LastAck,
}

/// Lanes are independent of one another; a lower one is more urgent. Below
/// [`LANES`](crate::limits::LANES).
pub type LaneNumber = u8;

/// What happened, in order within a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointEvent {
    /// A connection that we dialled has keys.
    Connected {
        /// Which.
        connection: ConnectionId,
        /// Who answered.
        remote: RemoteNode,
    },
    /// A node dialled us and proved to be live: its first sealed packet opened.
    Accepted {
        /// Which.
        connection: ConnectionId,
        /// Who.
        remote: RemoteNode,
    },
    /// A message. Call [`super::Endpoint::release`] with its length when it is dealt with.
    Message {
        /// Over which connection.
        connection: ConnectionId,
        /// In which lane.
        lane: LaneNumber,
        /// How it was sent.
        delivery: Delivery,
        /// What.
        body: Bytes,
    },
    /// Everything sent so far was acknowledged by the other end's endpoint, or given up.
    Drained {
        /// Which.
        connection: ConnectionId,
    },
    /// A send was refused because the queue was full; there is room again.
    Writable {
        /// Which.
        connection: ConnectionId,
    },
    /// Something can be read from a stream, or it has ended.
    StreamReadable {
        /// Which connection.
        connection: ConnectionId,
        /// Which stream.
        stream: StreamId,
    },
    /// Something can be written to a stream again.
    StreamWritable {
        /// Which connection.
        connection: ConnectionId,
        /// Which stream.
        stream: StreamId,
    },
    /// The other end reads no more of a stream of ours: what is not written yet never is.
    StreamStopped {
        /// Which connection.
        connection: ConnectionId,
        /// Which stream.
        stream: StreamId,
        /// Why, as its application says.
        code: u32,
    },
    /// A stream could not be opened because the other end allowed no more
    /// ([`NotQueued::TooManyStreams`]); now it does.
    StreamsAvailable {
        /// Which.
        connection: ConnectionId,
    },
    /// The other end has moved to this address, and proved it.
    Moved {
        /// Which.
        connection: ConnectionId,
        /// Where it is now.
        addr: SocketAddr,
    },
    /// The other end closed: nothing more comes from it. What waits is still sent; what came over
    /// streams can be read, and then this end closes too.
    Finished {
        /// Which.
        connection: ConnectionId,
        /// Why, as it says.
        reason: CloseReason,
    },
    /// The connection is over. The last event of each connection, exactly one for each
    /// [`super::Endpoint::connect`] and each [`EndpointEvent::Accepted`].
    Closed {
        /// Which.
        connection: ConnectionId,
        /// Why.
        why: Closed,
    },
}

/// Why a connection is over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// We closed it, and the other end heard of it.
    #[error("closed by this node: {0}")]
    ByUs(CloseReason),
    /// The other end closed or reset it.
    #[error("closed by the other node: {0}")]
    ByPeer(CloseReason),
    /// Nobody answered our SYN.
    #[error("no answer from this address")]
    NoAnswer,
    /// The operating system has no way to that address from here.
    #[error("there is no way to this address from here")]
    NoWay,
    /// The other end fell silent.
    #[error("the other node fell silent")]
    Silent,
    /// The handshake failed.
    #[error("the handshake failed: {0}")]
    Handshake(&'static str),
    /// Somebody else answered.
    #[error("another node answered: {found}")]
    WrongNode {
        /// Who.
        found: NodeId,
    },
    /// We reached ourselves.
    #[error("that address is this node itself")]
    Ourselves,
    /// The other end broke the protocol inside its sealed packets.
    #[error("the other node broke the protocol: {what}")]
    Violation {
        /// How.
        what: &'static str,
        /// What it counts as.
        misbehavior: Misbehavior,
    },
    /// So many packets failed to open that the cipher is at its limit (RFC 9001, 6.6).
    #[error("too many forged packets")]
    CipherLimit,
}

/// Why nothing was sent. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotQueued {
    /// There is no such connection, or it was closed.
    #[error("the connection is closed")]
    Closed,
    /// The queue is full; [`EndpointEvent::Writable`] follows.
    #[error("the queue is full")]
    Full,
    /// Larger than a message may be; a stream carries any length.
    #[error("a message of {len} bytes is above the limit of {limit}: open a stream for it")]
    TooLarge {
        /// Bytes.
        len: usize,
        /// At most.
        limit: usize,
    },
    /// There is no such lane.
    #[error("lane {0} does not exist")]
    NoSuchLane(LaneNumber),
    /// The other end lets us open no further stream now; [`EndpointEvent::StreamsAvailable`]
    /// follows.
    #[error("the other node allows no more streams now")]
    TooManyStreams,
    /// There is no such stream, or it ended.
    #[error("the stream is closed")]
    StreamClosed,
    /// There is nothing more to read, and that is not the end: the other end gave the stream up.
    #[error("the other node gave the stream up with code {code}")]
    StreamReset {
        /// Why, as its application says.
        code: u32,
    },
}

/// Why a connection was not begun. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDialled {
    /// As many handshakes as there may be are under way.
    #[error("too many handshakes are under way")]
    TooMany,
    /// Nothing can be sent there.
    #[error("{0} is no address of a node")]
    BadAddress(SocketAddr),
    /// The cryptography failed.
    #[error("no handshake can be started")]
    Handshake,
}

/// A batch of datagrams in the buffer that was lent to [`super::Endpoint::poll_transmit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to: [`ExtraSocket::split`] tells over which socket.
    pub to: SocketAddr,
    /// Bytes of each datagram but the last, which may be shorter.
    pub segment_size: usize,
    /// Bytes in all.
    pub len: usize,
    /// How many hops it goes, if not as far as it gets.
    pub hops: Option<u8>,
}

/// Somebody says how it sees us, as a STUN request asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StunAnswered {
    /// Who answered, as far as the address says.
    pub from: SocketAddr,
    /// Which request of ours, if it is one.
    pub id: TransactionId,
    /// Where it sees the socket that asked, if it says so.
    pub mapped: Option<SocketAddr>,
}

/// Bytes of one link on the wire since it began, as far as they are sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireBytes {
    /// Whole datagrams, or bytes given to a stream.
    pub sent: u64,
    /// The same that were received.
    pub received: u64,
}

/// A live connection, as statistics show it.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionView {
    /// Which.
    pub connection: ConnectionId,
    /// What the header of each packet to this end calls it.
    pub id_here: u32,
    /// What the header of each packet to the other end calls it, once that is known.
    pub id_there: Option<u32>,
    /// With whom; `None` before the handshake is complete.
    pub remote: Option<RemoteNode>,
    /// How far it is.
    pub state: ConnectionState,
    /// Since when there is a handshake or session.
    pub since: Instant,
    /// Smoothed round trip time, once measured.
    pub rtt: Option<Duration>,
    /// Least round trip time, once measured.
    pub least_rtt: Option<Duration>,
    /// What decides about it: the name of the congestion control.
    pub congestion: &'static str,
    /// Congestion window in bytes.
    pub congestion_window: u64,
    /// Bytes sent and neither acknowledged nor lost.
    pub in_flight: u64,
    /// Bytes that the other end lets us send.
    pub send_window: u64,
    /// Bytes of each full datagram.
    pub datagram_size: usize,
    /// Bytes that wait to be acknowledged.
    pub queued_bytes: usize,
    /// Bytes that arrived and were not released.
    pub unreleased_bytes: usize,
    /// What messages count for of which only parts arrived.
    pub unfinished_bytes: usize,
    /// Gaps in the numbers of the packets that arrived, which the other end has not closed.
    pub gaps: usize,
    /// Packets declared lost.
    pub lost: u64,
    /// Packets sent.
    pub sent: u64,
}
