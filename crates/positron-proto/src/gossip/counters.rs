//! What happened and what was dropped.

use crate::metric::counters;

counters! {
    /// What happened and what was dropped, since the start.
    pub struct GossipCounters of "gossip";

    published: Counter Count "Our own messages.";
    delivered: Counter Count "Messages handed to the application.";
    messages_received: Counter Count "Messages received (pushed or fetched), duplicates included.";
    duplicates: Counter Count "Messages received that were here already.";
    eager_pushed: Counter Count "Messages pushed.";
    ihave_sent: Counter Count "Messages announced.";
    iwant_sent: Counter Count "Messages asked for.";
    iwant_served: Counter Count "Messages sent because somebody asked.";
    iwant_timeouts: Counter Count "Requests that were not answered in time.";
    anti_entropy_rounds: Counter Count "Rounds of anti-entropy.";
    anti_entropy_differences: Counter Count "Rounds that found a difference.";
    stale: Counter Count "Messages below their sender's floor.";
    equivocations: Counter Count "Two contents under one number.";
    forged: Counter Count "Messages whose signature was forged.";
    verifications_deferred: Counter Count "Messages without room for their check; asked for again.";
    postponed: Counter Count "Messages for which there was no room yet; asked for again.";
    offers_sent: Counter Count "Lists of what would leave, to those who seem to lack it.";
    receipts_sent: Counter Count "Lists of what came, for those who wait for us to have it.";
    left_lacking: Counter Count "Messages that a peer had not said it has when it left.";
    evicted_unreached: Counter Count
        "Messages that left the window before a neighbour, or anybody, had them.";
    evicted: Counter Count "Messages that left the retention window.";
    rate_limited: Counter Count "Announcements and requests beyond a peer's budget.";
}
