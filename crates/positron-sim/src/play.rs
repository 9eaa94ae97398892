//! Plays a story from beginning to end.

use std::collections::BTreeMap;

use positron_proto::{
    node::SequenceKind,
    time::{Duration, Instant},
};

use crate::{
    check::{Convergence, Live, Membership},
    report::{Latency, Progress, Report, add_up},
    run_hash::RunHash,
    scenario::{Check, Scenario},
    world::World,
};

/// Plays `scenario` with the dice of `seed`.
///
/// A run that broke a promise at one node is played a second time with an ear at that node, so that
/// the report says what happened before.
///
/// ```
/// use positron_sim::{Scenario, run};
///
/// let scenario = Scenario::default_story(3);
/// assert_eq!(scenario.sayings.len(), 100);
/// ```
pub fn run(scenario: &Scenario, seed: u64) -> Report {
    run_with(scenario, seed, |_| {})
}

/// The same as [`run`], and tells how far it is after each virtual second.
pub fn run_with(scenario: &Scenario, seed: u64, progress: impl FnMut(&Progress)) -> Report {
    let mut world = World::new(scenario, seed);
    let report = world.play(progress);
    let Some(node) = report.violations.iter().find_map(|violation| violation.node) else {
        return report;
    };
    let mut again = World::new(scenario, seed);
    again.listen_at(node);
    again.play(|_| {})
}

impl World {
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
        let (now, live): (Instant, Vec<usize>) = (self.now(), self.live().collect());
        let convergence = {
            let cores: Vec<Live<'_>> = live
                .iter()
                .filter_map(|&host| {
                    let life = self.hosts[host].life();
                    self.node(host).map(|core| Live { host, life, core })
                })
                .collect();
            Convergence::of(&cores, &self.said, &self.delivery)
        };
        for (node, what) in &convergence.wrong {
            self.violate(Check::Convergence, now, Some(*node), what.clone());
        }
        let membership = self.membership(&live);
        if let Some(node) = membership.outside {
            let what = format!("{} of {} nodes are connected", membership.connected, live.len());
            self.violate(Check::Membership, now, Some(node), what);
        }
        self.check_nobody_equivocated(&live);
        self.report(&live, &convergence, &membership)
    }

    fn membership(&self, live: &[usize]) -> Membership {
        let peers: BTreeMap<_, _> = live
            .iter()
            .filter_map(|node| {
                let view = self.view(*node)?;
                Some((*node, view.peers.iter().map(|peer| peer.session.peer.id).collect()))
            })
            .collect();
        Membership::of(&self.ids, &peers)
    }

    /// A number that was used twice shows as an equivocation at whoever has both messages.
    fn check_nobody_equivocated(&mut self, live: &[usize]) {
        if !self.scenario.guests.is_empty() {
            return;
        }
        for node in live {
            let seen = self.view(*node).map_or(0, |view| view.counters.gossip.equivocations);
            if seen > 0 {
                let what = format!("saw {seen} sequence numbers with two contents");
                self.violate(Check::Delivery, self.now(), Some(*node), what);
            }
        }
    }

    fn counters(&self, live: &[usize]) -> serde_json::Value {
        let mut sum = serde_json::Value::Null;
        for view in live.iter().filter_map(|node| self.view(*node)) {
            let counters = serde_json::to_value(view.counters).expect("counters are plain data");
            add_up(&mut sum, counters);
        }
        sum
    }

    fn report(&self, live: &[usize], end: &Convergence, membership: &Membership) -> Report {
        let mut hash = RunHash::new();
        for host in self.hosts.iter() {
            hash.fold(host.hash());
        }
        let (mut undisturbed, mut all) = self.delivery.latencies();
        let spent = self.spent();
        let broadcasts = self.said.iter().filter(|s| s.kind == SequenceKind::Broadcast).count();
        Report {
            scenario: self.scenario.name.clone(),
            seed: self.seed_number,
            nodes: self.scenario.nodes,
            live_nodes: live.len(),
            connected_nodes: membership.connected,
            broadcasts,
            broadcasts_lost: end.lost,
            deliveries: self.delivery.deliveries,
            expected_deliveries: end.expected,
            duplicate_deliveries: self.delivery.duplicates,
            redeliveries_across_restarts: self.delivery.redeliveries,
            directs: crate::report::Directs {
                received: self.delivery.directs_received,
                ..self.directs
            },
            latency_ms: Latency::of(&mut undisturbed),
            latency_overall_ms: Latency::of(&mut all),
            wire_bytes: spent.wire_bytes,
            verifications: spent.verifications,
            changes: self.hosts.iter().map(super::host::Host::changes).sum(),
            events: spent.inputs,
            duration_s: crate::report::seconds(self.now()),
            wall_s: None,
            counters: self.counters(live),
            run_hash: hash.hex(),
            violations: self.violations.clone(),
        }
    }
}
