//! Operations under way.

use std::collections::BTreeMap;

use super::{
    Contact, DhtQuery, Distance, OperationId, StoreOutcome,
    acquaintances::Acquaintances,
    operation::{Goal, Operation},
    question::About,
    reading::RecordReading,
    writing::RecordWriting,
};
use crate::{
    deadlines::Deadlines,
    id::Ticket,
    limits::{LONGEST_LOOKUP, MAX_TICKETED_QUERY},
    time::Instant,
};

/// What this node does with the table now, and when each goes on by itself: at the latest it is
/// over then.
#[derive(Debug)]
pub(super) struct Operations {
    open: BTreeMap<OperationId, Operation>,
    next: u64,
    deadlines: Deadlines<OperationId>,
}

impl Operations {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn begin(&mut self, operation: Operation) -> OperationId {
        let id = OperationId(self.next);
        self.next += 1;
        self.open.insert(id, operation);
        id
    }

    pub(super) fn get(&self, id: OperationId) -> Option<&Operation> {
        self.open.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: OperationId) -> Option<&mut Operation> {
        self.open.get_mut(&id)
    }

    pub(super) fn writing(&mut self, id: OperationId) -> Option<&mut RecordWriting> {
        match &mut self.get_mut(id)?.goal {
            Goal::Write(writing) => Some(writing),
            Goal::Find | Goal::Read(_) | Goal::Delete(_) => None,
        }
    }

    pub(super) fn reading(&mut self, id: OperationId) -> Option<&mut RecordReading> {
        match &mut self.get_mut(id)?.goal {
            Goal::Read(reading) | Goal::Delete(reading) => Some(reading),
            Goal::Find | Goal::Write(_) => None,
        }
    }

    /// Whom a lookup asks next, and what: whoever is an acquaintance and within `near` is given
    /// what there is to give.
    pub(super) fn next_question(
        &mut self,
        now: Instant,
        id: OperationId,
        (acquaintances, near): (&Acquaintances, Option<Distance>),
    ) -> Option<(Contact, About, DhtQuery)> {
        let operation = self.get_mut(id)?;
        let next = operation.lookup.next(now)?;
        let is_near = Some(operation.target().distance(&next.place())) <= near;
        if let Goal::Write(writing) = &mut operation.goal
            && is_near
            && writing.store().encoded_len() < MAX_TICKETED_QUERY
            && acquaintances.knows(now, &next)
            && let Some(store) = writing.give_on_the_way(next.id())
        {
            return Some((next, About::Store(id), store));
        }
        Some((next, About::Lookup(id), operation.query()))
    }

    /// A node said what became of a record, and perhaps who is near its key.
    pub(super) fn handle_stored(
        &mut self,
        now: Instant,
        id: OperationId,
        from: &Contact,
        (outcome, near): (StoreOutcome, Vec<Contact>),
    ) {
        let Some(operation) = self.get_mut(id) else { return };
        operation.lookup.handle_answer(now, from, near);
        if let Goal::Write(writing) = &mut operation.goal {
            writing.handle_outcome(from.id(), Some(outcome));
        }
    }

    /// It goes on when something comes, or when its lookup or its life wants to.
    pub(super) fn wait(&mut self, id: OperationId) {
        if let Some(operation) = self.open.get(&id) {
            let latest = operation.began + LONGEST_LOOKUP;
            let next = operation.lookup.poll_timeout().map_or(latest, |at| at.min(latest));
            self.deadlines.set(id, next);
        }
    }

    /// One whose time has come.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<OperationId> {
        self.deadlines.pop_due(now)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next().map(|(at, _)| at)
    }

    /// It is over.
    pub(super) fn end(&mut self, id: OperationId) -> Option<Operation> {
        self.deadlines.clear(id);
        self.open.remove(&id)
    }

    /// Nobody is told any more how they end: the tickets of those whom somebody waits for.
    pub(super) fn take_tickets(&mut self) -> impl Iterator<Item = Ticket> {
        self.open.values_mut().filter_map(|operation| operation.ticket.take())
    }
}

impl Default for Operations {
    /// None.
    fn default() -> Self {
        Self { open: BTreeMap::new(), next: 0, deadlines: Deadlines::new() }
    }
}
