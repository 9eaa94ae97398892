//! What is going to happen, in order of time.

use std::collections::BTreeMap;

use positron_proto::time::Instant;

/// Things that are to happen, each at its time; those of one time in the order in which they were
/// [added](Self::push).
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    entries: BTreeMap<(Instant, u64), T>,
    added: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), added: 0 }
    }
}

impl<T> Agenda<T> {
    /// Lets something happen at `at`.
    pub(crate) fn push(&mut self, at: Instant, thing: T) {
        self.added += 1;
        self.entries.insert((at, self.added), thing);
    }

    /// When something happens next.
    pub(crate) fn next_time(&self) -> Option<Instant> {
        self.entries.keys().next().map(|(at, _)| *at)
    }

    /// What happens next.
    pub(crate) fn pop(&mut self) -> Option<T> {
        self.entries.pop_first().map(|(_, thing)| thing)
    }

    /// What happens next, if it happens until `now`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<T> {
        self.next_time().filter(|at| *at <= now).and_then(|_| self.pop())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_at_one_time_happens_in_the_order_in_which_it_was_added() {
        let mut agenda = Agenda::default();
        for (at, name) in [(2, "c"), (1, "a"), (1, "b")] {
            agenda.push(Instant::from_micros(at), name);
        }
        assert_eq!(agenda.next_time(), Some(Instant::from_micros(1)));
        assert_eq!(agenda.pop_due(Instant::ORIGIN), None);
        assert_eq!([agenda.pop(), agenda.pop(), agenda.pop()], [Some("a"), Some("b"), Some("c")]);
        assert_eq!(agenda.next_time(), None);
    }
}
