//! What happens to many hash tables.

use positron_proto::time::Duration;

/// A story of many hash tables.
#[derive(Clone, Debug)]
pub struct DhtScenario {
    /// For people, and by which it is found.
    pub name: &'static str,
    /// Nodes that take part, hostile ones included.
    pub nodes: usize,
    /// Operations of each kind that are measured; records that are deleted; in a flood, records a
    /// second.
    pub operations: usize,
    /// Round trips between two nodes, evenly spread.
    pub rtt: (Duration, Duration),
    /// Part of the datagrams that are lost.
    pub loss: f64,
    /// How long everybody is there before the story begins.
    pub settles: Duration,
    /// How long records stand before they are read.
    pub age: Duration,
    /// How long they live if nobody renews them.
    pub ttl: Duration,
    /// Part of the nodes that go, and are replaced by others, in an hour.
    pub churn: f64,
    /// Part of the nodes that crash at once before it is measured.
    pub crashed: f64,
    /// Part of the nodes that freeze before it is measured: they take everything and say nothing.
    pub frozen: f64,
    /// Part of the nodes that answer a second or two late, from the start.
    pub slow: f64,
    /// Part of the nodes that nobody reaches: they ask, and serve nobody.
    pub clients: f64,
    /// Part of the nodes that mean harm, from the start.
    pub hostile: f64,
    /// What they do.
    pub hostility: Hostility,
    /// What is done and measured.
    pub plot: DhtPlot,
}

/// What hostile nodes do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hostility {
    /// They name only one another, say that they keep everything, keep nothing, and answer with
    /// forgeries of what they were given.
    Collude,
    /// They show the first state of each record for ever, and are honest else.
    Replay,
}

/// What is done and measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DhtPlot {
    /// Nodes are looked for, records are stored and read.
    Measure,
    /// All come within half a minute; a tenth is there when records are stored, which are read when
    /// all have been there for as long as records are to stand.
    Growth,
    /// The network is cut into two halves; records are stored in both, and read when it has healed.
    Partition,
    /// For each of ten keys ids are ground in some networks, at the place of each that is nearest
    /// to the key. They collude about that key, and are honest else.
    Eclipse {
        /// Ids for each key.
        ids: usize,
        /// IPv4 /24 networks for each key, each somewhere else.
        networks: usize,
        /// Of so many, those whose places are nearest.
        on_offer: usize,
    },
    /// Records are deleted, and everybody restarts; three former holders of each bring old copies
    /// back, to readers and to holders, for as long as records are to stand.
    Deletion,
    /// One peer brings one node ever new records for an hour, while others store what is near that
    /// node too.
    Flood,
}

impl DhtScenario {
    /// The names of all stories.
    pub const NAMES: [&'static str; 17] = [
        "quiet",
        "growth",
        "frozen",
        "crash",
        "churn",
        "slow",
        "loss",
        "clients",
        "partition",
        "hostile-20",
        "hostile-30",
        "hostile-50",
        "eclipse-4",
        "eclipse-64",
        "eclipse-64-chosen",
        "deletion",
        "flood",
    ];

    /// The story of this name, of so many nodes.
    pub fn named(name: &str, nodes: usize) -> Option<Self> {
        let name = Self::NAMES.into_iter().find(|known| *known == name)?;
        let quiet = Self::quiet(name, nodes);
        let hostile = |part| Self { hostile: part, ..quiet.clone() };
        let plot = |plot| Self { plot, ..quiet.clone() };
        Some(match name {
            "frozen" => Self { frozen: 0.3, ..quiet },
            "crash" => Self { crashed: 0.1, ..quiet },
            "churn" => {
                // Many publishers are gone before their records are read.
                let (age, ttl) = (Duration::from_secs(3600), Duration::from_secs(7200));
                Self { churn: 0.2, crashed: 0.1, age, ttl, ..quiet }
            }
            "slow" => Self { slow: 0.2, ..quiet },
            "loss" => Self { loss: 0.05, ..quiet },
            "clients" => Self { clients: 0.5, ..quiet },
            "growth" => {
                let age = Duration::from_secs(30);
                Self { operations: 20, age, ..plot(DhtPlot::Growth) }
            }
            "partition" => plot(DhtPlot::Partition),
            "hostile-20" => hostile(0.2),
            "hostile-30" => hostile(0.3),
            "hostile-50" => hostile(0.5),
            "eclipse-4" => plot(DhtPlot::Eclipse { ids: 40, networks: 4, on_offer: 4096 }),
            "eclipse-64" => plot(DhtPlot::Eclipse { ids: 64, networks: 64, on_offer: 64 }),
            "eclipse-64-chosen" => plot(DhtPlot::Eclipse { ids: 64, networks: 64, on_offer: 4096 }),
            "deletion" => {
                let age = Duration::from_secs(24 * 3600);
                Self { operations: 20, age, ..plot(DhtPlot::Deletion) }
            }
            "flood" => Self { operations: 500, ..plot(DhtPlot::Flood) },
            _ => quiet,
        })
    }

    /// So many nodes, all well, for half an hour before it is measured.
    const fn quiet(name: &'static str, nodes: usize) -> Self {
        Self {
            name,
            nodes,
            operations: 1_000,
            rtt: (Duration::from_millis(20), Duration::from_millis(100)),
            loss: 0.0,
            settles: Duration::from_secs(1800),
            age: Duration::from_secs(60),
            ttl: Duration::from_secs(3600),
            churn: 0.0,
            crashed: 0.0,
            frozen: 0.0,
            slow: 0.0,
            clients: 0.0,
            hostile: 0.0,
            hostility: Hostility::Collude,
            plot: DhtPlot::Measure,
        }
    }
}
