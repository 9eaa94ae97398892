//! Operations that have yet to begin.

use super::{Place, operation::Goal};
use crate::{id::Ticket, time::Instant};

/// What the application wants of the table while nobody in it can be asked *yet*: a node that has
/// just joined has a link a moment before it has heard who answers.
///
/// It begins with the first node that answers, or when there is nobody left to hope for. Counted
/// among the operations, whose number is bounded.
#[derive(Debug, Default)]
pub(super) struct UnbegunOperations {
    wants: Vec<(Ticket, Place, Goal)>,
    until: Option<Instant>,
}

impl UnbegunOperations {
    pub(super) fn push(&mut self, want: (Ticket, Place, Goal), until: Instant) {
        self.wants.push(want);
        self.until.get_or_insert(until);
    }

    pub(super) fn take(&mut self) -> Vec<(Ticket, Place, Goal)> {
        self.until = None;
        core::mem::take(&mut self.wants)
    }

    pub(super) const fn len(&self) -> usize {
        self.wants.len()
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.until
    }

    /// The node stops: the tickets of those whom somebody waits for.
    pub(super) fn give_up_all(&mut self) -> impl Iterator<Item = Ticket> + use<> {
        self.take().into_iter().map(|(ticket, ..)| ticket)
    }
}
