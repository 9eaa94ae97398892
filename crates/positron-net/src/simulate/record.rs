//! The recording of a network that is being simulated.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use positron_networking::{MessageId, Node, NodeEvent, NodeId};
use positron_sim::{Seen, Witness, World};
use tokio::task::JoinSet;

use super::ledger::lock;
use crate::{
    failure::Failure,
    recording::{Header, Recorder, RecordingFile, Written},
};

/// A recording that is wanted, and under way once it is known who takes part.
#[derive(Debug)]
pub(crate) struct Record {
    seed: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Wanted(RecordingFile),
    UnderWay(Box<Recorder<RecordingFile>>),
    Finished,
}

impl Record {
    /// Makes sure that the file can be written.
    pub(crate) fn to(path: &Path, seed: u64) -> Result<Arc<Self>, Failure> {
        let state = Mutex::new(State::Wanted(RecordingFile::new(path)?));
        Ok(Arc::new(Self { seed, state }))
    }

    fn begin(&self, nodes: Vec<NodeId>) {
        let mut state = lock(&self.state);
        if let State::Wanted(file) = std::mem::replace(&mut *state, State::Finished) {
            *state = State::UnderWay(Box::new(Recorder::new(&Header::new(self.seed, nodes), file)));
        }
    }

    fn see(&self, at: Duration, seen: Seen) {
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

    /// Nothing else is seen. `None`: nobody took part.
    pub(crate) fn finish(&self) -> Result<Option<Written>, Failure> {
        match std::mem::replace(&mut *lock(&self.state), State::Finished) {
            State::UnderWay(recorder) => recorder.finish().finish().map(Some),
            State::Wanted(_) | State::Finished => Ok(None),
        }
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
    nodes: JoinSet<()>,
}

impl LiveRecord {
    /// Begins to see who is linked. Within a tokio runtime.
    pub(crate) fn watch(record: &Arc<Record>, nodes: &[Node]) -> (Self, Watching) {
        let ids: Vec<NodeId> = nodes.iter().map(Node::id).collect();
        record.begin(ids.clone());
        let record = Arc::clone(record);
        let live = Self { record, ids: Arc::new(ids), begin: Instant::now() };
        let sessions = Arc::new(Mutex::new(std::collections::BTreeSet::new()));
        let mut watching = JoinSet::new();
        for (index, node) in nodes.iter().enumerate() {
            live.see(Instant::now(), Seen::Up(index));
            let mut events = node.events();
            let linked: Vec<NodeId> = node.stats().peers.iter().map(|peer| peer.node_id).collect();
            let (live, sessions) = (live.clone(), Arc::clone(&sessions));
            watching.spawn(async move {
                let change = |peer: &NodeId, holds: bool| {
                    let Some(other) = live.place(peer) else { return };
                    let mut sessions = lock(&sessions);
                    let changed = match holds {
                        true => sessions.insert((index, other)),
                        false => sessions.remove(&(index, other)),
                    };
                    if changed && sessions.contains(&(other, index)) {
                        let seen = if holds { Seen::Linked } else { Seen::Cut };
                        live.see(Instant::now(), seen(index, other));
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
            });
        }
        (live.clone(), Watching { live, nodes: watching })
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

    fn see(&self, at: Instant, seen: Seen) {
        self.record.see(at.saturating_duration_since(self.begin), seen);
    }

    fn place(&self, id: &NodeId) -> Option<usize> {
        self.ids.iter().position(|one| one == id)
    }
}

impl Watching {
    /// Sees no more.
    pub(crate) async fn end(mut self) {
        self.nodes.shutdown().await;
        self.live.record.handle_time(self.live.begin.elapsed());
    }
}
