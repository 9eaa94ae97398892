//! What keeps an attacker from being all that a node sees: links that last, and who is dialled
//! after a restart.

use std::collections::BTreeSet;

use super::{
    addresses::{Stranger, observer},
    world::{World, address, config, network},
};
use crate::{
    handshake::Direction,
    id::NodeId,
    limits::MAX_ANCHORS,
    peers::{KnownPeer, PeersConfig, PeersEffect, change},
    standings::PeerTrust,
    storage::{Change, Remembered as _, Row},
    time::{Duration, WallTime},
    wire::frame::CloseReason,
};

/// Peers of so many networks that were found, each linked by choice for so many seconds.
fn remembered(world: &World, times: &[u64]) -> Vec<KnownPeer> {
    let numbers = 1..=u8::try_from(times.len()).unwrap();
    let known = numbers.zip(times).map(|(number, seconds)| {
        let addr = address(usize::from(number));
        let peer = Stranger::new(number, &addr, Direction::Outbound);
        let claim = peer.record(world, &[&addr]);
        let verdict = claim.job(&network()).run();
        // Whoever was linked for less was seen later.
        let last_seen = world.now.wall.as_unix_micros() - seconds;
        KnownPeer {
            record: claim.accept(verdict).unwrap(),
            dialled: Some(addr.parse().unwrap()),
            proven: None,
            last_seen: WallTime::from_unix_micros(last_seen),
            failures: 0,
            chosen_for: Duration::from_secs(*seconds),
        }
    });
    known.collect()
}

/// The numbers of those that a node dials at once which remembers these, in order.
fn dialled_first(seed: u64, change: impl Fn(&mut Vec<KnownPeer>)) -> Vec<usize> {
    let mut world = World::new(seed);
    let times: Vec<u64> = (0..100).map(|number| number * number % 101).collect();
    let mut remembered = remembered(&world, &times);
    change(&mut remembered);
    let addr = address(0);
    let victim = world.add_bound(&addr, &addr, config(), remembered);
    world.run_until(Duration::from_secs(1), |world| !world.nodes[victim].dialled.is_empty());
    let number = |at: std::net::SocketAddr| {
        (0..=100).find(|number| address(*number).parse() == Ok(at)).unwrap()
    };
    world.nodes[victim].dialled.iter().map(|(_, dial)| number(dial.to)).collect()
}

#[test]
fn those_that_we_were_linked_to_for_longest_are_dialled_first_after_a_restart() {
    let longest = |known: &[KnownPeer]| {
        let mut times: Vec<_> = known.iter().map(|known| known.chosen_for).collect();
        times.sort_unstable();
        times[times.len() - MAX_ANCHORS]
    };
    for seed in 0..4 {
        let first = dialled_first(seed, |_| {});
        let known = remembered(&World::new(0), &(0..100).map(|n| n * n % 101).collect::<Vec<_>>());
        let is_anchor = |number: &usize| known[number - 1].chosen_for >= longest(&known);
        assert!(first.len() > MAX_ANCHORS, "{first:?}");
        assert!(first[..MAX_ANCHORS].iter().all(is_anchor), "{first:?}");
    }
}

#[test]
fn an_anchor_that_did_not_answer_last_time_comes_after_those_that_did() {
    let failing = |known: &mut Vec<KnownPeer>| {
        known.truncate(20);
        known[..5].iter_mut().for_each(|known| {
            known.failures = 1;
            known.chosen_for = Duration::from_secs(1_000_000);
        });
    };
    for seed in 0..8 {
        let first = dialled_first(seed, failing);
        assert!(first.iter().all(|number| *number > 5), "{first:?}");
    }
}

#[test]
fn when_peers_were_seen_last_does_not_decide_who_is_dialled_after_a_restart() {
    let strangers = |known: &mut Vec<KnownPeer>| {
        known.iter_mut().for_each(|known| known.chosen_for = Duration::ZERO);
        // An attacker's were all here a moment ago.
        known.sort_by_key(|known| known.record.content().addresses[0].to_string());
        let now = known.iter().map(|known| known.last_seen).max().unwrap();
        known[..20].iter_mut().for_each(|known| known.last_seen = now);
    };
    let chosen: BTreeSet<usize> = (0..20).flat_map(|seed| dialled_first(seed, strangers)).collect();
    assert!(chosen.len() > 60, "{} of 100 in 200 dials: {chosen:?}", chosen.len());
}

/// The first node lets go of all links that it can spare.
fn let_go(world: &mut World) -> Vec<NodeId> {
    let mut let_go = Vec::new();
    for _ in 0..600 {
        world.now.mono = world.now.mono + Duration::from_secs(1);
        world.now.wall = world.now.wall + Duration::from_secs(1);
        world.act(0, |node, now, out| {
            node.peers.handle_timeout(now, &node.standings, out);
            let_go.extend(out.iter().filter_map(|effect| match effect {
                PeersEffect::Disconnect { peer, reason: CloseReason::Pruned } => Some(*peer),
                _ => None,
            }));
        });
    }
    let_go
}

#[test]
fn who_came_last_does_not_push_out_those_that_we_chose_first_unless_they_are_trusted_less() {
    for seed in 0..8 {
        let mut world = World::new(seed);
        world.add(&address(0), PeersConfig { min_peers: 4, ..config() });
        let peers: Vec<NodeId> = (1..=12)
            .map(|number| {
                world.now.mono = world.now.mono + Duration::from_millis(10);
                observer(&mut world, number, &address(usize::from(number)), "9.9.9.9:1").peer.id
            })
            .collect();
        let worse = PeerTrust { score: 0.4, banned_until: None };
        world.nodes[0].standings.set(peers[1], worse);
        let let_go = let_go(&mut world);
        for anchor in [0, 2, 3] {
            assert!(!let_go.contains(&peers[anchor]), "{anchor}");
        }
        assert_eq!(let_go[0], peers[1]);
    }
}

#[test]
fn whoever_wrote_the_list_of_bootstrap_addresses_does_not_decide_on_every_link() {
    for seed in 0..4 {
        let mut world = World::new(seed);
        let bootstrap = (1..=10).map(address).collect();
        world.add(&address(0), PeersConfig { bootstrap, ..config() });
        for node in 1..=20 {
            let bootstrap = if node > 10 { vec![address(1)] } else { Vec::new() };
            let max_outbound = Some(bootstrap.len());
            world.add(&address(node), PeersConfig { bootstrap, max_outbound, ..config() });
        }
        let chosen =
            |world: &World| world.links.iter().filter(|(from, to)| *from == 0 && *to > 10).count();
        world.run_until(Duration::from_secs(600), |world| chosen(world) >= MAX_ANCHORS);
        assert!(chosen(&world) >= MAX_ANCHORS, "{:?}", world.links);
    }
}

#[test]
fn a_node_at_a_bootstrap_address_gives_way_when_it_and_guests_hold_every_slot() {
    let mut world = World::new(1);
    world.add(&address(0), config());
    for node in 1..=3 {
        world.add(&address(node), PeersConfig { max_outbound: Some(0), ..config() });
    }
    world.kill(0);
    // Whom the book knows is not there now.
    let absent = remembered(&world, &[0; 20]).split_off(10);
    let absent = absent.into_iter().map(|known| (known.record.content().node_id(), known));
    world.nodes[0].stored = absent.collect();
    let bootstrap = (1..=3).map(address).collect();
    world.restart(0, PeersConfig { bootstrap, max_peers: 6, ..config() });
    let given = |world: &World| world.links.iter().filter(|(from, _)| *from == 0).count();
    assert!(world.run_until(Duration::from_secs(120), |world| given(world) == 3));
    for number in 50..53 {
        let guest = Stranger::new(number, &address(usize::from(number)), Direction::Inbound);
        let record = guest.record(&world, &[]);
        guest.hello_with(&mut world, record, "9.9.9.9:1", Vec::new());
    }
    assert!(world.run_until(Duration::from_secs(60), |world| given(world) < 3));
}

#[test]
fn how_long_a_peer_was_linked_is_kept_and_a_row_of_an_earlier_version_loads_without_it() {
    let [known] = &remembered(&World::new(0), &[77])[..] else { panic!("one peer") };
    let Change { table, key, value, .. } = change::keep(known);
    let value = value.unwrap().to_bytes();
    let load = |value| {
        let mut back = Vec::<KnownPeer>::new();
        back.load(Row { table, key: key.clone(), value }, &network()).map(|()| back)
    };
    assert_eq!(load(value.clone()).unwrap(), core::slice::from_ref(known));
    let former = KnownPeer { chosen_for: Duration::ZERO, ..known.clone() };
    assert_eq!(load(value.slice(..value.len() - 8)).unwrap(), [former]);
    load(value.slice(..value.len() - 1)).unwrap_err();
}

#[test]
fn time_is_counted_of_links_that_the_book_named_and_kept_across_a_restart() {
    let mut world = World::new(1);
    for node in 0..4 {
        let bootstrap = if node == 0 { Vec::new() } else { vec![address(0)] };
        world.add(&address(node), PeersConfig { bootstrap, ..config() });
    }
    world.run(Duration::from_secs(900));
    let dialled: Vec<usize> =
        world.links.iter().filter(|(from, _)| *from == 3).map(|(_, to)| *to).collect();
    let time = |of: usize| world.nodes[3].stored[&world.id(of)].chosen_for;
    assert_eq!(time(0), Duration::ZERO, "it is the bootstrap node");
    let others: Vec<Duration> = dialled.into_iter().filter(|to| *to != 0).map(time).collect();
    assert!(!others.is_empty());
    for time in others {
        assert!(Duration::from_secs(300) < time && time < Duration::from_secs(900), "{time:?}");
    }
}
