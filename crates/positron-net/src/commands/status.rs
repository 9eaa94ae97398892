//! `positron-net status`: how the running node is.

use std::{net::SocketAddr, time::Duration};

use clap::Args;
use comfy_table::Table;
use positron_networking::{NodeId, PeerPlace};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    commands::ended::walk,
    failure::{Exit, Failure},
    global::Global,
    running::Running,
    settings::NodeSelector,
    table::{Fields, Fit, bytes, count, duration, fitted},
    terminal::{Terminal, sanitised},
};

/// Asks the running node how it is, and why it is alone if it is.
#[derive(Args, Debug)]
pub(crate) struct StatusOptions {
    #[command(flatten)]
    selector: NodeSelector,
}

impl StatusOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        let running = Running::of(&self.selector, terminal)?;
        let value: Value = running.get("/v1/status")?;
        if global.json {
            terminal.document(&value)?;
            return Ok(Exit::Ok);
        }
        let status = read(value)?;
        let mut fields = fields(&status);
        if status.peers.is_empty() {
            let dials: Value = running.get("/v1/dials")?;
            fields.list("what came of dials", walk(dials["dials"].clone())?);
        }
        terminal.data(fields)?;
        if !status.peers.is_empty() {
            terminal.data(peers(&status, terminal.width()))?;
        }
        Ok(Exit::Ok)
    }
}

fn read(status: Value) -> Result<Status, Failure> {
    serde_json::from_value(status).map_err(|error| {
        Failure::new(Exit::Unreachable, "the running node tells it in a way of its own")
            .because(error)
            .try_this("it is of another version: ask with that one, or with --json")
    })
}

/// The table of peers in a status, for a terminal of this width if there is one.
pub(crate) fn peers_of(status: Value, width: Option<usize>) -> Result<Table, Failure> {
    Ok(peers(&read(status)?, width))
}

/// What people are shown of the answer.
#[derive(Debug, Deserialize)]
struct Status {
    node_id: NodeId,
    network: String,
    listen: Vec<SocketAddr>,
    reachable: String,
    nat_in_words: String,
    port_mapping_in_words: Option<String>,
    storage_state: String,
    uptime_s: f64,
    active_peers: usize,
    links: Links,
    known_peers: usize,
    isolation_reason: Option<String>,
    few_peers: Option<String>,
    next_wake: Option<NextWake>,
    peers: Vec<Peer>,
    gossip: Gossip,
    trust: Trust,
    used_twice: Vec<UsedTwice>,
    bootstrap: Vec<Bootstrap>,
}

#[derive(Debug, Deserialize)]
struct Peer {
    node_id: NodeId,
    address: Option<SocketAddr>,
    relay: Option<NodeId>,
    direction: String,
    transport: String,
    trust_score: f64,
    connected_s: f64,
    rtt_ms: Option<f64>,
    queued_bytes: u64,
}

#[derive(Debug, Deserialize)]
struct NextWake {
    in_ms: f64,
    reason: String,
}

#[derive(Debug, Deserialize)]
struct Links {
    udp: usize,
    tcp: usize,
    relay: usize,
}

#[derive(Debug, Deserialize)]
struct Gossip {
    retained_messages: usize,
    retained_bytes: u64,
}

#[derive(Debug, Deserialize)]
struct Trust {
    banned: usize,
    banned_addresses: usize,
}

#[derive(Debug, Deserialize)]
struct UsedTwice {
    node_id: NodeId,
    addresses: Vec<SocketAddr>,
}

#[derive(Debug, Deserialize)]
struct Bootstrap {
    address: String,
    #[serde(default)]
    joined: bool,
    state: String,
    attempts: u32,
}

fn fields(status: &Status) -> Fields {
    let (active, known, banned) = (status.active_peers, status.known_peers, status.trust.banned);
    let at = status.trust.banned_addresses;
    let banned_addresses = (at > 0).then(|| format!("{at}, see `positron-net bans`"));
    let tried = |node: &Bootstrap| {
        let (address, state) = (sanitised(&node.address), sanitised(&node.state));
        let asked = if node.joined { ", asked to join; `positron-net forget` ends it" } else { "" };
        format!("{address}: {state} ({}{asked})", count(node.attempts, "attempt"))
    };
    let mut fields = Fields::default();
    fields
        .line("node", status.node_id)
        .line("network", sanitised(&status.network))
        .list("listening on", status.listen.iter().map(ToString::to_string))
        .line("reachable", sanitised(&status.reachable))
        .line("translator (NAT)", sanitised(&status.nat_in_words))
        .list("port mapped", status.port_mapping_in_words.iter().map(|words| sanitised(words)))
        .line("running for", duration(seconds(status.uptime_s)))
        .line("peers", format_args!("{active} connected, {known} known, {banned} banned"))
        .line("links", links(&status.links))
        .list("banned addresses", banned_addresses)
        .list("alone because", status.isolation_reason.iter().map(|why| sanitised(why)))
        .list("too few peers", status.few_peers.iter().map(|why| sanitised(why)))
        .list("next wake-up", status.next_wake.iter().map(next_wake))
        .list("bootstrap", status.bootstrap.iter().map(tried))
        .line("storage", sanitised(&status.storage_state))
        .list("identity in use twice", status.used_twice.iter().map(|key| used_twice(status, key)))
        .line(
            "broadcasts kept",
            format_args!(
                "{} ({})",
                status.gossip.retained_messages,
                bytes(status.gossip.retained_bytes)
            ),
        );
    fields
}

fn links(Links { udp, tcp, relay }: &Links) -> String {
    let relayed = if *relay > 0 { format!(", {relay} relayed") } else { String::new() };
    format!("{udp} over UDP, {tcp} over TCP{relayed}")
}

fn used_twice(status: &Status, key: &UsedTwice) -> String {
    let places: Vec<String> = key.addresses.iter().map(ToString::to_string).collect();
    let places = match &places[..] {
        [] => "behind relays".to_owned(),
        _ => format!("at {}", places.join(" and ")),
    };
    if key.node_id == status.node_id {
        format!("this node's, elsewhere {places}: stop one of the two, or give it its own key")
    } else {
        format!("that of peer {}: {places}", key.node_id.short())
    }
}

fn next_wake(wake: &NextWake) -> String {
    format!("in {:.0} ms, for {}", wake.in_ms, sanitised(&wake.reason))
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn peers(status: &Status, width: Option<usize>) -> Table {
    let head = ["peer", "address", "dialled by", "over", "trust", "rtt", "connected for", "queued"];
    let rows = status.peers.iter().map(|peer| {
        let rtt = peer.rtt_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms"));
        [
            peer.node_id.short(),
            PeerPlace { address: peer.address, relay: peer.relay }.to_string(),
            if peer.direction == "outbound" { "us" } else { "it" }.to_owned(),
            sanitised(&peer.transport).to_uppercase(),
            format!("{:.3}", peer.trust_score),
            rtt,
            duration(seconds(peer.connected_s)),
            bytes(peer.queued_bytes),
        ]
    });
    let fit = Fit { expendable: &[7, 2, 6, 4, 1, 3], words: None };
    fitted(head, rows.collect(), width, fit)
}
