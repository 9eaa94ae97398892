//! The hash table over real sockets: what one node stores, others find.

use std::time::Duration;

use positron_networking::{
    Deleted, DhtError, DhtRole, NetworkConfig, Node, NodeId, OrderError, QuestionEnd, Refused,
    ValueName,
};
use tokio::time::timeout;

const HOUR: Duration = Duration::from_secs(3600);
/// For what is to happen at once: so long that only what never happens takes it.
const SOON: Duration = Duration::from_secs(30);

async fn three() -> [Node; 3] {
    let a = Node::start(NetworkConfig::loopback()).await.unwrap();
    let at_a = a.listen_addresses()[0].to_string();
    let config =
        || NetworkConfig { bootstrap_nodes: vec![at_a.clone()], ..NetworkConfig::loopback() };
    let b = Node::start(config()).await.unwrap();
    let c = Node::start(config()).await.unwrap();
    b.join(&at_a).await.unwrap();
    c.join(&at_a).await.unwrap();
    let all = [a, b, c];
    for node in &all {
        let knows_both = async {
            while node.dht_get_stats().await.unwrap().total_nodes < 2 {
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, knows_both).await.expect("they find one another");
    }
    all
}

#[tokio::test]
async fn what_one_node_stores_others_find_until_it_deletes_it() {
    let [a, b, c] = three().await;
    let stored = a.dht_store("my_key", &serde_json::json!({"data": "value"}), HOUR).await.unwrap();
    assert_eq!(stored.silent, 0);
    for node in [&b, &c] {
        let value: serde_json::Value = node.dht_retrieve("my_key").await.unwrap().unwrap();
        assert_eq!(value["data"], "value");
    }
    assert_eq!(b.dht_delete("my_key").await, Ok(Deleted::NotYours(vec![a.id()])));
    assert!(matches!(a.dht_delete("my_key").await, Ok(Deleted::Deleted(_))));
    assert_eq!(b.dht_retrieve::<serde_json::Value>("my_key").await, Ok(None));
    assert_eq!(a.dht_delete("my_key").await, Ok(Deleted::NotFound));
}

#[tokio::test]
async fn who_is_alone_is_told_that_nobody_else_keeps_it_and_who_comes_finds_it() {
    let a = Node::start(NetworkConfig::loopback()).await.unwrap();
    let stored = a.dht_store("alone", "here", HOUR).await.unwrap();
    assert!(stored.holders.is_empty(), "{stored:?}");
    assert_eq!(a.dht_retrieve::<String>("alone").await.unwrap().unwrap(), "here");

    let b = Node::start(NetworkConfig::loopback()).await.unwrap();
    b.join(&a.listen_addresses()[0].to_string()).await.unwrap();
    assert_eq!(b.dht_retrieve::<String>("alone").await.unwrap().unwrap(), "here");
}

#[tokio::test]
async fn what_is_too_large_too_short_or_too_long_is_refused_with_its_limit() {
    let node = Node::start(NetworkConfig::loopback()).await.unwrap();
    let table = node.dht();
    let refused = |result: Result<_, DhtError>| result.unwrap_err().to_string();
    // MessagePack takes three bytes to say how long the bytes are.
    let longest = serde_bytes(16 * 1024);
    assert!(table.store_immutable(longest.clone(), HOUR).await.is_ok());
    let longer = serde_bytes(16 * 1024 + 1);
    assert!(refused(table.store_immutable(longer, HOUR).await).contains("at most 16384 bytes"));
    for (seconds, fits) in [(59, false), (60, true), (172_800, true), (172_801, false)] {
        let stored = table.store("key", "value", Duration::from_secs(seconds)).await;
        assert_eq!(stored.is_ok(), fits, "{seconds}");
    }
    assert!(refused(table.store("", "value", HOUR).await).contains("must not be empty"));
    let name = "n".repeat(1024 * 1024);
    assert!(refused(table.store(&name, "value", HOUR).await).contains("at most 1024 bytes"));
    assert!(table.store(&name[..1024], "value", HOUR).await.is_ok());
}

fn serde_bytes(len: usize) -> Vec<u8> {
    vec![7; len]
}

#[tokio::test]
async fn a_node_is_found_by_its_id_and_a_lookup_tells_whom_it_asked() {
    let [a, b, c] = three().await;
    let found = b.dht_find_node(c.id()).await.unwrap().unwrap();
    assert_eq!((found.node_id, &found.addresses), (c.id(), &c.listen_addresses().to_vec()));
    let nobody = positron_networking::NodeId::from_bytes([7; 32]);
    assert_eq!(a.dht_find_node(nobody).await, Ok(None));

    let key = ValueName::Shared("my_key", None).key().unwrap();
    let nearest = a.dht().nearest(key).await.unwrap();
    let mut ids: Vec<_> = nearest.nodes.iter().map(|node| node.node_id).collect();
    ids.sort_unstable();
    let mut others = [b.id(), c.id()];
    others.sort_unstable();
    assert_eq!(ids, others);
    assert!(nearest.nodes[0].common_bits >= nearest.nodes[1].common_bits, "{nearest:?}");
    assert_eq!((nearest.place, nearest.hops), (key, 1));
    for step in &nearest.steps {
        assert!(step.end == QuestionEnd::Answered && step.answer_ms.is_some(), "{step:?}");
        assert!(others.contains(&step.node.node_id) && step.at_ms >= 0.0, "{step:?}");
    }
}

#[tokio::test]
async fn a_node_tells_what_it_keeps_publishes_and_knows_and_why_it_serves() {
    let [a, b, _c] = three().await;
    a.dht_store("my_key", "value", HOUR).await.unwrap().on_at_least(2).unwrap();
    let few = a.dht_store("my_key", "value", HOUR).await.unwrap().on_at_least(3).unwrap_err();
    assert_eq!((few.wanted, few.stored.holders.len()), (3, 2), "{few:?}");
    assert!(few.to_string().starts_with("2 of at least 3 other nodes keep it"), "{few}");

    let told = a.dht_get_stats().await.unwrap();
    assert_eq!((told.mode, told.place), (DhtRole::Server, Some(told.here)), "{}", told.why);
    // What the others say of themselves may be kept here, too.
    assert!(told.stored_keys >= 1, "{told:?}");
    assert_eq!((told.published, told.total_nodes), (1, 2));
    assert_eq!((told.under_replicated, told.wanted_holders), (0, 2));
    assert_eq!((told.published_values.len(), told.published_values[0].holders), (1, 2));
    assert_eq!(told.published_values[0].value_bytes, Some(6));
    assert!(told.recent.operations > 0 && told.recent.hops_p99 >= told.recent.hops_p50);
    let members = told.buckets.iter().flat_map(|bucket| &bucket.members);
    assert!(members.clone().count() == 2 && members.clone().all(|node| node.alive));

    let told = b.dht_get_stats().await.unwrap();
    let kept: Vec<_> = told.kept_values.iter().filter(|kept| kept.value_bytes == Some(6)).collect();
    assert_eq!((kept.len(), kept[0].publisher, kept[0].from), (1, a.id(), a.id()));
    assert!((1..=3600).contains(&kept[0].remaining_s), "{kept:?}");
    a.dht_delete("my_key").await.unwrap();
    let told = b.dht_get_stats().await.unwrap();
    assert_eq!(told.tombstones, 1, "{told:?}");
    let told = a.dht_get_stats().await.unwrap();
    assert_eq!(told.published_values[0].value_bytes, None, "it is a tombstone: {told:?}");
}

#[tokio::test]
async fn what_was_found_tells_who_had_it_and_how_old_it_is() {
    let [a, b, c] = three().await;
    a.dht().store_owned_bytes("mine", &b"\xFF\x00"[..], HOUR).await.unwrap();
    let found = b.dht().look_up(ValueName::Owned("mine", a.id())).await.unwrap();
    let value = &found.values[0];
    assert_eq!((value.publisher, &value.value[..], value.ttl), (a.id(), &b"\xFF\x00"[..], HOUR));
    assert!([a.id(), b.id(), c.id()].contains(&value.from), "{value:?}");
    assert!(value.remaining <= HOUR && value.age() < HOUR, "{value:?}");
    assert!(found.holders > 0 && found.key == ValueName::Owned("mine", a.id()).key().unwrap());
    let nobody = b.dht().look_up(ValueName::Owned("mine", c.id())).await.unwrap();
    assert!(nobody.values.is_empty() && nobody.asked > 0, "{nobody:?}");
}

#[tokio::test]
async fn what_is_too_large_for_a_datagram_is_fetched_at_once() {
    let [a, b, c] = three().await;
    let large = vec![7; 16 * 1024];
    let stored = a.dht().store_immutable(large.clone(), HOUR).await.unwrap();
    let lookup = Duration::from_secs(10);
    for node in [&b, &c] {
        // Nobody waits for what has come already until a lookup has to end.
        let found = tokio::time::timeout(lookup, node.dht().retrieve_immutable(stored.key)).await;
        assert_eq!(found.expect("in time").unwrap().unwrap().value, large);
    }
}

#[tokio::test]
async fn a_connection_is_asked_for_by_id_and_if_there_is_none_it_is_said_why() {
    let [a, b, c] = three().await;
    b.request_peer_connection(c.id()).await.unwrap();
    assert!(b.stats_now().await.peers.iter().any(|peer| peer.node_id == c.id()));
    b.request_peer_connection(c.id()).await.expect("there is one already");

    let refused = |outcome: Result<(), OrderError>| match outcome {
        Err(OrderError::Refused(why)) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(a.request_peer_connection(a.id()).await), Refused::ToOurselves);
    let nobody = NodeId::from_bytes([7; 32]);
    let why = refused(a.request_peer_connection(nobody).await);
    assert!(matches!(why, Refused::UnknownPeer { peer, asked: 1.. } if peer == nobody), "{why}");

    let gone = c.id();
    c.shutdown().await.unwrap();
    let why = refused(b.request_peer_connection(gone).await);
    assert_eq!(why, Refused::NotReached(gone));
    let words = why.to_string();
    assert!(words.ends_with("within 10 s, neither directly nor through a relay"), "{words}");
}
