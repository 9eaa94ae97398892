//! Two machines (network namespaces) and a firewall between them that blocks UDP: in the middle of
//! a session, and from its start.
//!
//! It takes root, `ip` and `nft`; where they are missing the tests say so and are over.
#![cfg(target_os = "linux")]

#[allow(dead_code)] // the other tests of the command use the rest
#[path = "command/fixture.rs"]
mod fixture;
mod namespaces;

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use fixture::{SOON, until};
use namespaces::{Namespaces, run};
use positron_networking::{LinkTransport, NetworkConfig, Node};
use serde::{Deserialize, Serialize};
use tokio::{sync::mpsc, task::JoinSet};

const PORT: u16 = 8888;
const ADDRESSES: [&str; 2] = ["10.203.77.1", "10.203.77.2"];
/// Between two messages of one node.
const BEAT: Duration = Duration::from_millis(20);
/// Between two reports of one node.
const REPORT: Duration = Duration::from_millis(50);
/// How long nothing may arrive when the firewall closes `[PROTOCOL 5.4]`.
const LONGEST_GAP: Duration = Duration::from_secs(3);
/// What the node of another process is told: its address, and where to begin.
const MARK: &str = "POSITRON_TEST_FIREWALL";

#[test]
fn a_firewall_that_closes_moves_the_session_to_tcp_and_one_that_opens_moves_it_back() {
    let Some(world) = World::new("closes") else { return };
    let nodes = world.nodes();
    for node in &nodes {
        node.when("messages flow over UDP", |report| report.is_over(LinkTransport::Udp, 50));
        node.tell("mark");
        node.when("it looks at the gap from now on", |report| report.marked == 1);
    }
    world.block_udp();
    for node in &nodes {
        let report =
            node.when("messages flow over TCP", |report| report.is_over(LinkTransport::Tcp, 50));
        let gap = Duration::from_millis(report.longest_gap_ms);
        assert!(gap <= LONGEST_GAP, "nothing arrived for {gap:?}");
        println!("blocked: nothing arrived for {gap:?}");
    }
    world.open();
    let opened = Instant::now();
    for node in &nodes {
        node.when("messages flow over UDP again", |report| report.is_over(LinkTransport::Udp, 50));
    }
    println!("opened: back on UDP after {:?}", opened.elapsed());
    all_arrived(&nodes);
}

#[test]
fn where_udp_is_blocked_from_the_start_nodes_meet_over_tcp_and_go_to_udp_when_it_opens() {
    let Some(world) = World::new("closed") else { return };
    world.block_udp();
    let began = Instant::now();
    let nodes = world.nodes();
    for node in &nodes {
        node.when("messages flow over TCP", |report| report.is_over(LinkTransport::Tcp, 50));
    }
    println!("blocked from the start: messages flow after {:?}", began.elapsed());
    world.open();
    for node in &nodes {
        node.when("messages flow over UDP", |report| report.is_over(LinkTransport::Udp, 50));
    }
    all_arrived(&nodes);
}

/// Nothing is lost and nothing came twice.
#[track_caller]
fn all_arrived(nodes: &[Machine; 2]) {
    for node in nodes {
        node.tell("quiet");
    }
    let sent = nodes.each_ref().map(|node| {
        let quiet = |report: &Report| report.quiet && report.acknowledged >= report.sent;
        node.when("everything is acknowledged", quiet).sent
    });
    for (node, sent) in nodes.iter().zip([sent[1], sent[0]]) {
        let report = node.when("everything arrived", |report| report.got >= sent);
        assert_eq!((report.got, report.doubled, report.failed), (sent, 0, 0), "{report:?}");
    }
}

/// Two namespaces with a cable between them. Dropping it removes them.
struct World {
    machines: Namespaces<2>,
}

/// A node in its namespace. Dropping it ends the process.
struct Machine {
    child: Child,
    stdin: Mutex<ChildStdin>,
    last: Arc<Mutex<Option<Report>>>,
}

/// What a node tells about itself, again and again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Report {
    /// What its link is made of.
    transport: String,
    /// Messages that arrived since the link is made of that.
    got_over_it: u64,
    sent: u64,
    acknowledged: u64,
    failed: u64,
    got: u64,
    doubled: u64,
    /// The longest time without a message, since the mark.
    longest_gap_ms: u64,
    marked: u64,
    quiet: bool,
}

impl Report {
    /// Whether `count` messages arrived since the link is made of that.
    fn is_over(&self, transport: LinkTransport, count: u64) -> bool {
        self.transport == transport.to_string() && self.got_over_it >= count
    }
}

impl World {
    /// `None`, and why on stderr, where there can be none.
    fn new(name: &str) -> Option<Self> {
        Some(Self { machines: Namespaces::new(name, ["a", "b"], Self::furnish)? })
    }

    fn furnish(names: &[String; 2]) -> Result<(), String> {
        let [a, b] = names;
        run("nft --version")?;
        run(&format!("ip link add cable netns {a} type veth peer name cable netns {b}"))?;
        for (name, address) in names.iter().zip(ADDRESSES) {
            run(&format!("ip -n {name} address add {address}/24 dev cable"))?;
            run(&format!("ip -n {name} link set cable up"))?;
            run(&format!("ip netns exec {name} nft list ruleset"))?;
        }
        Ok(())
    }

    /// A node in each, the second of which begins with the first; both speak at once.
    fn nodes(&self) -> [Machine; 2] {
        let first = format!("{}:{PORT}", ADDRESSES[0]);
        [
            Machine::start(&self.machines.names[0], ADDRESSES[0], ""),
            Machine::start(&self.machines.names[1], ADDRESSES[1], &first),
        ]
    }

    /// No datagram reaches either of them any more, and nobody is told.
    fn block_udp(&self) {
        for name in &self.machines.names {
            let nft = format!("ip netns exec {name} nft");
            run(&format!("{nft} add table inet wall")).unwrap();
            let hook = "{ type filter hook input priority 0 ; }";
            run(&format!("{nft} add chain inet wall input {hook}")).unwrap();
            run(&format!("{nft} add rule inet wall input meta l4proto udp drop")).unwrap();
        }
    }

    /// Datagrams get through again.
    fn open(&self) {
        for name in &self.machines.names {
            run(&format!("ip netns exec {name} nft delete table inet wall")).unwrap();
        }
    }
}

impl Machine {
    fn start(namespace: &str, address: &str, bootstrap: &str) -> Self {
        let mut child = Command::new("ip")
            .args(["netns", "exec", namespace])
            .arg(std::env::current_exe().unwrap())
            .args(["the_node_of_another_machine", "--exact", "--nocapture"])
            .env(MARK, format!("{address},{bootstrap}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = Mutex::new(child.stdin.take().unwrap());
        let last: Arc<Mutex<Option<Report>>> = Arc::default();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ear = Arc::clone(&last);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let Some(text) = line.strip_prefix("REPORT ") else { continue };
                let report = serde_json::from_str(text).unwrap();
                *ear.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
            }
        });
        Self { child, stdin, last }
    }

    /// Its report, once `wanted` holds.
    #[track_caller]
    fn when(&self, what: &str, wanted: impl Fn(&Report) -> bool) -> Report {
        let last = || self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let deadline = Instant::now() + SOON;
        until(what, 2 * SOON, || {
            let report = last();
            assert!(Instant::now() < deadline, "{what} not within {SOON:?}: {report:?}");
            report.filter(|report| wanted(report))
        })
    }

    fn tell(&self, word: &str) {
        let mut stdin = self.stdin.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(stdin, "{word}").unwrap();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In the other process: runs a node until the process that started it lets go. Otherwise nothing.
#[test]
fn the_node_of_another_machine() {
    let Ok(mark) = std::env::var(MARK) else { return };
    let (host, bootstrap) = mark.split_once(',').unwrap();
    let config = NetworkConfig {
        host: host.to_owned(),
        port: PORT,
        bootstrap_nodes: bootstrap.split(',').filter(|a| !a.is_empty()).map(Into::into).collect(),
        ..NetworkConfig::default()
    };
    tokio::runtime::Runtime::new().unwrap().block_on(talk(config));
}

async fn talk(config: NetworkConfig) {
    let node = Arc::new(Node::start(config).await.unwrap());
    let mut inbox = node.subscribe();
    let (speak, mut words) = mpsc::unbounded_channel();
    thread::spawn(move || {
        let lines = std::io::stdin().lines().map_while(Result::ok);
        lines.for_each(|line| drop(speak.send(line)));
    });
    let (mut beat, mut tell) = (tokio::time::interval(BEAT), tokio::time::interval(REPORT));
    let mut sends = JoinSet::new();
    let (mut report, mut seen) = (Report::default(), BTreeSet::new());
    let mut arrived = Instant::now();
    loop {
        tokio::select! {
            _ = beat.tick(), if !report.quiet => {
                let Some(peer) = node.stats().peers.first().map(|peer| peer.node_id) else {
                    continue;
                };
                let (node, number) = (Arc::clone(&node), report.sent);
                report.sent += 1;
                sends.spawn(async move { node.send_to_peer(peer, &number).await });
            }
            Some(sent) = sends.join_next() => match sent.unwrap() {
                Ok(_) => report.acknowledged += 1,
                Err(_) => report.failed += 1,
            },
            Some(message) = inbox.recv() => {
                note_gap(&mut report, arrived);
                arrived = Instant::now();
                if seen.insert(message.decode::<u64>().unwrap()) {
                    report.got += 1;
                    report.got_over_it += 1;
                } else {
                    report.doubled += 1;
                }
            }
            _ = tell.tick() => {
                note_gap(&mut report, arrived);
                let transport = node.stats().peers.first().map(|peer| peer.transport.to_string());
                let transport = transport.unwrap_or_default();
                if transport != report.transport {
                    (report.transport, report.got_over_it) = (transport, 0);
                }
                println!("\nREPORT {}", serde_json::to_string(&report).unwrap());
            }
            word = words.recv() => match word.as_deref() {
                Some("quiet") => report.quiet = true,
                Some("mark") => {
                    (report.longest_gap_ms, arrived) = (0, Instant::now());
                    report.marked += 1;
                }
                Some(other) => panic!("what is '{other}'?"),
                None => return,
            },
        }
    }
}

fn note_gap(report: &mut Report, arrived: Instant) {
    let gap = u64::try_from(arrived.elapsed().as_millis()).unwrap();
    // Who says nothing is not to be heard.
    if !report.quiet {
        report.longest_gap_ms = report.longest_gap_ms.max(gap);
    }
}
