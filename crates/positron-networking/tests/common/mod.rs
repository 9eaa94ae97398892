//! What the stories share: nodes on loopback, and waiting for a condition until a deadline.

#![allow(dead_code)] // each test binary uses a part of it

#[cfg(target_os = "linux")]
pub(crate) mod child;

use std::{
    future::Future,
    time::{Duration, Instant},
};

use positron_networking::{Events, Inbox, NetworkConfig, Node, NodeEvent, Received};

/// Generous: only a broken node needs it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A node that knows nobody.
pub(crate) fn config() -> NetworkConfig {
    NetworkConfig { gossip_interval: 0.2, ..NetworkConfig::loopback() }
}

/// A node that begins with `others`.
pub(crate) fn beside(others: &[&Node]) -> NetworkConfig {
    NetworkConfig { bootstrap_nodes: others.iter().map(|node| address(node)).collect(), ..config() }
}

pub(crate) fn address(node: &Node) -> String {
    node.listen_addresses()[0].to_string()
}

pub(crate) async fn start(config: NetworkConfig) -> Node {
    Node::start(config).await.expect("the node starts")
}

/// A node on a runtime of its own, which can die: no goodbye, no last words.
pub(crate) struct Mortal {
    pub(crate) node: Node,
    runtime: tokio::runtime::Runtime,
}

impl Mortal {
    pub(crate) async fn start(config: NetworkConfig) -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a second runtime");
        let node = runtime.spawn(start(config)).await.expect("the node starts");
        Self { node, runtime }
    }

    /// Returns when the runtime is gone: until then its workers may still do what they are asked.
    pub(crate) fn die(self) {
        let Self { runtime, .. } = self;
        // Not from a thread of the runtime that the test runs on, which may not wait.
        let end = std::thread::spawn(move || runtime.shutdown_timeout(DEADLINE));
        end.join().expect("it ends");
    }
}

/// `count` nodes of which all but the first begin with the first, and know each other.
pub(crate) async fn network(count: usize) -> Vec<Node> {
    let mut nodes = vec![start(config()).await];
    for _ in 1..count {
        let next = start(beside(&[&nodes[0]])).await;
        nodes.push(next);
    }
    for node in &nodes {
        until_peers(node, 1).await;
    }
    nodes
}

pub(crate) async fn until_peers(node: &Node, count: usize) {
    until(&format!("{count} peers ({:?})", node.isolation_reason()), || {
        node.stats().active_peers >= count
    })
    .await;
}

/// Looks again and again, until the condition holds.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    let mut look = tokio::time::interval(Duration::from_millis(5));
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        look.tick().await;
    }
}

/// Waits for what has to come.
pub(crate) async fn within<F: Future>(limit: Duration, what: &str, future: F) -> F::Output {
    match tokio::time::timeout(limit, future).await {
        Ok(outcome) => outcome,
        Err(_) => panic!("not within {limit:?}: {what}"),
    }
}

pub(crate) async fn next(inbox: &mut Inbox) -> Received {
    within(DEADLINE, "a message", inbox.recv()).await.expect("the node runs")
}

/// The next event that `wanted` picks.
pub(crate) async fn event<T>(events: &mut Events, wanted: impl Fn(&NodeEvent) -> Option<T>) -> T {
    let found = async {
        loop {
            let event = events.recv().await.expect("the node runs");
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    };
    within(DEADLINE, "an event", found).await
}
