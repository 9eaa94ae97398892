//! Whether this machine slept, or this process was stopped.

use std::time::Duration;

use crate::limits::{INTERFACES_INTERVAL, SLEEP_NOTICED};

/// Compares what a clock says that goes on in sleep with how often it was asked: the node's own
/// clock may stand still while the machine sleeps, and its links do not know.
#[derive(Debug)]
pub(super) struct SleepWatch {
    looked: Duration,
}

impl SleepWatch {
    pub(super) fn start() -> Self {
        Self { looked: through_sleep() }
    }

    /// Whether far more time passed since the last look than [`INTERFACES_INTERVAL`].
    pub(super) fn look(&mut self) -> bool {
        let now = through_sleep();
        let before = std::mem::replace(&mut self.looked, now);
        now.saturating_sub(before) >= INTERFACES_INTERVAL + SLEEP_NOTICED
    }
}

/// Time since the machine started, asleep or not.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn through_sleep() -> Duration {
    use rustix::time::{ClockId, clock_gettime};

    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanoseconds = u32::try_from(now.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanoseconds)
}

/// Time of day, which goes on in sleep everywhere. If somebody sets it forward, links are asked for
/// a sign of life once more than they must.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn through_sleep() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_comes_far_too_late_tells_that_the_machine_slept() {
        let mut watch = SleepWatch::start();
        assert!(!watch.look());
        let Some(long_ago) = watch.looked.checked_sub(INTERFACES_INTERVAL + 2 * SLEEP_NOTICED)
        else {
            return; // the machine started a moment ago
        };
        watch.looked = long_ago;
        assert!(watch.look());
        assert!(!watch.look(), "it slept once");
    }
}
