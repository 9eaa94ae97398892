//! `positron-net bench`: what this machine can do.

use std::{sync::Arc, time::Duration};

use clap::Args;
use serde::Serialize;
use tokio::task::block_in_place;

use crate::{
    bench::{Network, Parts, measure},
    commands::on_runtime,
    failure::{Exit, Failure},
    global::Global,
    logging::{Log, LogOptions},
    settings::log_level,
    signals::Signals,
    simulate::MAX_NODES,
    table::Fields,
    terminal::Terminal,
};

/// How long each part is measured.
const FRAGMENT: Duration = Duration::from_millis(500);

/// Measures the parts of a node's work on one core, and real networks on this machine: calm ones
/// for latency and processor time, and flooded ones for throughput. With payloads of 256 bytes.
///
/// Exit code 8 if a network breaks a promise.
#[derive(Args, Debug)]
pub(crate) struct BenchOptions {
    /// Sizes of the networks
    #[arg(
        long,
        short = 'n',
        value_name = "NODES",
        value_delimiter = ',',
        default_values_t = [10, 50]
    )]
    networks: Vec<u16>,
    /// How long each calm network is measured
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    duration: u16,
    /// Decides who sends what
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
}

/// What came out.
#[derive(Clone, Debug, Serialize)]
struct Measured {
    version: &'static str,
    optimised: bool,
    cores: usize,
    per_second: Parts,
    networks: Vec<Network>,
}

impl BenchOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Arc<Terminal>, global: Global) -> Result<Exit, Failure> {
        if let Some(nodes) = self.networks.iter().find(|nodes| !is_size(**nodes)) {
            return Err(Failure::new(Exit::Usage, format!("cannot run {nodes} nodes"))
                .because(format!("one process runs 2 to {MAX_NODES}")));
        }
        let log = Log::start(terminal, LogOptions::text(log_level("ERROR", global)))?;
        if cfg!(debug_assertions) {
            terminal.warning("this is a debug build: the numbers say little");
        }
        let steady = Duration::from_secs(self.duration.into());
        let (measured, stopped) = on_runtime(async {
            let mut signals = Signals::listen(&log)?;
            terminal.message("measuring the parts");
            let mut measured = Measured {
                version: env!("CARGO_PKG_VERSION"),
                optimised: !cfg!(debug_assertions),
                cores: std::thread::available_parallelism().map_or(1, usize::from),
                per_second: block_in_place(|| measure(FRAGMENT))?,
                networks: Vec::new(),
            };
            for nodes in self.networks {
                if signals.seen().is_some() {
                    break;
                }
                terminal.message(format_args!("measuring a network of {nodes} nodes"));
                let nodes = nodes.into();
                let network = Network::measure(nodes, steady, self.seed, terminal, &mut signals);
                measured.networks.push(network.await?);
            }
            Ok((measured, signals.seen()))
        })?;
        measured.tell(terminal, global)?;
        measured.conclude()?;
        Ok(stopped.unwrap_or(Exit::Ok))
    }
}

impl Measured {
    fn tell(&self, terminal: &Terminal, global: Global) -> Result<(), Failure> {
        if global.json {
            return terminal.document(self);
        }
        let mut fields = Fields::default();
        self.per_second.describe(&mut fields);
        self.networks.iter().for_each(|network| network.describe(&mut fields));
        terminal.data(fields)
    }

    fn conclude(&self) -> Result<(), Failure> {
        let broken: Vec<&str> =
            self.networks.iter().flat_map(Network::broken).map(String::as_str).collect();
        if broken.is_empty() {
            return Ok(());
        }
        Err(Failure::new(Exit::CheckFailed, "a promise is broken").because(broken.join("; ")))
    }
}

fn is_size(nodes: u16) -> bool {
    (2..=MAX_NODES).contains(&usize::from(nodes))
}
