//! What fuzzing has found worth keeping, replayed by every `cargo test`: the checks of `fuzz/` on
//! the inputs of `fuzz/corpus/`. `fuzz/README.md` says how to look for more.

#![allow(clippy::unwrap_used, clippy::panic)]
// The corpus is files, and the input that fails is to be named.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

use std::{fs, path::PathBuf};

use positron_proto::rng::Seed;

#[path = "../../../fuzz/checks/ends.rs"]
mod ends;
#[path = "../../../fuzz/checks/frames.rs"]
mod frames;
#[path = "../../../fuzz/checks/handshake.rs"]
mod handshake;
#[path = "../../../fuzz/checks/header.rs"]
mod header;
#[path = "../../../fuzz/checks/machine.rs"]
mod machine;

#[test]
fn every_header_that_fuzzing_kept_passes_its_check() {
    assert!(replay("header", header::check) >= 30);
}

#[test]
fn every_packet_of_frames_that_fuzzing_kept_passes_its_check() {
    assert!(replay("frames", frames::check) >= 30);
}

#[test]
fn every_handshake_that_fuzzing_kept_passes_its_check() {
    assert!(replay("handshake", handshake::check) >= 20);
}

#[test]
fn every_course_of_a_connection_that_fuzzing_kept_passes_its_check() {
    assert!(replay("machine", machine::check) >= 20);
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
        machine::check(&bytes);
    }
}

/// The vectors as they are, cut short, and with one byte changed: in the checks, and as the seeds
/// from which fuzzing starts.
#[test]
fn vectors_cut_or_changed_pass_the_checks() {
    for (name, bytes) in seeds("packets.txt") {
        for variant in variants(&bytes) {
            println!("{name}: {variant:02x?}");
            header::check(&variant);
        }
    }
    for (name, bytes) in seeds("packet_frames.txt") {
        for kind in 1..=12 {
            let packet = [&[kind][..], &bytes].concat();
            for variant in variants(&packet) {
                println!("{name}: {variant:02x?}");
                frames::check(&variant);
            }
        }
    }
}

/// Writes the seeds of the corpora anew, one for each vector. Fuzzing adds to them.
#[test]
#[ignore = "writes into the source tree: run it by hand when vectors were added"]
fn seeds_are_written() {
    for (name, bytes) in seeds("packets.txt") {
        fs::write(corpus("header").join(name), bytes).unwrap();
    }
    for (name, bytes) in seeds("packet_frames.txt") {
        // DATA, unless only another type may carry it.
        let kind = if name.starts_with("close") { 4 } else { 7 };
        fs::write(corpus("frames").join(name), [&[kind][..], &bytes].concat()).unwrap();
    }
}

fn replay(target: &str, check: fn(&[u8])) -> usize {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(corpus(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in &paths {
        println!("{}", path.display());
        check(&fs::read(path).unwrap());
    }
    paths.len()
}

fn corpus(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target)
}

fn seeds(file: &str) -> Vec<(String, Vec<u8>)> {
    let vectors = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let text = fs::read_to_string(vectors.join(file)).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, hex) = line.split_once(" = ").unwrap();
            (name.to_owned(), unhex(hex))
        })
        .collect()
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

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}
