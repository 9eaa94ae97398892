//! Somebody on the path flips, drops, repeats, cuts, invents, reflects and splices bytes.

use std::collections::BTreeSet;

use bytes::Bytes;
use positron_proto::{
    limits::MAX_HALF_OPEN,
    node::{Command, Event, HandedOver},
    rng::Rng,
    time::Duration,
};

use crate::rig::Rig;

/// Writes that the man in the middle remembers, of all links and directions.
const MEMORY: usize = 64;

/// What becomes of one write.
fn meddled(rng: &mut Rng, memory: &[Bytes], bytes: Bytes) -> Vec<Bytes> {
    let mut changed = bytes.to_vec();
    match rng.index(10) {
        0 => {
            let at = rng.index(changed.len());
            changed[at] ^= 1 << rng.index(8);
        }
        1 => return vec![],
        2 => return vec![bytes.clone(), bytes],
        3 => changed.truncate(rng.index(changed.len())),
        4 => {
            let at = rng.index(changed.len());
            let noise: [u8; 24] = rng.bytes();
            changed.splice(at..at, noise);
        }
        // An older write of any link in any direction: a replay, a reflection or a splice.
        5..8 => {
            let old = rng.choose(memory).cloned().unwrap_or_default();
            return if rng.chance(0.5) { vec![old] } else { vec![old, bytes] };
        }
        8 => {
            let tail = changed.split_off(rng.index(changed.len()));
            return vec![tail.into(), changed.into()];
        }
        _ => {
            let from = rng.index(changed.len());
            rng.fill(&mut changed[from..]);
        }
    }
    vec![changed.into()]
}

fn say(rig: &mut Rig, said: &mut BTreeSet<Bytes>) {
    let (n, number) = (rig.rng.index(2), said.len());
    let len = [10, 300, 40_000][rig.rng.index(3)];
    let mut payload = format!("{n} says {number} ").into_bytes();
    payload.resize(payload.len().max(len), 7);
    let payload = Bytes::from(payload);
    let to = rig.core(1 - n).id();
    let command = match rig.rng.chance(0.5) {
        true => Command::Broadcast { payload: payload.clone() },
        false => Command::Send { to, payload: payload.clone() },
    };
    if rig.command(n, command) {
        said.insert(payload);
    }
}

fn story(seed: u64) {
    let (mut rig, mut said, mut memory) = (Rig::new(seed), BTreeSet::new(), Vec::<Bytes>::new());
    let meddling = [0.02, 0.1, 0.5][rig.rng.index(3)];
    for _ in 0..120 {
        match rig.rng.index(12) {
            0 => say(&mut rig, &mut said),
            1 => {
                let by = rig.rng.duration(Duration::ZERO..=Duration::from_millis(900));
                rig.tick(by);
            }
            2 if rig.rng.chance(0.1) && !rig.wires.is_empty() => {
                let wire = rig.rng.index(rig.wires.len());
                rig.cut(wire);
            }
            _ => {
                let live = |wire: &usize| !rig.wires[*wire].over;
                let live: Vec<usize> = (0..rig.wires.len()).filter(live).collect();
                let Some(&wire) = rig.rng.choose(&live) else { continue };
                let side = rig.rng.index(2);
                let mut taken = None;
                rig.carry(wire, side, |rng, bytes| {
                    taken = Some(bytes.clone());
                    if rng.chance(meddling) { meddled(rng, &memory, bytes) } else { vec![bytes] }
                });
                memory.extend(taken.filter(|_| memory.len() < MEMORY));
            }
        }
    }
    for n in 0..2 {
        assert!(rig.core(n).half_open() <= MAX_HALF_OPEN, "seed {seed}");
    }
    // Left alone, they find each other again.
    for _ in 0..40 {
        rig.run();
        rig.tick(Duration::from_millis(500));
    }
    rig.run();
    assert!(rig.are_linked(0, 1) && rig.are_linked(1, 0), "seed {seed}: they heal");
    check_what_was_heard(&mut rig, &said, seed);
}

fn check_what_was_heard(rig: &mut Rig, said: &BTreeSet<Bytes>, seed: u64) {
    let now = rig.now;
    for n in 0..2 {
        let other = rig.core(1 - n).id();
        let mut heard = BTreeSet::new();
        for event in &rig.hosts[n].events {
            match event {
                Event::Message(HandedOver { sender, payload, .. }) => {
                    assert_eq!(*sender, other, "seed {seed}");
                    assert!(said.contains(payload), "seed {seed}: forged");
                    assert!(heard.insert(payload.clone()), "seed {seed}: delivered twice");
                }
                Event::PeerBanned { why, .. } => {
                    panic!("seed {seed}: an honest node was banned for {why:?}")
                }
                _ => {}
            }
        }
        let view = rig.core(n).view(now);
        assert_eq!(view.counters.node.signatures_invalid, 0, "seed {seed}");
        assert_eq!(view.counters.node.malformed, 0, "seed {seed}");
        // Whatever broke, broadcasts are repaired.
        let theirs = rig.core(1 - n).gossip().holdings();
        assert_eq!(rig.core(n).gossip().holdings(), theirs, "seed {seed}");
    }
}

#[test]
fn whoever_holds_the_wire_forges_nothing_bans_nobody_and_two_nodes_heal_afterwards() {
    (0..800).for_each(story);
}
