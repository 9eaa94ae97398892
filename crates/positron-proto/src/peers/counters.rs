//! What happened and what was dropped.

use crate::metric::counters;

counters! {
    /// What happened and what was dropped, since the start.
    pub struct PeersCounters of "peers";

    dials: Counter Count "Dials wished.";
    dials_failed: Counter Count "Dials that failed."
        high "See `positron_node_dials_ended_total` for the outcomes.";
    probes: Counter Count "Addresses probed.";
    inbound_refused_full: Counter Count "Newcomers refused: no slot."
        high "Raise `max_peers` if the machine can bear more.";
    inbound_refused_inbound: Counter Count "Newcomers refused: too many dialled this node."
        high "Raise `max_inbound` if the machine can bear more.";
    inbound_refused_address: Counter Count "Newcomers refused: too many of their address."
        high "Raise `max_peers_per_address` if many honest nodes stand behind one address.";
    guests_replaced: Counter Count "Guests that gave way."
        high "Few owners take many slots: see `positron-net peers` for their addresses.";
    inbound_refused_banned: Counter Count "Newcomers refused: banned."
        high "See `positron-net bans`; lift those that were a mistake.";
    silent_spared: Counter Count "Packets spared to silent addresses.";
    unproven_told: Counter Count "Records told of nodes that perhaps only we reach.";
    inbound_refused_retired: Counter Count "Newcomers refused: their key gave way to another.";
    records_learned: Counter Count "Records that were new or newer.";
    records_dropped: Counter Count "Records dropped: their share of the book is full."
        high "Peers tell of more nodes than the book holds: nothing to do.";
    records_forged: Counter Count "Records whose signature was forged."
        high "A peer makes up records: it is banned by itself.";
    dial: Histogram Seconds "From a dial until somebody answered it."
        high "Peers are far away, or one kind of link is filtered on the way.";
}

counters! {
    /// What is there, beside the most that there can be.
    pub struct PeersLevels of "peers";

    slots: Level Count "Slots that peers take, reserved ones apart."
        high "Nothing; raise `max_peers` if the machine can bear more.";
    slots_inbound: Level Count "Of them, those of peers that dialled this node."
        high "Nothing; raise `max_inbound` if the machine can bear more.";
    wanted: Gauge Count "Peers that there should be at least (`min_peers`).";
    dialling: Level Count "Dials under way that may become links."
        high "Many addresses do not answer: see `positron_node_dials_ended_total`.";
    book: Level Count "Nodes in the address book."
        high "Nothing: those that were heard of only give way.";
}
