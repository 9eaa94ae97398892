//! Large broadcasts on their way to one peer.

use std::collections::BTreeMap;

use crate::id::{NodeId, Ticket};

/// The broadcasts that are not sent again to a peer before the first copy has arrived.
///
/// Bounded by what a session's queue holds of messages of [`SENT_REMEMBERED`] bytes and more.
///
/// [`SENT_REMEMBERED`]: crate::limits::SENT_REMEMBERED
#[derive(Debug, Default)]
pub(super) struct PushesUnderWay(BTreeMap<Ticket, Push>);

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Push {
    pub(super) to: NodeId,
    pub(super) sender: NodeId,
    pub(super) sequence: u64,
}

impl PushesUnderWay {
    /// The session answers this ticket when the copy has arrived, or never will.
    pub(super) fn add(&mut self, ticket: Ticket, push: Push) {
        self.0.insert(ticket, push);
    }

    /// What the ticket was for, if it was for a push.
    pub(super) fn end(&mut self, ticket: Ticket) -> Option<Push> {
        self.0.remove(&ticket)
    }
}
