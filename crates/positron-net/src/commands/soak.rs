//! `positron-net soak`: mixed load and faults of every kind, for long.

use std::{sync::Arc, thread};

use clap::Args;

use crate::{
    commands::simulate::{conclude, publish},
    failure::{Exit, Failure},
    global::Global,
    soak::Worlds,
    terminal::Terminal,
};

/// Minutes of a made-up world when nobody says otherwise.
const USUAL_VIRTUAL_MINUTES: u64 = 60;

/// Plays hours of mixed load and faults of every kind in made-up worlds, one for each seed, and
/// checks in each that whatever was taken is delivered or said to be given up, that nobody is alone
/// without a reason, that memory keeps to its bounds, and that a seed makes the same twice.
///
/// A world of 50 nodes takes up to 2 GB of memory. A seed that breaks a promise is told with the
/// command that plays it again. Exit code 8 if there is one.
#[derive(Args, Debug)]
pub(crate) struct SoakOptions {
    /// How many nodes
    #[arg(long, short = 'n', default_value_t = 50, value_parser = clap::value_parser!(u16).range(2..))]
    nodes: u16,
    /// How many virtual minutes [default: 60]
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    minutes: Option<u64>,
    /// How many seeds
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    seeds: u64,
    /// The first of them
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    first: u64,
    /// Worlds at a time [default: one for each core]
    #[arg(long, value_name = "NUMBER")]
    jobs: Option<usize>,
}

impl SoakOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Arc<Terminal>, global: Global) -> Result<Exit, Failure> {
        let cores = || thread::available_parallelism().map_or(1, usize::from);
        let worlds = Worlds {
            nodes: usize::from(self.nodes),
            minutes: self.minutes.unwrap_or(USUAL_VIRTUAL_MINUTES),
            first: self.first,
            seeds: self.seeds,
            jobs: self.jobs.unwrap_or_else(cores).max(1),
        };
        let summary = worlds.play(terminal);
        publish(&summary, summary.fields(), None, terminal, global)?;
        let broken = |one: &crate::soak::Broken| {
            let first = one.what.first().map_or("", |what| what.lines().next().unwrap_or(""));
            format!("seed {}: {first}", one.seed)
        };
        let again = summary.broken.first().map(|one| one.again.clone()).unwrap_or_default();
        let broken: Vec<String> = summary.broken.iter().map(broken).collect();
        conclude(&broken, again)?;
        Ok(Exit::Ok)
    }
}
