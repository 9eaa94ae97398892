//! What is right and wrong with this machine and its way to the internet, as far as one can tell
//! without a node, and what to change.

mod finding;
mod machine;
mod translator;

use std::net::UdpSocket;

use positron_admin::ClientError;
use positron_networking::stun;
use serde_json::Value;

pub(crate) use finding::{Finding, Verdict};

use crate::{running, settings::Settings};

/// Everything that is looked at, in the order in which it is told. It changes nothing, and takes
/// five seconds if a server does not answer.
pub(crate) fn examine(settings: &Settings, servers: &[String]) -> Vec<Finding> {
    let (node, status) = node(settings);
    let (udp, socket) = machine::udp(&settings.config, status.as_ref());
    let mut findings = vec![node, udp, machine::tcp(&settings.config, status.as_ref())];
    findings.extend(machine::families());
    findings.push(translator::by_peers(status.as_ref()));
    if !servers.is_empty() {
        findings.push(by_servers(socket, servers));
    }
    findings.push(machine::clock());
    findings.push(machine::descriptors(crate::fd_limit::raise()));
    findings.push(machine::data_folder(settings.data_dir()));
    findings
}

/// Whether a node runs with this data folder, and what it says.
fn node(settings: &Settings) -> (Finding, Option<Value>) {
    let folder = settings.data_dir();
    let place = folder.display();
    let asked = running::client(folder).map(|client| client.get("/v1/status"));
    match asked {
        Ok(Ok(status)) => {
            let says = format!("runs with the data folder {place}");
            (Finding::right("node", says), Some(status))
        }
        Ok(Err(error)) if folder.is_dir() && !matches!(error, ClientError::NotRunning) => {
            let failure = running::failure(folder, error).to_string();
            let what = failure.lines().next().unwrap_or_default().to_owned();
            let advice = "restart it, or ask as the user who runs it";
            (Finding::wrong("node", what).advise(advice), None)
        }
        // Where no socket can be, no node runs.
        _ => (Finding::unknown("node", format!("none runs with the data folder {place}")), None),
    }
}

/// What servers see of the socket that the node would have, or of any if it has it.
fn by_servers(socket: Option<UdpSocket>, servers: &[String]) -> Finding {
    let is_own = socket.is_some();
    let any = || UdpSocket::bind("[::]:0").or_else(|_| UdpSocket::bind("0.0.0.0:0"));
    match socket.map_or_else(any, Ok) {
        Ok(socket) => translator::by_servers(&stun::ask(&socket, servers), is_own),
        Err(error) => Finding::wrong("STUN", format!("there is no UDP socket: {error}")),
    }
}
