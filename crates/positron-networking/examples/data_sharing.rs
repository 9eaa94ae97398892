//! Typed data between three nodes: one announces blocks to everyone, the others ask it for a body
//! and get an answer, for their eyes only. Runs on this machine and ends by itself.
//!
//! ```text
//! cargo run --example data_sharing
//! ```

use positron_networking::{Inbox, MessageKind, NetworkConfig, Node, NodeId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// What the nodes of this example say to each other.
#[derive(Debug, Serialize, Deserialize)]
enum Say {
    /// There is a new block.
    Announce { height: u64 },
    /// Its body is wanted.
    Ask { height: u64 },
    /// Here it is.
    Body { height: u64, transactions: Vec<String> },
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let miner = Node::start(NetworkConfig::loopback()).await?;
    let config = NetworkConfig {
        bootstrap_nodes: vec![miner.listen_addresses()[0].to_string()],
        ..NetworkConfig::loopback()
    };
    let readers = [Node::start(config.clone()).await?, Node::start(config).await?];
    let mut to_miner = miner.subscribe();
    let mut to_readers: Vec<Inbox> = readers.iter().map(Node::subscribe).collect();

    // A handler sees the same messages as every inbox does.
    readers[0].register_data_handler("log", |sender: NodeId, data| {
        println!("log of reader 0: {} said {data}", sender.short());
    });

    miner.broadcast(&Say::Announce { height: 7 }).await?;
    for (reader, inbox) in readers.iter().zip(&mut to_readers) {
        let (sender, said) = hear::<Say>(inbox, MessageKind::Broadcast).await?;
        let Say::Announce { height } = said else { return Err("no announcement".into()) };
        // Returns when the miner has it, not when it was sent.
        reader.send_to_peer(sender, &Say::Ask { height }).await?;
    }
    for _ in &readers {
        let (asker, said) = hear::<Say>(&mut to_miner, MessageKind::Direct).await?;
        let Say::Ask { height } = said else { return Err("no question".into()) };
        let transactions = vec!["a pays b".to_owned(), "b pays c".to_owned()];
        miner.send_to_peer(asker, &Say::Body { height, transactions }).await?;
    }
    for (n, inbox) in to_readers.iter_mut().enumerate() {
        let (_, said) = hear::<Say>(inbox, MessageKind::Direct).await?;
        println!("reader {n} has {said:?}");
    }

    for node in readers {
        node.shutdown().await?;
    }
    miner.shutdown().await?;
    Ok(())
}

/// The next message of one kind, and who said it.
async fn hear<T: DeserializeOwned>(
    inbox: &mut Inbox,
    kind: MessageKind,
) -> Result<(NodeId, T), Box<dyn std::error::Error>> {
    loop {
        let message = inbox.recv().await.ok_or("the node stopped")?;
        if message.kind == kind {
            return Ok((message.sender, message.decode()?));
        }
    }
}
