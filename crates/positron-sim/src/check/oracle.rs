//! What applications said and heard, held against every promise.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use positron_proto::{
    id::{MessageId, NodeId, Ticket},
    identity::Verified,
    limits::{RETENTION_AGE, RETENTION_BYTES},
    node::{Event, HandedOver, NodeCore, NodeView, Outcome, SequenceKind},
    shown::ratio,
    time::{Duration, Instant},
};

use super::{
    bounds::Bounds,
    convergence::{Convergence, Live},
    delivery::{Delivery, Heard},
    isolation::Isolation,
    liveness::Liveness,
    membership::Membership,
    retention::Retention,
};
use crate::{
    hosts::{Hosts, News},
    published::{self, Published},
    questions::Questions,
    report::{Directs, Latency, Report, Violation, add_up, seconds},
    run_hash::RunHash,
    scenario::{Check, Scenario},
};

/// Nodes whose tables are looked at each second, in turn.
const SAMPLE: usize = 16;
/// Violations that are reported; later ones are mostly echoes.
const MAX_VIOLATIONS: usize = 20;
/// A broadcast that was said so shortly before a partition may still be under way.
const UNDER_WAY: Duration = Duration::from_secs(2);

/// Tells whether promises are kept (a test oracle in the sense of Howden 1978).
///
/// # Contract
///
/// It is told what hosts have [to say](Self::handle_news), each command that a node
/// [accepted](Self::handle_accepted), and what happens to processes. When
/// [`next_time`](Self::next_time) comes, [`handle_timeout`](Self::handle_timeout) looks at nodes
/// themselves; [`finish`](Self::finish) does so at the end. It looks at hosts and never changes
/// them, so that nothing depends on whether it is there.
pub(crate) struct Oracle {
    scenario: Arc<Scenario>,
    seed: u64,
    ids: BTreeMap<NodeId, usize>,
    said: Vec<Published>,
    questions: Questions,
    delivery: Delivery,
    liveness: Liveness,
    isolation: Isolation,
    /// Until when each host was away last.
    away: Vec<Option<Instant>>,
    /// What was said before this index has been checked.
    checked: usize,
    directs: Directs,
    /// How what nodes wanted of the hash table ended.
    table_ends: Vec<(usize, Outcome)>,
    violations: Vec<Violation>,
    next_look: Instant,
    looked_at: usize,
}

impl Oracle {
    /// What is to come of `scenario` with the dice of `seed`.
    pub(crate) fn new(scenario: Arc<Scenario>, seed: u64, hosts: &Hosts) -> Self {
        Self {
            ids: owners(&scenario, hosts),
            said: Vec::new(),
            questions: Questions::default(),
            delivery: Delivery::new(scenario.nodes, scenario.guests.len())
                .with_made_up_keys(scenario.guests.iter().any(|guest| guest.makes_up_keys())),
            liveness: Liveness::default(),
            isolation: Isolation::default(),
            away: vec![None; hosts.len()],
            checked: 0,
            directs: Directs::default(),
            table_ends: Vec::new(),
            violations: Vec::new(),
            next_look: Instant::ORIGIN,
            looked_at: 0,
            scenario,
            seed,
        }
    }

    // --- what applications say ---

    /// What an application is to say next, so that whoever hears it knows what it is.
    pub(crate) fn next_payload(&self, kind: SequenceKind, bytes: usize) -> Bytes {
        published::payload(kind, self.said.len(), bytes)
    }

    /// A node took the [next payload](Self::next_payload).
    pub(crate) fn handle_said(&mut self, ticket: Ticket, said: Published) {
        self.handle_accepted(said.from, ticket, said.at, Some(self.said.len()));
        self.directs.sent += u64::from(said.kind == SequenceKind::Direct);
        self.said.push(said);
    }

    /// What nodes ask each other.
    pub(crate) const fn questions(&self) -> &Questions {
        &self.questions
    }

    /// How what nodes wanted of the hash table ended, and what was not done after all.
    pub(crate) fn table_ends(&self) -> &[(usize, Outcome)] {
        &self.table_ends
    }

    /// A node took the next question.
    pub(crate) fn handle_asked(&mut self, ticket: Ticket, from: usize, to: usize, at: Instant) {
        self.handle_accepted(from, ticket, at, None);
        self.questions.handle_asked(ticket, from, to, at);
    }

    /// A node took a command.
    pub(crate) fn handle_accepted(
        &mut self,
        host: usize,
        ticket: Ticket,
        at: Instant,
        said: Option<usize>,
    ) {
        self.liveness.handle_accepted(host, ticket, at, said);
    }

    // --- what happens to processes ---

    /// A process starts.
    pub(crate) fn handle_start(&mut self, host: usize, now: Instant) {
        if self.is_owner(host) {
            self.delivery.handle_start(host, now);
        }
    }

    /// Whether it is no second machine: what those hear is nobody's business.
    fn is_owner(&self, host: usize) -> bool {
        self.scenario.owner(host) == host
    }

    /// A process dies.
    pub(crate) fn handle_death(&mut self, host: usize) {
        self.liveness.died(host);
        self.questions.handle_death(host);
        self.isolation.handle_end(host);
    }

    /// A machine has lost its power: what was committed and not on the platter is no promise any
    /// more.
    pub(crate) fn handle_power_cut(&mut self, hosts: &Hosts, host: usize) {
        let disk = hosts[host].disk().snapshot(&self.scenario.config.network);
        let kept: BTreeSet<MessageId> = disk.gossip.messages.iter().map(Verified::id).collect();
        for said in self.said.iter_mut().filter(|said| said.from == host && said.durable) {
            said.durable = said.id.is_some_and(|id| kept.contains(&id));
        }
    }

    /// What was said shortly before now may be late because of what happens now.
    pub(crate) fn handle_disturbance(&mut self, now: Instant) {
        let under_way = |said: &&mut Published| now.since(said.at) < UNDER_WAY;
        self.said.iter_mut().rev().take_while(under_way).for_each(|said| said.disturbed = true);
    }

    /// What this key signs is said by this host, too.
    pub(crate) fn handle_rotated(&mut self, host: usize, to: NodeId) {
        self.ids.insert(to, host);
    }

    /// A host is dead, cut off, or stands still, until then.
    pub(crate) fn handle_away(&mut self, host: usize, until: Instant) {
        self.away[host] = self.away[host].max(Some(until));
    }

    // --- what applications hear ---

    /// A host has something to say.
    pub(crate) fn handle_news(&mut self, hosts: &Hosts, news: News) {
        match news {
            News::Heard { host, at, event } => self.hear(hosts, host, at, &event),
            News::Exited { host, at } => {
                for what in self.liveness.ended(host) {
                    self.violate(hosts, Check::Liveness, at, Some(host), what);
                }
            }
        }
    }

    fn hear(&mut self, hosts: &Hosts, host: usize, at: Instant, event: &Event) {
        if !self.is_owner(host) {
            return;
        }
        self.questions.hear(host, at, event);
        match event {
            Event::Message(HandedOver { id, from, sender, kind, payload, .. }) => {
                let [sender, from] = [sender, from].map(|id| self.ids.get(id).copied());
                let heard = Heard { at, host, id: *id, sender, from, kind: *kind, payload };
                if let Err(what) = self.delivery.heard(&heard, &self.said) {
                    self.violate(hosts, Check::Delivery, at, Some(host), what);
                }
            }
            Event::PeerJoined { .. } => self.isolation.handle_end(host),
            Event::Completed { ticket, outcome } => {
                if matches!(outcome, Outcome::Table(_) | Outcome::Refused(_)) {
                    self.table_ends.push((host, outcome.clone()));
                }
                match self.liveness.completed(host, *ticket) {
                    Ok(waiting) => self.completed(waiting.said, outcome),
                    Err(what) => self.violate(hosts, Check::Liveness, at, Some(host), what),
                }
            }
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
            Outcome::NotDurable(_)
            | Outcome::Linked
            | Outcome::Pong(_)
            | Outcome::Joining
            | Outcome::Noted
            | Outcome::Answered(_)
            | Outcome::Unanswered(_)
            | Outcome::Recommended(_)
            | Outcome::NotRecommended(_)
            | Outcome::Shared { .. }
            | Outcome::Stopped
            | Outcome::StreamOpened(_)
            | Outcome::StreamNotOpened(_)
            | Outcome::Table(_)
            | Outcome::Refused(_) => {}
        }
    }

    // --- what nodes look like ---

    /// When it looks at nodes next.
    pub(crate) const fn next_time(&self) -> Instant {
        self.next_look
    }

    /// Looks at the tables of some nodes, and at commands that wait too long.
    pub(crate) fn handle_timeout(&mut self, hosts: &Hosts, now: Instant) {
        self.next_look = now + Duration::from_secs(1);
        let bounds = Bounds::new(&self.scenario.config);
        for _ in 0..SAMPLE.min(self.scenario.nodes) {
            let node = self.looked_at % self.scenario.nodes;
            self.looked_at += 1;
            let half_open = hosts[node].node().map_or(0, NodeCore::half_open);
            let Some(view) = hosts[node].view(now) else {
                self.isolation.handle_end(node);
                continue;
            };
            if let Err(what) = bounds.check(&view, half_open) {
                self.violate(hosts, Check::Bounds, now, Some(node), what);
            }
            // Who stands still does not know that it is alone.
            if self.away[node] > Some(now) {
                self.isolation.handle_end(node);
            } else if let Err(what) = self.isolation.check(node, &view, now) {
                self.violate(hosts, Check::Isolation, now, Some(node), what);
            }
        }
        let overdue: Vec<_> = self.liveness.overdue(now).collect();
        for (node, what) in overdue {
            self.violate(hosts, Check::Liveness, now, Some(node), what);
        }
    }

    /// Hosts can go no further.
    pub(crate) fn handle_broken(&mut self, hosts: &Hosts) {
        for (index, host) in hosts.iter().enumerate() {
            if let Some(why) = host.broken() {
                self.violate(hosts, Check::Liveness, host.now(), Some(index), why.to_owned());
            }
        }
    }

    fn violate(
        &mut self,
        hosts: &Hosts,
        check: Check,
        at: Instant,
        node: Option<usize>,
        what: String,
    ) {
        if self.is_over() || self.scenario.waived.contains(&check) {
            return;
        }
        let mut violation = Violation::new(check, at, node, what);
        violation.history = node.map_or_else(Vec::new, |n| hosts[n].history());
        self.violations.push(violation);
    }

    // --- what came of it ---

    /// Whether so many promises were broken that no more are reported.
    pub(crate) const fn is_over(&self) -> bool {
        self.violations.len() >= MAX_VIOLATIONS
    }

    /// The promises that were broken so far.
    pub(crate) fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Broadcasts that nodes accepted.
    pub(crate) fn broadcasts(&self) -> usize {
        self.said.iter().filter(|said| said.kind == SequenceKind::Broadcast).count()
    }

    /// Times that a broadcast was handed to an application, the first of each node only.
    pub(crate) const fn deliveries(&self) -> u64 {
        self.delivery.deliveries
    }

    /// Live nodes in the largest part of the network that live sessions connect, now.
    pub(crate) fn connected(&self, hosts: &Hosts, now: Instant) -> usize {
        self.parts(&self.views(hosts, now)).connected
    }

    /// Looks whether what was said so far has arrived, now.
    pub(crate) fn checkpoint(&mut self, hosts: &Hosts, now: Instant) {
        let live = self.live(hosts);
        self.convergence(hosts, &live, self.checked, now);
        self.membership(hosts, &self.views(hosts, now), now);
        self.checked = self.said.len();
    }

    /// Looks whether all promises were kept, now.
    pub(crate) fn finish(&mut self, hosts: &Hosts, now: Instant) -> Report {
        let live = self.live(hosts);
        let views = self.views(hosts, now);
        let convergence = self.convergence(hosts, &live, 0, now);
        let membership = self.membership(hosts, &views, now);
        self.check_nobody_equivocated(hosts, &views, now);
        self.check_streams(hosts, now);
        self.report(hosts, views, &convergence, &membership, now)
    }

    /// Who reads a stream up to its end has every byte of it, in its place.
    fn check_streams(&mut self, hosts: &Hosts, now: Instant) {
        let wrong = hosts.spent().streams.wrong;
        if wrong > 0 {
            let what = format!("{wrong} bytes or ends of streams in another place");
            self.violate(hosts, Check::Delivery, now, None, what);
        }
    }

    fn live<'a>(&self, hosts: &'a Hosts) -> Vec<Live<'a>> {
        let live =
            |host: usize| Some(Live { host, life: hosts[host].life(), core: hosts[host].node()? });
        hosts.live(self.scenario.nodes).filter_map(live).collect()
    }

    fn views(&self, hosts: &Hosts, now: Instant) -> BTreeMap<usize, NodeView> {
        let view = |host: usize| Some((host, hosts[host].view(now)?));
        hosts.live(self.scenario.nodes).filter_map(view).collect()
    }

    /// Looks who has what was said from the thing with the index `since` on.
    fn convergence(
        &mut self,
        hosts: &Hosts,
        live: &[Live<'_>],
        since: usize,
        now: Instant,
    ) -> Convergence {
        let kept =
            live.iter().flat_map(|one| one.core.gossip().history().map(Verified::id)).collect();
        let retention = Retention { kept: &kept, away: &self.away };
        let mut convergence =
            Convergence::of(live, (&self.said, since), &self.delivery, &retention);
        if !self.has_overflown(now) {
            convergence.compare_holdings(live);
        }
        for (node, what) in &convergence.wrong {
            self.violate(hosts, Check::Convergence, now, Some(*node), what.clone());
        }
        convergence
    }

    /// Whether retention windows let messages go: which depends on the order of their arrival.
    fn has_overflown(&self, now: Instant) -> bool {
        let broadcasts = self.said.iter().filter(|said| said.kind == SequenceKind::Broadcast);
        let bytes: usize = broadcasts.map(|said| said.bytes).sum();
        bytes > RETENTION_BYTES
            || self.broadcasts() > self.scenario.config.gossip.cache_size
            || now.since(Instant::ORIGIN) > RETENTION_AGE
    }

    fn membership(
        &mut self,
        hosts: &Hosts,
        views: &BTreeMap<usize, NodeView>,
        now: Instant,
    ) -> Membership {
        let membership = self.parts(views);
        if let Some(node) = membership.outside {
            let what = format!("{} of {} nodes are connected", membership.connected, views.len());
            self.violate(hosts, Check::Membership, now, Some(node), what);
        }
        membership
    }

    fn parts(&self, views: &BTreeMap<usize, NodeView>) -> Membership {
        let peers = |view: &NodeView| view.peers.iter().map(|peer| peer.session.peer.id).collect();
        let peers = views.iter().map(|(host, view)| (*host, peers(view))).collect();
        Membership::of(&self.ids, &peers)
    }

    /// A number that was used twice shows as an equivocation at whoever has both messages.
    fn check_nobody_equivocated(
        &mut self,
        hosts: &Hosts,
        views: &BTreeMap<usize, NodeView>,
        now: Instant,
    ) {
        if !self.scenario.guests.is_empty() || !self.scenario.twins.is_empty() {
            return;
        }
        for (node, view) in views {
            let seen = view.counters.gossip.equivocations;
            if seen > 0 {
                let what = format!("saw {seen} sequence numbers with two contents");
                self.violate(hosts, Check::Delivery, now, Some(*node), what);
            }
        }
    }

    fn report(
        &self,
        hosts: &Hosts,
        views: BTreeMap<usize, NodeView>,
        convergence: &Convergence,
        membership: &Membership,
        now: Instant,
    ) -> Report {
        let mut hash = RunHash::new();
        for host in hosts.iter() {
            hash.fold(host.hash());
        }
        let (mut undisturbed, mut all) = self.delivery.latencies();
        let spent = hosts.spent();
        Report {
            scenario: self.scenario.name.clone(),
            seed: self.seed,
            nodes: self.scenario.nodes,
            live_nodes: views.len(),
            connected_nodes: membership.connected,
            broadcasts: self.broadcasts(),
            broadcasts_lost: convergence.lost,
            deliveries: self.delivery.deliveries,
            expected_deliveries: convergence.expected,
            excused_deliveries: convergence.excused,
            duplicate_deliveries: self.delivery.duplicates,
            redeliveries_across_restarts: self.delivery.redeliveries,
            directs: Directs { received: self.delivery.directs_received, ..self.directs },
            latency_ms: Latency::of(&mut undisturbed),
            latency_overall_ms: Latency::of(&mut all),
            dissemination: self.delivery.dissemination(&self.said),
            extra_copies: extra_copies(&views),
            streams: spent.streams,
            wire_bytes: spent.wire_bytes,
            verifications: spent.verifications,
            changes: hosts.iter().map(|host| host.disk().changes()).sum(),
            events: spent.inputs,
            duration_s: seconds(now),
            wall_s: None,
            counters: sum_of_counters(views),
            run_hash: hash.hex(),
            violations: self.violations.clone(),
        }
    }
}

/// Whose key is on which host; on two of them, the first one's.
fn owners(scenario: &Scenario, hosts: &Hosts) -> BTreeMap<NodeId, usize> {
    let own = hosts.iter().enumerate().filter(|(host, _)| scenario.owner(*host) == *host);
    own.map(|(host, this)| (this.identity().node_id(), host)).collect()
}

/// Copies that came beside the first, for each delivery.
fn extra_copies(views: &BTreeMap<usize, NodeView>) -> f64 {
    let gossip = views.values().map(|view| &view.counters.gossip);
    let (copies, delivered) = gossip.fold((0, 0), |(copies, delivered), counted| {
        (copies + counted.duplicates, delivered + counted.delivered)
    });
    ratio(copies as f64 / delivered.max(1) as f64)
}

/// What nodes counted, added up.
fn sum_of_counters(views: BTreeMap<usize, NodeView>) -> serde_json::Value {
    let mut sum = serde_json::Value::Null;
    for view in views.into_values() {
        let counters = serde_json::to_value(view.counters).expect("counters are plain data");
        add_up(&mut sum, counters);
    }
    sum
}
