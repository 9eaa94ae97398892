//! The world: hosts, what lies between them, and time.

use std::{collections::BTreeMap, sync::Arc};

use positron_proto::{
    id::NodeId,
    identity::Identity,
    node::{Command, Event, NodeCore, NodeView, Outcome, Refused, SequenceKind},
    rng::Seed,
    time::{Duration, Instant},
};

use crate::{
    check::{Bounds, Delivery, Heard, Liveness},
    clock::{Clock, at},
    dice::{Dice, named_dice},
    environment::{Environment, address},
    host::{Host, Tally},
    hosts::{Hosts, News},
    published::{self, Published},
    report::{Progress, Violation},
    scenario::{BootstrapBy, Check, Fault, Scenario, Workload},
};

/// Nodes whose tables are looked at each second, in turn.
const SAMPLE: usize = 16;
/// Violations that are reported; later ones are mostly echoes.
const MAX_VIOLATIONS: usize = 20;
/// What all bootstrap nodes are called together.
const BOOTSTRAP_NAME: &str = "bootstrap.example:8888";
/// A broadcast that was said so shortly before a partition may still be under way.
const UNDER_WAY: Duration = Duration::from_secs(2);

/// A made-up world: hosts that run the shipped node, on virtual time.
///
/// [`run`](crate::run) plays a whole [`Scenario`]. A test that wants to look closer steps through a
/// world by itself: [`run_until`](Self::run_until), then [`say`](Self::say), [`apply`](Self::apply)
/// or [`node`](Self::node). The same scenario, seed and steps give the same world, to the last bit.
pub struct World {
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) seed_number: u64,
    pub(crate) seed: Seed,
    pub(crate) hosts: Hosts,
    pub(crate) ids: BTreeMap<NodeId, usize>,
    script: Vec<(Instant, Act)>,
    next_act: usize,
    now: Instant,
    next_sample: Instant,
    sampled: usize,
    pub(crate) dice: Dice,
    pub(crate) said: Vec<Published>,
    pub(crate) delivery: Delivery,
    pub(crate) liveness: Liveness,
    pub(crate) directs: crate::report::Directs,
    pub(crate) violations: Vec<Violation>,
}

/// Something that a scenario wants to happen.
#[derive(Clone, Debug)]
enum Act {
    Start(usize),
    Fault(Fault),
    Say(Workload),
}

impl World {
    /// The world of `scenario` at its beginning: nobody has started.
    pub fn new(scenario: &Scenario, seed: u64) -> Self {
        let root = Seed::from_number(seed);
        let count = scenario.nodes + scenario.guests.len();
        let mut clocks = named_dice(&root, "clocks");
        let hosts: Vec<Host> = (0..count)
            .map(|index| {
                let seed = root.child(&format!("host {index}"));
                let identity = Identity::from_seed(seed.stream("identity").bytes());
                let clock = Clock::new(&scenario.physics, &mut clocks);
                Host::new(index, identity, clock, &seed)
            })
            .collect();
        let ids = hosts.iter().enumerate().map(|(n, h)| (h.identity().node_id(), n)).collect();
        let mut environment = Environment::new(scenario.physics.clone(), count, &root);
        environment.name(BOOTSTRAP_NAME, (0..scenario.bootstraps).map(address).collect());
        Self {
            ids,
            script: script(scenario),
            next_act: 0,
            now: Instant::ORIGIN,
            next_sample: Instant::ORIGIN,
            sampled: 0,
            dice: named_dice(&root, "scenario"),
            said: Vec::new(),
            delivery: Delivery::new(scenario.nodes, scenario.guests.len()),
            liveness: Liveness::default(),
            directs: crate::report::Directs::default(),
            violations: Vec::new(),
            hosts: Hosts::new(hosts, environment),
            seed: root,
            seed_number: seed,
            scenario: Arc::new(scenario.clone()),
        }
    }

    /// Runs on this many threads, whatever the number of hosts.
    pub fn use_threads(&mut self, threads: usize) {
        self.hosts.use_threads(threads);
    }

    /// Virtual time.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Lets everything happen that happens before `until`, the scenario's faults and sayings
    /// included. Stops early when a promise was broken beyond repair.
    pub fn run_until(&mut self, until: Duration) {
        let until = at(until);
        while self.now < until && !self.is_over() {
            let act = self.script.get(self.next_act).map(|(at, _)| *at);
            let stop = until.min(self.next_sample).min(act.unwrap_or(until));
            self.run_windows(stop);
            self.now = self.now.max(stop);
            if self.next_sample <= self.now {
                self.next_sample = self.now + Duration::from_secs(1);
                self.sample();
            }
            while let Some((_, act)) =
                self.script.get(self.next_act).filter(|(at, _)| *at <= self.now).cloned()
            {
                self.next_act += 1;
                self.act(act);
            }
        }
    }

    fn is_over(&self) -> bool {
        self.violations.len() >= MAX_VIOLATIONS || self.hosts.is_broken()
    }

    fn run_windows(&mut self, stop: Instant) {
        while self.hosts.run_window(stop) {
            self.hear_news();
            if self.hosts.is_broken() {
                return self.give_up();
            }
        }
    }

    /// Lets something happen to a host between two windows, and hears what comes of it at once.
    pub(crate) fn change<T>(
        &mut self,
        host: usize,
        how: impl FnOnce(&mut Host, &Environment) -> T,
    ) -> T {
        let answer = self.hosts.change(host, how);
        self.hear_news();
        answer
    }

    fn hear_news(&mut self) {
        while let Some(news) = self.hosts.poll_news() {
            match news {
                News::Heard { host, at, event } => self.hear(host, at, &event),
                News::Exited { host, at } => {
                    for what in self.liveness.ended(host) {
                        self.violate(Check::Liveness, at, Some(host), what);
                    }
                }
            }
        }
    }

    fn give_up(&mut self) {
        for host in 0..self.hosts.len() {
            if let Some(why) = self.hosts[host].broken().map(str::to_owned) {
                let at = self.hosts[host].now();
                self.violate(Check::Liveness, at, Some(host), why);
            }
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Start(host) => self.start(host),
            Act::Fault(fault) => self.apply(&fault),
            // Refusals are the node's right; a story says enough that they do not matter.
            Act::Say(saying) => drop(self.say(saying)),
        }
    }

    // --- what applications do ---

    /// Says something now. `None`: nobody is there to say it.
    pub fn say(&mut self, saying: Workload) -> Option<Result<(), Refused>> {
        let (kind, from, to, bytes) = match saying {
            Workload::Broadcast { from, bytes } => {
                let from = from.or_else(|| self.somebody())?;
                (SequenceKind::Broadcast, from, from, bytes)
            }
            Workload::Direct { from, to, bytes } => (SequenceKind::Direct, from, to, bytes),
        };
        if !self.hosts[from].is_live() {
            return None;
        }
        let index = self.said.len();
        let payload = published::payload(kind, index, bytes);
        let bytes = payload.len();
        let (at, life) = (self.now, self.hosts[from].life());
        let disturbed = self.hosts.environment().network.is_parted();
        let (id, durable) = (None, false);
        self.said.push(Published { kind, from, to, at, life, bytes, id, durable, disturbed });
        let command = match kind {
            SequenceKind::Broadcast => Command::Broadcast { payload },
            SequenceKind::Direct => {
                Command::Send { to: self.hosts[to].identity().node_id(), payload }
            }
        };
        let now = self.now;
        // What comes of it is heard only when it is known that it was taken.
        let answer =
            self.hosts.change(from, |host, environment| host.command(now, environment, command))?;
        match &answer {
            Ok(ticket) => {
                self.liveness.handle_accepted(from, *ticket, self.now, Some(index));
                self.directs.sent += u64::from(kind == SequenceKind::Direct);
            }
            Err(_) => drop(self.said.pop()),
        }
        self.hear_news();
        Some(answer.map(|_| ()))
    }

    /// Any live node of ours.
    fn somebody(&mut self) -> Option<usize> {
        let live: Vec<usize> = self.live().collect();
        live.get(self.dice.index(live.len())).copied()
    }

    /// Live nodes of ours, in order.
    pub fn live(&self) -> impl Iterator<Item = usize> {
        (0..self.scenario.nodes).filter(|node| self.hosts[*node].is_live())
    }

    /// The node, if its process runs.
    pub fn node(&self, node: usize) -> Option<&NodeCore> {
        self.hosts[node].node()
    }

    /// What the node looks like, if its process runs.
    pub fn view(&self, node: usize) -> Option<NodeView> {
        Some(self.node(node)?.view(self.hosts[node].clocks(self.now)))
    }

    /// What the node's disk would bring back now.
    pub fn snapshot(&self, node: usize) -> positron_proto::node::Snapshot {
        self.hosts[node].snapshot(&self.scenario.config.network)
    }

    /// The promises that were broken so far.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Keeps the last things that happen to `node`, for the history of a violation.
    pub fn listen_at(&mut self, node: usize) {
        self.hosts.change(node, |host, _| host.trace().listen());
    }

    // --- what checkers see ---

    fn hear(&mut self, host: usize, at: Instant, event: &Event) {
        match event {
            Event::Message { id, sender, kind, payload, .. } => {
                let sender = self.ids.get(sender).copied();
                let heard = Heard { at, host, id: *id, sender, kind: *kind, payload };
                if let Err(what) = self.delivery.heard(&heard, &self.said) {
                    self.violate(Check::Delivery, at, Some(host), what);
                }
            }
            Event::Completed { ticket, outcome } => match self.liveness.completed(host, *ticket) {
                Ok(waiting) => self.completed(waiting.said, outcome),
                Err(what) => self.violate(Check::Liveness, at, Some(host), what),
            },
            _ => {}
        }
    }

    fn completed(&mut self, said: Option<usize>, outcome: &Outcome) {
        let Some(said) = said.and_then(|index| self.said.get_mut(index)) else { return };
        match outcome {
            Outcome::Durable(id) => {
                said.id = Some(*id);
                said.durable = true;
            }
            Outcome::Delivered(id) => {
                said.id = Some(*id);
                self.directs.acknowledged += 1;
            }
            Outcome::Undelivered(_) => self.directs.given_up += 1,
            Outcome::NotDurable(_) | Outcome::Joining | Outcome::Stopped => {}
        }
    }

    pub(crate) fn violate(&mut self, check: Check, at: Instant, node: Option<usize>, what: String) {
        if self.violations.len() < MAX_VIOLATIONS && !self.scenario.waived.contains(&check) {
            let mut violation = Violation::new(check, at, node, what);
            violation.history = node.map_or_else(Vec::new, |n| self.hosts[n].history());
            self.violations.push(violation);
        }
    }

    /// Looks at the tables of some nodes, and at commands that wait too long.
    fn sample(&mut self) {
        let bounds = Bounds::new(&self.scenario.config);
        for _ in 0..SAMPLE.min(self.scenario.nodes) {
            let node = self.sampled % self.scenario.nodes;
            self.sampled += 1;
            let half_open = self.node(node).map_or(0, NodeCore::half_open);
            if let Some(Err(what)) = self.view(node).map(|view| bounds.check(&view, half_open)) {
                self.violate(Check::Bounds, self.now, Some(node), what);
            }
        }
        let overdue: Vec<_> = self.liveness.overdue(self.now).collect();
        for (node, what) in overdue {
            self.violate(Check::Liveness, self.now, Some(node), what);
        }
    }

    /// What was said shortly before now may be late because of what happens now.
    pub(crate) fn disturb(&mut self) {
        let now = self.now;
        let under_way = |said: &&mut Published| now.since(said.at) < UNDER_WAY;
        self.said.iter_mut().rev().take_while(under_way).for_each(|said| said.disturbed = true);
    }

    /// How far the story is.
    pub fn progress(&self) -> Progress {
        let spent = self.spent();
        Progress {
            at: self.now.since(Instant::ORIGIN),
            of: self.scenario.duration,
            live_nodes: self.live().count(),
            partitioned: self.hosts.environment().network.is_parted(),
            broadcasts: self.said.iter().filter(|s| s.kind == SequenceKind::Broadcast).count(),
            deliveries: self.delivery.deliveries,
            wire_bytes: spent.wire_bytes,
            events: spent.inputs,
            violations: self.violations.len(),
        }
    }

    /// What all hosts spent together.
    pub(crate) fn spent(&self) -> Tally {
        let mut all = Tally::default();
        for host in self.hosts.iter() {
            let Tally { inputs, verifications, wire_bytes } = host.tally();
            all.inputs += inputs;
            all.verifications += verifications;
            all.wire_bytes += wire_bytes;
        }
        all
    }

    /// Everybody's bootstrap addresses.
    pub(crate) fn bootstrap(&self, node: usize) -> Vec<String> {
        if self.scenario.bootstrap_by == BootstrapBy::Name && node >= self.scenario.bootstraps {
            return vec![BOOTSTRAP_NAME.into()];
        }
        let bootstraps = 0..self.scenario.bootstraps.min(self.scenario.nodes);
        bootstraps.filter(|n| *n != node).map(|n| address(n).to_string()).collect()
    }
}

/// Everything that a scenario wants to happen, in order of time.
fn script(scenario: &Scenario) -> Vec<(Instant, Act)> {
    let count = u32::try_from(scenario.nodes.max(1)).unwrap_or(u32::MAX);
    let mut script = Vec::new();
    for node in (0..scenario.nodes).filter(|node| !scenario.absent.contains(node)) {
        let turn = u32::try_from(node).unwrap_or(u32::MAX);
        script.push((at(scenario.start_within / count * turn), Act::Start(node)));
    }
    for guest in 0..scenario.guests.len() {
        script.push((at(scenario.start_within), Act::Start(scenario.nodes + guest)));
    }
    for (after, fault) in &scenario.faults {
        script.push((at(*after), Act::Fault(fault.clone())));
    }
    for (after, saying) in &scenario.sayings {
        script.push((at(*after), Act::Say(*saying)));
    }
    script.sort_by_key(|(at, _)| *at);
    script
}
