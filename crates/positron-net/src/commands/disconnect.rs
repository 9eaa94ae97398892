//! `positron-net disconnect`: ends a session.

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

/// Ends the session of the running node with a peer. It is not banned: it may dial, and is not
/// dialled for about ten minutes.
#[derive(Args, Debug)]
pub(crate) struct DisconnectOptions {
    /// The id of the peer, or its first 16 characters
    #[arg(value_name = "ID")]
    peer: PeerName,
    #[command(flatten)]
    selector: NodeSelector,
}

impl DisconnectOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        let order = json!({ "peer": self.peer.to_string() });
        give_order(&self.selector, "disconnect", &order, terminal, global)
    }
}
