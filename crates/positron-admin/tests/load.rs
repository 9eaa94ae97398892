//! What clients cost a node in a process of its own, in short.
#![cfg(target_os = "linux")]

use std::process::Command;

/// It fails if the memory of the node grows by more than 16 MiB, or strangers are given data.
fn run(arguments: &[&str]) -> String {
    // target/PROFILE/deps/this-test -> target/PROFILE/examples/
    let this = std::env::current_exe().unwrap();
    let example = this.ancestors().nth(2).unwrap().join("examples/load");
    let run = Command::new(example).args(arguments).output();
    let run = run.expect("`cargo test -p positron-admin` builds the examples too");
    let told = String::from_utf8(run.stdout).unwrap();
    assert!(run.status.success(), "{told}{}", String::from_utf8_lossy(&run.stderr));
    told
}

#[test]
fn a_listener_that_reads_nothing_costs_the_node_little_memory_and_the_others_no_event() {
    let told = run(&["listeners", "0.02", "20000"]);
    let others = told.lines().find_map(|line| line.strip_prefix("each of the others read "));
    let read: u64 = others.unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(read > 0, "{told}");
}

#[test]
fn a_thousand_strangers_that_come_again_and_again_are_told_nothing() {
    assert!(run(&["strangers", "2"]).contains(" refusals, no data"));
}
