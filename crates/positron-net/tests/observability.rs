//! The files for operators against a network that lives: a real Prometheus scrapes three nodes, and
//! every expression of the dashboard and the alerts has an answer.
//!
//! It takes `prometheus` and `promtool` (Debian: prometheus); where they are missing the tests say
//! so and are over.
#![cfg(unix)]

#[allow(dead_code)] // the other tests of the command use the rest
#[path = "command/fixture.rs"]
mod fixture;

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use fixture::{Fixture, SOON, until};
use positron_networking::{
    NetworkConfig, Node,
    metrics::{MetricsFormat, PeerDetail},
};
use serde_json::Value;

#[test]
fn every_panel_and_every_alert_has_an_answer_from_a_network_that_lives() {
    if !has("prometheus") {
        return;
    }
    let (folder, runtime) = (Fixture::new(), tokio::runtime::Runtime::new().unwrap());
    let nodes = runtime.block_on(network());
    let targets: Vec<_> = nodes.iter().zip(0..).map(|(node, nth)| serve(node, nth)).collect();
    let prometheus = Prometheus::start(&folder, &targets);
    let expressions = expressions();
    assert!(expressions.len() > 60, "{} expressions", expressions.len());
    for expression in expressions {
        until(&format!("an answer to {expression}"), SOON, || {
            let answers = prometheus.ask(&expression).unwrap_or_else(|told| panic!("{told}"));
            (answers > 0).then_some(())
        });
    }
    assert_eq!(prometheus.ask("min_over_time(up[5m]) == 1"), Ok(3), "a scrape was refused");
    let rules = prometheus.get("/api/v1/rules");
    let rules = rules["data"]["groups"][0]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), 12);
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
}

#[test]
fn promtool_says_no_word_about_the_rules_and_each_fires_when_it_should() {
    if !has("promtool") {
        return;
    }
    for arguments in [["check", "rules", "rules.yml"], ["test", "rules", "rules_test.yml"]] {
        let run = Command::new("promtool").args(arguments).current_dir(files()).output().unwrap();
        let told = [run.stdout, run.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        assert!(run.status.success() && told.contains("SUCCESS"), "{told}");
    }
}

/// Three nodes that know each other, of which one says something.
async fn network() -> Vec<Node> {
    let first = Node::start(NetworkConfig::loopback()).await.unwrap();
    let bootstrap_nodes = vec![first.listen_addresses()[0].to_string()];
    let config = NetworkConfig { bootstrap_nodes, ..NetworkConfig::loopback() };
    let others = [Node::start(config.clone()).await.unwrap(), Node::start(config).await.unwrap()];
    first.broadcast(&"hello").await.unwrap();
    [vec![first], others.into()].concat()
}

/// Answers whoever asks for the node's metrics. The one of an odd number is an old one, which knows
/// one text only.
fn serve(node: &Node, nth: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, node) = (listener.local_addr().unwrap(), node.clone());
    thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            let mut head = BufReader::new(&connection).lines().map_while(Result::ok);
            let accept = head
                .by_ref()
                .take_while(|line| !line.is_empty())
                .filter_map(|line| line.strip_prefix("Accept: ").map(str::to_owned))
                .last();
            let format = MetricsFormat::accepted(accept.as_deref().filter(|_| nth % 2 == 0));
            let (text, kind) = (node.metrics(format, PeerDetail::With), format.content_type());
            let length = text.len();
            let head =
                format!("Content-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close");
            let _ = write!(&connection, "HTTP/1.1 200 OK\r\n{head}\r\n\r\n{text}");
        }
    });
    address
}

/// What the dashboard draws, and what the alerts look at: each is true of a node that is well for
/// what stands left of its bound.
fn expressions() -> BTreeSet<String> {
    let dashboard = fs::read_to_string(files().join("dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    let drawn = targets.map(|target| target["expr"].as_str().unwrap());
    let drawn = drawn.map(|of| of.replace("$instance", ".*").replace("$__rate_interval", "1m"));
    let rules = fs::read_to_string(files().join("rules.yml")).unwrap();
    let rules = rules.lines().filter_map(|line| line.trim_start().strip_prefix("expr: "));
    let looked_at = rules.map(|rule| {
        let rule: String = serde_json::from_str(rule).unwrap();
        let bound = [" > ", " < ", " == "].into_iter().filter_map(|sign| rule.rfind(sign)).max();
        rule[..bound.expect("a bound")].to_owned()
    });
    drawn.chain(looked_at).collect()
}

fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../observability")
}

fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: {program} is not installed (Debian: prometheus)");
    }
    found
}

/// Prometheus with the configuration of the quick start, but for what it scrapes and how often.
struct Prometheus {
    process: Child,
    address: SocketAddr,
}

impl Prometheus {
    fn start(folder: &Fixture, targets: &[SocketAddr]) -> Self {
        let config = fs::read_to_string(files().join("prometheus.yml")).unwrap();
        let listed: String = targets.iter().map(|at| format!("          - {at}\n")).collect();
        let config = config
            .replace("          - 127.0.0.1:9777\n", &listed)
            .replace("_interval: 15s", "_interval: 1s");
        folder.file("api.token", "of nobody");
        folder.file("rules.yml", &fs::read_to_string(files().join("rules.yml")).unwrap());
        let config = folder.file("prometheus.yml", &config);
        let checked = Command::new("promtool").arg("check").arg("config").arg(&config).output();
        let checked = checked.unwrap();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
        // Prometheus does not tell which free port it took.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let prometheus = Self { process, address };
        until("Prometheus listens", SOON, || TcpStream::connect(address).ok());
        until("Prometheus answers", SOON, || prometheus.ask("vector(1)").ok());
        prometheus
    }

    /// How many series the answer has.
    fn ask(&self, expression: &str) -> Result<usize, String> {
        let escaped: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let told = self.get(&format!("/api/v1/query?query={escaped}"));
        match told["data"]["result"].as_array() {
            Some(series) => Ok(series.len()),
            None => Err(told.to_string()),
        }
    }

    fn get(&self, path: &str) -> Value {
        let mut connection = TcpStream::connect(self.address).unwrap();
        let request = format!("GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.address);
        connection.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        serde_json::from_str(body).unwrap_or(Value::Null)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
