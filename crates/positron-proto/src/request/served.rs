//! What others ask of us, until a session has the answer.

use std::collections::BTreeMap;

use crate::{
    id::NodeId,
    limits::{MAX_SERVED, MAX_SERVED_BYTES, MAX_SERVED_BYTES_PER_PEER, MAX_SERVED_PER_PEER},
    metric::Level,
};

/// Requests of others that are being served, or whose answers wait for their sessions: bounded in
/// number and bytes, for each peer and in all.
#[derive(Debug, Default)]
pub(super) struct Served {
    all: BTreeMap<(NodeId, u64), Serving>,
    by_peer: BTreeMap<NodeId, Load>,
    load: Load,
}

#[derive(Clone, Copy, Debug)]
struct Serving {
    /// Of the question, and then of the answer.
    bytes: usize,
    answered: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Load {
    requests: usize,
    bytes: usize,
}

impl Served {
    /// How many there are.
    pub(super) fn level(&self) -> Level {
        Level::new(self.all.len(), MAX_SERVED)
    }

    /// Whether it is being served.
    pub(super) fn has(&self, from: NodeId, id: u64) -> bool {
        self.all.contains_key(&(from, id))
    }

    /// Takes a request, if there is room for it.
    pub(super) fn add(&mut self, from: NodeId, id: u64, bytes: usize) -> bool {
        let fits = self.has_room(&from, bytes);
        if fits {
            self.insert(from, id, Serving { bytes, answered: false });
        }
        fits
    }

    /// How many bytes the question has, if the application has yet to answer it.
    pub(super) fn open_question(&self, from: NodeId, id: u64) -> Option<usize> {
        self.all.get(&(from, id)).filter(|one| !one.answered).map(|one| one.bytes)
    }

    /// The application has answered with so many bytes, which take the place of the question.
    /// Whether there is room for them; if not, they count for nothing.
    pub(super) fn answer(&mut self, from: NodeId, id: u64, bytes: usize) -> bool {
        self.end(from, id);
        let fits = self.has_room(&from, bytes);
        self.insert(from, id, Serving { bytes: if fits { bytes } else { 0 }, answered: true });
        fits
    }

    /// It is over.
    pub(super) fn end(&mut self, from: NodeId, id: u64) {
        let Some(Serving { bytes, .. }) = self.all.remove(&(from, id)) else { return };
        self.load.remove(bytes);
        if let Some(load) = self.by_peer.get_mut(&from) {
            load.remove(bytes);
            if load.requests == 0 {
                self.by_peer.remove(&from);
            }
        }
    }

    /// How many of `peer` are served, and their bytes.
    pub(super) fn levels_of(&self, peer: &NodeId) -> (Level, Level) {
        let of_peer = self.by_peer.get(peer).copied().unwrap_or_default();
        (
            Level::new(of_peer.requests, MAX_SERVED_PER_PEER),
            Level::new(of_peer.bytes, MAX_SERVED_BYTES_PER_PEER),
        )
    }

    fn has_room(&self, from: &NodeId, bytes: usize) -> bool {
        let of_peer = self.by_peer.get(from).copied().unwrap_or_default();
        of_peer.has_room(bytes, MAX_SERVED_PER_PEER, MAX_SERVED_BYTES_PER_PEER)
            && self.load.has_room(bytes, MAX_SERVED, MAX_SERVED_BYTES)
    }

    fn insert(&mut self, from: NodeId, id: u64, serving: Serving) {
        self.by_peer.entry(from).or_default().add(serving.bytes);
        self.load.add(serving.bytes);
        self.all.insert((from, id), serving);
    }

    /// What is served for `peer`, in order.
    pub(super) fn of(&self, peer: NodeId) -> Vec<u64> {
        self.all.range((peer, 0)..=(peer, u64::MAX)).map(|((_, id), _)| *id).collect()
    }

    /// Everything that the application has yet to answer.
    pub(super) fn open(&self) -> Vec<(NodeId, u64)> {
        self.all.iter().filter(|(_, one)| !one.answered).map(|(key, _)| *key).collect()
    }
}

impl Load {
    const fn has_room(&self, bytes: usize, max_requests: usize, max_bytes: usize) -> bool {
        self.requests < max_requests && self.bytes.saturating_add(bytes) <= max_bytes
    }

    const fn add(&mut self, bytes: usize) {
        self.requests += 1;
        self.bytes += bytes;
    }

    const fn remove(&mut self, bytes: usize) {
        self.requests -= 1;
        self.bytes -= bytes;
    }
}
