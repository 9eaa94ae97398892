//! `positron-net replay`: a recorded network on the page.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use clap::Args;
use positron_admin::{
    Ability, NetworkAction, NetworkLink, NetworkPicture, NetworkServer, Reel, SimulatedNetwork,
};
use serde_json::json;

use crate::{
    commands::on_runtime,
    failure::{Exit, Failure},
    global::Global,
    logging::{Log, LogOptions},
    recording::Recording,
    settings::log_level,
    signals::Signals,
    terminal::Terminal,
};

/// Shows a recording that `simulate --record` wrote: who was up and linked when, and how each
/// broadcast spread. Prints the address of the page, which only this machine reaches and which has
/// the token in it, and serves it until Ctrl-C.
#[derive(Args, Debug)]
pub(crate) struct ReplayOptions {
    /// The recording
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where the page is to be, on this machine
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    api: SocketAddr,
}

impl ReplayOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Arc<Terminal>, global: Global) -> Result<Exit, Failure> {
        let recording = Recording::open(&self.file).map_err(|error| {
            let what = format!("cannot show the recording {}", self.file.display());
            Failure::new(Exit::Storage, what)
                .because(error)
                .try_this("`positron-net simulate --virtual --record FILE` writes one")
        })?;
        let log = Log::start(terminal, LogOptions::text(log_level("WARNING", global)))?;
        let seconds = recording.lasts_ms / 1000;
        terminal.message(format_args!(
            "{} nodes, seed {}, {seconds} s",
            recording.header.nodes.len(),
            recording.header.seed,
        ));
        let up = |place| recording.up.contains(&place);
        let nodes = recording.header.nodes.iter().zip(0..).map(|(id, place)| (*id, up(place)));
        let picture = NetworkPicture {
            nodes: nodes.collect(),
            links: recording
                .links
                .iter()
                .map(|(a, b)| NetworkLink { a: *a, b: *b, rtt_ms: None })
                .collect(),
        };
        let reel = Reel::of(recording.text);
        on_runtime(async {
            let mut signals = Signals::listen(&log)?;
            let server = show(self.api, Arc::new(Replay(picture)), reel, terminal, global).await?;
            let exit = signals.asked().await;
            drop(server);
            Ok(exit)
        })
    }
}

/// Serves the page, and tells where.
pub(super) async fn show(
    address: SocketAddr,
    network: Arc<dyn SimulatedNetwork>,
    reel: Reel,
    terminal: &Terminal,
    global: Global,
) -> Result<NetworkServer, Failure> {
    let server = NetworkServer::listen(address, network, reel).await.map_err(|error| {
        Failure::new(Exit::Network, "the page cannot be shown")
            .because(error)
            .try_this("name another --api, or none: then a free port of this machine is taken")
    })?;
    if global.json {
        terminal.data(json!({ "event": "started", "page": server.page() }))?;
    } else {
        terminal.message("open this in a browser:");
        terminal.data(server.page())?;
    }
    Ok(server)
}

/// What was, and is changed no more.
#[derive(Debug)]
struct Replay(NetworkPicture);

impl SimulatedNetwork for Replay {
    fn picture(&self) -> NetworkPicture {
        self.0.clone()
    }

    fn abilities(&self) -> &'static [Ability] {
        &[]
    }

    fn act(&self, _: NetworkAction) -> Result<(), String> {
        Err("this is a recording: what was cannot be changed".into())
    }
}
