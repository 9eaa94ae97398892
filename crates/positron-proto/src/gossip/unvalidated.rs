//! Genuine messages of which is not known whether they are valid.

use std::collections::{BTreeMap, BTreeSet};

use super::message_key::MessageKey;
use crate::{id::NodeId, identity::Verified, time::Instant, wire::message::AppMessage};

/// What the application says of a broadcast, before anybody else hears of it from this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Validity {
    /// It is handed over, kept and passed on.
    Accept,
    /// It is not, and nobody is to blame: it is of no use here, or nobody can tell yet.
    Ignore,
    /// It is not, and whoever signed it and whoever passed it on is to blame.
    Reject,
}

/// Names a broadcast that waits for the application's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValidationId(u64);

/// What the application is asked about. All of them are under verification still, as far as their
/// bringers are concerned, and bounded like claims whose signature is being checked.
#[derive(Debug, Default)]
pub(super) struct Unvalidated {
    next: u64,
    /// In the order in which their time is over.
    open: BTreeMap<ValidationId, Unjudged>,
    items: BTreeSet<MessageKey>,
}

/// A genuine message of which is not known whether it is valid.
#[derive(Debug)]
pub(super) struct Unjudged {
    pub(super) message: Verified<AppMessage>,
    pub(super) from: NodeId,
    pub(super) ttl: u8,
    pub(super) until: Instant,
}

impl Unvalidated {
    pub(super) fn push(&mut self, unjudged: Unjudged) -> ValidationId {
        let id = ValidationId(self.next);
        self.next += 1;
        self.items.insert(MessageKey::of(unjudged.message.content()));
        self.open.insert(id, unjudged);
        id
    }

    pub(super) fn take(&mut self, id: ValidationId) -> Option<Unjudged> {
        let unjudged = self.open.remove(&id)?;
        self.items.remove(&MessageKey::of(unjudged.message.content()));
        Some(unjudged)
    }

    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Unjudged> {
        let (id, first) = self.open.first_key_value()?;
        let due = (first.until <= now).then_some(*id)?;
        self.take(due)
    }

    /// Whether a message of this number waits.
    pub(super) fn contains(&self, item: &MessageKey) -> bool {
        self.items.contains(item)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.open.first_key_value().map(|(_, first)| first.until)
    }
}
