//! What is wrong with a machine, as `doctor` tells it.

use std::{net::UdpSocket, process::Command};

use serde_json::Value;

use crate::fixture::{Fixture, Process, finish};

/// On this machine only, so that no test asks anybody outside.
const CONFIG: &str = r#"{ "host": "127.0.0.1", "port": PORT }"#;

fn doctor(fixture: &Fixture, port: u16, more: &[&str]) -> Command {
    fixture.file("c.json", &CONFIG.replace("PORT", &port.to_string()));
    fixture.command([&["doctor", "-c", "c.json", "-d", "data", "--json"], more].concat())
}

fn found<'a>(document: &'a Value, about: &str) -> &'a Value {
    let findings = document["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["about"] == about).unwrap()
}

/// What is wrong, but for a machine that has no network.
fn wrongs(document: &Value) -> Vec<&str> {
    let findings = document["findings"].as_array().unwrap();
    let wrong = findings.iter().filter(|finding| finding["verdict"] == "wrong");
    let about = wrong.map(|finding| finding["about"].as_str().unwrap());
    about.filter(|about| !about.starts_with("IPv")).collect()
}

#[test]
fn a_port_that_another_one_has_is_wrong_and_it_is_said_what_to_do() {
    let fixture = Fixture::new();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let document = finish(doctor(&fixture, port, &[])).expect(8).json();
    assert_eq!(wrongs(&document), ["UDP port"]);
    assert!(found(&document, "UDP port")["advice"].as_str().unwrap().contains("--port"));
    assert_eq!(found(&document, "node")["verdict"], "unknown");
    assert_eq!(found(&document, "data folder")["verdict"], "right");
    assert!(!fixture.path().join("data").exists(), "it makes nothing");
    let text = finish(fixture.command(["doctor", "-c", "c.json", "-d", "data"])).expect(8).stdout;
    assert!(text.contains("WRONG: 127.0.0.1") && text.contains("try: end who has it"), "{text}");
}

#[test]
fn a_node_is_the_stun_server_of_whoever_asks_it() {
    let fixture = Fixture::new();
    let node = Process::start(&fixture, "node", &["start", "--host", "127.0.0.1", "--port", "0"]);
    node.started();
    let status = node.status_when(&fixture, "where it listens", |it| it["listen"][0].is_string());
    let server = status["listen"][0].as_str().unwrap().to_owned();
    let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let document = finish(doctor(&fixture, free, &["--stun", &server])).json();
    assert_eq!(wrongs(&document), [""; 0]);
    let by_stun = found(&document, "NAT, by STUN");
    let says = by_stun["says"].as_str().unwrap();
    let wanted = format!("no NAT: one server sees the node's port as 127.0.0.1:{free}");
    assert!(says.contains(&wanted), "{says}");

    // And what the node itself says.
    let of_node = ["doctor", "--json", "-d", "node"];
    let document = finish(fixture.command(of_node)).json();
    assert_eq!(found(&document, "node")["verdict"], "right");
    let alone = found(&document, "peers");
    assert_eq!(alone["verdict"], "note", "nobody was named whom it would dial: {alone}");
    let at = found(&document, "UDP port")["says"].as_str().unwrap();
    assert!(at.contains(&server), "{at}");
    assert_eq!(found(&document, "NAT, by peers")["verdict"], "unknown", "it has no peers");
    let text = finish(fixture.command(["status", "-d", "node"])).expect(0).stdout;
    assert!(text.contains("unknown: no peer on the internet has said how it sees us"), "{text}");
}

#[test]
fn servers_that_do_not_answer_are_named_and_a_folder_that_cannot_be_written_is_wrong() {
    let fixture = Fixture::new();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = silent.local_addr().unwrap().to_string();
    let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    fixture.file("data", "a file");
    let document = finish(doctor(&fixture, free, &["--stun", &server])).expect(8).json();
    assert_eq!(wrongs(&document), ["NAT, by STUN", "data folder"]);
    let folder = found(&document, "data folder")["says"].as_str().unwrap();
    assert!(folder.ends_with("it is a file, not a folder"), "{folder}");
    let says = found(&document, "NAT, by STUN")["says"].as_str().unwrap();
    assert!(says.contains(&server) && says.contains("did not answer"), "{says}");
}

#[test]
fn a_server_without_a_port_is_refused() {
    let words = ["no address", "HOST:PORT"];
    Fixture::new().refuses(&["doctor", "--stun", "stun.example.org"], 2, &words);
}
