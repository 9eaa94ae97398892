//! How operations begin: here, by linked peers, or when there is somebody who can be asked.

use std::collections::VecDeque;

use super::{DhtEffect, Place, dht::Dht, operation::Goal};
use crate::{
    id::Ticket,
    limits::LONGEST_QUESTION,
    time::{Instant, Now},
};

/// The table, for what is about to begin.
pub(super) struct Beginning<'a>(pub(super) &'a mut Dht);

impl Beginning<'_> {
    /// Begins to look for `target`: here; or, where nobody answers by datagrams, by linked peers;
    /// or soon.
    pub(super) fn begin(
        &mut self,
        now: Now,
        ticket: Option<Ticket>,
        target: Place,
        goal: Goal,
        out: &mut VecDeque<DhtEffect>,
    ) {
        match ticket.zip(self.hoped_until(now.mono)).filter(|_| !goal.has_first()) {
            Some((ticket, until)) => self.0.unbegun.push((ticket, target, goal), until),
            None => self.begin_now(now, (ticket, target, goal), out),
        }
    }

    /// Begins what waits, with whoever can be asked.
    pub(super) fn begin_all(&mut self, now: Now, out: &mut VecDeque<DhtEffect>) {
        for (ticket, target, goal) in self.0.unbegun.take() {
            self.begin_now(now, (Some(ticket), target, goal), out);
        }
    }

    /// Begins what has waited for long enough.
    pub(super) fn handle_timeout(&mut self, now: Now, out: &mut VecDeque<DhtEffect>) {
        if self.0.unbegun.poll_timeout().is_some_and(|until| until <= now.mono) {
            self.begin_all(now, out);
        }
    }

    /// Until when it is worth to wait, where nobody can be asked: somebody is linked, who is about
    /// to say whether it serves the table, or nodes are being asked whether they are there.
    fn hoped_until(&self, now: Instant) -> Option<Instant> {
        if !self.0.table.is_empty() || self.0.errands.are_wanted(now) {
            return None;
        }
        let is_asking = self.0.table.has_candidates();
        self.0.errands.wanted_from().or_else(|| is_asking.then_some(now + LONGEST_QUESTION))
    }

    fn begin_now(
        &mut self,
        now: Now,
        (ticket, target, goal): (Option<Ticket>, Place, Goal),
        out: &mut VecDeque<DhtEffect>,
    ) {
        let is_wanted = match &goal {
            Goal::Write(writing) => writing.record().content().publisher.node_id() == self.0.id,
            Goal::Find | Goal::Read(_) | Goal::Delete(_) => ticket.is_some(),
        };
        if is_wanted && self.0.table.is_empty() && self.0.errands.are_wanted(now.mono) {
            let id = self.0.errands.begin(now.mono, (ticket, target, goal), &mut self.0.rng);
            return self.0.drive_errand(now, id, out);
        }
        self.0.begin_here(now, ticket, target, goal, out);
    }
}
