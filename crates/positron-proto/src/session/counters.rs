//! What happened and what was dropped.

use super::kind::LinkKind;
use crate::{
    handshake::Direction,
    metric::{Way, counters, label},
    wire::frame::Lane,
};

counters! {
    /// What happened and what was dropped, since the start.
    pub struct SessionCounters of "session";

    bytes_sent: Counter Bytes "Bytes given to byte streams.";
    bytes_received: Counter Bytes "Bytes taken from byte streams.";
    records_sent: Counter Count "Bodies of frames given to links: records and the like.";
    records_received: Counter Count "The same that were received.";
    messages_sent: Counter Count "Messages queued.";
    messages_received: Counter Count "Messages handed to the node.";
    messages_duplicate: Counter Count "Messages received a second time and dropped."
        high "Links change often: see the reasons for which sessions are lost.";
    messages_unknown: Counter Count "Messages of unknown lanes: acknowledged and dropped."
        high "Peers run a newer version: update this node.";
    messages_retransmitted: Counter Count "Messages that were sent again over another link."
        high "Links change often: see the reasons for which sessions are lost.";
    messages_refused: Counter Count "Messages not queued because the queue was full."
        high "A peer takes less than is said: publish less at a time.";
    dials: Counter Count "Dials asked for: each of one link or several that race.";
    failovers: Counter Count "Links of a second kind dialled: one fell silent."
        high "Datagrams stop getting through: see the firewall for UDP.";
    upgrades: Counter Count "Links of a preferred kind dialled for a session.";
    handovers: Counter Count "Sessions that went on over a link of another kind.";
    links_accepted: Counter Count "Links accepted.";
    sessions: Counter Count "Sessions that came up.";
    handshakes_failed: Counter Count "Handshakes that failed, in either direction."
        high "Strangers knock without coming in: harmless, unless peers are missing.";
    handshakes_timed_out: Counter Count "Handshakes that timed out."
        high "Other ends fall silent: the path or they are overloaded.";
    half_open_evicted: Counter Count "Links of strangers that gave way to newer ones."
        high "A flood of connections: see the firewall if it goes on.";
    links_refused: Counter Count "Links refused for a limit per address or in all."
        high "Raise `max_peers_per_address` or `max_concurrent_connections` if the peers are \
            honest.";
    protocol_mismatches: Counter Count "Links whose first bytes were not ours."
        high "Something else connects to this port: close the firewall to it.";
    decrypt_failed: Counter Count "Records that failed to open."
        high "A device on the way changes bytes.";
    slow_readers: Counter Count "Links closed because the peer did not read."
        high "Peers do not keep up: publish less at a time, or look at those machines.";
    reassemblies_abandoned: Counter Count "Links closed: unfinished messages took too much."
        high "Peers begin messages and do not end them: their lines are slow.";
    upload_waits: Counter Count "Waits for a limit of upload bandwidth."
        high "The limit of upload is reached: raise it if the line has more.";
    download_waits: Counter Count "Waits for a limit of download bandwidth."
        high "The limit of download is reached: raise it if the line has more.";
    keepalive_timeouts: Counter Count "Links closed: the peer answered no probe."
        high "Peers vanish: see whether this machine or its network is overloaded.";
    wire: Counter Bytes "Bytes on the wire." by (Way LinkKind);
    lane_messages: Counter Count "Messages of each lane." by (Way LaneName);
    lane: Counter Bytes "Bytes of messages of each lane." by (Way LaneName);
    handshake: Histogram Seconds "From reaching the other end until both agreed."
        high "This machine or its peers are overloaded, or far away.";
}

counters! {
    /// What is there, beside the most that there can be.
    pub struct SessionLevels of "session";

    peers: Gauge Count "Connected peers." by (Direction LinkKind);
    half_open: Level Count "Links whose handshake is not complete."
        high "A flood of connections: see the firewall if it goes on.";
    fullest_queue_bytes: Level Bytes "What waits for the peer for which most waits."
        high "That peer is slow: see `positron-net peers`.";
    dormant: Level Count "Conversations that wait for their peer to come back."
        high "Many peers left at once: see the reasons for which sessions are lost.";
    dormant_bytes: Level Bytes "What waits in them."
        high "Many peers left at once: see the reasons for which sessions are lost.";
    partial_bytes: Level Bytes "Messages of which only parts have arrived."
        high "Peers begin messages and do not end them: the slowest gives way.";
}

impl SessionCounters {
    /// A message of so many bytes went, or came, in this lane.
    pub(super) fn note_lane(&mut self, way: Way, lane: Lane, bytes: usize) {
        let lane = LaneName::of(lane);
        self.lane_messages.add((way, lane), 1);
        self.lane.add((way, lane), u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}

/// A lane, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneName {
    /// [`Lane::CONTROL`].
    Control,
    /// [`Lane::GOSSIP`].
    Gossip,
    /// [`Lane::DIRECT`].
    Direct,
    /// [`Lane::BULK`].
    Bulk,
    /// One that this version does not know.
    Other,
}

label! {
    LaneName as "lane" {
        Control => "control",
        Gossip => "gossip",
        Direct => "direct",
        Bulk => "bulk",
        Other => "other",
    }
}

impl LaneName {
    const fn of(lane: Lane) -> Self {
        match lane {
            Lane::CONTROL => Self::Control,
            Lane::GOSSIP => Self::Gossip,
            Lane::DIRECT => Self::Direct,
            Lane::BULK => Self::Bulk,
            _ => Self::Other,
        }
    }
}
