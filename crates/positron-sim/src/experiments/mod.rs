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
mod experiment;
mod figure;
mod ledger;
mod liars;
mod mass_failure;
mod partitions;
mod quiet;
mod reputation;

use positron_proto::time::Duration;

pub use churn::churn;
pub use eclipse::{ECLIPSE, EclipseExperiment, eclipse};
pub use experiment::{Findings, GossipExperiment};
pub use figure::{Figure, Target};
pub use ledger::{Ledger, Reach};
pub use liars::liars;
pub use mass_failure::mass_failure;
pub use partitions::partitions;
pub use quiet::quiet;
pub use reputation::{REPUTATION, ReputationExperiment, reputation};

/// What the experiments with gossip are called.
pub const NAMES: [&str; 5] = ["quiet", "mass-failure", "churn", "partitions", "liars"];

/// The experiment called `name` with `nodes` nodes, in its full length.
pub fn named(name: &str, nodes: usize) -> Option<GossipExperiment> {
    Some(match name {
        "quiet" => quiet(nodes),
        "mass-failure" => mass_failure(nodes),
        "churn" => churn(nodes, Duration::from_secs(3_600)),
        "partitions" => partitions(nodes, 20),
        "liars" => liars(nodes),
        _ => return None,
    })
}
