//! What happened and what was dropped.

use crate::metric::counters;

counters! {
    /// What happened and what was dropped, since the start.
    pub struct SessionCounters of "session";

    bytes_sent: Counter Bytes "Bytes given to byte streams.";
    bytes_received: Counter Bytes "Bytes taken from byte streams.";
    records_sent: Counter Count "Records sealed, and bodies of frames given to datagrams.";
    records_received: Counter Count "Records opened, and bodies of frames taken from datagrams.";
    messages_sent: Counter Count "Messages queued.";
    messages_received: Counter Count "Messages handed to the node.";
    messages_duplicate: Counter Count "Messages received a second time and dropped.";
    messages_resent: Counter Count "Messages that were sent again over another link.";
    messages_refused: Counter Count "Messages not queued because the queue was full.";
    dials: Counter Count "Dials that were asked for: each of one link or of two that race.";
    failovers: Counter Count "Byte streams dialled because a datagram link fell silent.";
    upgrades: Counter Count "Datagram links dialled because a session runs over a byte stream.";
    moves_to_tcp: Counter Count "Sessions that went on over a byte stream instead of datagrams.";
    moves_to_udp: Counter Count "Sessions that went on over datagrams instead of a byte stream.";
    accepts: Counter Count "Links accepted.";
    sessions: Counter Count "Sessions that came up.";
    handshakes_failed: Counter Count "Handshakes that failed, in either direction.";
    handshakes_timed_out: Counter Count "Handshakes that timed out.";
    half_open_evicted: Counter Count "Links of strangers that gave way to newer ones.";
    links_refused: Counter Count "Links refused because of a limit per address or in all.";
    not_positron: Counter Count "Links whose first bytes were not ours.";
    records_forged: Counter Count "Records that failed to open.";
    slow_readers: Counter Count "Links closed because the peer did not read.";
    partials_given_up: Counter Count "Links closed because unfinished messages took too much.";
    probes_unanswered: Counter Count "Links closed because the peer did not answer a probe.";
}
