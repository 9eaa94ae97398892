//! Experiments: stories, what is promised of them, and what was measured. All are of gossip but
//! [`eclipse`], which is of the address book, and [`reputation`], which is of trust.
//!
//! ```
//! use positron_sim::experiments;
//!
//! let quiet = experiments::named("quiet", 3).unwrap();
//! let found = quiet.play(7, |_progress| {});
//! assert!(found.figures.iter().any(|figure| figure.what == "extra copies a delivery"));
//! assert!(experiments::named("quite", 3).is_none());
//! ```

mod churn;
mod eclipse;
mod equivocation;
mod experiment;
mod figure;
mod future;
mod ledger;
mod liars;
mod mass_failure;
mod partitions;
mod quiet;
mod reputation;
mod sybils;
mod turned;

use positron_proto::time::Duration;

pub use churn::churn;
pub use eclipse::{ECLIPSE, EclipseExperiment, eclipse};
pub use equivocation::equivocation;
pub use experiment::{Findings, GossipExperiment};
pub use figure::{Figure, Target};
pub use future::future;
pub use ledger::{Ledger, Reach};
pub use liars::liars;
pub use mass_failure::mass_failure;
pub use partitions::partitions;
pub use quiet::quiet;
pub use reputation::{REPUTATION, ReputationExperiment, reputation};
pub use turned::turned;

use crate::title::{Title, names};

/// What can be played, with whole nodes. `simulate` and the command of the experiments know what
/// stands here.
pub(crate) const TITLES: [Title<GossipExperiment>; 13] = [
    Title { name: "quiet", about: "nothing goes wrong, and many speak", of: quiet },
    Title {
        name: "mass-failure",
        about: "80 % of all nodes lose their power at one moment",
        of: mass_failure,
    },
    Title {
        name: "churn",
        about: "a tenth leaves and as many come in each minute of an hour",
        of: |nodes| churn(nodes, Duration::from_secs(3_600)),
    },
    Title {
        name: "partitions",
        about: "the network is parted in four ways, twenty times",
        of: |nodes| partitions(nodes, 20),
    },
    Title {
        name: "liars",
        about: "three in ten of all peers announce what they never send",
        of: liars,
    },
    Title {
        name: "future",
        about: "three in ten of all peers claim numbers, sets and times that do not exist",
        of: future,
    },
    Title {
        name: "equivocation",
        about: "somebody tells each half of the network something else under one number",
        of: equivocation,
    },
    Title {
        name: "turned",
        about: "three in ten of all nodes drop, delay, forge, equivocate or flood after a minute",
        of: |nodes| turned(nodes, 30),
    },
    Title {
        name: "network-eclipse",
        about: "four Sybils for each node come, and pass on nothing",
        of: sybils::network_eclipse,
    },
    Title {
        name: "degradation",
        about: "two Sybils for each node come, and pass on every second message",
        of: sybils::degradation,
    },
    Title {
        name: "censor",
        about: "two Sybils for each node come, and pass on nothing that one node says",
        of: sybils::censor,
    },
    Title {
        name: "covert-flash",
        about: "four Sybils for each node behave, until one moment",
        of: sybils::covert_flash,
    },
    Title {
        name: "cold-boot",
        about: "four Sybils for each node are there first, and pass on nothing",
        of: sybils::cold_boot,
    },
];

/// What the experiments with gossip are called.
pub const NAMES: [&str; TITLES.len()] = names(&TITLES);

/// Those of them in which Sybils outnumber honest nodes, up to four to one.
pub const SIEGES: [&str; 5] =
    ["network-eclipse", "degradation", "censor", "covert-flash", "cold-boot"];

/// Nodes that every experiment needs: a fifth of them is left after the mass failure, and a network
/// has two at least.
pub const FEWEST_NODES: usize = 10;

/// Nodes with which every experiment can be watched: it shows what it is about, and is over in
/// minutes.
pub const USUAL_NODES: usize = 20;

/// The experiment called `name` with `nodes` nodes, in its full length.
pub fn named(name: &str, nodes: usize) -> Option<GossipExperiment> {
    TITLES.iter().find(|title| title.name == name).map(|title| (title.of)(nodes))
}
