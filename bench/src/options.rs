//! What the command line says.

use clap::{Parser, Subcommand};

use crate::{
    dht::{DhtOptions, Stack},
    gossip::{GossipOptions, Protocol},
    transport::TransportOptions,
};

/// Measures positron-net beside others that do the same, on this machine, in one run.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Measured,
}

/// What is measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Measured {
    /// The hash table, beside Kademlia of libp2p.
    Dht(DhtOptions),
    /// Gossip, beside gossipsub of libp2p and iroh-gossip.
    Gossip(GossipOptions),
    /// Connections, beside QUIC and TCP.
    Transport(TransportOptions),
    /// A process with nodes; the others start it.
    #[command(hide = true, subcommand)]
    Worker(Nodes),
}

/// Nodes of a process.
#[derive(Debug, Subcommand)]
pub(crate) enum Nodes {
    /// Nodes with a hash table.
    Dht {
        /// Whose.
        stack: Stack,
    },
    /// Nodes that gossip.
    Gossip {
        /// Whose.
        protocol: Protocol,
    },
    /// Both ends of a connection.
    Transport,
}
