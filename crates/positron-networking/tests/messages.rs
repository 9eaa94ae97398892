//! Messages between nodes that run: everyone hears a broadcast, one hears a direct message, once.

mod common;

use std::{
    collections::BTreeSet,
    future::{Future as _, poll_fn},
    pin::pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::{Duration, SystemTime},
};

use common::{DEADLINE, beside, config, network, next, start, until, until_peers, within};
use positron_networking::{MessageKind, NetworkConfig, Node, Refused, SendError};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_exchange_a_broadcast_and_a_direct_message() {
    let nodes = network(2).await;
    let (alice, bob) = (&nodes[0], &nodes[1]);
    let (mut to_alice, mut to_bob) = (alice.subscribe(), bob.subscribe());

    let id = alice.broadcast(&json!({"message": "Hello, network!"})).await.unwrap();
    let heard = next(&mut to_bob).await;
    assert_eq!((heard.id, heard.sender, heard.from), (id, alice.id(), alice.id()));
    assert_eq!(heard.kind, MessageKind::Broadcast);
    assert_eq!(heard.decode::<Value>().unwrap(), json!({"message": "Hello, network!"}));
    let age = SystemTime::now().duration_since(heard.timestamp).unwrap();
    assert!(age < Duration::from_secs(30), "{age:?}");

    let id = bob.send_to_peer(alice.id(), &json!({"private": "message"})).await.unwrap();
    let heard = next(&mut to_alice).await;
    assert_eq!((heard.id, heard.sender, heard.kind), (id, bob.id(), MessageKind::Direct));
    assert_eq!(heard.decode::<Value>().unwrap()["private"], "message");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_nodes_hear_every_broadcast_of_every_other_once() {
    const EACH: usize = 20;
    let nodes = network(5).await;
    let mut inboxes: Vec<_> = nodes.iter().map(Node::subscribe).collect();
    let mut sent = BTreeSet::new();
    for n in 0..EACH {
        for node in &nodes {
            sent.insert(node.broadcast(&json!({"n": n})).await.unwrap());
        }
    }
    assert_eq!(sent.len(), EACH * nodes.len(), "equal texts are different messages");
    for (node, inbox) in nodes.iter().zip(&mut inboxes) {
        let mut heard = BTreeSet::new();
        for _ in 0..EACH * (nodes.len() - 1) {
            let message = next(inbox).await;
            assert_ne!(message.sender, node.id(), "a node does not hear itself");
            assert!(sent.contains(&message.id));
            assert!(heard.insert(message.id), "heard twice");
        }
    }
    for node in nodes {
        node.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_of_both_kinds_are_called_and_replaced_by_name() {
    let nodes = network(2).await;
    let (alice, bob) = (&nodes[0], &nodes[1]);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let note = |name: &'static str| {
        let heard = heard.clone();
        move |sender, data: Value| heard.lock().unwrap().push((name, sender, data))
    };
    bob.register_data_handler("a", note("replaced"));
    bob.register_data_handler("a", note("at once"));
    let later = note("later");
    bob.register_data_handler("b", move |sender, data: Value| {
        let (later, data) = (later.clone(), data);
        async move { later(sender, data) }
    });
    bob.register_data_handler("panics", |_, data| {
        assert!(data.is_null(), "a handler that panics harms nobody");
    });
    bob.register_data_handler("removed", note("removed"));
    assert!(bob.remove_handler("removed") && !bob.remove_handler("removed"));

    alice.broadcast_bytes(vec![0xc1].into()).await.unwrap(); // no MessagePack
    alice.broadcast(&json!({"n": 1})).await.unwrap();
    alice.send_to_peer(bob.id(), &json!({"n": 2})).await.unwrap();
    until("two handlers hear two messages", || heard.lock().unwrap().len() == 4).await;
    let mut heard = heard.lock().unwrap().clone();
    heard.sort_by_key(|(name, _, data)| (*name, data["n"].as_u64()));
    let said = |name, n: u8| (name, alice.id(), json!({"n": n}));
    assert_eq!(heard, [said("at once", 1), said("at once", 2), said("later", 1), said("later", 2)]);
    until("what is no data is counted", || bob.stats().application.undecodable == 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_whose_future_is_dropped_goes_on() {
    let nodes = network(2).await;
    let mut inbox = nodes[1].subscribe();
    {
        let mut broadcast = pin!(nodes[0].broadcast("still here"));
        poll_fn(|cx| {
            let _ = broadcast.as_mut().poll(cx);
            Poll::Ready(())
        })
        .await;
    }
    assert_eq!(next(&mut inbox).await.decode::<String>().unwrap(), "still here");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_subscriber_loses_the_oldest_messages_and_they_are_counted() {
    let alice = start(NetworkConfig { message_buffer_size: 4, ..config() }).await;
    let bob = start(beside(&[&alice])).await;
    until_peers(&bob, 1).await;
    let mut slow = alice.subscribe();
    for n in 0..10 {
        bob.broadcast(&n).await.unwrap();
    }
    until("ten messages arrive", || alice.stats().gossip.counters.delivered == 10).await;
    assert_eq!(slow.dropped(), 6);
    assert_eq!(alice.stats().application.messages_dropped, 6);
    for _ in 0..4 {
        next(&mut slow).await;
    }
    bob.broadcast("the node was never held up").await.unwrap();
    assert!(next(&mut slow).await.decode::<String>().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_is_slowed_down_to_what_can_be_checked_and_loses_nothing() {
    const SENDERS: usize = 20;
    const EACH: usize = 200;
    let nodes = network(2).await;
    let mut inbox = nodes[1].subscribe();
    for _ in 0..SENDERS {
        let alice = nodes[0].clone();
        tokio::spawn(async move {
            for _ in 0..EACH {
                alice.broadcast_bytes(vec![7; 256].into()).await.unwrap();
            }
        });
    }
    for _ in 0..SENDERS * EACH {
        next(&mut inbox).await;
    }
    let gossip = nodes[1].stats_now().await.gossip.counters;
    assert_eq!((gossip.verifications_deferred, gossip.forged, inbox.dropped()), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_is_refused_with_the_reason() {
    let nodes = network(2).await;
    let (alice, bob) = (&nodes[0], &nodes[1]);
    let too_large = vec![0; (1 << 20) + 1];
    let size = too_large.len();
    assert_eq!(
        alice.broadcast_bytes(too_large.into()).await,
        Err(SendError::Refused(Refused::TooLarge(size)))
    );
    assert_eq!(
        alice.send_to_peer(alice.id(), "me").await,
        Err(SendError::Refused(Refused::ToOurselves))
    );
    let nobody = positron_networking::NodeId::from_bytes([7; 32]);
    // Somebody else was asked first.
    let refused = alice.send_to_peer(nobody, "you").await;
    let Err(SendError::Refused(Refused::UnknownPeer { peer, asked })) = refused else {
        panic!("{refused:?}")
    };
    assert!(peer == nobody && asked > 0, "{asked} were asked");
    let mut inbox = bob.subscribe();
    let largest = vec![7; 1 << 20];
    alice.broadcast_bytes(largest.clone().into()).await.unwrap();
    assert_eq!(next(&mut inbox).await.payload, largest);
    alice.send_bytes_to_peer(bob.id(), largest.clone().into()).await.unwrap();
    assert_eq!(next(&mut inbox).await.payload, largest);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_told_something_answers_its_sender_and_nobody_else() {
    let nodes = network(3).await;
    let [alice, bob, carol] = &nodes[..] else { panic!("three") };
    let (mut to_alice, mut to_carol) = (alice.subscribe(), carol.subscribe());
    bob.on_message("greeter", async |message| {
        message.reply("from a handler").await.unwrap();
    });
    alice.send_to_peer(bob.id(), "hello").await.unwrap();
    let answer = next(&mut to_alice).await;
    assert_eq!((answer.sender, answer.kind), (bob.id(), MessageKind::Direct));
    assert_eq!(answer.decode::<String>().unwrap(), "from a handler");
    assert!(bob.remove_handler("greeter"));

    let mut to_bob = bob.subscribe();
    alice.broadcast("hello, all").await.unwrap();
    next(&mut to_bob).await.reply("from an inbox").await.unwrap();
    assert_eq!(next(&mut to_alice).await.decode::<String>().unwrap(), "from an inbox");
    assert_eq!(next(&mut to_carol).await.decode::<String>().unwrap(), "hello, all");
    carol.send_to_peer(alice.id(), "the last").await.unwrap();
    assert_eq!(next(&mut to_alice).await.decode::<String>().unwrap(), "the last");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_waits_for_its_answer_does_not_keep_its_node_running() {
    let mut nodes = network(2).await;
    let bob = nodes.pop().unwrap();
    let mut inbox = bob.subscribe();
    nodes[0].send_to_peer(bob.id(), "hello").await.unwrap();
    let message = next(&mut inbox).await;
    drop(bob);
    assert_eq!(inbox.recv().await, None);
    assert_eq!(message.reply("too late").await, Err(SendError::Stopped));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typed_subscription_skips_and_counts_what_is_of_another_type() {
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Block {
        height: u64,
    }
    let nodes = network(2).await;
    let (alice, bob) = (&nodes[0], &nodes[1]);
    let mut blocks = bob.subscribe_as::<Block>();
    for n in 0..1_000 {
        alice.broadcast_bytes(vec![0xc1].into()).await.unwrap(); // no MessagePack
        alice.broadcast(&n).await.unwrap();
    }
    alice.send_to_peer(bob.id(), &Block { height: 7 }).await.unwrap();
    let (message, block) = within(DEADLINE, "a block", blocks.recv()).await.unwrap();
    assert_eq!((message.sender, block), (alice.id(), Block { height: 7 }));
    nodes[0].shutdown().await.unwrap();
    bob.shutdown().await.unwrap();
    assert!(blocks.recv().await.is_none());
    assert_eq!((blocks.skipped(), bob.stats().application.undecodable), (2_000, 2_000));
}
