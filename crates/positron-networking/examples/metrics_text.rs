//! Shows the metrics of a node with a peer: `cargo run --example metrics_text [open]`.

use positron_networking::{
    NetworkConfig, Node,
    metrics::{MetricsFormat, PeerDetail},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let alice = Node::start(NetworkConfig::loopback()).await?;
    let bob = Node::start(NetworkConfig {
        bootstrap_nodes: vec![alice.listen_addresses()[0].to_string()],
        ..NetworkConfig::loopback()
    })
    .await?;
    let mut inbox = bob.subscribe();
    while alice.stats_now().await.active_peers == 0 {
        tokio::task::yield_now().await;
    }
    alice.broadcast(&"hello").await?;
    inbox.recv().await.ok_or("stopped")?;
    let format = match std::env::args().nth(1) {
        None => MetricsFormat::Text,
        Some(_) => MetricsFormat::OpenMetrics,
    };
    print!("{}", alice.metrics(format, PeerDetail::With));
    bob.shutdown().await?;
    alice.shutdown().await?;
    Ok(())
}
