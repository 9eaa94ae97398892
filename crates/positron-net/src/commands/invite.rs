//! `positron-net invite`: what another node needs to join this one.

use std::net::{IpAddr, SocketAddr};

use clap::Args;
use positron_admin::ClientError;
use positron_networking::{Invite, NO_ADDRESS, reach::Machine};
use positron_store::summary;
use serde_json::{Value, json};

use crate::{
    commands::identity_of,
    failure::{Exit, Failure},
    global::Global,
    running::{client, failure},
    settings::{NodeSelector, Settings},
    terminal::Terminal,
};

/// Prints what another node needs to join this one: `positron:<node id>@<address>?network=<name>`.
///
/// Every address is in it from which the node can be joined, those of `external_addresses` first,
/// then the likeliest. A running node knows how others see it; of one that is stopped the
/// configuration tells.
#[derive(Args, Debug)]
pub(crate) struct InviteOptions {
    #[command(flatten)]
    selector: NodeSelector,
}

impl InviteOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        let settings = self.selector.settings(terminal)?;
        let folder = settings.data_dir();
        let running = match client(folder)?.get("/v1/status") {
            Ok(status) => Some(of_running(&status).ok_or_else(no_address)?),
            Err(ClientError::NotRunning) => None,
            Err(error) => return Err(failure(folder, error)),
        };
        let is_running = running.is_some();
        let (invite, listen) = match running {
            Some(running) => running,
            None => of_stopped(&settings)?,
        };
        if global.json {
            terminal.document(&json!({
                "invite": invite.to_string(),
                "node_id": invite.node,
                "addresses": invite.addresses,
                "network": invite.network,
                "running": is_running,
            }))?;
        } else {
            terminal.data(&invite)?;
        }
        if !is_running {
            terminal.message(
                "the node is not running: nobody answers before it is started, with the port of \
                 its configuration",
            );
        }
        if let Some(warning) = invite.warning(&listen) {
            terminal.warning(warning);
        }
        Ok(Exit::Ok)
    }
}

/// The invite of a node, and where it listens, as its status tells them.
fn of_running(status: &Value) -> Option<(Invite, Vec<SocketAddr>)> {
    let invite = status.get("invite")?.as_str()?.parse().ok()?;
    let listen = status.get("listen")?.as_array()?.iter();
    Some((invite, listen.filter_map(|one| one.as_str()?.parse().ok()).collect()))
}

fn no_address() -> Failure {
    Failure::new(Exit::Network, "nobody can be invited").because(NO_ADDRESS).try_this(
        "listen on both families with --host ::, or name an address in external_addresses",
    )
}

/// The invite of a node that will listen where the configuration says, and where that is.
fn of_stopped(settings: &Settings) -> Result<(Invite, Vec<SocketAddr>), Failure> {
    let node = identity_of(settings)?;
    let config = &settings.config;
    // The database knows for certain.
    let network = summary(settings.data_dir()).map(|summary| summary.network_name);
    let network = network.unwrap_or_else(|_| config.network.clone());
    let host = config.host.trim_matches(['[', ']']).parse::<IpAddr>();
    let listen = Vec::from_iter(host.map(|ip| SocketAddr::new(ip, config.port)));
    let configured = config.external_addresses_at(config.port);
    let invite = Invite::new(node, &network, &configured, &Machine::this().dialable(&[], &listen));
    let invite = invite.ok_or_else(|| {
        if config.port != 0 {
            return no_address();
        }
        Failure::new(Exit::Configuration, "nobody can be invited yet")
            .because("the node takes a free port each time that it starts, and it is not running")
            .try_this("start it first, or give it a port in its configuration")
    })?;
    Ok((invite, listen))
}
