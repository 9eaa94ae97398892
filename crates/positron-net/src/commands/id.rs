//! `positron-net id`: who this node is.

use clap::Args;
use serde_json::json;

use crate::{
    cli::Global,
    commands::identity_of,
    failure::{Exit, Failure},
    settings::Which,
    terminal::Screen,
};

/// Prints the id of this node, whether it runs or not. Creates and changes nothing.
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
}

impl Options {
    /// Runs it.
    pub(crate) fn run(self, screen: &Screen, global: Global) -> Result<Exit, Failure> {
        let settings = self.which.settings(screen)?;
        let id = identity_of(&settings)?;
        if global.json {
            screen.document(&json!({ "node_id": id, "short": id.short() }))?;
        } else {
            screen.data(id)?;
        }
        Ok(Exit::Ok)
    }
}
