//! The files for operators against a network that lives: a real Prometheus scrapes three nodes, of
//! which one knows a thousand peers and has a hostile one, takes every scrape, and every expression
//! of the dashboard and the alerts has an answer.
//!
//! It takes `prometheus` and `promtool` (Debian: prometheus); where they are missing the tests say
//! so and are over.
#![cfg(unix)]

#[allow(dead_code)] // the examples use the rest
#[path = "../../positron-networking/examples/hostile_peer/attack.rs"]
mod attack;
#[allow(dead_code)]
#[path = "../../positron-networking/examples/scrape/book.rs"]
mod book;
#[allow(dead_code)] // the other tests of the command use the rest
#[path = "command/fixture.rs"]
mod fixture;
#[allow(dead_code)]
#[path = "../../positron-networking/examples/hostile_peer/hostile.rs"]
mod hostile;

use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use attack::Attack;
use book::fill_book;
use fixture::{Fixture, Process, SOON, free_port, until};
use hostile::{Hostile, Mind};
use serde_json::Value;

#[test]
fn every_panel_and_every_alert_has_an_answer_from_a_network_that_lives() {
    if !has("prometheus") {
        return;
    }
    let folder = Fixture::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(fill_book(&folder.path().join("a"), 1_000)).unwrap();
    let nodes = network(&folder);
    let hostile = hostile(&nodes[0].0);
    let targets: Vec<_> = nodes.iter().map(|(_, api)| api.clone()).collect();
    let prometheus = Prometheus::start(&folder, &targets);
    let expressions = expressions();
    assert!(expressions.len() > 60, "{} expressions", expressions.len());
    for expression in expressions {
        until(&format!("an answer to {expression}"), SOON, || {
            let answers = prometheus.ask(&expression).unwrap_or_else(|told| panic!("{told}"));
            (answers > 0).then_some(())
        });
    }
    let noticed = "positron_node_unknown_types_total > 0";
    until("the hostile peer is noticed", SOON, || (prometheus.ask(noticed) == Ok(1)).then_some(()));
    assert!(hostile.stop().messages > 0);
    assert_eq!(prometheus.ask("positron_peers_book_used >= 1000"), Ok(1));
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

#[test]
fn the_quick_start_runs_as_it_is_written_in_a_fresh_folder() {
    if !has("prometheus") || !has("promtool") {
        return;
    }
    let folder = Fixture::new();
    let [api, prometheus] = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
    let elsewhere =
        |text: &str| text.replace("127.0.0.1:9777", &api).replace("127.0.0.1:9090", &prometheus);
    for name in ["prometheus.yml", "rules.yml"] {
        let text = fs::read_to_string(files().join(name)).unwrap();
        folder.file(name, &elsewhere(&text).replace("_interval: 15s", "_interval: 1s"));
    }
    let block = elsewhere(&block("## Prometheus"));
    // Prometheus takes the place of the shell, so that it can be ended.
    let (before, last) = block.trim_end().rsplit_once('\n').unwrap();
    assert!(last.starts_with("prometheus "), "{block}");
    let ours = Path::new(env!("CARGO_BIN_EXE_positron-net")).parent().unwrap().to_owned();
    let others = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([ours].into_iter().chain(std::env::split_paths(&others)));
    let script = format!("{before}\nexec {last}");
    let mut shell = folder.in_environment(Command::new("sh"), ["-eu", "-c", &script]);
    shell.env("PATH", path.unwrap());
    shell.env("POSITRON_PORT", "0").env("POSITRON_HOST", "127.0.0.1");
    let process = shell.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let prometheus = Prometheus { process, address: prometheus.parse().unwrap() };
    let _node = Background(&folder);
    until("Prometheus listens", 2 * SOON, || TcpStream::connect(prometheus.address).ok());
    until("the node is scraped", 2 * SOON, || (prometheus.ask("up == 1") == Ok(1)).then_some(()));
}

#[test]
fn what_grafana_is_told_names_the_places_of_the_quick_start() {
    let read = |name: &str| fs::read_to_string(files().join(name)).unwrap();
    let has_line = |name: &str, line: &str| {
        let text = read(name);
        assert!(text.lines().any(|one| one.trim() == line), "{name}: no `{line}` in\n{text}");
    };
    let (source, folder) =
        ("grafana/datasources/prometheus.yml", "grafana/dashboards/positron.yml");
    for (name, list) in [(source, "datasources:"), (folder, "providers:")] {
        has_line(name, "apiVersion: 1");
        has_line(name, list);
    }
    has_line(source, "type: prometheus");
    has_line(source, "url: http://127.0.0.1:9090");
    assert!(block("## Prometheus").contains("--web.listen-address=127.0.0.1:9090"));
    has_line(folder, "type: file");
    has_line(folder, "path: $POSITRON_DASHBOARDS");
    let start = block("## Grafana");
    assert!(
        start.contains("POSITRON_DASHBOARDS=$PWD GF_PATHS_PROVISIONING=$PWD/grafana"),
        "{start}"
    );
    let dashboard: Value = serde_json::from_str(&read("dashboard.json")).unwrap();
    assert!(dashboard["title"].is_string() && dashboard["uid"].is_string());
}

/// The commands of a section of the README.
fn block(section: &str) -> String {
    let readme = fs::read_to_string(files().join("README.md")).unwrap();
    let section = readme.split(section).nth(1).unwrap();
    let lines = section.lines().skip_while(|line| !line.starts_with("    "));
    lines.map_while(|line| line.strip_prefix("    ")).map(|line| format!("{line}\n")).collect()
}

/// A node that a shell left running, until this is dropped.
struct Background<'a>(&'a Fixture);

impl Drop for Background<'_> {
    fn drop(&mut self) {
        let told = fixture::finish(self.0.command(["status", "--json", "-d", "node_data"]));
        let told: Value = serde_json::from_str(&told.stdout).unwrap_or_default();
        if let Some(pid) = told["pid"].as_u64() {
            let _ = Command::new("kill").arg(pid.to_string()).status();
        }
    }
}

/// Three nodes that know each other, and where each is asked; one token opens all of them.
fn network(folder: &Fixture) -> Vec<(Process, String)> {
    let mut nodes: Vec<(Process, String)> = Vec::new();
    for data in ["a", "b", "c"] {
        let api = format!("127.0.0.1:{}", free_port());
        let start = "start --host 127.0.0.1 --port 0 --api";
        let mut arguments: Vec<String> = start.split(' ').map(str::to_owned).collect();
        arguments.push(api.clone());
        if let Some((first, _)) = nodes.first() {
            arguments.extend(["--bootstrap".into(), first.address()]);
            let (from, to) = (folder.path().join("a"), folder.path().join(data));
            fs::create_dir(&to).unwrap();
            fs::copy(from.join("api.token"), to.join("api.token")).unwrap();
        }
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let node = Process::start(folder, data, &arguments);
        node.started();
        nodes.push((node, api));
    }
    nodes
}

/// A peer of this node that invents all that a peer can.
fn hostile(of: &Process) -> Hostile {
    let id = of.started()["node_id"].as_str().unwrap().parse().unwrap();
    Hostile::start(Mind::new(of.address().parse().unwrap(), Attack::Inventions, vec![id], (0, 0)))
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
    fn start(folder: &Fixture, targets: &[String]) -> Self {
        let config = fs::read_to_string(files().join("prometheus.yml")).unwrap();
        let listed: String = targets.iter().map(|at| format!("          - {at}\n")).collect();
        let config = config
            .replace("          - 127.0.0.1:9777\n", &listed)
            .replace("_interval: 15s", "_interval: 1s");
        fs::create_dir(folder.path().join("node_data")).unwrap();
        let token = folder.path().join("node_data/api.token");
        fs::copy(folder.path().join("a/api.token"), token).unwrap();
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
