//! What is written where, and who may stop reading.

use std::{fs, process::Stdio};

use serde_json::Value;

use crate::fixture::{Fixture, finish};

const COMMANDS: [&str; 20] = [
    "start",
    "join",
    "simulate",
    "replay",
    "invite",
    "id",
    "status",
    "stats",
    "peers",
    "dht",
    "ban",
    "unban",
    "bans",
    "disconnect",
    "reserve",
    "forget",
    "unreserve",
    "generate-config",
    "bench",
    "version",
];

#[test]
fn h_is_help_everywhere() {
    let fixture = Fixture::new();
    for command in COMMANDS {
        for flag in ["-h", "--help"] {
            let outcome = fixture.run(&[command, flag]).expect(0);
            assert!(outcome.stdout.contains("Usage: positron-net"), "{}", outcome.stdout);
        }
    }
    let outcome = fixture.run(&["--help"]).expect(0);
    let asked = fixture.run(&["help", "start"]).expect(0);
    assert!(asked.stdout.contains("Usage: positron-net start"), "{}", asked.stdout);
    for command in COMMANDS {
        assert!(outcome.stdout.contains(command), "{command} is not in the help");
    }
    assert!(outcome.stdout.contains("143"), "the exit codes are in the help");
    assert!(fixture.contents().is_empty());
}

#[test]
fn a_generated_configuration_has_every_key_and_is_accepted_as_it_is() {
    let fixture = Fixture::new();
    let args = ["generate-config", "c.json", "--host", "127.0.0.1", "--port", "8890"];
    let outcome = fixture.run(&[&args[..], &["--bootstrap", "192.0.2.1:8888,n:1"]].concat());
    assert_eq!(outcome.expect(0).stdout, "", "what was written is no data");
    let text = fs::read_to_string(fixture.path().join("c.json")).unwrap();
    let config: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(config["port"], 8890);
    assert_eq!(config["bootstrap_nodes"], serde_json::json!(["192.0.2.1:8888", "n:1"]));
    assert_eq!(config["data_dir"], "node_data");
    for key in ["gossip_fanout", "trust_decay_rate", "message_cache_size", "log_file", "network"] {
        assert!(config.get(key).is_some(), "{key}");
    }
    // It is read: the only thing that is missing is the node.
    fixture.run(&["status", "--config", "c.json"]).expect(6);
    let printed = fixture.run(&["generate-config"]).expect(0);
    assert_eq!(printed.json()["port"], 8888);
    fixture.run(&["generate-config", "c.json", "--force"]).expect(0);
    let text = fs::read_to_string(fixture.path().join("c.json")).unwrap();
    assert_eq!(text, printed.stdout);
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let fixture = Fixture::new();
    for args in [&["version"][..], &["generate-config"], &["simulate", "--virtual"], &["--help"]] {
        let mut command = fixture.command(args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let outcome = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&outcome.stderr);
        assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
        assert_eq!(outcome.status.code(), Some(0), "{args:?}: {stderr}");
    }
}

#[test]
fn a_full_disk_behind_stdout_is_an_error_and_no_panic() {
    let fixture = Fixture::new();
    let Ok(full) = fs::OpenOptions::new().write(true).open("/dev/full") else {
        eprintln!("skipped: there is no /dev/full");
        return;
    };
    let mut command = fixture.command(["version"]);
    let outcome = command.stdout(full).output().unwrap();
    assert_eq!(outcome.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&outcome.stderr).contains("standard output"));
}

#[test]
fn without_a_terminal_there_are_no_escapes_and_quiet_is_quiet() {
    let fixture = Fixture::new();
    let outcome = fixture.run(&["simulate", "--virtual", "--seed", "1"]).expect(0);
    assert!(!outcome.stdout.contains('\x1b') && !outcome.stderr.contains('\x1b'));
    let outcome = fixture.run(&["status"]).expect(6);
    assert!(!outcome.stderr.contains('\x1b'));
    let outcome = fixture.run(&["status", "--color", "always"]).expect(6);
    assert!(outcome.stderr.contains("\x1b[31;1merror:\x1b[0m"), "{}", outcome.stderr);
    let outcome = fixture.run(&["generate-config", "c.json", "--quiet"]).expect(0);
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("", ""));
    let mut command = fixture.command(["start", "--port", "99999"]);
    command.env("NO_COLOR", "1");
    assert!(!finish(command).stderr.contains('\x1b'));
}

#[test]
fn the_version_is_told_to_people_and_programs() {
    let fixture = Fixture::new();
    let outcome = fixture.run(&["version"]).expect(0);
    assert!(outcome.stdout.starts_with("positron-net "), "{}", outcome.stdout);
    let outcome = fixture.run(&["version", "--json"]).expect(0);
    assert_eq!(outcome.json()["version"], env!("CARGO_PKG_VERSION"));
    fixture.run(&["--version"]).expect(0);
}
