//! A made-up world that goes on by the clock, is looked at, and has things done to it.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use positron_admin::{NetworkAction, NetworkPicture, Reel, SimulatedNetwork};
use positron_networking::NodeId;
use positron_sim::{Cut, Death, Fault, Scenario, Seen, Selector, Workload, World};

use super::{PAYLOAD, ledger::lock};
use crate::{
    failure::{Exit, Failure},
    recording::{Header, Lines, Recorder},
};

/// What is done to it and not yet done; it is done within a [`BEAT`], so more is a program.
const MAX_ORDERS: usize = 64;
/// The world goes on by so much at a time.
const BEAT: Duration = Duration::from_millis(50);

/// A made-up world that lives for as long as this.
#[derive(Debug)]
pub(crate) struct Living {
    nodes: Vec<NodeId>,
    now: Arc<Mutex<Truth>>,
    orders: SyncSender<NetworkAction>,
}

/// Who is up and who is linked.
#[derive(Debug, Default)]
struct Truth {
    up: BTreeSet<usize>,
    links: BTreeSet<(usize, usize)>,
}

impl Truth {
    fn see(&mut self, seen: Seen) {
        match seen {
            Seen::Up(node) => drop(self.up.insert(node)),
            Seen::Down(node) => drop(self.up.remove(&node)),
            Seen::Linked(a, b) => drop(self.links.insert((a.min(b), a.max(b)))),
            Seen::Cut(a, b) => drop(self.links.remove(&(a.min(b), a.max(b)))),
            Seen::Has { .. } => {}
        }
    }
}

impl Lines for Reel {
    fn line(&mut self, line: &str) {
        self.push(line);
    }
}

impl Living {
    /// Begins to play `scenario`, with `rate` broadcasts a second beside its own; `reel` records
    /// it.
    pub(crate) fn begin(
        scenario: Scenario,
        seed: u64,
        rate: f64,
        reel: Reel,
    ) -> Result<Self, Failure> {
        let mut world = World::new(&scenario, seed);
        let nodes: Vec<NodeId> = (0..scenario.nodes).map(|node| world.id(node)).collect();
        let now = Arc::<Mutex<Truth>>::default();
        let header = Header::new(seed, nodes.clone());
        let recorder = Arc::new(Mutex::new(Recorder::new(&header, reel.clone())));
        let (truth, record) = (Arc::clone(&now), Arc::clone(&recorder));
        world.watch(Box::new(move |at, seen| {
            lock(&truth).see(seen);
            lock(&record).see(at.since(positron_proto::time::Instant::ORIGIN), seen);
        }));
        let (orders, ordered) = sync_channel(MAX_ORDERS);
        let play = move || {
            let mut play = Play { world, scenario, rate };
            play.run(&ordered, |at| lock(&recorder).handle_time(at));
            reel.finish();
        };
        thread::Builder::new().name("world".into()).spawn(play).map_err(|error| {
            Failure::new(Exit::Internal, "the operating system gives no threads").because(error)
        })?;
        Ok(Self { nodes, now, orders })
    }
}

impl SimulatedNetwork for Living {
    fn picture(&self) -> NetworkPicture {
        let now = lock(&self.now);
        let nodes = self.nodes.iter().zip(0..).map(|(id, place)| (*id, now.up.contains(&place)));
        NetworkPicture { nodes: nodes.collect(), links: now.links.iter().copied().collect() }
    }

    fn act(&self, action: NetworkAction) -> Result<(), String> {
        self.orders.try_send(action).map_err(|refused| match refused {
            TrySendError::Full(_) => "too much else is to be done to it first".into(),
            TrySendError::Disconnected(_) => "the network runs no more".into(),
        })
    }
}

/// The world, on a thread of its own.
struct Play {
    world: World,
    scenario: Scenario,
    rate: f64,
}

impl Play {
    /// Runs until nobody looks, or a promise is broken. A world that is slower than the clock goes
    /// on as fast as it can.
    fn run(&mut self, orders: &Receiver<NetworkAction>, tell: impl Fn(Duration)) {
        let (mut at, mut due, mut said) = (Duration::ZERO, Instant::now(), 0.0);
        while self.world.violations().is_empty() {
            at += BEAT;
            self.world.run_until(at);
            tell(at);
            if at > self.scenario.start_within {
                said += self.rate * BEAT.as_secs_f64();
            }
            while said >= 1.0 {
                said -= 1.0;
                // Who refuses has reasons, and nobody may be there.
                let _ = self.world.say(Workload::Broadcast { from: None, bytes: PAYLOAD });
            }
            due = (due + BEAT).max(Instant::now());
            loop {
                match orders.recv_timeout(due.saturating_duration_since(Instant::now())) {
                    Ok(action) => self.act(action),
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        }
        for violation in self.world.violations() {
            tracing::error!("a promise is broken, and the world stands still: {violation}");
        }
    }

    fn act(&mut self, action: NetworkAction) {
        let physics = &self.scenario.physics;
        let faults = match action {
            NetworkAction::Partition { part } => {
                vec![Fault::Partition { side: Selector::Part(part), cut: Cut::Hold }]
            }
            NetworkAction::Heal => vec![
                Fault::Heal,
                Fault::Unfilter(Selector::All),
                Fault::Change(Box::new(physics.clone())),
            ],
            NetworkAction::Kill { node } => {
                vec![Fault::Crash { who: Selector::Node(node), death: Death::Killed }]
            }
            NetworkAction::Start { node } => vec![Fault::Start(Selector::Node(node))],
            NetworkAction::Slow { ms } => {
                let mut physics = physics.clone();
                physics.jitter = (Duration::from_millis(ms / 2), Duration::from_millis(ms));
                vec![Fault::Change(Box::new(physics))]
            }
        };
        faults.iter().for_each(|fault| self.world.apply(fault));
    }
}
