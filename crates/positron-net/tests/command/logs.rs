//! What a node logs, where to, and what becomes of it when too much comes or nobody reads.

use std::{
    fs::{self, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    process::{Command, Stdio},
};

use rustix::fs::OFlags;
use serde_json::Value;

use crate::fixture::{Fixture, Process, SOON, until};

const START: [&str; 5] = ["start", "--host", "127.0.0.1", "--port", "0"];
const STRANGER: &str = "0707070707070707070707070707070707070707070707070707070707070707";
/// What moves the cursor, forges a line, turns the reading direction and hides.
const HOSTILE: &str = "\u{1b}[2J\nERROR \u{9b}31m\u{202e}\u{e0041}";

/// Runs a node until it has done what there is to log, and gives back its stderr.
fn stderr_of(fixture: &Fixture, mut command: Command, busy: impl FnOnce(&Process)) -> String {
    let said = fixture.path().join("stderr");
    command.args(["-d", "data"]).stdout(Stdio::null()).stderr(fs::File::create(&said).unwrap());
    let mut node = Process::spawn(command, fixture.path().join("data"));
    node.status_when(fixture, "an answer", |status| status["pid"].is_u64());
    busy(&node);
    node.signal("TERM");
    assert_eq!(node.wait(SOON).code(), Some(143));
    fs::read_to_string(said).unwrap()
}

/// Each line as the object that it must be.
#[track_caller]
fn objects(text: &str) -> Vec<Value> {
    let read = |line: &str| {
        assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
        let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let keys: Vec<&String> = value.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["at", "fields", "level", "message", "target"], "{line}");
        value
    };
    let objects: Vec<Value> = text.lines().map(read).collect();
    assert!(!objects.is_empty());
    objects
}

fn ban(fixture: &Fixture) {
    let args = ["ban", STRANGER, "--reason", HOSTILE, "-d", "data"];
    fixture.run(&args).expect(0);
}

#[test]
fn json_is_an_object_a_line_whoever_speaks_and_wherever_it_was_asked_for() {
    let fixture = Fixture::new();
    fixture.file("c.json", r#"{"log_format": "json", "log_file": "log"}"#);
    fixture.file("text.json", r#"{"log_format": "text"}"#);
    let flag = fixture.command([&START[..], &["--log-format", "JSON", "-c", "text.json"]].concat());
    let mut variable = fixture.command([&START[..], &["-c", "text.json"]].concat());
    variable.env("POSITRON_LOG_FORMAT", "json");
    let file = fixture.command([&START[..], &["-c", "c.json"]].concat());
    for command in [flag, variable, file] {
        let said = objects(&stderr_of(&fixture, command, |_| ban(&fixture)));
        let banned = said.iter().find(|said| said["fields"]["event"] == "peer_banned").unwrap();
        assert_eq!(banned["level"], "warn");
        assert_eq!(banned["target"], "positron_net::service");
        let message = banned["message"].as_str().unwrap();
        assert!(message.contains(HOSTILE), "programs are told what it was: {message:?}");
        // What is told to people otherwise, and not by the log.
        assert!(said.iter().any(|said| said["message"].as_str().unwrap().contains("alone: ")));
        fixture.run(&["unban", STRANGER, "-d", "data"]);
        fs::remove_dir_all(fixture.path().join("data")).unwrap();
    }
    let logged = objects(&fs::read_to_string(fixture.path().join("log")).unwrap());
    assert!(logged.iter().any(|said| said["fields"]["event"] == "peer_banned"));
    let refused = fixture.run(&[&START[..], &["--log-format", "xml"]].concat()).expect(2);
    assert!(refused.stderr.contains("text or json"), "{}", refused.stderr);
}

#[test]
fn nothing_that_others_wrote_reaches_the_text_unescaped() {
    let fixture = Fixture::new();
    let said = stderr_of(&fixture, fixture.command(START), |_| ban(&fixture));
    let line = said.lines().find(|line| line.contains("event=peer_banned")).unwrap();
    assert!(line.contains(r"\u{1b}[2J\u{a}ERROR \u{9b}31m\u{202e}\u{e0041}"), "{line}");
}

/// A full pipe; whoever has it may read it.
fn full_pipe(path: &Path, mode: u32) -> fs::File {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    // Both ends, so that it opens without waiting (fifo(7)).
    let mut options = OpenOptions::new();
    let both = options.read(true).write(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let mut pipe = both.open(path).unwrap();
    while pipe.write(&[b'\n'; 4096]).is_ok() {}
    pipe
}

#[test]
fn a_log_file_that_is_a_pipe_holds_up_neither_the_node_nor_its_end() {
    let fixture = Fixture::new();
    fixture.file("c.json", r#"{"log_file": "pipe", "log_level": "DEBUG"}"#);
    // One of ours alone, and one that others may write to, which is opened in another way.
    for mode in [0o600, 0o666] {
        let path = fixture.path().join("pipe");
        let mut pipe = full_pipe(&path, mode);
        let command = fixture.command([&START[..], &["-c", "c.json"]].concat());
        let mut text = String::new();
        stderr_of(&fixture, command, |node| {
            ban(&fixture);
            // Now somebody reads, and gets what was said meanwhile.
            let mut bytes = [0; 4096];
            until("lines arrive", SOON, || {
                if let Ok(read) = pipe.read(&mut bytes) {
                    text.push_str(&String::from_utf8_lossy(&bytes[..read]));
                }
                text.contains("peer_banned").then_some(())
            });
            node.signal("HUP");
        });
        let lines = text.lines().filter(|line| !line.is_empty());
        assert!(lines.clone().all(|line| line.contains("positron_net")), "{text}");
        fs::remove_dir_all(fixture.path().join("data")).unwrap();
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_pipe_without_a_reader_is_named_and_one_behind_a_link_is_written_to() {
    let fixture = Fixture::new();
    let path = fixture.path().join("pipe");
    drop(full_pipe(&path, 0o600));
    fixture.file("c.json", r#"{"log_file": "pipe"}"#);
    let refused = fixture.run(&[&START[..], &["-c", "c.json", "-d", "data"]].concat()).expect(4);
    assert!(refused.stderr.contains("nobody reads it\n  try: start its reader first"));
    assert!(!fixture.path().join("data").exists(), "it is known before anything is made");

    fixture.file("c.json", r#"{"log_file": "/dev/stdout"}"#);
    let mut command = fixture.command([&START[..], &["-c", "c.json", "-d", "data"]].concat());
    let (mut reader, writer) = std::io::pipe().unwrap();
    command.stdout(writer).stderr(Stdio::null());
    let mut node = Process::spawn(command, fixture.path().join("data"));
    node.status_when(&fixture, "an answer", |status| status["pid"].is_u64());
    node.signal("TERM");
    assert_eq!(node.wait(SOON).code(), Some(143));
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert!(text.contains("stopping"), "{text}");
}

#[test]
fn a_flood_of_one_kind_is_withheld_and_told_and_hides_no_other() {
    let fixture = Fixture::new();
    fixture.file("c.json", r#"{"log_file": "log"}"#);
    let command = fixture.command([&START[..], &["-c", "c.json"]].concat());
    let addresses: Vec<String> = (0..45).map(|n| format!("198.51.100.{n}")).collect();
    stderr_of(&fixture, command, |_| {
        let bans: Vec<_> = addresses
            .iter()
            .map(|address| fixture.command(["ban", address, "-d", "data"]))
            .map(|mut ban| ban.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
            .collect();
        bans.into_iter().for_each(|mut ban| assert!(ban.wait().unwrap().success()));
        ban(&fixture);
    });
    let log = fs::read_to_string(fixture.path().join("log")).unwrap();
    let told = log.lines().filter(|line| line.ends_with("event=address_banned")).count();
    let withheld = log.lines().filter_map(|line| {
        let (_, withheld) = line.split_once("withheld ")?;
        assert!(line.contains("of one kind: at most 20 in a second are logged, so that"), "{line}");
        withheld.split(' ').next()?.parse::<usize>().ok()
    });
    assert_eq!(told + withheld.sum::<usize>(), addresses.len(), "{log}");
    assert!(log.contains("event=peer_banned"), "{log}");
}
