//! A node that runs until a signal, and tells how it is: what `start` and `join` share.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use positron_admin::{
    ApiPort, Logbook, Server, ServerError, Surroundings, reachability, storage_state,
    storage_trouble,
};
use positron_networking::{
    NO_ADDRESS, NetworkConfig, Node, NodeEvent, StartError, Stats, reach::Machine,
};
use serde_json::json;

use crate::{
    announcements::Announcements,
    failure::{Exit, Failure},
    fd_limit,
    global::Global,
    logging::Log,
    settings::{Settings, passphrase_of_environment},
    signals::Signals,
    table::{Fields, count, duration},
    terminal::{Terminal, folded, sanitised},
};

/// How often the status is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// Shortest time between two lines that tell why the node is alone.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// A node with its API.
#[derive(Debug)]
pub(crate) struct Service {
    node: Node,
    api: Server,
    signals: Signals,
    log: Log,
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
        let NetworkConfig { api_listen, api_in_clear_text, .. } = settings.config;
        let port = match api_listen {
            Some(address) => {
                let port = ApiPort::bind(address, api_in_clear_text).await;
                Some(port.map_err(|error| no_api(&error))?)
            }
            None => None,
        };
        let log = Log::start(terminal, settings.log(global))?;
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
        let api = api(&node, &log, settings, port, terminal)?;
        let (terminal, json) = (Arc::clone(terminal), global.json);
        Ok(Self { node, api, signals, log, announcements, terminal, json })
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
                () = self.api.stop_asked() => return Ok(Exit::Ok),
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
        self.api.close().await;
        let stopped = self.node.shutdown().await;
        if self.json {
            self.announcements.event(&json!({ "event": "stopped" }), Instant::now());
        }
        self.announcements.finish().await;
        self.log.flush();
        stopped.map_err(|error| {
            Failure::new(Exit::Storage, "the node is stopped, but not everything was written")
                .because(error)
        })
    }

    fn tell(&mut self, event: &NodeEvent) {
        // Each kind of event is a kind of message, so that a flood of one hides no other.
        let kind = name(event);
        match event {
            NodeEvent::DialFailed { .. } => tracing::debug!(event = kind, "{event}"),
            NodeEvent::PeerBanned { .. }
            | NodeEvent::AddressBanned { .. }
            | NodeEvent::FewPeers { .. }
            | NodeEvent::BroadcastOutran { .. }
            | NodeEvent::NumbersBehind
            | NodeEvent::UsedTwice { .. }
            | NodeEvent::Equivocated { .. }
            | NodeEvent::SuccessionConflict { .. }
            | NodeEvent::KeyRetired { .. }
            | NodeEvent::StorageWaits { .. }
            | NodeEvent::StorageFailed { .. } => tracing::warn!(event = kind, "{event}"),
            _ => tracing::info!(event = kind, "{event}"),
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
                    "storage": storage_state(&stats),
                    "reachable": reachability(&stats),
                });
                self.announcements.event(&status, now);
            } else {
                self.terminal.message(line);
            }
        }
    }
}

/// What the event is called for programs.
fn name(event: &NodeEvent) -> String {
    let event = serde_json::to_value(event).unwrap_or_default();
    event["event"].as_str().unwrap_or_default().to_owned()
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
    let storage = storage_trouble(stats);
    let storage = storage.map(|trouble| format!("; storage {}", sanitised(&trouble)));
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

/// The API; a node whose command cannot ask it runs all the same. A port that was wished for and
/// cannot be had is an error.
fn api(
    node: &Node,
    log: &Log,
    settings: &Settings,
    port: Option<ApiPort>,
    terminal: &Terminal,
) -> Result<Server, Failure> {
    let log: Arc<dyn Logbook> = Arc::new(log.clone());
    let around = Surroundings { config: settings.told.clone(), log: Some(log) };
    let mut server = Server::new(node.clone(), around);
    if let Err(error) = server.listen_in(settings.data_dir()) {
        terminal.warning(format_args!("`positron-net status` will not work: {error}"));
    }
    if let Some(port) = port {
        let listens = server.listen_at(port, settings.data_dir());
        let address = listens.map_err(|error| no_api(&error))?;
        tracing::info!(%address, "the API listens");
    }
    Ok(server)
}

fn no_api(error: &ServerError) -> Failure {
    let what = "the API cannot listen";
    match error {
        ServerError::NotLoopback(_) => {
            Failure::new(Exit::Configuration, what).because(error).try_this(
                "listen on 127.0.0.1 and come through a tunnel (ssh -L 9777:127.0.0.1:9777), or \
                 take the risk with --api-in-clear-text",
            )
        }
        ServerError::Bind(..) => Failure::new(Exit::Network, what)
            .because(error)
            .try_this("another port: --api 127.0.0.1:0 takes a free one"),
        ServerError::Token(_) => Failure::new(Exit::Storage, what).because(error),
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
