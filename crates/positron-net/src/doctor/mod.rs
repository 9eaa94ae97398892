//! What is right and wrong with this machine and its way to the internet, as far as one can tell
//! without a node, and what to change.

mod finding;
mod folder;
mod machine;
mod node;
mod servers;
mod translator;

use std::net::UdpSocket;

pub(crate) use finding::{Finding, Verdict};
use node::NodeState;

use crate::settings::Settings;

/// Everything that is looked at, in the order in which it is told. It changes nothing, and takes
/// five seconds if the node does not answer, and as long if a server does not.
pub(crate) fn examine(settings: &Settings, servers: &[String]) -> Vec<Finding> {
    let config = &settings.config;
    let (of_node, node) = node::look(settings.data_dir());
    let mut findings = vec![of_node];
    if let NodeState::Tells(told) = &node {
        findings.push(told.peers());
    }
    let (udp, socket) = machine::udp(config, &node);
    findings.extend([udp, machine::tcp(config, &node)]);
    findings.extend(machine::families(config, node.status()));
    findings.push(translator::by_peers(&node, !servers.is_empty()));
    findings.extend(translator::by_router(&node));
    if !servers.is_empty() {
        findings.push(by_servers(socket, servers));
    }
    findings.push(machine::clock());
    findings.push(machine::descriptors(crate::fd_limit::raise()));
    findings.push(folder::data_folder(settings.data_dir()));
    findings
}

/// What servers see of the socket that the node would have, or of any if it has it.
fn by_servers(socket: Option<UdpSocket>, servers: &[String]) -> Finding {
    let is_own = socket.is_some();
    let any = || UdpSocket::bind("[::]:0").or_else(|_| UdpSocket::bind("0.0.0.0:0"));
    match socket.map_or_else(any, Ok) {
        Ok(socket) => translator::by_servers(&servers::ask(&socket, servers), is_own),
        Err(error) => Finding::wrong("STUN", format!("there is no UDP socket: {error}")),
    }
}
