//! Two programs talk over TCP without a node, for where UDP does not get through. Runs on this
//! machine and ends by itself.
//!
//! ```text
//! cargo run --example tcp_transport
//! ```

use positron_networking::transport::{Delivery, Expect, TcpTransport};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let alice = TcpTransport::bind("127.0.0.1:0").await?;
    let bob = TcpTransport::bind("127.0.0.1:0").await?;
    println!("bob is {} at {}", bob.id().short(), bob.local_addr());

    // To whoever is at the address: the connection is made on the way.
    let mut at_bob = bob.incoming();
    alice.send_reliable(bob.local_addr(), "hello").await?;
    let hello = at_bob.recv().await.ok_or("closed")?;
    assert_eq!((&hello.data[..], hello.from), (&b"hello"[..], alice.id()));
    println!("bob heard {:?} from {}", hello.data, hello.from.short());

    // Answers go over the connection that the question came by.
    let mut at_alice = alice.incoming();
    hello.connection.send(0, Delivery::Ordered, "hello yourself").await?;
    let answer = at_alice.recv().await.ok_or("closed")?;
    assert_eq!(&answer.data[..], b"hello yourself");
    println!("alice heard {:?}", answer.data);

    // To bob and nobody else: it is the connection that is there already.
    let connection = alice.connect(bob.local_addr(), Expect::Node(bob.id())).await?;
    assert_eq!(connection, answer.connection);
    connection.send(0, Delivery::Ordered, vec![7; TcpTransport::MAX_MESSAGE]).await?;
    connection.flush().await?;
    let large = at_bob.recv().await.ok_or("closed")?;
    println!("bob heard {} bytes", large.data.len());

    println!("alice sees {}", serde_json::to_string(&alice.stats())?);
    alice.close().await;
    println!("bob: {}", hello.connection.closed().await);
    bob.close().await;
    Ok(())
}
