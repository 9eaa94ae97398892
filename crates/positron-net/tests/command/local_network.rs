//! `simulate` and `soak`: the books must balance, and nothing must be left.

use std::{
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use crate::fixture::{Fixture, SOON, finish, free_port, until};

#[test]
fn five_nodes_hear_everything_once_and_leave_nothing() {
    let fixture = Fixture::new();
    let args = ["simulate", "--count", "5", "--duration", "3", "--json", "--report", "r.json"];
    let outcome = fixture.run(&args).expect(0);
    let report = outcome.json();
    let number = |key: &str| report[key].as_u64().unwrap_or_else(|| panic!("{key} in {report:#}"));
    assert_eq!((number("nodes"), number("connected_nodes")), (5, 5));
    assert!(number("broadcasts") >= 15, "{report:#}");
    assert_eq!(number("expected_deliveries"), number("broadcasts") * 4);
    assert_eq!(number("deliveries"), number("expected_deliveries"));
    assert_eq!(number("duplicate_deliveries"), 0);
    assert!(number("wire_bytes") > number("deliveries") * 256, "every delivery travelled");
    assert_eq!(report["link_ends"]["tcp"], 0, "datagrams get through here");
    assert!(report["link_ends"]["udp"].as_u64() >= Some(8), "{report:#}");
    let latency = |key: &str| report["latency_ms"][key].as_f64().unwrap();
    assert!(0.0 < latency("p50") && latency("p50") <= latency("p99"));
    assert!(latency("p99") <= latency("max"));
    assert!(report["duration_s"].as_f64().unwrap() >= 3.0);
    assert!(report["first_delivery_s"].as_f64().unwrap() < 3.0, "{report:#}");
    let left: Vec<_> = fixture.contents().into_keys().collect();
    assert_eq!(left, [fixture.path().join("r.json")]);
    let written = std::fs::read_to_string(fixture.path().join("r.json")).unwrap();
    assert_eq!(written, outcome.stdout);
}

#[test]
fn a_number_of_messages_ends_it_too_and_ports_can_be_chosen() {
    let fixture = Fixture::new();
    let port = free_port().to_string();
    let args = ["simulate", "-n", "1", "--base-port", &port, "--messages", "7", "--rate", "50"];
    let report = fixture.run(&[&args[..], &["--json", "--seed", "5"]].concat()).expect(0).json();
    assert_eq!(report["broadcasts"], 7);
    assert_eq!((&report["expected_deliveries"], &report["seed"]), (&0.into(), &5.into()));
    assert!(report["latency_ms"].is_null(), "nothing was delivered: {report:#}");
    let text = fixture.run(&["simulate", "-n", "1", "--messages", "1"]).expect(0).stdout;
    assert!(!text.contains("p50"), "{text}");
}

#[test]
fn ctrl_c_ends_it_with_a_summary_and_leaves_nothing() {
    let fixture = Fixture::new();
    let mut command = fixture.command(["simulate", "-n", "3", "--duration", "600", "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    until("the nodes have their data", SOON, || {
        fixture.contents().into_keys().find(|path| path.ends_with("node-2/node.db"))
    });
    thread::park_timeout(Duration::from_millis(500));
    let pid = child.id().to_string();
    let sent = Command::new("sh").args(["-c", &format!("kill -INT {pid}")]).status().unwrap();
    assert!(sent.success());
    let status = until("the simulation ends", SOON, || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(130));
    let summary = child.wait_with_output().unwrap().stdout;
    let report: serde_json::Value = serde_json::from_slice(&summary).unwrap();
    assert_eq!(report["interrupted"], true);
    assert!(fixture.contents().is_empty(), "{:?}", fixture.contents().keys());
}

#[test]
fn a_made_up_world_repeats_itself_from_its_seed() {
    let fixture = Fixture::new();
    let args = ["simulate", "--virtual", "--count", "8", "--seed", "11", "--json"];
    let first = fixture.run(&args).expect(0).json();
    let second = fixture.run(&args).expect(0).json();
    assert_eq!(first["run_hash"], second["run_hash"]);
    assert_eq!(first["broadcasts"], 100);
    assert_eq!(first["deliveries"], 700);
    let other = ["simulate", "--virtual", "--count", "8", "--seed", "12", "--json"];
    assert_ne!(fixture.run(&other).expect(0).json()["run_hash"], first["run_hash"]);
    let mut command = fixture.command(["simulate", "--virtual", "--duration", "8", "--rate", "2"]);
    command.arg("--json");
    assert_eq!(finish(command).expect(0).json()["broadcasts"], 8);
}

#[test]
fn a_soak_of_made_up_worlds_tells_of_each_seed() {
    let fixture = Fixture::new();
    let args =
        ["soak", "--nodes", "4", "--minutes", "2", "--seeds", "2", "--first", "10", "--json"];
    let outcome = fixture.run(&args).expect(0);
    let summary = outcome.json();
    assert_eq!((&summary["seeds"], &summary["twice"]), (&2.into(), &1.into()));
    assert_eq!(summary["broken"].as_array().map(Vec::len), Some(0));
    for seed in ["seed 10: ", "seed 11: "] {
        assert!(outcome.stderr.contains(seed), "{}", outcome.stderr);
    }
    assert!(fixture.contents().is_empty());
}

#[test]
fn a_soak_of_processes_delivers_what_was_taken_and_leaves_nothing() {
    let fixture = Fixture::new();
    let args = ["soak", "--real", "--nodes", "4", "--minutes", "0.1", "--first", "1", "--json"];
    let summary = fixture.run(&args).expect(0).json();
    let number = |key: &str| summary[key].as_u64().unwrap_or_else(|| panic!("{key}: {summary:#}"));
    assert!(number("took") > 0, "{summary:#}");
    assert!(number("deliveries") >= 3 * number("took"), "{summary:#}");
    assert!(fixture.contents().is_empty());
}
