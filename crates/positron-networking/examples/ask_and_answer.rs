//! One node asks another one for a block, and for one that it has not. Runs on this machine.

use std::time::Duration;

use positron_networking::{NetworkConfig, Node, Request};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let miner = Node::start(NetworkConfig::loopback()).await?;
    miner.on_request(async |request: Request<u64>| match request.data {
        height @ ..=7 => Ok(format!("the block at {height}")),
        height => Err(format!("no block at {height} yet")),
    });

    let reader = Node::start(NetworkConfig::loopback()).await?;
    let peer = reader.join(&miner.listen_addresses()[0].to_string()).await?;
    for height in [7_u64, 8] {
        match reader.request::<_, String>(peer, &height, Duration::from_secs(5)).await {
            Ok(block) => println!("the miner has {block}"),
            Err(error) => println!("nothing at {height}: {error}"),
        }
    }
    Ok(())
}
