//! The hash table of a node, for who looks from outside.

use super::NodeCore;
use crate::{dht::DhtStats, time::Now};

/// What it tells of the table, and of its own part in it.
pub fn dht_stats(core: &NodeCore, now: Now) -> DhtStats {
    DhtStats::of(&core.dht, now)
}
