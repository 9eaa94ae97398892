//! What happened and what was dropped.

use crate::metric::counters;

counters! {
    /// What happened and what was dropped, since the start.
    pub struct SubstreamCounters of "substream";

    opened: Counter Count "Streams opened to other nodes.";
    accepted: Counter Count "Streams that other nodes opened.";
    refused: Counter Count "Streams of other nodes refused because there were too many.";
    lost: Counter Count "Streams that ended with their session.";
    bytes_sent: Counter Bytes "Bytes of streams given to sessions.";
    bytes_received: Counter Bytes "Bytes of streams handed to the application.";
    stray: Counter Count "Pieces of streams that are unknown here or over.";
}
