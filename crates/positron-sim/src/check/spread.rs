//! How far and how fast broadcasts spread that nothing concerned.

use positron_proto::time::Duration;

use crate::{
    clock::micros,
    published::Published,
    report::{Dissemination, Hops, Latency},
};

/// The way of each broadcast so far, by the index of what was said.
#[derive(Debug, Default)]
pub(crate) struct Spreads {
    nodes: usize,
    ways: Vec<Option<Way>>,
}

/// The way of one broadcast.
#[derive(Debug, Default)]
struct Way {
    /// Over how many links it came to each node, once it did; forgotten when all have it.
    hops: Vec<u8>,
    farthest: u8,
    heard: usize,
    last: Duration,
}

impl Spreads {
    /// Among so many nodes of ours.
    pub(crate) fn new(nodes: usize) -> Self {
        Self { nodes, ways: Vec::new() }
    }

    /// A node of ours that ran when a broadcast was said got it for the first time, so long after
    /// that and from this one. Whoever passed it on heard it before: no node hears within a window
    /// of time what another one did in it.
    pub(crate) fn handle_heard(
        &mut self,
        index: usize,
        (host, from): (usize, Option<usize>),
        after: Duration,
    ) {
        if self.ways.len() <= index {
            self.ways.resize_with(index + 1, Option::default);
        }
        let way = self.ways[index].get_or_insert_default();
        way.heard += 1;
        way.last = way.last.max(after);
        if way.hops.is_empty() {
            way.hops.resize(self.nodes, 0);
        }
        let before = from.and_then(|from| way.hops.get(from)).copied().unwrap_or(0);
        let hops = before.saturating_add(1);
        if let Some(of_host) = way.hops.get_mut(host) {
            *of_host = hops;
        }
        way.farthest = way.farthest.max(hops);
        if way.heard + 1 >= self.nodes {
            way.hops = Vec::new();
        }
    }

    /// Of all that nothing concerned.
    pub(crate) fn sum(&self, said: &[Published]) -> Dissemination {
        let undisturbed = said.iter().zip(&self.ways).filter(|(said, _)| !said.disturbed);
        let ways: Vec<&Way> = undisturbed.filter_map(|(_, way)| way.as_ref()).collect();
        let mut hops: Vec<u8> = ways.iter().map(|way| way.farthest).collect();
        let last = |way: &&Way| u32::try_from(micros(way.last)).unwrap_or(u32::MAX);
        let mut lasts: Vec<u32> = ways.iter().map(last).collect();
        Dissemination { last_hop: Hops::of(&mut hops), to_all_ms: Latency::of(&mut lasts) }
    }
}
