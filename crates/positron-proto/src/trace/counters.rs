//! What happened and what was dropped.

use crate::metric::counters;

counters! {
    /// What happened and what was dropped, since the start.
    pub struct TraceCounters of "trace";

    journeys_forgotten: Counter Count "Messages whose way was forgotten, for newer ones.";
    steps_untold: Counter Count "Steps of messages that had too many of them already.";
    started: Counter Count "Traces of our own messages.";
    joined: Counter Count "Traces of others in which we took part.";
    bytes_sent: Counter Bytes "Questions and answers that were sent.";
    asks_sent: Counter Count "Questions for the way of a message.";
    asks_received: Counter Count "Such questions of others.";
    asks_refused: Counter Count "Such questions not ours to answer, or too many.";
    asks_replayed: Counter Count "Such questions that came again.";
    answers_received: Counter Count "Answers to our questions.";
    answers_late: Counter Count "Answers that came too late.";
    answers_implausible: Counter Count "Answers that claimed more nodes than there can be.";
    silent: Counter Count "Questions that were not answered in time.";
}

counters! {
    /// What is there, beside the most that there can be.
    pub struct TraceLevels of "trace";

    journeys: Level Count "Messages whose way is remembered."
        high "Nothing: old ones are forgotten.";
    journey_bytes: Level Bytes "Memory that they take."
        high "Nothing: old ones are forgotten; with many peers each takes more.";
    under_way: Level Count "Traces in which answers of others are waited for."
        high "Many trace their messages, or some far too often: others are told that we are busy.";
}
