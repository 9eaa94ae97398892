//! What is sent, and what must arrive.

use std::{
    future::Future,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use positron_networking::transport::{Delivery, Expect, UdpConfig, UdpConnection, UdpTransport};
use positron_proto::rng::Seed;
use tokio::io::AsyncWriteExt as _;

/// Bytes of a stream.
const STREAM: usize = 100_000_000;
/// Messages that are reliable and in order.
const MESSAGES: u32 = 100_000;
/// Without any progress for so long nothing will come any more, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn start(address: &str) -> UdpTransport {
    let address: SocketAddr = address.parse().unwrap();
    let (host, port) = (address.ip().to_string(), address.port());
    UdpTransport::start(UdpConfig { host, port, ..UdpConfig::loopback() }).await.unwrap()
}

/// The sender's part: a stream, then messages. What it has to tell.
pub(crate) async fn send(from: &UdpTransport, to: SocketAddr) -> String {
    let began = Instant::now();
    let connection = connect(from, to).await;
    let mut stream = connection.open_stream(8).unwrap();
    let content = Content::new();
    let mut written = 0;
    while written < STREAM {
        let piece = content.piece(written, STREAM);
        written += progress(stream.write(piece)).await.unwrap();
    }
    stream.finish().unwrap();
    flush(&connection).await;
    let after_stream = began.elapsed();
    for n in 0..MESSAGES {
        progress(connection.send(3, Delivery::Ordered, message(n))).await.unwrap();
    }
    flush(&connection).await;
    let after_all = began.elapsed();
    let path = connection.stats().unwrap().path.unwrap();
    progress(connection.close(0, "")).await;
    format!(
        "{} MB in {:.1} s, {} messages in {:.1} s, {} of {} packets lost, {} bytes each",
        STREAM / 1_000_000,
        after_stream.as_secs_f32(),
        MESSAGES,
        (after_all - after_stream).as_secs_f32(),
        path.lost,
        path.sent,
        path.datagram_size,
    )
}

/// The receiver's part: all of it, exact, in order, once, and nothing else.
pub(crate) async fn receive(at: &UdpTransport) {
    let connection = progress(at.accept()).await.unwrap();
    let mut incoming = at.incoming();
    let mut stream = progress(connection.accept_stream()).await.unwrap();
    let content = Content::new();
    let mut read = 0;
    while let Some(bytes) = progress(stream.recv(1 << 20)).await.unwrap() {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let expected = content.piece(read, STREAM);
            let len = expected.len().min(rest.len());
            assert!(len > 0 && rest[..len] == expected[..len], "the bytes from {read} on differ");
            (read, rest) = (read + len, &rest[len..]);
        }
    }
    assert_eq!(read, STREAM);
    for n in 0..MESSAGES {
        let heard = progress(incoming.recv()).await.unwrap();
        assert_eq!(heard.data, message(n));
    }
    progress(connection.closed()).await;
    at.close().await;
    assert!(incoming.recv().await.is_none(), "more than was sent");
}

/// The handshake of a server that is only starting is begun again.
async fn connect(from: &UdpTransport, to: SocketAddr) -> UdpConnection {
    progress(async {
        loop {
            if let Ok(connection) = from.connect(to, Expect::Anyone).await {
                return connection;
            }
        }
    })
    .await
}

/// Waits until all is acknowledged, as long as more and more of it is.
async fn flush(connection: &UdpConnection) {
    let queued = || connection.stats().map_or(0, |stats| stats.queued_bytes);
    loop {
        let before = queued();
        match tokio::time::timeout(PATIENCE, connection.flush()).await {
            Ok(outcome) => return outcome.unwrap(),
            Err(_) => assert!(queued() < before, "it goes on: {:?}", connection.stats()),
        }
    }
}

async fn progress<T>(step: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, step).await.expect("it goes on")
}

/// A message that differs from the others, of 20 to 211 bytes.
fn message(n: u32) -> Bytes {
    let mut data = vec![n.to_le_bytes()[0]; 20 + usize::try_from(n % 192).unwrap()];
    data[..4].copy_from_slice(&n.to_be_bytes());
    data.into()
}

/// Bytes that tell where they are from: noise that comes again after a prime number of bytes, which
/// no size of a datagram or window divides.
struct Content(Vec<u8>);

impl Content {
    fn new() -> Self {
        let mut noise = vec![0; 999_983];
        Seed::from_number(1).stream("content").fill(&mut noise);
        Self(noise)
    }

    /// Some of the bytes from `at` on, of `end` in all.
    fn piece(&self, at: usize, end: usize) -> &[u8] {
        let from = &self.0[at % self.0.len()..];
        &from[..from.len().min(end - at).min(PIECE)]
    }
}

/// Bytes that are written at once.
const PIECE: usize = 256 * 1024;
