//! The world: a scenario that is played, to the end or step by step.

use std::{net::SocketAddr, sync::Arc};

use positron_proto::{
    id::{MessageId, NodeId},
    node::{
        Command, NodeCore, NodeView, Outcome, PeerOrder, Refused, SequenceKind, Snapshot,
        TableOrder,
    },
    rng::Seed,
    time::{Duration, Instant},
};

use crate::{
    cast::Cast,
    check::Oracle,
    clock::at,
    dice::{Dice, named_dice},
    disk::DiskState,
    host::Host,
    questions::Question,
    report::{Progress, Report, StreamTally, Violation},
    scenario::{Death, Fault, Scenario, Workload},
    script::{Cue, Script},
    selector::Selector,
    stage::Stage,
    way::{WayPoint, way_of},
    witness::Witness,
};

/// A made-up world: hosts that run the shipped node, on virtual time.
///
/// [`run`] plays a whole [`Scenario`]. A test that wants to look closer steps through a
/// world by itself: [`run_until`](Self::run_until), then [`say`](Self::say), [`apply`](Self::apply)
/// or [`node`](Self::node). The same scenario, seed and steps give the same world, to the last bit.
pub struct World {
    scenario: Arc<Scenario>,
    cast: Cast,
    script: Script,
    stage: Stage,
    dice: Dice,
}

/// Plays `scenario` with the dice of `seed`.
///
/// A run that broke a promise at one node is played a second time with an ear at that node, so that
/// the report says what happened before.
///
/// ```
/// use positron_sim::{run, stories};
///
/// let scenario = stories::default(3);
/// assert_eq!(scenario.sayings.len(), 100);
/// ```
pub fn run(scenario: &Scenario, seed: u64) -> Report {
    run_with(scenario, seed, |_| {})
}

/// The same as [`run`], and tells how far it is after each virtual second.
pub fn run_with(scenario: &Scenario, seed: u64, progress: impl FnMut(&Progress)) -> Report {
    run_watched(scenario, seed, progress, |_| None)
}

/// The same as [`run_with`], and tells the witness that there is at the beginning everything.
///
/// ```
/// use std::sync::{Arc, atomic::{AtomicU32, Ordering}};
/// use positron_proto::time::Duration;
/// use positron_sim::{Scenario, Seen, Witness, run, run_watched};
///
/// let story = Scenario::quiet("three nodes", 3, Duration::from_secs(9));
/// let up = Arc::new(AtomicU32::new(0));
/// let count = Arc::clone(&up);
/// let witness: Witness = Box::new(move |_at, seen| {
///     count.fetch_add(u32::from(matches!(seen, Seen::Up(_))), Ordering::Relaxed);
/// });
/// let report = run_watched(&story, 7, |_| {}, |_world| Some(witness));
/// assert_eq!(up.load(Ordering::Relaxed), 3);
/// assert_eq!(report.run_hash, run(&story, 7).run_hash, "who is watched does the same");
/// ```
pub fn run_watched(
    scenario: &Scenario,
    seed: u64,
    progress: impl FnMut(&Progress),
    witness: impl FnOnce(&World) -> Option<Witness>,
) -> Report {
    let mut world = World::new(scenario, seed);
    if let Some(witness) = witness(&world) {
        world.watch(witness);
    }
    let report = world.play(progress);
    let Some(node) = report.violations.iter().find_map(|violation| violation.node) else {
        return report;
    };
    let mut again = World::new(scenario, seed);
    again.listen_at(node);
    again.play(|_| {})
}

impl World {
    /// The world of `scenario` at its beginning: nobody has started.
    pub fn new(scenario: &Scenario, seed: u64) -> Self {
        let scenario = Arc::new(scenario.clone());
        let root = Seed::from_number(seed);
        let dice = named_dice(&root, "scenario");
        let cast = Cast::new(scenario.clone(), root);
        let hosts = cast.hosts();
        let oracle = Oracle::new(scenario.clone(), seed, &hosts);
        let (script, stage) = (Script::of(&scenario), Stage::new(hosts, oracle));
        Self { scenario, cast, script, stage, dice }
    }

    /// Runs on this many threads, whatever the number of hosts.
    pub fn use_threads(&mut self, threads: usize) {
        self.stage.use_threads(threads);
    }

    /// Tells the witness everything that happens to nodes of the scenario. To be called before time
    /// goes on.
    pub fn watch(&mut self, witness: Witness) {
        self.stage.watch(self.scenario.nodes, witness);
    }

    /// Keeps the last things that happen to `node`, for the history of a violation.
    pub fn listen_at(&mut self, node: usize) {
        self.stage.change(node, |host, _| host.trace().listen());
    }

    // --- time ---

    /// Virtual time.
    pub const fn now(&self) -> Instant {
        self.stage.now()
    }

    /// Lets everything happen that happens before `until`, the scenario's faults and sayings
    /// included. Stops early when a promise was broken beyond repair.
    pub fn run_until(&mut self, until: Duration) {
        let until = at(until);
        while self.now() < until && !self.stage.is_over() {
            self.stage.run_until(until.min(self.script.next_time().unwrap_or(until)));
            while let Some(cue) = self.script.poll(self.now()) {
                self.act(cue);
            }
        }
    }

    /// Runs to the end of the scenario, and looks whether all promises were kept.
    pub fn play(&mut self, mut progress: impl FnMut(&Progress)) -> Report {
        let mut until = Duration::ZERO;
        while until < self.scenario.duration {
            until = (until + Duration::from_secs(1)).min(self.scenario.duration);
            self.run_until(until);
            progress(&self.progress());
        }
        self.finish()
    }

    /// Looks whether all promises were kept, now.
    pub fn finish(&mut self) -> Report {
        self.stage.finish()
    }

    // --- what happens ---

    fn act(&mut self, cue: Cue) {
        match cue {
            Cue::Start(host) => self.stage.start(host, &self.cast),
            Cue::Replace(host) => {
                self.stage.crash(host, Death::Killed);
                self.stage.start(host, &self.cast);
            }
            Cue::Fault(fault) => self.apply(&fault),
            // Refusals are the node's right; a story says enough that they do not matter.
            Cue::Say(saying) => drop(self.say(saying)),
            Cue::Check => self.stage.checkpoint(),
        }
    }

    /// Says something now. `None`: nobody is there to say it.
    pub fn say(&mut self, saying: Workload) -> Option<Result<(), Refused>> {
        match saying {
            Workload::Broadcast { from, bytes } => {
                let from = from.or_else(|| self.somebody())?;
                self.stage.say(SequenceKind::Broadcast, from, from, bytes)
            }
            Workload::Direct { from, to, bytes } => {
                self.stage.say(SequenceKind::Direct, from, to, bytes)
            }
            Workload::Stream { from, to, bytes } => self.stage.open_stream(from, to, bytes),
        }
    }

    /// Lets one node ask another one something, now, that the other works at for a while. `None`:
    /// nobody is there to ask.
    pub fn ask(
        &mut self,
        from: usize,
        to: usize,
        work: Duration,
        timeout: Duration,
    ) -> Option<Result<(), Refused>> {
        self.stage.ask((from, to), work, timeout)
    }

    /// Lets the application of one node decide something about a peer, now. `None`: nobody is there
    /// to do it.
    pub fn order(&mut self, by: usize, order: PeerOrder) -> Option<Result<(), Refused>> {
        self.stage.order(by, Command::Peer(order))
    }

    /// Lets one node ask the others for the way of a broadcast of its own, now. `None`: nobody is
    /// there to do it.
    pub fn ask_trace(&mut self, by: usize, message: MessageId) -> Option<Result<(), Refused>> {
        self.stage.order(by, Command::Trace { message })
    }

    /// Lets the application of one node want something of the hash table, now. `None`: nobody is
    /// there to do it.
    pub fn order_table(&mut self, by: usize, order: TableOrder) -> Option<Result<(), Refused>> {
        self.stage.order(by, Command::Table(order))
    }

    /// How that ended so far, and what else was taken and not done: at which node, in order.
    pub fn table_ends(&self) -> &[(usize, Outcome)] {
        self.stage.oracle().table_ends()
    }

    /// What was asked so far, and what became of it.
    pub fn questions(&self) -> &[Question] {
        self.stage.questions()
    }

    /// Any live node of ours.
    fn somebody(&mut self) -> Option<usize> {
        let live: Vec<usize> = self.live().collect();
        live.get(self.dice.index(live.len())).copied()
    }

    /// Lets something go wrong now, or right again: that also at machines on which nothing runs.
    pub fn apply(&mut self, fault: &Fault) {
        let all = |_: &Host| true;
        match fault {
            Fault::Partition { side, cut } => {
                let side = self.those(side, all);
                self.stage.part(side, *cut);
            }
            Fault::Heal => self.stage.heal(),
            Fault::Crash { who, death } => {
                self.each(who, Host::is_live, |stage, node| stage.crash(node, *death));
            }
            Fault::Start(who) => {
                for node in self.those(who, |host| !host.is_live()) {
                    self.stage.start(node, &self.cast);
                }
            }
            Fault::Stop(who) => self.each(who, Host::is_live, Stage::stop),
            Fault::Reset { who, part } => {
                let whose = self.those(who, Host::is_live);
                self.stage.reset(whose, *part, &mut self.dice);
            }
            Fault::Silence { who, part } => {
                let whose = self.those(who, Host::is_live);
                self.stage.silence(whose, *part, &mut self.dice);
            }
            Fault::Filter { who, transport } => {
                let whose = self.those(who, all);
                self.stage.filter(whose, *transport);
            }
            Fault::Mute(who) => self.together(who, all, Stage::mute),
            Fault::Unfilter(who) => self.together(who, all, Stage::unfilter),
            Fault::Rebind(who) => self.together(who, Host::is_live, Stage::rebind),
            Fault::Renumber(who) => self.together(who, all, Stage::renumber),
            Fault::RebootBoxes(who) => self.together(who, all, Stage::reboot_boxes),
            Fault::Double(node) => self.double(*node),
            Fault::Single => self.end_twins(),
            Fault::StopReading(who) => {
                self.each(who, Host::is_live, |stage, node| stage.set_reading(node, false));
            }
            Fault::ReadAgain(who) => {
                let stopped = |host: &Host| !host.is_reading();
                self.each(who, stopped, |stage, node| stage.set_reading(node, true));
            }
            Fault::Freeze { who, lasting } => {
                self.each(who, Host::is_live, |stage, node| stage.freeze(node, *lasting));
            }
            Fault::BreakDisk(who) => self.set_disks(who, Host::is_live, DiskState::Broken),
            Fault::TakeDisk(who) => self.set_disks(who, Host::is_live, DiskState::Away),
            Fault::GiveDiskBack(who) => self.set_disks(who, all, DiskState::Works),
            Fault::BackUp(who) => self.each(who, all, |stage, node| {
                stage.change(node, |host, _| host.back_up());
            }),
            Fault::RestoreBackup(who) => {
                let dead = |host: &Host| !host.is_live();
                self.each(who, dead, |stage, node| {
                    stage.change(node, |host, _| host.restore_backup());
                });
            }
            Fault::Rotate(who) => self.rotate(who),
            Fault::TurnClock { who, seconds } => self.each(who, all, |stage, node| {
                stage.change(node, |host, _| host.turn_clock(*seconds));
            }),
            Fault::Change(physics) => {
                self.stage
                    .change_environment(|environment| environment.change((**physics).clone()));
            }
        }
    }

    /// The keys of those on which nothing runs give way to new ones.
    fn rotate(&mut self, who: &Selector) {
        for node in self.those(who, |host| !host.is_live()) {
            self.stage.rotate(node, &self.cast, &self.scenario.config.network);
        }
    }

    /// A second machine runs with the key of `node`, if there is one.
    fn double(&mut self, node: usize) {
        if let Some(twin) = self.scenario.twin_of(node) {
            self.stage.start(twin, &self.cast);
        }
    }

    fn end_twins(&mut self) {
        let twins = self.scenario.twins.iter().filter_map(|node| self.scenario.twin_of(*node));
        let live = |twin: &usize| self.stage.hosts()[*twin].is_live();
        for twin in twins.filter(live).collect::<Vec<_>>() {
            self.stage.crash(twin, Death::Killed);
        }
    }

    fn set_disks(&mut self, who: &Selector, can: impl Fn(&Host) -> bool, state: DiskState) {
        self.each(who, can, |stage, node| {
            stage.change(node, |host, _| host.set_disk(state));
        });
    }

    /// The nodes that `who` means, of those to whom it `can` happen.
    fn those(&mut self, who: &Selector, can: impl Fn(&Host) -> bool) -> Vec<usize> {
        let hosts = self.stage.hosts();
        let able = (0..self.scenario.nodes).filter(|node| can(&hosts[*node])).collect();
        who.choose(able, self.scenario.bootstraps, &mut self.dice)
    }

    /// Something happens to all of them at once.
    fn together(
        &mut self,
        who: &Selector,
        can: impl Fn(&Host) -> bool,
        how: impl FnOnce(&mut Stage, Vec<usize>),
    ) {
        let whose = self.those(who, can);
        how(&mut self.stage, whose);
    }

    /// The same happens to each of them.
    fn each(
        &mut self,
        who: &Selector,
        can: impl Fn(&Host) -> bool,
        how: impl Fn(&mut Stage, usize),
    ) {
        for node in self.those(who, can) {
            how(&mut self.stage, node);
        }
    }

    // --- what it is like ---

    /// Live nodes of ours, in order.
    pub fn live(&self) -> impl Iterator<Item = usize> {
        self.stage.hosts().live(self.scenario.nodes)
    }

    /// How many live nodes the largest part of the network has that live sessions connect.
    pub fn connected(&self) -> usize {
        self.stage.oracle().connected(self.stage.hosts(), self.now())
    }

    /// The node that runs on this host, or would.
    pub fn id(&self, node: usize) -> NodeId {
        self.stage.hosts()[node].identity().node_id()
    }

    /// Where it is now, as it knows it itself: inside, if it is at home.
    pub fn address(&self, node: usize) -> SocketAddr {
        self.stage.hosts()[node].addr()
    }

    /// The node, if its process runs.
    pub fn node(&self, node: usize) -> Option<&NodeCore> {
        self.stage.hosts()[node].node()
    }

    /// What the node looks like, if its process runs.
    pub fn view(&self, node: usize) -> Option<NodeView> {
        self.stage.hosts()[node].view(self.now())
    }

    /// What the node's disk would bring back now.
    pub fn snapshot(&self, node: usize) -> Snapshot {
        self.stage.hosts()[node].disk().snapshot(&self.scenario.config.network)
    }

    /// Where a broadcast went, through every node that lives and remembers it: the whole truth.
    pub fn way_of(&self, message: &MessageId) -> Vec<WayPoint> {
        way_of(self.stage.hosts(), self.scenario.nodes, self.now(), message)
    }

    /// The promises that were broken so far.
    pub fn violations(&self) -> &[Violation] {
        self.stage.oracle().violations()
    }

    /// What became of streams so far.
    pub fn streams(&self) -> StreamTally {
        self.stage.hosts().spent().streams
    }

    /// How far the story is.
    pub fn progress(&self) -> Progress {
        let (hosts, oracle) = (self.stage.hosts(), self.stage.oracle());
        let spent = hosts.spent();
        Progress {
            at: self.now().since(Instant::ORIGIN),
            of: self.scenario.duration,
            live_nodes: self.live().count(),
            partitioned: hosts.environment().network.is_parted(),
            broadcasts: oracle.broadcasts(),
            deliveries: oracle.deliveries(),
            wire_bytes: hosts.wire_bytes(self.scenario.nodes),
            events: spent.inputs,
            violations: oracle.violations().len(),
        }
    }
}
