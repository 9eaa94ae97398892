//! A node in a process of its own, told by lines on its input, telling by lines on its output.

use std::{
    io::{BufRead as _, Write as _, stdin, stdout},
    path::PathBuf,
    thread,
    time::Duration,
};

use positron_networking::{DurableInbox, NetworkConfig, Node, NodeId};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::payload;
use crate::{
    commands::on_runtime,
    failure::{Exit, Failure},
    service::not_started,
};

/// Its durable subscription: what it heard of survives a kill until it told.
const SUBSCRIPTION: &str = "soak";
/// How often it tells how it is.
const BEAT: Duration = Duration::from_secs(1);

/// What a member is told.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// Broadcast the thing with this number, of so many bytes.
    Say { number: u64, bytes: usize },
    /// Stop, and end.
    Stop,
}

/// What a member tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Told {
    /// It runs.
    Started { id: NodeId, port: u16 },
    /// The broadcast is on disk.
    Took(u64),
    /// The broadcast was refused or given up.
    Refused { number: u64, why: String },
    /// The broadcast of somebody else came.
    Heard(u64),
    /// What came is nothing that anybody said.
    Damaged,
    /// So many messages were forgotten before they were handed over.
    Missed(u64),
    /// How it is.
    Status { peers: usize, alone: Option<String>, resident: Option<u64> },
    /// It could not start.
    Failed(String),
}

/// Where a member lives and whom it knows.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct MemberOptions {
    #[arg(long)]
    data_dir: PathBuf,
    #[arg(long)]
    network: String,
    #[arg(long)]
    port: u16,
    #[arg(long)]
    bootstrap: Vec<String>,
}

impl MemberOptions {
    /// Runs until it is told to stop, or nobody is there to tell.
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let config = NetworkConfig {
            network: self.network,
            port: self.port,
            bootstrap_nodes: self.bootstrap,
            data_dir: Some(self.data_dir),
            ..NetworkConfig::loopback()
        };
        on_runtime(async {
            let node = match Node::builder(config).durable(SUBSCRIPTION).start().await {
                Ok(node) => node,
                Err(error) => {
                    tell(&Told::Failed(error.to_string()));
                    return Err(not_started(&error));
                }
            };
            let port = node.listen_addresses().first().map_or(0, std::net::SocketAddr::port);
            tell(&Told::Started { id: node.id(), port });
            let inbox = node.durable(SUBSCRIPTION).await.map_err(|error| {
                Failure::new(Exit::Storage, "there is no durable subscription").because(error)
            })?;
            let hearing = tokio::spawn(hear(inbox));
            obey(&node).await;
            let stopped = node.shutdown().await;
            // It ends with the node.
            let _ = hearing.await;
            stopped.map_err(|error| Failure::new(Exit::Storage, "not stopped well").because(error))
        })?;
        Ok(Exit::Ok)
    }
}

/// Does what it is told, and tells how it is in between.
async fn obey(node: &Node) {
    let mut orders = orders();
    let mut beat = tokio::time::interval(BEAT);
    let mut sending = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Say { number, bytes }) => {
                    let node = node.clone();
                    sending.spawn(async move {
                        tell(&match node.broadcast_bytes(payload::of(number, bytes)).await {
                            Ok(_) => Told::Took(number),
                            Err(error) => Told::Refused { number, why: error.to_string() },
                        });
                    });
                }
                Some(Order::Stop) | None => break,
            },
            Some(_) = sending.join_next() => {}
            _ = beat.tick() => {
                let stats = node.stats();
                let (peers, alone) = (stats.active_peers, stats.isolation_reason);
                tell(&Told::Status { peers, alone, resident: resident() });
            }
        }
    }
    // What waits for the disk is answered when the node stops, and so lets go of it.
    sending.abort_all();
    while sending.join_next().await.is_some() {}
}

/// Tells of each message before it acknowledges it: whoever dies in between tells again.
async fn hear(mut inbox: DurableInbox) {
    while let Some(heard) = inbox.recv().await {
        if heard.missed > 0 {
            tell(&Told::Missed(heard.missed));
        }
        tell(&payload::number_of(&heard.message.payload).map_or(Told::Damaged, Told::Heard));
        // One that is not noted is told again after a restart.
        let _ = inbox.acknowledge(&heard).await;
    }
}

/// Lines of the input; the end of the input is the end of the orders.
fn orders() -> mpsc::UnboundedReceiver<Order> {
    let (order, orders) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for line in stdin().lock().lines().map_while(Result::ok) {
            let parsed = serde_json::from_str(&line);
            if parsed.is_err() || parsed.is_ok_and(|parsed| order.send(parsed).is_err()) {
                return;
            }
        }
    });
    orders
}

fn tell(told: &Told) {
    let line = serde_json::to_string(told).unwrap_or_default();
    // Nobody listens any more: then the input ends too.
    let _ = writeln!(stdout().lock(), "{line}");
}

/// Bytes of this process in memory, where the system tells it (Linux).
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}
