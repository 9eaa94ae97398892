//! Everything of which each room has one: who is new here adds a line to each list.

use std::collections::VecDeque;

use super::{
    NodeCounters, NodeLevels, Numbers, StoreLevels, delivery_log::DeliveryLog, message::messages,
};
use crate::{
    datagram::contract::EndpointCounters,
    dht::{DhtConfig, DhtCounters, DhtEffect, DhtLevels, DhtMessage, RememberedDht},
    direct::{DirectCounters, DirectEffect, DirectMessage},
    gossip::{
        GossipConfig, GossipCounters, GossipEffect, GossipLevels, GossipMessage, GossipSnapshot,
    },
    id::NetworkId,
    identity::Verified,
    metric::{Metric, MetricValue},
    nat::{NatCounters, NatEffect, NatMessage},
    peers::{
        KnownPeer, PeersConfig, PeersCounters, PeersEffect, PeersLevels, PeersMessage, Reservation,
    },
    recommendation::{RecommendationCounters, RecommendationEffect, RecommendationMessage},
    relay::{RelayConfig, RelayCounters, RelayEffect, RelayLevels, RelayMessage},
    request::{RequestCounters, RequestEffect, RequestLevels, RequestMessage},
    session::sessions::{SessionConfig, SessionCounters, SessionEffect, SessionLevels},
    storage::{Remembered, Row, Table},
    substream::{SubstreamCounters, SubstreamEffect, SubstreamLevels, SubstreamMessage},
    succession::{
        Succession, SuccessionCounters, SuccessionEffect, SuccessionLevels, SuccessionMessage,
    },
    trace::{TraceConfig, TraceCounters, TraceEffect, TraceLevels, TraceMessage},
    trust::{AddressBan, RememberedTrust, TrustConfig, TrustEffect, TrustEvent, TrustLevels},
    wire::Malformed,
};

messages! {
    /// What one node says to another, over one link, and whom it concerns.
    pub enum Message;

    Peers(PeersMessage) "The peers.";
    Gossip(GossipMessage) "Gossip.";
    Direct(DirectMessage) "Direct messages.";
    Request(RequestMessage) "Requests.";
    Substream(SubstreamMessage) "Streams between nodes.";
    Succession(SuccessionMessage) "Keys that gave way to others.";
    Recommendation(RecommendationMessage) "Whom others trust.";
    Trace(TraceMessage) "The way of messages.";
    Nat(NatMessage) "Direct paths.";
    Relay(RelayMessage) "What is forwarded for others.";
    Dht(DhtMessage) "The hash table.";
}

/// The configuration of every room. Each room owns its defaults; there are no others, so that what
/// is simulated is what runs.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeConfig {
    /// Which network.
    pub network: NetworkId,
    /// Links.
    pub session: SessionConfig,
    /// Peers.
    pub peers: PeersConfig,
    /// Gossip.
    pub gossip: GossipConfig,
    /// Trust.
    pub trust: TrustConfig,
    /// Traces.
    pub trace: TraceConfig,
    /// Relaying.
    pub relay: RelayConfig,
    /// The hash table.
    pub dht: DhtConfig,
    /// Whether the router of this network is asked to let strangers in at our port.
    pub map_port: bool,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            network: NetworkId::from_name(NetworkId::DEFAULT),
            session: SessionConfig::default(),
            peers: PeersConfig::default(),
            gossip: GossipConfig::default(),
            trust: TrustConfig::default(),
            trace: TraceConfig::default(),
            relay: RelayConfig::default(),
            dht: DhtConfig::default(),
            map_port: false,
        }
    }
}

/// What storage brings back at the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Our own numbers.
    pub numbers: Numbers,
    /// Broadcasts and floors.
    pub gossip: GossipSnapshot,
    /// The address book.
    pub peers: Vec<KnownPeer>,
    /// Peers that the application keeps a slot for.
    pub reserved: Vec<Reservation>,
    /// What we make of peers.
    pub standings: Vec<RememberedTrust>,
    /// What they did to be made that of.
    pub trust_events: Vec<TrustEvent>,
    /// Addresses where nobody is welcome.
    pub address_bans: Vec<AddressBan>,
    /// Keys that gave way to others.
    pub successions: Vec<Verified<Succession>>,
    /// The hash table.
    pub dht: RememberedDht,
    /// What the application has not acknowledged.
    pub deliveries: DeliveryLog,
}

impl Snapshot {
    /// Every table of every room: what storage has to have a place for.
    pub fn tables() -> Vec<&'static Table> {
        Self::default().rooms().iter().flat_map(|room| room.tables()).copied().collect()
    }

    /// Takes a row of one of [`tables`](Self::tables), each table in the order in which its keys
    /// were first kept.
    ///
    /// # Errors
    /// The row makes no sense; it is left out.
    pub fn load(&mut self, row: Row, network: &NetworkId) -> Result<(), Malformed> {
        let of_this_row = |room: &&mut &mut dyn Remembered| room.tables().contains(&row.table);
        match self.rooms().iter_mut().find(of_this_row) {
            Some(room) => room.load(row, network),
            None => Err(Malformed { what: "row of no room", offset: 0 }),
        }
    }

    /// Everybody who keeps anything.
    fn rooms(&mut self) -> [&mut dyn Remembered; 10] {
        let Self {
            numbers,
            gossip,
            peers,
            reserved,
            standings,
            trust_events,
            address_bans,
            successions,
            dht,
            deliveries,
        } = self;
        [
            numbers,
            gossip,
            peers,
            reserved,
            standings,
            trust_events,
            address_bans,
            successions,
            dht,
            deliveries,
        ]
    }
}

/// What the rooms want done and have not been heard about yet.
#[derive(Debug, Default)]
pub(super) struct RoomQueues {
    pub(super) session: VecDeque<SessionEffect>,
    pub(super) peers: VecDeque<PeersEffect>,
    pub(super) gossip: VecDeque<GossipEffect>,
    pub(super) direct: VecDeque<DirectEffect>,
    pub(super) requests: VecDeque<RequestEffect>,
    pub(super) substream: VecDeque<SubstreamEffect>,
    pub(super) trust: VecDeque<TrustEffect>,
    pub(super) succession: VecDeque<SuccessionEffect>,
    pub(super) recommendation: VecDeque<RecommendationEffect>,
    pub(super) trace: VecDeque<TraceEffect>,
    pub(super) nat: VecDeque<NatEffect>,
    pub(super) relay: VecDeque<RelayEffect>,
    pub(super) dht: VecDeque<DhtEffect>,
}

/// Why the node wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wake {
    /// Handshakes, probes, acknowledgments, slow readers.
    Session,
    /// Dials, discovery, heartbeats.
    Peers,
    /// Announcements, requests, anti-entropy.
    Gossip,
    /// Direct messages that wait.
    Direct,
    /// Requests that wait.
    Requests,
    /// Streams that wait for a link.
    Substream,
    /// Decay of scores.
    Trust,
    /// Recommendations that are due or waited for.
    Recommendation,
    /// Traces whose answers are waited for.
    Trace,
    /// Searches for direct paths.
    Nat,
    /// What is forwarded at a rate.
    Relay,
    /// Links that the application asked for.
    WantedLinks,
    /// PINGs that the application asked for.
    Ping,
    /// Lookups, records that end or are renewed.
    Dht,
    /// Links that are not read for a while.
    HeldLinks,
    /// What peers said, and is not read yet.
    Unread,
    /// Signatures of who brings most.
    Checks,
    /// Changes that wait for their time.
    Storage,
    /// Broadcasts that wait for a peer that knows us, or for peers with long queues.
    Publisher,
}

/// Everything that happened and everything that was dropped, by room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct AllCounters {
    /// Links and conversations.
    pub session: SessionCounters,
    /// Datagram connections.
    pub datagrams: EndpointCounters,
    /// The address book and dials.
    pub peers: PeersCounters,
    /// Broadcasts.
    pub gossip: GossipCounters,
    /// Direct messages.
    pub direct: DirectCounters,
    /// Requests.
    pub requests: RequestCounters,
    /// Streams between nodes.
    pub substream: SubstreamCounters,
    /// Keys that gave way to others.
    pub succession: SuccessionCounters,
    /// Whom others trust.
    pub recommendation: RecommendationCounters,
    /// The way of messages.
    pub trace: TraceCounters,
    /// Direct paths.
    pub nat: NatCounters,
    /// Relaying.
    pub relay: RelayCounters,
    /// The hash table.
    pub dht: DhtCounters,
    /// Wiring, checks of signatures, events.
    pub node: NodeCounters,
}

impl AllCounters {
    /// Every number of every room with what it is, always in the same order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Metric, MetricValue<'_>)> {
        let Self { session, datagrams, peers, gossip, direct, .. } = self;
        let Self { requests, substream, succession, recommendation, trace, .. } = self;
        let Self { nat, relay, dht, node, .. } = self;
        let links = session.iter().chain(datagrams.iter());
        let to_one = direct.iter().chain(requests.iter()).chain(substream.iter());
        let of_others = succession.iter().chain(recommendation.iter()).chain(trace.iter());
        let of_others = of_others.chain(nat.iter());
        let rest = of_others.chain(relay.iter()).chain(dht.iter()).chain(node.iter());
        links.chain(peers.iter()).chain(gossip.iter()).chain(to_one).chain(rest)
    }
}

/// What is there at this moment, beside the most that there can be, by room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct AllLevels {
    /// Links and conversations.
    pub session: SessionLevels,
    /// The address book and dials.
    pub peers: PeersLevels,
    /// Broadcasts.
    pub gossip: GossipLevels,
    /// Requests.
    pub requests: RequestLevels,
    /// Streams between nodes.
    pub substream: SubstreamLevels,
    /// Keys that gave way to others.
    pub succession: SuccessionLevels,
    /// What is made of peers.
    pub trust: TrustLevels,
    /// The way of messages.
    pub trace: TraceLevels,
    /// Relaying.
    pub relay: RelayLevels,
    /// The hash table.
    pub dht: DhtLevels,
    /// Checks of signatures.
    pub node: NodeLevels,
    /// The disk.
    pub store: StoreLevels,
}

impl AllLevels {
    /// Every number of every room with what it is, always in the same order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Metric, MetricValue<'_>)> {
        let Self { session, peers, gossip, requests, substream, .. } = self;
        let Self { succession, trust, trace, relay, dht, node, store, .. } = self;
        let linked = session.iter().chain(peers.iter());
        let said = gossip.iter().chain(requests.iter()).chain(substream.iter());
        let kept = succession.iter().chain(trust.iter()).chain(trace.iter());
        let kept = kept.chain(relay.iter()).chain(dht.iter()).chain(node.iter());
        let kept = kept.chain(store.iter());
        linked.chain(said).chain(kept)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        metric::{MetricKind, Unit},
        storage::Rule,
    };

    #[test]
    fn no_type_belongs_to_two_rooms() {
        let types = Message::types().collect::<Vec<_>>();
        assert_eq!(types.iter().collect::<BTreeSet<_>>().len(), types.len(), "{types:?}");
    }

    #[test]
    fn no_name_belongs_to_two_tables_and_each_can_be_written_without_quotes() {
        let tables = Snapshot::tables();
        let names: BTreeSet<_> = tables.iter().map(|table| table.name).collect();
        assert_eq!(names.len(), tables.len(), "{names:?}");
        for name in names {
            assert!(name.contains('_') && !name.starts_with('_'), "{name}");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
        }
    }

    #[test]
    fn a_row_of_no_room_is_refused() {
        const STRANGE: Table =
            Table { name: "strange_rows", rule: Rule::Replace, essential: false };
        let row = Row { table: &STRANGE, key: "key".into(), value: "value".into() };
        let mut snapshot = Snapshot::default();
        assert!(snapshot.load(row, &NetworkId::from_name("test")).is_err());
        assert_eq!(snapshot, Snapshot::default());
    }

    #[test]
    fn every_number_is_explained_by_a_sentence_and_has_a_name_of_its_own() {
        let mut names = BTreeSet::new();
        let (counters, levels) = (AllCounters::default(), AllLevels::default());
        for (metric, _) in counters.iter().chain(levels.iter()) {
            let (name, help) = (metric.to_string(), metric.help);
            assert!(help.len() > 5 && help.ends_with('.'), "{name}: {help:?}");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
            assert!(name.starts_with(&format!("positron_{}_", metric.room)), "{name}");
            let tells_bytes = metric.field.split('_').any(|word| word == "bytes");
            assert!(!tells_bytes || metric.unit == Unit::Bytes, "the unit of {name}");
            let (when_high, level) = (metric.when_high, metric.kind == MetricKind::Level);
            assert!(!level || !when_high.is_empty(), "what to do when {name} is high");
            assert!(when_high.is_empty() || when_high.ends_with('.'), "{name}: {when_high:?}");
            assert!(names.insert(name.clone()), "{name} twice");
        }
        assert!(names.len() > 80, "{}", names.len());
    }
}
