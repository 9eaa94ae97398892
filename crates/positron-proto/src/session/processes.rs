//! Which processes of a peer were there before the present one: a process that comes back was never
//! gone, and its key is used in two places.

use std::{collections::VecDeque, net::SocketAddr};

use crate::{
    id::NodeId,
    limits::{MAX_EARLIER_PROCESSES, MAX_RESTARTED_PEERS},
    lru::LruMap,
};

/// The processes of peers that another one took the place of, of each peer the last
/// [`MAX_EARLIER_PROCESSES`], and at most [`MAX_RESTARTED_PEERS`] peers; the one whose process
/// changed longest ago is forgotten first.
///
/// A restart, a move to another address and a sleeping machine bring a process that was never here,
/// or the same one: none of them comes back after another one.
#[derive(Debug)]
pub(super) struct Processes {
    by_peer: LruMap<NodeId, VecDeque<Process>>,
}

/// A start of a peer, and where it was last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) boot: u64,
    pub(super) addr: SocketAddr,
}

impl Default for Processes {
    fn default() -> Self {
        Self { by_peer: LruMap::new(MAX_RESTARTED_PEERS) }
    }
}

impl Processes {
    /// The process `new` of `peer` takes the place of `old`. Whether it is one that was here before
    /// `old`.
    pub(super) fn handle_replaced(&mut self, peer: NodeId, old: Process, new: Process) -> bool {
        let mut earlier = self.by_peer.get(&peer).cloned().unwrap_or_default();
        let is_back = earlier.iter().any(|process| process.boot == new.boot);
        earlier.retain(|process| process.boot != new.boot && process.boot != old.boot);
        earlier.push_back(old);
        if earlier.len() > MAX_EARLIER_PROCESSES {
            earlier.pop_front();
        }
        self.by_peer.insert(peer, earlier);
        is_back
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_that_was_here_before_the_last_one_is_back() {
        let (mut processes, peer) = (Processes::default(), NodeId::from_bytes([1; 32]));
        let process = |boot| Process { boot, addr: SocketAddr::from(([10, 0, 0, 1], 1)) };
        let mut replaced = |old, new| processes.handle_replaced(peer, process(old), process(new));
        assert!(!replaced(1, 2));
        assert!(replaced(2, 1) && replaced(1, 2));
        // Restarts, as many as one likes.
        assert!((2..100).all(|boot| !replaced(boot, boot + 1)));
        assert!(!replaced(100, 1), "forgotten");
    }
}
