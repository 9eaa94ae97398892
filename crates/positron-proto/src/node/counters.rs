//! What the wiring counts.

use crate::metric::counters;

counters! {
    /// What the wiring itself counts.
    pub struct NodeCounters of "node";

    signatures_checked: Counter Count "Signatures checked.";
    signatures_invalid: Counter Count "Signatures that proved false.";
    verifications_dropped: Counter Count "Claims dropped because too many waited for their check.";
    malformed: Counter Count "Message bodies that do not read as their type.";
    unknown_types: Counter Count "Messages of a type that this version does not know.";
    changes_dropped: Counter Count "Changes not kept because the disk was away for too long.";
    deliveries_evicted: Counter Count "Messages forgotten before they were acknowledged.";
    banned_addresses_dropped: Counter Count "Arrivals from banned addresses, unread.";
    links_held: Counter Count "Times that a link was not read because the disk was behind.";
    peers_over_budget: Counter Count "Times that a link was not read because of its peer's work.";
    over_budget_dropped: Counter Count "Messages not read because of it.";
    numbers_behind: Counter Count "Times that our numbers were below what our key had signed.";
    used_twice_signs: Counter Count "Signs that a key, ours or a peer's, is used in two places.";
    sends_lost: Counter Count "Messages lost to a full queue or session; gossip repairs them.";
}
