//! What a node looks like from outside at one moment: for `stats`, `status` and the simulator's
//! checkers.

use std::net::SocketAddr;

use super::core;
use crate::{
    datagram::contract::EndpointCounters,
    direct, gossip,
    id::NodeId,
    peers::{self, Bootstrap},
    session::sessions,
    time::Duration,
};

/// Everything that happened and everything that was dropped, by room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// Links and conversations.
    pub session: sessions::SessionCounters,
    /// Datagram connections.
    pub datagrams: EndpointCounters,
    /// The address book and dials.
    pub peers: peers::PeersCounters,
    /// Broadcasts.
    pub gossip: gossip::GossipCounters,
    /// Direct messages.
    pub direct: direct::DirectCounters,
    /// Wiring, checks of signatures, events.
    pub node: core::NodeCounters,
}

/// One linked peer.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerView {
    /// The session.
    pub session: sessions::SessionView,
    /// What we make of it.
    pub score: f64,
    /// How long it is linked.
    pub connected_for: Duration,
}

/// The node at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeView {
    /// Who it is.
    pub id: NodeId,
    /// Where others can reach it, as far as it knows.
    pub own_addresses: Vec<SocketAddr>,
    /// Its peers, in order of their ids.
    pub peers: Vec<PeerView>,
    /// How many peers its address book has.
    pub known_peers: usize,
    /// How it goes with the bootstrap addresses.
    pub bootstrap: Vec<Bootstrap>,
    /// Broadcasts that it keeps, and their bytes.
    pub kept: (usize, usize),
    /// Peers that it bans.
    pub banned: usize,
    /// What happened.
    pub counters: Counters,
}
