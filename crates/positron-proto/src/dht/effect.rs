//! What comes out of the hash table.

use std::net::SocketAddr;

use super::{
    Contact, DhtAnswer, DhtAsk, DhtRecord, Place, operation::OperationId, outcome::DhtOutcome,
};
use crate::{
    id::{NodeId, Ticket},
    identity::{Signed, Verified},
    misbehavior::Misbehavior,
    storage::Change,
};

/// Names a question of ours that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuestionId(pub u64);

/// Names a question of another node until it is answered: whoever carries it chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyId(pub u64);

/// Names an errand of ours that others do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrandId(pub(super) u64);

/// Over what a question goes, or came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Via {
    /// A session if there is one, datagrams else.
    Any,
    /// Datagrams, to see whether the node answers at its address.
    Datagram,
    /// A session, made if there is none: for what is larger than a datagram.
    Session,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskedBy {
    /// Who it is.
    pub id: NodeId,
    /// From where it asks.
    pub addr: SocketAddr,
    /// How it can be asked there, if it asks by datagrams.
    pub contact: Option<Contact>,
    /// Whether it surely asks from there, now: what anybody could have sent, or sent again, is
    /// answered, and changes nothing.
    pub is_proven: bool,
    /// Bytes that the answer may have.
    pub room: usize,
}

impl AskedBy {
    /// Whether it can reach this node: what is nearer than it is means nothing to it.
    pub(super) fn may_hear_of(&self, contact: &Contact) -> bool {
        contact.is_plausible(self.addr)
    }
}

/// What the hash table wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum DhtEffect {
    /// Ask this, or have it done if it is an [errand](super::Dht::is_errand); report
    /// [`handle_answer`](super::Dht::handle_answer), or
    /// [`handle_unanswered`](super::Dht::handle_unanswered) if it cannot be asked.
    Ask {
        /// Named by the answer.
        question: QuestionId,
        /// Whom.
        to: Contact,
        /// What.
        ask: DhtAsk,
        /// Over what.
        via: Via,
    },
    /// The answer to this question is not waited for any more.
    Abandon(QuestionId),
    /// Answer this question of another node.
    Answer {
        /// Which.
        to: ReplyId,
        /// What.
        answer: DhtAnswer,
    },
    /// Check a signature; report [`handle_verified`](super::Dht::handle_verified) or
    /// [`handle_refuted`](super::Dht::handle_refuted).
    Verify(PendingRecord),
    /// Something to be remembered or forgotten.
    Keep(Change),
    /// An operation is over.
    Done {
        /// Which.
        ticket: Ticket,
        /// How.
        outcome: DhtOutcome,
    },
    /// A peer did wrong.
    Misbehaved {
        /// Who.
        peer: NodeId,
        /// What.
        what: Misbehavior,
    },
    /// A publisher said two things under one sequence.
    Equivocated(Box<[Verified<DhtRecord>; 2]>),
}

/// A record whose signature is being checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingRecord {
    /// What is claimed.
    pub claim: Signed<DhtRecord>,
    /// Seconds that are left of its life, as who brought it says.
    pub remaining: u32,
    /// Who brought it.
    pub from: NodeId,
    /// What it is for.
    pub wanted: RecordFor,
}

/// What a record is for that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFor {
    /// To be kept, and this is to be answered then.
    ToKeep(ReplyId),
    /// An operation of ours asked for it.
    ByUs(OperationId),
    /// An errand of ours asked for it.
    ByErrand(ErrandId),
    /// To be given to others for a peer; what comes of it has this ticket.
    ToSpread(Ticket),
}

/// What a node is to the hash table, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DhtMode {
    /// It answers others and keeps records for them, at this place.
    Server(Place),
    /// It only asks: no address is known at which strangers reach it by datagrams.
    Unreachable,
    /// It only asks: it has not been up for long enough to be worth it to others.
    Young,
    /// It only asks: it is told to.
    ToldTo,
}
