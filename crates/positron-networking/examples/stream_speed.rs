//! How fast a stream between nodes is beside a stream of the bare transport: both over UDP on this
//! machine, one after the other in turn, the median of each and their ratio.
//!
//! ```text
//! cargo run --release -p positron-networking --example stream_speed -- 7 512
//! ```
//!
//! takes 7 rounds of 512 MiB.

use std::time::{Duration, Instant};

use positron_networking::{
    NetworkConfig, Node, TransportPolicy,
    transport::{Expect, UdpTransport},
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Until a reader has all of `bytes` bytes that a writer wrote.
async fn time(
    mut writer: impl AsyncWrite + Send + Unpin + 'static,
    mut reader: impl AsyncRead + Unpin,
    bytes: usize,
) -> Duration {
    let began = Instant::now();
    let writing = tokio::spawn(async move {
        let chunk = vec![7; 64 * 1024];
        for _ in 0..bytes / chunk.len() {
            writer.write_all(&chunk).await.unwrap();
        }
        writer.shutdown().await.unwrap();
    });
    let mut buffer = vec![0; 64 * 1024];
    let mut read = 0;
    while read < bytes {
        let more = reader.read(&mut buffer).await.unwrap();
        assert!(more > 0, "the stream ended after {read} bytes");
        read += more;
    }
    let took = began.elapsed();
    writing.await.unwrap();
    took
}

async fn bare(bytes: usize) -> Duration {
    let alice = UdpTransport::bind("127.0.0.1:0").await.unwrap();
    let bob = UdpTransport::bind("127.0.0.1:0").await.unwrap();
    let connection = alice.connect(bob.local_addr(), Expect::Anyone).await.unwrap();
    let accepted = bob.accept().await.unwrap();
    let mut writer = connection.open_stream(8).unwrap();
    writer.write_all(&[7]).await.unwrap();
    let mut reader = accepted.accept_stream().await.unwrap();
    reader.read_u8().await.unwrap();
    time(writer, reader, bytes).await
}

async fn between_nodes(bytes: usize) -> Duration {
    let config = || NetworkConfig { transport: TransportPolicy::Udp, ..NetworkConfig::loopback() };
    let alice = Node::start(config()).await.unwrap();
    let bob = Node::start(config()).await.unwrap();
    alice.join(&bob.listen_addresses()[0].to_string()).await.unwrap();
    let writer = alice.open_stream(bob.id()).await.unwrap();
    let reader = bob.accept_stream().await.unwrap();
    time(writer, reader, bytes).await
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1).map(|given| given.parse().expect("a number"));
    let (rounds, mib) = (arguments.next().unwrap_or(3), arguments.next().unwrap_or(64));
    let (mut of_transport, mut of_nodes) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        of_transport.push(bare(mib << 20).await);
        of_nodes.push(between_nodes(mib << 20).await);
    }
    let speed = |times| mib as f64 / median(times);
    let (bare, nodes) = (speed(of_transport), speed(of_nodes));
    println!("bare transport {bare:.0} MiB/s, between nodes {nodes:.0} MiB/s, {:.2}", nodes / bare);
}
