//! `positron-net simulate`: a whole network on this machine.

use std::{
    fmt::Display,
    io::{IsTerminal as _, stdout},
    net::{Ipv4Addr, SocketAddr},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use clap::{
    Args,
    builder::{PossibleValue, PossibleValuesParser},
};
use positron_admin::Reel;
use positron_networking::TransportPolicy;
use positron_sim::{
    Report, Scenario,
    experiments::{FEWEST_NODES, USUAL_NODES},
    repertoire::{self, Piece},
};
use serde::Serialize;

use crate::{
    commands::{on_runtime, replay::show, until_signal},
    failure::{Exit, Failure},
    files::{Existing, Pending},
    global::Global,
    logging::{Log, LogOptions},
    recording::{MAX_RECORDED_NODES, Written},
    settings::log_level,
    signals::Signals,
    simulate::{
        LiveNetwork, Living, LocalNetwork, MAX_NODES, Nodes, Plan, Record, experiment, play,
        virtual_time,
    },
    terminal::{Terminal, sanitised},
};

/// Nodes when nobody says otherwise.
const USUAL_COUNT: usize = 5;
/// Broken promises that are told one by one.
const MAX_BROKEN: usize = 5;
/// Nodes of a made-up world, each of which takes a megabyte and a half (measured).
const MAX_VIRTUAL_NODES: usize = 100_000;
/// How long a made-up world lasts when nobody says otherwise.
const USUAL_VIRTUAL_TIME: Duration = Duration::from_secs(60);
/// Broadcasts a second when nobody says otherwise.
const USUAL_RATE: f64 = 10.0;
/// Broadcasts a second in a world that is looked at: few enough to follow each.
const LIVING_RATE: f64 = 1.0;
/// Seconds of traffic when nobody says otherwise, on a terminal and elsewhere.
const USUAL_SECONDS: (f64, f64) = (30.0, 10.0);

/// Runs a network of real nodes on this machine, sends messages through it, and checks that every
/// node gets every message once. Its data is temporary.
///
/// With --virtual the same nodes run in a made-up world of slow, lossy and cut links on virtual
/// time, many more of them and to the last bit as the seed wants it: 100 broadcasts in a minute
/// during which a third of the network is cut off for a while, or another --scenario: a story, of
/// which nothing may be lost, or an experiment, with a table of what was measured beside what is
/// promised and what others have published.
///
/// With --dashboard a page shows the network as it is, and nodes of it can be killed and started,
/// and the network partitioned and healed. On real sockets a partition is made of bans on both
/// sides, a killed node is shut down, and nothing can be made slow; a made-up world can be slow.
///
/// Exit code 8 if a promise is broken, or a figure of an experiment not met.
#[derive(Args, Debug)]
pub(crate) struct SimulateOptions {
    /// How many nodes [default: 5, and 20 of an experiment, which needs 10]
    #[arg(long, short = 'n', value_name = "NODES")]
    count: Option<usize>,
    /// Port of the first node; the others take those above [default: free ones]
    #[arg(long, short = 'p', value_name = "PORT", conflicts_with = "virtual_time")]
    base_port: Option<u16>,
    /// auto (UDP, and TCP where UDP is blocked), udp or tcp [default: auto]
    #[arg(long, value_name = "TRANSPORT", conflicts_with = "virtual_time")]
    transport: Option<TransportPolicy>,
    /// How long messages flow [default: 30 on a terminal, otherwise 10]
    #[arg(long, value_name = "SECONDS", value_parser = positive)]
    duration: Option<f64>,
    /// Broadcasts in all [default: as many as the duration allows]
    #[arg(long, value_name = "NUMBER")]
    messages: Option<u64>,
    /// Broadcasts a second, in all [default: 10]
    #[arg(long, value_name = "PER_SECOND", value_parser = positive)]
    rate: Option<f64>,
    /// Decides who sends what [default: another one each time]
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Also write the JSON document there
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Also write down who was up, who was linked and how each broadcast spread, to be looked at
    /// with `replay`
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// In a made-up world, on virtual time
    #[arg(long = "virtual")]
    virtual_time: bool,
    /// Show the network in a browser while it goes on by the clock, and have things done to it,
    /// until Ctrl-C
    #[arg(long, conflicts_with_all = ["duration", "messages", "report"])]
    dashboard: bool,
    /// Where the page is to be, on this machine [default: a free port]
    // What conflicts with a flag that is required would let it be missing.
    #[arg(
        long,
        value_name = "ADDRESS",
        requires = "dashboard",
        conflicts_with_all = ["duration", "messages", "report"]
    )]
    api: Option<SocketAddr>,
    /// What happens in the made-up world [default: default]
    #[arg(
        long,
        value_name = "NAME",
        requires = "virtual_time",
        conflicts_with_all = ["duration", "messages", "rate", "base_port", "transport"],
        value_parser = scenarios()
    )]
    scenario: Option<String>,
}

impl SimulateOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Arc<Terminal>, global: Global) -> Result<Exit, Failure> {
        self.check_count()?;
        if self.dashboard {
            return self.run_dashboard(terminal, global);
        }
        let report_file = self.report.as_deref().map(Pending::new).transpose()?;
        if self.virtual_time {
            return self.run_virtual(terminal, global, report_file);
        }
        let plan = self.plan();
        let record = self.record(&plan)?;
        let log = Log::start(terminal, LogOptions::text(log_level("WARNING", global)))?;
        let (report, stopped) = on_runtime(async {
            let mut signals = Signals::listen(&log)?;
            let record = record.as_ref();
            let report = play(self.nodes(), &plan, terminal, &mut signals, record).await?;
            Ok((report, signals.seen()))
        })?;
        let recorded = record.map_or(Ok(None), |record| record.finish());
        publish(&report, report.fields(), report_file, terminal, global)?;
        tell_of_record(self.record.as_deref(), recorded?, terminal);
        conclude(&report.broken(), report.advice())?;
        Ok(stopped.unwrap_or(Exit::Ok))
    }

    /// How many nodes, as it was said or as is usual.
    fn count(&self) -> usize {
        let usual = if self.is_experiment() { USUAL_NODES } else { USUAL_COUNT };
        self.count.unwrap_or(usual)
    }

    fn is_experiment(&self) -> bool {
        self.scenario.as_deref().is_some_and(repertoire::is_experiment)
    }

    fn check_count(&self) -> Result<(), Failure> {
        let most = if self.virtual_time { MAX_VIRTUAL_NODES } else { MAX_NODES };
        let least = if self.is_experiment() { FEWEST_NODES } else { 1 };
        let count = self.count();
        if (least..=most).contains(&count) {
            return Ok(());
        }
        let failure = Failure::new(Exit::Usage, format!("cannot run {count} nodes"));
        Err(if self.is_experiment() {
            failure.because(format!("an experiment has {least} to {most}"))
        } else if self.virtual_time {
            failure.because(format!("a made-up world has {least} to {most}"))
        } else {
            failure
                .because(format!("one process runs {least} to {most}"))
                .try_this("`simulate --virtual` runs many more")
        })
    }

    fn run_virtual(
        &self,
        terminal: &Arc<Terminal>,
        global: Global,
        report_file: Option<Pending>,
    ) -> Result<Exit, Failure> {
        let plan = self.plan();
        let is_steady = self.duration.is_some() || self.messages.is_some() || self.rate.is_some();
        let piece = if is_steady {
            let length = self.duration.map_or(USUAL_VIRTUAL_TIME, Duration::from_secs_f64);
            Piece::Story(Box::new(virtual_time::steady(self.count(), &plan, length)))
        } else {
            self.piece(self.scenario.as_deref().unwrap_or("default"))?
        };
        let nodes = piece.story().nodes;
        if self.record.is_some() && nodes > MAX_RECORDED_NODES {
            let what = format!("cannot record {nodes} nodes");
            return Err(Failure::new(Exit::Usage, what)
                .because(format!("a recording has {MAX_RECORDED_NODES} at most")));
        }
        let record = self.record(&plan)?;
        let (out, seen) = (Arc::clone(terminal), record.clone());
        let played = until_signal(terminal, global, move || {
            Ok(match piece {
                Piece::Story(story) => {
                    Played::Story(virtual_time::play(&story, plan.seed, &out, seen.as_ref()))
                }
                Piece::Experiment(one) => {
                    Played::Experiment(experiment::play(&one, plan.seed, &out, seen.as_ref()))
                }
            })
        })?;
        if let (Some(record), ControlFlow::Continue(played)) = (&record, &played)
            && let Some(report) = played.report()
        {
            record.handle_time(Duration::from_secs_f64(report.duration_s));
        }
        let recorded = record.map_or(Ok(None), |record| record.finish());
        let played = match played {
            ControlFlow::Continue(played) => played,
            ControlFlow::Break(exit) => {
                terminal.clear();
                terminal.message("stopped before its end: no promise was checked");
                tell_of_record(self.record.as_deref(), recorded?, terminal);
                return Ok(exit);
            }
        };
        match &played {
            Played::Story(report) => {
                publish(report, virtual_time::fields(report), report_file, terminal, global)?;
            }
            Played::Experiment(found) => {
                let told = experiment::told(found, terminal.width());
                publish(found, told, report_file, terminal, global)?;
            }
        }
        tell_of_record(self.record.as_deref(), recorded?, terminal);
        conclude(&played.broken(), format!("run it again with --seed {}", plan.seed))?;
        Ok(Exit::Ok)
    }

    fn piece(&self, name: &str) -> Result<Piece, Failure> {
        let piece = repertoire::named(name, self.count());
        piece.ok_or_else(|| Failure::new(Exit::Usage, format!("there is no scenario '{name}'")))
    }

    fn run_dashboard(&self, terminal: &Arc<Terminal>, global: Global) -> Result<Exit, Failure> {
        if self.count() > MAX_RECORDED_NODES {
            let what = format!("cannot show {} nodes", self.count());
            return Err(Failure::new(Exit::Usage, what)
                .because(format!("the page shows {MAX_RECORDED_NODES} at most")));
        }
        let log = Log::start(terminal, LogOptions::text(log_level("WARNING", global)))?;
        let (seed, reel) = (self.plan().seed, Reel::default());
        let record = Record::new(seed, self.record.as_deref(), Some(reel.clone()))?;
        let address = self.api.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into());
        let exit = on_runtime(async {
            let mut signals = Signals::listen(&log)?;
            if self.virtual_time {
                let living = self.living(seed, &record)?;
                let server = show(address, living, reel, terminal, global).await?;
                let exit = signals.asked().await;
                drop(server);
                return Ok(exit);
            }
            let folder = LocalNetwork::folder()?;
            signals.remove_when_forced(folder.path().to_owned());
            let network = LocalNetwork::start(self.nodes(), folder).await?;
            let rate = self.rate.unwrap_or(LIVING_RATE);
            let live = LiveNetwork::begin(network, seed, rate, &record);
            let shown = show(address, live.stage(), reel, terminal, global).await;
            let exit = match shown {
                Ok(server) => {
                    let exit = signals.asked().await;
                    drop(server);
                    Ok(exit)
                }
                Err(failure) => Err(failure),
            };
            live.end().await;
            exit
        })?;
        tell_of_record(self.record.as_deref(), record.finish()?, terminal);
        Ok(exit)
    }

    /// A made-up world that lives.
    fn living(&self, seed: u64, record: &Arc<Record>) -> Result<Arc<Living>, Failure> {
        let scenario = match self.scenario.as_deref() {
            Some(name) => self.piece(name)?.story().clone(),
            None => Scenario::quiet("living", self.count(), USUAL_VIRTUAL_TIME),
        };
        let rate = self.rate.unwrap_or(if self.scenario.is_some() { 0.0 } else { LIVING_RATE });
        Living::begin(scenario, seed, rate, Arc::clone(record)).map(Arc::new)
    }

    fn record(&self, plan: &Plan) -> Result<Option<Arc<Record>>, Failure> {
        let file = self.record.as_deref();
        file.map(|path| Record::new(plan.seed, Some(path), None)).transpose()
    }

    fn nodes(&self) -> Nodes {
        let transport = match self.transport {
            Some(transport) => transport,
            None => TransportPolicy::Auto,
        };
        Nodes { count: self.count(), base_port: self.base_port, transport }
    }

    fn plan(&self) -> Plan {
        let (watched, elsewhere) = USUAL_SECONDS;
        let usual = if stdout().is_terminal() { watched } else { elsewhere };
        let seconds = self.duration.or_else(|| self.messages.is_none().then_some(usual));
        Plan {
            rate: self.rate.unwrap_or(USUAL_RATE),
            duration: seconds.map(Duration::from_secs_f64),
            messages: self.messages,
            seed: self.seed.unwrap_or_else(any_seed),
        }
    }
}

/// What a made-up world came to.
enum Played {
    Story(Report),
    Experiment(experiment::ExperimentSummary),
}

impl Played {
    fn report(&self) -> Option<&Report> {
        match self {
            Self::Story(report) => Some(report),
            Self::Experiment(found) => found.findings.report.as_ref(),
        }
    }

    /// Which promises are broken, in words.
    fn broken(&self) -> Vec<String> {
        match self {
            Self::Story(report) => report.violations.iter().map(ToString::to_string).collect(),
            Self::Experiment(found) => found.broken(),
        }
    }
}

/// Every scenario, with what it is about.
fn scenarios() -> PossibleValuesParser {
    let values = repertoire::abouts().map(|(name, about)| PossibleValue::new(name).help(about));
    PossibleValuesParser::new(values)
}

/// The report as data, and as a file: a file that cannot be written does not swallow the data.
pub(super) fn publish(
    report: &impl Serialize,
    for_people: impl Display,
    file: Option<Pending>,
    terminal: &Terminal,
    global: Global,
) -> Result<(), Failure> {
    let printed = if global.json { terminal.document(report) } else { terminal.data(for_people) };
    if let Some(file) = file {
        let text = serde_json::to_string_pretty(report)
            .map_err(|error| Failure::new(Exit::Internal, "no JSON").because(error))?;
        file.write(&format!("{text}\n"), Existing::Replace)?;
    }
    printed
}

/// What became of the recording, if there is one.
fn tell_of_record(path: Option<&Path>, written: Option<Written>, terminal: &Terminal) {
    let (Some(path), Some(Written { bytes, is_whole })) = (path, written) else { return };
    let size = crate::table::bytes(bytes);
    if is_whole {
        let path = sanitised(&path.to_string_lossy());
        terminal.message(format_args!("recorded {size}; `positron-net replay {path}` shows it"));
    } else {
        terminal.warning(format_args!(
            "the recording ends before the network did: it has {size}, and no recording has more"
        ));
    }
}

/// A broken promise is a failure.
pub(super) fn conclude(broken: &[String], advice: String) -> Result<(), Failure> {
    if broken.is_empty() {
        return Ok(());
    }
    let mut why = broken.iter().take(MAX_BROKEN).cloned().collect::<Vec<_>>().join("; ");
    if broken.len() > MAX_BROKEN {
        why.push_str(&format!("; and {} more", broken.len() - MAX_BROKEN));
    }
    Err(Failure::new(Exit::CheckFailed, "a promise is broken").because(why).try_this(advice))
}

/// Where nobody gives a seed, the clock does.
pub(super) fn any_seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // Short enough to be typed again.
    u64::from(now.subsec_nanos())
}

pub(super) fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number <= 1e6 => Ok(number),
        _ => Err("it must be a number above 0 and at most 1000000".into()),
    }
}
