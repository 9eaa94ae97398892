//! What happened and what was dropped.

use crate::metric::counters;

counters! {
    /// What happened and what was dropped, since the start.
    pub struct SessionCounters of "session";

    bytes_sent: Counter Bytes "Bytes given to byte streams.";
    bytes_received: Counter Bytes "Bytes taken from byte streams.";
    records_sent: Counter Count "Bodies of frames given to links: records and the like.";
    records_received: Counter Count "The same that were received.";
    messages_sent: Counter Count "Messages queued.";
    messages_received: Counter Count "Messages handed to the node.";
    messages_duplicate: Counter Count "Messages received a second time and dropped.";
    messages_unknown: Counter Count "Messages of unknown lanes: acknowledged and dropped.";
    messages_retransmitted: Counter Count "Messages that were sent again over another link.";
    messages_refused: Counter Count "Messages not queued because the queue was full.";
    dials: Counter Count "Dials that were asked for: each of one link or of several that race.";
    failovers: Counter Count "Links of a less preferred kind dialled because one fell silent.";
    upgrades: Counter Count "Links of a preferred kind dialled because a session has another.";
    handovers: Counter Count "Sessions that went on over a link of another kind.";
    links_accepted: Counter Count "Links accepted.";
    sessions: Counter Count "Sessions that came up.";
    handshakes_failed: Counter Count "Handshakes that failed, in either direction.";
    handshakes_timed_out: Counter Count "Handshakes that timed out.";
    half_open_evicted: Counter Count "Links of strangers that gave way to newer ones.";
    links_refused: Counter Count "Links refused because of a limit per address or in all.";
    protocol_mismatches: Counter Count "Links whose first bytes were not ours.";
    decrypt_failed: Counter Count "Records that failed to open.";
    slow_readers: Counter Count "Links closed because the peer did not read.";
    reassemblies_abandoned: Counter Count "Links closed because unfinished messages took too much.";
    upload_waits: Counter Count "Times that a link waited for a limit of upload bandwidth.";
    download_waits: Counter Count "Times that a peer waited for a limit of download bandwidth.";
    keepalive_timeouts: Counter Count "Links closed because the peer did not answer a probe.";
}
