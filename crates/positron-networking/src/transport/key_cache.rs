//! Nodes that a transport was connected with, and the static keys of their links: who is dialled
//! again answers in one round trip.

use std::collections::{HashMap, VecDeque};

use positron_proto::{handshake::Expect, id::NodeId};

use crate::limits::MAX_CACHED_KEYS;

/// The last of them. The key of a node follows from its identity: it never changes.
#[derive(Debug, Default)]
pub(super) struct KeyCache {
    keys: HashMap<NodeId, [u8; 32]>,
    /// In which order they were met, the longest known first.
    met: VecDeque<NodeId>,
}

impl KeyCache {
    /// A handshake with this node proved that this is its key.
    pub(super) fn insert(&mut self, node: NodeId, key: [u8; 32]) {
        if self.keys.insert(node, key).is_some() {
            return;
        }
        self.met.push_back(node);
        if self.met.len() > MAX_CACHED_KEYS
            && let Some(oldest) = self.met.pop_front()
        {
            self.keys.remove(&oldest);
        }
    }

    /// The key of whoever is expected, if that is somebody in particular and known.
    pub(super) fn key_of(&self, expect: Expect) -> Option<[u8; 32]> {
        match expect {
            Expect::Node(node) => self.keys.get(&node).copied(),
            Expect::Anyone => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_met_last_is_known_and_who_was_met_first_makes_room() {
        let node = |n: usize| {
            NodeId::from_bytes(std::array::from_fn(|at| {
                n.to_le_bytes().get(at).copied().unwrap_or_default()
            }))
        };
        let mut known = KeyCache::default();
        for n in 0..=MAX_CACHED_KEYS {
            known.insert(node(n), [7; 32]);
            known.insert(node(n), [7; 32]);
        }
        assert_eq!(known.key_of(Expect::Node(node(0))), None);
        assert_eq!(known.key_of(Expect::Node(node(1))), Some([7; 32]));
        assert_eq!(known.key_of(Expect::Node(node(MAX_CACHED_KEYS))), Some([7; 32]));
        assert_eq!(known.key_of(Expect::Anyone), None);
    }
}
