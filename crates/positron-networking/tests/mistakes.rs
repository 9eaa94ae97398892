//! What an application does wrong harms itself at the most, and is told.

mod common;

use std::{
    future::{Future, pending, poll_fn},
    pin::pin,
    sync::{Arc, Mutex, mpsc},
    task::{Context, Poll, Waker},
    time::Duration,
};

use common::{DEADLINE, address, beside, config, network, next, start, until, until_peers, within};
use positron_networking::{
    NetworkConfig, Node, NodeEvent, Request, ShutdownError, StartError, Unanswered,
};

/// Begins something, and leaves it.
async fn begin<T>(what: impl Future<Output = T>) {
    let mut what = pin!(what);
    poll_fn(|cx| Poll::Ready(what.as_mut().poll(cx).is_ready())).await;
}

#[test]
fn a_node_that_is_started_outside_of_a_runtime_says_what_it_needs() {
    let mut starting = pin!(Node::start(config()));
    let polled = starting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(Err(error @ StartError::NoRuntime)) = polled else { panic!("{polled:?}") };
    assert!(error.to_string().contains("tokio runtime"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_handler_that_blocks_its_thread_holds_up_nobody_else() {
    let nodes = network(2).await;
    let (alice, bob) = (&nodes[0], &nodes[1]);
    let mut inbox = bob.subscribe();
    let (release, blocked) = mpsc::channel::<()>();
    let blocked = Mutex::new(blocked);
    bob.on_message("blocks", move |_| {
        let _ = blocked.lock().unwrap().recv();
    });
    let mut events = alice.events();
    for n in 0..100 {
        alice.broadcast(&n).await.unwrap();
        assert_eq!(next(&mut inbox).await.decode::<i32>().unwrap(), n);
    }
    assert_eq!(alice.send_to_peer(bob.id(), "still there").await.map(drop), Ok(()));
    let left = async {
        while let Some(event) = events.recv().await {
            assert!(!matches!(event, NodeEvent::PeerLeft { .. }), "{event}");
        }
    };
    begin(left).await;
    drop(release);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_panics_is_called_with_the_next_message_and_has_failed_as_an_answer() {
    let nodes = network(2).await;
    let (alice, bob) = (&nodes[0], &nodes[1]);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let notes = heard.clone();
    bob.on_message("panics", move |message| {
        let n: u64 = message.decode().unwrap();
        assert!(n != 1, "a panic of the application");
        notes.lock().unwrap().push(n);
    });
    bob.on_request(async |request: Request<u64>| {
        assert!(request.data != 1, "a panic of the application");
        Ok::<_, String>(request.data)
    });
    for n in 0..3_u64 {
        alice.send_to_peer(bob.id(), &n).await.unwrap();
        let answer: Result<u64, _> = alice.request(bob.id(), &n, DEADLINE).await;
        let panicked = Unanswered::Failed("its handler panicked".into());
        assert_eq!(answer, if n == 1 { Err(panicked.into()) } else { Ok(n) });
    }
    until("the others are heard", || *heard.lock().unwrap() == [0, 2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_awaits_for_ever_loses_its_own_messages_and_is_ended_with_its_node() {
    let bob = start(NetworkConfig { message_buffer_size: 4, ..config() }).await;
    let alice = start(beside(&[&bob])).await;
    until_peers(&alice, 1).await;
    let held = Arc::new(());
    let (holds, weak) = (held.clone(), Arc::downgrade(&held));
    drop(held);
    bob.on_message("waits", move |_| {
        let held = holds.clone();
        async move {
            pending::<()>().await;
            drop(held);
        }
    });
    let mut inbox = bob.subscribe();
    for n in 0..10 {
        alice.broadcast(&n).await.unwrap();
        next(&mut inbox).await;
    }
    // One is with it and four wait.
    until("all others are dropped", || bob.stats().application.messages_dropped >= 5).await;
    assert_eq!(bob.shutdown().await, Err(ShutdownError::TimedOut));
    until("what it held is dropped", || weak.strong_count() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_never_reads_loses_the_oldest_and_holds_up_nobody() {
    let alice = start(NetworkConfig { message_buffer_size: 4, ..config() }).await;
    let bob = start(beside(&[&alice])).await;
    until_peers(&bob, 1).await;
    let (unread, mut read) = (alice.subscribe(), alice.subscribe());
    for n in 0..100 {
        bob.send_to_peer(alice.id(), &n).await.unwrap();
        assert_eq!(next(&mut read).await.decode::<i32>().unwrap(), n);
    }
    assert_eq!((unread.dropped(), read.dropped()), (96, 0));
    assert_eq!(alice.shutdown().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn futures_that_are_dropped_half_way_leave_a_node_that_works() {
    let nodes = network(2).await;
    let (alice, bob) = (&nodes[0], &nodes[1]);
    bob.on_request(async |request: Request<u64>| Ok::<_, String>(request.data));
    let mut inbox = bob.subscribe();
    for n in 0..200_u64 {
        begin(alice.broadcast(&n)).await;
        begin(alice.send_to_peer(bob.id(), &n)).await;
        begin(alice.request::<_, u64>(bob.id(), &n, Duration::from_secs(60))).await;
        begin(alice.join(&address(bob))).await;
        begin(alice.history()).await;
        begin(inbox.recv()).await;
    }
    let answer: Result<u64, _> = alice.request(bob.id(), &7_u64, DEADLINE).await;
    assert_eq!(answer, Ok(7));
    assert_eq!(within(DEADLINE, "bob", alice.join(&address(bob))).await, Ok(bob.id()));
    let id = alice.broadcast("the last").await.unwrap();
    while next(&mut inbox).await.id != id {}
    begin(alice.shutdown()).await;
    assert_eq!(alice.shutdown().await, Ok(()));
    assert_eq!(bob.shutdown().await, Ok(()));
}
