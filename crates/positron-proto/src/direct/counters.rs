//! What happened and what was dropped.

use crate::metric::counters;

counters! {
    /// What happened and what was dropped, since the start.
    pub struct DirectCounters of "direct";

    delivered: Counter Count "Direct messages acknowledged by their receivers.";
    undelivered: Counter Count "Direct messages given up.";
    received: Counter Count "Direct messages handed to the application.";
    duplicates: Counter Count "Direct messages received a second time and dropped.";
}
