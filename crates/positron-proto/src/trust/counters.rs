//! What is there.

use crate::metric::counters;

counters! {
    /// What the node makes of its peers, beside the most that it remembers.
    pub struct TrustLevels of "trust";

    observed: Level Count "Nodes of which a score is remembered."
        high "Nothing: the least telling give way.";
    banned: Gauge Count "Nodes that are refused."
        high "See `positron-net bans`; lift those that were a mistake.";
    banned_addresses: Level Count "Bans of addresses."
        high "Lift those that are of no use any more.";
}
