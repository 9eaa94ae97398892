//! What happened and what was dropped.

use crate::metric::counters;

counters! {
    /// What happened and what was dropped, since the start.
    pub struct TraceCounters of "trace";

    journeys: Gauge Count "Messages whose way is remembered.";
    journey_bytes: Gauge Bytes "Memory that they take.";
    journeys_forgotten: Counter Count "Messages whose way was forgotten, for newer ones.";
    steps_untold: Counter Count "Steps of messages that had too many of them already.";
    started: Counter Count "Traces of our own messages.";
    joined: Counter Count "Traces of others in which we took part.";
    bytes_sent: Counter Bytes "Questions and answers that were sent.";
    asks_sent: Counter Count "Questions for the way of a message.";
    asks_received: Counter Count "Such questions of others.";
    asks_refused: Counter Count "Such questions that were not ours to answer, or too many.";
    asks_replayed: Counter Count "Such questions that came again.";
    answers_received: Counter Count "Answers to our questions.";
    answers_late: Counter Count "Answers that came too late.";
    answers_implausible: Counter Count "Answers that claimed more nodes than there can be.";
    silent: Counter Count "Questions that were not answered in time.";
}
