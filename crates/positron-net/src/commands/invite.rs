//! `positron-net invite`: what another node needs to join this one.

use std::net::{IpAddr, SocketAddr};

use clap::Args;
use positron_store::summary;
use serde_json::{Value, json};

use crate::{
    commands::identity_of,
    control::{Request, Response, ask},
    failure::{Exit, Failure},
    global::Global,
    invite::Invite,
    settings::{NodeSelector, Settings},
    terminal::Terminal,
};

/// Prints what another node needs to join this one: `positron:<node id>@<address>?network=<name>`.
///
/// A running node knows how others see it; of one that is stopped the configuration tells.
#[derive(Args, Debug)]
pub(crate) struct InviteOptions {
    #[command(flatten)]
    selector: NodeSelector,
}

impl InviteOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        let settings = self.selector.settings(terminal)?;
        let running = match ask(settings.data_dir(), &Request::Status)? {
            Ok(Response::Status(status)) => {
                status.get("invite").and_then(Value::as_str).and_then(|text| text.parse().ok())
            }
            _ => None,
        };
        let is_running = running.is_some();
        let invite = match running {
            Some(invite) => invite,
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
        if invite.addresses.iter().all(|address| is_loopback(address)) {
            terminal.message("only nodes on this machine can use it: the node listens on loopback");
        }
        Ok(Exit::Ok)
    }
}

/// The invite of a node that will listen where the configuration says.
fn of_stopped(settings: &Settings) -> Result<Invite, Failure> {
    let node = identity_of(settings)?;
    let config = &settings.config;
    // The database knows for certain.
    let network = summary(settings.data_dir()).map(|summary| summary.network_name);
    let network = network.unwrap_or_else(|_| config.network.clone());
    let host = config.host.trim_matches(['[', ']']).parse::<IpAddr>();
    let listen = host.map(|ip| SocketAddr::new(ip, config.port)).ok();
    Invite::new(node, &network, &config.external_addresses, listen.as_slice()).ok_or_else(|| {
        Failure::new(Exit::Configuration, "nobody can be invited yet")
            .because("the node takes a free port each time that it starts, and it is not running")
            .try_this("start it first, or give it a port in its configuration")
    })
}

fn is_loopback(address: &str) -> bool {
    address.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback())
}
