//! `positron-net peers`: with whom the running node is connected, and what it makes of them.

mod why;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::{
    commands::{ended::lost, status::peers_of},
    failure::{Exit, Failure},
    global::Global,
    running::Running,
    settings::NodeSelector,
    terminal::{Terminal, sanitised},
};

/// Lists the peers that the running node is connected with, and those that left, with the reason.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct PeersOptions {
    #[command(subcommand)]
    command: Option<PeersCommand>,
    #[command(flatten)]
    selector: NodeSelector,
}

#[derive(Debug, Subcommand)]
enum PeersCommand {
    /// Explain the score of a peer, entry by entry
    Why(why::WhyOptions),
}

impl PeersOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        if let Some(PeersCommand::Why(options)) = self.command {
            return options.run(terminal, global);
        }
        let running = Running::of(&self.selector, terminal)?;
        let status: Value = running.get("/v1/status")?;
        let left: Value = running.get("/v1/peers")?;
        let left = left["lost"].clone();
        if global.json {
            terminal.document(&json!({ "peers": status["peers"], "lost": left }))?;
            return Ok(Exit::Ok);
        }
        match status["isolation_reason"].as_str() {
            Some(why) => terminal.message(format_args!("nobody is connected: {}", sanitised(why))),
            None => terminal.data(peers_of(status, terminal.width())?)?,
        }
        if let Some(table) = lost(left, terminal)? {
            terminal.data(table)?;
        }
        Ok(Exit::Ok)
    }
}
