//! At the end the live sessions connect all live nodes.

use std::collections::BTreeMap;

use positron_proto::id::NodeId;

/// How the live nodes hang together.
#[derive(Debug)]
pub(crate) struct Membership {
    /// Hosts in the largest part.
    pub(crate) connected: usize,
    /// A host outside of it, if there is one.
    pub(crate) outside: Option<usize>,
}

impl Membership {
    /// `peers` are the ids that each live host has a session with. A link counts when both of its
    /// ends know of it.
    pub(crate) fn of(ids: &BTreeMap<NodeId, usize>, peers: &BTreeMap<usize, Vec<NodeId>>) -> Self {
        let mut parts = Parts(peers.keys().map(|host| (*host, *host)).collect());
        for (host, linked) in peers {
            for other in linked.iter().filter_map(|id| ids.get(id)) {
                let back = peers
                    .get(other)
                    .is_some_and(|theirs| theirs.iter().any(|id| ids.get(id) == Some(host)));
                if back {
                    parts.join(*host, *other);
                }
            }
        }
        let mut sizes = BTreeMap::<usize, usize>::new();
        for host in peers.keys() {
            *sizes.entry(parts.root(*host)).or_default() += 1;
        }
        let largest = sizes.iter().max_by_key(|(root, size)| (**size, usize::MAX - **root));
        let (root, connected) = largest.map_or((0, 0), |(root, size)| (*root, *size));
        let outside = peers.keys().copied().find(|host| parts.root(*host) != root);
        Self { connected, outside }
    }
}

/// Disjoint sets: each host points towards the root of its set.
struct Parts(BTreeMap<usize, usize>);

impl Parts {
    fn root(&mut self, host: usize) -> usize {
        let mut at = host;
        while let Some(up) = self.0.get(&at).copied().filter(|up| *up != at) {
            // Path halving (Tarjan, van Leeuwen 1984) keeps the ways short.
            let above = self.0.get(&up).copied().unwrap_or(up);
            self.0.insert(at, above);
            at = above;
        }
        at
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0.insert(a.max(b), a.min(b));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_only_one_end_knows_connects_nobody() {
        let id = |n: u8| NodeId::from_bytes([n; 32]);
        let ids: BTreeMap<_, _> = (0..4).map(|n| (id(n), usize::from(n))).collect();
        let mut peers = BTreeMap::from([
            (0, vec![id(1)]),
            (1, vec![id(0), id(2)]),
            (2, vec![id(1), id(3)]),
            (3, vec![]),
        ]);
        let apart = Membership::of(&ids, &peers);
        assert_eq!((apart.connected, apart.outside), (3, Some(3)));
        peers.insert(3, vec![id(2)]);
        let together = Membership::of(&ids, &peers);
        assert_eq!((together.connected, together.outside), (4, None));
    }
}
