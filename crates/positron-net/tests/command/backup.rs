//! The commands by which the README backs up and restores a node, run as they stand there.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::fixture::{Fixture, Process, SOON, finish};

const START: [&str; 5] = ["start", "--host", "127.0.0.1", "--port", "0"];
/// The data folder of the README, which is the default.
const DATA: &str = "node_data";

/// The blocks of shell in the README's section: back up the key, back up everything, restore
/// everything, restore the key.
fn blocks() -> [String; 4] {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let text = fs::read_to_string(readme).unwrap();
    let section = text.split("### Backup, restore, upgrade").nth(1).unwrap();
    let section = section.split("\n##").next().unwrap();
    let blocks = section.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let blocks: Vec<String> = blocks.map(str::to_owned).collect();
    blocks.try_into().expect("four blocks")
}

/// What a block prints.
fn run(fixture: &Fixture, block: &str) -> String {
    let mut shell = fixture.in_environment(Command::new("sh"), ["-eu", "-c", block]);
    let ours = Path::new(env!("CARGO_BIN_EXE_positron-net")).parent().unwrap().to_owned();
    let others = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([ours].into_iter().chain(env::split_paths(&others))).unwrap();
    shell.env("PATH", path);
    finish(shell).expect(0).stdout.trim().to_owned()
}

fn stop(mut node: Process) {
    node.signal("TERM");
    node.wait(SOON);
}

fn lose(fixture: &Fixture) -> PathBuf {
    let lost = fixture.path().join("lost");
    let _ = fs::remove_dir_all(&lost);
    fs::rename(fixture.path().join(DATA), &lost).unwrap();
    lost
}

fn has_a_peer(status: &Value) -> bool {
    status["active_peers"] == 1
}

#[test]
fn a_node_is_restored_by_the_commands_of_the_readme() {
    let fixture = Fixture::new();
    let [back_up_key, back_up_all, restore_all, restore_key] = blocks();
    let other = Process::start(&fixture, "other", &START);
    let address = other.address();
    let begin = [&START[..], &["--bootstrap", &address]].concat();

    let node = Process::start(&fixture, DATA, &begin);
    let id = node.started()["node_id"].as_str().unwrap().to_owned();
    node.status_when(&fixture, "a peer in the address book", has_a_peer);
    run(&fixture, &back_up_key);
    stop(node);
    run(&fixture, &back_up_all);

    // It lives on, so that the backup is an old one.
    let node = Process::start(&fixture, DATA, &START);
    node.status_when(&fixture, "the peer again", has_a_peer);
    stop(node);
    lose(&fixture);
    assert_eq!(run(&fixture, &restore_all), id);
    let node = Process::start(&fixture, DATA, &START);
    assert_eq!(node.started()["node_id"], id.as_str());
    node.status_when(&fixture, "the address book of the backup", has_a_peer);
    stop(node);

    lose(&fixture);
    assert_eq!(run(&fixture, &restore_key), id);
    let node = Process::start(&fixture, DATA, &begin);
    assert_eq!(node.started()["node_id"], id.as_str());
    node.status_when(&fixture, "a peer by the address that was given", has_a_peer);
    stop(node);
}

#[test]
fn a_program_that_is_too_old_for_a_database_says_both_versions_and_changes_nothing() {
    let fixture = Fixture::new();
    let node = Process::start(&fixture, DATA, &START);
    node.started();
    stop(node);
    // The user version in the header of an SQLite file (www.sqlite.org/fileformat.html, 1.3).
    let database = fixture.path().join(DATA).join("node.db");
    let mut bytes = fs::read(&database).unwrap();
    bytes[60..64].copy_from_slice(&4_000_u32.to_be_bytes());
    fs::write(&database, &bytes).unwrap();
    let refused = finish(fixture.command(START)).expect(4);
    assert!(refused.stderr.contains("schema version 4000"), "{}", refused.stderr);
    assert!(refused.stderr.contains("this program knows"), "{}", refused.stderr);
    assert_eq!(fs::read(&database).unwrap(), bytes);
}
