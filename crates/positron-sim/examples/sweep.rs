//! Plays many seeds of one story (or of `storm`, which is another story with each seed), on all
//! cores, and stops at the first that breaks a promise.
//!
//! ```text
//! cargo run --release -p positron-sim --example sweep -- --seeds 100 --nodes 9 --scenario turnover
//! ```

use std::{
    process::ExitCode,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use positron_sim::{Report, Scenario, run, stories};

struct Options {
    seeds: u64,
    first: u64,
    nodes: usize,
    scenarios: Vec<String>,
}

fn options() -> Result<Options, String> {
    let names = stories::NAMES.iter().chain(&["storm"]).map(|&name| name.to_owned());
    let mut options = Options { seeds: 100, first: 0, nodes: 10, scenarios: names.collect() };
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        let value = args.next().ok_or(format!("{flag} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|e| format!("{flag} {value}: {e}"));
        match flag.as_str() {
            "--seeds" => options.seeds = number()?,
            "--first" => options.first = number()?,
            "--nodes" => options.nodes = value.parse().map_err(|e| format!("{value}: {e}"))?,
            "--scenario" => options.scenarios = vec![value],
            _ => return Err(format!("{flag}? --seeds N --first N --nodes N --scenario NAME")),
        }
    }
    Ok(options)
}

/// The worst of many runs.
#[derive(Default)]
struct Worst {
    /// Milliseconds, of broadcasts that nothing concerned.
    undisturbed: AtomicU64,
    /// Milliseconds, of all.
    overall: AtomicU64,
    redeliveries: AtomicU64,
}

impl Worst {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn note(&self, report: &Report) {
        self.undisturbed.fetch_max(report.latency_ms.max as u64, Ordering::Relaxed);
        self.overall.fetch_max(report.latency_overall_ms.max as u64, Ordering::Relaxed);
        self.redeliveries.fetch_max(report.redeliveries_across_restarts, Ordering::Relaxed);
    }
}

impl std::fmt::Display for Worst {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [undisturbed, overall, redeliveries] =
            [&self.undisturbed, &self.overall, &self.redeliveries]
                .map(|worst| worst.load(Ordering::Relaxed));
        write!(f, "at worst {undisturbed} ms undisturbed, {overall} ms overall, ")?;
        write!(f, "{redeliveries} handed over again after a crash")
    }
}

/// The first seed that breaks a promise, if one does.
fn sweep(
    story: &(dyn Fn(u64) -> Scenario + Sync),
    first: u64,
    seeds: u64,
    worst: &Worst,
) -> Option<Report> {
    let (next, stop) = (AtomicU64::new(first), AtomicBool::new(false));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds {
                return None;
            }
            let report = run(&story(seed), seed);
            worst.note(&report);
            if !report.is_ok() {
                stop.store(true, Ordering::Relaxed);
                return Some(report);
            }
        }
        None
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .filter_map(|w| w.join().expect("a worker panicked"))
            .min_by_key(|r| r.seed)
    })
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    for name in &options.scenarios {
        let scenario = stories::named(name, options.nodes);
        if scenario.is_none() && name != "storm" {
            eprintln!("no story is called {name}; there are {:?} and storm", stories::NAMES);
            return ExitCode::from(2);
        }
        let story = |seed| scenario.clone().unwrap_or_else(|| stories::storm(options.nodes, seed));
        let start = std::time::Instant::now();
        let worst = Worst::default();
        if let Some(broken) = sweep(&story, options.first, options.seeds, &worst) {
            eprintln!("{broken}");
            return ExitCode::from(8);
        }
        let (seeds, took) = (options.seeds, start.elapsed());
        println!("{name}: {seeds} seeds kept every promise in {took:.1?}; {worst}");
    }
    ExitCode::SUCCESS
}
