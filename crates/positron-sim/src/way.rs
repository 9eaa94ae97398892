//! Where a message really went: what no node can know.

use std::collections::BTreeMap;

use positron_proto::{
    id::{MessageId, NodeId},
    time::{Duration, Instant},
};

use crate::hosts::Hosts;

/// A message at one node: from whom it came there first, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WayPoint {
    /// Which node.
    pub node: usize,
    /// From whom; `None`: it wrote it.
    pub from: Option<usize>,
    /// When it came.
    pub at: Instant,
    /// How long after it had come to `from`.
    pub hop: Duration,
    /// How many hops it took.
    pub depth: usize,
}

/// The way of a broadcast through all of the first `nodes` hosts that live and remember it, by
/// their numbers.
pub(crate) fn way_of(
    hosts: &Hosts,
    nodes: usize,
    now: Instant,
    message: &MessageId,
) -> Vec<WayPoint> {
    let ids: BTreeMap<NodeId, usize> =
        (0..nodes).map(|node| (hosts[node].identity().node_id(), node)).collect();
    let mut heard = BTreeMap::new();
    for node in hosts.live(nodes) {
        let host = &hosts[node];
        let trace = host.node().and_then(|core| core.trace(host.clocks(now), message));
        if let Some(local) = trace.and_then(|trace| trace.local) {
            let from = local.from.and_then(|from| ids.get(&from).copied());
            heard.insert(node, (from, now - Duration::from_secs_f64(local.age_s)));
        }
    }
    let parent = |node: usize| heard.get(&node).and_then(|(from, _)| *from);
    let point = |(&node, &(from, at)): (&usize, &(Option<usize>, Instant))| {
        let before = from.and_then(|from| heard.get(&from)).map_or(at, |(_, at)| *at);
        let depth = std::iter::successors(Some(node), |node| parent(*node)).take(nodes).count() - 1;
        WayPoint { node, from, at, hop: at.since(before), depth }
    };
    heard.iter().map(point).collect()
}
