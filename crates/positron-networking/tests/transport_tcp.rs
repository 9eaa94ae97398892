//! Stories of TCP transports.

mod transport;

use bytes::Bytes;
use positron_networking::{
    CloseReason,
    transport::{
        Closed, ConnectError, Delivery, Expect, TcpConfig, TcpConnection, TcpTransport,
        TransportError, TransportSendError,
    },
};
use tokio::io::AsyncReadExt as _;
use transport::{in_time, until, unused_port};

const ORDERED: Delivery = Delivery::Ordered;

fn enough() -> CloseReason {
    CloseReason::Application { code: 7, reason: "enough".into() }
}

async fn start() -> TcpTransport {
    TcpTransport::start(TcpConfig::loopback()).await.unwrap()
}

async fn connected() -> (TcpTransport, TcpTransport, TcpConnection, TcpConnection) {
    let (alice, bob) = (start().await, start().await);
    let there = alice.connect(bob.local_addr(), Expect::Node(bob.id())).await.unwrap();
    let here = in_time(bob.accept()).await.unwrap();
    (alice, bob, there, here)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_to_an_address_arrives_in_order_and_is_answered() {
    let (alice, bob) = (start().await, start().await);
    let (mut at_alice, mut at_bob) = (alice.incoming(), bob.incoming());
    for n in 0..1_000_u32 {
        alice.send_reliable(bob.local_addr(), n.to_be_bytes().to_vec()).await.unwrap();
    }
    for n in 0..1_000_u32 {
        let message = in_time(at_bob.recv()).await.unwrap();
        assert_eq!((message.from, &message.data[..]), (alice.id(), &n.to_be_bytes()[..]));
        if n == 999 {
            message.connection.send(0, ORDERED, "all of it").await.unwrap();
        }
    }
    let answer = in_time(at_alice.recv()).await.unwrap();
    assert_eq!((answer.from, &answer.data[..]), (bob.id(), &b"all of it"[..]));
    let back = bob.send_unreliable(alice.stats().connections[0].address.unwrap(), "x").await;
    drop(back);
    assert_eq!(alice.stats().connections.len(), 1);
    in_time(alice.close()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_message_passes_and_one_byte_more_is_refused() {
    let (_alice, bob, connection, _here) = connected().await;
    let mut at_bob = bob.incoming();
    let largest = Bytes::from(vec![7; TcpTransport::MAX_MESSAGE]);
    let above = Bytes::from(vec![7; TcpTransport::MAX_MESSAGE + 1]);
    let limit = TcpTransport::MAX_MESSAGE;
    let refused = connection.send(0, ORDERED, above).await;
    assert_eq!(refused, Err(TransportSendError::TooLarge { len: limit + 1, limit }));
    assert_eq!(connection.try_send(16, ORDERED, "x"), Err(TransportSendError::NoSuchLane(16)));
    connection.send(0, ORDERED, largest.clone()).await.unwrap();
    assert_eq!(in_time(at_bob.recv()).await.unwrap().data, largest);
    connection.send(0, ORDERED, Bytes::new()).await.unwrap();
    assert!(in_time(at_bob.recv()).await.unwrap().data.is_empty());
    assert!(!connection.is_closed());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listens_and_nobody_is_called_so() {
    let alice = start().await;
    let nobody = unused_port();
    let refused = in_time(alice.connect(nobody, Expect::Anyone)).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Unreachable(_)), "{refused}");
    assert!(refused.to_string().contains("nobody listens"));
    let unresolved = in_time(alice.connect("nowhere.invalid:1", Expect::Anyone)).await;
    assert!(matches!(unresolved, Err(ConnectError::Unresolved { .. })));
    let unresolved = in_time(alice.send_reliable("nowhere.invalid:1", "x")).await;
    assert!(matches!(
        unresolved,
        Err(TransportSendError::NotConnected(ConnectError::Unresolved { .. }))
    ));
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
async fn a_node_that_was_met_before_is_dialled_by_its_key() {
    const XX: [u8; 4] = [0xBE, 1, 1, 2];
    const IK: [u8; 4] = [0xBE, 1, 1, 1];
    let (alice, bob, _there, _here) = connected().await;
    let carol = start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for (node, begin) in [(&bob, IK), (&carol, XX)] {
        let (alice, node) = (alice.clone(), node.id());
        let dialling =
            tokio::spawn(async move { alice.connect(address, Expect::Node(node)).await });
        let (mut stream, _) = in_time(listener.accept()).await.unwrap();
        let mut heard = [0; 4];
        in_time(stream.read_exact(&mut heard)).await.unwrap();
        assert_eq!(heard, begin);
        drop(stream);
        assert!(in_time(dialling).await.unwrap().is_err());
    }
}

/// On one thread: what is under way takes longer than a handshake.
#[tokio::test]
async fn a_node_whose_connection_is_being_closed_is_dialled_again_when_that_is_over() {
    let (alice, bob, connection, _other) = connected().await;
    let data = vec![7; TcpTransport::MAX_MESSAGE];
    let mut under_way = 0;
    while connection.try_send(0, ORDERED, data.clone()).is_ok() {
        under_way += 1;
    }
    let (why, again) = in_time(async {
        tokio::join!(
            connection.close(7, "enough"),
            alice.connect(bob.local_addr(), Expect::Node(bob.id()))
        )
    })
    .await;
    assert_eq!(why, Closed::ByUs(enough()));
    let again = again.unwrap();
    assert_ne!(again, connection);
    again.send(0, ORDERED, "again").await.unwrap();
    let mut at_bob = bob.incoming();
    for _ in 0..under_way {
        assert_eq!(in_time(at_bob.recv()).await.unwrap().data, data);
    }
    assert_eq!(in_time(at_bob.recv()).await.unwrap().data, "again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_does_not_take_holds_up_the_sender_and_nothing_is_lost() {
    let (_alice, bob, connection, _here) = connected().await;
    let mut sent = 0_u32;
    let mut data = vec![0; 64 * 1024];
    let mut full = 0;
    // Full now and then because of the path; full for good because of the receiver.
    while full < 50 {
        data[..4].copy_from_slice(&sent.to_be_bytes());
        match connection.try_send(0, ORDERED, data.clone()) {
            Ok(()) => (sent, full) = (sent + 1, 0),
            Err(TransportSendError::Full) => {
                full += 1;
                let _ = in_time(connection.flush()).await;
            }
            Err(other) => panic!("{other}"),
        }
        assert!(sent < 1_000, "the memory of the receiver is bounded");
    }
    let untaken = bob.stats().connections[0].untaken_bytes;
    assert!(untaken <= 4 << 20, "{untaken} bytes wait");
    let mut at_bob = bob.incoming();
    let sender = connection.clone();
    let more = tokio::spawn(async move {
        for n in sent..sent + 100 {
            data[..4].copy_from_slice(&n.to_be_bytes());
            sender.send(0, ORDERED, data.clone()).await.unwrap();
        }
    });
    for n in 0..sent + 100 {
        let message = in_time(at_bob.recv()).await.unwrap();
        assert_eq!(message.data[..4], n.to_be_bytes());
    }
    more.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_sends_what_waits_and_tells_the_other_end_why() {
    let (_alice, bob, connection, other) = connected().await;
    for n in 0..100_u8 {
        connection.send(0, ORDERED, vec![n; 10_000]).await.unwrap();
    }
    let why = in_time(connection.close(7, "enough")).await;
    assert_eq!(why, Closed::ByUs(enough()));
    assert_eq!(in_time(other.closed()).await, Closed::ByPeer(enough()));
    let mut at_bob = bob.incoming();
    for n in 0..100_u8 {
        assert_eq!(in_time(at_bob.recv()).await.unwrap().data[0], n);
    }
    let late = connection.send(0, ORDERED, "late").await;
    assert_eq!(late, Err(TransportSendError::Closed(Some(Closed::ByUs(enough())))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transport_that_is_closed_says_so_and_frees_its_port() {
    let (alice, bob, connection, other) = connected().await;
    let mut at_bob = bob.incoming();
    connection.send(0, ORDERED, "last words").await.unwrap();
    in_time(alice.close()).await;
    in_time(alice.close()).await;
    assert!(in_time(alice.accept()).await.is_none());
    assert!(in_time(alice.incoming().recv()).await.is_none());
    let after = alice.connect(bob.local_addr(), Expect::Anyone).await;
    assert_eq!(after.unwrap_err(), ConnectError::TransportClosed);
    assert_eq!(in_time(other.closed()).await, Closed::ByPeer(CloseReason::ShuttingDown));
    assert_eq!(&in_time(at_bob.recv()).await.unwrap().data[..], b"last words");
    let again = TcpTransport::bind(&alice.local_addr().to_string()).await;
    assert!(again.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transport_that_is_dropped_is_gone() {
    let (alice, bob, connection, other) = connected().await;
    let address = alice.local_addr();
    let again = TcpTransport::bind(&address.to_string()).await;
    assert!(matches!(again, Err(TransportError::Bind { .. })), "the port is in use");
    drop((alice, connection));
    in_time(other.closed()).await;
    until(|| bob.stats().connections.is_empty()).await;
    until(|| std::net::TcpListener::bind(address).is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_dial_each_other_at_once_have_one_connection() {
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
    until(|| alice.stats().connections.len() == 1 && bob.stats().connections.len() == 1).await;
}
