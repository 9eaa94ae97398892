//! Stories of UDP transports: messages, limits, and what goes wrong.

mod transport;

use std::{
    net::{SocketAddr, UdpSocket},
    time::Duration,
};

use bytes::Bytes;
use positron_networking::{
    CloseReason,
    transport::{
        Closed, CongestionAlgorithm, ConnectError, Delivery, Expect, TransportError,
        TransportSendError, UdpConfig, UdpConnection, UdpTransport,
    },
};
use positron_proto::wire::packet::{Flags, Header, PacketType};
use tokio::{io::AsyncWriteExt as _, sync::mpsc};
use transport::{in_time, until, unused_port};

const ORDERED: Delivery = Delivery::Ordered;
/// Messages of 10,000 bytes that the first window holds: they arrive although nobody takes them.
const FIT: u8 = 25;

fn enough() -> CloseReason {
    CloseReason::Application { code: 7, reason: "enough".into() }
}

async fn start() -> UdpTransport {
    UdpTransport::start(UdpConfig::loopback()).await.unwrap()
}

async fn connected() -> (UdpTransport, UdpTransport, UdpConnection, UdpConnection) {
    let (alice, bob) = (start().await, start().await);
    let there = in_time(alice.connect(bob.local_addr(), Expect::Node(bob.id()))).await.unwrap();
    let here = in_time(bob.accept()).await.unwrap();
    (alice, bob, there, here)
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ends_know_whom_they_talk_to() {
    let (alice, bob, there, here) = connected().await;
    assert_eq!((there.peer(), here.peer()), (Some(bob.id()), Some(alice.id())));
    assert_eq!((there.address(), here.address()), (bob.local_addr(), alice.local_addr()));
    assert_eq!(there.stats().unwrap().node_id, Some(bob.id()));
}

#[tokio::test]
async fn small_writes_to_a_stream_share_datagrams() {
    const WRITES: usize = 5_000;
    const OPENING: usize = 4 << 20;
    let (alice, _bob, there, here) = connected().await;
    let mut stream = there.open_stream(0).unwrap();
    let writing = tokio::spawn(async move {
        // Until the window is open: nothing else holds small writes back.
        stream.write_all(&[7; OPENING]).await.unwrap();
        in_time(there.flush()).await.unwrap();
        let before = alice.stats().counters.datagrams_sent;
        for _ in 0..WRITES {
            stream.write_all(&[7; 260]).await.unwrap();
        }
        stream.shutdown().await.unwrap();
        in_time(there.flush()).await.unwrap();
        alice.stats().counters.datagrams_sent - before
    });
    let mut stream = in_time(here.accept_stream()).await.unwrap();
    let mut arrived = 0;
    while let Some(piece) = in_time(stream.recv(1 << 20)).await.unwrap() {
        arrived += piece.len();
    }
    assert_eq!(arrived, OPENING + WRITES * 260);
    let datagrams = writing.await.unwrap();
    assert!(datagrams < 5_000 / 3, "{datagrams} datagrams for {WRITES} writes");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_to_an_address_connects_on_the_way_arrives_in_order_and_is_answered() {
    let (alice, bob) = (start().await, start().await);
    let (mut at_alice, mut at_bob) = (alice.incoming(), bob.incoming());
    for n in 0..10_000_u32 {
        let data = n.to_be_bytes().to_vec();
        in_time(alice.send_reliable(bob.local_addr(), data)).await.unwrap();
    }
    for n in 0..10_000_u32 {
        let message = in_time(at_bob.recv()).await.unwrap();
        assert_eq!((message.from, &message.data[..]), (alice.id(), &n.to_be_bytes()[..]));
        assert_eq!((message.addr, message.delivery), (alice.local_addr(), ORDERED));
    }
    // To the address that it came from: over the connection that there is.
    let answering = in_time(bob.send_reliable(alice.local_addr(), "all of it")).await.unwrap();
    let answer = in_time(at_alice.recv()).await.unwrap();
    assert_eq!((answer.from, &answer.data[..]), (bob.id(), &b"all of it"[..]));
    in_time(answering.flush()).await.unwrap();
    assert_eq!((alice.stats().connections.len(), bob.stats().connections.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn unreliable_messages_arrive_on_a_path_that_loses_nothing() {
    let (alice, bob) = (start().await, start().await);
    let mut at_bob = bob.incoming();
    in_time(alice.send_unreliable(bob.local_addr(), "catch")).await.unwrap();
    let message = in_time(at_bob.recv()).await.unwrap();
    assert_eq!((&message.data[..], message.delivery), (&b"catch"[..], Delivery::Unreliable));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_message_passes_and_one_byte_more_is_refused() {
    let (_alice, bob, connection, _here) = connected().await;
    let mut at_bob = bob.incoming();
    let limit = UdpTransport::MAX_MESSAGE;
    let (largest, above) = (Bytes::from(vec![7; limit]), Bytes::from(vec![7; limit + 1]));
    for delivery in [ORDERED, Delivery::Unordered] {
        let refused = connection.send(0, delivery, above.clone()).await;
        assert_eq!(refused, Err(TransportSendError::TooLarge { len: limit + 1, limit }));
        in_time(connection.send(0, delivery, largest.clone())).await.unwrap();
        assert_eq!(in_time(at_bob.recv()).await.unwrap().data, largest);
    }
    assert_eq!(connection.try_send(16, ORDERED, "x"), Err(TransportSendError::NoSuchLane(16)));
    assert_eq!(connection.open_stream(16).unwrap_err(), TransportSendError::NoSuchLane(16));
    in_time(connection.send(15, ORDERED, Bytes::new())).await.unwrap();
    assert!(in_time(at_bob.recv()).await.unwrap().data.is_empty());
    assert!(!connection.is_closed());
    let to_nobody = in_time(bob.send_reliable(unused_port(), above)).await;
    assert!(matches!(to_nobody, Err(TransportSendError::TooLarge { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_answers_the_handshake_times_out_and_the_queue_is_told() {
    let alice = start().await;
    // A socket that never answers.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let queued = in_time(alice.send_reliable(address, "is anybody there?")).await.unwrap();
    assert_eq!(queued.peer(), None);
    let refused = in_time(alice.connect(address, Expect::Anyone)).await.unwrap_err();
    assert_eq!(refused, ConnectError::Failed(Closed::NoAnswer));
    assert_eq!(in_time(queued.flush()).await, Err(Closed::NoAnswer));
    assert!(alice.stats().connections.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_way_a_connect_ends_with_the_word_of_the_operating_system() {
    let alice = start().await;
    // A socket of loopback reaches nothing else, whatever the routes of this machine are.
    let refused = in_time(alice.connect("192.0.2.1:9", Expect::Anyone)).await.unwrap_err();
    assert_eq!(refused, ConnectError::Failed(Closed::NoWay));
    assert!(alice.stats().connections.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connect_that_is_given_up_leaves_nothing() {
    let alice = start().await;
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let patience = Duration::from_millis(20);
    let connecting = alice.connect(address, Expect::Anyone);
    assert!(tokio::time::timeout(patience, connecting).await.is_err());
    until(|| alice.stats().connections.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_lead_nowhere_are_errors() {
    let alice = start().await;
    let unresolved = in_time(alice.connect("nowhere.invalid:1", Expect::Anyone)).await;
    let Err(ConnectError::Unresolved { name, .. }) = unresolved else { panic!("it resolved") };
    assert!(name.contains("nowhere.invalid"));
    let unresolved = in_time(alice.send_reliable("nowhere.invalid:1", "x")).await;
    assert!(matches!(
        unresolved,
        Err(TransportSendError::NotConnected(ConnectError::Unresolved { .. }))
    ));
    let other_family = in_time(alice.connect("[::1]:9", Expect::Anyone)).await;
    assert!(matches!(other_family, Err(ConnectError::Unresolved { .. })));
    let no_port = in_time(alice.connect("127.0.0.1:0", Expect::Anyone)).await;
    assert!(matches!(no_port, Err(ConnectError::NotDialled(_))));
    let itself = in_time(alice.connect(alice.local_addr(), Expect::Anyone)).await;
    assert_eq!(itself.unwrap_err(), ConnectError::Failed(Closed::Ourselves));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_node_than_expected_is_an_error_that_names_it() {
    let (alice, bob) = (start().await, start().await);
    let wrong = in_time(alice.connect(bob.local_addr(), Expect::Node(alice.id()))).await;
    assert_eq!(wrong.unwrap_err(), ConnectError::Failed(Closed::WrongNode { found: bob.id() }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_met_before_is_dialled_in_one_round_trip() {
    let (alice, bob) = (start().await, start().await);
    let (between, mut seen) = relay(bob.local_addr()).await;
    let mut handshake = async |expect| {
        let connection = in_time(alice.connect(between, expect)).await.unwrap();
        connection.send(0, ORDERED, "hello").await.unwrap();
        in_time(connection.flush()).await.unwrap();
        in_time(connection.close(0, "")).await;
        let mut types = Vec::new();
        seen.recv_many(&mut types, usize::MAX).await;
        types
    };
    // Who alice is follows in a third message.
    let strangers = handshake(Expect::Node(bob.id())).await;
    assert!(strangers.contains(&PacketType::Ack), "{strangers:?}");
    let known = handshake(Expect::Node(bob.id())).await;
    assert!(known.contains(&PacketType::SynAck), "{known:?}");
    assert!(!known.contains(&PacketType::Ack), "{known:?}");
    // There is no key of whoever may be there.
    let anyone = handshake(Expect::Anyone).await;
    assert!(anyone.contains(&PacketType::Ack), "{anyone:?}");
}

/// Passes datagrams on between somebody and `to`, and tells which handshake messages they are.
async fn relay(to: SocketAddr) -> (SocketAddr, mpsc::UnboundedReceiver<PacketType>) {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let (seen, seeing) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let (mut somebody, mut datagram) = (None, vec![0; 1 << 16]);
        loop {
            let (len, from) = socket.recv_from(&mut datagram).await.unwrap();
            if from != to {
                somebody = Some(from);
            }
            let (header, _) = Header::decode(&datagram[..len]).unwrap();
            if !header.flags.contains(Flags::ENCRYPTED) {
                seen.send(header.kind).unwrap();
            }
            let onward = if from == to { somebody.unwrap() } else { to };
            socket.send_to(&datagram[..len], onward).await.unwrap();
        }
    });
    (address, seeing)
}

#[tokio::test(flavor = "multi_thread")]
async fn transports_of_two_networks_refuse_each_other() {
    let (alice, other) = (start().await, {
        let config = UdpConfig { network: "another".into(), ..UdpConfig::loopback() };
        UdpTransport::start(config).await.unwrap()
    });
    let refused = in_time(alice.connect(other.local_addr(), Expect::Anyone)).await;
    assert!(matches!(refused, Err(ConnectError::Failed(_))), "{refused:?}");
}

#[tokio::test]
async fn settings_and_addresses_that_cannot_be_are_errors() {
    let start = |config| UdpTransport::start(config);
    let host = UdpConfig { host: "localhost".into(), ..UdpConfig::loopback() };
    assert!(matches!(start(host).await, Err(TransportError::BadHost(_))));
    assert!(matches!(UdpTransport::bind("127.0.0.1").await, Err(TransportError::BadHost(_))));
    let queue = UdpConfig { queue_bytes: 1_000, ..UdpConfig::loopback() };
    let Err(error) = start(queue).await else { panic!("it started") };
    assert!(error.to_string().starts_with("`queue_bytes` must"));
    for max_datagram in [1_199, 16_385] {
        let config = UdpConfig { max_datagram, ..UdpConfig::loopback() };
        let Err(error) = start(config).await else { panic!("it started") };
        assert!(error.to_string().starts_with("`max_datagram` must"), "{error}");
    }
    let first = start(UdpConfig::loopback()).await.unwrap();
    let second = UdpTransport::bind(&first.local_addr().to_string()).await;
    let Err(error) = second else { panic!("it started") };
    assert!(matches!(error, TransportError::Bind { .. }));
    assert!(error.to_string().contains("in use"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_grow_to_the_largest_that_is_allowed_under_each_congestion_control() {
    for congestion in CongestionAlgorithm::ALL {
        let config = || UdpConfig { congestion, max_datagram: 1_400, ..UdpConfig::loopback() };
        let alice = UdpTransport::start(config()).await.unwrap();
        let bob = UdpTransport::start(config()).await.unwrap();
        let to_bob = in_time(alice.connect(bob.local_addr(), Expect::Node(bob.id()))).await;
        let (to_bob, mut incoming) = (to_bob.unwrap(), bob.incoming());
        let size = || to_bob.stats().unwrap().path.unwrap().datagram_size;
        in_time(async {
            while size() < 1_400 {
                to_bob.send(0, ORDERED, vec![7; 100_000]).await.unwrap();
                assert_eq!(incoming.recv().await.unwrap().data.len(), 100_000, "{congestion}");
            }
        })
        .await;
        to_bob.send(0, ORDERED, vec![7; 1_000_000]).await.unwrap();
        assert_eq!(in_time(incoming.recv()).await.unwrap().data.len(), 1_000_000, "{congestion}");
        assert_eq!(size(), 1_400);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_dial_each_other_at_once_both_get_through() {
    let (alice, bob) = (start().await, start().await);
    let (a, b) = (alice.clone(), bob.clone());
    let (there, back) = in_time(async {
        tokio::join!(
            a.connect(bob.local_addr(), Expect::Node(bob.id())),
            b.connect(alice.local_addr(), Expect::Node(alice.id()))
        )
    })
    .await;
    let (there, back) = (there.unwrap(), back.unwrap());
    let (mut at_alice, mut at_bob) = (alice.incoming(), bob.incoming());
    there.send(0, ORDERED, "to bob").await.unwrap();
    back.send(0, ORDERED, "to alice").await.unwrap();
    assert_eq!(in_time(at_bob.recv()).await.unwrap().data, "to bob");
    assert_eq!(in_time(at_alice.recv()).await.unwrap().data, "to alice");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_readers_share_what_arrives() {
    let (_alice, bob, connection, _here) = connected().await;
    let (mut first, mut second) = (bob.incoming(), bob.incoming());
    for n in 0..200_u8 {
        connection.send(0, ORDERED, vec![n]).await.unwrap();
    }
    let mut heard = Vec::new();
    while heard.len() < 200 {
        let message = in_time(async {
            tokio::select! { one = first.recv() => one, other = second.recv() => other }
        });
        heard.push(message.await.unwrap().data[0]);
    }
    assert_eq!(heard, (0..200).collect::<Vec<u8>>());
    // What a reader that leaves was woken for goes to the other.
    drop(first);
    connection.send(0, ORDERED, "more").await.unwrap();
    assert_eq!(in_time(second.recv()).await.unwrap().data, "more");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_other_end_closes_is_over_and_says_why() {
    let (alice, bob, connection, other) = connected().await;
    let mut at_bob = bob.incoming();
    for n in 0..FIT {
        connection.send(0, ORDERED, vec![n; 10_000]).await.unwrap();
    }
    let why = in_time(connection.close(7, "enough")).await;
    assert_eq!(why, Closed::ByUs(enough()));
    assert_eq!(in_time(other.closed()).await, Closed::ByPeer(enough()));
    for n in 0..FIT {
        assert_eq!(in_time(at_bob.recv()).await.unwrap().data[0], n);
    }
    let late = connection.send(0, ORDERED, "late").await;
    assert_eq!(late, Err(TransportSendError::Closed(Some(Closed::ByUs(enough())))));
    assert!(in_time(other.accept_stream()).await.is_none());
    assert!(connection.stats().is_none() && other.stats().is_none());
    // The transports go on: what is sent next makes a new connection.
    in_time(alice.send_reliable(bob.local_addr(), "again")).await.unwrap();
    assert_eq!(in_time(at_bob.recv()).await.unwrap().data, "again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_tells_the_other_end_at_once() {
    let (_alice, _bob, connection, other) = connected().await;
    connection.reset(7, "enough");
    assert_eq!(in_time(connection.closed()).await, Closed::ByUs(enough()));
    assert_eq!(in_time(other.closed()).await, Closed::ByPeer(enough()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transport_that_is_closed_says_so_flushes_and_frees_its_port() {
    let (alice, bob, connection, other) = connected().await;
    let mut at_bob = bob.incoming();
    for n in 0..FIT {
        connection.send(0, ORDERED, vec![n; 10_000]).await.unwrap();
    }
    in_time(alice.close()).await;
    in_time(alice.close()).await;
    assert!(in_time(alice.accept()).await.is_none());
    assert!(in_time(alice.incoming().recv()).await.is_none());
    let after = alice.connect(bob.local_addr(), Expect::Anyone).await;
    assert_eq!(after.unwrap_err(), ConnectError::TransportClosed);
    let after = alice.try_send_reliable(bob.local_addr(), "late").unwrap_err();
    assert_eq!(after, TransportSendError::NotConnected(ConnectError::TransportClosed));
    assert_eq!(in_time(other.closed()).await, Closed::ByPeer(CloseReason::ShuttingDown));
    for n in 0..FIT {
        assert_eq!(in_time(at_bob.recv()).await.unwrap().data[0], n);
    }
    // Handles are still held, and yet the port is free.
    UdpTransport::bind(&alice.local_addr().to_string()).await.unwrap();
    assert!(connection.is_closed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transport_that_is_dropped_is_gone_and_the_others_are_told() {
    let (alice, bob, connection, other) = connected().await;
    let address = alice.local_addr();
    let incoming = alice.incoming();
    drop(alice);
    assert!(UdpSocket::bind(address).is_err(), "handles keep it alive");
    drop((connection, incoming));
    let let_go = CloseReason::Application { code: 0, reason: String::new() };
    assert_eq!(in_time(other.closed()).await, Closed::ByPeer(let_go));
    until(|| bob.stats().connections.is_empty()).await;
    until(|| UdpSocket::bind(address).is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_transport_that_is_closed_hears_of_it() {
    let alice = start().await;
    let waiting = alice.clone();
    let accepting = tokio::spawn(async move { waiting.accept().await.is_none() });
    let mut incoming = alice.incoming();
    let receiving = tokio::spawn(async move { incoming.recv().await.is_none() });
    in_time(alice.close()).await;
    assert!(in_time(accepting).await.unwrap() && in_time(receiving).await.unwrap());
}

#[test]
fn a_runtime_that_ends_ends_its_transports() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (alice, _bob, connection, _here) = runtime.block_on(connected());
    runtime.shutdown_timeout(Duration::from_secs(20));
    assert!(connection.is_closed());
    assert!(connection.try_send(0, ORDERED, "late").is_err());
    drop(alice);
}
