//! A whole table in memory: nodes that know one another as after a long life, and lookups among
//! them in virtual time. No bytes travel; round trips take from 20 to 100 ms.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use core::cmp::Reverse;

use super::{Bucket, Contact, Place, lookup::Lookup, table::RoutingTable};
use crate::{
    id::NodeId,
    identity::Identity,
    limits::{
        DISJOINT_PATHS, HEDGE_AFTER, MAX_CONTACTS_PER_ANSWER, MAX_REPLICA_CANDIDATES,
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
                        lookup.handle_answer(now, &from, named);
                    }
                    Some(Reverse((_, What::Failure, from))) => lookup.handle_failure(&from),
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
    for (index, mut bucket) in (0..).zip(buckets) {
        rng.shuffle(&mut bucket);
        for contact in bucket.into_iter().take(Bucket::at(index).room()) {
            let rtt = Some(Duration::from_millis(60));
            table.handle_answer(Instant::ORIGIN, contact, rtt);
        }
    }
    table
}

const NODES: usize = 1_000;
const LOOKUPS: usize = 300;

/// Of 10,000 nodes the design's model needed 226 ms (298 for one of a hundred) and 13.2 requests;
/// where 30 % are frozen 514 ms (970) and 16.7 requests, 98.5 % of the nearest found. The frozen
/// ones are in all answers still: whoever is behind them may be named by nobody.
#[test]
fn a_lookup_takes_four_round_trips_and_not_much_longer_if_a_third_is_frozen() {
    let mut world = World::new(1, NODES);
    let healthy = world.run(LOOKUPS, 1);
    assert!(healthy.recall == 100.0, "{healthy:?}");
    assert!(healthy.p50 <= 240 && healthy.p99 <= 300, "{healthy:?}");
    assert!(healthy.requests <= 14.0 && healthy.hops <= 3.0, "{healthy:?}");

    let frozen = world.turn(30, Nature::Frozen).run(LOOKUPS, 1);
    assert!(frozen.recall >= 97.5 && frozen.found == 100.0, "{frozen:?}");
    assert!(frozen.p50 <= 514 && frozen.p99 <= 1_200, "{frozen:?}");
    assert!(frozen.requests <= 18.0, "{frozen:?}");
}

/// In the design's model a record was found over one path in 97.3 of 100 lookups where 20 % lie, in
/// 69.3 where half do; over four paths in all where 30 % do, over eight in 99.3 where half do.
#[test]
fn disjoint_paths_find_what_liars_hide() {
    let mut world = World::new(1, NODES);
    for percent in [20, 30] {
        let four = world.turn(percent, Nature::Liar).run(LOOKUPS, DISJOINT_PATHS);
        assert!(four.found >= 99.6 && four.requests <= 31.0, "{percent} %: {four:?}");
    }
    let [one, four, eight] = [1, DISJOINT_PATHS, 2 * DISJOINT_PATHS]
        .map(|paths| world.turn(50, Nature::Liar).run(LOOKUPS, paths));
    assert!(one.found >= 69.0 && one.found < 100.0, "the attack is one: {one:?}");
    assert!(four.found > one.found, "{one:?}, {four:?}");
    assert!(eight.found >= 99.0 && eight.requests <= 56.0, "{eight:?}");
}
