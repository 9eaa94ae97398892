//! A file of 100 MB by a stream between two nodes, over a path that loses one of a hundred
//! datagrams each way.
//!
//! ```text
//! cargo run --release -p positron-networking --example file
//! ```

#[path = "../tests/lossy_path/relay.rs"]
mod relay;

use positron_networking::{NetworkConfig, Node, TransportPolicy};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = NetworkConfig { transport: TransportPolicy::Udp, ..NetworkConfig::loopback() };
    let (alice, bob) = (Node::start(config.clone()).await?, Node::start(config).await?);
    let path = relay::Relay::start(bob.listen_addresses()[0], 1).await;
    alice.join(&format!("{}@{}", bob.id(), path.address)).await?;

    let mut upload = alice.open_stream(bob.id()).await?;
    let sending = tokio::spawn(async move {
        let file: Vec<u8> = (0..100_000_000_u32).map(|at| (at % 251) as u8).collect();
        upload.write_all(&file).await?;
        upload.shutdown().await // returns when bob has everything
    });

    let mut download = bob.accept_stream().await.ok_or("bob stopped")?;
    let mut file = Vec::new();
    download.read_to_end(&mut file).await?;
    sending.await??;
    assert!(file.iter().zip(0_u32..).all(|(byte, at)| u32::from(*byte) == at % 251));
    println!("bob has {} bytes of {}; {}", file.len(), download.peer().short(), path.told());
    Ok(())
}
