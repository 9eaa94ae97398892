//! Stories of UDP transports under load: back-pressure, streams, and many connections.

mod transport;

use bytes::Bytes;
use positron_networking::{
    CloseReason,
    transport::{
        Closed, Delivery, Expect, TransportSendError, UdpConfig, UdpConnection, UdpTransport,
    },
};
use positron_proto::limits::{CONNECTION_WINDOW_FIRST, STREAM_UNSENT};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use transport::{in_time, until};

const ORDERED: Delivery = Delivery::Ordered;
const QUEUE: usize = 2 << 20;
const WINDOW: usize = 2 << 20;

async fn start() -> UdpTransport {
    let config = UdpConfig { queue_bytes: QUEUE, window_bytes: WINDOW, ..UdpConfig::loopback() };
    UdpTransport::start(config).await.unwrap()
}

async fn connected() -> (UdpTransport, UdpTransport, UdpConnection, UdpConnection) {
    let (alice, bob) = (start().await, start().await);
    let there = in_time(alice.connect(bob.local_addr(), Expect::Node(bob.id()))).await.unwrap();
    let here = in_time(bob.accept()).await.unwrap();
    (alice, bob, there, here)
}

/// Bytes that differ from place to place.
fn content(len: usize) -> Bytes {
    (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_does_not_take_holds_up_the_sender_and_nothing_is_lost() {
    const MESSAGE: usize = 64 * 1024;
    let (_alice, bob, connection, _here) = connected().await;
    let mut data = vec![0; MESSAGE];
    let mut sent = 0_u32;
    let mut send_until_full = |sent: &mut u32| loop {
        data[..4].copy_from_slice(&sent.to_be_bytes());
        match connection.try_send(0, ORDERED, data.clone()) {
            Ok(()) => *sent += 1,
            Err(TransportSendError::Full) => return,
            Err(other) => panic!("{other}"),
        }
    };
    // Full for good when the window of the receiver is full as well. It does not grow while nothing
    // is taken.
    until(|| {
        send_until_full(&mut sent);
        bob.stats().connections[0].untaken_bytes + 2 * MESSAGE > CONNECTION_WINDOW_FIRST
            && connection.stats().unwrap().queued_bytes + 2 * MESSAGE > QUEUE
    })
    .await;
    let held = usize::try_from(sent).unwrap() * MESSAGE;
    assert!(held <= QUEUE + CONNECTION_WINDOW_FIRST + MESSAGE, "{held} bytes");
    assert!(bob.stats().connections[0].untaken_bytes <= CONNECTION_WINDOW_FIRST + MESSAGE);

    let mut at_bob = bob.incoming();
    let sender = connection.clone();
    let more = tokio::spawn(async move {
        for n in sent..sent + 200 {
            let mut data = vec![0; MESSAGE];
            data[..4].copy_from_slice(&n.to_be_bytes());
            sender.send(0, ORDERED, data).await.unwrap();
        }
    });
    for n in 0..sent + 200 {
        let message = in_time(at_bob.recv()).await.unwrap();
        assert_eq!(message.data[..4], n.to_be_bytes());
    }
    more.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_ten_megabytes_arrives_whole() {
    let (_alice, _bob, connection, other) = connected().await;
    let sent = content(10 << 20);
    let (mut stream, data) = (connection.open_stream(3).unwrap(), sent.clone());
    let writing = tokio::spawn(async move {
        stream.write_all(&data).await.unwrap();
        stream.finish().unwrap();
        stream.finish().unwrap();
    });
    let mut stream = in_time(other.accept_stream()).await.unwrap();
    let mut received = Vec::new();
    in_time(stream.read_to_end(&mut received)).await.unwrap();
    assert!(received == sent, "the bytes differ");
    assert_eq!(stream.recv(10).await, Ok(None));
    in_time(writing).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_do_not_hold_up_one_another_and_closing_waits_for_their_bytes() {
    let (_alice, _bob, connection, other) = connected().await;
    // All of them fit into the first window together, which nobody has read anything of.
    let sent = content(10_000);
    for _ in 0..20 {
        let mut stream = connection.open_stream(5).unwrap();
        in_time(stream.write_all(&sent)).await.unwrap();
        stream.shutdown().await.unwrap();
    }
    let closing = tokio::spawn({
        let connection = connection.clone();
        async move { connection.close(0, "").await }
    });
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(in_time(other.accept_stream()).await.unwrap());
    }
    // The last one first.
    for mut stream in streams.into_iter().rev() {
        let mut received = Vec::new();
        in_time(stream.read_to_end(&mut received)).await.unwrap();
        assert!(received == sent, "the bytes differ");
    }
    assert_eq!(in_time(closing).await.unwrap(), Closed::ByUs(done()));
    assert_eq!(in_time(other.closed()).await, Closed::ByPeer(done()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_nobody_reads_holds_up_its_writer_and_one_that_is_refused_says_so() {
    let (_alice, _bob, connection, other) = connected().await;
    let mut stream = connection.open_stream(3).unwrap();
    let mut written = 0;
    let writing = tokio::spawn(async move {
        let piece = content(64 * 1024);
        loop {
            match stream.write(&piece).await {
                Ok(more) => written += more,
                Err(error) => return (written, error),
            }
        }
    });
    let unread = in_time(other.accept_stream()).await.unwrap();
    until(|| connection.stats().unwrap().queued_bytes >= STREAM_UNSENT).await;
    assert!(!writing.is_finished());
    drop(unread);
    let (written, error) = in_time(writing).await.unwrap();
    assert!(written <= STREAM_UNSENT + WINDOW + 64 * 1024, "{written}");
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    assert!(!connection.is_closed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_dropped_before_its_end_is_an_error_to_its_reader() {
    let (_alice, _bob, connection, other) = connected().await;
    let mut stream = connection.open_stream(3).unwrap();
    in_time(stream.write_all(b"half")).await.unwrap();
    let mut reading = in_time(other.accept_stream()).await.unwrap();
    assert_eq!(in_time(reading.recv(100)).await.unwrap().unwrap(), "half");
    drop(stream);
    let reset = TransportSendError::StreamReset { code: 0 };
    assert_eq!(in_time(reading.recv(100)).await, Err(reset));
}

#[tokio::test(flavor = "multi_thread")]
async fn urgent_messages_pass_a_flood_of_others() {
    let (_alice, bob, connection, _here) = connected().await;
    let mut at_bob = bob.incoming();
    let flood = connection.clone();
    let flooding =
        tokio::spawn(
            async move { while flood.send(15, ORDERED, content(60_000)).await.is_ok() {} },
        );
    for n in 0..20_u8 {
        in_time(connection.send(0, ORDERED, vec![n])).await.unwrap();
        in_time(async { while at_bob.recv().await.unwrap().lane != 0 {} }).await;
    }
    connection.reset(0, "");
    in_time(flooding).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_transports_connect_to_one() {
    const CLIENTS: usize = 1_000;
    let server = start().await;
    let mut at_server = server.incoming();
    let address = server.local_addr();
    let mut dialling = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        dialling.spawn(async move {
            let client = start().await;
            let connection = client.send_reliable(address, client.id().to_string()).await.unwrap();
            connection.flush().await.unwrap();
            connection
        });
    }
    let mut heard = std::collections::BTreeSet::new();
    while heard.len() < CLIENTS {
        let message = in_time(at_server.recv()).await.unwrap();
        assert_eq!(message.data, message.from.to_string());
        assert!(heard.insert(message.from), "a message came twice");
    }
    let connections = in_time(dialling.join_all()).await;
    assert_eq!(server.stats().connections.len(), CLIENTS);
    // All the clients leave at once, and say so.
    drop(connections);
    until(|| server.stats().connections.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_senders_and_a_single_receiver_lose_nothing() {
    let (_alice, bob, connection, _here) = connected().await;
    let mut at_bob = bob.incoming();
    let mut sending = tokio::task::JoinSet::new();
    for sender in 0..8_u8 {
        let connection = connection.clone();
        sending.spawn(async move {
            for n in 0..5_000_u32 {
                let mut data = vec![sender];
                data.extend(n.to_be_bytes());
                connection.send(sender, ORDERED, data).await.unwrap();
            }
        });
    }
    let mut next = [0_u32; 8];
    for _ in 0..8 * 5_000 {
        let data = in_time(at_bob.recv()).await.unwrap().data;
        let next = &mut next[usize::from(data[0])];
        assert_eq!(data[1..], next.to_be_bytes());
        *next += 1;
    }
    in_time(sending.join_all()).await;
}

/// What an application that says nothing says.
fn done() -> CloseReason {
    CloseReason::Application { code: 0, reason: String::new() }
}
