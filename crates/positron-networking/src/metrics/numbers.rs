//! All numbers of one node at one moment.

use positron_proto::{
    metric::{Metric, MetricKind, Reading, Unit, counters},
    node::{AllCounters, AllLevels, NodeView, view::PeerView},
};

use super::PeerDetail;
use crate::{limits::MAX_METRIC_PEERS, stats::ApplicationStats};

counters! {
    /// What the sockets of a node did.
    pub struct SocketNumbers of "transport";

    uptime: Gauge Seconds "Since the start of the node.";
    unsent: Counter Count "Datagrams, or batches of them, that the kernel refused."
        high "This machine's network is overloaded, or its address is gone.";
    unsent_too_large: Counter Count "Datagrams that the kernel refused because of their size."
        high "Nothing: this is how the largest size is found.";
}

/// All numbers of one node at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodeNumbers {
    /// The beginning of its id.
    pub(crate) node: String,
    counters: AllCounters,
    levels: AllLevels,
    sockets: SocketNumbers,
    application: ApplicationStats,
    pub(super) peers: Vec<PeerNumbers>,
}

/// One connected peer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PeerNumbers {
    /// The beginning of its id.
    pub(super) peer: String,
    /// In the order of [`PER_PEER`].
    pub(super) values: [f64; PER_PEER.len()],
}

/// What is told of each peer, if it is asked for.
pub(super) const PER_PEER: [Metric; 4] = [
    per_peer("connected", Unit::Seconds, "Since the peer joined.", ""),
    per_peer("round_trip", Unit::Seconds, "Smoothed round trip time; 0 while it is unknown.", ""),
    per_peer(
        "queued_bytes",
        Unit::Bytes,
        "Bytes that wait for the peer.",
        "The peer is slow: see whether its machine or its line is overloaded.",
    ),
    per_peer("trust_score", Unit::Count, "What this node makes of the peer.", ""),
];

const fn per_peer(
    field: &'static str,
    unit: Unit,
    help: &'static str,
    when_high: &'static str,
) -> Metric {
    Metric { room: "peer", field, kind: MetricKind::Gauge, unit, labels: &[], help, when_high }
}

impl NodeNumbers {
    pub(crate) fn new(
        view: &NodeView,
        sockets: SocketNumbers,
        application: ApplicationStats,
        detail: PeerDetail,
    ) -> Self {
        let peers = match detail {
            PeerDetail::Without => Vec::new(),
            PeerDetail::With => longest_connected(&view.peers),
        };
        Self {
            node: view.id.short().to_string(),
            counters: view.counters,
            levels: view.levels,
            sockets,
            application,
            peers,
        }
    }

    /// Every number with what it is, always in the same order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static Metric, Reading<'_>)> {
        let core = self.counters.iter().chain(self.levels.iter());
        core.chain(self.sockets.iter()).chain(self.application.iter())
    }

    /// The sum of what this number is split into.
    pub(super) fn total(&self, room: &str, field: &str) -> u64 {
        let found = self.iter().find(|(metric, _)| metric.room == room && metric.field == field);
        found.map_or(0, |(_, reading)| reading.total())
    }
}

/// Whoever comes and goes makes no series, and of several whose ids begin alike one is told: two
/// series with one name would cost the reader the whole text, and such ids can be made.
fn longest_connected(peers: &[PeerView]) -> Vec<PeerNumbers> {
    let mut oldest: Vec<&PeerView> = peers.iter().collect();
    oldest.sort_by_key(|peer| core::cmp::Reverse(peer.connected_for));
    let mut told: Vec<PeerNumbers> = Vec::new();
    for peer in oldest {
        let name = peer.session.peer.id.short().to_string();
        if told.len() >= MAX_METRIC_PEERS {
            break;
        }
        if told.iter().all(|other| other.peer != name) {
            told.push(PeerNumbers { peer: name, values: values_of(peer) });
        }
    }
    told.sort_by(|a, b| a.peer.cmp(&b.peer));
    told
}

fn values_of(peer: &PeerView) -> [f64; PER_PEER.len()] {
    #[allow(clippy::cast_precision_loss)] // queues are far below 2^52 bytes
    let queued = peer.session.queued_bytes as f64;
    let round_trip = peer.session.rtt.unwrap_or_default();
    [peer.connected_for.as_secs_f64(), round_trip.as_secs_f64(), queued, peer.score]
}

/// What each number of a node is, in the order in which they are told.
pub(super) fn table() -> Vec<&'static Metric> {
    NodeNumbers::default().iter().map(|(metric, _)| metric).collect()
}
