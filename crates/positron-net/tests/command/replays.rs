//! Simulated networks on the page, living and recorded.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use crate::fixture::{Fixture, SOON, until};

/// A process that shows a network, and ends with the test.
struct Shown {
    process: Child,
    address: String,
    token: String,
}

impl Shown {
    fn by(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(told["event"], "started", "{line}");
        let page = told["page"].as_str().unwrap().strip_prefix("http://").unwrap();
        let (address, token) = page.split_once("/#token=").unwrap();
        Self { process, address: address.into(), token: token.into() }
    }

    /// Head and body of the answer.
    fn ask(&self, what: &str, token: &str, body: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let request = format!(
            "{what} HTTP/1.0\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    #[track_caller]
    fn get(&self, path: &str) -> Value {
        let (head, body) = self.ask(&format!("GET {path}"), &self.token, "");
        assert!(head.contains(" 200 "), "{path}: {head}\n{body}");
        serde_json::from_str(&body).unwrap()
    }

    #[track_caller]
    fn act(&self, action: &str, body: &Value) -> (String, Value) {
        let what = format!("POST /v1/actions/{action}");
        let (head, body) = self.ask(&what, &self.token, &body.to_string());
        (head[9..12].to_owned(), serde_json::from_str(&body).unwrap())
    }

    /// Nodes that are up, and links.
    fn picture(&self) -> (usize, usize) {
        let told = self.get("/v1/topology");
        assert_eq!(told["truth"], true);
        let up = told["nodes"].as_array().unwrap().iter().filter(|node| node["up"] == true);
        (up.count(), told["edges"].as_array().unwrap().len())
    }
}

impl Shown {
    /// Reads the recording as it grows until this is in it.
    fn until_recorded(&self, what: &str) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let (host, token) = (&self.address, &self.token);
        write!(
            stream,
            "GET /v1/recording HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n"
        )
        .unwrap();
        let (mut read, mut chunk) = (String::new(), [0; 4096]);
        while !read.contains(what) {
            let length = stream.read(&mut chunk).unwrap();
            assert!(length > 0, "no {what} in {read}");
            read.push_str(&String::from_utf8_lossy(&chunk[..length]));
        }
    }

    /// Ends it by Ctrl-C; its exit code.
    fn interrupt(&mut self) -> Option<i32> {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        until("it ends", SOON, || self.process.try_wait().unwrap()).code()
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_recording_is_shown_to_who_has_the_token_and_changed_by_nobody() {
    let fixture = Fixture::new();
    let args = ["simulate", "--virtual", "-n", "5", "--seed", "3", "--record", "r"];
    fixture.run(&args).expect(0);
    let shown = Shown::by(fixture.command(["replay", "r", "--json"]));
    let (links, up) = (shown.picture().1, shown.picture().0);
    assert!(up == 5 && links >= 4, "{up} nodes, {links} links");
    let (head, body) = shown.ask("GET /v1/recording", &shown.token, "");
    assert!(head.contains(" 200 ") && head.contains("application/x-ndjson"), "{head}");
    let recorded = std::fs::read_to_string(fixture.path().join("r")).unwrap();
    assert!(body == recorded, "it is handed over as it is");
    for path in ["/v1/recording", "/v1/topology"] {
        let (head, _) = shown.ask(&format!("GET {path}"), &"0".repeat(64), "");
        assert!(head.contains(" 401 "), "{head}");
    }
    let (head, page) = shown.ask("GET /", &shown.token, "");
    assert!(head.contains("content-security-policy: default-src 'self'"), "{head}");
    assert!(page.contains("<script"), "{page}");
    let (code, told) = shown.act("heal", &json!({}));
    assert_eq!((code.as_str(), &told["error"]["code"]), ("404", &"no_such_route".into()));
}

#[test]
fn a_living_world_is_seen_and_obeys_who_has_the_token() {
    let fixture = Fixture::new();
    let args = ["simulate", "--virtual", "-n", "5", "--seed", "3", "--dashboard", "--json"];
    let shown = Shown::by(fixture.command(args));
    let becomes = |what: &str, wanted: &dyn Fn((usize, usize)) -> bool| {
        until(what, 2 * SOON, || wanted(shown.picture()).then_some(()));
    };
    becomes("all are linked", &|(up, links)| (up, links) == (5, 10));
    let (code, _) = shown.ask("POST /v1/actions/kill", &"0".repeat(64), "{\"node\":1}");
    assert!(code.contains(" 401 "), "{code}");
    let done = |action: &str, body: Value, code: &str| {
        let (told, answer) = shown.act(action, &body);
        assert_eq!(told, code, "{action} {body}: {answer}");
    };
    done("kill", json!({ "node": 1 }), "200");
    becomes("one is dead", &|(up, links)| (up, links) == (4, 6));
    done("start", json!({ "node": 1 }), "200");
    becomes("it is back", &|(up, links)| (up, links) == (5, 10));
    done("partition", json!({ "part": 0.4 }), "200");
    becomes("two and three are parted", &|(_, links)| links == 4);
    done("slow", json!({ "ms": 300 }), "200");
    done("heal", json!({}), "200");
    becomes("all are linked again", &|(_, links)| links == 10);
    for (action, body, code) in [
        ("kill", json!({ "node": 5 }), "404"),
        ("kill", json!({ "node": -1 }), "400"),
        ("partition", json!({ "part": 1.5 }), "400"),
        ("partition", json!({ "part": null }), "400"),
        ("slow", json!({ "ms": 10_001 }), "400"),
        ("heal", json!({ "x": 1 }), "400"),
    ] {
        done(action, body, code);
    }
}

#[test]
fn a_network_of_real_sockets_is_seen_obeys_and_is_recorded() {
    let fixture = Fixture::new();
    let args = "simulate -n 4 --seed 3 --rate 5 --dashboard --record r --json";
    let mut shown = Shown::by(fixture.command(args.split(' ')));
    let becomes = |shown: &Shown, what: &str, wanted: (usize, usize)| {
        until(what, 2 * SOON, || (shown.picture() == wanted).then_some(()));
    };
    becomes(&shown, "all are linked", (4, 6));
    until("each link has a round trip time", SOON, || {
        let told = shown.get("/v1/topology");
        let mut edges = told["edges"].as_array().unwrap().iter();
        edges.all(|edge| edge["rtt_ms"].as_f64() > Some(0.0)).then_some(())
    });
    // What cannot be done honestly is not offered, and refused.
    let told = shown.get("/v1/topology");
    assert_eq!(told["actions"], json!(["partition", "heal", "kill", "start"]));
    let (code, told) = shown.act("slow", &json!({ "ms": 300 }));
    assert_eq!((code.as_str(), &told["error"]["code"]), ("409", &"not_possible".into()));
    assert!(told["error"]["sentence"].as_str().unwrap().contains("cannot be made slow"), "{told}");
    let done = |shown: &Shown, action: &str, body: Value| {
        let (code, answer) = shown.act(action, &body);
        assert_eq!(code, "200", "{action}: {answer}");
    };
    done(&shown, "kill", json!({ "node": 3 }));
    becomes(&shown, "one is down", (3, 3));
    shown.until_recorded("\"down\"");
    // Who is down belongs to its part all the same.
    done(&shown, "partition", json!({ "part": 0.5 }));
    becomes(&shown, "two and one are parted", (3, 1));
    done(&shown, "start", json!({ "node": 3 }));
    becomes(&shown, "two and two are parted", (4, 2));
    done(&shown, "heal", json!({}));
    becomes(&shown, "all are linked again", (4, 6));
    shown.until_recorded("\"hops\"");
    assert_eq!(shown.interrupt(), Some(130));
    let steps = std::fs::read_to_string(fixture.path().join("r")).unwrap();
    let steps: Vec<Value> = steps.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let any = |key: &str| steps.iter().any(|step| step[key].is_array());
    for key in ["hops", "up", "down", "cut", "links"] {
        assert!(any(key), "no {key} in {steps:?}");
    }
    let hops = steps.iter().filter_map(|step| step["hops"].as_array()).flatten();
    assert!(hops.clone().any(|hop| hop[3].as_f64() > Some(0.0)), "a delay is known");
    let left: Vec<_> = fixture.contents().into_keys().collect();
    assert_eq!(left, [fixture.path().join("r")], "nothing else is left");
    fixture.run(&["replay", "r", "--api", "0.0.0.0:0"]).expect(5);
}

#[test]
fn what_is_no_recording_is_refused_and_told_why() {
    let fixture = Fixture::new();
    fixture.file("empty", "");
    fixture.file("foreign", "{\"listen\": 1}\n");
    fixture.file("newer", "{\"positron_recording\":2,\"seed\":1,\"nodes\":[],\"step_ms\":1}\n");
    fixture.file("cut", "{\"positron_recording\":1,\"seed\":1,\"nodes\":[],\"step_ms\":1}\n{\"t");
    for (file, why) in [
        ("empty", "it is empty"),
        ("foreign", "first line does not say"),
        ("newer", "version 2 of the format"),
        ("cut", "cut off after 1 lines"),
        ("nowhere", "No such file"),
        (".", "directory"),
    ] {
        fixture.refuses(&["replay", file], 4, &[why, file]);
    }
    let good = "{\"positron_recording\":1,\"seed\":1,\"nodes\":[],\"step_ms\":1}\n";
    fixture.file("good", good);
    fixture.refuses(&["replay", "good", "--api", "0.0.0.0:0"], 5, &["not encrypted"]);
}
