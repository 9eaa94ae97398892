//! The words of queries: what an endpoint is asked to ask, and what it is asked.

use std::net::SocketAddr;

use bytes::Bytes;

use super::secret::TicketSecret;
use crate::{
    handshake::query::HeardQuestion,
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
#[derive(Debug, PartialEq, Eq)]
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
    /// Somebody asks.
    Asked {
        /// Who, and from where.
        from: Asker,
        /// What.
        body: Bytes,
        /// What the answer is given by
        /// ([`answer_query`](super::super::Endpoint::answer_query)), now or within the time in
        /// which whoever asks waits. Nothing else is kept of the query: to drop it is to be silent.
        reply: QueryReply,
        /// Whether it came with a ticket: then who asks received at this very address within the
        /// hour, and asked within the last
        /// [`TICKET_LATENESS`](crate::limits::TICKET_LATENESS). It may still be heard more than
        /// once, so that it may only ask for what can be done twice.
        ticketed: bool,
    },
}

/// Who asks. The owner of these keys wrote the query, for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// From where, as the datagram says. Without a ticket anybody may have sent it from there: a
    /// copy of what these keys asked, perhaps long ago.
    pub addr: SocketAddr,
    /// Its key.
    pub key: PublicKey,
    /// The static X25519 key of its links.
    pub noise_static: [u8; 32],
}

/// What a query that was heard is answered by, once: the keys of its answer, and where that goes.
/// At most 2 KiB.
#[derive(Debug, PartialEq, Eq)]
pub struct QueryReply(pub(super) Box<ReplyParts>);

#[derive(Debug)]
pub(super) struct ReplyParts {
    pub(super) to: Asker,
    /// What the asking end calls the query.
    pub(super) wire: u32,
    pub(super) how: ReplyKeys,
}

/// What seals an answer.
#[derive(Debug)]
pub(super) enum ReplyKeys {
    Cold(HeardQuestion),
    Ticketed { secret: TicketSecret, number: u32 },
}

impl QueryReply {
    /// Bytes of the longest answer.
    pub const fn room(&self) -> usize {
        match self.0.how {
            ReplyKeys::Cold(_) => MAX_COLD_ANSWER,
            ReplyKeys::Ticketed { .. } => MAX_TICKETED_ANSWER,
        }
    }
}

/// Whether both are to the same query from the same place.
impl PartialEq for ReplyParts {
    fn eq(&self, other: &Self) -> bool {
        let number = |reply: &Self| match reply.how {
            ReplyKeys::Cold(_) => None,
            ReplyKeys::Ticketed { number, .. } => Some(number),
        };
        (self.to, self.wire, number(self)) == (other.to, other.wire, number(other))
    }
}

impl Eq for ReplyParts {}

/// Why a query came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryFailure {
    /// Nobody answered.
    #[error("no answer")]
    Silent,
    /// This machine has no way to that address.
    #[error("there is no way to that address")]
    NoWay,
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

impl QueryFailure {
    /// Whether whoever is there proved to hold the static key, though no answer came of it.
    pub const fn shows_a_node(&self) -> bool {
        matches!(self, Self::Unproven | Self::Refused(_) | Self::Declined)
    }
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
    /// The static key is none.
    #[error("no handshake can be started with this key")]
    BadKey,
    /// This node sends no datagrams.
    #[error("this node sends no datagrams")]
    NoDatagrams,
}

/// An answer does not fit behind what else is in its datagram. Nothing was answered, and nothing
/// can be: the reply is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an answer of {len} bytes is above the limit of {limit}")]
pub struct AnswerTooLong {
    /// Bytes.
    pub len: usize,
    /// At most ([`QueryReply::room`]).
    pub limit: usize,
}
