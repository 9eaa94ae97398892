//! Changes on their way to the writer, bounded by count and by bytes.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use positron_proto::{node::ChangeId, storage::Change};

use crate::limits::{MAX_QUEUED_BYTES, MAX_QUEUED_CHANGES};

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
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    /// Something came, or nothing more will.
    filled: Condvar,
    /// Everything was taken, or nothing will be any more.
    drained: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    changes: Vec<(ChangeId, Change)>,
    bytes: usize,
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
        waiting.changes.push((id, change));
        waiting.bytes += cost;
        self.filled.notify_one();
        Ok(())
    }

    /// Swaps everything that waits into `batch`, which is empty; waits for something. `false`: the
    /// queue is closed and nothing is left.
    pub(crate) fn take(&self, batch: &mut Vec<(ChangeId, Change)>) -> bool {
        let mut waiting = self.lock();
        while waiting.changes.is_empty() {
            if !matches!(waiting.state, State::Open) {
                return false;
            }
            waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(&mut waiting.changes, batch);
        waiting.bytes = 0;
        self.drained.notify_all();
        true
    }

    /// Waits for `pause`, or less if the queue is being closed.
    pub(crate) fn pause(&self, pause: Duration) {
        let is_open = |waiting: &mut Waiting| matches!(waiting.state, State::Open);
        drop(self.filled.wait_timeout_while(self.lock(), pause, is_open));
    }

    /// What waits is still written; then the writer ends.
    pub(crate) fn close(&self) {
        let mut waiting = self.lock();
        if matches!(waiting.state, State::Open) {
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
