//! One program for UDP and for TCP: it starts either, and asks a connection who is there.

use positron_networking::transport::{Delivery, Expect, Protocol, Tcp, Transport, Udp};

async fn meet<P: Protocol>() -> Result<(), Box<dyn std::error::Error>> {
    let alice = Transport::<P>::bind("127.0.0.1:0").await?;
    let bob = Transport::<P>::bind("127.0.0.1:0").await?;
    let to_bob = alice.connect(bob.local_addr(), Expect::Node(bob.id())).await?;
    to_bob.send(0, Delivery::Ordered, "hello").await?;

    let from_alice = bob.accept().await.ok_or("closed")?;
    let hello = from_alice.receive().await?;
    assert_eq!(from_alice.peer(), Some(alice.id()));
    println!("{:?} from {} over {}", hello.data, hello.from.short(), std::any::type_name::<P>());
    Ok(()) // what nobody holds any more closes by itself
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    meet::<Udp>().await?;
    meet::<Tcp>().await
}
