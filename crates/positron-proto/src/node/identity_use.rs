//! Keys that are used in two places at once, ours and those of peers `[PROTOCOL 5.2]`.

use std::{collections::BTreeMap, net::SocketAddr};

use super::view::UsedTwice;
use crate::{
    id::NodeId,
    limits::{IDENTITY_NOTICE_INTERVAL, MAX_USED_TWICE, USED_TWICE_MEMORY, USED_TWICE_SIGNS},
    scope::is_relayed,
    time::Instant,
};

/// The signs that a key is used in two places, and whether they are enough.
///
/// For a key of a peer, a sign is a process of it that comes back after another one; for our own, a
/// peer that closes our session for another process. From [`USED_TWICE_SIGNS`] of them on it is
/// told, at most once in [`IDENTITY_NOTICE_INTERVAL`] for our key and as often for those of all
/// peers together, and it stands until there was no sign for [`USED_TWICE_MEMORY`]. At most
/// [`MAX_USED_TWICE`] keys.
#[derive(Debug)]
pub(super) struct IdentityUse {
    me: NodeId,
    keys: BTreeMap<NodeId, Signs>,
    told_of_us: Option<Instant>,
    told_of_peers: Option<Instant>,
}

#[derive(Debug)]
struct Signs {
    count: u32,
    last: Instant,
    addresses: Vec<SocketAddr>,
}

impl IdentityUse {
    pub(super) const fn new(me: NodeId) -> Self {
        Self { me, keys: BTreeMap::new(), told_of_us: None, told_of_peers: None }
    }

    /// There is a sign that the key of `node` is used at these addresses beside others; a relayed
    /// one tells nobody where. Returns what the application is to be told, if anything.
    pub(super) fn handle_sign(
        &mut self,
        now: Instant,
        node: NodeId,
        mut addresses: Vec<SocketAddr>,
    ) -> Option<UsedTwice> {
        addresses.retain(|at| !is_relayed(at.ip()));
        self.keys.retain(|_, signs| now.since(signs.last) < USED_TWICE_MEMORY);
        if self.keys.len() >= MAX_USED_TWICE && !self.keys.contains_key(&node) {
            let others = self.keys.iter().filter(|(node, _)| **node != self.me);
            let oldest = others.min_by_key(|(_, signs)| signs.last).map(|(node, _)| *node);
            oldest.and_then(|oldest| self.keys.remove(&oldest));
        }
        let none = Signs { count: 0, last: now, addresses: Vec::new() };
        let signs = self.keys.entry(node).or_insert(none);
        signs.count = signs.count.saturating_add(1);
        (signs.last, signs.addresses) = (now, addresses);
        let is_ours = node == self.me;
        let told = if is_ours { &mut self.told_of_us } else { &mut self.told_of_peers };
        let is_news = told.is_none_or(|at| now.since(at) >= IDENTITY_NOTICE_INTERVAL);
        if signs.count < USED_TWICE_SIGNS || !is_news {
            return None;
        }
        *told = Some(now);
        Some(UsedTwice { node, addresses: signs.addresses.clone() })
    }

    /// Whether the key of `node` is used in two places.
    pub(super) fn is_used_twice(&self, now: Instant, node: &NodeId) -> bool {
        self.keys.get(node).is_some_and(|signs| is_enough(now, signs))
    }

    /// All that are, in order of their ids.
    pub(super) fn views(&self, now: Instant) -> Vec<UsedTwice> {
        let twice = self.keys.iter().filter(|(_, signs)| is_enough(now, signs));
        twice.map(|(&node, signs)| UsedTwice { node, addresses: signs.addresses.clone() }).collect()
    }
}

fn is_enough(now: Instant, signs: &Signs) -> bool {
    signs.count >= USED_TWICE_SIGNS && now.since(signs.last) < USED_TWICE_MEMORY
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    #[test]
    fn it_takes_several_signs_and_is_told_once_in_an_interval() {
        let mut uses = IdentityUse::new(node(0));
        let mut told = 0;
        for second in 0..300 {
            let now = Instant::ORIGIN + Duration::from_secs(second);
            for who in [node(0), node(1), node(2)] {
                told += usize::from(uses.handle_sign(now, who, Vec::new()).is_some());
                assert_eq!(uses.is_used_twice(now, &who), second + 1 >= USED_TWICE_SIGNS.into());
            }
        }
        assert_eq!(told, 2 * 5, "ours, and one of the peers'");
        let later = Instant::ORIGIN + Duration::from_secs(300) + USED_TWICE_MEMORY;
        assert_eq!(uses.views(later), []);
    }

    #[test]
    fn keys_that_cost_nothing_take_no_memory_and_push_out_nothing_of_ours() {
        let mut uses = IdentityUse::new(node(0));
        let now = Instant::ORIGIN;
        for _ in 0..USED_TWICE_SIGNS {
            uses.handle_sign(now, node(0), Vec::new());
        }
        for n in 1..=255 {
            uses.handle_sign(now + Duration::from_secs(1), node(n), Vec::new());
        }
        assert_eq!(uses.keys.len(), MAX_USED_TWICE);
        assert!(uses.is_used_twice(now, &node(0)));
    }
}
