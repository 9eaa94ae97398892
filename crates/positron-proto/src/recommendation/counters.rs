//! What happened and what was dropped.

use crate::metric::counters;

counters! {
    /// What happened and what was dropped, since the start.
    pub struct RecommendationCounters of "recommendation";

    told: Counter Count "Recommendations sent.";
    heard: Counter Count "Recommendations received.";
    refused: Counter Count "Recommendations and questions for them dropped: too many, or unasked."
        high "A peer floods: it is banned by itself.";
}
