//! Recordings of simulated networks.

use std::{collections::BTreeSet, fs, process::Command};

use serde_json::Value;

use crate::fixture::{Fixture, Outcome, finish};

fn lines(fixture: &Fixture, name: &str) -> Vec<Value> {
    let text = fs::read_to_string(fixture.path().join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Nodes that are up, and pairs that are linked, at the end; and how many hops there were.
fn end(lines: &[Value]) -> (BTreeSet<u64>, BTreeSet<String>, usize) {
    let (mut up, mut links, mut hops) = (BTreeSet::new(), BTreeSet::new(), 0);
    let each = |step: &Value, key: &str| step[key].as_array().cloned().unwrap_or_default();
    for step in &lines[1..] {
        up.extend(each(step, "up").iter().map(|node| node.as_u64().unwrap()));
        for node in each(step, "down") {
            up.remove(&node.as_u64().unwrap());
        }
        links.extend(each(step, "links").iter().map(ToString::to_string));
        for pair in each(step, "cut") {
            links.remove(&pair.to_string());
        }
        hops += each(step, "hops").len();
    }
    (up, links, hops)
}

#[test]
fn a_made_up_world_is_recorded_to_the_last_bit_and_runs_as_it_would_otherwise() {
    let fixture = Fixture::new();
    let play = |record: &[&str]| {
        let args = ["simulate", "--virtual", "-n", "6", "--seed", "3", "--json"];
        fixture.run(&[&args[..], record].concat()).expect(0).json()
    };
    let (first, second, plain) = (play(&["--record", "a"]), play(&["--record", "b"]), play(&[]));
    assert_eq!(first["run_hash"], plain["run_hash"]);
    assert_eq!(second["run_hash"], plain["run_hash"]);
    let read = |name| fs::read(fixture.path().join(name)).unwrap();
    assert_eq!(read("a"), read("b"));
    let lines = lines(&fixture, "a");
    assert_eq!(lines[0]["positron_recording"], 1);
    assert_eq!((&lines[0]["seed"], &lines[0]["step_ms"]), (&3.into(), &100.into()));
    assert_eq!(lines[0]["nodes"].as_array().unwrap().len(), 6);
    assert_eq!(lines.last().unwrap()["t_ms"], 60_000);
    let (up, links, hops) = end(&lines);
    assert_eq!((up.len(), hops as u64), (6, plain["deliveries"].as_u64().unwrap()));
    assert!(links.len() >= 5, "{links:?}");
}

#[test]
fn a_network_of_real_sockets_is_recorded_too() {
    let fixture = Fixture::new();
    let args = ["simulate", "-n", "4", "--messages", "30", "--rate", "100", "--json"];
    let report = fixture.run(&[&args[..], &["--record", "r"]].concat()).expect(0).json();
    let lines = lines(&fixture, "r");
    let (up, links, hops) = end(&lines);
    assert_eq!((up.len(), hops as u64), (4, report["deliveries"].as_u64().unwrap()));
    assert_eq!(links.len(), 6, "four nodes know each other: {links:?}");
    let delays = lines.iter().flat_map(|step| step["hops"].as_array().cloned().unwrap_or_default());
    assert!(delays.clone().any(|hop| hop[3].as_f64() > Some(0.0)));
    assert!(delays.clone().all(|hop| hop[3].is_null() || hop[3].as_f64() < Some(60_000.0)));
}

/// As [`Fixture::command`], and no file may be larger than so many blocks of 512 or 1024 bytes.
fn with_small_files(fixture: &Fixture, blocks: u32, args: &str) -> Outcome {
    let run = format!(
        "trap '' XFSZ; ulimit -f {blocks}; exec '{}' {args}",
        env!("CARGO_BIN_EXE_positron-net")
    );
    finish(fixture.in_environment(Command::new("sh"), ["-c", &run]))
}

#[test]
fn a_recording_that_finds_no_room_is_an_error_and_the_old_one_stays() {
    let fixture = Fixture::new();
    fixture.file("r", "the old one");
    let args = "simulate --virtual -n 6 --seed 3 --json --record r";
    let outcome = with_small_files(&fixture, 16, args).expect(4);
    assert!(outcome.stderr.contains("cannot write r"), "{}", outcome.stderr);
    assert!(outcome.json()["deliveries"].as_u64() > Some(0), "what happened is told all the same");
    assert_eq!(fs::read_to_string(fixture.path().join("r")).unwrap(), "the old one");
    assert_eq!(fixture.contents().len(), 1, "nothing is left behind");
    fixture.refuses(&["simulate", "--virtual", "--record", "nowhere/r"], 4, &["nowhere/r"]);
    let many = ["simulate", "--virtual", "-n", "20001", "--record", "x"];
    fixture.refuses(&many, 2, &["20001", "20000 at most"]);
}
