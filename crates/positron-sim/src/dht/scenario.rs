//! What happens to many hash tables.

use positron_proto::time::Duration;

/// A story of many hash tables.
#[derive(Clone, Debug)]
pub struct DhtScenario {
    /// For people.
    pub name: &'static str,
    /// Nodes that serve the table.
    pub nodes: usize,
    /// Operations of each kind that are measured.
    pub operations: usize,
    /// Round trips between two nodes, evenly spread.
    pub rtt: (Duration, Duration),
    /// Parts of datagrams that are lost.
    pub loss: f64,
    /// Part of the nodes that freeze before it is measured: they take everything and say nothing.
    pub frozen: f64,
    /// Part of the nodes that crash at once before it is measured.
    pub crashed: f64,
    /// Part of the nodes that mean harm, from the start.
    pub hostile: f64,
    /// What they do.
    pub hostility: Hostility,
    /// How long records stand before they are read.
    pub age: Duration,
    /// Part of the nodes that go, and are replaced by others, in an hour.
    pub churn: f64,
}

/// What hostile nodes do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hostility {
    /// They name only one another, say that they keep everything, and keep nothing.
    Collude,
    /// They are honest until a record is replaced, and show its first state for ever.
    Replay,
}

impl DhtScenario {
    /// So many nodes, all well.
    pub const fn quiet(name: &'static str, nodes: usize) -> Self {
        Self {
            name,
            nodes,
            operations: 100,
            rtt: (Duration::from_millis(20), Duration::from_millis(100)),
            loss: 0.0,
            frozen: 0.0,
            crashed: 0.0,
            hostile: 0.0,
            hostility: Hostility::Collude,
            age: Duration::ZERO,
            churn: 0.0,
        }
    }
}
