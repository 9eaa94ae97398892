//! The words of queries: what an endpoint is asked to ask, and what it is asked.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::{
    identity::PublicKey,
    limits::{MAX_COLD_ANSWER, MAX_TICKETED_ANSWER},
    time::Duration,
    wire::frame::CloseReason,
};

/// Names a query of ours. The caller chooses it; no two that are under way have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub u64);

/// Whom to ask. Only this node's answer is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueryTarget {
    /// Where it is.
    pub addr: SocketAddr,
    /// Its key.
    pub key: PublicKey,
    /// The static X25519 key of its links, as its record or whoever named it says.
    pub noise_static: [u8; 32],
}

/// What became of queries, ours and those of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryEvent {
    /// The node that was asked answered. The last event of a query.
    Answered {
        /// Which query.
        id: QueryId,
        /// Its answer.
        body: Bytes,
        /// From the packet that it answers to now.
        rtt: Duration,
    },
    /// Nothing comes of a query any more. The last event of it.
    Failed {
        /// Which.
        id: QueryId,
        /// Why.
        why: QueryFailure,
    },
    /// Somebody asks. Answer by [`answer_query`](super::super::Endpoint::answer_query) before
    /// anything else is said to the endpoint: what is not answered then is dropped and counted.
    Asked {
        /// From where, as the datagram says. Without a ticket anybody may have sent it from there:
        /// a copy of what this key asked, perhaps long ago.
        from_addr: SocketAddr,
        /// Who asks: the owner of this key wrote the query, for us.
        from: PublicKey,
        /// What.
        body: Bytes,
        /// Names it in the answer.
        reply: QueryReply,
        /// Whether it came with a ticket: then who asks received at this very address within the
        /// hour, and asked within the last
        /// [`TICKET_LATENESS`](crate::limits::TICKET_LATENESS). It may still be heard more than
        /// once, so that it may only ask for what can be done twice.
        ticketed: bool,
    },
}

/// Names a query that was heard, until the end of the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryReply {
    pub(super) number: u64,
    pub(super) ticketed: bool,
}

impl QueryReply {
    /// Bytes of the longest answer.
    pub const fn room(self) -> usize {
        if self.ticketed { MAX_TICKETED_ANSWER } else { MAX_COLD_ANSWER }
    }
}

/// Why a query came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryFailure {
    /// Nobody answered.
    #[error("no answer")]
    Silent,
    /// Nobody answered but by an unsealed word, which anybody may have sent: that the static key is
    /// not the one there.
    #[error("no answer, perhaps because that node has another key now")]
    NotThisKey,
    /// The holder of the static key answered without a proof that it is the node that was asked.
    #[error("the other end did not prove its identity")]
    Unproven,
    /// We have nothing to say to the node that answered, for this reason.
    #[error("refused: {0}")]
    Refused(CloseReason),
    /// The node that was asked has nothing to say to us, and does not say why.
    #[error("that node does not answer this one")]
    Declined,
}

/// Why nothing was asked. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAsked {
    /// As many queries as there may be are under way.
    #[error("too many queries are under way")]
    TooMany,
    /// A query of this name is under way.
    #[error("a query of this name is under way")]
    NameTaken,
    /// Nothing can be sent there.
    #[error("{0} is no address of a node")]
    BadAddress(SocketAddr),
    /// More than fits into one datagram.
    #[error("a query of {len} bytes is above the limit of {limit}")]
    TooLarge {
        /// Bytes.
        len: usize,
        /// At most; more with a ticket of that node.
        limit: usize,
    },
    /// That address never answered, and was asked as often as one may be that does not.
    #[error("{0} never answered and is not asked again so soon")]
    Unanswered(SocketAddr),
    /// The static key is none.
    #[error("no handshake can be started with this key")]
    BadKey,
    /// This node sends no datagrams.
    #[error("this node sends no datagrams")]
    NoDatagrams,
}

/// Why a query was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnswered {
    /// It was answered already, or its step is over.
    #[error("that query waits for no answer")]
    Gone,
    /// More than fits behind what else is in the datagram. It still waits.
    #[error("an answer of {len} bytes is above the limit of {limit}")]
    TooLarge {
        /// Bytes.
        len: usize,
        /// At most ([`QueryReply::room`]).
        limit: usize,
    },
}
