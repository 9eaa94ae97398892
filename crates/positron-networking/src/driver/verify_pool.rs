//! The threads that check signatures: one pool for all nodes of a process, as many threads as there
//! are processors, less the one of the core tasks.

use std::{
    collections::VecDeque,
    sync::{
        Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use positron_proto::{identity::SignatureJob, node::CheckId};

use super::{Arrivals, CoreInput, Source};
use crate::limits::CHECKS_PER_BATCH;

/// The pool of this process. What waits in it is bounded by the cores that gave it.
#[derive(Debug)]
pub(super) struct VerifyPool {
    threads: usize,
    waiting: Mutex<VecDeque<(Check, Arrivals)>>,
    ready: Condvar,
    /// Checks that wait or run.
    unfinished: AtomicUsize,
}

/// A signature to be checked.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) id: CheckId,
    pub(super) job: SignatureJob,
    /// How it came in.
    pub(super) source: Source,
}

impl Check {
    /// What it came to, on its way into the core.
    pub(super) fn run(&self) -> CoreInput {
        CoreInput::Verdict(self.source, self.id, self.job.run())
    }
}

impl VerifyPool {
    /// The pool; its threads are started by the first call and end with the process.
    pub(super) fn shared() -> &'static Self {
        static POOL: OnceLock<VerifyPool> = OnceLock::new();
        static THREADS: OnceLock<()> = OnceLock::new();
        let pool = POOL.get_or_init(Self::new);
        THREADS.get_or_init(|| pool.start_threads());
        pool
    }

    fn new() -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self {
            threads: processors.saturating_sub(1).max(1),
            waiting: Mutex::default(),
            ready: Condvar::new(),
            unfinished: AtomicUsize::new(0),
        }
    }

    fn start_threads(&'static self) {
        for n in 0..self.threads {
            let named = thread::Builder::new().name(format!("positron-check-{n}"));
            if let Err(error) = named.spawn(|| self.work()) {
                assert!(n > 0, "the first thread that checks signatures cannot start: {error}");
            }
        }
    }

    /// Whether nothing waits and nothing runs.
    pub(super) fn is_idle(&self) -> bool {
        self.unfinished.load(Ordering::Acquire) == 0
    }

    /// Checks all of them on the pool's threads; the verdicts arrive.
    pub(super) fn submit(&self, checks: impl Iterator<Item = Check>, arrivals: &Arrivals) {
        let mut waiting = self.lock();
        let before = waiting.len();
        waiting.extend(checks.map(|check| (check, arrivals.clone())));
        self.unfinished.fetch_add(waiting.len() - before, Ordering::AcqRel);
        drop(waiting);
        self.ready.notify_all();
    }

    fn work(&self) {
        loop {
            let batch = self.next_batch();
            let jobs: Vec<SignatureJob> =
                batch.iter().map(|(check, _)| check.job.clone()).collect();
            for ((check, arrivals), verdict) in batch.iter().zip(SignatureJob::run_all(&jobs)) {
                // A node that is gone has no use for it.
                let _ = arrivals.send(CoreInput::Verdict(check.source, check.id, verdict));
            }
            self.unfinished.fetch_sub(batch.len(), Ordering::AcqRel);
        }
    }

    /// This thread's share of what waits.
    fn next_batch(&self) -> Vec<(Check, Arrivals)> {
        let mut waiting = self
            .ready
            .wait_while(self.lock(), |waiting| waiting.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        let share = waiting.len().div_ceil(self.threads).min(CHECKS_PER_BATCH);
        waiting.drain(..share).collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Check, Arrivals)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
