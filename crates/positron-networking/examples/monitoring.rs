//! What a node tells about itself: events as they happen, and its numbers. Five nodes find each
//! other from one address, talk, and one of them leaves. Runs on this machine and ends by itself.
//!
//! ```text
//! cargo run --example monitoring
//! ```

use positron_networking::{NetworkConfig, Node, NodeEvent};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let first = Node::start(NetworkConfig::loopback()).await?;
    println!("alone, because {}", first.isolation_reason().unwrap_or_default());

    let mut events = first.events();
    let config = NetworkConfig {
        bootstrap_nodes: vec![first.listen_addresses()[0].to_string()],
        ..NetworkConfig::loopback()
    };
    let mut others = Vec::new();
    for _ in 0..4 {
        others.push(Node::start(config.clone()).await?);
    }
    let mut joined = 0;
    while joined < others.len() {
        let event = events.recv().await.ok_or("the node stopped")?;
        println!("event: {event}");
        joined += usize::from(matches!(event, NodeEvent::PeerJoined { .. }));
    }

    // Every message is acknowledged by its receiver before the numbers are looked at.
    for other in &others {
        first.send_to_peer(other.id(), &json!({"ping": 1})).await?;
        other.send_to_peer(first.id(), &json!({"pong": 1})).await?;
    }

    let leaving = others.pop().ok_or("nobody is there")?;
    let id = leaving.id();
    leaving.shutdown().await?;
    loop {
        // As JSON, for programs.
        let event = events.recv().await.ok_or("the node stopped")?;
        println!("event: {}", serde_json::to_string(&event)?);
        if matches!(event, NodeEvent::PeerLeft { peer, .. } if peer == id) {
            break;
        }
    }

    let stats = first.stats_now().await;
    println!("{} peers, {} known", stats.active_peers, stats.known_peers);
    for peer in &stats.peers {
        let rtt = peer.rtt_ms.map_or_else(|| "?".into(), |rtt| format!("{rtt:.2}"));
        println!("{} rtt {rtt} ms, trust {:.2}", peer.node_id.short(), peer.trust_score);
    }
    for peer in first.trusted_peers(0.5).await {
        println!("trusted: {} ({:.2})", peer.node_id.short(), peer.trust_score);
    }
    println!("{}", serde_json::to_string_pretty(&stats)?);

    for node in others {
        node.shutdown().await?;
    }
    first.shutdown().await?;
    Ok(())
}
