//! How nodes start, leave, come back, and what others hear of it.

mod common;

use std::{
    fs,
    future::Future as _,
    os::unix::fs::PermissionsExt as _,
    task::Poll,
    time::{Duration, Instant},
};

use common::{
    DEADLINE, Mortal, address, beside, config, event, network, next, start, until, until_peers,
    within,
};
use positron_networking::{
    CloseReason, DownReason, Invite, JoinError, KeyError, NetworkConfig, Node, NodeEvent,
    StartError, StoreError, TransportPolicy, keys::Identity,
};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_tells_its_peers_why() {
    let mut nodes = network(2).await;
    let mut events = nodes[0].events();
    let leaving = nodes.pop().unwrap();
    let (id, began) = (leaving.id(), Instant::now());
    let mut inbox = leaving.subscribe();
    leaving.shutdown().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(inbox.recv().await, None);
    let reason = event(&mut events, |event| match event {
        NodeEvent::PeerLeft { peer, reason } if *peer == id => Some(reason.clone()),
        _ => None,
    })
    .await;
    assert_eq!(reason, DownReason::ByPeer(CloseReason::ShuttingDown));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_vanishes_is_noticed_within_three_seconds() {
    let nodes = network(2).await;
    let vanishing = Mortal::start(beside(&[&nodes[0]])).await;
    let id = vanishing.node.id();
    until_peers(&nodes[0], 2).await;
    let mut events = nodes[0].events();
    vanishing.die();
    let noticed = event(&mut events, |event| {
        matches!(event, NodeEvent::PeerLeft { peer, .. } if *peer == id).then_some(())
    });
    within(Duration::from_secs(3), "the others notice", noticed).await;
    let mut inbox = nodes[1].subscribe();
    nodes[0].broadcast("we are still here").await.unwrap();
    next(&mut inbox).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_restarts_without_bootstrap_returns_by_its_address_book() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = Some(folder.path().join("node"));
    let alice = start(config()).await;
    let first = start(NetworkConfig { data_dir: data_dir.clone(), ..beside(&[&alice]) }).await;
    let id = first.id();
    until("alice is in the address book", || first.stats().known_peers == 1).await;
    first.broadcast("before").await.unwrap();
    first.shutdown().await.unwrap();

    let again = start(NetworkConfig { data_dir, ..config() }).await;
    assert_eq!(again.id(), id, "the identity survives");
    until_peers(&again, 1).await;
    let mut inbox = alice.subscribe();
    again.broadcast("after").await.unwrap();
    assert_eq!(next(&mut inbox).await.decode::<String>().unwrap(), "after");
    let storage = again.stats().storage;
    assert!(storage.changes > 0 && storage.failed.is_none(), "{storage:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_an_error_that_names_the_address_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("node");
    let first = start(config()).await;
    let taken = first.listen_addresses()[0];
    let second = NetworkConfig { port: taken.port(), data_dir: Some(data_dir.clone()), ..config() };
    let error = Node::start(second).await.unwrap_err();
    assert!(matches!(error, StartError::Bind { address, .. } if address == taken));
    assert!(
        error
            .to_string()
            .starts_with(&format!("cannot listen on {taken} (TCP): the port is in use"))
    );
    assert!(!data_dir.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_node_in_one_folder_is_refused_and_a_third_may_follow_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let with_folder = || NetworkConfig { data_dir: Some(folder.path().into()), ..config() };
    let first = start(with_folder()).await;
    let error = Node::start(with_folder()).await.unwrap_err();
    let StartError::Storage(StoreError::AlreadyRunning { pid, .. }) = error else {
        panic!("{error}");
    };
    assert_eq!(pid, Some(std::process::id()));
    first.shutdown().await.unwrap();
    start(with_folder()).await.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_never_starts_with_a_key_that_is_not_safely_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let with_folder = || NetworkConfig { data_dir: Some(folder.path().into()), ..config() };
    let first = start(with_folder()).await;
    let id = first.id();
    first.shutdown().await.unwrap();

    let short = Some(id.short());
    start(NetworkConfig { node_id: short, ..with_folder() }).await.shutdown().await.unwrap();
    let other = Some("0".repeat(64));
    let error = Node::start(NetworkConfig { node_id: other, ..with_folder() }).await.unwrap_err();
    assert!(matches!(error, StartError::OtherIdentity { found, .. } if found == id));

    let key = folder.path().join("keys/private_key.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let error = Node::start(with_folder()).await.unwrap_err();
    assert!(matches!(error, StartError::Key(KeyError::Exposed { mode: 0o644, .. })));

    fs::remove_file(&key).unwrap();
    let error = Node::start(with_folder()).await.unwrap_err();
    assert!(matches!(error, StartError::Key(KeyError::Lost { .. })), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_given_is_the_only_one_and_is_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let with_folder = || NetworkConfig { data_dir: Some(folder.path().into()), ..config() };
    let given = || Identity::from_seed([0xC7; 32]);
    let builder = Node::builder(with_folder()).identity(given());
    let shown = format!("{builder:?}");
    for secret in ["199, 199", "c7c7", "C7C7", "x8fHx8"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let first = builder.start().await.unwrap();
    assert_eq!(first.id(), given().node_id());
    first.broadcast("before").await.unwrap();
    first.shutdown().await.unwrap();
    assert!(!folder.path().join("keys").exists());

    // The folder is that node's: without its key nobody starts in it.
    let error = Node::start(with_folder()).await.unwrap_err();
    assert!(matches!(error, StartError::Key(KeyError::Lost { .. })), "{error}");
    let again = Node::builder(with_folder()).identity(given()).start().await.unwrap();
    assert_eq!(again.id(), given().node_id());
    again.shutdown().await.unwrap();

    let other = tempfile::tempdir().unwrap();
    let in_other = || NetworkConfig { data_dir: Some(other.path().into()), ..config() };
    start(in_other()).await.shutdown().await.unwrap();
    let error = Node::builder(in_other()).identity(given()).start().await.unwrap_err();
    assert!(matches!(error, StartError::Key(KeyError::TwoKeys { .. })), "{error}");
    let wanted = NetworkConfig { node_id: Some("0".repeat(64)), ..config() };
    let error = Node::builder(wanted).identity(given()).start().await.unwrap_err();
    assert!(matches!(error, StartError::OtherIdentity { found, .. } if found == given().node_id()));
}

#[tokio::test(flavor = "multi_thread")]
async fn join_tells_who_answered_or_why_nobody_did() {
    let (alice, bob) = (start(config()).await, start(config()).await);
    let joined = within(DEADLINE, "bob answers", alice.join(&address(&bob))).await;
    assert_eq!(joined, Ok(bob.id()));
    assert_eq!(alice.isolation_reason(), None);

    let gone = start(config()).await;
    let nobody = address(&gone);
    gone.shutdown().await.unwrap();
    let carol = start(config()).await;
    let error = within(DEADLINE, "the refusal", carol.join(&nobody)).await.unwrap_err();
    assert!(matches!(&error, JoinError::Unreached { address, .. } if *address == nobody));
    assert!(error.to_string().contains("connection refused"), "{error}");
    let why = carol.isolation_reason().unwrap();
    assert!(why.contains(&nobody) && why.contains("connection refused"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_to_where_there_is_no_way_ends_with_the_word_of_the_operating_system() {
    let transport = TransportPolicy::Udp;
    let node = start(NetworkConfig { transport, ..config() }).await;
    // A socket of loopback reaches nothing else, whatever the routes of this machine are.
    let error = within(DEADLINE, "the end", node.join("192.0.2.1:9")).await.unwrap_err();
    assert!(error.to_string().contains("no way to this address"), "{error}");
    let dials = serde_json::to_value(node.recent_dials().await).unwrap();
    assert_eq!(dials[0]["reason"], "unreachable", "{dials:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_invited_joins_that_node_and_no_other() {
    let (host, guest) = (start(config()).await, start(config()).await);
    let invite = host.invite().unwrap();
    assert_eq!(guest.join(&invite.to_string()).await, Ok(host.id()));

    let other = start(config()).await;
    let impostor = format!("{}@{}", guest.id(), address(&host));
    let JoinError::Unreached { reason, .. } = other.join(&impostor).await.unwrap_err() else {
        panic!("another node answers there");
    };
    assert!(reason.contains("another node"), "{reason}");
    assert_eq!(other.stats().active_peers, 0);
    let abroad = Invite { network: "elsewhere".into(), ..invite.clone() }.to_string();
    let error = other.join(&abroad).await.unwrap_err().to_string();
    assert!(error.contains("for the network 'elsewhere'"), "{error}");

    // Wherever an address is taken, an invite is.
    let bootstrap_nodes = vec![invite.to_string()];
    let later = start(NetworkConfig { bootstrap_nodes, ..config() }).await;
    until_peers(&later, 1).await;
    let bootstrap_nodes = vec![abroad];
    let refused = Node::start(NetworkConfig { bootstrap_nodes, ..config() }).await.unwrap_err();
    assert!(refused.to_string().contains("elsewhere"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn join_tells_who_answers_now_and_not_who_did() {
    for gracefully in [true, false] {
        let (alice, mortal) = (start(config()).await, Mortal::start(config()).await);
        let bob = mortal.node.clone();
        let there = address(&bob);
        // Whoever dialled: the peer that is connected already answers.
        assert_eq!(bob.join(&address(&alice)).await, Ok(alice.id()));
        for _ in 0..3 {
            assert_eq!(alice.join(&there).await, Ok(bob.id()));
        }
        assert_eq!(alice.stats_now().await.active_peers, 1);
        if gracefully {
            bob.shutdown().await.unwrap();
        }
        // Without a goodbye the link is still taken for good.
        mortal.die();
        let answer = within(DEADLINE, "the end of the dial", alice.join(&there)).await;
        assert!(matches!(answer, Err(JoinError::Unreached { .. })), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_of_different_networks_refuse_each_other_in_words() {
    let alice = start(config()).await;
    let foreign = NetworkConfig { network: "elsewhere".into(), ..beside(&[&alice]) };
    let bob = start(foreign).await;
    until("bob knows why", || {
        bob.isolation_reason().is_some_and(|why| why.contains("another network"))
    })
    .await;
    assert_eq!(alice.stats().active_peers, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn stats_are_json_with_the_founding_names() {
    let nodes = network(2).await;
    let stats = serde_json::to_value(nodes[0].stats()).unwrap();
    assert_eq!(stats["node_id"], json!(nodes[0].id()));
    assert_eq!(stats["active_peers"], 1);
    assert_eq!(stats["peers"][0]["node_id"], json!(nodes[1].id()));
    for key in ["messages_received", "retained_messages"] {
        assert!(stats["gossip"][key].is_u64(), "{stats:#}");
    }
    assert_eq!(stats["links"], json!({ "udp": 1, "tcp": 0, "relay": 0 }));
    assert_eq!(stats["peers"][0]["transport"], "udp");
    assert!(stats["datagrams"]["datagrams_sent"].as_u64() > Some(0));
    for room in ["session", "storage", "trust", "direct", "discovery", "node", "application"] {
        assert!(stats[room].is_object(), "{room}");
    }
    let trusted = nodes[0].trusted_peers(0.5).await;
    assert_eq!(trusted.first().map(|peer| peer.node_id), Some(nodes[1].id()));
    assert!(nodes[0].trusted_peers(1.1).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stopped_has_left_its_port_and_its_folder_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    for data_dir in [None, Some(folder.path().to_owned())] {
        let first = start(NetworkConfig { data_dir: data_dir.clone(), ..config() }).await;
        let port = first.listen_addresses()[0].port();
        // Connections of all kinds that are open at the end.
        let tcp = NetworkConfig { transport: TransportPolicy::Tcp, ..beside(&[&first]) };
        let peers = [start(beside(&[&first])).await, start(tcp).await];
        until_peers(&first, 2).await;
        first.shutdown().await.unwrap();
        for round in 0..200 {
            let config = NetworkConfig { port, data_dir: data_dir.clone(), ..config() };
            let next = Node::start(config).await.unwrap_or_else(|error| panic!("{round}: {error}"));
            next.shutdown().await.unwrap();
            if data_dir.is_some() && round == 20 {
                break; // each takes its time on the disk
            }
        }
        drop(peers);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dropped_node_or_start_leaves_is_free_soon() {
    let folder = tempfile::tempdir().unwrap();
    let first = start(config()).await;
    let port = first.listen_addresses()[0].port();
    first.shutdown().await.unwrap();
    let again = || NetworkConfig { port, data_dir: Some(folder.path().into()), ..config() };
    for polls in 0..20_u8 {
        let node = free(again()).await;
        drop(node);
        let mut cancelled = Box::pin(Node::start(again()));
        for _ in 0..polls {
            let polled = std::future::poll_fn(|cx| Poll::Ready(cancelled.as_mut().poll(cx))).await;
            if polled.is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(cancelled);
    }
    free(again()).await.shutdown().await.unwrap();
}

/// The node of `config`, once its port and its folder are free.
async fn free(config: NetworkConfig) -> Node {
    let trying = async {
        loop {
            match Node::start(config.clone()).await {
                Ok(node) => return node,
                Err(
                    StartError::Bind { .. }
                    | StartError::Storage(StoreError::AlreadyRunning { .. }),
                ) => {
                    tokio::task::yield_now().await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    };
    within(DEADLINE, "port and folder are free", trying).await
}

/// A link-local address of this machine, with its zone.
#[cfg(target_os = "linux")]
fn link_local() -> Option<String> {
    let addresses = fs::read_to_string("/proc/net/if_inet6").ok()?;
    let line = addresses.lines().find(|line| line.starts_with("fe80"))?;
    let (hex, interface) = (line.get(..32)?, line.split_whitespace().next_back()?);
    let ip = std::net::Ipv6Addr::from_bits(u128::from_str_radix(hex, 16).ok()?);
    Some(format!("{ip}%{interface}"))
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn nodes_on_one_wire_meet_by_link_local_addresses() {
    let Some(host) = link_local() else {
        eprintln!("skipped: this machine has no link-local IPv6 address");
        return;
    };
    for transport in [TransportPolicy::Udp, TransportPolicy::Tcp] {
        let there = || NetworkConfig { host: host.clone(), transport, ..config() };
        let alice = match Node::start(there()).await {
            Ok(alice) => alice,
            Err(error) => {
                eprintln!("skipped: {error}");
                return;
            }
        };
        let port = alice.listen_addresses()[0].port();
        let bob = start(there()).await;
        let joined = within(DEADLINE, "alice", bob.join(&format!("[{host}]:{port}"))).await;
        assert_eq!(joined, Ok(alice.id()), "{transport}");
    }
}
