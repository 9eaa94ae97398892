//! A whole table in memory: nodes that know one another as after a long life, and lookups among
//! them in virtual time. No bytes travel; round trips take from 20 to 100 ms.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use core::cmp::Reverse;

use super::{Contact, Place, lookup::Lookup, table::RoutingTable};
use crate::{
    id::NodeId,
    identity::Identity,
    limits::{
        BUCKET, DISJOINT_PATHS, HEDGE_AFTER, MAX_CONTACTS_PER_ANSWER, MAX_REPLICA_CANDIDATES,
        QUESTION_TIMEOUT, REPLICAS,
    },
    rng::{Rng, Seed},
    time::{Duration, Instant},
};

/// How a node behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nature {
    Honest,
    /// It does not answer, and all have it in their tables still.
    Frozen,
    /// It names liars only, the nearest of all, at places that they really have.
    Liar,
}

struct World {
    rng: Rng,
    nodes: Vec<Contact>,
    index: BTreeMap<NodeId, usize>,
    tables: Vec<RoutingTable>,
    natures: Vec<Nature>,
}

/// What many lookups came to.
#[derive(Debug)]
struct Figures {
    /// Milliseconds.
    p50: u128,
    p99: u128,
    requests: f64,
    hops: f64,
    /// Of the nodes that are truly nearest and answer: how many of a hundred were found.
    recall: f64,
    /// Lookups, of a hundred, that asked an honest one of these: a record would have been found.
    found: f64,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Answer,
    Failure,
}

impl World {
    fn new(seed: u64, n: usize) -> Self {
        let mut rng = Seed::from_number(seed).stream("model");
        let nodes: Vec<_> = (0..n).map(|_| somebody(&mut rng)).collect();
        let index = nodes.iter().map(Contact::id).zip(0..).collect();
        let tables = nodes.iter().map(|node| full_table(node, &nodes, &mut rng)).collect();
        Self { rng, natures: vec![Nature::Honest; n], nodes, index, tables }
    }

    /// So many of a hundred become this, the others honest.
    fn turn(&mut self, percent: usize, nature: Nature) -> &mut Self {
        let mut order: Vec<_> = (0..self.nodes.len()).collect();
        self.rng.shuffle(&mut order);
        self.natures.fill(Nature::Honest);
        for index in order.into_iter().take(self.nodes.len() * percent / 100) {
            self.natures[index] = nature;
        }
        self
    }

    fn nature(&self, contact: &Contact) -> Nature {
        self.natures[self.index[&contact.id()]]
    }

    /// Those of which `is` is true, nearest first.
    fn truly_nearest(&self, target: &Place, is: impl Fn(Nature) -> bool) -> Vec<Contact> {
        let all = self.nodes.iter().zip(&self.natures).filter(|(_, nature)| is(**nature));
        let mut nearest: Vec<_> =
            all.map(|(contact, _)| (target.distance(&contact.place()), contact)).collect();
        nearest.sort_unstable();
        nearest.into_iter().map(|(_, contact)| *contact).collect()
    }

    fn answer(&self, of: &Contact, target: &Place) -> Vec<Contact> {
        let index = self.index[&of.id()];
        if self.natures[index] == Nature::Liar {
            let mut liars = self.truly_nearest(target, |nature| nature == Nature::Liar);
            liars.truncate(MAX_CONTACTS_PER_ANSWER);
            return liars;
        }
        self.tables[index].nearest(target, MAX_CONTACTS_PER_ANSWER)
    }

    /// One lookup from an honest node; when it was over.
    fn look_up(&mut self, target: Place, paths: usize) -> (Lookup, Instant, Contact) {
        let honest: Vec<_> =
            (0..self.nodes.len()).filter(|at| self.natures[*at] == Nature::Honest).collect();
        let from = honest[self.rng.index(honest.len())];
        let start = self.tables[from].nearest(&target, MAX_REPLICA_CANDIDATES);
        let me = self.nodes[from];
        let mut now = Instant::ORIGIN;
        let lookup = Lookup::new(now, target, REPLICAS, start, me.id(), HEDGE_AFTER);
        let mut lookup = lookup.over_paths(paths);
        let mut events = BinaryHeap::new();
        while !lookup.is_done() {
            while let Some(contact) = lookup.next(now) {
                let rtt = Duration::from_millis(20)..=Duration::from_millis(100);
                let event = match self.nature(&contact) {
                    Nature::Frozen => (now + QUESTION_TIMEOUT, What::Failure, contact),
                    _ => (now + self.rng.duration(rtt), What::Answer, contact),
                };
                events.push(Reverse(event));
            }
            let next = events.peek().map(|Reverse((at, ..))| *at);
            let wake = [next, lookup.poll_timeout()].into_iter().flatten().min();
            let Some(at) = wake else { break };
            now = at;
            lookup.handle_timeout(now);
            while events.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
                match events.pop() {
                    Some(Reverse((_, What::Answer, from))) => {
                        let named = self.answer(&from, &target);
                        lookup.answered(now, &from, named);
                    }
                    Some(Reverse((_, What::Failure, from))) => lookup.failed(&from),
                    None => {}
                }
            }
        }
        (lookup, now, me)
    }

    fn run(&mut self, lookups: usize, paths: usize) -> Figures {
        let (mut times, mut requests, mut hops, mut hits, mut found) = (Vec::new(), 0, 0, 0, 0);
        for _ in 0..lookups {
            let target = Place::from_bytes(self.rng.bytes());
            let (lookup, over, me) = self.look_up(target, paths);
            let mut truth = self.truly_nearest(&target, |nature| nature != Nature::Frozen);
            // Who looks does not ask itself.
            truth.retain(|node| *node != me);
            truth.truncate(REPLICAS);
            let nearest: BTreeSet<_> = lookup.nearest().into_iter().collect();
            hits += truth.iter().filter(|node| nearest.contains(*node)).count();
            let is_holder =
                |node: &&Contact| nearest.contains(*node) && self.nature(node) == Nature::Honest;
            found += usize::from(truth.iter().any(|node| is_holder(&node)));
            times.push(over.since(Instant::ORIGIN).as_millis());
            requests += lookup.asked();
            hops += lookup.hops() as usize;
        }
        times.sort_unstable();
        let each = |sum: usize, of: usize| {
            f64::from(u32::try_from(sum).unwrap()) / f64::from(u32::try_from(of).unwrap())
        };
        Figures {
            p50: times[times.len() / 2],
            p99: times[times.len() * 99 / 100],
            requests: each(requests, lookups),
            hops: each(hops, lookups),
            recall: each(hits * 100, lookups * REPLICAS),
            found: each(found * 100, lookups),
        }
    }
}

/// Somebody in a network of its own.
fn somebody(rng: &mut Rng) -> Contact {
    let ip = [11 + rng.bytes::<1>()[0] % 80, rng.bytes::<1>()[0], rng.bytes::<1>()[0], 1];
    let key = *Identity::from_seed(rng.bytes()).public_key();
    Contact::new(key, rng.bytes(), (ip, 8888).into())
}

/// A table of somebody who has been there for long: of each bucket as many as there are, at most
/// as many as fit.
fn full_table(of: &Contact, nodes: &[Contact], rng: &mut Rng) -> RoutingTable {
    let mut table = RoutingTable::new(Instant::ORIGIN, of.place());
    let mut buckets = vec![Vec::new(); 257];
    for node in nodes.iter().filter(|node| node.id() != of.id()) {
        let bits = of.place().distance(&node.place()).common_bits();
        buckets[usize::try_from(bits).unwrap()].push(*node);
    }
    for mut bucket in buckets {
        rng.shuffle(&mut bucket);
        for contact in bucket.into_iter().take(BUCKET) {
            let rtt = Some(Duration::from_millis(60));
            table.answered(Instant::ORIGIN, contact, rtt);
        }
    }
    table
}

#[test]
fn figures_for_now() {
    let mut world = World::new(1, 1_000);
    let healthy = world.run(100, 1);
    let healthy4 = world.run(100, DISJOINT_PATHS);
    let frozen = world.turn(30, Nature::Frozen).run(100, 1);
    let mut figures = format!("healthy {healthy:?}\nd=4 {healthy4:?}\nfrozen {frozen:?}\n");
    for (percent, paths) in [(20, 1), (20, 4), (30, 1), (30, 4), (50, 1), (50, 4), (50, 8)] {
        let run = world.turn(percent, Nature::Liar).run(100, paths);
        figures += &format!("liars {percent} d={paths} {run:?}\n");
    }
    std::fs::write("/tmp/table-figures.txt", figures).unwrap();
}
