//! The API of a node as a process: who opens it, and the commands that stand on it.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
};

use serde_json::Value;

use crate::fixture::{Fixture, Process, SOON, until};

const START: [&str; 7] = ["start", "--host", "127.0.0.1", "--port", "0", "--api", "127.0.0.1:0"];

/// What is answered to a request of these lines.
fn asked(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{request}\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_dashboard_is_opened_by_the_address_that_is_printed_and_not_without_its_token() {
    let fixture = Fixture::new();
    let node = Process::start(&fixture, "node", &START);
    node.status_when(&fixture, "it runs", |status| status["api"].is_string());
    let printed = fixture.run(&["dashboard", "--data-dir", "node"]).expect(0).stdout;
    let (address, token) = printed.trim().split_once("/#token=").unwrap();
    let address = address.strip_prefix("http://").unwrap();
    assert_eq!(fs::read_to_string(fixture.path().join("node/api.token")).unwrap().trim(), token);

    assert!(asked(address, "GET / HTTP/1.1").starts_with("HTTP/1.1 200"));
    assert!(asked(address, "GET /v1/status HTTP/1.1").starts_with("HTTP/1.1 401"));
    let with = format!("GET /v1/config HTTP/1.1\r\nAuthorization: Bearer {token}");
    let config = asked(address, &with);
    assert!(config.starts_with("HTTP/1.1 200"), "{config}");
    let config: Value = serde_json::from_str(config.split_once("\r\n\r\n").unwrap().1).unwrap();
    let origin = |key: &str| {
        let values = config["values"].as_array().unwrap();
        values.iter().find(|one| one["key"] == key).unwrap()["origin"].clone()
    };
    assert_eq!(
        (origin("api_listen"), origin("max_peers")),
        ("command line".into(), "default".into())
    );
}

#[test]
fn the_way_of_a_broadcast_is_told_by_who_sent_it_by_who_heard_it_and_by_the_network() {
    let fixture = Fixture::new();
    let first = Process::start(&fixture, "first", &START);
    let second =
        Process::start(&fixture, "second", &[&START[..], &["-b", &first.address()]].concat());
    second.status_when(&fixture, "one peer", |status| status["active_peers"] == 1);
    let printed = fixture.run(&["dashboard", "--data-dir", "first"]).expect(0).stdout;
    let (address, token) = printed.trim().split_once("/#token=").unwrap();
    let address = address.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let body = r#"{"payload":"hello"}"#;
    write!(
        stream,
        "POST /v1/actions/broadcast HTTP/1.1\r\nHost: {address}\r\n\
         Authorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let done: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let message = done["message"].as_str().unwrap();

    let heard = || {
        let told = fixture.run(&["trace", message, "--data-dir", "second", "--json"]);
        (told.code == Some(0)).then(|| told.json())
    };
    let heard = until("the other one has it", SOON, heard);
    assert_eq!((&heard["local"]["own"], &heard["kind"]), (&false.into(), &"broadcast".into()));
    assert_eq!(heard["local"]["from"], first.started()["node_id"]);
    let told = fixture.run(&["trace", message, "--network", "--data-dir", "first", "--json"]);
    let told = told.expect(0).json();
    assert_eq!(
        (&told["network"]["state"], &told["network"]["reached"]),
        (&"done".into(), &2.into())
    );
    let shown = fixture.run(&["trace", message, "--data-dir", "first"]).expect(0).stdout;
    assert!(shown.contains("written here") && shown.contains("1: 1 node"), "{shown}");
    let refused = |words: &[&str]| fixture.run(words).expect(7).stderr;
    let of_another = refused(&["trace", message, "--network", "--data-dir", "second"]);
    assert!(of_another.contains("only the sender"), "{of_another}");
    let unknown = refused(&["trace", &"0".repeat(64), "--data-dir", "first"]);
    assert!(unknown.contains("remembers nothing"), "{unknown}");
}

#[test]
fn a_node_is_watched_followed_and_stopped_by_whoever_owns_it() {
    let fixture = Fixture::new();
    let mut node = Process::start(&fixture, "node", &START);
    node.status_when(&fixture, "it runs", |status| status["health"]["checks"].is_array());
    let top = fixture.run(&["top", "--data-dir", "node"]).expect(0).stdout;
    assert!(top.contains("not ready") && top.contains("delivered 0/s"), "{top}");

    let mut events = fixture.command(["events", "--data-dir", "node", "--json"]);
    let mut events = events.stdout(std::process::Stdio::piped()).spawn().unwrap();
    // Whoever follows is there before the ban, or hears of the next one.
    let mut said = events.stdout.take().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut byte = [0];
        let mut line = Vec::new();
        while said.read(&mut byte).is_ok_and(|n| n == 1) {
            line.push(byte[0]);
            if byte[0] == b'\n' {
                let _ = tell.send(String::from_utf8(std::mem::take(&mut line)).unwrap());
            }
        }
    });
    let event = until("an event", SOON, || {
        fixture.run(&["ban", "203.0.113.7", "--data-dir", "node", "--reason", "\u{1b}[2J"]);
        told.try_recv().ok()
    });
    let read: Value = serde_json::from_str(&event).unwrap();
    assert_eq!(read["type"], "address_banned");
    assert!(
        event.starts_with("{\"id\":") && event.contains(",\"type\":\"address_banned\",\"at\":")
    );
    assert!(read["age_s"].as_f64().unwrap() < 60.0, "{event}");
    assert!(!event.contains('\u{1b}') && read["reason"] == "\u{1b}[2J", "{event}");

    let mut socket =
        std::os::unix::net::UnixStream::connect(fixture.path().join("node/control.sock")).unwrap();
    write!(socket, "POST /v1/actions/stop HTTP/1.1\r\nHost: node\r\n\r\n").unwrap();
    assert_eq!(node.wait(SOON).code(), Some(0));
    let ended = until("the stream ends with the node", SOON, || events.try_wait().unwrap());
    assert!(ended.success());
}

#[test]
fn a_port_for_other_machines_is_opened_only_by_who_names_the_risk() {
    let fixture = Fixture::new();
    let start = ["start", "--host", "127.0.0.1", "--port", "0", "--api", "0.0.0.0:0"];
    fixture.refuses(&start, 3, &["not encrypted", "--api-in-clear-text", "ssh -L"]);
    let node = Process::start(&fixture, "node", &[&start[..], &["--api-in-clear-text"]].concat());
    node.status_when(&fixture, "it listens", |status| {
        status["api"].as_str().is_some_and(|api| api.starts_with("0.0.0.0:"))
    });
}
