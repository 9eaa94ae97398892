//! A made-up world from a seed that runs the shipped node on virtual time.
//!
//! A [`World`] runs [`positron_proto::node::NodeCore`], the same machine that the driver of a real
//! node runs, many times, and is its operating system, its network and its clock: a minute of a
//! thousand nodes passes in seconds, and passes again, to the last bit, from the same seed.
//!
//! What there is, and its laws ([`Physics`]):
//!
//! - *time*: virtual; each host has a wall clock that is wrong and drifts;
//! - *the network*: a [`positron_internet`], with datagrams and streams; a delay for each pair of
//!   hosts, jitter, loss, an optional rate;
//! - *homes*: nodes behind any of the ten NAT types ([`NatType`]);
//! - *partitions*: streams are held back until they heal, or are dead for good and nobody is told;
//! - *processes*: killed, frozen, stopped, or without power; started again with what their disk
//!   has;
//! - *disks*: batches are committed late; a crash loses what was not committed, a loss of power
//!   what was not on the platter;
//! - *signatures*: checked for real, once in the whole world; verdicts arrive late and out of
//!   order;
//! - *machines*: move to other addresses, or have the key of another one for a while;
//! - *others*: hosts that mean harm ([`Adversary`]).
//!
//! A [`Scenario`] is a story as data; [`stories`] has some. [`run`] plays it and gives a [`Report`]
//! that says whether all promises ([`Check`]) were kept; [`experiments`] measure how well. The
//! [`repertoire`] knows the names of both.
//!
//! ```
//! use positron_sim::{Fault, Scenario, Selector, Workload, run};
//! use positron_proto::time::Duration;
//!
//! let second = Duration::from_secs(1);
//! let story = Scenario::quiet("three nodes, links reset", 3, 20 * second)
//!     .fault(5 * second, Fault::Reset { who: Selector::All, part: 1.0 })
//!     .say(5 * second, Workload::Broadcast { from: Some(2), bytes: 100 });
//! let report = run(&story, 7);
//! report.expect_ok();
//! assert_eq!((report.deliveries, report.duplicate_deliveries), (2, 0));
//! assert_eq!(report.run_hash, run(&story, 7).run_hash);
//! ```

mod address_block;
mod adversary;
mod agenda;
pub mod bottleneck;
mod cast;
mod check;
mod clock;
pub mod dht;
mod dice;
mod disk;
mod environment;
mod event;
pub mod experiments;
mod host;
#[cfg(test)]
mod host_tests;
mod hosts;
mod machine;
pub mod packets;
mod physics;
mod published;
mod questions;
mod reader_writer;
pub mod repertoire;
mod report;
mod run_hash;
mod scenario;
mod script;
mod selector;
mod soak;
mod stack;
mod stage;
pub mod stories;
mod storm;
mod title;
mod trace;
mod verdicts;
mod way;
mod witness;
mod world;

pub use address_block::AddressBlock;
pub use adversary::{Adversary, Attack, Deceit, Turn};
pub use physics::{Physics, Range};
pub use questions::Question;
pub use report::{Directs, Dissemination, Hops, Latency, Progress, Report, StreamTally, Violation};
pub use scenario::{
    BootstrapBy, Check, Cut, Death, Fault, Listen, NatType, Scenario, Workload, default_config,
};
pub use selector::Selector;
pub use way::WayPoint;
pub use witness::{Seen, Witness};
pub use world::{World, run, run_watched, run_with};
