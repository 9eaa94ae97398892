//! What happened and what was dropped.

use crate::metric::counters;

counters! {
    /// What happened and what was dropped, since the start.
    pub struct RelayCounters of "relay";

    dialled: Counter Count "Nodes that we asked a peer to forward to.";
    refused: Counter Count "Such wishes that the peer refused.";
    accepted: Counter Count "Nodes that reached us through a peer.";
    forwarded_bytes: Counter Bytes "Bytes forwarded between other nodes.";
    pairs_opened: Counter Count "Pairs of other nodes between which we began to forward.";
    pairs_refused: Counter Count "Wishes of others to forward that we refused."
        high "More nodes want this one as their relay than it serves, or somebody floods.";
}

counters! {
    /// What is there, beside the most that there can be.
    pub struct RelayLevels of "relay";

    links: Level Count "Links of ours that go through a peer."
        high "Most nodes cannot be reached directly: see `positron-net doctor`.";
    pairs: Level Count "Pairs of other nodes between which we forward."
        high "Many nodes cannot reach each other directly: run more nodes with public addresses.";
}
