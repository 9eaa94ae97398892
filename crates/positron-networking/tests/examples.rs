//! The examples run on this machine, and end by themselves.

use std::{path::PathBuf, process::Command};

fn run(example: &str) -> String {
    run_with(example, &[])
}

fn run_with(example: &str, args: &[&str]) -> String {
    // target/PROFILE/deps/this-test -> target/PROFILE/examples/
    let this = std::env::current_exe().unwrap();
    let folder: PathBuf = this.ancestors().nth(2).unwrap().join("examples");
    let output = Command::new(folder.join(example)).args(args).output().unwrap_or_else(|error| {
        panic!("{example}: {error}; `cargo test -p positron-networking` builds the examples too")
    });
    let text = String::from_utf8(output.stdout).unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{example}: {text}{complaint}");
    text
}

#[test]
fn a_basic_node_says_hello() {
    assert!(run("basic_node").contains("bob heard \"Hello, network!\" from "));
}

#[test]
fn data_is_shared() {
    let text = run("data_sharing");
    assert!(text.contains("reader 0 has Body { height: 7"), "{text}");
    assert!(text.contains("reader 1 has Body { height: 7"), "{text}");
}

#[test]
fn a_network_is_monitored() {
    let text = run("monitoring");
    assert!(
        text.contains("\"event\":\"peer_left\"") && text.contains("\"active_peers\": 3"),
        "{text}"
    );
}

#[test]
fn two_programs_talk_over_udp_without_a_node() {
    let text = run("udp_transport");
    assert!(text.contains("bob read a stream of 10485760 bytes"), "{text}");
}

#[test]
fn two_programs_talk_over_tcp_without_a_node() {
    assert!(run("tcp_transport").contains("bob heard 1049599 bytes"));
}

#[test]
fn one_program_talks_over_either() {
    let text = run("either_transport");
    assert_eq!(text.matches("b\"hello\" from ").count(), 2, "{text}");
}

#[test]
fn connections_are_counted_and_sent_away_with_a_reason() {
    let text = run("connections");
    assert!(text.contains("said 100 messages"), "{text}");
    assert!(text.contains("closed it with code 7: \"that is enough\""), "{text}");
}

#[test]
fn flow_control_works_by_itself() {
    assert!(run("flow_control").contains("bytes were delivered"));
}

// Everything honest arrives, and who only makes work is sent away: `--check` fails otherwise.

#[test]
fn a_hostile_peer_with_lists_is_sent_away() {
    run_with("hostile_peer", &["--check", "lists", "wants", "offers"]);
}

#[test]
fn a_hostile_peer_with_small_questions_is_sent_away() {
    run_with("hostile_peer", &["--check", "digests", "receipts", "discoveries", "tiny"]);
}

#[test]
fn a_hostile_peer_with_forgeries_and_repetitions_is_sent_away() {
    run_with("hostile_peer", &["--check", "forgeries", "direct-forgeries", "repeats"]);
}

#[test]
fn everything_honest_arrives_beside_a_peer_that_has_much_to_say() {
    let news = ["large-broadcasts", "64k-broadcasts", "small-broadcasts", "direct-messages"];
    run_with("hostile_peer", &[&["--check"], &news[..]].concat());
}

#[test]
fn a_file_arrives_over_a_path_that_loses_datagrams() {
    assert!(run("file").contains("bob has 100000000 bytes"));
}

#[test]
fn streams_are_timed_beside_those_of_the_transport() {
    assert!(run("stream_speed").contains("between nodes"));
}

#[test]
fn people_chat_in_rooms() {
    let text = run("chat");
    assert!(text.contains("#garden <") && text.contains("> is ready"), "{text}");
}

#[test]
fn a_question_is_answered_or_refused() {
    let text = run("ask_and_answer");
    assert!(text.contains("the miner has the block at 7"), "{text}");
    assert!(text.contains("nothing at 8: that node failed: no block at 8 yet"), "{text}");
}

#[test]
fn a_peer_is_sent_away_and_welcome_again() {
    let text = run("neighbours");
    assert!(text.contains("Some(\"more of them\")") && text.contains("mallory hears: "), "{text}");
    assert!(text.contains(" is welcome again"), "{text}");
}

#[test]
fn what_one_node_of_a_table_stores_all_others_read() {
    let text = run_with("dht_network", &["12", "3"]);
    assert!(text.contains("12 nodes started") && text.contains("33 reads done"), "{text}");
}
