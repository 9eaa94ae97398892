//! What happened and what was dropped.

use crate::metric::counters;

counters! {
    /// What happened and what was dropped, since the start.
    pub struct SubstreamCounters of "substream";

    opened: Counter Count "Streams opened to other nodes.";
    accepted: Counter Count "Streams that other nodes opened.";
    refused: Counter Count "Streams of others refused: too many."
        high "Others open more streams than there may be: see which application does.";
    lost: Counter Count "Streams that ended with their session."
        high "Sessions end under streams: see the reasons for which sessions are lost.";
    bytes_sent: Counter Bytes "Bytes of streams given to sessions.";
    bytes_received: Counter Bytes "Bytes of streams handed to the application.";
    stray: Counter Count "Pieces of streams that are unknown here or over."
        high "Peers speak of streams that are over: harmless in small numbers.";
}

counters! {
    /// What is there, beside the most that there can be.
    pub struct SubstreamLevels of "substream";

    open: Level Count "Streams with other nodes."
        high "Close streams that are not used.";
}
