//! Nodes of another process that are linked to the one that is measured, so that its process has
//! the numbers of one node alone.

use std::{
    error::Error,
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Command, Stdio},
    time::Duration,
};

use positron_networking::{NetworkConfig, Node};
use tokio::time::{interval, timeout};

/// Longest wait for nodes to find another.
const DEADLINE: Duration = Duration::from_secs(60);

/// They, until this is dropped.
pub(crate) struct Linked(Child);

impl Linked {
    /// Returns when all of them are linked.
    pub(crate) fn start(count: usize, to: &str) -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["linked", &count.to_string(), to])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let told = child.stdout.take().map(BufReader::new);
        let linked = Self(child);
        let mut line = String::new();
        told.ok_or("a pipe")?.read_line(&mut line)?;
        if line.trim() == "linked" { Ok(linked) } else { Err("they are not linked".into()) }
    }
}

impl Drop for Linked {
    fn drop(&mut self) {
        // It ends when its input does.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// The other process: nodes that know one other node, and have no room for each other.
pub(crate) async fn be_linked(count: usize, to: &str) -> Result<(), Box<dyn Error>> {
    let mut nodes = Vec::new();
    for _ in 0..count {
        let config = NetworkConfig {
            bootstrap_nodes: vec![to.to_owned()],
            max_peers: 1,
            min_peers: 1,
            ..NetworkConfig::loopback()
        };
        nodes.push(Node::start(config).await?);
    }
    let mut look = interval(Duration::from_millis(10));
    timeout(DEADLINE, async {
        while nodes.iter().any(|node| node.stats().active_peers < 1) {
            look.tick().await;
        }
    })
    .await?;
    println!("linked");
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}
