//! Many seeds of the long story, side by side.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use positron_sim::{Report, run, run_with, stories};
use serde::Serialize;

use crate::{
    simulate::lock,
    table::{Fields, bytes, count, duration},
    terminal::Terminal,
};

/// One seed in so many is played twice: what it makes has to be the same.
const TWICE: u64 = 10;
/// How often the progress is drawn.
const REDRAW: Duration = Duration::from_millis(500);

/// Which worlds to play.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Worlds {
    /// Nodes of each.
    pub nodes: usize,
    /// How long each of them lasts.
    pub length: Duration,
    /// The first seed.
    pub first: u64,
    /// How many seeds.
    pub seeds: u64,
    /// How many at a time.
    pub jobs: usize,
}

/// What came of all seeds.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Summary {
    /// Nodes of each world.
    pub nodes: usize,
    /// Virtual minutes of each world.
    pub minutes: f64,
    /// Seeds that were played to their end.
    pub seeds: u64,
    /// Of these, seeds that were played twice.
    pub twice: u64,
    /// Broadcasts that were taken.
    pub broadcasts: u64,
    /// Times that one was handed over.
    pub deliveries: u64,
    /// Times that no retention window kept one any more when its receiver was back.
    pub excused_deliveries: u64,
    /// Direct messages that were taken.
    pub directs: u64,
    /// Of these, those that were given up, with an answer.
    pub directs_given_up: u64,
    /// Bytes on links.
    pub wire_bytes: u64,
    /// Real seconds of a thread for each seed, on average.
    pub seconds_a_seed: f64,
    /// Real seconds.
    pub wall_s: f64,
    /// What went wrong, and how to see it again.
    pub broken: Vec<Broken>,
}

/// A seed that broke a promise.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Broken {
    /// Which.
    pub seed: u64,
    /// What happened.
    pub what: Vec<String>,
    /// The command that plays it again.
    pub again: String,
}

/// All of them, under way.
#[derive(Debug)]
pub(crate) struct Course {
    worlds: Worlds,
    begin: Instant,
    summary: Mutex<Summary>,
    /// How many seeds were begun.
    begun: AtomicU64,
    virtual_seconds: AtomicU64,
    drawn: Mutex<Instant>,
}

impl Course {
    /// Nothing was played yet.
    pub(crate) fn new(worlds: Worlds) -> Self {
        let begin = Instant::now();
        let summary =
            Summary { nodes: worlds.nodes, minutes: worlds.minutes(), ..Summary::default() };
        Self {
            worlds,
            begin,
            summary: Mutex::new(summary),
            begun: AtomicU64::new(0),
            virtual_seconds: AtomicU64::new(0),
            drawn: Mutex::new(begin),
        }
    }

    /// Plays all of them, and tells of each when it is over.
    pub(crate) fn play(&self, terminal: &Terminal) {
        thread::scope(|scope| {
            for _ in 1..self.worlds.jobs {
                scope.spawn(|| self.work(terminal));
            }
            self.work(terminal);
        });
    }

    fn work(&self, terminal: &Terminal) {
        loop {
            let nth = self.begun.fetch_add(1, Ordering::Relaxed);
            if nth >= self.worlds.seeds {
                return;
            }
            let started = Instant::now();
            let seed = self.worlds.first.saturating_add(nth);
            let played = self.worlds.play_one(seed, || self.tell(terminal));
            let line = lock(&self.summary).add(&played, started.elapsed());
            terminal.message(line);
        }
    }

    /// Another virtual second of a world is over.
    fn tell(&self, terminal: &Terminal) {
        let second = self.virtual_seconds.fetch_add(1, Ordering::Relaxed) + 1;
        let mut drawn = lock(&self.drawn);
        if drawn.elapsed() >= REDRAW {
            *drawn = Instant::now();
            let line = self.worlds.line(second, self.begin.elapsed());
            terminal.draw([line.as_str()]);
        }
    }

    /// What came of the seeds that are over. No other is begun.
    pub(crate) fn end(&self, terminal: &Terminal) -> Summary {
        self.begun.store(self.worlds.seeds, Ordering::Relaxed);
        terminal.clear();
        let mut summary = std::mem::take(&mut *lock(&self.summary));
        summary.wall_s = self.begin.elapsed().as_secs_f64();
        summary.broken.sort_by_key(|broken| broken.seed);
        summary
    }
}

impl Worlds {
    fn minutes(self) -> f64 {
        self.length.as_secs_f64() / 60.0
    }

    fn play_one(self, seed: u64, tell: impl Fn()) -> Played {
        let story = stories::soak(self.nodes, self.length, seed);
        let twice = seed.is_multiple_of(TWICE);
        // A panic has told what happened by the time it arrives here.
        let played = catch_unwind(AssertUnwindSafe(|| {
            let report = run_with(&story, seed, |_| tell());
            let again = twice.then(|| run(&story, seed).run_hash);
            (report, again)
        }));
        let (report, mut what) = match played {
            Ok((report, again)) => {
                let mut what: Vec<String> =
                    report.violations.iter().map(ToString::to_string).collect();
                if let Some(hash) = again.filter(|hash| *hash != report.run_hash) {
                    what.push(format!("two runs: {} and {hash}", report.run_hash));
                }
                (Some(report), what)
            }
            Err(_) => (None, vec!["panicked".to_owned()]),
        };
        what.dedup();
        let (nodes, minutes) = (self.nodes, self.minutes());
        let again = format!(
            "positron-net soak --nodes {nodes} --minutes {minutes} --first {seed} --seeds 1"
        );
        Played { twice, report, broken: Broken { seed, what, again } }
    }

    /// How far it is, `seconds` of virtual time after the beginning.
    fn line(self, seconds: u64, elapsed: Duration) -> String {
        let all = self.seeds.saturating_mul(self.length.as_secs()).max(1);
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let part = seconds.min(all) as f64 / all as f64;
        let left = elapsed.as_secs_f64() * (1.0 - part) / part;
        let left = Duration::try_from_secs_f64(left).unwrap_or_default();
        format!(
            "{:.1} % of {} in {}; {} to go",
            100.0 * part,
            count(self.seeds, "seed"),
            duration(elapsed),
            duration(left)
        )
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.what.first().and_then(|what| what.lines().next()).unwrap_or_default();
        write!(f, "seed {}: {first}", self.seed)
    }
}

/// One seed, played.
struct Played {
    twice: bool,
    report: Option<Report>,
    broken: Broken,
}

impl Summary {
    /// Adds a seed, and says what came of it.
    fn add(&mut self, played: &Played, took: Duration) -> String {
        let before = f64::from(u32::try_from(self.seeds).unwrap_or(u32::MAX));
        self.seconds_a_seed =
            before.mul_add(self.seconds_a_seed, took.as_secs_f64()) / (before + 1.0);
        self.seeds += 1;
        self.twice += u64::from(played.twice);
        let Played { report, broken, .. } = played;
        let mut line = format!("seed {}: ", broken.seed);
        if let Some(report) = report {
            self.broadcasts += report.broadcasts as u64;
            self.deliveries += report.deliveries;
            self.excused_deliveries += report.excused_deliveries;
            self.directs += report.directs.sent;
            self.directs_given_up += report.directs.given_up;
            self.wire_bytes += report.wire_bytes;
            let said = count(report.broadcasts, "broadcast");
            line += &format!("{said}, {} deliveries, {}", report.deliveries, report.run_hash);
        }
        line += &format!(", in {}", duration(took));
        if !broken.what.is_empty() {
            for what in &broken.what {
                line += &format!("\n  BROKEN: {}", what.lines().next().unwrap_or_default());
            }
            line += &format!("\n  again: {}", broken.again);
            self.broken.push(broken.clone());
        }
        line
    }

    /// For people.
    pub(crate) fn fields(&self) -> Fields {
        let mut fields = Fields::default();
        fields
            .line(
                "played",
                format_args!(
                    "{} ({} twice) of {} for {} virtual minutes, in {:.0} s",
                    count(self.seeds, "seed"),
                    self.twice,
                    count(self.nodes, "node"),
                    self.minutes,
                    self.wall_s
                ),
            )
            .line("a seed takes", format_args!("{:.1} s of a thread", self.seconds_a_seed))
            .line(
                "broadcasts",
                format_args!(
                    "{} taken, {} deliveries, {} excused",
                    self.broadcasts, self.deliveries, self.excused_deliveries
                ),
            )
            .line(
                "direct messages",
                format_args!("{} taken, {} given up", self.directs, self.directs_given_up),
            )
            .line("on the wire", bytes(self.wire_bytes))
            .line("seeds that broke a promise", self.broken.len());
        for broken in &self.broken {
            fields.line("again", &broken.again);
        }
        fields
    }
}
