//! The two clocks of a node.

use std::time::{Duration, Instant, SystemTime};

use positron_proto::time::{self, Now, WallTime};

/// Tells the time since the node started, and the time of day.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    /// Starts at zero.
    pub(crate) fn start() -> Self {
        Self { origin: Instant::now() }
    }

    /// Both clocks now.
    pub(crate) fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Now {
            mono: time::Instant::from_micros(micros(self.origin.elapsed())),
            wall: WallTime::from_unix_micros(micros(wall)),
        }
    }

    /// The timer's name for a point on the node's clock; a day from now at the latest, because a
    /// wake-up that comes too early is harmless and a sum that overflows is not.
    pub(crate) fn timer(&self, at: time::Instant) -> tokio::time::Instant {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        let latest = self.origin.elapsed() + DAY;
        (self.origin + Duration::from_micros(at.as_micros()).min(latest)).into()
    }

    /// How long the node runs.
    pub(crate) fn uptime(&self) -> Duration {
        self.origin.elapsed()
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
