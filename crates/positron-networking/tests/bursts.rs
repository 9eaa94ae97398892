//! Bursts of all sizes, faster than the network: every `Ok` is delivered to every node that stays.

mod common;

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use positron_networking::{Inbox, MessageId, NetworkConfig, Node};
use tokio::{task::JoinSet, time::timeout};

/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

fn config(folder: Option<&Path>) -> NetworkConfig {
    NetworkConfig { data_dir: folder.map(Path::to_owned), ..NetworkConfig::loopback() }
}

/// What a node delivers, until it is this many broadcasts.
async fn ids_of(mut inbox: Inbox, count: usize) -> BTreeSet<MessageId> {
    let mut ids = BTreeSet::new();
    let all = async {
        while ids.len() < count {
            ids.insert(inbox.recv().await.expect("the node runs").id);
        }
    };
    let _ = timeout(PATIENCE, all).await;
    assert_eq!(inbox.dropped(), 0, "the reader keeps up");
    ids
}

/// `count` broadcasts of `size` bytes from the first of `nodes` nodes, with `at_once` of them under
/// way; whether everybody got what was `Ok`.
async fn burst(nodes: usize, on_disk: bool, count: usize, size: usize, at_once: usize) {
    let folders: Vec<_> = (0..nodes).map(|_| tempfile::tempdir().unwrap()).collect();
    let folder = |which: usize| on_disk.then(|| folders[which].path());
    let first = Arc::new(Node::start(config(folder(0))).await.unwrap());
    let address = first.listen_addresses()[0].to_string();
    let (mut others, mut readers) = (Vec::new(), JoinSet::new());
    for which in 1..nodes {
        let node = Node::start(config(folder(which))).await.unwrap();
        node.join(&address).await.unwrap();
        readers.spawn(ids_of(node.subscribe(), count));
        others.push(node);
    }
    let mut publishers = JoinSet::new();
    for which in 0..at_once {
        let first = Arc::clone(&first);
        publishers.spawn(async move {
            let mut ids = BTreeSet::new();
            for number in (which..count).step_by(at_once) {
                let mut payload = vec![0; size.max(8)];
                payload[..8].copy_from_slice(&number.to_be_bytes());
                ids.insert(first.broadcast_bytes(payload.into()).await.unwrap());
            }
            ids
        });
    }
    let published: BTreeSet<_> = publishers.join_all().await.into_iter().flatten().collect();
    assert_eq!(published.len(), count);
    for ids in readers.join_all().await {
        let lost = published.difference(&ids).count();
        if lost > 0 {
            for node in others.iter() {
                eprintln!("{:#?} {:#?}", node.stats().gossip, node.stats().node);
            }
        }
        assert_eq!(lost, 0, "of {count}; the publisher: {:#?}", first.stats().gossip);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_mebibyte_in_memory() {
    burst(2, false, 100, 1 << 20, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_mebibyte_with_a_data_folder() {
    burst(3, true, 60, 1 << 20, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_64_kib() {
    burst(3, false, 1_500, 64 << 10, 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_small_ones_at_once_than_are_kept() {
    burst(4, false, 15_000, 256, 15_000).await;
}
