//! Why a node wants to be woken.

/// Why the node wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wake {
    /// Handshakes, probes, acknowledgments, slow readers.
    Session,
    /// Dials, discovery, heartbeats.
    Peers,
    /// Announcements, requests, anti-entropy.
    Gossip,
    /// Direct messages that wait.
    Direct,
    /// Decay of scores.
    Trust,
}
