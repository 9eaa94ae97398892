//! `positron-net forget`: dials an address no more.

use clap::Args;
use positron_admin::Target;
use serde_json::json;

use crate::{
    commands::give_order,
    failure::{Exit, Failure},
    global::Global,
    settings::NodeSelector,
    terminal::Terminal,
};

/// Has the running node dial an address no more that it was asked to join: it goes on until then,
/// whether anybody answered or not. One that the configuration names is there again at the next
/// start. A connection that there is stays.
#[derive(Args, Debug)]
pub(crate) struct ForgetOptions {
    /// The address, as `status` lists it under `bootstrap`, or the invite that was joined
    #[arg(value_name = "HOST:PORT|INVITE")]
    target: Target,
    #[command(flatten)]
    selector: NodeSelector,
}

impl ForgetOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        let order = json!({ "target": self.target.to_string() });
        give_order(&self.selector, "forget", &order, terminal, global)
    }
}
