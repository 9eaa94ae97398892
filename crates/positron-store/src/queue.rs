//! Changes on their way to the writer, bounded by count and by bytes.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use positron_proto::{
    node::ChangeId,
    storage::{Change, Urgency},
};

use crate::limits::{COMMIT_DELAY, MAX_QUEUED_BYTES, MAX_QUEUED_CHANGES};

/// How much waits for the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Backlog {
    /// Changes that wait.
    pub changes: usize,
    /// Their bytes, about.
    pub bytes: usize,
}

/// The change was not taken and will not be stored: storage failed earlier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("storage failed earlier: {why}")]
pub struct Refused {
    /// Why it failed.
    pub why: String,
}

/// From many threads to the one writer, in order.
///
/// What somebody waits for is given out at once, with all that came before it. The rest waits up to
/// [`COMMIT_DELAY`] for company: a commit costs a few pages, however many changes share it.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    /// The writer has something to wait for or to do, or nothing more will come.
    filled: Condvar,
    /// Everything was taken, or nothing will be any more.
    drained: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    changes: Vec<(ChangeId, Change)>,
    bytes: usize,
    /// Whether it is to be written without waiting for more.
    is_due: bool,
    state: State,
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
    /// Appends a change; waits while the queue is full.
    pub(crate) fn push(&self, id: ChangeId, change: Change) -> Result<(), Refused> {
        let cost = cost(&change);
        let mut waiting = self.lock();
        loop {
            if let State::Failed(why) = &waiting.state {
                return Err(Refused { why: why.clone() });
            }
            if waiting.has_room_for(cost) {
                break;
            }
            waiting = self.drained.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let is_urgent = change.urgency != Urgency::Behind;
        waiting.changes.push((id, change));
        waiting.bytes += cost;
        let becomes_due = !waiting.is_due && (is_urgent || waiting.is_half_full());
        waiting.is_due |= becomes_due;
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
        let is_early = |waiting: &mut Waiting| waiting.is_open() && !waiting.is_due;
        let due = self.filled.wait_timeout_while(waiting, COMMIT_DELAY, is_early);
        waiting = due.unwrap_or_else(PoisonError::into_inner).0;
        std::mem::swap(&mut waiting.changes, batch);
        (waiting.bytes, waiting.is_due) = (0, false);
        self.drained.notify_all();
        true
    }

    /// Waits for `pause`, or less if the queue is being closed.
    pub(crate) fn pause(&self, pause: Duration) {
        drop(self.filled.wait_timeout_while(self.lock(), pause, |waiting| waiting.is_open()));
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
        waiting.bytes = 0;
        self.drained.notify_all();
        self.filled.notify_all();
    }

    pub(crate) fn backlog(&self) -> Backlog {
        let waiting = self.lock();
        Backlog { changes: waiting.changes.len(), bytes: waiting.bytes }
    }

    /// Every state between two statements is a whole one: a panic elsewhere spoils nothing.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// One change always fits, however large.
    fn has_room_for(&self, cost: usize) -> bool {
        self.changes.is_empty()
            || (self.changes.len() < MAX_QUEUED_CHANGES && self.bytes + cost <= MAX_QUEUED_BYTES)
    }

    /// The other half is for what comes while this one is being written.
    const fn is_half_full(&self) -> bool {
        self.changes.len() >= MAX_QUEUED_CHANGES / 2 || self.bytes >= MAX_QUEUED_BYTES / 2
    }

    const fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }
}

/// Memory that a change holds, about.
fn cost(change: &Change) -> usize {
    size_of::<(ChangeId, Change)>() + change.len()
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread};

    use positron_proto::{id::NodeId, peers::change::forget};

    use super::*;

    fn change() -> Change {
        forget(&NodeId::from_bytes([7; 32]))
    }

    #[test]
    fn what_somebody_waits_for_takes_along_what_nobody_waits_for() {
        let queue = Queue::default();
        queue.push(ChangeId(1), change()).unwrap();
        assert!(!queue.lock().is_due);
        queue.push(ChangeId(2), change().at_least(Urgency::Awaited)).unwrap();
        assert!(queue.lock().is_due);
        let mut batch = Vec::new();
        assert!(queue.take(&mut batch));
        assert_eq!(batch.len(), 2);
        queue.push(ChangeId(3), change()).unwrap();
        assert!(!queue.lock().is_due);
    }

    #[test]
    fn a_half_full_queue_waits_for_nothing() {
        let queue = Queue::default();
        let half = u64::try_from(MAX_QUEUED_CHANGES / 2).unwrap();
        (1..half).for_each(|id| queue.push(ChangeId(id), change()).unwrap());
        assert!(!queue.lock().is_due);
        queue.push(ChangeId(half), change()).unwrap();
        assert!(queue.lock().is_due);
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
    fn a_full_queue_holds_the_caller_until_the_writer_takes_everything() {
        let queue = Arc::new(Queue::default());
        let most = u64::try_from(MAX_QUEUED_CHANGES).unwrap();
        for id in 0..most {
            queue.push(ChangeId(id), change()).unwrap();
        }
        let late = thread::spawn({
            let queue = queue.clone();
            move || queue.push(ChangeId(most), change())
        });
        let mut batch = Vec::new();
        assert!(queue.take(&mut batch));
        assert_eq!(batch.len(), MAX_QUEUED_CHANGES);
        late.join().unwrap().unwrap();
        batch.clear();
        assert!(queue.take(&mut batch));
        assert_eq!(batch[0].0, ChangeId(most));
        assert_eq!(queue.backlog(), Backlog::default());
    }

    #[test]
    fn a_queue_that_fails_lets_go_of_whoever_waits_for_room() {
        let queue = Arc::new(Queue::default());
        for id in 0..u64::try_from(MAX_QUEUED_CHANGES).unwrap() {
            queue.push(ChangeId(id), change()).unwrap();
        }
        let waits = thread::spawn({
            let queue = queue.clone();
            move || queue.push(ChangeId(0), change())
        });
        queue.fail("the disk is gone");
        let refused = Refused { why: "the disk is gone".to_owned() };
        assert_eq!(waits.join().unwrap(), Err(refused));
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
