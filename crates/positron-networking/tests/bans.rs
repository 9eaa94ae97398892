//! What the application decides about its peers.

mod common;

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use common::{address, beside, config, event, network, start, until_peers};
use positron_networking::{
    BanReason, CloseReason, DownReason, NetworkConfig, Node, NodeEvent, NodeId, OrderError, Refused,
};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_by_the_application_closes_the_session_and_lasts_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = Some(folder.path().join("alice"));
    let alice = start(NetworkConfig { data_dir: data_dir.clone(), ..config() }).await;
    let bob = start(beside(&[&alice])).await;
    until_peers(&alice, 1).await;
    let (mut told, mut heard) = (alice.events(), bob.events());
    alice.ban(bob.id(), "sold us a horse", HOUR * 24).await.unwrap();
    let why = event(&mut told, |event| match event {
        NodeEvent::PeerBanned { peer, reason, .. } if *peer == bob.id() => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(why.await, BanReason::Ordered("sold us a horse".into()));
    let reason = event(&mut heard, |event| match event {
        NodeEvent::PeerLeft { peer, reason } if *peer == alice.id() => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason.await, DownReason::ByPeer(CloseReason::Banned));
    alice.shutdown().await.unwrap();

    let alice = start(NetworkConfig { data_dir, ..config() }).await;
    let refused = bob.join(&address(&alice)).await.unwrap_err().to_string();
    assert!(refused.contains("banned"), "{refused}");
    alice.unban(bob.id()).await.unwrap();
    bob.join(&address(&alice)).await.unwrap();
    until_peers(&alice, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_cannot_be_meant_is_an_error_of_its_own() {
    let nodes = network(2).await;
    let [alice, bob] = &nodes[..] else { panic!("two nodes") };
    let refused = |why| Err(OrderError::Refused(why));
    let long = "x".repeat(257);
    assert_eq!(alice.ban(bob.id(), &long, HOUR).await, refused(Refused::BanWords(257)));
    assert_eq!(alice.report(bob.id(), &long).await, refused(Refused::BanWords(257)));
    assert_eq!(alice.report(alice.id(), "").await, refused(Refused::AgainstOurselves));
    assert_eq!(alice.disconnect(alice.id()).await, refused(Refused::AgainstOurselves));
    alice.disconnect(bob.id()).await.unwrap();
    until_peers(alice, 0).await;
    assert_eq!(alice.disconnect(bob.id()).await, refused(Refused::NotConnected(bob.id())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_reported_five_times_is_banned() {
    let nodes = network(2).await;
    let [alice, bob] = &nodes[..] else { panic!("two nodes") };
    let mut told = alice.events();
    // What it did well in the meantime may be worth a report.
    for _ in 0..6 {
        alice.report(bob.id(), "a block without a parent").await.unwrap();
    }
    let why = event(&mut told, |event| match event {
        NodeEvent::PeerBanned { peer, reason, .. } if *peer == bob.id() => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(why.await, BanReason::Reported("a block without a parent".into()));
    until_peers(alice, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reserved_peer_of_the_configuration_has_a_slot_when_all_are_taken() {
    let bob = start(config()).await;
    let reserved_peers = vec![bob.id().to_string()];
    let few = NetworkConfig { max_peers: 1, min_peers: 1, reserved_peers, ..config() };
    let alice = start(few).await;
    let _guest = start(beside(&[&alice])).await;
    until_peers(&alice, 1).await;
    let stranger = start(config()).await;
    stranger.join(&address(&alice)).await.unwrap_err();
    bob.join(&address(&alice)).await.unwrap();
    until_peers(&alice, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_by_the_application_lasts_over_a_restart_until_it_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = Some(folder.path().join("alice"));
    let (bob, carol) = (start(config()).await, start(config()).await);
    let [bob_at, carol_at] = [&bob, &carol].map(|node| node.listen_addresses()[0]);
    // The configuration says where carol is, whatever the application said of her before.
    let reserved_peers = vec![format!("{}@{carol_at}", carol.id())];
    let of_alice = NetworkConfig { data_dir, reserved_peers, ..config() };
    let alice = start(of_alice.clone()).await;
    alice.reserve(bob.id(), Some(bob_at)).await.unwrap();
    alice.reserve(carol.id(), None).await.unwrap();
    alice.shutdown().await.unwrap();

    let alice = start(of_alice.clone()).await;
    let slots = reserved(&alice).await;
    assert_eq!(slots, BTreeMap::from([(bob.id(), Some(bob_at)), (carol.id(), Some(carol_at))]));
    until_peers(&alice, 2).await;
    alice.unreserve(bob.id()).await.unwrap();
    alice.unreserve(carol.id()).await.unwrap();
    assert_eq!(reserved(&alice).await, BTreeMap::new());
    alice.shutdown().await.unwrap();

    let alice = start(of_alice).await;
    assert_eq!(reserved(&alice).await, BTreeMap::from([(carol.id(), Some(carol_at))]));
}

async fn reserved(node: &Node) -> BTreeMap<NodeId, Option<SocketAddr>> {
    let stats = node.stats_now().await;
    stats.reserved.iter().map(|slot| (slot.node_id, slot.address)).collect()
}
