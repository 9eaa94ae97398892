//! Whom nodes trust by what they saw, asked for and told: the founding document's calls.

mod common;

use std::time::{Duration, Instant};

use common::{DEADLINE, beside, config, network, start, until_peers};
use positron_networking::{NetworkConfig, Node, NotRecommended, TrustError};

/// Five messages make somebody trusted.
fn quick() -> NetworkConfig {
    NetworkConfig { trust_boost_message: 0.3, ..config() }
}

/// Alice and Carol, who both begin with Bob.
async fn three() -> [Node; 3] {
    let bob = start(quick()).await;
    let beside_bob =
        || NetworkConfig { bootstrap_nodes: beside(&[&bob]).bootstrap_nodes, ..quick() };
    let (alice, carol) = (start(beside_bob()).await, start(beside_bob()).await);
    until_peers(&bob, 2).await;
    [alice, bob, carol]
}

/// Asks again and again, until it is so.
async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    let mut look = tokio::time::interval(Duration::from_millis(20));
    while !is_so().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        look.tick().await;
    }
}

/// They say so much that the others trust them.
async fn do_well(nodes: &[&Node], before: &Node) {
    for node in nodes {
        for number in 0..8 {
            node.broadcast(&number).await.unwrap();
        }
    }
    until("they are trusted", async || {
        let trusted = before.trust_manager().get_trusted_peers(0.7).await;
        nodes.iter().all(|node| trusted.iter().any(|peer| peer.node_id == node.id()))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_peer_trusts_is_asked_for_and_its_word_is_an_entry_of_the_account() {
    let [alice, bob, carol] = three().await;
    do_well(&[&alice, &carol], &bob).await;
    // Bob is trusted by Alice for what he said and passed on.
    do_well(&[&bob], &alice).await;
    let trusted = alice.request_trusted_peers(bob.id()).await.unwrap();
    let of_carol =
        trusted.iter().find(|peer| peer.node_id == carol.id()).expect("Bob trusts Carol");
    assert!(of_carol.trust_score >= 0.7 && of_carol.trust_score <= 1.0, "{of_carol:?}");
    assert!(trusted.iter().all(|peer| peer.node_id != alice.id()), "nobody is told of itself");

    let standing = alice.trust_manager().explain(carol.id()).await.unwrap().standing;
    let word = &standing.recommended_by[0];
    assert_eq!(word.node_id, bob.id());
    assert!(word.strength > 0.4 && word.weight > 0.4, "{word:?}");
    let most = standing.initial_score + 0.2 * (standing.max_score - standing.initial_score);
    assert!(standing.regard >= standing.trust_score, "{standing:?}");
    assert!(standing.regard <= standing.trust_score.max(most), "{standing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_node_trusts_is_told_to_all_its_peers() {
    let [alice, bob, carol] = three().await;
    do_well(&[&alice, &carol], &bob).await;
    do_well(&[&bob], &alice).await;
    assert_eq!(bob.share_trusted_peers().await.unwrap(), 2);
    until("Alice heard it", async || {
        let detail = alice.trust_manager().explain(carol.id()).await.unwrap();
        detail.standing.recommended_by.iter().any(|word| word.node_id == bob.id())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_connected_is_not_asked_and_a_node_that_stopped_says_so() {
    let [alice, bob] = network(2).await.try_into().unwrap();
    let nobody = start(config()).await.id();
    let error = alice.request_trusted_peers(nobody).await.unwrap_err();
    assert_eq!(error, TrustError::NotRecommended(NotRecommended::NotConnected));
    assert_eq!(error.to_string(), "the node is not connected");
    assert_eq!(alice.request_trusted_peers(bob.id()).await.unwrap(), []);
    alice.shutdown().await.unwrap();
    assert_eq!(alice.share_trusted_peers().await, Err(TrustError::Stopped));
    assert_eq!(alice.request_trusted_peers(bob.id()).await, Err(TrustError::Stopped));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_asks_and_shares_in_a_loop_is_told_so_and_stays_connected() {
    let [alice, bob] = network(2).await.try_into().unwrap();
    let mut refused = 0;
    for _ in 0..50 {
        alice.share_trusted_peers().await.unwrap();
        match alice.request_trusted_peers(bob.id()).await {
            Ok(trusted) => assert_eq!(trusted, []),
            Err(error) => {
                assert_eq!(error, TrustError::NotRecommended(NotRecommended::TooOften));
                refused += 1;
            }
        }
    }
    assert!(refused >= 40, "{refused}");
    let standing = bob.trust_manager().explain(alice.id()).await.unwrap().standing;
    assert_eq!(standing.recent, [], "nothing is held against it");
    assert_eq!(bob.stats_now().await.peers.len(), 1);
}
