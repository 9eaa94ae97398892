//! Nodes as processes: how they find each other, die, come back, and say why they are alone.

use std::{
    ffi::OsStr,
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::net::UnixListener,
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::fixture::{Fixture, Process, SOON, finish, free_port};

/// What a graceful stop may take.
const GRACE: Duration = Duration::from_secs(5);
/// The key file of a node, in its folder `keys`.
const KEY: &str = "private_key.pem";
const START: [&str; 5] = ["start", "--host", "127.0.0.1", "--port", "0"];

fn start(fixture: &Fixture, data: &str, more: &[&str]) -> Process {
    Process::start(fixture, data, &[&START[..], more].concat())
}

fn peers(status: &Value) -> u64 {
    status["active_peers"].as_u64().unwrap()
}

fn alone(status: &Value) -> &str {
    status["isolation_reason"].as_str().unwrap_or_default()
}

#[test]
fn when_the_bootstrap_node_dies_the_others_go_on_and_find_each_other_again() {
    let fixture = Fixture::new();
    let first = start(&fixture, "first", &[]);
    let bootstrap = ["--bootstrap", &first.address()].map(str::to_owned);
    let bootstrap = bootstrap.each_ref().map(String::as_str);
    let second = start(&fixture, "second", &bootstrap);
    let third = start(&fixture, "third", &bootstrap);
    for node in [&first, &second, &third] {
        node.status_when(&fixture, "two peers", |status| peers(status) == 2);
    }
    first.kill();
    let is_third = third.started()["node_id"].clone();
    second.status_when(&fixture, "only the third is left", |status| {
        peers(status) == 1 && status["peers"][0]["node_id"] == is_third
    });

    // Back without being told where to begin: the address book knows.
    second.kill();
    third.status_when(&fixture, "nobody is left", |status| peers(status) == 0);
    let begin = std::time::Instant::now();
    let second = start(&fixture, "second", &[]);
    second.status_when(&fixture, "the third is found again", |status| peers(status) == 1);
    assert!(begin.elapsed() < Duration::from_secs(10), "it took {:?}", begin.elapsed());
}

#[test]
fn a_signal_stops_a_node_gracefully_and_the_exit_code_tells_which() {
    let fixture = Fixture::new();
    let mut first = start(&fixture, "first", &[]);
    let mut second = start(&fixture, "second", &["-b", &first.address()]);
    second.status_when(&fixture, "one peer", |status| peers(status) == 1);
    second.signal("TERM");
    assert_eq!(second.wait(GRACE).code(), Some(143));
    // It said goodbye: no probe had to time out.
    let left = |event: &Value| {
        event["event"] == "peer_left" && event["reason"] == "shutting_down" && event["by"] == "peer"
    };
    crate::fixture::until("the goodbye", SOON, || first.events().iter().any(left).then_some(()));
    first.signal("INT");
    assert_eq!(first.wait(GRACE).code(), Some(130));
    assert_eq!(first.events().last().unwrap()["event"], "stopped");
    assert!(!fixture.path().join("first/control.sock").exists());
}

#[test]
fn a_folder_has_one_node_and_the_second_says_which_process_it_is() {
    let fixture = Fixture::new();
    let node = start(&fixture, "data", &[]);
    let pid = node.status_when(&fixture, "a pid", |status| status["pid"].is_u64())["pid"].clone();
    let outcome = fixture.run(&[&START[..], &["-d", "data"]].concat()).expect(4);
    assert!(outcome.stderr.contains(&format!("pid {pid}")), "{}", outcome.stderr);
    let stats = fixture.run(&["stats", "-d", "data", "--json"]).expect(0).json();
    assert_eq!(stats["network_name"], "positron");
}

#[test]
fn stats_asks_whoever_listens_in_the_folder_and_reads_the_disk_only_if_nobody_does() {
    let fixture = Fixture::new();
    let mut node = start(&fixture, "data", &[]);
    node.started();
    let asked = fixture.run(&["stats", "-d", "data", "--json"]).expect(0).json();
    node.signal("TERM");
    node.wait(GRACE);
    let read = fixture.run(&["stats", "-d", "data", "--json"]).expect(0).json();
    for key in ["schema_version", "network", "network_name", "peers", "messages"] {
        assert_eq!(asked[key], read[key], "{key}");
    }
    // Who listens is believed, whatever the disk says.
    let listener = UnixListener::bind(fixture.path().join("data/control.sock")).unwrap();
    let answering = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = [0; 4096];
        let length = stream.read(&mut asked).unwrap();
        let body = r#"{"error":{"code":"storage","sentence":"the disk sleeps"}}"#;
        write!(
            stream,
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        String::from_utf8_lossy(&asked[..length]).into_owned()
    });
    let refused = fixture.run(&["stats", "-d", "data"]).expect(7).stderr;
    assert!(refused.contains("the disk sleeps"), "{refused}");
    let asked = answering.join().unwrap();
    assert!(asked.starts_with("GET /v1/database "), "{asked}");
}

#[test]
fn a_killed_node_leaves_a_folder_that_answers_questions_and_starts_again() {
    let fixture = Fixture::new();
    let node = start(&fixture, "data", &[]);
    let id = node.started()["node_id"].clone();
    node.kill();
    let outcome = fixture.run(&["status", "-d", "data"]).expect(6);
    assert!(outcome.stderr.contains("no node is running"), "{}", outcome.stderr);
    fixture.run(&["stats", "-d", "data"]).expect(0);
    assert_eq!(fixture.run(&["id", "-d", "data"]).expect(0).stdout.trim(), id.as_str().unwrap());
    let again = start(&fixture, "data", &[]);
    assert_eq!(again.started()["node_id"], id);
    again.status_when(&fixture, "an answer", |status| status["node_id"] == id);
}

#[test]
fn an_invite_is_all_that_another_node_needs() {
    let fixture = Fixture::new();
    let host = start(&fixture, "host", &["--network", "garden"]);
    host.started();
    let invite = fixture.run(&["invite", "-d", "host", "--network", "x"]);
    assert_eq!(invite.code, Some(2), "an invite has no network of its own");
    let invite = fixture.run(&["invite", "-d", "host"]).expect(0).stdout;
    let invite = invite.trim();
    assert_eq!(host.started()["invite"], invite);
    let guest =
        Process::start(&fixture, "guest", &["join", invite, "--host", "127.0.0.1", "-p", "0"]);
    let status = guest.status_when(&fixture, "the host", |status| peers(status) == 1);
    assert_eq!(status["peers"][0]["node_id"], host.started()["node_id"]);
    assert_eq!(status["network"], "garden");
    let wake = &status["next_wake"];
    assert!(wake["in_ms"].is_number() && wake["reason"].is_string(), "it says why it acts: {wake}");

    // A node that runs already is told to join, instead of starting a second one.
    let other = start(&fixture, "other", &["--network", "garden"]);
    other.started();
    let outcome = fixture.run(&["join", invite, "-d", "other"]).expect(0);
    assert!(outcome.stdout.contains(host.started()["node_id"].as_str().unwrap()));
    other.status_when(&fixture, "the host", |status| peers(status) >= 1);
}

#[test]
fn a_stopped_node_can_be_invited_to_where_its_configuration_says() {
    let fixture = Fixture::new();
    let mut node = start(&fixture, "data", &["--network", "garden"]);
    let id = node.started()["node_id"].as_str().unwrap().to_owned();
    node.signal("TERM");
    node.wait(GRACE);
    fixture.file("c.json", r#"{ "host": "127.0.0.1", "port": 8899 }"#);
    let outcome = fixture.run(&["invite", "-d", "data", "-c", "c.json"]).expect(0);
    let wanted = format!("positron:{id}@127.0.0.1:8899?network=garden\n");
    assert_eq!(outcome.stdout, wanted);
    assert!(outcome.stderr.contains("not running"), "{}", outcome.stderr);
    fixture.file("free.json", r#"{ "host": "127.0.0.1", "port": 0 }"#);
    fixture.refuses(&["invite", "-d", "data", "-c", "free.json"], 3, &["free port", "start it"]);
}

#[test]
fn a_log_file_may_be_in_the_data_folder_and_an_impossible_one_stops_the_start() {
    let fixture = Fixture::new();
    fixture.file("c.json", r#"{ "log_file": "data/node.log", "data_dir": "data" }"#);
    let mut node = start(&fixture, "data", &["-c", "c.json", "--log-level", "debug"]);
    node.started();
    node.signal("TERM");
    node.wait(GRACE);
    let log = std::fs::read_to_string(fixture.path().join("data/node.log")).unwrap();
    assert!(log.contains("stopping"), "{log}");
    fixture.file("c.json", r#"{ "log_file": "nowhere/node.log" }"#);
    fixture.refuses(&["start", "-c", "c.json"], 4, &["nowhere/node.log", "log_file"]);
}

#[test]
fn a_second_join_in_a_folder_says_that_a_node_runs_there_and_what_it_does_not_heed() {
    let fixture = Fixture::new();
    let other = start(&fixture, "other", &[]);
    let node = start(&fixture, "node", &[]);
    let pid = node.started()["pid"].to_string();
    let again = ["join", &other.address(), "-d", "node", "--port", "7"];
    let outcome = fixture.run(&again).expect(0);
    let words = ["--port is not heeded", "running in node already", "--data-dir"];
    assert!(words.iter().all(|word| outcome.stderr.contains(word)), "{}", outcome.stderr);
    let invite = fixture.run(&["invite", "-d", "node"]).expect(0).stdout;
    for target in [invite.trim(), &node.address()] {
        let outcome = fixture.run(&["join", target, "-d", "node"]).expect(6);
        let words = ["is this one itself", "--data-dir"];
        assert!(words.iter().all(|word| outcome.stderr.contains(word)), "{}", outcome.stderr);
    }
    let outcome = fixture.run(&["start", "-d", "node", "--port", "0"]).expect(4);
    assert!(outcome.stderr.contains(&pid) && outcome.stderr.contains("node"), "{}", outcome.stderr);
}

#[test]
fn join_says_whether_nobody_answered_or_somebody_refused() {
    let fixture = Fixture::new();
    let join = |target: &str, data: &str| {
        let args = ["join", target, "--host", "127.0.0.1", "--port", "0", "-d", data];
        finish(fixture.command(args))
    };
    let dead = format!("127.0.0.1:{}", free_port());
    let outcome = join(&dead, "a").expect(6);
    assert!(outcome.stderr.contains("refused") && outcome.stderr.contains(&dead));

    let host = start(&fixture, "host", &["--network", "garden"]);
    let outcome = join(&host.address(), "b").expect(7);
    assert!(outcome.stderr.contains("another network"), "{}", outcome.stderr);

    // One address that nobody answers at hides nothing of what is said at another one.
    let silent = format!("{},{dead},192.0.2.1:9", host.address());
    let invite = format!("positron:{}@{silent}?network=positron", "07".repeat(32));
    let outcome = join(&invite, "d").expect(7);
    assert!(outcome.stderr.contains("another network"), "{}", outcome.stderr);

    let stranger = format!("positron:{}@{}?network=garden", "07".repeat(32), host.address());
    let outcome = join(&stranger, "c").expect(6);
    assert!(outcome.stderr.contains("another node answers"), "{}", outcome.stderr);
}

#[test]
fn a_node_that_is_alone_says_why_in_words() {
    let fixture = Fixture::new();
    let nobody = start(&fixture, "nobody", &[]);
    nobody.status_when(&fixture, "nobody was named", |status| {
        alone(status).contains("no bootstrap address was given")
    });

    let dead = format!("127.0.0.1:{}", free_port());
    let lonely = start(&fixture, "dead", &["-b", &dead]);
    lonely.status_when(&fixture, "a dead address", |status| {
        alone(status).contains(&dead) && alone(status).contains("nobody listens there")
    });

    let own = free_port().to_string();
    let itself = format!("127.0.0.1:{own}");
    let mirror = Process::start(
        &fixture,
        "mirror",
        &["start", "--host", "127.0.0.1", "--port", &own, "-b", &itself],
    );
    mirror.status_when(&fixture, "itself", |status| alone(status).contains("this node itself"));

    let web = web_server();
    let browser = start(&fixture, "web", &["-b", &web]);
    browser.status_when(&fixture, "a web server", |status| alone(status).contains("HTTP"));

    let foreign = start(&fixture, "foreign", &["--network", "garden"]);
    let stranger = start(&fixture, "stranger", &["-b", &foreign.address()]);
    let status = stranger.status_when(&fixture, "another network", |status| {
        alone(status).contains("another network")
    });
    assert_eq!(peers(&status), 0);
    assert!(status["bootstrap"][0]["attempts"].as_u64().unwrap() >= 1);
    assert!(status["uptime_s"].as_f64().unwrap() > 0.0);
    assert_eq!(status["listen"].as_array().unwrap().len(), 1);
    assert_eq!(status["known_peers"], 0);

    let outcome = fixture.run(&["status", "-d", "stranger"]).expect(0);
    assert!(outcome.stdout.contains("alone because"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("x wrong_network"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("Give both the same `network`"), "{}", outcome.stdout);
}

#[test]
fn a_node_goes_on_when_nobody_reads_what_it_says_any_more() {
    let fixture = Fixture::new();
    let mut deaf = start(&fixture, "deaf", &[]);
    deaf.started();
    deaf.stop_listening();
    let guest = start(&fixture, "guest", &["-b", &deaf.address()]);
    deaf.status_when(&fixture, "one peer", |status| peers(status) == 1);
    guest.kill();
    deaf.status_when(&fixture, "no peer", |status| peers(status) == 0);
    deaf.signal("TERM");
    assert_eq!(deaf.wait(GRACE).code(), Some(143));
}

/// Something on loopback that speaks HTTP to everybody.
fn web_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = [0; 64];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
    address
}

#[test]
fn a_key_in_two_folders_is_told_by_both_nodes_and_by_a_third_and_not_too_often() {
    let fixture = Fixture::new();
    let third = start(&fixture, "third", &[]);
    let bootstrap = third.address();
    let original = start(&fixture, "original", &["-b", &bootstrap]);
    third.status_when(&fixture, "one peer", |status| peers(status) == 1);
    let key = |data: &str| fixture.path().join(data).join("keys");
    fs::create_dir_all(fixture.path().join("copy")).unwrap();
    fs::create_dir(key("copy")).unwrap();
    fs::copy(key("original").join(KEY), key("copy").join(KEY)).unwrap();
    let copy = start(&fixture, "copy", &["-b", &bootstrap]);
    let id = original.started()["node_id"].clone();
    assert_eq!(copy.started()["node_id"], id);

    for (node, places) in [(&third, 2), (&original, 1), (&copy, 1)] {
        let status = node.status_when(&fixture, "the key is used twice", |status| {
            status["used_twice"][0]["node_id"] == id
        });
        let told = status["used_twice"][0]["addresses"].as_array().unwrap();
        assert_eq!(told.len(), places, "{status:#}");
        let twice = |event: &&Value| event["event"] == "used_twice";
        let told = node.events().iter().filter(twice).count();
        assert!((1..=3).contains(&told), "told {told} times");
    }
    let args = ["status", "--data-dir"].map(OsStr::new);
    let folder = fixture.path().join("original");
    let shown = finish(fixture.command(args.into_iter().chain([folder.as_os_str()])));
    assert!(shown.stdout.contains("this node's, elsewhere at 127.0.0.1:"), "{}", shown.stdout);
}
