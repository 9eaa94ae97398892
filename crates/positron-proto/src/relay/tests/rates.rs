//! Nobody is forwarded for faster than the rates, and everybody as fast as they allow.

use super::*;
use crate::limits::{RELAY_BURST, RELAY_RATE_ALL, RELAY_RATE_PAIR, RELAY_RATE_PEER};

impl World {
    fn forwarded(&self) -> u64 {
        self.nodes[RELAY].counters().forwarded_bytes
    }
}

/// What may be forwarded of a rate in so many seconds, and at most so much less that is granted to
/// those who say nothing, or too little for a message.
fn assert_about(forwarded: u64, most: u64, spare: u64) {
    assert!(forwarded <= most, "{forwarded} bytes of {most}");
    assert!(forwarded + spare >= most, "{forwarded} bytes of {most}");
}

#[test]
fn a_pair_has_a_burst_and_then_its_rate_and_loses_nothing() {
    let mut world = World::new(2);
    let (here, there) = world.open(1, 2);
    let said = text(2 << 20);
    world.write(1, here, &said);
    world.carry();
    // Who listens may say a window at any time: that is taken from the burst.
    let silent = RELAY_WINDOW;
    for seconds in 0..20 {
        let most = RELAY_BURST + seconds * RELAY_RATE_PAIR;
        assert_about(world.forwarded(), most, silent + 2 * RELAY_WINDOW);
        if seconds < 15 {
            assert_about(world.forwarded(), most - silent, as_u64(RELAY_PIECE));
        }
        world.pass(Duration::from_secs(1));
    }
    assert!(world.heard(2, there) == said);
    assert!(world.blamed(RELAY).is_empty());
}

#[test]
fn neither_direction_of_a_pair_starves_the_other() {
    let mut world = World::new(2);
    let (here, there) = world.open(1, 2);
    let said = text(4 << 20);
    world.write(1, here, &said);
    world.write(2, there, &said);
    world.pass(Duration::from_secs(30));
    let [forth, back] = [world.heard(2, there).len(), world.heard(1, here).len()];
    assert!(forth.abs_diff(back) <= 2 * window(), "{forth} one way, {back} the other");
    assert!(said.starts_with(world.heard(2, there)) && said.starts_with(world.heard(1, here)));
}

#[test]
fn the_pairs_of_one_peer_share_its_rate_evenly() {
    let mut world = World::new(9);
    let pairs: Vec<_> = (2..=9).map(|to| (to, world.open(1, to))).collect();
    let said = text(4 << 20);
    for (_, (here, _)) in &pairs {
        world.write(1, *here, &said);
    }
    let seconds = 60;
    world.pass(Duration::from_secs(seconds));
    let unsaid = 8 * RELAY_WINDOW;
    assert_about(world.forwarded(), RELAY_BURST + seconds * RELAY_RATE_PEER, unsaid + RELAY_WINDOW);
    let heard = pairs.iter().map(|(to, (_, there))| world.heard(*to, *there).len());
    let (least, most) = (heard.clone().min().unwrap(), heard.max().unwrap());
    assert!(most - least <= 2 * window(), "{least} bytes for one, {most} for another");
    for (to, (_, there)) in &pairs {
        assert!(said.starts_with(world.heard(*to, *there)));
    }
}

#[test]
fn all_peers_together_share_the_rate_of_the_relay_evenly() {
    let askers = 12;
    let mut world = World::new(5 * askers);
    let said = text(4 << 20);
    let mut pairs = Vec::new();
    for from in 1..=askers {
        for n in 1..5 {
            let to = askers + 4 * (from - 1) + n;
            let (here, there) = world.open(from, to);
            world.write(from, here, &said);
            pairs.push((to, there));
        }
    }
    let heard = |world: &World| -> Vec<usize> {
        pairs.iter().map(|(to, there)| world.heard(*to, *there).len()).collect()
    };
    // The burst goes to those who come first.
    world.pass(Duration::from_secs(10));
    let before = heard(&world);
    world.pass(Duration::from_secs(30));
    let most = RELAY_BURST + 40 * RELAY_RATE_ALL;
    assert_about(world.forwarded(), most, RELAY_WINDOW * as_u64(pairs.len() + 1));
    let shares: Vec<usize> = before.iter().zip(heard(&world)).map(|(had, has)| has - had).collect();
    let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
    assert!(most - least <= 2 * RELAY_PIECE, "{least} bytes for one, {most} for another");
}

#[test]
fn what_was_granted_and_never_used_is_there_for_others() {
    let mut world = World::new(4);
    // Without a byte forwarded, over and over: each pair is granted two windows.
    for _ in 0..RELAY_OPEN_BURST / 2 {
        let (here, _) = world.open(1, 2);
        world.hang_up(1, here, Hangup::Abort);
        world.carry();
    }
    let (here, there) = world.open(1, 3);
    world.write(1, here, &text(window()));
    world.carry();
    assert_eq!(world.heard(3, there).len(), window(), "at once");
    assert_eq!(world.pairs(), 1);
}

#[test]
fn who_links_or_asks_again_has_no_other_burst() {
    let spent = |world: &mut World| {
        let (here, _) = world.open(1, 2);
        world.write(1, here, &text(2 << 20));
        world.carry();
        world.forwarded()
    };
    let mut world = World::new(2);
    let first = spent(&mut world);
    assert!(first > RELAY_BURST / 2);
    let again = spent(&mut world) - first;
    assert!(again <= RELAY_WINDOW, "asked again: {again}");
    world.at(RELAY, |relay, _, out| relay.peer_down(&id(1), out));
    world.at(1, |end, _, out| end.peer_down(&id(RELAY), out));
    world.carry();
    world.nodes[RELAY].peer_in_reach(id(1), place(1));
    let linked = spent(&mut world) - first - again;
    assert!(linked <= RELAY_WINDOW, "linked again: {linked}");
    world.pass(Duration::from_secs(RELAY_BURST / RELAY_RATE_PAIR));
    let rested = spent(&mut world) - first - again - linked;
    assert!(rested > RELAY_BURST / 2, "after a pause: {rested}");
}
