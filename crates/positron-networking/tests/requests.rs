//! Requests between nodes that run: each is answered once, or ends for a reason.

mod common;

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use common::{DEADLINE, Mortal, beside, config, network, start, until, until_peers, within};
use positron_networking::{
    NetworkConfig, Node, NodeId, Refused, Request, RequestError, TransportPolicy, Unanswered,
};

/// Longer than any test has to wait.
const LIMIT: Duration = Duration::from_secs(60);

/// Tells when it is dropped.
struct Guard(Arc<AtomicU64>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A handler that never answers; how many calls began, and how many were dropped.
fn never_answers(node: &Node) -> (Arc<AtomicU64>, Arc<AtomicU64>) {
    let (begun, dropped) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let counts = (begun.clone(), dropped.clone());
    node.on_request(move |_: Request<u64>| {
        begun.fetch_add(1, Ordering::SeqCst);
        let guard = Guard(dropped.clone());
        async move {
            pending::<()>().await;
            drop(guard);
            Ok::<u64, String>(0)
        }
    });
    counts
}

fn count(counter: &Arc<AtomicU64>) -> u64 {
    counter.load(Ordering::SeqCst)
}

async fn double(from: &Node, to: NodeId, n: u64) -> Result<u64, RequestError> {
    within(DEADLINE, "the end", from.request(to, &n, LIMIT)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_requests_both_ways_are_answered_each_with_its_own_answer() {
    for transport in [TransportPolicy::Udp, TransportPolicy::Tcp] {
        let alice = start(NetworkConfig { transport, ..config() }).await;
        let bob = start(NetworkConfig { transport, ..beside(&[&alice]) }).await;
        until_peers(&alice, 1).await;
        let served = Arc::new(AtomicU64::new(0));
        for node in [&alice, &bob] {
            let served = served.clone();
            node.on_request(move |request: Request<u64>| {
                served.fetch_add(1, Ordering::SeqCst);
                async move { request.data.checked_mul(2).ok_or("too much") }
            });
        }
        let mut asking = tokio::task::JoinSet::new();
        for lane in 0..20 {
            let (alice, bob) = (alice.clone(), bob.clone());
            asking.spawn(async move {
                for n in lane * 25..(lane + 1) * 25 {
                    assert_eq!(double(&alice, bob.id(), n).await, Ok(2 * n));
                    assert_eq!(double(&bob, alice.id(), n).await, Ok(2 * n));
                }
            });
        }
        asking.join_all().await;
        assert_eq!(count(&served), 1_000, "each once");
        let failed = double(&alice, bob.id(), u64::MAX).await;
        assert_eq!(failed, Err(Unanswered::Failed("too much".into()).into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_answered_ends_with_the_reason() {
    let nodes = network(2).await;
    let (alice, bob) = (&nodes[0], nodes[1].id());
    assert_eq!(double(alice, bob, 1).await, Err(Unanswered::NoHandler.into()));
    nodes[1].on_request(async |_: Request<u64>| Ok::<_, String>("no number"));
    assert!(matches!(double(alice, bob, 1).await, Err(RequestError::Undecodable(_))));
    let strange: Result<String, _> = alice.request(bob, "no number", LIMIT).await;
    let Err(RequestError::Unanswered(Unanswered::Failed(why))) = strange else {
        panic!("{strange:?}")
    };
    assert!(why.starts_with("the payload cannot be read"), "{why}");
    nodes[1].on_request_bytes(async |request: Request<_>| Ok::<_, String>(request.data));
    let large = bytes::Bytes::from(vec![7; 1 << 20]);
    assert_eq!(alice.request_bytes(bob, large.clone(), LIMIT).await, Ok(large));

    let nobody = NodeId::from_bytes([7; 32]);
    let unknown = double(alice, nobody, 1).await;
    let Err(RequestError::Refused(Refused::UnknownPeer { peer, .. })) = unknown else {
        panic!("{unknown:?}")
    };
    assert_eq!(peer, nobody);
    let ourselves = RequestError::Refused(Refused::ToOurselves);
    assert_eq!(double(alice, alice.id(), 1).await, Err(ourselves));
    alice.shutdown().await.unwrap();
    assert_eq!(double(alice, bob, 1).await, Err(RequestError::Stopped));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_want_the_answer_any_more_ends_the_handlers_work() {
    let nodes = network(2).await;
    let (alice, bob) = (nodes[0].clone(), nodes[1].clone());
    let (begun, dropped) = never_answers(&bob);
    let short = Duration::from_millis(50);
    let timed_out: Result<u64, _> = alice.request(bob.id(), &1_u64, short).await;
    assert_eq!(timed_out, Err(Unanswered::TimedOut.into()));
    until("the handler is dropped", || count(&dropped) == 1).await;

    let to = bob.id();
    let asking = tokio::spawn(async move { alice.request::<_, u64>(to, &1_u64, LIMIT).await });
    until("it is served", || count(&begun) == 2).await;
    asking.abort();
    until("the handler is dropped", || count(&dropped) == 2).await;
    assert_eq!(bob.stats_now().await.requests.abandoned, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_death_of_the_other_end_ends_a_request_within_three_seconds() {
    let alice = start(config()).await;
    let bob = Mortal::start(beside(&[&alice])).await;
    until_peers(&alice, 1).await;
    let (begun, _) = never_answers(&bob.node);
    let (asker, to) = (alice.clone(), bob.node.id());
    let asking = tokio::spawn(async move { asker.request::<_, u64>(to, &1_u64, LIMIT).await });
    until("it is served", || count(&begun) == 1).await;
    bob.die();
    let end = within(Duration::from_secs(4), "the end", asking).await.unwrap();
    assert_eq!(end, Err(Unanswered::PeerGone.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_death_of_the_asker_ends_the_handlers_work() {
    let bob = start(config()).await;
    let alice = Mortal::start(beside(&[&bob])).await;
    until_peers(&bob, 1).await;
    let (begun, dropped) = never_answers(&bob);
    let (asker, to) = (alice.node.clone(), bob.id());
    let asking = tokio::spawn(async move { asker.request::<_, u64>(to, &1_u64, LIMIT).await });
    until("it is served", || count(&begun) == 1).await;
    alice.die();
    until("the handler is dropped", || count(&dropped) == 1).await;
    let end = within(DEADLINE, "the end", asking).await.unwrap();
    assert_eq!(end, Err(RequestError::Stopped), "its own node ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_what_one_node_may_ask_at_once_others_are_busy_for_it_and_not_for_others() {
    let nodes = network(3).await;
    let [alice, bob, carol] = &nodes[..] else { panic!("three") };
    until_peers(bob, 2).await;
    let (begun, _) = never_answers(bob);
    let mut asking = tokio::task::JoinSet::new();
    for n in 0..64_u64 {
        let (asker, to) = (alice.clone(), bob.id());
        asking.spawn(async move { asker.request::<_, u64>(to, &n, LIMIT).await });
    }
    until("all are served", || count(&begun) == 64).await;
    assert_eq!(double(alice, bob.id(), 1).await, Err(Unanswered::Busy.into()));
    bob.on_request(async |request: Request<u64>| Ok::<_, String>(request.data));
    assert_eq!(double(carol, bob.id(), 1).await, Ok(1));
    asking.shutdown().await;
    until("there is room again", || bob.stats().requests.abandoned == 64).await;
    assert_eq!(double(alice, bob.id(), 1).await, Ok(1));
}
