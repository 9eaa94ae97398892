//! What happened and what was dropped.

use crate::metric::counters;

counters! {
    /// What happened and what was dropped, since the start.
    pub struct GossipCounters of "gossip";

    published: Counter Count "Our own messages.";
    delivered: Counter Count "Messages handed over.";
    messages_received: Counter Count "Messages, duplicates included.";
    duplicates: Counter Count "Messages that were here already."
        high "Links come and go, or messages are late: the tree of pushes has circles then.";
    eager_pushed: Counter Count "Messages pushed.";
    links_grafted: Counter Count "Links over which pushes were asked for."
        high "Messages come late or links end: the tree of pushes is mended often.";
    ihave_sent: Counter Count "Messages announced.";
    iwant_sent: Counter Count "Messages asked for.";
    iwant_served: Counter Count "Messages sent because somebody asked.";
    iwant_timeouts: Counter Count "Requests not answered in time."
        high "Peers announce what they do not send: they are overloaded or dishonest.";
    anti_entropy_rounds: Counter Count "Rounds of anti-entropy.";
    anti_entropy_differences: Counter Count "Rounds that found a difference."
        high "Messages arrive by comparison instead of pushes: links lose or are short-lived.";
    stale: Counter Count "Messages below their sender's floor.";
    equivocations: Counter Count "Two contents under one number."
        high "A sender signed two contents under one number: its key is used twice, or it is \
            dishonest.";
    refused: Counter Count "Messages that the application refused."
        high "A peer sends what is not valid: see `peers why`.";
    forged: Counter Count "Messages whose signature was forged."
        high "A peer makes up messages: it is banned by itself.";
    verifications_deferred: Counter Count "Messages not checked for want of room."
        high "The processor does not keep up with signatures: give the node more cores.";
    postponed: Counter Count "Messages without room yet."
        high "The window is full of what slow peers lack: raise `message_cache_size`.";
    offers_sent: Counter Count "Offers of what leaves.";
    receipts_sent: Counter Count "Receipts for what came.";
    left_lacking: Counter Count "Messages that a peer lacked when it left."
        high "Peers leave before they have everything: see the reasons for which sessions are \
            lost.";
    evicted_unreached: Counter Count
        "Messages that left the window before all neighbours had them."
        high "More is published than peers take: publish less at a time, or raise \
            `message_cache_size`.";
    evicted: Counter Count "Messages that left the window.";
    rate_limited: Counter Count "What a peer said beyond its budget."
        high "A peer asks for more than its budget: it is slow, new or hostile.";
    delivery: Histogram Seconds "From first hearing of a message to handing it over."
        high "Signatures or links are slow: see `positron_node_verification_wait_seconds`.";
}

counters! {
    /// What is there, beside the most that there can be.
    pub struct GossipLevels of "gossip";

    retained: Level Count "Messages kept for latecomers."
        high "Nothing: old ones leave; raise `message_cache_size` to keep them longer.";
    retained_bytes: Level Bytes "Their payloads."
        high "Nothing: old ones leave.";
    fetches: Level Count "Announced messages being fetched."
        high "Peers announce faster than they send: see the delivery delay.";
}
