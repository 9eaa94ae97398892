//! Tell one: application messages to one node, once `[PROTOCOL 3.1]`.

use std::collections::VecDeque;

use crate::{
    id::{NodeId, Ticket},
    identity::{Signed, Verified},
    misbehavior::Misbehavior,
    time::{Instant, Now},
    wire::message::{AppMessage, Message},
};

/// Why a direct message was not delivered (as far as we know: an acknowledgment can be lost with
/// its link).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// No link came up in time.
    #[error("no link to that node came up in time")]
    NoLink,
    /// A link was up, and no acknowledgment came in time.
    #[error("that node did not acknowledge in time")]
    NotAcknowledged,
    /// Too many direct messages wait for their receivers.
    #[error("too many direct messages wait for their receivers")]
    QueueFull,
}

/// What direct messages want done.
#[derive(Clone, Debug, PartialEq)]
pub enum Out {
    /// Send this; report [`Direct::delivered`] or [`Direct::undelivered`] with the ticket.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
        /// Its name.
        ticket: Ticket,
    },
    /// A link to this node is wanted.
    Connect(NodeId),
    /// Check a signature; report [`Direct::verified`].
    Verify {
        /// From whom.
        from: NodeId,
        /// What.
        claim: Signed<AppMessage>,
    },
    /// Hand it to the application.
    Deliver(Verified<AppMessage>),
    /// The end of a message that was sent.
    Completed {
        /// Which.
        ticket: Ticket,
        /// How.
        outcome: Result<(), Undelivered>,
    },
    /// A peer did wrong.
    Misbehaved {
        /// Who.
        peer: NodeId,
        /// What.
        what: Misbehavior,
    },
}

/// Why a direct message was not taken. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many direct messages wait for their peers")]
pub struct QueueFull;

/// What happened and what was dropped, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// Direct messages acknowledged by their receivers.
    pub delivered: u64,
    /// Direct messages given up.
    pub undelivered: u64,
    /// Direct messages handed to the application.
    pub received: u64,
    /// Direct messages received a second time and dropped.
    pub duplicates: u64,
}

/// Messages under way to and from single nodes.
#[derive(Debug)]
pub struct Direct {}

#[allow(unused_variables, missing_docs, clippy::needless_pass_by_value)]
impl Direct {
    pub fn new() -> Self {
        Self {}
    }
    /// Sends our own message to its audience; `up` says whether a session is there now.
    pub fn send(
        &mut self,
        now: Now,
        to: NodeId,
        message: Verified<AppMessage>,
        ticket: Ticket,
        up: bool,
        out: &mut VecDeque<Out>,
    ) -> Result<(), QueueFull> {
        Ok(())
    }
    /// A [`Message::Direct`] came in. Its signer must be `from`.
    pub fn handle_message(
        &mut self,
        now: Now,
        from: NodeId,
        claim: Signed<AppMessage>,
        out: &mut VecDeque<Out>,
    ) {
    }
    pub fn verified(
        &mut self,
        now: Now,
        from: NodeId,
        message: Verified<AppMessage>,
        out: &mut VecDeque<Out>,
    ) {
    }
    pub fn delivered(&mut self, now: Now, ticket: Ticket, out: &mut VecDeque<Out>) {}
    /// The session could not deliver it (queue full, conversation ended): tried again until its
    /// deadline.
    pub fn undelivered(&mut self, now: Now, ticket: Ticket, out: &mut VecDeque<Out>) {}
    pub fn peer_up(&mut self, now: Now, peer: NodeId, out: &mut VecDeque<Out>) {}
    pub fn peer_down(&mut self, now: Now, peer: NodeId, out: &mut VecDeque<Out>) {}
    pub fn handle_timeout(&mut self, now: Now, out: &mut VecDeque<Out>) {}
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    pub fn counters(&self) -> Counters {
        Counters::default()
    }
}
