//! Values of the hash table by the command: stored at one node, found at others.

use std::{
    fs,
    io::{Read as _, Write as _},
    process::{Command, Stdio},
    time::Instant,
};

use serde_json::Value;

use crate::fixture::{Fixture, Outcome, Process, SOON, until};

const USAGE: i32 = 2;
const STORAGE: i32 = 4;
const UNREACHABLE: i32 = 6;
const REFUSED: i32 = 7;

fn start(fixture: &Fixture, data: &str, more: &[&str]) -> Process {
    let args = ["start", "--host", "127.0.0.1", "--port", "0"];
    let node = Process::start(fixture, data, &[&args[..], more].concat());
    // Until then nobody answers in its folder.
    node.started();
    node
}

/// What the node of this folder answers.
fn at(fixture: &Fixture, data: &str, args: &[&str]) -> Outcome {
    fixture.run(&[&["dht"], args, &["--data-dir", data]].concat())
}

/// Waits until a node knows so many others of the table.
fn knows(fixture: &Fixture, data: &str, others: u64) {
    until("they know one another", SOON, || {
        let told = at(fixture, data, &["stats", "--json"]).expect(0).json();
        (told["total_nodes"].as_u64() >= Some(others)).then_some(())
    });
}

/// Runs it with these bytes on its standard input; what it says on its standard output.
fn piped(mut command: Command, input: &[u8]) -> (Option<i32>, Vec<u8>) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    // Whoever has read too much reads no more.
    let _ = child.stdin.take().unwrap().write_all(input);
    let mut output = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut output).unwrap();
    (child.wait().unwrap().code(), output)
}

#[test]
fn what_one_process_stores_two_others_find_until_it_deletes_it() {
    let fixture = Fixture::new();
    let a = start(&fixture, "a", &[]);
    let bootstrap = a.address();
    let _b = start(&fixture, "b", &["-b", &bootstrap]);
    let c = start(&fixture, "c", &["-b", &bootstrap]);
    for node in ["a", "b", "c"] {
        knows(&fixture, node, 2);
    }
    let put = at(&fixture, "a", &["put", "my_key", "a value"]).expect(0).stdout;
    assert_eq!(put, "stored: 2 other nodes keep it\n");
    for node in ["b", "c"] {
        let got = at(&fixture, node, &["get", "my_key"]).expect(0);
        assert_eq!(got.stdout, "a value", "as it is, and nothing else");
        let publisher = a.started()["node_id"].as_str().unwrap().to_owned();
        assert!(got.stderr.contains(&format!("{publisher} published it")), "{}", got.stderr);
    }
    let c = c.started();
    let found = at(&fixture, "b", &["find", c["node_id"].as_str().unwrap()]).expect(0).stdout;
    let address = c["listen"][0].as_str().unwrap();
    assert!(found.contains(&format!("at         {address}")), "{found}");
    let refused = at(&fixture, "b", &["delete", "my_key"]).expect(REFUSED).stderr;
    assert!(refused.contains("it is not yours, but of"), "{refused}");

    let began = Instant::now();
    at(&fixture, "a", &["delete", "my_key"]).expect(0);
    let deleted = began.elapsed();
    // Nobody waits here: who deletes hears of it when the holders have it.
    let gone = at(&fixture, "b", &["get", "my_key"]).expect(REFUSED);
    let seen = began.elapsed();
    assert!(gone.stderr.contains("error: there is nothing"), "{}", gone.stderr);
    assert_eq!(gone.stdout, "");
    at(&fixture, "c", &["get", "my_key"]).expect(REFUSED);
    eprintln!(
        "deleted at A after {deleted:?}, seen to be gone at B after {seen:?}, each a process"
    );
    let again = at(&fixture, "a", &["delete", "my_key"]).expect(REFUSED).stderr;
    assert!(again.contains("this node stored nothing under that key"), "{again}");
}

#[test]
fn bytes_come_back_as_they_are_from_arguments_files_and_pipes() {
    let fixture = Fixture::new();
    let node = start(&fixture, "first", &[]);
    node.started();
    let all: Vec<u8> = (0..=255).cycle().take(16 * 1024).collect();
    let longer = [&all[..], b"x"].concat();
    fs::write(fixture.path().join("whole"), &all).unwrap();
    fs::write(fixture.path().join("longer"), &longer).unwrap();
    let command =
        |args: &[&str]| fixture.command([&["dht"], args, &["--data-dir", "first"]].concat());
    at(&fixture, "first", &["put", "file", "--file", "whole"]).expect(0);
    assert_eq!(piped(command(&["put", "pipe", "-"]), &all).0, Some(0));
    for key in ["file", "pipe"] {
        assert_eq!(piped(command(&["get", key]), b""), (Some(0), all.clone()), "{key}");
    }
    assert_eq!(piped(command(&["put", "pipe", "-"]), &longer).0, Some(USAGE));
    let told = at(&fixture, "first", &["put", "file", "--file", "longer"]).expect(USAGE).stderr;
    assert!(told.contains("at most 16384 bytes"), "{told}");
    at(&fixture, "first", &["put", "file", "--file", "nowhere"]).expect(STORAGE);
    assert_eq!(piped(command(&["get", "pipe"]), b""), (Some(0), all), "nothing was changed");

    let key = at(&fixture, "first", &["put", "--immutable", "v"]).expect(0).stdout;
    let got = at(&fixture, "first", &["get", "--immutable", key.trim()]).expect(0);
    assert_eq!(got.stdout, "v");
    at(&fixture, "first", &["put", "mine", "w", "--owned"]).expect(0);
    assert_eq!(at(&fixture, "first", &["get", "mine", "--owned"]).expect(0).stdout, "w");
    at(&fixture, "first", &["get", "mine"]).expect(REFUSED);
    at(&fixture, "first", &["put", "json", r#"{"data":[1]}"#, "--msgpack"]).expect(0);
    let got = at(&fixture, "first", &["get", "json", "--msgpack"]).expect(0).json();
    assert_eq!(got["data"][0], 1);
    let got = at(&fixture, "first", &["get", "json", "--json"]).expect(0).json();
    assert_eq!((&got["value"]["data"][0], &got["asked"]), (&1.into(), &0.into()), "{got}");
    let listed = at(&fixture, "first", &["get", "json", "--all"]).expect(0).stdout;
    assert!(listed.contains("publisher"), "{listed}");
}

#[test]
fn who_is_alone_is_told_so_and_the_numbers_say_how_it_is() {
    let fixture = Fixture::new();
    let node = start(&fixture, "first", &[]);
    let id = node.started()["node_id"].as_str().unwrap().to_owned();
    let put = at(&fixture, "first", &["put", "k", "v", "--ttl", "60"]).expect(0).stdout;
    assert!(put.starts_with("stored: nobody but this node keeps it; no other node"), "{put}");
    let few = at(&fixture, "first", &["put", "k", "v", "--holders", "2"]).expect(REFUSED).stderr;
    assert!(few.contains("0 of at least 2 other nodes keep it"), "{few}");
    let put = at(&fixture, "first", &["put", "k", "v", "--json"]).expect(0).json();
    assert_eq!((&put["holders"], &put["silent"]), (&Value::Array(vec![]), &0.into()));
    let stats = at(&fixture, "first", &["stats"]).expect(0).stdout;
    for words in ["mode", "server: it answers others", "keeps", "1 key", "shared, 1 B"] {
        assert!(stats.contains(words), "{words}: {stats}");
    }
    let found = at(&fixture, "first", &["find", "k", "--steps"]).expect(0).stdout;
    assert!(found.contains("nobody: no other node that serves the table"), "{found}");
    let found = at(&fixture, "first", &["find", &id, "--json"]).expect(0).json();
    assert_eq!(found["nearest"]["nodes"], Value::Array(vec![]));
}

#[test]
fn what_cannot_be_asked_is_refused_with_its_limit_before_anything_is_sent() {
    let fixture = Fixture::new();
    // No node runs: whatever got as far as asking one would say so.
    let refuses = |args: &[&str], word: &str| {
        fixture.refuses(&[&["dht"], args].concat(), USAGE, &[word]);
    };
    for ttl in ["59", "59s", "172801", "49h", "-1", "-1h", "NaN", "inf", "1.5h", "", "0"] {
        refuses(&["put", "k", "v", "--ttl", ttl], "60 s to 48 h");
    }
    let long = "k".repeat(1025);
    for command in [&["put", "", "v"][..], &["get", ""], &["delete", ""], &["find", ""]] {
        refuses(command, "must not be empty");
    }
    for command in [&["put", &long, "v"][..], &["get", &long], &["delete", &long], &["find", &long]]
    {
        refuses(command, "at most 1024 bytes, not 1025");
    }
    refuses(&["put", "k"], "a value is missing");
    refuses(&["put", "k", &"v".repeat(16 * 1024 + 1)], "at most 16384 bytes");
    refuses(&["put", "k", "v", "--immutable"], "its key is the hash of the value");
    refuses(&["put", "k", "v", "--owned", "--immutable"], "cannot be used with");
    refuses(&["put", "k", "v", "--file", "f"], "cannot be used with");
    refuses(&["put", "k", "{", "--msgpack"], "the value is JSON");
    refuses(&["put", "k", "v", "--holders", "9"], "9 is not in 1..=8");
    refuses(&["get", "k", "--immutable"], "64 hexadecimal characters");
    refuses(&["get", "k", "--from", "bob"], "64 hexadecimal characters");
    refuses(&["get", "k", "--all", "--owned"], "cannot be used with");
    let no_text = std::os::unix::ffi::OsStrExt::from_bytes(b"k\xff");
    for command in ["put", "get", "delete", "find"] {
        let mut args: Vec<&std::ffi::OsStr> = vec!["dht".as_ref(), command.as_ref(), no_text];
        if command == "put" {
            args.push("v".as_ref());
        }
        fixture.refuses_run(fixture.command(args), USAGE, &["UTF-8"]);
    }
    for args in [&["put", "k", "v", "--ttl", "60s"][..], &["get", "k"], &["stats"]] {
        let words = ["no node is running with the data folder"];
        fixture.refuses(&[&["dht"], args].concat(), UNREACHABLE, &words);
    }
}
