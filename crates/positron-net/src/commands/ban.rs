//! `positron-net ban`: refuses a node, or whoever is at an address.

use std::time::Duration;

use clap::Args;
use positron_admin::Whom;
use serde_json::json;

use crate::{
    commands::give_order,
    failure::{Exit, Failure},
    global::Global,
    lasting::lasting,
    settings::NodeSelector,
    terminal::Terminal,
};

/// Has the running node refuse a node, or whoever is at an address: a session is closed, nobody
/// there is dialled, and nothing from a banned address is read. A ban lasts over restarts.
///
/// A reserved peer is dialled although its address is banned; a ban of its id ends that.
#[derive(Args, Debug)]
pub(crate) struct BanOptions {
    /// The id of a node (64 characters, or the first 16 of a connected one), an IP address, or a
    /// range of them such as 203.0.113.0/24 or 2001:db8::/32
    #[arg(value_name = "ID|ADDRESS|CIDR")]
    whom: Whom,
    /// For how long: 90s, 30m, 2h, 7d, 4w [default: for good]
    #[arg(long = "for", value_name = "TIME", value_parser = lasting)]
    lasts: Option<Duration>,
    /// Why, for those who look later
    #[arg(long, value_name = "WORDS", default_value = "by hand")]
    reason: String,
    #[command(flatten)]
    selector: NodeSelector,
}

impl BanOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        let mut order = json!({ "whom": self.whom.to_string(), "reason": self.reason });
        if let Some(lasts) = self.lasts {
            order["seconds"] = lasts.as_secs().into();
        }
        give_order(&self.selector, "ban", &order, terminal, global)
    }
}
