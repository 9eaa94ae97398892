//! Substreams that we forgot and the other end may not have.

use super::{SubstreamEnd, SubstreamId, SubstreamMessage, peer_table::label};
use crate::{
    id::NodeId,
    limits::{MAX_GHOST_PEERS, MAX_SUBSTREAMS_PER_PEER},
    lru::LruMap,
};

/// What was lost with sessions: told to the other end when there is a session again, because its
/// own may never have ended.
///
/// Bounded by [`MAX_GHOST_PEERS`], each with [`MAX_SUBSTREAMS_PER_PEER`]; only of a peer's present
/// process.
#[derive(Debug)]
pub(super) struct Ghosts(LruMap<NodeId, Lost>);

#[derive(Debug)]
struct Lost {
    /// The process of the peer that knew them.
    boot: u64,
    ids: Vec<SubstreamId>,
}

impl Ghosts {
    pub(super) fn new() -> Self {
        Self(LruMap::new(MAX_GHOST_PEERS))
    }

    /// These were lost with the session.
    pub(super) fn add(&mut self, peer: NodeId, boot: u64, ids: Vec<SubstreamId>) {
        if ids.is_empty() {
            return;
        }
        let mut all = self.take(&peer, boot);
        all.extend(ids);
        let most = MAX_SUBSTREAMS_PER_PEER;
        let ids = all.split_off(all.len().saturating_sub(most));
        self.0.insert(peer, Lost { boot, ids });
    }

    /// What its process is told about when it is back.
    pub(super) fn messages(&mut self, peer: &NodeId, boot: u64) -> Vec<SubstreamMessage> {
        let why = SubstreamEnd::Gone;
        let both = |id: SubstreamId| {
            let label = label(&id);
            [SubstreamMessage::Reset { label, why }, SubstreamMessage::Stop { label, why }]
        };
        self.take(peer, boot).into_iter().flat_map(both).collect()
    }

    fn take(&mut self, peer: &NodeId, boot: u64) -> Vec<SubstreamId> {
        match self.0.remove(peer) {
            Some(lost) if lost.boot == boot => lost.ids,
            _ => Vec::new(),
        }
    }
}
