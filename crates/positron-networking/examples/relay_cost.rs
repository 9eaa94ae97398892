//! What forwarding costs a relay, and how close its rates come to what they should be: nodes on
//! this machine that know each other only through one, over real sockets, with streams as fast as
//! they can be. The relay has a thread of its own, whose processor time is what is told; what it
//! took before anything was forwarded is left out.
//!
//! ```text
//! cargo run --release -p positron-networking --example relay_cost -- 30
//! ```
//!
//! measures for 30 seconds in each of three networks: one pair, one node with eight others, and
//! twelve nodes with four others each. Datagrams of loopback may be as large as 16 KiB; in a
//! network of its own they are as they are on the internet:
//!
//! ```text
//! unshare -n sh -c 'ip link set lo mtu 1500 up; target/release/examples/relay_cost 30'
//! ```

use std::{
    error::Error,
    thread,
    time::{Duration, Instant},
};

use positron_networking::{
    NetworkConfig, Node, NodeId, TransportPolicy,
    metrics::{ByPeer, MetricsFormat},
};
use positron_proto::limits;
use rustix::time::{ClockId, clock_gettime};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    runtime::Builder,
    sync::{mpsc, oneshot},
    time::sleep,
};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How long the burst of all may take, and nodes to find each other.
const WARM_UP: Duration = Duration::from_secs(10);
/// Bytes that a packet of a relayed stream is said to have, for the price of one: what fits into a
/// datagram that every path takes.
const PACKET: u64 = 1_200;

/// Who speaks through the relay, and how fast that should be.
struct Network {
    name: &'static str,
    openers: usize,
    readers: usize,
    cap: u64,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let seconds = std::env::args().nth(1).map_or(Ok(30), |given| given.parse())?;
    let window = Duration::from_secs(seconds);
    let networks = [
        Network { name: "a pair", openers: 1, readers: 1, cap: limits::RELAY_RATE_PAIR },
        Network { name: "a peer", openers: 1, readers: 8, cap: limits::RELAY_RATE_PEER },
        Network { name: "all", openers: 12, readers: 4, cap: limits::RELAY_RATE_ALL },
    ];
    println!("cap of     allowed   measured      off  datagrams in,    out    CPU  {PACKET} bytes");
    for network in networks {
        measure(&network, window).await?;
    }
    Ok(())
}

/// What the relay has done.
#[derive(Clone, Copy)]
struct Reading {
    at: Instant,
    cpu: Duration,
    forwarded: f64,
    datagrams_in: u64,
    datagrams_out: u64,
}

/// A node on a thread of its own, which reads its meter when it is asked.
struct Relay {
    address: String,
    id: NodeId,
    read: mpsc::Sender<oneshot::Sender<Reading>>,
}

impl Relay {
    async fn start() -> Outcome<Self> {
        let (read, mut asked) = mpsc::channel::<oneshot::Sender<Reading>>(1);
        let (started, address) = oneshot::channel();
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let node = Node::start(config()).await.unwrap();
                let _ = started.send((node.listen_addresses()[0].to_string(), node.id()));
                while let Some(reply) = asked.recv().await {
                    let _ = reply.send(Reading::of(&node));
                }
            });
        });
        let (address, id) = address.await?;
        Ok(Self { address, id, read })
    }

    async fn reading(&self) -> Outcome<Reading> {
        let (reply, reading) = oneshot::channel();
        self.read.send(reply).await?;
        Ok(reading.await?)
    }
}

impl Reading {
    /// On the thread of the node.
    fn of(node: &Node) -> Self {
        let spent = clock_gettime(ClockId::ThreadCPUTime);
        let cpu = Duration::from_secs(spent.tv_sec.unsigned_abs())
            + Duration::from_nanos(spent.tv_nsec.unsigned_abs());
        let text = node.metrics(MetricsFormat::Text, ByPeer::Without);
        let number = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).expect("a metric");
            line.rsplit_once(' ')
                .and_then(|(_, value)| value.parse::<f64>().ok())
                .expect("a number")
        };
        let counters = node.stats().datagrams.counters;
        Self {
            at: Instant::now(),
            cpu,
            forwarded: number("positron_relay_forwarded_bytes_total"),
            datagrams_in: counters.datagrams_received,
            datagrams_out: counters.datagrams_sent,
        }
    }
}

fn config() -> NetworkConfig {
    // All of them are on one machine, or behind one relay.
    let (transport, max_peers_per_address) = (TransportPolicy::Udp, 64);
    NetworkConfig { transport, max_peers_per_address, ..NetworkConfig::loopback() }
}

async fn measure(network: &Network, window: Duration) -> Outcome<()> {
    let relay = Relay::start().await?;
    let hidden = || NetworkConfig {
        relay_only: true,
        bootstrap_nodes: vec![relay.address.clone()],
        ..config()
    };
    let (mut openers, mut readers) = (Vec::new(), Vec::new());
    for (nodes, count) in [(&mut openers, network.openers), (&mut readers, network.readers)] {
        for _ in 0..count {
            let node = Node::start(hidden()).await?;
            linked(&node, relay.id).await?;
            nodes.push(node);
        }
    }
    for reader in readers.clone() {
        tokio::spawn(async move {
            while let Some(mut stream) = reader.accept_stream().await {
                tokio::spawn(async move {
                    let mut buffer = vec![0; 64 * 1024];
                    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
                });
            }
        });
    }
    let (idle_from, ()) = (relay.reading().await?, sleep(WARM_UP).await);
    let idle_to = relay.reading().await?;
    let pairs = || openers.iter().flat_map(|one| readers.iter().map(move |it| (one, it)));
    for (opener, reader) in pairs() {
        linked(opener, reader.id()).await?;
    }
    for (opener, reader) in pairs() {
        let mut stream = opener.open_stream(reader.id()).await?;
        tokio::spawn(async move {
            let chunk = vec![7; 64 * 1024];
            while stream.write_all(&chunk).await.is_ok() {}
        });
    }
    sleep(WARM_UP).await;
    let from = relay.reading().await?;
    sleep(window).await;
    let to = relay.reading().await?;
    tell(network, [idle_from, idle_to], [from, to]);
    for node in openers.iter().chain(&readers) {
        node.shutdown().await?;
    }
    Ok(())
}

/// Until a node is linked with another, which it may have to find first.
async fn linked(node: &Node, with: NodeId) -> Outcome<()> {
    let began = Instant::now();
    while let Err(why) = node.request_peer_connection(with).await {
        if began.elapsed() > WARM_UP {
            return Err(format!("{} with {}: {why}", node.id(), with).into());
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn tell(network: &Network, idle: [Reading; 2], busy: [Reading; 2]) {
    let seconds = |[from, to]: [Reading; 2]| (to.at - from.at).as_secs_f64();
    let spent = |[from, to]: [Reading; 2]| (to.cpu - from.cpu).as_secs_f64();
    let [from, to] = busy;
    let took = seconds(busy);
    let rate = (to.forwarded - from.forwarded) / took;
    let [datagrams_in, datagrams_out] =
        [to.datagrams_in - from.datagrams_in, to.datagrams_out - from.datagrams_out]
            .map(|datagrams| datagrams as f64 / took);
    let cpu = spent(busy) / took - spent(idle) / seconds(idle);
    let packet = cpu / rate * PACKET as f64 * 1e6;
    println!(
        "{:<8} {:>9} {rate:>10.0} {:>+6.1} % {datagrams_in:>13.0} {datagrams_out:>7.0} \
         {:>5.2} % {packet:>8.1} µs",
        network.name,
        network.cap,
        (rate / network.cap as f64 - 1.0) * 100.0,
        cpu * 100.0,
    );
}
