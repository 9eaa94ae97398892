//! `positron-net soak`: mixed load and faults of every kind, for long.

use std::{
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use clap::Args;

use crate::{
    commands::{
        on_runtime,
        simulate::{any_seed, conclude, positive, publish},
        until_signal,
    },
    failure::{Exit, Failure},
    fd_limit,
    global::Global,
    logging::{Log, LogOptions},
    settings::log_level,
    signals::Signals,
    simulate::LocalNetwork,
    soak::{Course, Real, Worlds},
    terminal::Terminal,
};

/// Minutes when nobody says otherwise: of a made-up world, and of a clock.
const USUAL_MINUTES: (f64, f64) = (60.0, 10.0);
/// Seeds when nobody says otherwise.
const USUAL_SEEDS: u64 = 1_000;
/// Nodes when nobody says otherwise.
const USUAL_NODES: u16 = 50;

/// Plays hours of mixed load and faults of every kind in made-up worlds, one for each seed, and
/// checks in each that whatever was taken is delivered or said to be given up, that nobody is alone
/// without a reason, that memory keeps to its bounds, and that a seed makes the same twice. A world
/// of 50 nodes takes up to 2 GB of memory. A seed that breaks a promise is told with the command
/// that plays it again.
///
/// With --real the nodes are processes on this machine, which are killed, stopped, held up, moved
/// to other ports and doubled while messages flow, and the same is checked from outside. As root
/// the disk of one of them is full now and then.
///
/// Exit code 8 if a promise is broken.
#[derive(Args, Debug)]
pub(crate) struct SoakOptions {
    /// How many nodes
    #[arg(
        long,
        short = 'n',
        default_value_t = USUAL_NODES,
        value_parser = clap::value_parser!(u16).range(2..=1_000)
    )]
    nodes: u16,
    /// How long: virtual minutes for each seed [default: 60], or with --real minutes [default: 10]
    #[arg(long, value_name = "MINUTES", value_parser = positive)]
    minutes: Option<f64>,
    /// How many seeds [default: 1000]
    #[arg(long, value_name = "NUMBER", conflicts_with = "real")]
    seeds: Option<u64>,
    /// The first of the seeds [default: 0, with --real another one each time]
    #[arg(long, value_name = "SEED")]
    first: Option<u64>,
    /// Worlds at a time [default: one for each core]
    #[arg(long, value_name = "NUMBER", conflicts_with = "real")]
    jobs: Option<usize>,
    /// On real sockets, in processes
    #[arg(long)]
    real: bool,
    /// What is mounted here ends with this process
    #[arg(long, hide = true, requires = "real", conflicts_with_all = ["seeds", "jobs"])]
    mounts: bool,
}

impl SoakOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Arc<Terminal>, global: Global) -> Result<Exit, Failure> {
        if self.real { self.run_real(terminal, global) } else { self.run_worlds(terminal, global) }
    }

    fn length(&self) -> Duration {
        let (of_world, of_clock) = USUAL_MINUTES;
        let usual = if self.real { of_clock } else { of_world };
        Duration::from_secs_f64(60.0 * self.minutes.unwrap_or(usual))
    }

    fn run_worlds(&self, terminal: &Arc<Terminal>, global: Global) -> Result<Exit, Failure> {
        let cores = || thread::available_parallelism().map_or(1, usize::from);
        let worlds = Worlds {
            nodes: usize::from(self.nodes),
            length: self.length(),
            first: self.first.unwrap_or(0),
            seeds: self.seeds.unwrap_or(USUAL_SEEDS),
            jobs: self.jobs.unwrap_or_else(cores).max(1),
        };
        let course = Arc::new(Course::new(worlds));
        let (out, playing) = (Arc::clone(terminal), Arc::clone(&course));
        let ended = until_signal(terminal, global, move || {
            playing.play(&out);
            Ok(())
        })?;
        let summary = course.end(terminal);
        publish(&summary, summary.fields(), None, terminal, global)?;
        let again = summary.broken.first().map(|one| one.again.clone()).unwrap_or_default();
        let broken: Vec<String> = summary.broken.iter().map(ToString::to_string).collect();
        conclude(&broken, again)?;
        Ok(ended.break_value().unwrap_or(Exit::Ok))
    }

    fn run_real(&self, terminal: &Arc<Terminal>, global: Global) -> Result<Exit, Failure> {
        if !self.mounts && can_unshare() {
            let program = std::env::current_exe().map_err(|error| {
                Failure::new(Exit::Internal, "this program cannot be found").because(error)
            })?;
            let mut inside = Command::new("unshare");
            inside.arg("--mount").arg(program).args(std::env::args_os().skip(1)).arg("--mounts");
            // Returns only if it did not become that.
            let error = inside.exec();
            return Err(Failure::new(Exit::Internal, "unshare does not start").because(error));
        }
        if !self.mounts {
            terminal.message("no disk will be full: this user cannot mount one");
        }
        let seed = self.first.unwrap_or_else(any_seed);
        fd_limit::raise();
        let real = Real {
            nodes: usize::from(self.nodes),
            length: self.length(),
            seed,
            mounts: self.mounts,
        };
        let log = Log::start(terminal, LogOptions::text(log_level("WARNING", global)))?;
        let (summary, stopped) = on_runtime(async {
            let signals = Signals::listen(&log)?;
            let folder = LocalNetwork::folder()?;
            signals.remove_when_forced(folder.path().to_owned());
            let is_over = || signals.seen().is_some();
            let summary =
                tokio::task::block_in_place(|| real.play(terminal, folder.path(), is_over))?;
            Ok((summary, signals.seen()))
        })?;
        publish(&summary, summary.fields(), None, terminal, global)?;
        conclude(&summary.broken, format!("the same load and faults: --first {seed}"))?;
        Ok(stopped.unwrap_or(Exit::Ok))
    }
}

/// Whether this user can have mounts that end with a process.
fn can_unshare() -> bool {
    let mut can = Command::new("unshare");
    can.args(["--mount", "true"]).stdout(Stdio::null()).stderr(Stdio::null());
    can.status().is_ok_and(|status| status.success())
}
