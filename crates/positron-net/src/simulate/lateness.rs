//! How late the tasks of this process wake: the sign of a saturated processor, whoever fills it.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;

use super::ledger::lock;

/// How often a task wakes to see how late it is.
const EVERY: Duration = Duration::from_millis(20);
/// A processor is saturated if tasks wake this late on average: a tenth of the second after which
/// nodes ask whether a silent peer is still there (guess).
pub(super) const SATURATED: Duration = Duration::from_millis(100);

/// Measures from [`watch`](Self::watch) until it is dropped.
#[derive(Debug)]
pub(super) struct Lateness {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    wakes: u32,
    late: Duration,
}

impl Lateness {
    /// Within a tokio runtime, that of the tasks it is about.
    pub(super) fn watch() -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let task = tokio::spawn(wake(Arc::clone(&seen)));
        Self { seen, task }
    }

    /// How late tasks woke on average since the last call, or the first.
    pub(super) fn take(&self) -> Duration {
        let Seen { wakes, late } = std::mem::take(&mut *lock(&self.seen));
        late / wakes.max(1)
    }
}

impl Drop for Lateness {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn wake(seen: Arc<Mutex<Seen>>) {
    loop {
        let begin = Instant::now();
        tokio::time::sleep(EVERY).await;
        let mut seen = lock(&seen);
        seen.wakes = seen.wakes.saturating_add(1);
        seen.late += begin.elapsed().saturating_sub(EVERY);
    }
}
