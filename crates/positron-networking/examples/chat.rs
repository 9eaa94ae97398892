//! Rooms in which everybody hears those who speak there. Runs on this machine.

use positron_networking::{NetworkConfig, Node};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Line {
    room: String,
    text: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let alice = Node::start(NetworkConfig::loopback()).await?;
    let bob = Node::start(NetworkConfig::loopback()).await?;
    bob.join(&alice.listen_addresses()[0].to_string()).await?;

    let mut lines = bob.subscribe_as::<Line>();
    for (room, text) in [("garden", "rain"), ("kitchen", "soup"), ("kitchen", "is ready")] {
        alice.broadcast(&Line { room: room.into(), text: text.into() }).await?;
    }
    for _ in 0..3 {
        let (message, line) = lines.recv().await.ok_or("bob stopped")?;
        println!("#{} <{}> {}", line.room, message.sender.short(), line.text);
    }
    Ok(())
}
