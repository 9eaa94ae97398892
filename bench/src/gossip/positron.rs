//! A node of positron-net that gossips.

use std::path::PathBuf;

use bytes::Bytes;
use positron_networking::{Inbox, NetworkConfig, Node};

use super::{
    node::{Counts, DIALLED, GossipNode},
    tally::Ear,
};

/// A node of positron-net, with the configuration that every node has on loopback, but for whom it
/// dials.
pub(crate) struct PositronNode(Node);

impl GossipNode for PositronNode {
    type Address = String;

    async fn start(known: &[String], folder: Option<PathBuf>, ear: Ear) -> Result<Self, String> {
        let config = NetworkConfig {
            bootstrap_nodes: known.to_vec(),
            data_dir: folder,
            min_peers: DIALLED,
            ..NetworkConfig::loopback()
        };
        let node = Node::start(config).await.map_err(|error| error.to_string())?;
        tokio::spawn(listen(node.subscribe(), ear));
        Ok(Self(node))
    }

    fn address(&self) -> String {
        self.0.listen_addresses()[0].to_string()
    }

    async fn publish(&self, payload: Bytes) -> Result<(), String> {
        self.0.broadcast_bytes(payload).await.map(|_| ()).map_err(|error| error.to_string())
    }

    async fn counts(&self) -> Counts {
        let stats = self.0.stats_now().await;
        Counts { copies: stats.gossip.counters.messages_received, peers: stats.active_peers }
    }
}

async fn listen(mut inbox: Inbox, ear: Ear) {
    while let Some(message) = inbox.recv().await {
        ear.hear(&message.payload);
    }
}
