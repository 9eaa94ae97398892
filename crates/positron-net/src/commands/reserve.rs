//! `positron-net reserve`: keeps a slot for a peer.

use std::{
    net::{SocketAddr, ToSocketAddrs as _},
    str::FromStr,
};

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

/// Has the running node keep a slot for a peer, beside `max_peers`, and dial it for as long as it
/// is not connected, over restarts too. `reserved_peers` in the configuration stays beside it.
#[derive(Args, Debug)]
pub(crate) struct ReserveOptions {
    /// The id of the peer, and where it is if the node does not know that
    #[arg(value_name = "ID[@HOST:PORT]")]
    peer: Place,
    #[command(flatten)]
    selector: NodeSelector,
}

impl ReserveOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        let Place { peer, at } = self.peer;
        let mut order = json!({ "peer": peer.to_string() });
        if let Some(at) = at {
            order["address"] = at.to_string().into();
        }
        give_order(&self.selector, "reserve", &order, terminal, global)
    }
}

/// A peer, and perhaps where it is.
#[derive(Clone, Debug)]
struct Place {
    peer: PeerName,
    at: Option<SocketAddr>,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (peer, at) = match text.split_once('@') {
            Some((peer, at)) => (peer, Some(at)),
            None => (text, None),
        };
        let found = |at: &str| {
            let mut all = at.to_socket_addrs().map_err(|error| format!("{at}: {error}"))?;
            let usable = all.find(|at| at.port() != 0 && !at.ip().is_unspecified());
            usable.ok_or_else(|| format!("{at} is no address that can be dialled"))
        };
        Ok(Self { peer: peer.parse()?, at: at.map(found).transpose()? })
    }
}
