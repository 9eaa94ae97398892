//! What happened and what was dropped.

use crate::metric::counters;

counters! {
    /// What happened and what was dropped, since the start.
    pub struct PeersCounters of "peers";

    dials: Counter Count "Dials wished.";
    dials_failed: Counter Count "Dials that failed.";
    probes: Counter Count "Addresses probed.";
    inbound_refused_full: Counter Count "Newcomers refused because every slot was taken.";
    inbound_refused_inbound: Counter Count "Newcomers refused: too many dialled this node.";
    inbound_refused_address: Counter Count "Newcomers refused: too many of their address.";
    inbound_refused_banned: Counter Count "Newcomers refused because they are banned.";
    unproven_told: Counter Count "Records told of nodes that perhaps only we reach.";
    inbound_refused_retired: Counter Count "Newcomers refused: their key gave way to another.";
    records_learned: Counter Count "Records that were new or newer.";
    records_dropped: Counter Count "Records dropped: the book, or their source's share, is full.";
    records_forged: Counter Count "Records whose signature was forged.";
}
