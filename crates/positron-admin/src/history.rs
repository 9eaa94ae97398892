//! An hour of the numbers that people look at, a value each second.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use positron_networking::{Direction, LinkTransport, Node, Stats};
use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval};
use utoipa::ToSchema;

use crate::{
    limits::{HISTORY_STEP, HISTORY_VALUES, MAX_SERIES},
    moment::rfc3339,
};

/// How a series follows from the numbers of a node.
#[derive(Clone, Copy, Debug)]
struct Source {
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    of: Of,
}

#[derive(Clone, Copy, Debug)]
enum Of {
    /// As it is.
    Now(fn(&Stats) -> f64),
    /// By how much it rose in a second.
    Rate(fn(&Stats) -> u64),
}

/// The last hour.
#[derive(Debug)]
pub(crate) struct History(Mutex<Kept>);

#[derive(Debug)]
struct Kept {
    /// Values of each source, in the order of [`SOURCES`], oldest first; no number: not known.
    values: Vec<VecDeque<f32>>,
    /// What counters were a step ago.
    before: Vec<Option<u64>>,
    end: SystemTime,
}

/// Numbers of the last hour, a value each second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct HistoryAnswer {
    /// Seconds between two values.
    pub step_s: u64,
    /// When the last values were taken.
    #[schema(format = DateTime)]
    pub end: String,
    /// The series.
    #[schema(max_items = 40)]
    pub series: Vec<Series>,
}

/// One number over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Series {
    /// Its name.
    pub name: String,
    /// What it is counted in.
    pub unit: String,
    /// What it says.
    pub help: String,
    /// Oldest first; `null`: not known.
    pub values: Vec<Option<f32>>,
}

impl History {
    pub(crate) fn new() -> Self {
        const { assert!(SOURCES.len() <= MAX_SERIES) };
        Self(Mutex::new(Kept {
            values: vec![VecDeque::new(); SOURCES.len()],
            before: vec![None; SOURCES.len()],
            end: SystemTime::now(),
        }))
    }

    /// Looks at the node once a step.
    pub(crate) async fn follow(self: Arc<Self>, node: Node) {
        let mut steps = interval(HISTORY_STEP);
        steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            steps.tick().await;
            self.take(&node.stats(), SystemTime::now());
        }
    }

    fn take(&self, stats: &Stats, now: SystemTime) {
        let mut kept = self.lock();
        let kept = &mut *kept;
        kept.end = now;
        for ((source, values), before) in SOURCES.iter().zip(&mut kept.values).zip(&mut kept.before)
        {
            let value = match source.of {
                Of::Now(read) => read(stats),
                Of::Rate(read) => {
                    let total = read(stats);
                    let before = before.replace(total);
                    before.map_or(f64::NAN, |before| as_float(total.saturating_sub(before)))
                }
            };
            if values.len() == HISTORY_VALUES {
                values.pop_front();
            }
            #[expect(clippy::cast_possible_truncation, reason = "a picture needs no more digits")]
            values.push_back(value as f32);
        }
    }

    /// The last `most` values of each series.
    pub(crate) fn answer(&self, most: usize) -> HistoryAnswer {
        let kept = self.lock();
        let series = SOURCES.iter().zip(&kept.values).map(|(source, values)| {
            let from = values.len().saturating_sub(most);
            Series {
                name: source.name.into(),
                unit: source.unit.into(),
                help: source.help.into(),
                values: values
                    .range(from..)
                    .map(|value| value.is_finite().then_some(*value))
                    .collect(),
            }
        });
        HistoryAnswer {
            step_s: HISTORY_STEP.as_secs(),
            end: rfc3339(kept.end),
            series: series.collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Exact below 2^53.
#[expect(clippy::cast_precision_loss, reason = "a picture needs no more digits")]
const fn as_float(count: u64) -> f64 {
    count as f64
}

fn counted(count: usize) -> f64 {
    as_float(count as u64)
}

fn dialled_by(stats: &Stats, whom: Direction) -> f64 {
    counted(stats.peers.iter().filter(|peer| peer.direction == whom).count())
}

fn median_rtt(stats: &Stats) -> f64 {
    let mut all: Vec<f64> = stats.peers.iter().filter_map(|peer| peer.rtt_ms).collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}

const fn now(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    of: fn(&Stats) -> f64,
) -> Source {
    Source { name, unit, help, of: Of::Now(of) }
}

const fn rate(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    of: fn(&Stats) -> u64,
) -> Source {
    Source { name, unit, help, of: Of::Rate(of) }
}

const SOURCES: &[Source] = &[
    now("peers_inbound", "peers", "Connected peers that dialled this node", |stats| {
        dialled_by(stats, Direction::Inbound)
    }),
    now("peers_outbound", "peers", "Connected peers that this node dialled", |stats| {
        dialled_by(stats, Direction::Outbound)
    }),
    now("peers_known", "peers", "Peers in the address book", |stats| counted(stats.known_peers)),
    now("links_udp", "links", "Links over UDP", |stats| counted(stats.links[LinkTransport::Udp])),
    now("links_tcp", "links", "Links over TCP", |stats| counted(stats.links[LinkTransport::Tcp])),
    now("rtt_median", "ms", "Round trip time, the median of the peers", median_rtt),
    now("queued", "bytes", "What waits to be sent to peers", |stats| {
        counted(stats.peers.iter().map(|peer| peer.queued_bytes).sum())
    }),
    now("messages_kept", "messages", "Broadcasts kept for late nodes", |stats| {
        counted(stats.gossip.retained_messages)
    }),
    now("messages_kept_bytes", "bytes", "Their bytes", |stats| {
        counted(stats.gossip.retained_bytes)
    }),
    now("storage_waiting", "changes", "Changes that wait for the disk", |stats| {
        counted(stats.storage.waiting_changes)
    }),
    now("banned", "peers", "Peers that are refused", |stats| counted(stats.trust.banned)),
    rate("udp_sent", "bytes/s", "Sent in datagrams", |stats| stats.datagrams.counters.bytes_sent),
    rate("udp_received", "bytes/s", "Received in datagrams", |stats| {
        stats.datagrams.counters.bytes_received
    }),
    rate("tcp_sent", "bytes/s", "Sent over byte streams", |stats| stats.session.bytes_sent),
    rate("tcp_received", "bytes/s", "Received over byte streams", |stats| {
        stats.session.bytes_received
    }),
    rate("packets_lost", "packets/s", "Packets declared lost", |stats| {
        stats.datagrams.counters.packets_lost
    }),
    rate("published", "messages/s", "Broadcasts of this node", |stats| {
        stats.gossip.counters.published
    }),
    rate("delivered", "messages/s", "Broadcasts handed to the application", |stats| {
        stats.gossip.counters.delivered
    }),
    rate("received", "messages/s", "Broadcasts received, duplicates included", |stats| {
        stats.gossip.counters.messages_received
    }),
    rate("duplicates", "messages/s", "Broadcasts that were here already", |stats| {
        stats.gossip.counters.duplicates
    }),
    rate("direct_delivered", "messages/s", "Messages to one peer that it acknowledged", |stats| {
        stats.direct.delivered
    }),
    rate("dials", "dials/s", "Dials begun", |stats| stats.discovery.dials),
    rate("dials_failed", "dials/s", "Dials that failed", |stats| stats.discovery.dials_failed),
    rate("handshakes_failed", "handshakes/s", "Handshakes that failed", |stats| {
        stats.session.handshakes_failed
    }),
    rate("signatures_checked", "signatures/s", "Signatures checked", |stats| {
        stats.node.signatures_checked
    }),
];
