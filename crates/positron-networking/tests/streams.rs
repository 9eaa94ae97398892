//! Streams between nodes over real sockets: exact, in turn, and over when an end is.

mod common;
#[path = "lossy_path/relay.rs"]
mod relay;

use std::{future::Future as _, sync::Arc, time::Duration};

use common::{Mortal, address, config, start, until_peers};
use positron_networking::{
    NetworkConfig, Node, NodeStream, StreamError, SubstreamEnd, TransportPolicy,
};
use relay::Relay;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinSet,
    time::timeout,
};

/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

async fn pair(config: NetworkConfig) -> (Node, Node) {
    let (alice, bob) = (start(config.clone()).await, start(config).await);
    alice.join(&address(&bob)).await.unwrap();
    until_peers(&bob, 1).await;
    (alice, bob)
}

/// Bytes that tell where they stand.
fn text(len: usize) -> Vec<u8> {
    (0..len).map(|at| ((at >> 8) * 31 + at).to_le_bytes()[0]).collect()
}

/// Says everything back that it is told, up to the end.
async fn echo(stream: NodeStream) {
    let (mut writer, mut reader) = stream.split();
    while let Some(bytes) = reader.read_bytes().await.unwrap() {
        writer.write_all(&bytes).await.unwrap();
    }
    writer.finish().await.unwrap();
}

/// Tells `bytes` and hears them again.
async fn shout(alice: &Node, bob: &Node, bytes: Vec<u8>) {
    let stream = alice.open_stream(bob.id()).await.unwrap();
    let (mut writer, mut reader) = stream.split();
    let said = bytes.clone();
    let writing = tokio::spawn(async move {
        writer.write_all(&said).await.unwrap();
        writer.finish().await.unwrap();
    });
    let mut heard = Vec::new();
    reader.read_to_end(&mut heard).await.unwrap();
    assert!(heard == bytes, "{} of {} bytes", heard.len(), bytes.len());
    writing.await.unwrap();
}

fn echo_everything(bob: Arc<Node>) {
    tokio::spawn(async move {
        while let Some(stream) = bob.accept_stream().await {
            tokio::spawn(echo(stream));
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_larger_than_any_message_arrives_whole_and_in_order_over_udp_and_over_tcp() {
    for transport in [TransportPolicy::Udp, TransportPolicy::Tcp] {
        let (alice, bob) = pair(NetworkConfig { transport, ..config() }).await;
        let bob = Arc::new(bob);
        echo_everything(Arc::clone(&bob));
        timeout(PATIENCE, shout(&alice, &bob, text(20_000_000))).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_exact_although_one_of_twenty_datagrams_is_lost() {
    for (percent, len) in [(0, 5_000_000), (1, 5_000_000), (5, 1_000_000)] {
        let udp = NetworkConfig { transport: TransportPolicy::Udp, ..config() };
        let (alice, bob) = (start(udp.clone()).await, Arc::new(start(udp).await));
        let relay = Relay::start(bob.listen_addresses()[0], percent).await;
        alice.join(&relay.address.to_string()).await.unwrap();
        echo_everything(Arc::clone(&bob));
        timeout(PATIENCE, shout(&alice, &bob, text(len))).await.unwrap();
        println!("{percent} % loss: {}", relay.told());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_streams_are_open_at_once() {
    let (alice, bob) = pair(config()).await;
    let bob = Arc::new(bob);
    echo_everything(Arc::clone(&bob));
    let mut open = Vec::new();
    for _ in 0..1_000 {
        open.push(alice.open_stream(bob.id()).await.unwrap());
    }
    let mut all = JoinSet::new();
    for (number, mut stream) in open.into_iter().enumerate() {
        all.spawn(async move {
            let said = format!("stream {number}").repeat(100);
            stream.write_all(said.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut heard = String::new();
            stream.read_to_string(&mut heard).await.unwrap();
            assert_eq!(heard, said);
        });
    }
    timeout(PATIENCE, all.join_all()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_holds_up_its_own_stream_and_nothing_else() {
    let (alice, bob) = pair(config()).await;
    let mut slow = alice.open_stream(bob.id()).await.unwrap();
    let unread = bob.accept_stream().await.unwrap();
    let stuck = tokio::spawn(async move { slow.write_all(&text(40_000_000)).await });
    let bob = Arc::new(bob);
    echo_everything(Arc::clone(&bob));
    timeout(PATIENCE, shout(&alice, &bob, text(10_000_000))).await.unwrap();
    let mut inbox = bob.subscribe();
    alice.send_to_peer(bob.id(), "nothing else").await.unwrap();
    assert_eq!(inbox.recv().await.unwrap().decode::<String>().unwrap(), "nothing else");
    assert!(!stuck.is_finished(), "40 MB are more than is ever granted");
    drop(unread);
    let error = timeout(PATIENCE, stuck).await.unwrap().unwrap().unwrap_err();
    assert_eq!(ended(&error), StreamError::Ended(SubstreamEnd::Application(0)));
}

fn ended(error: &std::io::Error) -> StreamError {
    *error.get_ref().unwrap().downcast_ref::<StreamError>().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_death_of_either_node_ends_its_streams_at_the_other() {
    for dies in [0, 1] {
        let (alice, bob) = (Mortal::start(config()).await, Mortal::start(config()).await);
        alice.node.join(&address(&bob.node)).await.unwrap();
        let mut asked = alice.node.open_stream(bob.node.id()).await.unwrap();
        let mut answers = bob.node.accept_stream().await.unwrap();
        let mut nodes = vec![alice, bob];
        nodes.remove(dies).die();
        let (left, gone) =
            if dies == 0 { (&mut answers, &mut asked) } else { (&mut asked, &mut answers) };
        let error = timeout(PATIENCE, gone.read_u8()).await.unwrap().unwrap_err();
        assert_eq!(ended(&error), StreamError::NodeStopped);
        let error = timeout(PATIENCE, left.read_u8()).await.unwrap().unwrap_err();
        assert_eq!(ended(&error), StreamError::Ended(SubstreamEnd::SessionEnded));
        let error = left.write_all(b"anybody?").await.unwrap_err();
        assert_eq!(ended(&error), StreamError::Ended(SubstreamEnd::SessionEnded));
        nodes.into_iter().for_each(Mortal::die);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shuts_down_ends_its_streams_at_the_other() {
    let (alice, bob) = pair(config()).await;
    let mut asked = alice.open_stream(bob.id()).await.unwrap();
    let _answers = bob.accept_stream().await.unwrap();
    bob.shutdown().await.unwrap();
    let error = timeout(PATIENCE, asked.read_u8()).await.unwrap().unwrap_err();
    assert_eq!(ended(&error), StreamError::Ended(SubstreamEnd::SessionEnded));
    assert!(bob.accept_stream().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_is_dropped_looks_whole_only_if_it_was_finished_over_udp_and_over_tcp() {
    for transport in [TransportPolicy::Udp, TransportPolicy::Tcp] {
        let (alice, bob) = pair(NetworkConfig { transport, ..config() }).await;
        for code in [None, Some(7)] {
            let (mut half, _) = alice.open_stream(bob.id()).await.unwrap().split();
            half.write_all(b"half of it").await.unwrap();
            let mut reader = bob.accept_stream().await.unwrap();
            let mut beginning = [0; 10];
            reader.read_exact(&mut beginning).await.unwrap();
            match code {
                Some(code) => half.reset(code),
                None => drop(half),
            }
            for _ in 0..3 {
                let error = timeout(PATIENCE, reader.read_u8()).await.unwrap().unwrap_err();
                let why = SubstreamEnd::Application(code.unwrap_or(0));
                assert_eq!(ended(&error), StreamError::Ended(why));
            }
        }
        for is_awaited in [true, false] {
            let whole = alice.open_stream(bob.id()).await.unwrap();
            let (mut writer, _reader) = whole.split();
            writer.write_all(&text(10_000)).await.unwrap();
            if is_awaited {
                writer.shutdown().await.unwrap();
            } else {
                // It goes on when it was begun.
                let mut begun = std::pin::pin!(writer.shutdown());
                let poll =
                    std::future::poll_fn(|cx| std::task::Poll::Ready(begun.as_mut().poll(cx)));
                assert!(poll.await.is_pending());
            }
            drop(writer);
            let mut bytes = Vec::new();
            bob.accept_stream().await.unwrap().read_to_end(&mut bytes).await.unwrap();
            assert!(bytes == text(10_000), "{} bytes", bytes.len());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_nobody_takes_are_reset_beyond_a_bound_however_they_end() {
    let (alice, bob) = pair(config()).await;
    for _ in 0..2_000 {
        // Over before the next one begins, so that there are never many.
        let (writer, reader) = alice.open_stream(bob.id()).await.unwrap().split();
        writer.reset(1);
        reader.stop(1);
    }
    let mut last = alice.open_stream(bob.id()).await.unwrap();
    let error = timeout(PATIENCE, last.read_u8()).await.unwrap().unwrap_err();
    assert_eq!(ended(&error), StreamError::Ended(SubstreamEnd::Application(0)));
    // Whoever takes them gets what there is, and later ones again.
    let mut over = bob.accept_stream().await.unwrap();
    assert!(over.read_u8().await.is_err());
    let mut next = alice.open_stream(bob.id()).await.unwrap();
    next.write_all(b"still there?").await.unwrap();
    let mut text = [0; 12];
    while timeout(PATIENCE, bob.accept_stream())
        .await
        .unwrap()
        .unwrap()
        .read_exact(&mut text)
        .await
        .is_err()
    {}
    assert_eq!(&text, b"still there?");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_to_nobody_is_an_error_that_says_so() {
    let alice = start(config()).await;
    let bob = start(config()).await;
    let nobody = alice.open_stream(bob.id()).await.unwrap_err();
    assert!(nobody.to_string().contains("nor found in the hash table"), "{nobody}");
    let itself = alice.open_stream(alice.id()).await.unwrap_err();
    assert!(itself.to_string().contains("itself"), "{itself}");
}
