//! Who holds a node, and how it ends: asked to from wherever, as often as one likes, or let go.

mod common;

use std::{future::Future as _, pin::pin, task::Poll};

use common::{DEADLINE, Mortal, beside, config, event, network, start, until, until_peers, within};
use positron_networking::{
    CloseReason, DownReason, Events, Node, NodeEvent, NodeId, SendError, ShutdownError,
};
use tokio::sync::mpsc;

/// Why `peer` left, as its peer tells.
async fn farewell(events: &mut Events, peer: NodeId) -> DownReason {
    event(events, |event| match event {
        NodeEvent::PeerLeft { peer: left, reason } if *left == peer => Some(reason.clone()),
        _ => None,
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_shuts_a_node_down_at_once_waits_for_one_end_and_hears_the_same() {
    let nodes = network(2).await;
    let (port, id) = (nodes[1].listen_addresses()[0].port(), nodes[1].id());
    let mut events = nodes[0].events();
    let mut ends = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let node = nodes[1].clone();
        ends.spawn(async move { node.shutdown().await });
    }
    let ends = within(DEADLINE, "all of them", ends.join_all()).await;
    assert!(ends.iter().all(Result::is_ok), "{ends:?}");
    std::net::UdpSocket::bind(("127.0.0.1", port)).expect("the port is free");
    assert_eq!(farewell(&mut events, id).await, DownReason::ByPeer(CloseReason::ShuttingDown));
    assert_eq!(nodes[1].shutdown().await, Ok(()), "and again later");
    assert_eq!(nodes[1].broadcast("too late").await, Err(SendError::Stopped));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_ends_with_its_last_handle_and_says_goodbye_whoever_still_listens() {
    let folder = tempfile::tempdir().unwrap();
    let alice = start(config()).await;
    let mut events = alice.events();
    let data_dir = Some(folder.path().join("bob"));
    let config = positron_networking::NetworkConfig { data_dir, ..beside(&[&alice]) };
    let bob = Node::builder(config).durable("ledger").start().await.unwrap();
    until_peers(&alice, 1).await;
    let (id, clone) = (bob.id(), bob.clone());
    let (mut inbox, mut ledger) = (bob.subscribe(), bob.durable("ledger").await.unwrap());

    drop(bob);
    clone.broadcast("a handle is left").await.unwrap();
    drop(clone);
    assert_eq!(farewell(&mut events, id).await, DownReason::ByPeer(CloseReason::ShuttingDown));
    assert_eq!(within(DEADLINE, "the end", inbox.recv()).await, None);
    assert_eq!(within(DEADLINE, "the end", ledger.recv()).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_shuts_its_own_node_down_and_goes_on_after_it() {
    let nodes = network(2).await;
    let (alice, bob) = (nodes[0].clone(), nodes[1].clone());
    let (tell, mut told) = mpsc::unbounded_channel();
    let dying = bob.clone();
    bob.register_data_handler("ends", move |_, _| {
        let (node, tell) = (dying.clone(), tell.clone());
        async move {
            let end = node.shutdown().await;
            tell.send(end).unwrap();
        }
    });
    alice.send_to_peer(bob.id(), "stop it").await.unwrap();
    // Who waited for the handler, which waits for the end, would be out of time.
    assert_eq!(within(DEADLINE, "the handler", told.recv()).await, Some(Ok(())));
    assert_eq!(bob.shutdown().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_handlers_see_what_came_before_the_end_although_one_asked_for_it() {
    let nodes = network(2).await;
    let (alice, bob) = (nodes[0].clone(), nodes[1].clone());
    let (tell, mut told) = mpsc::unbounded_channel();
    let dying = bob.clone();
    bob.register_data_handler("ends", move |_, data| {
        let node = dying.clone();
        async move {
            if data == "stop it" {
                node.shutdown().await.unwrap();
            }
        }
    });
    bob.register_data_handler("notes", move |_, data| {
        let tell = tell.clone();
        async move {
            tokio::task::yield_now().await;
            tell.send(data).unwrap();
        }
    });
    for n in 0..50 {
        alice.broadcast(&n).await.unwrap();
    }
    until("they arrive", || bob.stats().gossip.counters.delivered == 50).await;
    alice.send_to_peer(bob.id(), "stop it").await.unwrap();
    for n in 0..50 {
        assert_eq!(within(DEADLINE, "a note", told.recv()).await, Some(n.into()));
    }
    assert_eq!(within(DEADLINE, "the last", told.recv()).await, Some("stop it".into()));
    assert_eq!(bob.shutdown().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_that_nobody_waits_for_goes_on() {
    let nodes = network(2).await;
    let mut events = nodes[0].events();
    {
        let mut shutdown = pin!(nodes[1].shutdown());
        std::future::poll_fn(|cx| Poll::Ready(shutdown.as_mut().poll(cx).is_ready())).await;
    }
    let farewell = farewell(&mut events, nodes[1].id()).await;
    assert_eq!(farewell, DownReason::ByPeer(CloseReason::ShuttingDown));
    assert_eq!(nodes[1].shutdown().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shuts_down_a_node_whose_runtime_has_ended_is_told() {
    let mortal = Mortal::start(config()).await;
    let node = mortal.node.clone();
    mortal.die();
    let end = within(DEADLINE, "the answer", node.shutdown()).await;
    assert_eq!(end, Err(ShutdownError::RuntimeEnded));
}
