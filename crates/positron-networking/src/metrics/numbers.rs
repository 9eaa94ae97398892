//! All numbers of one node at one moment.

use positron_proto::{
    id::NodeId,
    metric::{Metric, MetricKind, MetricValue, Unit, counters},
    node::{
        AllCounters, AllLevels, NodeView,
        readiness::{Readiness, ReadyCheck},
        view::PeerView,
    },
};

use super::ByPeer;
use crate::{limits::MAX_METRIC_PEERS, stats::ApplicationStats};

counters! {
    /// What the sockets of a node did.
    pub struct SocketNumbers of "transport";

    uptime: Gauge Seconds "Since the start of the node.";
    unsent: Counter Count "Datagrams, or batches, that the kernel refused."
        high "This machine's network is overloaded, or its address is gone.";
    unsent_too_large: Counter Count "Datagrams too large for the kernel."
        high "Nothing: this is how the largest size is found.";
}

counters! {
    /// What is right with a node.
    pub struct ReadyNumbers of "node";

    ready: Gauge Count "Checks of readiness: 1 for each that holds, 0 for each that does not."
        by (ReadyCheck)
        high "Nothing. For what is missing where it is 0 see `/readyz`, or `positron-net status`.";
}

impl From<&Readiness> for ReadyNumbers {
    fn from(readiness: &Readiness) -> Self {
        let mut numbers = Self::default();
        for check in &readiness.checks {
            numbers.ready.add((check.check,), u64::from(check.ok));
        }
        numbers
    }
}

/// Whoever has a node's numbers.
pub(crate) trait Numbers: std::fmt::Debug + Send + Sync {
    /// What they are, at most half a second old.
    fn numbers(&self, detail: ByPeer) -> NodeNumbers;
}

/// All numbers of one node at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodeNumbers {
    /// The beginning of its id.
    pub(crate) node: String,
    counters: AllCounters,
    levels: AllLevels,
    sockets: SocketNumbers,
    ready: ReadyNumbers,
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
        ready: ReadyNumbers,
        application: ApplicationStats,
        detail: ByPeer,
    ) -> Self {
        let peers = match detail {
            ByPeer::Without => Vec::new(),
            ByPeer::With => longest_connected(&view.peers),
        };
        Self {
            node: beginning(&view.id),
            counters: view.counters,
            levels: view.levels,
            sockets,
            ready,
            application,
            peers,
        }
    }

    /// Every number with what it is, always in the same order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static Metric, MetricValue<'_>)> {
        let core = self.counters.iter().chain(self.levels.iter());
        core.chain(self.ready.iter()).chain(self.sockets.iter()).chain(self.application.iter())
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
        let name = beginning(&peer.session.peer.id);
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

/// Eight characters: for people to recognise, and short in every series.
fn beginning(id: &NodeId) -> String {
    let mut name = id.short();
    name.truncate(8);
    name
}

fn values_of(peer: &PeerView) -> [f64; PER_PEER.len()] {
    #[allow(clippy::cast_precision_loss)] // queues are far below 2^52 bytes
    let queued = peer.session.queued_bytes as f64;
    let round_trip = peer.session.rtt.unwrap_or_default();
    [peer.connected_for.as_secs_f64(), round_trip.as_secs_f64(), queued, peer.score]
}

/// What each number of a node is, in the order in which they are told; at the end, those of single
/// peers.
pub fn table() -> Vec<&'static Metric> {
    let of_node = NodeNumbers::default();
    let of_node = of_node.iter().map(|(metric, _)| metric);
    of_node.chain(&PER_PEER).collect()
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use positron_proto::{
        handshake::Direction,
        id::LinkId,
        identity::Identity,
        node::{NodeConfig, NodeCore, Snapshot},
        relay::PeerPlace,
        rng::Seed,
        session::sessions::{LinkKind, Peer, SessionView},
        time::{Instant, Now},
    };

    use super::*;
    use crate::{
        limits::{MAX_OWN_SERIES, MAX_SERIES},
        metrics::{Exposition, MetricsFormat},
    };

    /// A node with so many peers, of which each one's id begins like `alike - 1` others'.
    fn crowded(peers: u32, alike: u32) -> NodeView {
        let identity = Arc::new(Identity::from_seed([1; 32]));
        let key = *identity.public_key();
        let (config, now) = (NodeConfig::default(), Now::default());
        let core = NodeCore::new(config, identity, Snapshot::default(), &Seed::from_number(1), now);
        let mut view = core.view(now);
        for n in 0..peers {
            let mut id = [0xff; 32];
            id[..4].copy_from_slice(&(n / alike).to_be_bytes());
            id[28..].copy_from_slice(&n.to_be_bytes());
            let peer = Peer {
                id: NodeId::from_bytes(id),
                key,
                noise_static: [0; 32],
                addr: ([10, 0, 0, 1], 1).into(),
                direction: Direction::Inbound,
                link: LinkId::of_core(u64::from(n)),
                boot: 0,
            };
            let since = Instant::ORIGIN;
            let (rtt, transport) = (Some(Duration::from_millis(3)), LinkKind::Udp);
            let session = SessionView { peer, since, rtt, queued_bytes: usize::MAX, transport };
            let connected_for = Duration::from_secs(u64::from(n));
            let place = PeerPlace { address: Some(session.peer.addr), relay: None };
            view.peers.push(PeerView { session, place, score: 0.5, connected_for });
        }
        view
    }

    fn numbers(view: &NodeView, detail: ByPeer) -> NodeNumbers {
        NodeNumbers::new(
            view,
            SocketNumbers::default(),
            ReadyNumbers::default(),
            ApplicationStats::default(),
            detail,
        )
    }

    fn series(text: &str) -> Vec<&str> {
        text.lines().filter(|line| !line.starts_with('#')).collect()
    }

    #[test]
    fn the_size_of_the_text_is_bounded_whoever_is_connected_and_whatever_was_counted() {
        /// Digits beyond the one of zero: of the largest number, for bytes.
        const BYTES_DIGITS: usize = 19;
        /// Of what is counted one by one: a million a second, for three centuries.
        const COUNT_DIGITS: usize = 15;
        let view = crowded(1_000, 2);
        for format in [MetricsFormat::OpenMetrics, MetricsFormat::Text] {
            let text = |detail| {
                Exposition::new(vec![numbers(&view, detail)], false, Vec::new()).text(format)
            };
            let without = text(ByPeer::Without);
            let count = series(&without).len();
            assert!(count <= MAX_SERIES, "{count} series");
            // A limit does not grow, and what is used of it has no more digits.
            let all = series(&without);
            let limits: Vec<_> = all.iter().filter(|line| line.contains("_limit")).collect();
            let digits = |line: &&&str| line.rsplit(' ').next().map_or(0, str::len);
            let used: usize = limits.iter().copied().map(|line| digits(&line)).sum();
            let are_bytes = |line: &&&str| line.contains("_bytes_total");
            let bytes = all.iter().filter(are_bytes).count();
            let counts = count - bytes - 2 * limits.len();
            let most = without.len() + used + bytes * BYTES_DIGITS + counts * COUNT_DIGITS;
            assert!(most <= 72 * 1024, "{} bytes, {most} at the most", without.len());
            let with = text(ByPeer::With);
            let more = series(&with).len() - count;
            assert_eq!(more, MAX_METRIC_PEERS * PER_PEER.len());
            assert!(count + more + MAX_OWN_SERIES <= 1_000, "{count} and {more} and the own");
        }
    }

    #[test]
    fn of_ids_that_begin_alike_one_is_told_and_who_stays_longest_is() {
        let told = numbers(&crowded(1_000, 10), ByPeer::With).peers;
        assert_eq!(told.len(), MAX_METRIC_PEERS);
        let names: Vec<_> = told.iter().map(|peer| peer.peer.as_str()).collect();
        let longest: Vec<_> = (100 - MAX_METRIC_PEERS..100).map(|n| format!("{n:08x}")).collect();
        assert_eq!(names, longest);
    }

    #[test]
    fn the_table_promises_the_series_that_are_told() {
        let view = crowded(0, 1);
        let numbers = numbers(&view, ByPeer::Without);
        let of_node = table().len() - PER_PEER.len();
        let promised: usize = table()[..of_node].iter().map(|metric| metric.series()).sum();
        let text = Exposition::new(vec![numbers], false, Vec::new()).text(MetricsFormat::Text);
        assert_eq!(series(&text).len(), promised + 1, "and what was built");
    }
}
