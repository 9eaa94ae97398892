//! `positron-net id`: who this node is.

use clap::Args;
use serde_json::json;

use crate::{
    commands::identity_of,
    failure::{Exit, Failure},
    global::Global,
    settings::NodeSelector,
    terminal::Terminal,
};

/// Prints the id of this node, whether it runs or not. Creates and changes nothing.
#[derive(Args, Debug)]
pub(crate) struct IdOptions {
    #[command(flatten)]
    selector: NodeSelector,
}

impl IdOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        let settings = self.selector.settings(terminal)?;
        let id = identity_of(&settings)?;
        if global.json {
            terminal.document(&json!({ "node_id": id, "short": id.short() }))?;
        } else {
            terminal.data(id)?;
        }
        Ok(Exit::Ok)
    }
}
