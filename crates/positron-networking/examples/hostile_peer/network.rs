//! Honest nodes that talk to each other, and how long what they say takes.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    net::SocketAddr,
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use positron_networking::{MessageKind, NetworkConfig, Node, NodeId};
use tokio::{
    sync::{Mutex, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

const NODES: usize = 4;
/// Between two things that a node says: a broadcast and a direct message in turn.
const PACE: Duration = Duration::from_millis(25);
/// Bytes of each.
const SIZE: usize = 128;
/// Longest wait for nodes to find each other, and for what is under way in the end.
const DEADLINE: Duration = Duration::from_secs(60);

/// Everybody, linked to everybody, and talking.
pub(crate) struct Honest {
    nodes: Vec<Arc<Node>>,
    ids: Vec<NodeId>,
    origin: Instant,
    heard: Arc<Mutex<Heard>>,
    /// Set when nothing more is to be said.
    quiet: watch::Sender<bool>,
    talking: JoinSet<Vec<Saying>>,
}

/// Something that was said: its number, by whom, to how many, and when it was to be said.
type Saying = (u64, usize, Duration);
/// By whom and which: to whom it came, and how long it took.
type Heard = BTreeMap<u64, BTreeSet<(usize, Duration)>>;

/// What was said and heard.
pub(crate) struct Deliveries {
    said: Vec<Saying>,
    heard: Heard,
}

impl Honest {
    pub(crate) async fn start() -> Result<Self, Box<dyn Error>> {
        let mut nodes: Vec<Arc<Node>> = Vec::new();
        for _ in 0..NODES {
            let bootstrap_nodes = nodes.iter().map(|node| node.listen_addresses()[0].to_string());
            let bootstrap_nodes = bootstrap_nodes.collect();
            let config = NetworkConfig { bootstrap_nodes, ..NetworkConfig::loopback() };
            nodes.push(Arc::new(Node::start(config).await?));
        }
        let mut look = interval(Duration::from_millis(10));
        timeout(DEADLINE, async {
            while nodes.iter().any(|node| node.stats().active_peers < NODES - 1) {
                look.tick().await;
            }
        })
        .await?;
        let origin = Instant::now();
        let heard = Arc::<Mutex<Heard>>::default();
        for (n, node) in nodes.iter().enumerate() {
            let (mut inbox, heard) = (node.subscribe(), heard.clone());
            let honest: BTreeSet<NodeId> = nodes.iter().map(|node| node.id()).collect();
            tokio::spawn(async move {
                while let Some(received) = inbox.recv().await {
                    let Some(number) = received.payload.first_chunk().copied() else { continue };
                    if honest.contains(&received.sender) {
                        let arrival = (n, origin.elapsed());
                        let number = u64::from_be_bytes(number);
                        heard.lock().await.entry(number).or_default().insert(arrival);
                    }
                }
            });
        }
        let (quiet, is_quiet) = watch::channel(false);
        let ids: Vec<NodeId> = nodes.iter().map(|node| node.id()).collect();
        let mut talking = JoinSet::new();
        for (n, node) in nodes.iter().enumerate() {
            let to = ids[(n + 1) % NODES];
            talking.spawn(talk(node.clone(), n, to, origin, is_quiet.clone()));
        }
        Ok(Self { nodes, ids, origin, heard, quiet, talking })
    }

    /// Where the one that is attacked listens.
    pub(crate) fn target(&self) -> SocketAddr {
        self.nodes[0].listen_addresses()[0]
    }

    /// Everybody, first the one that is attacked.
    pub(crate) fn ids(&self) -> Vec<NodeId> {
        self.ids.clone()
    }

    /// Since they began to talk.
    pub(crate) fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    pub(crate) async fn talk_for(&self, time: Duration) {
        self.talk_until(time, || false).await;
    }

    /// For as long as that, or until the condition holds.
    pub(crate) async fn talk_until(&self, longest: Duration, mut is_over: impl FnMut() -> bool) {
        let (began, mut look) = (Instant::now(), interval(Duration::from_millis(10)));
        while began.elapsed() < longest && !is_over() {
            look.tick().await;
        }
    }

    /// Lets what is under way arrive.
    pub(crate) async fn finish(mut self) -> Result<Deliveries, Box<dyn Error>> {
        self.quiet.send_replace(true);
        let mut said = Vec::new();
        while let Some(sayings) = self.talking.join_next().await {
            said.extend(sayings?);
        }
        let expected: usize = said.iter().map(|(_, receivers, _)| receivers).sum();
        let mut look = interval(Duration::from_millis(10));
        let all = async {
            while self.heard.lock().await.values().map(BTreeSet::len).sum::<usize>() < expected {
                look.tick().await;
            }
        };
        // What did not come is counted as lost.
        let _ = timeout(DEADLINE, all).await;
        let heard = std::mem::take(&mut *self.heard.lock().await);
        for node in self.nodes {
            Arc::into_inner(node).ok_or("nobody talks any more")?.stop().await?;
        }
        Ok(Deliveries { said, heard })
    }
}

/// Says something new each time the clock says so, even if the last one took longer than that.
async fn talk(
    node: Arc<Node>,
    n: usize,
    to: NodeId,
    origin: Instant,
    is_quiet: watch::Receiver<bool>,
) -> Vec<Saying> {
    let mut ticks = interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut said, mut count, mut sending) = (Vec::new(), 0_u64, JoinSet::new());
    while !*is_quiet.borrow() {
        // A message is as late as it comes after it was to be said.
        let due = ticks.tick().await.into_std().saturating_duration_since(origin);
        let number = u64::try_from(n).expect("four nodes") << 32 | count;
        let payload = [&number.to_be_bytes()[..], &[0; SIZE - 8]].concat().into();
        let kind = if count % 2 == 0 { MessageKind::Broadcast } else { MessageKind::Direct };
        let receivers = if kind == MessageKind::Broadcast { NODES - 1 } else { 1 };
        said.push((number, receivers, due));
        count += 1;
        let node = node.clone();
        // What is refused does not arrive, and is counted as that.
        sending.spawn(async move {
            match kind {
                MessageKind::Broadcast => node.broadcast_bytes(payload).await.is_ok(),
                MessageKind::Direct => node.send_bytes_to_peer(to, payload).await.is_ok(),
            }
        });
        while sending.try_join_next().is_some() {}
    }
    sending.join_all().await;
    said
}

impl Deliveries {
    /// How long each delivery took of what was to be said within that time.
    pub(crate) fn sent_within(&self, time: Range<Duration>) -> Vec<Duration> {
        let said = self.said.iter().filter(|(_, _, due)| time.contains(due));
        said.flat_map(|(number, _, due)| {
            let arrivals = self.heard.get(number).into_iter().flatten();
            arrivals.map(|(_, at)| at.saturating_sub(*due))
        })
        .collect()
    }

    /// Deliveries that did not happen.
    pub(crate) fn lost(&self) -> usize {
        let expected: usize = self.said.iter().map(|(_, receivers, _)| receivers).sum();
        expected.saturating_sub(self.heard.values().map(BTreeSet::len).sum())
    }
}
