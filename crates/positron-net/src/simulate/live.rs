//! Nodes on real sockets that go on by the clock, are looked at, and have things done to them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use positron_admin::{Ability, NetworkAction, NetworkLink, NetworkPicture, SimulatedNetwork};
use positron_networking::{Banned, MessageKind, Node};
use positron_proto::rng::{Rng, Seed};
use tokio::{
    sync::mpsc::{Receiver, Sender, channel, error::TrySendError},
    task::{JoinHandle, JoinSet},
    time::{MissedTickBehavior, interval},
};

use super::{
    LocalNetwork, PAYLOAD, Record,
    ledger::lock,
    record::{LiveRecord, Watching},
};

/// What is done to it and not yet done.
const MAX_ORDERS: usize = 64;
/// How often the recording is told that time went by.
const BEAT: Duration = Duration::from_millis(50);
/// Broadcasts that are not durable yet; where disks are slower, nothing is said.
const MAX_UNDER_WAY: usize = 64;
/// Pairs of nodes that a partition may part: each is two bans on two disks, one after the other.
/// Those of 200 nodes.
const MAX_PARTED: usize = 10_000;
/// What those are told who ask why a node is banned.
const WHY_PARTED: &str = "the network is partitioned";

/// A network that lives until [`end`](Self::end).
#[derive(Debug)]
pub(crate) struct LiveNetwork {
    shown: Arc<Shown>,
    orders: Sender<NetworkAction>,
    play: JoinHandle<()>,
}

/// What the page is told.
#[derive(Debug)]
struct Shown {
    record: Arc<Record>,
    nodes: Mutex<Vec<Node>>,
}

/// What the page has of it.
#[derive(Debug)]
pub(crate) struct Stage {
    shown: Arc<Shown>,
    orders: Sender<NetworkAction>,
}

impl LiveNetwork {
    /// Goes on with `network`, with `rate` broadcasts a second, before the eyes of `record`. Within
    /// a tokio runtime.
    pub(crate) fn begin(network: LocalNetwork, seed: u64, rate: f64, record: &Arc<Record>) -> Self {
        let (live, watching) = LiveRecord::watch(record, network.nodes());
        let nodes = network.nodes().to_vec();
        let shown = Arc::new(Shown { record: Arc::clone(record), nodes: Mutex::new(nodes) });
        let (orders, ordered) = channel(MAX_ORDERS);
        let mut play = Play {
            is_up: vec![true; network.nodes().len()],
            part: 0,
            network,
            live,
            watching,
            readers: JoinSet::new(),
            sends: JoinSet::new(),
            shown: Arc::clone(&shown),
            dice: Seed::from_number(seed).stream("simulate/live"),
        };
        (0..play.is_up.len()).for_each(|place| play.listen(place));
        Self { shown, orders, play: tokio::spawn(play.run(ordered, rate)) }
    }

    /// For the page.
    pub(crate) fn stage(&self) -> Arc<Stage> {
        Arc::new(Stage { shown: Arc::clone(&self.shown), orders: self.orders.clone() })
    }

    /// Stops all nodes and removes their data. To be called when the page is gone.
    pub(crate) async fn end(self) {
        drop(self.orders);
        if let Err(error) = self.play.await {
            tracing::error!(%error, "the network broke down");
        }
    }
}

impl SimulatedNetwork for Stage {
    fn picture(&self) -> NetworkPicture {
        let nodes = self.shown.record.nodes();
        let place: BTreeMap<_, usize> = nodes.iter().map(|(id, _)| *id).zip(0..).collect();
        let mut rtts = BTreeMap::new();
        for (node, here) in lock(&self.shown.nodes).iter().zip(0..) {
            for peer in node.stats().peers {
                if let (Some(there), Some(rtt)) = (place.get(&peer.node_id), peer.rtt_ms) {
                    rtts.insert((here, *there), rtt);
                }
            }
        }
        let links = self.shown.record.links().into_iter().map(|link| {
            let NetworkLink { a, b, .. } = link;
            let rtt_ms = rtts.get(&(a, b)).or_else(|| rtts.get(&(b, a))).copied();
            NetworkLink { a, b, rtt_ms }
        });
        NetworkPicture { links: links.collect(), nodes }
    }

    fn abilities(&self) -> &'static [Ability] {
        &[Ability::Partition, Ability::Heal, Ability::Kill, Ability::Start]
    }

    fn act(&self, action: NetworkAction) -> Result<(), String> {
        let nodes = lock(&self.shown.nodes).len();
        match action {
            NetworkAction::Slow { .. } => {
                return Err(
                    "the sockets of one machine cannot be made slow: `simulate --virtual` \
                            has links that can"
                        .into(),
                );
            }
            NetworkAction::Partition { part } => {
                let part = part_of(nodes, part);
                if part * (nodes - part) > MAX_PARTED {
                    return Err(format!(
                        "nodes on real sockets are parted by bans on both sides, and so many of \
                         them take too long: {MAX_PARTED} pairs are the most"
                    ));
                }
            }
            NetworkAction::Heal | NetworkAction::Kill { .. } | NetworkAction::Start { .. } => {}
        }
        self.orders.try_send(action).map_err(|refused| match refused {
            TrySendError::Full(_) => "too much else is to be done to it first".into(),
            TrySendError::Closed(_) => "the network runs no more".into(),
        })
    }
}

/// How many nodes are a part of all; never none, never all of more than one.
#[expect(clippy::cast_precision_loss, reason = "no machine runs so many")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
fn part_of(nodes: usize, part: f64) -> usize {
    ((nodes as f64 * part).round().max(1.0) as usize).min(nodes.saturating_sub(1))
}

/// The network, in a task of its own.
struct Play {
    network: LocalNetwork,
    is_up: Vec<bool>,
    /// So many nodes from the first on are parted from the others.
    part: usize,
    live: LiveRecord,
    watching: Watching,
    readers: JoinSet<()>,
    sends: JoinSet<()>,
    shown: Arc<Shown>,
    dice: Rng,
}

impl Play {
    /// Runs until nobody can order anything any more.
    async fn run(mut self, mut orders: Receiver<NetworkAction>, rate: f64) {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut said = 0.0;
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(action) => self.act(action).await,
                    None => break,
                },
                _ = beat.tick() => {
                    self.watching.handle_time();
                    said += rate * BEAT.as_secs_f64();
                    while said >= 1.0 {
                        said -= 1.0;
                        self.say();
                    }
                }
            }
        }
        self.sends.shutdown().await;
        self.readers.shutdown().await;
        self.watching.end().await;
        self.network.shutdown().await;
    }

    /// Any live node broadcasts when it does so: since when it has it is in the payload.
    fn say(&mut self) {
        while self.sends.try_join_next().is_some() {}
        let live: Vec<usize> = (0..self.is_up.len()).filter(|place| self.is_up[*place]).collect();
        if live.is_empty() || self.sends.len() >= MAX_UNDER_WAY {
            return;
        }
        let node = self.network.nodes()[live[self.dice.index(live.len())]].clone();
        let mut payload = vec![0; PAYLOAD];
        self.dice.fill(&mut payload);
        let begin = self.live.begin();
        self.sends.spawn(async move {
            let micros = u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
            payload[..8].copy_from_slice(&micros.to_be_bytes());
            // Who refuses has reasons, and may be about to stop.
            let _ = node.broadcast_bytes(payload.into()).await;
        });
    }

    /// Sees what arrives at a node.
    fn listen(&mut self, place: usize) {
        let mut inbox = self.network.nodes()[place].subscribe();
        let live = self.live.clone();
        self.readers.spawn(async move {
            while let Some(message) = inbox.recv().await {
                if message.kind == MessageKind::Broadcast {
                    let said = since(live.begin(), &message.payload)
                        .filter(|_| message.from == message.sender);
                    live.heard(message.id, place, &message.from, said, Instant::now());
                }
            }
        });
    }

    async fn act(&mut self, action: NetworkAction) {
        match action {
            NetworkAction::Partition { part } => {
                self.part = part_of(self.is_up.len(), part);
                for place in 0..self.is_up.len() {
                    self.obey_partition(place).await;
                }
            }
            NetworkAction::Heal => self.heal().await,
            NetworkAction::Kill { node } => {
                if std::mem::replace(&mut self.is_up[node], false)
                    && let Err(error) = self.network.nodes()[node].shutdown().await
                {
                    tracing::warn!(%error, node, "a node did not stop well");
                }
            }
            NetworkAction::Start { node } if !self.is_up[node] => self.start(node).await,
            NetworkAction::Start { .. } | NetworkAction::Slow { .. } => {}
        }
    }

    async fn start(&mut self, place: usize) {
        match self.network.start_again(place).await {
            Ok(node) => {
                self.watching.add(place, node);
                lock(&self.shown.nodes)[place] = node.clone();
                self.is_up[place] = true;
                self.listen(place);
                self.obey_partition(place).await;
            }
            Err(error) => tracing::error!(%error, node = place, "a node does not start again"),
        }
    }

    /// Has a node that is up ban all of the other part, and nobody else.
    async fn obey_partition(&self, place: usize) {
        if !self.is_up[place] {
            return;
        }
        let nodes = self.network.nodes();
        let node = &nodes[place];
        let banned = node.bans().await;
        for (other, there) in nodes.iter().zip(0..) {
            let is_parted = (place < self.part) != (there < self.part);
            let is_banned = banned.iter().any(|ban| ban.of == Banned::Node(other.id()));
            let done = match (is_parted, is_banned) {
                (true, false) => node.ban(other.id(), WHY_PARTED, Duration::MAX).await,
                (false, true) => node.unban(other.id()).await,
                (true, true) | (false, false) => Ok(()),
            };
            if let Err(error) = done {
                tracing::error!(%error, node = place, "a node is not parted as it should be");
            }
        }
    }

    /// Who was banned leaves the others alone for ten minutes: whoever partitioned them joins them
    /// again, each of one part with one of the other.
    async fn heal(&mut self) {
        let part = std::mem::take(&mut self.part);
        for place in 0..self.is_up.len() {
            self.obey_partition(place).await;
        }
        let nodes = self.network.nodes();
        let up = |places: std::ops::Range<usize>| {
            places.filter(|place| self.is_up[*place]).map(|place| &nodes[place]).collect::<Vec<_>>()
        };
        let (few, others) = (up(0..part), up(part..nodes.len()));
        let mut joins = JoinSet::new();
        for (node, other) in few.iter().zip(others.iter().cycle()) {
            let (node, other) = ((*node).clone(), (*other).clone());
            joins.spawn(async move {
                let at = other.listen_addresses().first().map(ToString::to_string);
                node.join(&at.unwrap_or_default()).await
            });
        }
        while let Some(joined) = joins.join_next().await {
            if let Ok(Err(error)) = joined {
                tracing::warn!(%error, "a node does not find the other part at once");
            }
        }
    }
}

/// Since when the sender of a payload has it.
fn since(begin: Instant, payload: &[u8]) -> Option<Instant> {
    let micros = u64::from_be_bytes(*payload.first_chunk()?);
    begin.checked_add(Duration::from_micros(micros)).filter(|said| *said <= Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_never_nobody_and_never_everybody() {
        let parts = [(5, 0.4), (5, 0.01), (5, 0.99), (2, 0.5), (1, 0.5)];
        assert_eq!(parts.map(|(nodes, part)| part_of(nodes, part)), [2, 1, 4, 1, 0]);
    }

    #[test]
    fn a_payload_that_says_nonsense_about_time_is_not_believed() {
        let begin = Instant::now();
        assert_eq!(since(begin, &0_u64.to_be_bytes()), Some(begin));
        assert_eq!(since(begin, &u64::MAX.to_be_bytes()), None);
        assert_eq!(since(begin, b"short"), None);
    }
}
