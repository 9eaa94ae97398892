//! `positron-net simulate`: a whole network on this machine.

use std::{
    io::{IsTerminal as _, stdout},
    path::PathBuf,
    sync::{Arc, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use clap::Args;

use crate::{
    cli::Global,
    commands::runtime,
    failure::{Exit, Failure},
    files::{Existing, Pending},
    logging::Log,
    screen::Screen,
    settings::log_level,
    signals::Signals,
    simulate::{LocalNetwork, MAX_NODES, Plan, Report, Traffic, draw_while, process_seconds},
};

/// How long the nodes may take to find each other.
const GROW_TIMEOUT: Duration = Duration::from_secs(30);
/// Seconds of traffic when nobody says otherwise, on a terminal and elsewhere.
const USUAL_SECONDS: (f64, f64) = (30.0, 10.0);

/// Runs a network of real nodes on this machine, sends messages through it, and checks that every
/// node gets every message once. Its data is temporary.
///
/// Exit code 8 if a promise is broken.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// How many nodes
    #[arg(long, short = 'n', value_name = "NODES", default_value_t = 5)]
    count: usize,
    /// Port of the first node; the others take those above [default: free ones]
    #[arg(long, short = 'p', value_name = "PORT")]
    base_port: Option<u16>,
    /// How long messages flow [default: 30 on a terminal, otherwise 10]
    #[arg(long, value_name = "SECONDS", value_parser = positive)]
    duration: Option<f64>,
    /// Broadcasts in all [default: as many as the duration allows]
    #[arg(long, value_name = "NUMBER")]
    messages: Option<u64>,
    /// Broadcasts a second, in all
    #[arg(long, value_name = "PER_SECOND", default_value_t = 10.0, value_parser = positive)]
    rate: f64,
    /// Decides who sends what [default: another one each time]
    #[arg(long)]
    seed: Option<u64>,
    /// Also write the JSON document there
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

impl Options {
    /// Runs it.
    pub(crate) fn run(self, screen: &Arc<Screen>, global: Global) -> Result<Exit, Failure> {
        if !(1..=MAX_NODES).contains(&self.count) {
            let what = format!("cannot run {} nodes", self.count);
            return Err(Failure::new(Exit::Usage, what)
                .because(format!("one process runs 1 to {MAX_NODES}"))
                .try_this("`simulate --virtual` runs many more"));
        }
        let report_file = self.report.as_deref().map(Pending::new).transpose()?;
        Log::start(screen, log_level("WARNING", global))?;
        let (report, stopped) = runtime()?.block_on(self.simulate(screen))?;
        if let Some(file) = report_file {
            let text = serde_json::to_string_pretty(&report)
                .map_err(|error| Failure::new(Exit::Internal, "no JSON").because(error))?;
            file.write(&format!("{text}\n"), Existing::Replace)?;
        }
        if global.json {
            screen.document(&report)?;
        } else {
            screen.data(report.sheet())?;
        }
        let broken = report.broken();
        if !broken.is_empty() {
            let again = format!("run it again with --seed {}", report.seed);
            return Err(Failure::new(Exit::CheckFailed, "a promise is broken")
                .because(broken.join("; "))
                .try_this(again));
        }
        Ok(stopped.unwrap_or(Exit::Ok))
    }

    fn plan(&self) -> Plan {
        let (terminal, elsewhere) = USUAL_SECONDS;
        let usual = if stdout().is_terminal() { terminal } else { elsewhere };
        let seconds = self.duration.or_else(|| self.messages.is_none().then_some(usual));
        Plan {
            rate: self.rate,
            duration: seconds.map(Duration::from_secs_f64),
            messages: self.messages,
            seed: self.seed.unwrap_or_else(any_seed),
        }
    }

    async fn simulate(&self, screen: &Screen) -> Result<(Report, Option<Exit>), Failure> {
        let plan = self.plan();
        let mut signals = Signals::listen()?;
        let folder = LocalNetwork::folder()?;
        signals.remove_when_forced(folder.path().to_owned());
        let begin = Instant::now();
        let network = LocalNetwork::start(self.count, self.base_port, folder).await?;
        let connected_nodes = network.grow_together(GROW_TIMEOUT).await;
        let connected_s = begin.elapsed().as_secs_f64();
        screen.message(format_args!(
            "{connected_nodes} of {} nodes connected in {connected_s:.2} s; messages flow{}",
            self.count,
            plan.duration.map_or_else(String::new, |d| format!(" for {} s", d.as_secs_f64())),
        ));
        let mut traffic = Traffic::new(network.nodes());
        let books = Arc::clone(traffic.books());
        let (cpu, sending) = (process_seconds(), Instant::now());
        draw_while(screen, network.nodes(), &books, traffic.run(&plan, &mut signals)).await;
        let duration_s = sending.elapsed().as_secs_f64();
        let cpu_s = process_seconds().zip(cpu).map(|(after, before)| after - before);

        let books = books.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let report = Report {
            connected_nodes,
            seed: plan.seed,
            first_failure: traffic.refusal(),
            wire_bytes: network.nodes().iter().map(|node| node.stats().transport.bytes_sent).sum(),
            duration_s,
            connected_s,
            first_delivery_s: books.first_delivery_after(begin).map(|first| first.as_secs_f64()),
            cpu_s,
            interrupted: signals.seen().is_some(),
            ..Report::of(&books, self.count)
        };
        traffic.close().await;
        network.stop().await;
        Ok((report.with_cpu_per_delivery(), signals.seen()))
    }
}

/// Where nobody gives a seed, the clock does.
fn any_seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // Short enough to be typed again.
    u64::from(now.subsec_nanos())
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number <= 1e6 => Ok(number),
        _ => Err("it must be a number above 0 and at most 1000000".into()),
    }
}
