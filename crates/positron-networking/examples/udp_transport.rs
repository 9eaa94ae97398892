//! Two programs talk over UDP without a node: reliably, unreliably, and by a stream of 10 MB. Runs
//! on this machine and ends by itself.
//!
//! ```text
//! cargo run --example udp_transport
//! ```

use positron_networking::{
    CloseReason,
    transport::{Closed, Delivery, Expect, UdpTransport},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const FILE: usize = 10 << 20;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let alice = UdpTransport::bind("127.0.0.1:0").await?;
    let bob = UdpTransport::bind("127.0.0.1:0").await?;
    println!("bob is {} at {}", bob.id().short(), bob.local_addr());

    // Alice knows whom she wants: anybody else at that address is an error.
    let connection = alice.connect(bob.local_addr(), Expect::Node(bob.id())).await?;
    let from_alice = bob.accept().await.ok_or("closed")?;
    assert_eq!(from_alice.peer(), Some(alice.id()));

    // Reliable and in order within a lane; lane 0 is the most urgent of sixteen.
    let mut at_bob = bob.incoming();
    for n in 0..3 {
        connection.send(0, Delivery::Ordered, format!("message {n}")).await?;
    }
    for n in 0..3 {
        let message = at_bob.recv().await.ok_or("closed")?;
        assert_eq!(message.data, format!("message {n}"));
        println!("bob heard {:?} from {}", message.data, message.from.short());
    }

    // Fire and forget: it may be lost, and never holds anything up. Addressed to whoever is there.
    alice.send_unreliable(bob.local_addr(), "a position").await?;
    let position = at_bob.recv().await.ok_or("closed")?;
    println!("bob heard {:?} ({:?})", position.data, position.delivery);

    // What is larger than a message goes as a stream, beside the messages.
    let mut stream = connection.open_stream(8)?;
    let sending = tokio::spawn(async move {
        stream.write_all(&vec![7; FILE]).await?;
        stream.shutdown().await
    });
    let mut received = Vec::new();
    let mut stream = from_alice.accept_stream().await.ok_or("closed")?;
    stream.read_to_end(&mut received).await?;
    sending.await??;
    assert!(received.len() == FILE && received.iter().all(|byte| *byte == 7));
    println!("bob read a stream of {} bytes", received.len());

    let now = connection.stats().ok_or("closed")?;
    println!("alice sees {}", serde_json::to_string(&now)?);

    // Everything sent before is acknowledged before the connection ends, and the reason is told.
    let why = connection.close(7, "that was all").await;
    println!("alice: {why}");
    let all = CloseReason::Application { code: 7, reason: "that was all".into() };
    assert_eq!(from_alice.closed().await, Closed::ByPeer(all));
    alice.close().await;
    bob.close().await;
    assert!(bob.stats().connections.is_empty());
    Ok(())
}
