//! `positron-net unreserve`: keeps no slot for a peer any more.

use clap::Args;
use positron_admin::PeerName;
use serde_json::json;

use crate::{
    commands::give_order,
    failure::{Exit, Failure},
    global::Global,
    settings::NodeSelector,
    terminal::Terminal,
};

/// Has the running node treat a peer like others again. It stays connected if a slot is free.
#[derive(Args, Debug)]
pub(crate) struct UnreserveOptions {
    /// The id of the peer, or its first 16 characters
    #[arg(value_name = "ID")]
    peer: PeerName,
    #[command(flatten)]
    selector: NodeSelector,
}

impl UnreserveOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        let order = json!({ "peer": self.peer.to_string() });
        give_order(&self.selector, "unreserve", &order, terminal, global)
    }
}
