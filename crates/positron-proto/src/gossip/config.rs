//! What gossip is told once.

use crate::{id::NodeId, identity::Verified, time::Duration, wire::message::AppMessage};

/// The founding document's knobs.
#[derive(Clone, Debug, PartialEq)]
pub struct GossipConfig {
    /// Links over which a node that has just begun is pushed new messages, the most that are tried
    /// out when something is late, and peers beside the tree of pushes that announce.
    pub fanout: usize,
    /// Time between two rounds of anti-entropy, each with one random peer.
    pub interval: Duration,
    /// Hops that our own messages are pushed: up the tree and down again.
    pub ttl: u8,
    /// Messages kept for late and healed nodes.
    pub cache_size: usize,
    /// Whether the application says of each broadcast of others if it is valid, before it is handed
    /// over, kept and passed on ([`GossipEffect::Validate`](super::GossipEffect::Validate)).
    pub validates: bool,
}

/// What a node runs with that is told nothing else.
impl Default for GossipConfig {
    fn default() -> Self {
        let interval = Duration::from_secs(1);
        Self { fanout: 3, interval, ttl: 20, cache_size: 10_000, validates: false }
    }
}

/// What storage brings back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GossipSnapshot {
    /// The retention window.
    pub messages: Vec<Verified<AppMessage>>,
    /// Per sender, the lowest number that may still be new.
    pub floors: Vec<(NodeId, u64)>,
}

/// The configured interval of anti-entropy, within reason.
pub(super) fn interval(config: &GossipConfig) -> Duration {
    config.interval.max(Duration::from_millis(10))
}
