//! Moments as RFC 3339 writes them.

use std::time::{SystemTime, UNIX_EPOCH};

use positron_proto::time::WallTime;

/// `2026-11-27T15:50:51.123456Z`. What is before 1970 is told as 1970.
pub fn rfc3339(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime::from_unix_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX)).rfc3339()
}
