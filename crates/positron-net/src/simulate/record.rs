//! What is seen of a network that is being simulated: for a file, for the page, and as it is now.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, Instant},
};

use positron_admin::{NetworkLink, Reel};
use positron_networking::{MessageId, Node, NodeEvent, NodeId};
use positron_sim::{Seen, Witness, World};
use tokio::task::JoinSet;

use super::ledger::lock;
use crate::{
    failure::Failure,
    recording::{Header, Lines, Recorder, RecordingFile, Written},
};

/// A recording that is wanted, and under way once it is known who takes part.
#[derive(Debug)]
pub(crate) struct Record {
    seed: u64,
    nodes: OnceLock<Arc<[NodeId]>>,
    now: Mutex<Truth>,
    state: Mutex<State>,
}

/// Who is up and who is linked.
#[derive(Debug, Default)]
struct Truth {
    up: BTreeSet<usize>,
    links: BTreeSet<(usize, usize)>,
}

/// Where the lines go.
#[derive(Debug)]
struct Copies {
    file: Option<RecordingFile>,
    reel: Option<Reel>,
}

#[derive(Debug)]
enum State {
    Wanted(Copies),
    UnderWay(Box<Recorder<Copies>>),
    Finished,
}

impl Truth {
    fn see(&mut self, seen: Seen) {
        match seen {
            Seen::Up(node) => drop(self.up.insert(node)),
            Seen::Down(node) => drop(self.up.remove(&node)),
            Seen::Linked(a, b) => drop(self.links.insert((a.min(b), a.max(b)))),
            Seen::Cut(a, b) => drop(self.links.remove(&(a.min(b), a.max(b)))),
            Seen::Has { .. } | Seen::HasFromGuest { .. } | Seen::Equivocated(_) => {}
        }
    }
}

impl Lines for Copies {
    fn line(&mut self, line: &str) {
        if let Some(file) = &mut self.file {
            file.line(line);
        }
        if let Some(reel) = &self.reel {
            reel.push(line);
        }
    }
}

impl Record {
    /// Of a network made of `seed`, into a file, if one is wanted, and for the page, if there is
    /// one. Makes sure that the file can be written.
    pub(crate) fn new(
        seed: u64,
        file: Option<&Path>,
        reel: Option<Reel>,
    ) -> Result<Arc<Self>, Failure> {
        let file = file.map(RecordingFile::new).transpose()?;
        let state = Mutex::new(State::Wanted(Copies { file, reel }));
        Ok(Arc::new(Self { seed, nodes: OnceLock::new(), now: Mutex::default(), state }))
    }

    fn begin(&self, nodes: Vec<NodeId>) {
        let header = Header::new(self.seed, nodes.clone());
        self.nodes.get_or_init(|| nodes.into());
        let mut state = lock(&self.state);
        if let State::Wanted(copies) = std::mem::replace(&mut *state, State::Finished) {
            *state = State::UnderWay(Box::new(Recorder::new(&header, copies)));
        }
    }

    fn see(&self, at: Duration, seen: Seen) {
        lock(&self.now).see(seen);
        if let State::UnderWay(recorder) = &mut *lock(&self.state) {
            recorder.see(at, seen);
        }
    }

    /// Nothing else happened until now.
    pub(crate) fn handle_time(&self, at: Duration) {
        if let State::UnderWay(recorder) = &mut *lock(&self.state) {
            recorder.handle_time(at);
        }
    }

    /// Nothing else is seen. `None`: nobody took part, or no file is wanted.
    pub(crate) fn finish(&self) -> Result<Option<Written>, Failure> {
        match std::mem::replace(&mut *lock(&self.state), State::Finished) {
            State::UnderWay(recorder) => {
                let Copies { file, reel } = recorder.finish();
                reel.iter().for_each(Reel::finish);
                file.map(RecordingFile::finish).transpose()
            }
            State::Wanted(_) | State::Finished => Ok(None),
        }
    }

    /// All nodes, and whether each is up now.
    pub(crate) fn nodes(&self) -> Vec<(NodeId, bool)> {
        let now = lock(&self.now);
        let all = self.nodes.get().into_iter().flat_map(|nodes| nodes.iter());
        all.zip(0..).map(|(id, place)| (*id, now.up.contains(&place))).collect()
    }

    /// Who is linked with whom now.
    pub(crate) fn links(&self) -> Vec<NetworkLink> {
        let links = lock(&self.now).links.clone();
        links.into_iter().map(|(a, b)| NetworkLink { a, b, rtt_ms: None }).collect()
    }

    /// Sees everything in a world.
    pub(crate) fn witness(self: &Arc<Self>, world: &World, nodes: usize) -> Witness {
        self.begin((0..nodes).map(|node| world.id(node)).collect());
        let record = Arc::clone(self);
        Box::new(move |at, seen| {
            let since = at.since(positron_proto::time::Instant::ORIGIN);
            record.see(since, seen);
        })
    }
}

/// A recording of real nodes, by the clock.
#[derive(Clone, Debug)]
pub(crate) struct LiveRecord {
    record: Arc<Record>,
    ids: Arc<Vec<NodeId>>,
    begin: Instant,
}

/// Ends what is seen of real nodes.
#[derive(Debug)]
pub(crate) struct Watching {
    live: LiveRecord,
    /// Who holds a session with whom, as the first of the two says.
    sessions: Arc<Mutex<BTreeSet<(usize, usize)>>>,
    nodes: JoinSet<()>,
}

impl LiveRecord {
    /// Begins to see who is up and linked. Within a tokio runtime.
    pub(crate) fn watch(record: &Arc<Record>, nodes: &[Node]) -> (Self, Watching) {
        let ids: Vec<NodeId> = nodes.iter().map(Node::id).collect();
        record.begin(ids.clone());
        let record = Arc::clone(record);
        let live = Self { record, ids: Arc::new(ids), begin: Instant::now() };
        let mut watching =
            Watching { live: live.clone(), sessions: Arc::default(), nodes: JoinSet::new() };
        nodes.iter().zip(0..).for_each(|(node, place)| watching.add(place, node));
        (live, watching)
    }

    /// Node `node` got a broadcast from a neighbour. `said`: since when its sender has it, if the
    /// neighbour is the sender.
    pub(crate) fn heard(
        &self,
        message: MessageId,
        node: usize,
        from: &NodeId,
        said: Option<Instant>,
        at: Instant,
    ) {
        let Some(from) = self.place(from) else { return };
        if let Some(said) = said {
            self.see(said, Seen::Has { message, node: from, from: None });
        }
        self.see(at, Seen::Has { message, node, from: Some(from) });
    }

    /// When it began.
    pub(crate) const fn begin(&self) -> Instant {
        self.begin
    }

    /// Which node that is, if it takes part.
    pub(crate) fn place(&self, id: &NodeId) -> Option<usize> {
        self.ids.iter().position(|one| one == id)
    }

    fn see(&self, at: Instant, seen: Seen) {
        self.record.see(at.saturating_duration_since(self.begin), seen);
    }

    /// Two nodes are linked when both say so.
    fn change(
        &self,
        sessions: &mut BTreeSet<(usize, usize)>,
        (node, peer): (usize, usize),
        holds: bool,
    ) {
        let changed = match holds {
            true => sessions.insert((node, peer)),
            false => sessions.remove(&(node, peer)),
        };
        if changed && sessions.contains(&(peer, node)) {
            let seen = if holds { Seen::Linked } else { Seen::Cut };
            self.see(Instant::now(), seen(node, peer));
        }
    }
}

impl Watching {
    /// Sees a node that has just started, until it stops.
    pub(crate) fn add(&mut self, place: usize, node: &Node) {
        self.live.see(Instant::now(), Seen::Up(place));
        let mut events = node.events();
        let linked: Vec<NodeId> = node.stats().peers.iter().map(|peer| peer.node_id).collect();
        let (live, sessions) = (self.live.clone(), Arc::clone(&self.sessions));
        self.nodes.spawn(async move {
            let change = |peer: &NodeId, holds: bool| {
                if let Some(peer) = live.place(peer) {
                    live.change(&mut lock(&sessions), (place, peer), holds);
                }
            };
            linked.iter().for_each(|peer| change(peer, true));
            while let Some(event) = events.recv().await {
                match event {
                    NodeEvent::PeerJoined { peer, .. } => change(&peer, true),
                    NodeEvent::PeerLeft { peer, .. } => change(&peer, false),
                    _ => {}
                }
            }
            let mut sessions = lock(&sessions);
            let held: Vec<_> =
                sessions.iter().filter(|(node, _)| *node == place).copied().collect();
            for pair in held {
                live.change(&mut sessions, pair, false);
            }
            live.see(Instant::now(), Seen::Down(place));
        });
    }

    /// Nothing else happened until now.
    pub(crate) fn handle_time(&self) {
        self.live.record.handle_time(self.live.begin.elapsed());
    }

    /// Sees no more.
    pub(crate) async fn end(mut self) {
        self.nodes.shutdown().await;
        self.handle_time();
    }
}
