//! A server that keeps a count for each connection, takes messages in batches, and sends clients
//! away with a reason of its own.

use std::collections::HashMap;

use positron_networking::transport::{Delivery, Expect, UdpTransport};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = UdpTransport::bind("127.0.0.1:0").await?;
    let client = UdpTransport::bind("127.0.0.1:0").await?;
    let at_client = client.connect(server.local_addr(), Expect::Node(server.id())).await?;
    for n in 0..100 {
        at_client.send(0, Delivery::Ordered, vec![n]).await?;
    }
    let (mut counts, mut messages) = (HashMap::new(), Vec::new());
    let mut incoming = server.incoming();
    while counts.values().map(|(_, count)| count).sum::<usize>() < 100 {
        incoming.recv_many(&mut messages, 32).await;
        for it in messages.drain(..) {
            counts.entry(it.connection.id()).or_insert((it.connection, 0)).1 += 1;
        }
    }
    for (id, (connection, count)) in counts {
        println!("connection {id} said {count} messages");
        connection.close(7, "that is enough").await;
    }
    println!("client: {}", at_client.closed().await);
    Ok(())
}
