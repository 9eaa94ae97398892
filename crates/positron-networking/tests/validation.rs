//! The application says which broadcasts are valid.

mod common;

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use common::{beside, config, event, start, until_peers};
use positron_networking::{BanReason, Node, NodeEvent, Observation, Received, Validity};

/// Even numbers are valid, odd ones are of no use, and words are a lie.
async fn judge(message: Received) -> Validity {
    match message.decode::<u64>() {
        Ok(number) if number.is_multiple_of(2) => Validity::Accept,
        Ok(_) => Validity::Ignore,
        Err(_) => Validity::Reject,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_application_accepts_is_handed_over_and_passed_on() {
    let bob = Node::builder(config()).validator(judge).start().await.unwrap();
    let builder = Node::builder(beside(&[&bob])).validator(judge);
    let mut to_carol = builder.subscribe();
    let carol = builder.start().await.unwrap();
    until_peers(&carol, 1).await;
    let alice = start(beside(&[&bob])).await;
    let mut to_bob = bob.subscribe();
    until_peers(&bob, 2).await;
    for number in 0..40_u64 {
        alice.broadcast(&number).await.unwrap();
    }
    for inbox in [&mut to_bob, &mut to_carol] {
        let mut heard = Vec::new();
        while heard.len() < 20 {
            heard.push(inbox.recv().await.unwrap().decode::<u64>().unwrap());
        }
        heard.sort_unstable();
        assert_eq!(heard, (0..40).step_by(2).collect::<Vec<_>>());
    }
    // Whoever signs what they reject is refused by them in the end, and by nobody before.
    assert_eq!((bob.bans().await.len(), carol.bans().await.len()), (0, 0));
    let mut told = bob.events();
    for lie in 0..8 {
        alice.broadcast(&format!("lie {lie}")).await.unwrap();
    }
    let banned = event(&mut told, |event| match event {
        NodeEvent::PeerBanned { peer, reason, .. } => Some((*peer, reason.clone())),
        _ => None,
    });
    assert_eq!(banned.await, (alice.id(), BanReason::Observed(Observation::Reported)));
    carol.broadcast(&100_u64).await.unwrap();
    assert_eq!(to_bob.recv().await.unwrap().decode::<u64>().unwrap(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_that_panics_or_never_ends_keeps_nobody_elses_message_back() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let bob = Node::builder(config())
        .validator(move |message| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move {
                match message.decode::<u64>() {
                    Ok(0) => panic!("on purpose"),
                    Ok(1) => pending().await,
                    _ => Validity::Accept,
                }
            }
        })
        .start()
        .await
        .unwrap();
    let mut to_bob = bob.subscribe();
    let alice = start(beside(&[&bob])).await;
    until_peers(&alice, 1).await;
    for number in 0..10_u64 {
        alice.broadcast(&number).await.unwrap();
    }
    let mut heard = Vec::new();
    while heard.len() < 8 {
        heard.push(to_bob.recv().await.unwrap().decode::<u64>().unwrap());
    }
    heard.sort_unstable();
    assert_eq!(heard, (2..10).collect::<Vec<_>>());
    assert_eq!(calls.load(Ordering::Relaxed), 10);
    // Its own broadcasts are not judged, and it ends although a call does not.
    bob.broadcast(&1_u64).await.unwrap();
    bob.shutdown().await.unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 10);
}
