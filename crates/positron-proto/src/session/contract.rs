//! The words of the table of sessions: what it is told, what it says, what it counts.

use std::net::SocketAddr;

use bytes::Bytes;

pub use super::{
    config::{RateLimit, SessionConfig},
    counters::{SessionCounters, SessionLevels},
    effort::Effort,
    kind::{LinkKind, LinkKinds, PerKind},
};
pub use crate::{
    datagram::contract::{
        AnswerTooLong, Asker, NotAsked, QueryEvent, QueryFailure, QueryId, QueryReply, QueryTarget,
        StunAnswered,
    },
    stream::contract::{Hangup, LinkDown, Reading},
};
use crate::{
    handshake::{Direction, Expect, HandshakeFailure, RemoteNode},
    id::{LinkId, NodeId, Ticket},
    identity::PublicKey,
    metric::Level,
    misbehavior::Misbehavior,
    time::{Duration, Instant},
    wire::frame::{CloseReason, Lane},
};

/// Which line a message stands in: those of one flow keep their order, and the flows of one lane
/// take turns, so that the many messages of one sender do not delay the few of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// How urgent.
    pub lane: Lane,
    /// Whose messages they are, where the lane has those of many.
    pub of: Option<NodeId>,
}

impl From<Lane> for Flow {
    fn from(lane: Lane) -> Self {
        Self { lane, of: None }
    }
}

/// What a dial is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A link to keep.
    Connect,
    /// To see who answers at the address: closed as soon as that is known; the other end counts no
    /// session. Kinds of links whose dials have a port of their own go first: nothing that was
    /// sent before lets them in.
    Probe,
}

/// A wish for a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DialRequest {
    /// Where to.
    pub to: SocketAddr,
    /// Who must answer.
    pub expect: Expect,
    /// The static X25519 key of the expected node, if its record is known: IK instead of XX.
    pub noise_static: Option<[u8; 32]>,
    /// What for.
    pub purpose: Purpose,
    /// What it may cost.
    pub effort: Effort,
}

/// An authenticated peer at the other end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Who.
    pub id: NodeId,
    /// Its key.
    pub key: PublicKey,
    /// The static X25519 key of its links.
    pub noise_static: [u8; 32],
    /// From where, or where to.
    pub addr: SocketAddr,
    /// Who dialled.
    pub direction: Direction,
    /// By which link.
    pub link: LinkId,
    /// Names the start of its process.
    pub boot: u64,
}

impl Peer {
    /// Who proved to be at the other end of `link`.
    pub(super) const fn of(remote: &RemoteNode, link: LinkId) -> Self {
        let RemoteNode { id, key, noise_static, boot, addr, direction } = *remote;
        Self { id, key, noise_static, addr, direction, link, boot }
    }
}

/// Why a dial led to no session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialFailure {
    /// There was no link.
    #[error(transparent)]
    Link(#[from] LinkDown),
    /// The handshake did not complete in time.
    #[error("the handshake timed out")]
    Timeout,
    /// There was a link, and who is at its other end is nobody to have a session with, or does not
    /// want to.
    #[error(transparent)]
    Handshake(#[from] HandshakeFailure),
}

impl DialFailure {
    /// One of the two ends does not want to, for this reason.
    pub const fn refused(why: CloseReason) -> Self {
        Self::Handshake(HandshakeFailure::Refused(why))
    }

    /// Whether somebody is there who only has no room, and can name others who may.
    pub const fn is_for_want_of_room(&self) -> bool {
        match self {
            Self::Handshake(HandshakeFailure::Refused(why)) => why.is_for_want_of_room(),
            Self::Handshake(_) | Self::Link(_) | Self::Timeout => false,
        }
    }

    /// Whether a node proved to be where it was dialled, by its key, though it wants no session.
    pub const fn shows_a_node(&self) -> bool {
        use CloseReason::{
            AddressFull, InboundFull, KeyRetired, SelfDial, SlotsFull, WrongFeatures, WrongNode,
        };
        match self {
            Self::Handshake(HandshakeFailure::WrongNode { .. } | HandshakeFailure::Ourselves) => {
                true
            }
            // What we may have said ourselves shows nothing.
            Self::Handshake(HandshakeFailure::Refused(why)) => matches!(
                why,
                AddressFull
                    | InboundFull
                    | KeyRetired
                    | SelfDial
                    | SlotsFull
                    | WrongFeatures
                    | WrongNode
            ),
            Self::Handshake(_) | Self::Link(_) | Self::Timeout => false,
        }
    }

    /// Whether nothing else has to be tried.
    pub(super) const fn settles(&self) -> bool {
        match self {
            Self::Handshake(failure) => failure.settles(),
            Self::Link(_) | Self::Timeout => false,
        }
    }

    /// How much it tells of what is there.
    pub(super) const fn telling(&self) -> u8 {
        match self {
            Self::Link(LinkDown::TimedOut) => 0,
            Self::Timeout => 1,
            Self::Link(_) => 2,
            Self::Handshake(failure) if failure.settles() => 4,
            Self::Handshake(_) => 3,
        }
    }
}

/// What a dial came to. Every dial comes to exactly one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialOutcome {
    /// A session with this node (perhaps over a link that was there before): it answered over this
    /// kind of link.
    Connected(NodeId, LinkKind),
    /// This node answers there ([`Purpose::Probe`]), over this kind of link.
    Probed(NodeId, LinkKind),
    /// None.
    Failed(DialFailure),
}

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DownReason {
    /// Its last link broke.
    #[error("{0}")]
    Link(LinkDown),
    /// The peer closed it.
    #[error("the peer closed: {0}")]
    ByPeer(CloseReason),
    /// We closed it.
    #[error("we closed: {0}")]
    ByUs(CloseReason),
}

/// What the sessions want done or say happened, in order.
#[derive(Debug, PartialEq, Eq)]
pub enum SessionEffect {
    /// Open a byte stream.
    Dial {
        /// Its name.
        link: LinkId,
        /// What it is to be made of.
        kind: LinkKind,
        /// Where to.
        to: SocketAddr,
    },
    /// Write to a byte stream.
    Write {
        /// Which.
        link: LinkId,
        /// What.
        bytes: Bytes,
    },
    /// Read a byte stream, or leave what arrives with the kernel.
    Read {
        /// Which.
        link: LinkId,
        /// Which of the two.
        reading: Reading,
    },
    /// End a byte stream.
    Hangup {
        /// Which.
        link: LinkId,
        /// How.
        how: Hangup,
    },
    /// An authenticated node that dialled us proved to be live. Nothing happens until
    /// [`super::Sessions::accept`] or [`super::Sessions::refuse`] is called.
    Incoming(Peer),
    /// A session is up: both ends agreed.
    Up(Peer),
    /// The peer of a session dialled us, too.
    DialledUs {
        /// Who.
        peer: NodeId,
        /// From where.
        from: SocketAddr,
    },
    /// The peer of a session is at another address.
    Moved {
        /// Who.
        peer: NodeId,
        /// Where we see it now.
        addr: SocketAddr,
    },
    /// A session is over.
    Down {
        /// With whom.
        peer: NodeId,
        /// Why.
        reason: DownReason,
        /// What it was.
        session: EndedSession,
    },
    /// A process of the peer is back after another one with the same key took its place: both run.
    UsedTwice {
        /// Whose key.
        peer: NodeId,
        /// Where the one was that has to go now, and where the other one is.
        addrs: [SocketAddr; 2],
    },
    /// A dial ended.
    DialEnded {
        /// What was wished.
        dial: DialRequest,
        /// What it came to.
        outcome: DialOutcome,
    },
    /// A peer said something. In order within a lane, once per boot of the peer.
    ///
    /// The body is a slice of the buffer in which its record arrived, and keeps all of it alive:
    /// whoever keeps a small one for long copies it.
    Message {
        /// Who.
        peer: NodeId,
        /// A type and a body ([`crate::wire::message::Envelope`]).
        body: Bytes,
    },
    /// A peer made work without saying anything: frames that arrived before, that answer nothing,
    /// or that nobody here knows, and what is around parts of messages.
    Idle {
        /// Who.
        peer: NodeId,
        /// Bytes of it.
        bytes: usize,
    },
    /// A node that is about to refuse us said something first (addresses of others).
    Referral {
        /// Who.
        peer: NodeId,
        /// A type and a body ([`crate::wire::message::Envelope`]).
        body: Bytes,
    },
    /// The peer acknowledged the message with this ticket, end to end.
    Delivered {
        /// What [`super::Sessions::send`] was given.
        ticket: Ticket,
    },
    /// The message with this ticket will not be delivered: its conversation ended first.
    Undelivered {
        /// What [`super::Sessions::send`] was given.
        ticket: Ticket,
    },
    /// What became of a query, ours or another node's. No session comes of it.
    Query(QueryEvent),
    /// The link of a session fell silent, and is not held for dead yet.
    Suspect(NodeId),
    /// The peer of a session answered a PING.
    Pong {
        /// Who.
        peer: NodeId,
        /// How long ago the PING was written.
        rtt: Duration,
    },
    /// Somebody answered a STUN request.
    Stun(StunAnswered),
    /// A peer did wrong inside its session (which is closed if it cannot go on).
    Misbehaved {
        /// Who.
        peer: NodeId,
        /// What.
        what: Misbehavior,
    },
}

/// Why a message was not queued. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// There is no session with that node.
    #[error("not connected")]
    NotConnected,
    /// The queue is at its limit in bytes or messages.
    #[error("the queue to that node is full")]
    QueueFull,
    /// The message is above [`crate::limits::MAX_MESSAGE`].
    #[error("the message is too large")]
    TooLarge,
}

/// A session that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedSession {
    /// With whom and how, by its last link.
    pub peer: Peer,
    /// What that link was made of.
    pub transport: LinkKind,
    /// For how long there was a session.
    pub lasted: Duration,
}

/// A live session, as `stats` and `status` show it.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionView {
    /// With whom and how.
    pub peer: Peer,
    /// Since when.
    pub since: Instant,
    /// Smoothed round trip time, once known.
    pub rtt: Option<Duration>,
    /// Bytes that wait for the peer.
    pub queued_bytes: usize,
    /// What its link is made of.
    pub transport: LinkKind,
}

/// How near a session is to each of its bounds.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SessionBounds {
    /// What waits for the peer in each lane, most urgent first.
    pub lanes: Vec<LaneLevels>,
    /// Bytes that wait in all lanes but that of streams.
    pub queued_bytes: Level,
    /// Messages that wait in all lanes but that of streams.
    pub queued_messages: Level,
    /// Messages of the peer of which only a part has arrived: one a lane.
    pub partial_messages: Level,
    /// The bytes of them that have arrived.
    pub partial_bytes: Level,
}

/// What waits for a peer in one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LaneLevels {
    /// Its name.
    pub lane: &'static str,
    /// Bytes. All lanes but that of streams share their limit.
    pub bytes: Level,
    /// Messages. All lanes but that of streams share their limit.
    pub messages: Level,
}
