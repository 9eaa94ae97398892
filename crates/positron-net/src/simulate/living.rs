//! A made-up world that goes on by the clock, is looked at, and has things done to it.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use positron_admin::{Ability, NetworkAction, NetworkPicture, SimulatedNetwork};
use positron_sim::{Cut, Death, Fault, Scenario, Selector, Workload, World};

use super::{PAYLOAD, Record};
use crate::failure::{Exit, Failure};

/// What is done to it and not yet done; it is done within a [`BEAT`], so more is a program.
const MAX_ORDERS: usize = 64;
/// The world goes on by so much at a time.
const BEAT: Duration = Duration::from_millis(50);

/// A made-up world that lives for as long as this.
#[derive(Debug)]
pub(crate) struct Living {
    record: Arc<Record>,
    orders: SyncSender<NetworkAction>,
}

impl Living {
    /// Begins to play `scenario`, with `rate` broadcasts a second beside its own, before the eyes
    /// of `record`.
    pub(crate) fn begin(
        scenario: Scenario,
        seed: u64,
        rate: f64,
        record: Arc<Record>,
    ) -> Result<Self, Failure> {
        let mut world = World::new(&scenario, seed);
        let witness = record.witness(&world, scenario.nodes);
        world.watch(witness);
        let (orders, ordered) = sync_channel(MAX_ORDERS);
        let seen = Arc::clone(&record);
        let play = move || {
            let mut play = Play { world, scenario, rate };
            play.run(&ordered, |at| seen.handle_time(at));
        };
        thread::Builder::new().name("world".into()).spawn(play).map_err(|error| {
            Failure::new(Exit::Internal, "the operating system gives no threads").because(error)
        })?;
        Ok(Self { record, orders })
    }
}

impl SimulatedNetwork for Living {
    fn picture(&self) -> NetworkPicture {
        NetworkPicture { nodes: self.record.nodes(), links: self.record.links() }
    }

    fn abilities(&self) -> &'static [Ability] {
        &Ability::ALL
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
