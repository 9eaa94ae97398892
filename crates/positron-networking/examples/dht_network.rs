//! A hash table of many nodes on this machine: one stores values, and all others read each of them.
//! Prints how long that takes from the start of the first node. How many nodes is the first
//! argument (60), how many values the second (20).

use std::time::{Duration, Instant};

use positron_networking::{DhtError, NetworkConfig, Node};
use tokio::{task::JoinSet, time::interval};

const HOUR: Duration = Duration::from_secs(3600);
/// Between two looks at what is to come.
const LOOK: Duration = Duration::from_millis(50);
/// Nodes that keep a value, where there are as many.
const HOLDERS: usize = 8;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let count = numbers.next().transpose()?.unwrap_or(60);
    let values = numbers.next().transpose()?.unwrap_or(20);

    let began = Instant::now();
    let first = Node::start(NetworkConfig::loopback()).await?;
    let bootstrap_nodes = vec![first.listen_addresses()[0].to_string()];
    let mut nodes = vec![first];
    for _ in 1..count {
        let bootstrap_nodes = bootstrap_nodes.clone();
        nodes.push(
            Node::start(NetworkConfig { bootstrap_nodes, ..NetworkConfig::loopback() }).await?,
        );
    }
    let started = began.elapsed();

    // The last one stores, as soon as it knows some: it is a stranger to most.
    let mut looks = interval(LOOK);
    while nodes[count - 1].dht_get_stats().await?.total_nodes < HOLDERS.min(count - 1) {
        looks.tick().await;
    }
    let joined = began.elapsed();
    let mut fewest = usize::MAX;
    for n in 0..values {
        let stored = nodes[count - 1].dht_store(&format!("key {n}"), &n, HOUR).await?;
        fewest = fewest.min(stored.holders.len());
    }
    let stored = began.elapsed();

    let mut readers = JoinSet::new();
    for node in &nodes[..count - 1] {
        let node = node.clone();
        readers.spawn(async move {
            let (mut again, mut longest) = (0, Duration::ZERO);
            let mut looks = interval(LOOK);
            for n in 0..values {
                let asked = Instant::now();
                while node.dht_retrieve::<usize>(&format!("key {n}")).await? != Some(n) {
                    again += 1;
                    looks.tick().await;
                }
                longest = longest.max(asked.elapsed());
            }
            Ok::<_, DhtError>((again, longest))
        });
    }
    let (mut again, mut longest) = (0, Duration::ZERO);
    while let Some(reader) = readers.join_next().await {
        let (times, time) = reader??;
        again += times;
        longest = longest.max(time);
    }
    let read = began.elapsed();
    println!("{count} nodes started after {started:.2?}");
    println!("the last one knew {} of them after {joined:.2?}", HOLDERS.min(count - 1));
    println!("{values} values stored after {stored:.2?}, each by {fewest} others at least");
    println!("{} reads done after {read:.2?}", values * (count - 1));
    println!("{again} had to be asked again; the longest took {longest:.2?}");
    for node in &nodes {
        node.shutdown().await?;
    }
    Ok(())
}
