//! `positron-net dht delete`: takes back what this node stored.

use clap::Args;
use serde_json::{Value, json};

use super::key::key;
use crate::{
    failure::{Exit, Failure},
    global::Global,
    running::Running,
    settings::NodeSelector,
    terminal::{Terminal, sanitised},
};

/// Takes back what this node stored under a key, wherever it is kept. What others stored there
/// stays: only they can take it back.
#[derive(Args, Debug)]
pub(crate) struct DeleteOptions {
    /// The key
    #[arg(value_parser = key)]
    key: String,
    /// It was stored with --owned
    #[arg(long)]
    owned: bool,
    #[command(flatten)]
    selector: NodeSelector,
}

impl DeleteOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        let running = Running::of(&self.selector, terminal)?;
        let kind = if self.owned { "owned" } else { "shared" };
        let order = json!({ "key": self.key, "kind": kind });
        let deleted: Value = running.post("/v1/dht/delete", &order)?;
        if global.json {
            terminal.document(&deleted)?;
        } else {
            let sentence = sanitised(deleted["sentence"].as_str().unwrap_or_default());
            terminal.data(format_args!("deleted: {sentence}"))?;
        }
        Ok(Exit::Ok)
    }
}
