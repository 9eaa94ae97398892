//! `positron-net peers`: with whom the running node is connected.

use clap::Args;
use serde_json::json;

use crate::{
    commands::{ask_running, ended::lost, status::peers_of},
    control::{Request, Response},
    failure::{Exit, Failure},
    global::Global,
    settings::NodeSelector,
    terminal::{Terminal, sanitised},
};

/// Lists the peers that the running node is connected with, and those that left, with the reason.
#[derive(Args, Debug)]
pub(crate) struct PeersOptions {
    #[command(flatten)]
    selector: NodeSelector,
}

impl PeersOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        let status = match ask_running(&self.selector, &Request::Status, terminal)? {
            Response::Status(status) => status,
            other => return Err(other.unexpected()),
        };
        let left = match ask_running(&self.selector, &Request::LostPeers, terminal)? {
            Response::LostPeers(left) => left,
            other => return Err(other.unexpected()),
        };
        if global.json {
            terminal.document(&json!({ "peers": status["peers"], "lost": left }))?;
            return Ok(Exit::Ok);
        }
        match status["isolation_reason"].as_str() {
            Some(why) => terminal.message(format_args!("nobody is connected: {}", sanitised(why))),
            None => terminal.data(peers_of(status, terminal)?)?,
        }
        if let Some(table) = lost(left, terminal)? {
            terminal.data(table)?;
        }
        Ok(Exit::Ok)
    }
}
