//! What happened and what was dropped.

use crate::metric::counters;

counters! {
    /// What happened and what was dropped, since the start.
    pub struct RequestCounters of "request";

    asked: Counter Count "Requests of ours that were taken.";
    answered: Counter Count "Requests of ours that were answered.";
    unanswered: Counter Count "Requests of ours that were not, for whatever reason."
        high "The peers that are asked are gone or slow: see whether they run, or give requests \
            more time.";
    late: Counter Count "Answers to requests that were over, or none."
        high "Answers take longer than they are waited for: give requests more time.";
    served: Counter Count "Requests of others handed to the application.";
    abandoned: Counter Count "Requests of others whose answer is wanted no more."
        high "Others give up waiting for this node: its handler is too slow.";
    refused: Counter Count "Requests of others refused: too much is served."
        high "More is asked than the handler serves: make it faster, or ask other nodes too.";
    ignored: Counter Count "Requests of peers that take no refusals."
        high "A peer asks without reading the answers: ban it if it goes on.";
    answers_dropped: Counter Count "Answers dropped for want of room; told as busy."
        high "Answers are larger than their room: answer with less, or over a stream.";
    round_trip: Histogram Seconds "From a request of ours until its answer."
        high "The peers that are asked are slow, or far away.";
}

counters! {
    /// What is there, beside the most that there can be.
    pub struct RequestLevels of "request";

    waiting: Level Count "Requests of ours that are not over."
        high "Ask less at a time.";
    serving: Level Count "Requests of others that are being served."
        high "The handler is too slow, or too many ask.";
}
