//! A node that runs until a signal, and tells how it is: what `start` and `join` share.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use positron_networking::{
    Direction, NO_ADDRESS, Node, NodeEvent, StartError, Stats, reach::Machine,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    announcements::Announcements,
    control::{Request, Response, Server},
    failure::{Exit, Failure},
    fd_limit,
    global::Global,
    joining::join,
    logging::Log,
    peer_orders::obey,
    settings::{Settings, passphrase_of_environment},
    signals::Signals,
    table::{Fields, count, duration},
    terminal::{Terminal, folded, sanitised},
};

/// How often the status is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// Shortest time between two lines that tell why the node is alone.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// A node with its control socket.
#[derive(Debug)]
pub(crate) struct Service {
    node: Node,
    control: Option<Server>,
    signals: Signals,
    announcements: Announcements,
    terminal: Arc<Terminal>,
    json: bool,
}

impl Service {
    /// Starts the node of `settings`. Within a tokio runtime.
    pub(crate) async fn start(
        terminal: &Arc<Terminal>,
        global: Global,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        let log = Log::start(terminal, settings.level(global))?;
        let signals = Signals::listen(&log)?;
        let announcements = Announcements::start(terminal, global.json)?;
        fd_limit::raise();
        if let Some(file) = &settings.file {
            tracing::info!(file = %file.display(), "configuration read");
        }
        if let Some(path) = &settings.config.log_file {
            Log::could_be(path, settings.data_dir())?;
        }
        let mut builder = Node::builder(settings.config.clone());
        if let Some(passphrase) = passphrase_of_environment()? {
            builder = builder.key_passphrase(passphrase);
        }
        let node = builder.start().await.map_err(|error| not_started(&error))?;
        if let Some(path) = &settings.config.log_file {
            log.also_to(path)?;
            tracing::info!(node = %node.id().short(), "logging begins");
        }
        let control = control(&node, settings.data_dir(), terminal);
        let (terminal, json) = (Arc::clone(terminal), global.json);
        Ok(Self { node, control, signals, announcements, terminal, json })
    }

    /// The node.
    pub(crate) const fn node(&self) -> &Node {
        &self.node
    }

    /// The signals that the process gets.
    pub(crate) const fn signals(&mut self) -> &mut Signals {
        &mut self.signals
    }

    /// Tells who the node is and how to join it.
    pub(crate) fn introduce(&mut self) {
        let stats = self.node.stats();
        let invite = stats.invite();
        let warning = match &invite {
            Some(invite) => invite.warning(&stats.listen),
            None => Some(NO_ADDRESS),
        };
        // Whoever asked for loopback is told by the line that says who can reach the node.
        if let Some(warning) = warning.filter(|_| !is_on_loopback(&stats)) {
            self.terminal.warning(warning);
        }
        if Machine::this().is_without_ipv6(&stats.listen) {
            self.terminal
                .message("this machine has no IPv6: the node is reachable over IPv4 alone");
        }
        let invite = invite.map(|invite| invite.to_string());
        if self.json {
            let started = json!({
                "event": "started",
                "node_id": stats.node_id,
                "network": stats.network,
                "listen": stats.listen,
                "invite": invite,
                "data_dir": stats.storage.folder.as_ref().map(|folder| folder.to_string_lossy()),
                "pid": std::process::id(),
            });
            self.announcements.event(&started, Instant::now());
            return;
        }
        let mut fields = Fields::default();
        fields
            .line("node", stats.node_id)
            .line("network", &stats.network)
            .list("listening on", stats.listen.iter().map(ToString::to_string))
            .line("reachable", reachability(&stats));
        if let Some(folder) = &stats.storage.folder {
            fields.line("data folder", folder.display());
        }
        fields.list(
            "join it with",
            invite.iter().map(|invite| format!("positron-net join '{invite}'")),
        );
        self.announcements.line(fields);
    }

    /// Runs until the first signal. Tells what happens on the way.
    pub(crate) async fn run(&mut self) -> Result<Exit, Failure> {
        let mut events = self.node.events();
        let mut look = tokio::time::interval(LOOK);
        let mut told = Told::default();
        loop {
            tokio::select! {
                exit = self.signals.asked() => return Ok(exit),
                event = events.recv() => match event {
                    Some(event) => self.tell(&event),
                    None => {
                        let what = "the node stopped by itself";
                        return Err(Failure::new(Exit::Internal, what)
                            .try_this("look into the log above, and start it again"));
                    }
                },
                _ = look.tick() => self.tell_status(&mut told),
            }
        }
    }

    /// Stops the node, within five seconds.
    pub(crate) async fn shutdown(mut self) -> Result<(), Failure> {
        self.terminal.clear();
        tracing::info!(node = %self.node.id().short(), "stopping");
        if let Some(control) = self.control {
            control.close().await;
        }
        let stopped = self.node.shutdown().await;
        if self.json {
            self.announcements.event(&json!({ "event": "stopped" }), Instant::now());
        }
        self.announcements.finish().await;
        stopped.map_err(|error| {
            Failure::new(Exit::Storage, "the node is stopped, but not everything was written")
                .because(error)
        })
    }

    fn tell(&mut self, event: &NodeEvent) {
        let text = sanitised(&event.to_string());
        match event {
            NodeEvent::DialFailed { .. } => tracing::debug!("{text}"),
            NodeEvent::PeerBanned { .. }
            | NodeEvent::AddressBanned { .. }
            | NodeEvent::FewPeers { .. }
            | NodeEvent::BroadcastOutran { .. }
            | NodeEvent::NumbersBehind
            | NodeEvent::UsedTwice { .. }
            | NodeEvent::SuccessionConflict { .. }
            | NodeEvent::KeyRetired { .. }
            | NodeEvent::StorageWaits { .. }
            | NodeEvent::StorageFailed { .. } => {
                tracing::warn!("{text}");
            }
            _ => tracing::info!("{text}"),
        }
        if self.json {
            self.announcements.event(event, Instant::now());
        }
    }

    /// Redrawn in place on a terminal, otherwise when something changed.
    fn tell_status(&mut self, told: &mut Told) {
        let now = Instant::now();
        self.announcements.handle_timeout(now);
        let stats = self.node.stats();
        let line = status_line(&stats);
        if self.terminal.is_live() && !self.json {
            let uptime = duration(Duration::from_secs_f64(stats.uptime_s));
            let (columns, _) = self.terminal.size();
            let lines = folded(&format!("{uptime}  {line}"), columns.saturating_sub(1));
            self.terminal.draw(lines.iter().map(String::as_str));
        } else if told.is_news(stats.active_peers, &line, now) {
            if self.json {
                let status = json!({
                    "event": "status",
                    "active_peers": stats.active_peers,
                    "known_peers": stats.known_peers,
                    "isolation_reason": stats.isolation_reason,
                    "storage": storage(&stats),
                    "reachable": reachability(&stats),
                });
                self.announcements.event(&status, now);
            } else {
                self.terminal.message(line);
            }
        }
    }
}

/// What was told last, and when.
#[derive(Debug, Default)]
struct Told {
    peers: Option<usize>,
    line: String,
    at: Option<Instant>,
}

impl Told {
    /// Whether the line is worth telling: a change of peers at once, other changes now and then.
    fn is_news(&mut self, peers: usize, line: &str, now: Instant) -> bool {
        let recent = self.at.is_some_and(|at| now.duration_since(at) < COMPLAINT_INTERVAL);
        let news = self.peers != Some(peers) || (self.line != line && !recent);
        if news {
            *self = Self { peers: Some(peers), line: line.to_owned(), at: Some(now) };
        }
        news
    }
}

fn status_line(stats: &Stats) -> String {
    let known = stats.known_peers;
    let storage = storage_trouble(stats).map(|trouble| format!("; storage {trouble}"));
    let peers = match &stats.isolation_reason {
        Some(why) => format!("alone: {}", sanitised(why)),
        None => {
            let gossip = &stats.gossip;
            format!(
                "{} connected, {known} known; {} kept, {} delivered",
                count(stats.active_peers, "peer"),
                count(gossip.retained_messages, "broadcast"),
                gossip.counters.delivered
            )
        }
    };
    let elsewhere = elsewhere(stats).map(|places| format!("; in use elsewhere too: {places}"));
    peers + storage.as_deref().unwrap_or_default() + elsewhere.as_deref().unwrap_or_default()
}

/// Where the identity of this node is used beside here, if it is.
fn elsewhere(stats: &Stats) -> Option<String> {
    let ours = stats.used_twice.iter().find(|key| key.node_id == stats.node_id)?;
    let places: Vec<String> = ours.addresses.iter().map(ToString::to_string).collect();
    Some(places.join(" and "))
}

/// What is wrong with the disk, in words, if anything is.
fn storage_trouble(stats: &Stats) -> Option<String> {
    let storage = &stats.storage;
    match (&storage.failed, &storage.waits_for) {
        (Some(why), _) => Some(format!("failed: {}", sanitised(why))),
        (None, Some(why)) => {
            let broadcasts = count(storage.waiting_broadcasts, "broadcast");
            Some(format!("waits with {broadcasts} of ours: {}", sanitised(why)))
        }
        (None, None) => None,
    }
}

/// How the disk is, in words.
fn storage(stats: &Stats) -> String {
    storage_trouble(stats).unwrap_or_else(|| match &stats.storage.folder {
        Some(folder) => format!("in {}", sanitised(&folder.to_string_lossy())),
        None => "in memory: nothing is kept".into(),
    })
}

/// Whether others can reach the node, and how one knows, in words.
pub(crate) fn reachability(stats: &Stats) -> String {
    let inbound = stats.peers.iter().filter(|peer| peer.direction == Direction::Inbound).count();
    if is_on_loopback(stats) {
        return "from this machine only: it listens on loopback".into();
    }
    if inbound > 0 {
        let verb = if inbound == 1 { "has" } else { "have" };
        return format!("yes: {} {verb} dialled it", count(inbound, "peer"));
    }
    match stats.external_addresses.as_slice() {
        [] => "not known yet: nobody has dialled it so far".into(),
        seen => {
            let seen: Vec<String> = seen.iter().map(ToString::to_string).collect();
            format!("perhaps: as {}, but nobody has dialled it so far", seen.join(" or "))
        }
    }
}

fn is_on_loopback(stats: &Stats) -> bool {
    stats.listen.iter().all(|address| address.ip().is_loopback())
}

/// Why a node did not start, with the exit code that belongs to it.
pub(crate) fn not_started(error: &StartError) -> Failure {
    let exit = match error {
        StartError::Config(_) => Exit::Configuration,
        StartError::Bind { .. } => Exit::Network,
        StartError::Key(_)
        | StartError::KeyRetired { .. }
        | StartError::OtherIdentity { .. }
        | StartError::Storage(_) => Exit::Storage,
        StartError::Subscription(_) => Exit::Configuration,
        StartError::Entropy(_) | StartError::NoRuntime => Exit::Internal,
    };
    Failure::new(exit, "the node cannot start").because(error)
}

/// The control socket; a node without one runs all the same.
fn control(node: &Node, folder: &Path, terminal: &Terminal) -> Option<Server> {
    let node = node.clone();
    let server = Server::listen(folder, move |request| answer(node.clone(), request));
    server
        .inspect_err(|error| {
            terminal.warning(format_args!("`positron-net status` will not work: {error}"));
        })
        .ok()
}

async fn answer(node: Node, request: Request) -> Response {
    match request {
        Request::Status => status(&node.stats()),
        Request::Bans => written(&node.bans().await, Response::Bans),
        Request::LostPeers => written(&node.lost_peers().await, Response::LostPeers),
        Request::Dials => written(&node.recent_dials().await, Response::Dials),
        Request::Order(order) => match obey(&node, order).await {
            Ok(whom) => Response::Obeyed(whom),
            Err(why) => Response::Refused(why),
        },
        Request::Join { target } => match target.parse() {
            Ok(target) => match join(&node, &target).await {
                Ok(id) => Response::Joined(id),
                Err(why) => Response::NotJoined(why),
            },
            Err(error) => Response::Refused(error),
        },
    }
}

fn written<T: Serialize>(what: &T, answer: fn(Value) -> Response) -> Response {
    match serde_json::to_value(what) {
        Ok(value) => answer(value),
        Err(error) => Response::Refused(error.to_string()),
    }
}

/// Everything that the node tells about itself, and what only the command knows.
fn status(stats: &Stats) -> Response {
    match serde_json::to_value(stats) {
        Ok(Value::Object(mut status)) => {
            status.insert("pid".into(), std::process::id().into());
            status.insert("reachable".into(), reachability(stats).into());
            status.insert("storage_state".into(), storage(stats).into());
            let invite = stats.invite().map(|invite| invite.to_string());
            status.insert("invite".into(), invite.into());
            Response::Status(Value::Object(status))
        }
        _ => Response::Refused("the status cannot be written as JSON".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_peers_is_told_at_once_and_complaints_now_and_then() {
        let mut told = Told::default();
        let start = Instant::now();
        assert!(told.is_news(0, "alone: tried once", start));
        assert!(!told.is_news(0, "alone: tried once", start + COMPLAINT_INTERVAL));
        assert!(!told.is_news(0, "alone: tried twice", start + COMPLAINT_INTERVAL / 2));
        assert!(told.is_news(0, "alone: tried twice", start + COMPLAINT_INTERVAL));
        assert!(told.is_news(1, "1 peer", start + COMPLAINT_INTERVAL));
    }
}
