//! What fuzzing has found worth keeping, replayed by every `cargo test`, and mutants of it: the
//! checks of `fuzz/` on the inputs of `fuzz/corpus/`. `fuzz/README.md` says how to look for more.

#![allow(clippy::unwrap_used, clippy::panic)]
// The corpus is files, and the input that fails is to be named.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

use std::{collections::BTreeSet, env, fs, panic, path::PathBuf};

use positron_proto::rng::Seed;

#[path = "../../../../fuzz/checks/claims.rs"]
mod claims;
#[path = "../../../../fuzz/checks/ends.rs"]
mod ends;
#[path = "../../../../fuzz/checks/frames.rs"]
mod frames;
#[path = "../../../../fuzz/checks/handshake.rs"]
mod handshake;
#[path = "../../../../fuzz/checks/header.rs"]
mod header;
#[path = "../../../../fuzz/checks/holdings.rs"]
mod holdings;
#[path = "../../../../fuzz/checks/hostile.rs"]
mod hostile;
#[path = "../../../../fuzz/checks/input.rs"]
mod input;
#[path = "../../../../fuzz/checks/link_frames.rs"]
mod link_frames;
#[path = "../../../../fuzz/checks/machine.rs"]
mod machine;
#[path = "../../../../fuzz/checks/message.rs"]
mod message;
#[path = "../../../../fuzz/checks/mutants.rs"]
mod mutants;
#[path = "../../../../fuzz/checks/node.rs"]
mod node;
#[path = "../../../../fuzz/checks/queries.rs"]
mod queries;
mod seeds;
#[path = "../../../../fuzz/checks/sessions.rs"]
mod sessions;
#[path = "../../../../fuzz/checks/stun.rs"]
mod stun;

/// The name of a target, its check, how many inputs are kept at least, and of how many mutants
/// every `cargo test` has the time.
type Target = (&'static str, fn(&[u8]), usize, u64);

const HEADER: Target = ("header", header::check, 30, 2_000);
const FRAMES: Target = ("frames", frames::check, 30, 2_000);
const STUN: Target = ("stun", stun::check, 10, 2_000);
const MESSAGE: Target = ("message", message::check, 30, 2_000);
const LINK_FRAMES: Target = ("link_frames", link_frames::check, 20, 2_000);
const CLAIMS: Target = ("claims", claims::check, 30, 1_000);
const HOLDINGS: Target = ("holdings", holdings::check, 15, 1_000);
const HANDSHAKE: Target = ("handshake", handshake::check, 20, 300);
const QUERIES: Target = ("queries", queries::check, 15, 300);
const MACHINE: Target = ("machine", machine::check, 20, 300);
const SESSIONS: Target = ("sessions", sessions::check, 15, 300);
const NODE: Target = ("node", node::check, 15, 200);
const TARGETS: [Target; 12] = [
    HEADER,
    FRAMES,
    STUN,
    MESSAGE,
    LINK_FRAMES,
    CLAIMS,
    HOLDINGS,
    HANDSHAKE,
    QUERIES,
    MACHINE,
    SESSIONS,
    NODE,
];

#[test]
fn every_header_that_fuzzing_kept_and_its_mutants_pass_their_check() {
    replay(HEADER);
}

#[test]
fn every_packet_of_frames_that_fuzzing_kept_and_its_mutants_pass_their_check() {
    replay(FRAMES);
}

#[test]
fn all_of_stun_that_fuzzing_kept_and_its_mutants_pass_their_check() {
    replay(STUN);
}

#[test]
fn every_message_that_fuzzing_kept_and_its_mutants_pass_their_check() {
    replay(MESSAGE);
}

#[test]
fn every_record_of_link_frames_that_fuzzing_kept_and_its_mutants_pass_their_check() {
    replay(LINK_FRAMES);
}

#[test]
fn every_claim_that_fuzzing_kept_and_its_mutants_pass_their_check() {
    replay(CLAIMS);
}

#[test]
fn all_holdings_that_fuzzing_kept_and_their_mutants_pass_their_check() {
    replay(HOLDINGS);
}

#[test]
fn every_handshake_that_fuzzing_kept_and_its_mutants_pass_their_check() {
    replay(HANDSHAKE);
}

#[test]
fn all_queries_that_fuzzing_kept_and_their_mutants_pass_their_check() {
    replay(QUERIES);
}

#[test]
fn every_course_of_a_connection_that_fuzzing_kept_and_its_mutants_pass_their_check() {
    replay(MACHINE);
}

#[test]
fn all_sessions_that_fuzzing_kept_and_their_mutants_pass_their_check() {
    replay(SESSIONS);
}

#[test]
fn every_life_of_a_node_that_fuzzing_kept_and_its_mutants_pass_their_check() {
    replay(NODE);
}

/// Dice instead of coverage: what a fuzzer begins with.
#[test]
fn any_course_passes_the_checks() {
    for seed in 0..100 {
        let mut dice = Seed::from_number(seed).stream("courses");
        let len = dice.index(400);
        let mut bytes = vec![0; len];
        dice.fill(&mut bytes);
        println!("seed {seed}");
        handshake::check(&bytes);
        queries::check(&bytes);
        machine::check(&bytes);
        sessions::check(&bytes);
        node::check(&bytes);
    }
}

/// The vectors as they are, cut short, and with one byte changed.
#[test]
fn vectors_cut_or_changed_pass_the_checks() {
    for (name, bytes) in seeds::vectors("packets.txt") {
        for variant in variants(&bytes) {
            println!("{name}: {variant:02x?}");
            header::check(&variant);
        }
    }
    for (name, bytes) in seeds::vectors("packet_frames.txt") {
        for kind in 1..=14 {
            let packet = [&[kind][..], &bytes].concat();
            for variant in variants(&packet) {
                println!("{name}: {variant:02x?}");
                frames::check(&variant);
            }
        }
    }
}

/// A hostile peer that is not let in tells nothing of a node.
#[test]
fn the_seeds_of_lives_reach_every_room() {
    let lives = seeds::all().into_iter().filter(|(target, ..)| *target == "node");
    let mut reached = BTreeSet::new();
    for (_, _, bytes) in lives {
        let (_, counters) = node::live(&bytes);
        let counted = counters.iter().filter(|(_, value)| value.total() > 0);
        reached.extend(counted.map(|(metric, _)| format!("{}.{}", metric.room, metric.field)));
    }
    let rooms = [
        "session.sessions",
        "session.messages_received",
        "session.messages_unknown",
        "peers.records_learned",
        "peers.inbound_refused_banned",
        "direct.received",
        "direct.duplicates",
        "direct.delivered",
        "gossip.published",
        "gossip.delivered",
        "gossip.forged",
        "gossip.equivocations",
        "gossip.iwant_sent",
        "gossip.iwant_served",
        "gossip.iwant_timeouts",
        "node.links_held",
        "node.malformed",
    ];
    let missed: Vec<&str> = rooms.into_iter().filter(|room| !reached.contains(*room)).collect();
    assert!(missed.is_empty(), "{missed:?} are not among {reached:?}");
}

#[test]
fn the_corpora_hold_their_seeds_and_stay_small() {
    for (target, name, bytes) in seeds::all() {
        let kept = fs::read(corpus(target).join(&name));
        assert!(kept.is_ok_and(|kept| kept == bytes), "{target}/{name} is to be written anew");
    }
    let inputs = TARGETS.iter().flat_map(|(target, ..)| inputs(target));
    let bytes: usize = inputs.map(|(_, bytes)| bytes.len()).sum();
    assert!(bytes < 300 * 1024, "{bytes} bytes");
}

/// Writes the seeds of the corpora anew. Fuzzing adds to them.
#[test]
#[ignore = "writes into the source tree: run it by hand when seeds or vectors were added"]
fn seeds_are_written() {
    for (target, name, bytes) in seeds::all() {
        fs::create_dir_all(corpus(target)).unwrap();
        fs::write(corpus(target).join(name), bytes).unwrap();
    }
}

/// `FUZZ="machine 0 100000"`: the target, the first mutant and how many.
#[test]
#[ignore = "as long as one likes: many mutants of one target, run by hand"]
fn hunt() {
    let what = env::var("FUZZ").unwrap();
    let mut words = what.split(' ');
    let target = words.next().unwrap();
    let target = TARGETS.into_iter().find(|(name, ..)| *name == target).unwrap();
    let mut number = || words.next().unwrap().parse::<u64>().unwrap();
    let (first, count) = (number(), number());
    check_mutants(target, first..first + count);
}

fn replay(target: Target) {
    let (name, check, least, mutants) = target;
    let inputs = inputs(name);
    for (input, bytes) in &inputs {
        println!("{input}");
        check(bytes);
    }
    assert!(inputs.len() >= least, "{} inputs", inputs.len());
    check_mutants(target, 0..mutants);
}

/// Each mutant has a number. One that fails is written out: it belongs into the corpus.
fn check_mutants((name, check, ..): Target, which: core::ops::Range<u64>) {
    let corpus: Vec<Vec<u8>> = inputs(name).into_iter().map(|(_, bytes)| bytes).collect();
    let fails = |n: &u64| {
        let mutant = mutants::mutant(&corpus, &mut Seed::from_number(*n).stream("mutants"));
        let fails = panic::catch_unwind(|| check(&mutant)).is_err();
        if fails {
            println!("mutant {n}: {mutant:02x?}");
        }
        fails
    };
    let failed: Vec<u64> = which.filter(fails).collect();
    assert!(failed.is_empty(), "mutants {failed:?}");
}

fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    let paths = fs::read_dir(corpus(target)).unwrap().map(|entry| entry.unwrap().path());
    let mut inputs: Vec<(String, Vec<u8>)> =
        paths.map(|path| (path.display().to_string(), fs::read(path).unwrap())).collect();
    inputs.sort();
    inputs
}

fn corpus(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target)
}

/// At most 64 cuts and 64 changes, spread over the bytes.
fn variants(bytes: &[u8]) -> Vec<Vec<u8>> {
    let step = bytes.len().div_ceil(64);
    let places = (0..bytes.len()).step_by(step);
    let mut variants = vec![bytes.to_vec()];
    for at in places {
        variants.push(bytes[..at].to_vec());
        let mut changed = bytes.to_vec();
        changed[at] ^= 1 << (at % 8);
        variants.push(changed);
    }
    variants
}
