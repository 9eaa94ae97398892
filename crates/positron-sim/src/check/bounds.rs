//! Tables and queues keep to their limits.

use positron_proto::{
    limits::{
        CROWDED_PART, MAX_BACKLOG_BYTES, MAX_BOOK, MAX_BULK_QUEUE_BYTES, MAX_BYTES_TO_DISK,
        MAX_HALF_OPEN, MAX_PAYLOAD, MAX_PEER_QUEUE_BYTES, RETENTION_BYTES,
    },
    node::{NodeConfig, NodeView},
};

/// Bytes that may wait for a disk: the last change that it is given may be a large one.
const MOST_WAITING: usize = MAX_BACKLOG_BYTES + 2 * MAX_BYTES_TO_DISK + 2 * MAX_PAYLOAD;

/// What a node may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    kept: usize,
    peers: usize,
}

impl Bounds {
    pub(crate) const fn new(config: &NodeConfig) -> Self {
        let window = config.gossip.cache_size;
        Self { kept: window + window / CROWDED_PART, peers: config.peers.max_peers }
    }

    pub(crate) fn check(self, view: &NodeView, half_open: usize) -> Result<(), String> {
        let queued = view.peers.iter().map(|peer| peer.session.queued_bytes).max().unwrap_or(0);
        for (what, is, most) in [
            ("messages kept", view.kept.0, self.kept),
            ("bytes kept", view.kept.1, RETENTION_BYTES + RETENTION_BYTES / CROWDED_PART),
            ("peers known", view.known_peers, MAX_BOOK),
            ("peers linked", view.peers.len(), self.peers + view.reserved.len()),
            ("links half open", half_open, MAX_HALF_OPEN),
            ("bytes queued for one peer", queued, MAX_PEER_QUEUE_BYTES + MAX_BULK_QUEUE_BYTES),
            ("bytes that wait for the disk", view.storage.waiting_bytes, MOST_WAITING),
        ] {
            if is > most {
                return Err(format!("{is} {what}, the limit is {most}"));
            }
        }
        Ok(())
    }
}
