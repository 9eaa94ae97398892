//! What happened and what was dropped.

use crate::metric::counters;

counters! {
    /// What happened and what was dropped, since the start.
    pub struct SuccessionCounters of "succession";

    learned: Counter Count "Keys that gave way to others, as both said.";
    forged: Counter Count "Successions that one of the two keys did not sign.";
    conflicts: Counter Count "Second successors of a key, refused.";
    merges: Counter Count "Second predecessors of a key, refused.";
    cycles: Counter Count "Successions that lead back to the old key, refused.";
    too_long: Counter Count "Successions refused because their history is too long.";
    full: Counter Count "Successions dropped because too many are kept, or wait to be checked.";
    strange: Counter Count "Successions of keys that nobody here knows, dropped.";
    evicted: Counter Count "Successions forgotten: nobody here knows their holder any more.";
}
