//! What happened and what was dropped.

use crate::metric::counters;

counters! {
    /// What happened and what was dropped, since the start.
    pub struct DhtCounters of "dht";

    queries: Counter Count "Queries of others that were answered.";
    stores_refused: Counter Count "Records of others that were not kept."
        high "Look at the quotas: somebody fills the table, or this node is far from their keys.";
    records_evicted: Counter Count "Records of others that gave way to others."
        high "The node is full, or a key is: the networks that bring most lose what they brought.";
    floors_lost: Counter Count "Marks under records that are gone, which gave way."
        high "Somebody brings records that come and go; old copies of its own may come back.";
    forged: Counter Count "Records whose signature is not their publisher's."
        high "A peer makes up records: it is banned by itself.";
    lookups: Counter Count "Operations of ours, upkeep included.";
    lookups_failed: Counter Count "Of them, those that reached nobody."
        high "No node that serves the table is known: look at the node's peers.";
    questions: Counter Count "Questions that were asked.";
    unanswered: Counter Count "Questions that were not answered in time."
        high "Nodes in the table are frozen or gone; lookups go around them.";
    strange: Counter Count "Answers that fit no question, dropped.";
    pushes_dropped: Counter Count "Records for newcomers dropped: too many waited.";
}

counters! {
    /// What is there, beside the most that there can be.
    pub struct DhtLevels of "dht";

    records: Level Count "Records kept for others."
        high "Of the network that brought most, those give way that end soonest.";
    record_bytes: Level Bytes "Bytes of them in memory."
        high "Of the network that brought most, those give way that end soonest.";
    floors: Level Count "Marks that keep old copies away."
        high "Of the network that brought most of them, those give way that end soonest.";
    published: Level Count "Records of our own, renewed."
        high "Publish fewer, or let some end.";
    operations: Level Count "Operations under way."
        high "More is wanted of the table than it answers: wait for operations before the next.";
}
