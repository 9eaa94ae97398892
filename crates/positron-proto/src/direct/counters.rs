//! What happened and what was dropped.

use crate::metric::counters;

counters! {
    /// What happened and what was dropped, since the start.
    pub struct DirectCounters of "direct";

    delivered: Counter Count "Direct messages acknowledged by their receivers.";
    undelivered: Counter Count "Direct messages given up."
        high "Receivers are away or do not acknowledge: see `positron-net peers` for whether \
            they are connected.";
    received: Counter Count "Direct messages handed to the application.";
    duplicates: Counter Count "Direct messages received a second time and dropped."
        high "Links change often: see the reasons for which sessions are lost.";
}
