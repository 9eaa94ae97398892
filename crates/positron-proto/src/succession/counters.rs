//! What happened and what was dropped.

use crate::metric::counters;

counters! {
    /// What happened and what was dropped, since the start.
    pub struct SuccessionCounters of "succession";

    learned: Counter Count "Keys that gave way to others, as both said.";
    forged: Counter Count "Successions that one of the two keys did not sign."
        high "A peer makes up successions: it is banned by itself.";
    conflicts: Counter Count "Second successors of a key, refused."
        high "A key named two successors: its holder lost control of it.";
    merges: Counter Count "Second predecessors of a key, refused.";
    cycles: Counter Count "Successions that lead back to the old key, refused.";
    too_long: Counter Count "Successions refused: their history is too long.";
    full: Counter Count "Successions dropped: too many are kept, or being checked."
        high "More keys are retired than the table holds: nothing to do.";
    strange: Counter Count "Successions of keys that nobody here knows, dropped.";
    evicted: Counter Count "Successions forgotten: their holder is known no more.";
}

counters! {
    /// What is there, beside the most that there can be.
    pub struct SuccessionLevels of "succession";

    kept: Level Count "Successions that are kept."
        high "Nothing: those of strangers give way.";
}
