//! What an application is handed, and when again: nothing is missed before it listens, and what it
//! did not acknowledge survives a crash.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use positron_networking::{
    DurableInbox, MessageKind, NetworkConfig, Node, Refused, StartError, SubscriptionError,
};
use tempfile::tempdir;
use tokio::time::timeout;

/// The variable that tells a child process its data folder.
const FOLDER: &str = "POSITRON_NETWORKING_TEST_FOLDER";
/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn in_folder(folder: &Path) -> NetworkConfig {
    NetworkConfig { data_dir: Some(folder.to_owned()), ..NetworkConfig::loopback() }
}

fn address(node: &Node) -> String {
    node.listen_addresses()[0].to_string()
}

async fn next(inbox: &mut DurableInbox) -> (String, MessageKind) {
    let next = timeout(PATIENCE, inbox.recv()).await.unwrap().unwrap();
    assert_eq!(next.missed, 0);
    (next.message.decode().unwrap(), next.message.kind)
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{line}").and_then(|()| out.flush()).unwrap();
}

#[tokio::test]
#[ignore = "runs in a process of its own, until it is killed"]
async fn hears_and_acknowledges_only_the_first() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let node = Node::builder(in_folder(Path::new(&folder))).durable("ledger").start();
    let node = node.await.unwrap();
    let mut ledger = node.durable("ledger").await.unwrap();
    say(&format!("listens on {}", address(&node)));
    let first = ledger.recv().await.unwrap();
    ledger.acknowledge(&first).await.unwrap();
    loop {
        say(&format!("acknowledged {}", first.message.decode::<String>().unwrap()));
        let message = ledger.recv().await.unwrap().message;
        // What it is killed after is on disk.
        while node.stats_now().await.storage.waiting_changes > 0 {
            tokio::task::yield_now().await;
        }
        say(&format!("heard {}", message.decode::<String>().unwrap()));
    }
}

/// The child, and a way to wait for the next line of it that begins so.
fn child(folder: &Path) -> (Child, impl FnMut(&str) -> String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hears_and_acknowledges_only_the_first", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let wait_for = move |beginning: &str| {
        let mut these = lines.by_ref().map_while(Result::ok);
        these.find_map(|line| line.strip_prefix(beginning).map(str::to_owned)).unwrap()
    };
    (child, wait_for)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_acknowledged_when_the_process_was_killed_is_handed_over_again() {
    let dir = tempdir().unwrap();
    let folder = dir.path().join("bob");
    let (mut bob, mut wait_for) = child(&folder);
    let alice = Node::start(NetworkConfig::loopback()).await.unwrap();
    let bob_id = alice.join(&wait_for("listens on ")).await.unwrap();
    alice.send_to_peer(bob_id, "one").await.unwrap();
    wait_for("acknowledged one");
    alice.send_to_peer(bob_id, "two").await.unwrap();
    wait_for("heard two");
    alice.broadcast("three").await.unwrap();
    wait_for("heard three");
    bob.kill().unwrap(); // SIGKILL
    bob.wait().unwrap();

    for _ in 0..2 {
        let builder = Node::builder(in_folder(&folder));
        let mut inbox = builder.subscribe();
        let bob = builder.durable("ledger").start().await.unwrap();
        assert_eq!(bob.id(), bob_id);
        let mut ledger = bob.durable("ledger").await.unwrap();
        assert_eq!(next(&mut ledger).await, ("two".to_owned(), MessageKind::Direct));
        assert_eq!(next(&mut ledger).await, ("three".to_owned(), MessageKind::Broadcast));
        let stats = bob.stats_now().await;
        assert_eq!(stats.subscriptions[0].unacknowledged, 2);
        assert_eq!(bob.history().await[0].decode::<String>().unwrap(), "three");
        bob.shutdown().await.unwrap();
        assert_eq!(ledger.recv().await, None);
        assert_eq!(inbox.recv().await, None, "an inbox begins anew");
    }
    let bob = Node::start(in_folder(&folder)).await.unwrap();
    let mut ledger = bob.durable("ledger").await.unwrap();
    next(&mut ledger).await;
    let three = ledger.recv().await.unwrap();
    ledger.acknowledge(&three).await.unwrap();
    drop(bob);
    alice.shutdown().await.unwrap();
}

#[tokio::test]
async fn who_subscribes_before_the_start_misses_nothing_and_who_comes_late_is_told() {
    let alice = Node::start(NetworkConfig::loopback()).await.unwrap();
    alice.broadcast("early").await.unwrap();
    let joining =
        || NetworkConfig { bootstrap_nodes: vec![address(&alice)], ..NetworkConfig::loopback() };
    let delivered = async |node: &Node| {
        let mut events = node.events();
        while node.stats_now().await.gossip.counters.delivered == 0 {
            let _ = timeout(Duration::from_millis(10), events.recv()).await;
        }
    };

    let builder = Node::builder(joining());
    let mut inbox = builder.subscribe();
    let bob = builder.start().await.unwrap();
    timeout(PATIENCE, delivered(&bob)).await.unwrap();
    let early = timeout(PATIENCE, inbox.recv()).await.unwrap().unwrap();
    assert_eq!(early.decode::<String>().unwrap(), "early");
    assert_eq!(bob.stats_now().await.application.messages_unheard, 0);

    let late = Node::start(joining()).await.unwrap();
    timeout(PATIENCE, delivered(&late)).await.unwrap();
    let _inbox = late.subscribe();
    assert_eq!(late.stats_now().await.application.messages_unheard, 1);
    for node in [alice, bob, late] {
        node.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_by_name() {
    let node = Node::start(NetworkConfig::loopback()).await.unwrap();
    assert_eq!(node.durable("ledger").await.unwrap_err(), SubscriptionError::InMemory);
    let early = Node::builder(NetworkConfig::loopback()).durable("ledger").start().await;
    assert!(matches!(early, Err(StartError::Subscription(SubscriptionError::InMemory))));
    node.shutdown().await.unwrap();

    let dir = tempdir().unwrap();
    let node = Node::start(in_folder(dir.path())).await.unwrap();
    let refused = node.durable("").await.unwrap_err();
    assert_eq!(refused, SubscriptionError::Refused(Refused::SubscriptionName(0)));
    node.durable("ledger").await.unwrap();
    node.forget_durable("ledger").await.unwrap();
    let refused = node.forget_durable("ledger").await.unwrap_err();
    assert!(matches!(refused, SubscriptionError::Refused(Refused::NoSubscription(_))));
    node.shutdown().await.unwrap();
}
