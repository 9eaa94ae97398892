//! What happened and what was dropped.

use crate::metric::counters;

counters! {
    /// What happened and what was dropped, since the start.
    pub struct GossipCounters of "gossip";

    published: Counter Count "Our own messages.";
    delivered: Counter Count "Messages handed to the application.";
    messages_received: Counter Count "Messages received (pushed or fetched), duplicates included.";
    duplicates: Counter Count "Messages received that were here already.";
    pushed: Counter Count "Messages pushed.";
    announced: Counter Count "Messages announced.";
    wanted: Counter Count "Messages asked for.";
    served: Counter Count "Messages sent because somebody asked.";
    want_timeouts: Counter Count "Requests that were not answered in time.";
    syncs: Counter Count "Rounds of anti-entropy.";
    syncs_different: Counter Count "Rounds that found a difference.";
    stale: Counter Count "Messages below their sender's floor.";
    equivocations: Counter Count "Two contents under one number.";
    forged: Counter Count "Messages whose signature was forged.";
    unchecked: Counter Count "Messages that found no room for their check; asked for again.";
    evicted: Counter Count "Messages that left the retention window.";
    over_budget: Counter Count "Announcements and requests of peers that had used up their budget.";
}
