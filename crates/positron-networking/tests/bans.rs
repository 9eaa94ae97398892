//! What the application decides about its peers.

mod common;

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use common::{address, beside, config, event, network, start, until_peers};
use positron_networking::{
    BanReason, Banned, CloseReason, DownReason, NetworkConfig, Node, NodeEvent, NodeId, OrderError,
    Refused, Subnet,
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

/// All of 127.0.0.0/8 is this machine on Linux alone.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_ban_of_an_address_closes_what_is_there_and_lasts_over_a_restart() {
    let at = |host: &str| NetworkConfig { host: host.into(), ..config() };
    let folder = tempfile::tempdir().unwrap();
    let data_dir = Some(folder.path().join("alice"));
    let alice = start(NetworkConfig { data_dir: data_dir.clone(), ..config() }).await;
    let bootstrap_nodes = vec![address(&alice)];
    let [bob, carol] = ["127.0.5.1", "127.0.6.1"].map(at);
    let bob = start(NetworkConfig { bootstrap_nodes: bootstrap_nodes.clone(), ..bob }).await;
    let carol = start(NetworkConfig { bootstrap_nodes, ..carol }).await;
    until_peers(&alice, 2).await;
    let (mut told, mut heard) = (alice.events(), bob.events());
    let net: Subnet = "127.0.5.0/24".parse().unwrap();
    alice.ban_address(net, "scans us", HOUR).await.unwrap();
    let why = event(&mut told, |event| match event {
        NodeEvent::AddressBanned { addresses, reason, .. } if *addresses == net => {
            Some(reason.clone())
        }
        _ => None,
    });
    assert_eq!(why.await, "scans us");
    let reason = event(&mut heard, |event| match event {
        NodeEvent::PeerLeft { peer, reason } if *peer == alice.id() => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason.await, DownReason::ByPeer(CloseReason::Banned));
    let stats = alice.stats_now().await;
    assert!(stats.peers.iter().all(|peer| peer.node_id == carol.id()), "{:?}", stats.peers);
    let refused = alice.join(&address(&bob)).await.unwrap_err().to_string();
    assert!(refused.contains("this node has banned that address"), "{refused}");
    alice.shutdown().await.unwrap();

    let configured = vec!["127.0.7.1".into()];
    let banned = NetworkConfig { data_dir, banned_addresses: configured, ..config() };
    let alice = start(banned).await;
    let bans = alice.bans().await;
    let listed: Vec<String> = bans.iter().map(|ban| format!("{:?}", ban.of)).collect();
    assert_eq!(bans.len(), 2, "{listed:?}");
    assert!(bans.iter().any(|ban| ban.of == Banned::Addresses(net)), "{listed:?}");
    alice.reserve(bob.id(), Some(bob.listen_addresses()[0])).await.unwrap();
    until_peers(&alice, 1).await;
    alice.unreserve(bob.id()).await.unwrap();
    alice.unban_address(net).await.unwrap();
    alice.join(&address(&bob)).await.unwrap();
}
