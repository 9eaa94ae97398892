//! What happened and what was dropped.

use crate::metric::counters;

counters! {
    /// What happened and what was dropped, since the start.
    pub struct RequestCounters of "request";

    asked: Counter Count "Requests of ours that were taken.";
    answered: Counter Count "Requests of ours that were answered by the other application.";
    unanswered: Counter Count "Requests of ours that were not, for whatever reason.";
    late: Counter Count "Answers to requests that were over, or were never made.";
    served: Counter Count "Requests of others handed to the application.";
    abandoned: Counter Count "Requests of others of which the answer was not wanted any more.";
    refused: Counter Count "Requests of others refused because too much was being served.";
    ignored: Counter Count "Requests of peers that do not take their refusals either.";
    answers_dropped: Counter Count "Answers dropped because their bytes had no room; told as busy.";
}
