//! Who watches a world sees the truth, and changes nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use positron_proto::{id::MessageId, time::Duration};
use positron_sim::{Scenario, Seen, World, run, stories};

/// What a witness saw, put together.
#[derive(Default)]
struct Picture {
    up: BTreeSet<usize>,
    links: BTreeSet<(usize, usize)>,
    has: BTreeMap<MessageId, BTreeMap<usize, Option<usize>>>,
    cuts: usize,
    starts: usize,
    arrivals: u64,
}

impl Picture {
    fn see(&mut self, seen: Seen) {
        match seen {
            Seen::Up(node) => {
                assert!(self.up.insert(node), "{node} was up");
                self.starts += 1;
            }
            Seen::Down(node) => assert!(self.up.remove(&node), "{node} was down"),
            Seen::Linked(a, b) => {
                assert!(a != b && self.links.insert((a.min(b), a.max(b))), "{a} and {b}");
            }
            Seen::Cut(a, b) => {
                assert!(self.links.remove(&(a.min(b), a.max(b))), "{a} and {b}");
                self.cuts += 1;
            }
            Seen::Has { message, node, from } => {
                self.arrivals += u64::from(from.is_some());
                self.has.entry(message).or_default().entry(node).or_insert(from);
            }
            Seen::HasFromGuest { message, node } => panic!("{message} at {node}: no guests here"),
            Seen::Equivocated(node) => panic!("node {node} saw two contents, and all are honest"),
        }
    }
}

fn watched(story: &Scenario, seed: u64) -> (World, Arc<Mutex<Picture>>) {
    let picture = Arc::<Mutex<Picture>>::default();
    let mut world = World::new(story, seed);
    let seen = Arc::clone(&picture);
    world.watch(Box::new(move |_, what| seen.lock().unwrap().see(what)));
    (world, picture)
}

/// Pairs of which each says that the other is its peer.
fn sessions(world: &World, nodes: usize) -> BTreeSet<(usize, usize)> {
    let place: BTreeMap<_, _> = (0..nodes).map(|node| (world.id(node), node)).collect();
    let held: BTreeSet<(usize, usize)> = (0..nodes)
        .filter_map(|node| Some((node, world.view(node)?)))
        .flat_map(|(node, view)| {
            let peers = view.peers.iter().filter_map(|peer| place.get(&peer.session.peer.id));
            peers.map(|other| (node, *other)).collect::<Vec<_>>()
        })
        .collect();
    held.iter().filter(|(a, b)| a < b && held.contains(&(*b, *a))).copied().collect()
}

#[test]
fn who_is_watched_does_the_same_whatever_happens() {
    for (name, seed) in [("default", 1), ("turnover", 2), ("split", 3)] {
        let story = stories::named(name, 8).unwrap();
        let (mut world, picture) = watched(&story, seed);
        let report = world.play(|_| {});
        assert_eq!(report.run_hash, run(&story, seed).run_hash, "{name}");
        let picture = picture.lock().unwrap();
        assert_eq!(picture.up, world.live().collect(), "{name}");
        assert_eq!(picture.links, sessions(&world, 8), "{name}");
        assert_eq!(name == "turnover", picture.starts > 8, "{name}");
        assert!(name == "default" || picture.cuts > 0, "{name}");
    }
}

#[test]
fn every_delivery_is_seen_with_who_brought_it() {
    let story = Scenario::quiet("watched", 6, Duration::from_secs(30)).broadcasts(
        20,
        100,
        Duration::from_secs(10),
        Duration::from_secs(20),
    );
    let (mut world, picture) = watched(&story, 5);
    let report = world.play(|_| {});
    report.expect_ok();
    let picture = picture.lock().unwrap();
    assert_eq!((picture.has.len(), picture.arrivals), (20, report.deliveries));
    for (message, had) in &picture.has {
        let origin = had.iter().filter(|(_, from)| from.is_none()).count();
        assert_eq!((had.len(), origin), (6, 1), "{message}");
        assert!(had.values().flatten().all(|from| had.contains_key(from)), "{message}");
    }
}
