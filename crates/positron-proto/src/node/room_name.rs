//! The rooms that hear messages, as a label.

use crate::metric::label;

/// Who reads a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomName {
    /// The peers.
    Peers,
    /// Gossip.
    Gossip,
    /// Direct messages.
    Direct,
    /// Requests.
    Request,
    /// Streams between nodes.
    Substream,
    /// Keys that gave way to others.
    Succession,
    /// Whom others trust.
    Recommendation,
    /// The way of messages.
    Trace,
    /// Direct paths.
    Nat,
    /// What is forwarded for others.
    Relay,
    /// The hash table.
    Dht,
}

label! {
    RoomName as "room" {
        Peers => "peers",
        Gossip => "gossip",
        Direct => "direct",
        Request => "request",
        Substream => "substream",
        Succession => "succession",
        Recommendation => "recommendation",
        Trace => "trace",
        Nat => "nat",
        Relay => "relay",
        Dht => "dht",
    }
}
