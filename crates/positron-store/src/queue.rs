//! Changes on their way to the writer.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use positron_proto::{
    node::ChangeId,
    storage::{Change, Urgency},
};

use crate::limits::{BYTES_DUE, COMMIT_DELAY, COMPANY, COMPANY_DELAY};

/// The change was not taken and will not be stored: storage failed earlier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("storage failed earlier: {why}")]
pub struct Refused {
    /// Why it failed.
    pub why: String,
}

/// From many threads to the one writer, in order. Nobody waits to put something in: how much may
/// be under way is known to whoever is told what is durable.
///
/// What somebody waits for is given out at once, with all that came before it. The rest waits up to
/// [`COMMIT_DELAY`] for company: a commit costs a few pages, however many changes share it. So does
/// what somebody waits for who can spare a moment, up to [`COMPANY_DELAY`] after what was given out
/// before, where so much else comes that it would be cut into small pieces.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    /// The writer has something to wait for or to do, or nothing more will come.
    filled: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    changes: Vec<(ChangeId, Change)>,
    bytes: usize,
    /// How many of them are not behind.
    awaited: usize,
    /// How soon it is to be written.
    hurry: Hurry,
    /// When what can spare a moment is next given out. `None`: at once.
    not_before: Option<Instant>,
    state: State,
}

/// How soon what waits is to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Hurry {
    /// After [`COMMIT_DELAY`].
    #[default]
    None,
    /// When it is next the turn of what can spare a moment.
    Soon,
    /// Without waiting for more.
    Now,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Open,
    /// What waits is written, then the writer ends.
    Closing,
    /// Nothing is written any more.
    Failed(String),
}

impl Queue {
    /// Appends a change; never waits.
    pub(crate) fn push(&self, id: ChangeId, change: Change) -> Result<(), Refused> {
        let mut waiting = self.lock();
        if let State::Failed(why) = &waiting.state {
            return Err(Refused { why: why.clone() });
        }
        let hurry = waiting.hurry_for(&change);
        waiting.bytes += change.len();
        waiting.awaited += usize::from(change.urgency != Urgency::Behind);
        waiting.changes.push((id, change));
        let becomes_due = hurry > waiting.hurry;
        waiting.hurry = waiting.hurry.max(hurry);
        if becomes_due || waiting.changes.len() == 1 {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Swaps everything that waits into `batch`, which is empty; waits for something, and then for
    /// what comes with it. `false`: the queue is closed and nothing is left.
    pub(crate) fn take(&self, batch: &mut Vec<(ChangeId, Change)>) -> bool {
        let mut waiting = self.lock();
        while waiting.changes.is_empty() {
            if !waiting.is_open() {
                return false;
            }
            waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let latest = Instant::now() + COMMIT_DELAY;
        while waiting.is_open()
            && let Some(left) = waiting.due(latest).checked_duration_since(Instant::now())
            && !left.is_zero()
        {
            let woken = self.filled.wait_timeout(waiting, left);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        waiting.give_out(batch);
        true
    }

    /// Waits for `pause`, or less if the queue is being closed.
    pub(crate) fn pause(&self, pause: Duration) {
        drop(self.filled.wait_timeout_while(self.lock(), pause, |waiting| waiting.is_open()));
    }

    /// Whether somebody waits for the writer to end.
    pub(crate) fn is_closing(&self) -> bool {
        !matches!(self.lock().state, State::Open)
    }

    /// What waits is still written; then the writer ends.
    pub(crate) fn close(&self) {
        let mut waiting = self.lock();
        if waiting.is_open() {
            waiting.state = State::Closing;
        }
        self.filled.notify_all();
    }

    /// Nothing is taken any more; what waits is dropped. The first reason stays.
    pub(crate) fn fail(&self, why: &str) {
        let mut waiting = self.lock();
        if !matches!(waiting.state, State::Failed(_)) {
            waiting.state = State::Failed(why.to_owned());
        }
        waiting.changes = Vec::new();
        self.filled.notify_all();
    }

    /// Every state between two statements is a whole one: a panic elsewhere spoils nothing.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    const fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// How soon what waits is to be written once this change is there.
    fn hurry_for(&self, change: &Change) -> Hurry {
        match change.urgency {
            Urgency::Awaited | Urgency::Critical => Hurry::Now,
            Urgency::Behind | Urgency::Soon if self.bytes + change.len() >= BYTES_DUE => Hurry::Now,
            Urgency::Soon => Hurry::Soon,
            Urgency::Behind => Hurry::None,
        }
    }

    /// When what waits is given out; what nobody waits for, at the `latest`.
    fn due(&self, latest: Instant) -> Instant {
        match self.hurry {
            Hurry::None => latest,
            Hurry::Soon => self.not_before.map_or_else(Instant::now, |at| at.min(latest)),
            Hurry::Now => Instant::now(),
        }
    }

    fn give_out(&mut self, batch: &mut Vec<(ChangeId, Change)>) {
        let is_company = self.awaited > 0 && self.changes.len() >= self.awaited * COMPANY;
        self.not_before = is_company.then(|| Instant::now() + COMPANY_DELAY);
        std::mem::swap(&mut self.changes, batch);
        (self.bytes, self.awaited, self.hurry) = (0, 0, Hurry::None);
    }
}

#[cfg(test)]
mod tests {
    use positron_proto::{id::NodeId, peers::change::forget};

    use super::*;

    fn change() -> Change {
        forget(&NodeId::from_bytes([7; 32]))
    }

    #[test]
    fn what_somebody_waits_for_takes_along_what_nobody_waits_for() {
        let queue = Queue::default();
        queue.push(ChangeId(1), change()).unwrap();
        assert_eq!(queue.lock().hurry, Hurry::None);
        queue.push(ChangeId(2), change().at_least(Urgency::Awaited)).unwrap();
        assert_eq!(queue.lock().hurry, Hurry::Now);
        let mut batch = Vec::new();
        assert!(queue.take(&mut batch));
        assert_eq!(batch.len(), 2);
        queue.push(ChangeId(3), change()).unwrap();
        assert_eq!(queue.lock().hurry, Hurry::None);
    }

    #[test]
    fn much_waits_for_nothing() {
        let queue = Queue::default();
        let many = u64::try_from(BYTES_DUE / change().len()).unwrap();
        (1..many).for_each(|id| queue.push(ChangeId(id), change()).unwrap());
        assert_eq!(queue.lock().hurry, Hurry::None);
        queue.push(ChangeId(many), change()).unwrap();
        assert_eq!(queue.lock().hurry, Hurry::Now);
    }

    #[test]
    fn who_can_spare_a_moment_waits_only_where_much_else_is_written() {
        let queue = Queue::default();
        let soon = || change().at_least(Urgency::Soon);
        let (mut batch, mut id) = (Vec::new(), 0);
        let mut waits_after = |others: usize, last: Change| {
            for change in (0..others).map(|_| change()).chain([last]) {
                id += 1;
                queue.push(ChangeId(id), change).unwrap();
            }
            assert!(queue.take(&mut batch));
            assert_eq!(batch.len(), others + 1, "all that came before it comes along");
            batch.clear();
            queue.lock().not_before.is_some()
        };
        assert!(!waits_after(0, soon()));
        assert!(!waits_after(COMPANY - 2, soon()));
        assert!(waits_after(COMPANY - 1, soon()), "one in so many");
        assert!(!waits_after(COMPANY - 2, soon()), "who is alone again waits no more");
        assert!(!waits_after(COMPANY, change()), "nobody waited");

        let latest = Instant::now() + COMMIT_DELAY;
        queue.lock().not_before = Some(latest - COMPANY_DELAY);
        queue.push(ChangeId(1000), soon()).unwrap();
        assert_eq!(queue.lock().due(latest), latest - COMPANY_DELAY);
        queue.push(ChangeId(1001), change().at_least(Urgency::Awaited)).unwrap();
        assert!(queue.lock().due(latest) <= Instant::now(), "who cannot spare it does not wait");
    }

    #[test]
    fn what_nobody_waits_for_is_written_all_the_same() {
        let queue = Queue::default();
        queue.push(ChangeId(1), change()).unwrap();
        let mut batch = Vec::new();
        assert!(queue.take(&mut batch));
        assert_eq!(batch.len(), 1);
    }

    #[test]
    fn nobody_waits_for_a_writer_that_takes_nothing() {
        let queue = Queue::default();
        for id in 1..=100_000 {
            queue.push(ChangeId(id), change()).unwrap();
        }
        let mut batch = Vec::new();
        assert!(queue.take(&mut batch));
        assert_eq!(batch.len(), 100_000);
    }

    #[test]
    fn a_queue_that_failed_takes_nothing_more() {
        let queue = Queue::default();
        queue.push(ChangeId(1), change()).unwrap();
        queue.fail("the disk is gone");
        let refused = Refused { why: "the disk is gone".to_owned() };
        assert_eq!(queue.push(ChangeId(2), change()), Err(refused));
        assert!(!queue.take(&mut Vec::new()));
    }

    #[test]
    fn a_closed_queue_gives_out_what_waits_before_it_ends() {
        let queue = Queue::default();
        queue.push(ChangeId(1), change()).unwrap();
        queue.close();
        let mut batch = Vec::new();
        assert!(queue.take(&mut batch));
        assert!(!queue.take(&mut Vec::new()));
        assert_eq!(batch.len(), 1);
    }
}
