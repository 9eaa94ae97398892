//! What a node tells about itself.

use std::{collections::VecDeque, net::SocketAddr, path::Path, time::Duration};

pub use positron_proto::session::sessions::PerKind;
use positron_proto::{
    datagram::contract::EndpointCounters,
    direct, gossip,
    handshake::Direction,
    id::NodeId,
    metric::{Level, Metric, MetricValue, Unit, counters},
    nat::NatInfo,
    node::{
        AllLevels, NodeCore, NodeCounters, NodeView, SubscriptionView, Wake,
        view::{PeerView, StorageView, UsedTwice},
    },
    peers::{self, Bootstrap, Given, Reservation},
    request,
    session::sessions,
    shown::{millis, ratio, seconds},
    subnet::Subnet,
    succession,
    time::Now,
    trace,
    wire::Address,
};
use serde::Serialize;

use crate::{Invite, reach::Machine};

/// A node at one moment. Everything that was dropped is counted somewhere in it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stats {
    /// Who it is.
    pub node_id: NodeId,
    /// Its software.
    pub software: String,
    /// The name of its network.
    pub network: String,
    /// Where it listens.
    pub listen: Vec<SocketAddr>,
    /// Where its configuration says that others reach it.
    pub configured_addresses: Vec<String>,
    /// Where others can reach it, as far as it knows.
    pub external_addresses: Vec<SocketAddr>,
    /// What stands between it and the internet.
    pub nat: NatInfo,
    /// Seconds since its start.
    pub uptime_s: f64,
    /// Peers that are connected.
    pub active_peers: usize,
    /// Peers of the address book.
    pub known_peers: usize,
    /// When no peer is connected: why, in words.
    pub isolation_reason: Option<String>,
    /// What is missing in words, when fewer are connected than `min_peers`.
    pub few_peers: Option<String>,
    /// When the node acts next, if nothing happens.
    pub next_wake: Option<WakeStats>,
    /// The connected peers, in order of their ids.
    pub peers: Vec<PeerStats>,
    /// Broadcasts.
    pub gossip: GossipStats,
    /// Direct messages.
    pub direct: direct::DirectCounters,
    /// Requests.
    pub requests: request::RequestCounters,
    /// Links of connected peers, by what they are made of.
    pub links: PerKind<usize>,
    /// Sessions that went on over a link of each kind instead of one of another.
    pub moves: PerKind<u64>,
    /// Links and sessions.
    pub session: sessions::SessionCounters,
    /// Datagram connections.
    pub datagrams: DatagramStats,
    /// The address book and dials.
    pub discovery: peers::PeersCounters,
    /// Keys that gave way to others.
    pub succession: succession::SuccessionCounters,
    /// The way of messages.
    pub trace: trace::TraceCounters,
    /// Signatures, and what the node itself dropped.
    pub node: NodeCounters,
    /// What the node makes of its peers.
    pub trust: TrustStats,
    /// Peers that have slots of their own.
    pub reserved: Vec<ReservedStats>,
    /// Keys that are used in two places at once: this node's own among them, if it is.
    pub used_twice: Vec<UsedTwiceStats>,
    /// What is kept across restarts.
    pub storage: StorageStats,
    /// How it goes with each bootstrap address.
    pub bootstrap: Vec<BootstrapStats>,
    /// What the application took and lost.
    pub application: ApplicationStats,
    /// The durable subscriptions, by name.
    pub subscriptions: Vec<SubscriptionStats>,
    /// How near the node is to each of its bounds.
    pub limits: Vec<Usage>,
}

/// What there is of something, and the most that there can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Of what.
    pub name: &'static str,
    /// Who bounds it.
    pub room: &'static str,
    /// What one of it is.
    pub unit: Unit,
    /// What there is.
    pub used: u64,
    /// The most: beyond it something gives way, or is refused.
    pub limit: u64,
    /// What it is, in words.
    pub help: &'static str,
    /// What to do when it is near.
    pub when_high: &'static str,
}

fn usages(levels: &AllLevels) -> Vec<Usage> {
    let usage = |(metric, reading): (&'static Metric, MetricValue<'_>)| {
        let MetricValue::Level(Level { used, limit }) = reading else { return None };
        let &Metric { field: name, room, unit, help, when_high, .. } = metric;
        Some(Usage { name, room, unit, used, limit, help, when_high })
    };
    levels.iter().filter_map(usage).collect()
}

/// One connected peer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PeerStats {
    /// Who.
    pub node_id: NodeId,
    /// Where; `None` behind a relay.
    pub address: Option<SocketAddr>,
    /// Who forwards between it and this node, if it is behind a relay.
    pub relay: Option<NodeId>,
    /// Who dialled.
    pub direction: Direction,
    /// What its link is made of.
    pub transport: sessions::LinkKind,
    /// What this node makes of it.
    pub trust_score: f64,
    /// Seconds since it joined.
    pub connected_s: f64,
    /// Smoothed round trip time in milliseconds, once it is known.
    pub rtt_ms: Option<f64>,
    /// Bytes that wait for it.
    pub queued_bytes: usize,
}

/// When a node acts next, if nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct WakeStats {
    /// Milliseconds from now.
    pub in_ms: f64,
    /// For whom.
    pub reason: Wake,
}

/// Datagram connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DatagramStats {
    /// What happened.
    #[serde(flatten)]
    pub counters: EndpointCounters,
    /// Datagrams, or batches of them, that the kernel refused.
    pub unsent: u64,
    /// Datagrams that the kernel refused because of their size: how the largest is found.
    pub unsent_too_large: u64,
}

/// Datagrams, or batches of them, that the kernel refused: because of their size, and for other
/// reasons.
pub(crate) type Unsent = (u64, u64);

/// Broadcasts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct GossipStats {
    /// What happened.
    #[serde(flatten)]
    pub counters: gossip::GossipCounters,
    /// Messages kept for late and healed nodes.
    pub retained_messages: usize,
    /// Their bytes.
    pub retained_bytes: usize,
}

/// Trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TrustStats {
    /// Peers that are refused.
    pub banned: usize,
    /// Bans of addresses.
    pub banned_addresses: usize,
}

/// A peer that has a slot of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ReservedStats {
    /// Who.
    pub node_id: NodeId,
    /// Where it is dialled, besides where it says that it is.
    pub address: Option<SocketAddr>,
}

/// A key that is used in two places at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UsedTwiceStats {
    /// Whose: this node's own, or that of a peer.
    pub node_id: NodeId,
    /// Where: of this node's key the other place, as a peer told it; of that of a peer both.
    pub addresses: Vec<SocketAddr>,
}

/// Storage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StorageStats {
    /// The data folder; none: everything is in memory and ends with the node.
    #[serde(serialize_with = "as_shown")]
    pub folder: Option<std::path::PathBuf>,
    /// Changes that were to be stored.
    pub changes: u64,
    /// Those that wait for the disk.
    pub waiting_changes: usize,
    /// Their memory in bytes, about.
    pub waiting_bytes: usize,
    /// Broadcasts of this node that wait for the disk. They are sent, and not durable.
    pub waiting_broadcasts: usize,
    /// What storage waits for, in words, if the disk takes nothing for now. It goes on by itself.
    pub waits_for: Option<String>,
    /// Why storage failed for good, if it did.
    pub failed: Option<String>,
}

/// One bootstrap address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BootstrapStats {
    /// As it was given.
    pub address: String,
    /// Whether the running node was asked to join there, and the configuration does not name it.
    pub joined: bool,
    /// What happened last, in words.
    pub state: String,
    /// Dials so far.
    pub attempts: u32,
}

counters! {
    /// The application's side.
    pub struct ApplicationStats of "application";

    subscribers: Gauge Count "Those who read messages: inboxes and handlers.";
    messages_dropped: Counter Count "Messages that slow subscribers lost."
        high "A subscriber is too slow: make it faster, or use a durable subscription.";
    messages_unheard: Counter Count "Messages without inbox or handler."
        high "Durable subscriptions have them; otherwise subscribe before the node starts.";
    events_dropped: Counter Count "Events that slow subscribers lost."
        high "A reader of events is too slow.";
    undecodable: Counter Count "Messages that no handler could read."
        high "Senders use another format than this application.";
}

/// A durable subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubscriptionStats {
    /// Its name.
    pub name: String,
    /// Messages that wait to be acknowledged.
    pub unacknowledged: u64,
    /// Messages that were forgotten before they were, since the last acknowledgment.
    pub missed: u64,
}

impl From<&SubscriptionView> for SubscriptionStats {
    fn from(of: &SubscriptionView) -> Self {
        Self { name: of.name.clone(), unacknowledged: of.unacknowledged, missed: of.missed }
    }
}

/// A peer that this node trusts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrustedPeer {
    /// Who.
    pub node_id: NodeId,
    /// How much, from 0.0 to `max_trust_score`.
    pub trust_score: f64,
    /// Where, if it is connected and behind no relay.
    pub address: Option<SocketAddr>,
}

/// A node of the address book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KnownNode {
    /// Who.
    pub node_id: NodeId,
    /// Where: at which address it answered last, or else which it says first.
    pub address: Option<SocketAddr>,
    /// What it runs, as it says: any text.
    pub software: String,
    /// Who told of it, the last at the end; four at most. That is what they say, and no link that
    /// anybody saw.
    pub told_by: Vec<NodeId>,
}

/// A ban that there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ban {
    /// Of whom.
    #[serde(flatten)]
    pub of: Banned,
    /// Until when, in seconds since 1970.
    pub until_unix_secs: u64,
    /// The words with which it was ordered; `None`: a score fell too low.
    pub reason: Option<String>,
}

/// Who is banned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Banned {
    /// One node, wherever it is.
    #[serde(rename = "node_id")]
    Node(NodeId),
    /// Whoever is at these addresses.
    #[serde(rename = "addresses")]
    Addresses(Subnet),
}

/// What the core does not know about its node.
pub(crate) struct Surroundings<'a> {
    pub(crate) network: &'a str,
    pub(crate) listen: &'a [SocketAddr],
    pub(crate) configured: &'a [String],
    pub(crate) uptime: Duration,
    /// How old the view is.
    pub(crate) age: Duration,
    /// The data folder.
    pub(crate) folder: Option<&'a Path>,
    pub(crate) unsent: Unsent,
    pub(crate) application: ApplicationStats,
}

impl Stats {
    /// What another node needs to join this one: see [`Node::invite`](crate::Node::invite).
    pub fn invite(&self) -> Option<Invite> {
        let addresses = Machine::this().dialable(&self.external_addresses, &self.listen);
        Invite::new(self.node_id, &self.network, &self.configured_addresses, &addresses)
    }

    pub(crate) fn new(view: &NodeView, around: Surroundings<'_>) -> Self {
        let kept = view.kept;
        Self {
            node_id: view.id,
            software: crate::NetworkConfig::software(),
            network: around.network.to_owned(),
            listen: around.listen.to_vec(),
            configured_addresses: around.configured.to_vec(),
            external_addresses: view.external_addresses.clone(),
            nat: view.nat.clone(),
            uptime_s: seconds(around.uptime),
            active_peers: view.peers.len(),
            known_peers: view.known_peers,
            isolation_reason: view.isolation_reason(),
            few_peers: view.few_peers(),
            next_wake: view.next_wake.map(|(after, reason)| WakeStats {
                in_ms: millis(after.saturating_sub(around.age)),
                reason,
            }),
            peers: peer_stats(view, around.age),
            gossip: GossipStats {
                counters: view.counters.gossip,
                retained_messages: kept.0,
                retained_bytes: kept.1,
            },
            direct: view.counters.direct,
            requests: view.counters.requests,
            links: links_of(view),
            moves: view.moves,
            session: view.counters.session,
            datagrams: DatagramStats {
                counters: view.counters.datagrams,
                unsent: around.unsent.1,
                unsent_too_large: around.unsent.0,
            },
            discovery: view.counters.peers,
            succession: view.counters.succession,
            trace: view.counters.trace,
            node: view.counters.node,
            trust: TrustStats { banned: view.banned, banned_addresses: view.banned_addresses },
            reserved: view.reserved.iter().map(ReservedStats::new).collect(),
            used_twice: view.used_twice.iter().map(UsedTwiceStats::new).collect(),
            storage: StorageStats::new(&view.storage, around.folder),
            bootstrap: view.bootstrap.iter().map(BootstrapStats::new).collect(),
            application: around.application,
            subscriptions: view.subscriptions.iter().map(SubscriptionStats::from).collect(),
            limits: usages(&view.levels),
        }
    }
}

fn peer_stats(view: &NodeView, age: Duration) -> Vec<PeerStats> {
    let one = |peer: &PeerView| PeerStats {
        node_id: peer.session.peer.id,
        address: peer.place.address,
        relay: peer.place.relay,
        direction: peer.session.peer.direction,
        transport: peer.session.transport,
        trust_score: ratio(peer.score),
        connected_s: seconds(peer.connected_for + age),
        rtt_ms: peer.session.rtt.map(millis),
        queued_bytes: peer.session.queued_bytes,
    };
    view.peers.iter().map(one).collect()
}

fn links_of(view: &NodeView) -> PerKind<usize> {
    PerKind::new(|kind| view.peers.iter().filter(|peer| peer.session.transport == kind).count())
}

impl StorageStats {
    fn new(of: &StorageView, folder: Option<&Path>) -> Self {
        Self {
            folder: folder.map(Path::to_owned),
            changes: of.changes,
            waiting_changes: of.waiting_changes,
            waiting_bytes: of.waiting_bytes,
            waiting_broadcasts: of.waiting_broadcasts,
            waits_for: of.waits_for.clone(),
            failed: of.failed.clone(),
        }
    }
}

impl ReservedStats {
    const fn new(of: &Reservation) -> Self {
        Self { node_id: of.peer, address: of.at }
    }
}

impl UsedTwiceStats {
    fn new(of: &UsedTwice) -> Self {
        Self { node_id: of.node, addresses: of.addresses.clone() }
    }
}

impl BootstrapStats {
    fn new(of: &Bootstrap) -> Self {
        Self {
            address: of.address.clone(),
            joined: of.given == Given::Joined,
            state: of.state.to_string(),
            attempts: of.attempts,
        }
    }
}

/// A path that is not UTF-8 must not keep anybody from the rest.
fn as_shown<S: serde::Serializer>(
    path: &Option<std::path::PathBuf>,
    to: S,
) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.to_string_lossy()).serialize(to)
}

/// Who has at least this score and is not refused, the most trusted first.
pub(crate) fn trusted(core: &NodeCore, now: Now, min_trust: f64) -> Vec<TrustedPeer> {
    let connected = core.view(now).peers;
    let of = |peer: &PeerView| TrustedPeer {
        node_id: peer.session.peer.id,
        trust_score: peer.score,
        address: peer.place.address,
    };
    let mut trusted: Vec<_> = connected.iter().map(of).collect();
    let standings = core.trust().standings();
    for (id, standing) in standings.iter() {
        if !connected.iter().any(|peer| peer.session.peer.id == *id) {
            let (node_id, trust_score) = (*id, standing.score);
            trusted.push(TrustedPeer { node_id, trust_score, address: None });
        }
    }
    trusted.retain(|peer| {
        peer.trust_score >= min_trust && !standings.is_banned(&peer.node_id, now.wall)
    });
    trusted.sort_by(|a, b| b.trust_score.total_cmp(&a.trust_score));
    trusted
}

/// Everybody in the address book, in order of their ids.
pub(crate) fn known_nodes(core: &NodeCore) -> Vec<KnownNode> {
    let one = |(known, tellers): (&peers::KnownPeer, &VecDeque<NodeId>)| {
        let record = known.record.content();
        KnownNode {
            node_id: record.node_id(),
            address: known
                .dialled
                .or_else(|| record.addresses.iter().find_map(Address::socket_addr)),
            software: record.software.clone(),
            told_by: tellers.iter().copied().collect(),
        }
    };
    core.peers().hearsay().map(one).collect()
}

/// Every ban: of nodes first, each in their order.
pub(crate) fn bans(core: &NodeCore) -> Vec<Ban> {
    let nodes = core.trust().bans().map(|(peer, until, words)| Ban {
        of: Banned::Node(peer),
        until_unix_secs: until.as_unix_secs(),
        reason: words.map(str::to_owned),
    });
    let addresses = core.trust().address_bans().map(|ban| Ban {
        of: Banned::Addresses(ban.addresses),
        until_unix_secs: ban.until.as_unix_secs(),
        reason: Some(ban.why.to_string()),
    });
    nodes.chain(addresses).collect()
}
