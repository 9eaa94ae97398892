//! What happened and what was dropped.

use crate::metric::counters;

counters! {
    /// What happened and what was dropped, since the start.
    pub struct RecommendationCounters of "recommendation";

    refused: Counter Count "Recommendations dropped: too many, or unasked."
        high "A peer floods: it is banned by itself.";
}
