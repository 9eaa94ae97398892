//! What happened and what was dropped.

use crate::metric::counters;

counters! {
    /// What happened and what was dropped, since the start.
    pub struct NatCounters of "nat";

    rounds: Counter Count "Searches for a direct path to a node behind a relay.";
    answered: Counter Count "Such searches in which the node answered at an address of its own.";
    direct: Counter Count "Sessions that went on over a direct path.";
    searches: Counter Count "Such searches in which many ports were opened or guessed.";
    refused: Counter Count "Searches of peers that were not joined: too many."
        high "A peer floods: it is slowed down by itself.";
    packets: Counter Count "Packets to addresses that a peer named.";
    spared: Counter Count "Packets that were not sent, because an address never answered.";
    filtering_asked: Counter Count "Packets that peers were asked for, to see who is let in.";
    filtering_sent: Counter Count "Packets to those that asked who is let in there.";
    filtering_refused: Counter Count "Such questions of peers that were not joined: too many."
        high "A peer floods: it is slowed down by itself.";
    router_asked: Counter Count "Packets to the router of this network, to have the port mapped.";
    router_ignored: Counter Count "Packets from there that answer nothing that was asked."
        high "Something in this network pretends to be its router, or the router is broken.";
}
