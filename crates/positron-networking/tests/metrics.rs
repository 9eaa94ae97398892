//! A node's numbers as a text: what readers make of it, and what strangers can make of it.

mod common;

use std::{
    collections::BTreeSet,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use common::{DEADLINE, beside, config, next, start, until_peers, within};
use positron_networking::{
    Node,
    limits::MAX_SERIES,
    metrics::{ByPeer, MetricsFormat, get_metrics},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
};

#[test]
fn what_is_made_from_the_tables_is_what_the_tables_say_now() {
    let folder = tempfile::tempdir().unwrap();
    run_example("metrics_files", &[folder.path()]);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for file in [
        "METRICS.md",
        "observability/dashboard.json",
        "observability/rules.yml",
        "observability/rules_test.yml",
    ] {
        let [made, there] = [folder.path(), &root].map(|at| std::fs::read_to_string(at.join(file)));
        assert!(
            made.unwrap() == there.unwrap_or_default(),
            "{file} is old: cargo run -p positron-networking --example metrics_files"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_make_no_series_and_the_text_stays_one_that_prometheus_takes() {
    let node = start(config()).await;
    let before = series(&node, ByPeer::Without);
    let friend = start(beside(&[&node])).await;
    until_peers(&node, 1).await;
    for n in 0_u8..60 {
        say_nonsense(&node, n).await;
    }
    let mut inbox = node.subscribe();
    friend.broadcast(&"{peer=\"evil\"} 1\n# EOF\n\u{1b}[2J").await.unwrap();
    within(DEADLINE, "the message", next(&mut inbox)).await;
    let stats = node.stats_now().await;
    let noticed = stats.session.protocol_mismatches + stats.session.handshakes_failed;
    assert!(noticed > 0 && stats.datagrams.counters.malformed > 0, "nonsense arrived");
    assert_eq!(series(&node, ByPeer::Without), before, "whatever was said");
    let with_peers = series(&node, ByPeer::With);
    assert_eq!(with_peers.len(), before.len() + 4, "four of one peer");
    for detail in [ByPeer::Without, ByPeer::With] {
        check_by_promtool(&node.metrics(MetricsFormat::Text, detail));
        let open = node.metrics(MetricsFormat::OpenMetrics, detail);
        assert!(open.ends_with("\n# EOF\n"));
        assert_eq!(open.matches("# EOF").count(), 1);
    }
    assert!(before.len() <= MAX_SERIES);
}

#[test]
fn a_thousand_peers_and_one_that_invents_all_it_can_make_no_series() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text");
    // It fails if there are more series or bytes than there may be, or if one came or went.
    run_example("scrape", &[Path::new("--text"), &text]);
    let text = std::fs::read_to_string(text).unwrap();
    let at_least = |name: &str, least: u64| {
        let told = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        assert!(told.unwrap().parse::<u64>().unwrap() >= least, "{name} {told:?}");
    };
    at_least("positron_peers_book_used", 1_000);
    at_least("positron_session_sessions_total", 49);
    at_least("positron_node_unknown_types_total", 1);
    check_by_promtool(&text);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_application_counts_stands_in_the_text_of_its_node() {
    let node = start(config()).await;
    get_metrics().increment_counter("blocks.mined.total", 3).unwrap();
    drop(get_metrics().timer("block.duration.seconds").unwrap());
    let text = node.metrics(MetricsFormat::Text, ByPeer::Without);
    assert!(text.contains("\nblocks_mined_total 3\n"), "{text}");
    assert!(text.contains("\nblock_duration_seconds_count 1\n"), "{text}");
    let all = get_metrics().export_prometheus();
    assert!(all.contains("blocks_mined_total 3") && all.contains("positron_build_info"), "{all}");
    check_by_promtool(&all);
    let uptime = get_metrics().get_all_metrics().gauges;
    assert!(uptime.contains_key("positron.transport.uptime.seconds"), "{uptime:?}");
    assert!(get_metrics().get_summary()["messages"].contains_key("received"));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_nodes_of_a_process_are_told_apart_and_each_name_stands_once() {
    let nodes = [start(config()).await, start(config()).await];
    let text = get_metrics().export_prometheus();
    for node in &nodes {
        let name = &node.id().short()[..8];
        let line = format!("positron_session_sessions_total{{node=\"{name}\"}} ");
        assert!(text.contains(&line), "{line} is not in {text}");
    }
    let types = text.lines().filter(|line| line.starts_with("# TYPE "));
    let (names, count) = (types.clone().collect::<BTreeSet<_>>().len(), types.count());
    assert_eq!(names, count, "a name stands twice");
    check_by_promtool(&text);
}

fn run_example(name: &str, arguments: &[&Path]) {
    // target/PROFILE/deps/this-test -> target/PROFILE/examples/
    let this = std::env::current_exe().unwrap();
    let example = this.ancestors().nth(2).unwrap().join("examples").join(name);
    let run = Command::new(example).args(arguments).output();
    let run = run.expect("`cargo test -p positron-networking` builds the examples too");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}

/// Bytes of nobody's protocol, over both kinds of link, and a connection that says nothing.
async fn say_nonsense(node: &Node, n: u8) {
    let address = node.listen_addresses()[0];
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&[n; 1_200], address).await.unwrap();
    let mut link = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /{n} HTTP/1.1\r\nUser-Agent: evil{n}\"}}\r\n\r\n");
    // The node may have hung up before.
    let _ = link.write_all(request.as_bytes()).await;
    let _ = within(DEADLINE, "the node hangs up", link.read_to_end(&mut Vec::new())).await;
}

/// Names and labels, without the label of nodes, which is there or not as other tests run.
fn series(node: &Node, detail: ByPeer) -> BTreeSet<String> {
    let name = format!("node=\"{}\"", &node.id().short()[..8]);
    let text = node.metrics(MetricsFormat::Text, detail);
    let text = text.replace(&format!("{{{name}}}"), "").replace(&format!("{name},"), "");
    assert!(text.len() <= 64 * 1024, "{} bytes", text.len());
    let lines = text.lines().filter(|line| line.starts_with("positron_"));
    lines
        .map(|line| {
            let series = line.rsplit_once(' ').expect("a value").0;
            series.replace(&format!(",{name}"), "")
        })
        .collect()
}

fn check_by_promtool(text: &str) {
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        return eprintln!("skipped: promtool is not installed (Debian: prometheus)");
    };
    promtool.stdin.take().expect("a pipe").write_all(text.as_bytes()).unwrap();
    let told = promtool.wait_with_output().unwrap();
    let remarks = String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success() && remarks.is_empty() && told.stdout.is_empty(), "{remarks}");
}
