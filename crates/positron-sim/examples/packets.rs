//! Plays many seeds of [`positron_sim::packets`], on all cores, and tells which of them break a
//! promise; or one seed, with all that happens in it.
//!
//! ```text
//! cargo run --release -p positron-sim --example packets -- --seeds 100000 --first 0
//! cargo run --release -p positron-sim --example packets -- --seed 7 --trace
//! ```

use std::{
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use positron_sim::packets::{PacketReport, PacketViolation, play_traced, run, storm};

struct Options {
    seeds: u64,
    first: u64,
    /// Seeds that fail before it stops.
    failures: usize,
    threads: usize,
    seed: Option<u64>,
    trace: bool,
}

const USAGE: &str =
    "--seeds N --first N --failures N --threads N, or --seed N, with --trace all that happens";

fn options() -> Result<Options, String> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut options =
        Options { seeds: 1_000, first: 0, failures: 10, threads, seed: None, trace: false };
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        if flag == "--trace" {
            options.trace = true;
            continue;
        }
        let value = args.next().ok_or(format!("{flag} needs a value; {USAGE}"))?;
        let number = value.parse::<u64>().map_err(|e| format!("{flag} {value}: {e}"))?;
        let count = usize::try_from(number).unwrap_or(usize::MAX);
        match flag.as_str() {
            "--seeds" => options.seeds = number,
            "--first" => options.first = number,
            "--failures" => options.failures = count,
            "--threads" => options.threads = count.max(1),
            "--seed" => options.seed = Some(number),
            _ => return Err(format!("{flag}? {USAGE}")),
        }
    }
    Ok(options)
}

/// The sums of many runs.
#[derive(Default)]
struct Sums {
    runs: u64,
    connections: u64,
    datagrams: u64,
    said: u64,
    steps: u64,
    attacks: u64,
    unpaired: u64,
    virtual_s: f64,
    slowest: Duration,
    slowest_seed: u64,
    failed: Vec<PacketReport>,
}

impl Sums {
    fn add(&mut self, report: PacketReport, took: Duration) {
        self.runs += 1;
        self.connections += report.connections;
        self.datagrams += report.datagrams;
        self.said += report.said;
        self.steps += report.steps;
        self.attacks += report.attacks;
        self.unpaired += report.unpaired;
        self.virtual_s += report.duration_s;
        if took > self.slowest {
            (self.slowest, self.slowest_seed) = (took, report.seed);
        }
        if !report.is_ok() {
            self.failed.push(report);
        }
    }
}

impl std::fmt::Display for Sums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { runs, connections, datagrams, said, steps, attacks, unpaired, .. } = self;
        write!(f, "{runs} seeds, {connections} halves of connections ({unpaired} unpaired), ")?;
        write!(f, "{datagrams} datagrams, {attacks} attacks, {} MB said, ", said / 1_000_000)?;
        write!(f, "{steps} steps, {:.0} virtual s; ", self.virtual_s)?;
        write!(f, "slowest {:.0?} (seed {}); ", self.slowest, self.slowest_seed)?;
        write!(f, "{} failed", self.failed.len())
    }
}

fn sweep(options: &Options) -> Sums {
    let (next, sums) = (AtomicU64::new(options.first), Mutex::new(Sums::default()));
    let began = Instant::now();
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= options.first.saturating_add(options.seeds) {
                return;
            }
            let started = Instant::now();
            let report = run(seed);
            let mut sums = sums.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(broken) = &report.broken {
                let PacketViolation { promise, at_s, what, .. } = broken;
                let end = broken.end.map(|end| format!(", end {end}")).unwrap_or_default();
                eprintln!("seed {seed}: {at_s:.6} s{end}, {promise:?}: {what}");
            }
            sums.add(report, started.elapsed());
            if sums.failed.len() >= options.failures {
                return;
            }
            if sums.runs % 1_000 == 0 {
                eprintln!("{:.1?}: {sums}", began.elapsed());
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..options.threads {
            scope.spawn(work);
        }
    });
    sums.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn one(seed: u64, trace: bool) -> bool {
    let (report, lines) = play_traced(&storm(seed), seed);
    if trace {
        println!("{:#?}", storm(seed));
        lines.iter().for_each(|line| println!("{line}"));
    }
    println!("{}", serde_json::to_string_pretty(&report.counters).expect("plain data"));
    let broken = report.broken.clone().map(|mut broken| {
        if trace {
            broken.history.clear();
        }
        broken
    });
    println!("{}", PacketReport { broken, ..report.clone() });
    report.is_ok()
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    if let Some(seed) = options.seed {
        return if one(seed, options.trace) { ExitCode::SUCCESS } else { ExitCode::from(8) };
    }
    let began = Instant::now();
    let sums = sweep(&options);
    println!("{sums} in {:.1?}", began.elapsed());
    let mut failed: Vec<(u64, String)> = Vec::new();
    for report in &sums.failed {
        let promise = report.broken.as_ref().map(|broken| format!("{:?}", broken.promise));
        failed.push((report.seed, promise.unwrap_or_default()));
    }
    failed.sort();
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("failed: {failed:?}");
    ExitCode::from(8)
}
