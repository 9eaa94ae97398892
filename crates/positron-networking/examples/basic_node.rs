//! A node that says hello, and another one that hears it. Runs on this machine and ends by itself.
//!
//! ```text
//! cargo run --example basic_node
//! ```

use positron_networking::{NetworkConfig, Node};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A first node. On a server, give it a `port` and a `data_dir`.
    let alice = Node::start(NetworkConfig::loopback()).await?;
    let address = alice.listen_addresses()[0].to_string();
    println!("alice is {} at {address}", alice.id().short());

    // A second one, which begins with the first.
    let config = NetworkConfig { bootstrap_nodes: vec![address], ..NetworkConfig::loopback() };
    let bob = Node::start(config).await?;
    println!("bob   is {}", bob.id().short());

    // Subscribe before anything is said: an inbox hears what comes from now on.
    let mut inbox = bob.subscribe();
    let id = alice.broadcast(&json!({"message": "Hello, network!"})).await?;
    println!("alice said message {}", id.short());

    let hello = inbox.recv().await.ok_or("bob stopped")?;
    println!("bob heard {} from {}", hello.decode::<Value>()?["message"], hello.sender.short());

    // Peers are told goodbye.
    bob.shutdown().await?;
    alice.shutdown().await?;
    Ok(())
}
