//! The hash table over real sockets: what one node stores, others find.

use std::time::Duration;

use positron_networking::{Deleted, DhtError, NetworkConfig, Node};

const HOUR: Duration = Duration::from_secs(3600);

async fn three() -> [Node; 3] {
    let a = Node::start(NetworkConfig::loopback()).await.unwrap();
    let at_a = a.listen_addresses()[0].to_string();
    let config =
        || NetworkConfig { bootstrap_nodes: vec![at_a.clone()], ..NetworkConfig::loopback() };
    let b = Node::start(config()).await.unwrap();
    let c = Node::start(config()).await.unwrap();
    b.join(&at_a).await.unwrap();
    c.join(&at_a).await.unwrap();
    [a, b, c]
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
