//! Every number of every room, asked for at once.

use super::{AllCounters, AllLevels, NodeCore, NodeCounters, NodeLevels};

impl AllCounters {
    /// What happened and what was dropped since the start.
    pub(super) fn of(core: &NodeCore) -> Self {
        Self {
            session: core.sessions.counters(),
            datagrams: core.sessions.datagram_counters(),
            peers: core.peers.counters(),
            gossip: core.gossip.counters(),
            direct: core.direct.counters(),
            requests: core.requests.counters(),
            substream: core.substreams.counters(),
            succession: core.successions.counters(),
            recommendation: core.recommendations.counters(),
            trace: core.traces.counters(),
            nat: core.punching.counters() + core.nat.counters(),
            relay: core.relays.counters(),
            dht: core.dht.counters(),
            node: NodeCounters {
                changes_dropped: core.persistence.dropped(),
                deliveries_evicted: core.deliveries.evicted(),
                verification_wait: core.pending.waits(),
                ..core.counters
            },
        }
    }
}

impl AllLevels {
    /// What is there at this moment.
    pub(super) fn of(core: &NodeCore) -> Self {
        Self {
            session: core.sessions.levels(),
            peers: core.peers.levels(),
            gossip: core.gossip.levels(),
            requests: core.requests.levels(),
            substream: core.substreams.levels(),
            succession: core.successions.levels(),
            trust: core.trust.levels(),
            trace: core.traces.levels(),
            relay: core.relays.levels(),
            dht: core.dht.levels(),
            node: NodeLevels { checks: core.pending.level() },
            store: core.persistence.levels(),
        }
    }
}
