//! `positron-net unban`: lifts a ban.

use clap::Args;
use positron_admin::Whom;
use serde_json::json;

use crate::{
    commands::give_order,
    failure::{Exit, Failure},
    global::Global,
    settings::NodeSelector,
    terminal::Terminal,
};

/// Lifts a ban of the running node, whether it was made by hand, by the application or for a score.
/// `bans` lists them.
#[derive(Args, Debug)]
pub(crate) struct UnbanOptions {
    /// As it was banned: an id, an IP address, or the same range
    #[arg(value_name = "ID|ADDRESS|CIDR")]
    whom: Whom,
    #[command(flatten)]
    selector: NodeSelector,
}

impl UnbanOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        let order = json!({ "whom": self.whom.to_string() });
        give_order(&self.selector, "unban", &order, terminal, global)
    }
}
