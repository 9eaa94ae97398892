//! What happened and what was dropped.

/// What happened and what was dropped, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct GossipCounters {
    /// Our own messages.
    pub published: u64,
    /// Messages handed to the application.
    pub delivered: u64,
    /// Messages received (pushed or fetched), duplicates included.
    pub messages_received: u64,
    /// Messages received that were here already.
    pub duplicates: u64,
    /// Messages pushed.
    pub pushed: u64,
    /// Messages announced.
    pub announced: u64,
    /// Messages asked for.
    pub wanted: u64,
    /// Messages sent because somebody asked.
    pub served: u64,
    /// Requests that were not answered in time.
    pub want_timeouts: u64,
    /// Rounds of anti-entropy.
    pub syncs: u64,
    /// Rounds that found a difference.
    pub syncs_different: u64,
    /// Messages below their sender's floor.
    pub stale: u64,
    /// Two contents under one number.
    pub equivocations: u64,
    /// Messages whose signature was forged.
    pub forged: u64,
    /// Messages for which there was no room to check them; asked for again.
    pub unchecked: u64,
    /// Messages that left the retention window.
    pub evicted: u64,
    /// Announcements and requests dropped because their peer had used up its budget.
    pub over_budget: u64,
}
