//! What this node does with the table: find, read, write.

use super::{
    Contact, DhtQuery, Place, lookup::Lookup, reading::RecordReading, writing::RecordWriting,
};
use crate::{id::Ticket, time::Instant};

/// Names an operation of ours that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(pub(super) u64);

/// An operation under way: a lookup, and what is done on the way and at its end.
#[derive(Debug)]
pub(super) struct Operation {
    /// Whose completion is told.
    pub(super) ticket: Option<Ticket>,
    pub(super) lookup: Lookup,
    pub(super) goal: Goal,
    pub(super) began: Instant,
}

/// What an operation is for.
#[derive(Debug)]
pub(super) enum Goal {
    /// Whoever is near.
    Find,
    /// Records under a key.
    Read(RecordReading),
    /// Records under a key, and then a tombstone above ours.
    Delete(RecordReading),
    /// A record, for those who are nearest to its key.
    Write(Box<RecordWriting>),
}

impl Goal {
    /// Whether what it wants is here already.
    pub(super) fn has_first(&self) -> bool {
        matches!(self, Self::Read(reading) if reading.has_first())
    }
}

impl Operation {
    /// What each node on the way is asked.
    pub(super) fn query(&self) -> DhtQuery {
        match &self.goal {
            Goal::Find => DhtQuery::Find(self.lookup.target()),
            Goal::Read(reading) | Goal::Delete(reading) => reading.query(),
            Goal::Write(writing) => writing.query(),
        }
    }

    /// Whether nothing more is to be looked for.
    pub(super) fn has_looked(&self) -> bool {
        match &self.goal {
            Goal::Read(reading) => self.lookup.is_done() || reading.is_enough(&self.lookup),
            Goal::Find | Goal::Delete(_) | Goal::Write(_) => self.lookup.is_done(),
        }
    }

    /// Whether what it wants has come, and is being checked: nobody else is asked before that.
    pub(super) const fn is_checking(&self) -> bool {
        match &self.goal {
            Goal::Read(reading) => reading.is_checking_first(),
            Goal::Find | Goal::Delete(_) | Goal::Write(_) => false,
        }
    }

    /// The place that it is about.
    pub(super) fn target(&self) -> Place {
        self.lookup.target()
    }

    /// Who answered, nearest first.
    pub(super) fn nearest(&self) -> Vec<Contact> {
        self.lookup.nearest()
    }
}
