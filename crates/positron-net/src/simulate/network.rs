//! Nodes on loopback, in one process, with data folders that go away with them.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use positron_networking::{NetworkConfig, Node, NodeId, StartError, TransportPolicy};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::failure::{Exit, Failure};

/// Nodes in one process: each has its database, its port and its threads.
pub(crate) const MAX_NODES: usize = 1000;
/// Nodes that the others begin with.
const BOOTSTRAP_NODES: usize = 3;
/// How long stopping may take.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the network is looked at while it grows together.
const LOOK: Duration = Duration::from_millis(20);

/// Which nodes to start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nodes {
    /// How many.
    pub count: usize,
    /// The port of the first, below those of the others; none: free ones.
    pub base_port: Option<u16>,
    /// What their links may be made of.
    pub transport: TransportPolicy,
}

/// A network of its own name, so that two of them never mix.
#[derive(Debug)]
pub(crate) struct LocalNetwork {
    nodes: Vec<Node>,
    /// As each was started.
    configs: Vec<NetworkConfig>,
    folder: TempDir,
}

impl LocalNetwork {
    /// A folder for `start`, removed when the network is gone.
    pub(crate) fn folder() -> Result<TempDir, Failure> {
        tempfile::Builder::new().prefix("positron-simulate-").tempdir().map_err(|error| {
            Failure::new(Exit::Storage, "cannot make a temporary folder")
                .because(error)
                .try_this("make room there, or name another place with TMPDIR")
        })
    }

    /// Starts nodes on 127.0.0.1, or on ::1 where there is IPv6 alone.
    ///
    /// The first is the bootstrap node of the next two, and these three of all others.
    pub(crate) async fn start(which: Nodes, folder: TempDir) -> Result<Self, Failure> {
        let count = which.count;
        let (nodes, configs) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let mut network = Self { nodes, configs, folder };
        let mut started = Ok(());
        while started.is_ok() && network.nodes.len() < count {
            let here = network.nodes.len();
            let end = if here == 0 { 1 } else { BOOTSTRAP_NODES.max(here + 1) };
            let end = if here < BOOTSTRAP_NODES { end.min(count) } else { count };
            started = network.start_more(end, which).await;
        }
        match started {
            Ok(()) => Ok(network),
            Err(failure) => {
                network.shutdown().await;
                Err(failure)
            }
        }
    }

    async fn start_more(&mut self, end: usize, which: Nodes) -> Result<(), Failure> {
        let addresses = self.nodes.iter().take(BOOTSTRAP_NODES).flat_map(|node| {
            node.listen_addresses().iter().map(ToString::to_string).collect::<Vec<_>>()
        });
        let bootstrap_nodes: Vec<String> = addresses.collect();
        let host = loopback().to_string();
        let mut starting = JoinSet::new();
        for index in self.nodes.len()..end {
            let config = NetworkConfig {
                host: host.clone(),
                network: format!("simulation-{}", std::process::id()),
                port: port_of(index, which.base_port)?,
                transport: which.transport,
                bootstrap_nodes: bootstrap_nodes.clone(),
                data_dir: Some(self.folder.path().join(format!("node-{index}"))),
                ..NetworkConfig::loopback()
            };
            starting.spawn(async move { (index, Node::start(config.clone()).await, config) });
        }
        let mut failure = None;
        let mut started = BTreeMap::new();
        while let Some(joined) = starting.join_next().await {
            match joined {
                Ok((index, Ok(node), config)) => {
                    started.insert(index, (node, config));
                }
                Ok((index, Err(error), _)) => failure = Some(not_started(index, which, &error)),
                Err(error) => {
                    let what = "a node broke down at its start";
                    failure = Some(Failure::new(Exit::Internal, what).because(error));
                }
            }
        }
        for (node, config) in started.into_values() {
            self.nodes.push(node);
            self.configs.push(config);
        }
        failure.map_or(Ok(()), Err)
    }

    /// Starts a node that was shut down anew: with its key, its database and its port.
    pub(crate) async fn start_again(&mut self, index: usize) -> Result<&Node, StartError> {
        let port = self.nodes[index].listen_addresses().first().map_or(0, SocketAddr::port);
        let config = NetworkConfig { port, ..self.configs[index].clone() };
        self.nodes[index] = Node::start(config).await?;
        Ok(&self.nodes[index])
    }

    /// The nodes, in the order of their names.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Waits until every node is connected with every other, by way of others, or no other one was
    /// for as long as `patience`. Tells how many are, also on the way.
    pub(crate) async fn grow_together(&self, patience: Duration, tell: impl Fn(usize)) -> usize {
        let (mut most, mut since) = (0, Instant::now());
        loop {
            let looked = Instant::now();
            let connected = self.connected();
            if connected > most {
                (most, since) = (connected, looked);
                tell(connected);
            }
            if connected == self.nodes.len() || since.elapsed() >= patience {
                return connected;
            }
            // Looking at many nodes takes a while, and they are to have the processor.
            tokio::time::sleep(LOOK.max(looked.elapsed() * 10)).await;
        }
    }

    /// How many nodes hang together with the first, itself included.
    pub(crate) fn connected(&self) -> usize {
        let peers: Vec<Vec<NodeId>> = self
            .nodes
            .iter()
            .map(|node| node.stats().peers.iter().map(|peer| peer.node_id).collect())
            .collect();
        let ids: Vec<NodeId> = self.nodes.iter().map(Node::id).collect();
        reachable(&ids, &peers)
    }

    /// Stops all nodes and removes their data.
    pub(crate) async fn shutdown(self) {
        let mut stopping = JoinSet::new();
        for node in self.nodes {
            stopping.spawn(async move {
                if let Err(error) = node.shutdown().await {
                    tracing::warn!(%error, "a node did not stop well");
                }
            });
        }
        let all = async { while stopping.join_next().await.is_some() {} };
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, all).await.is_err() {
            tracing::warn!("not every node stopped in time");
        }
        let path = self.folder.path().to_owned();
        if let Err(error) = self.folder.close() {
            tracing::warn!(%error, path = %path.display(), "cannot remove the temporary folder");
        }
    }
}

/// The loopback address that this machine has; IPv4 if it has both.
fn loopback() -> IpAddr {
    let both = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let is_here = |ip: &IpAddr| UdpSocket::bind((*ip, 0)).is_ok();
    // Without either, the first says why no node starts.
    both.into_iter().find(is_here).unwrap_or(both[0])
}

/// A node listens where nobody asked it to: what to change is `--base-port`.
fn not_started(index: usize, which: Nodes, error: &StartError) -> Failure {
    match (error, which.base_port) {
        (StartError::Bind { address, transport, source }, Some(base)) => {
            let what = format!("node {index} cannot listen on {address} ({transport})");
            Failure::new(Exit::Network, what).because(source).try_this(format!(
                "choose another --base-port than {base}, or none: then free ports are taken"
            ))
        }
        _ => crate::service::not_started(error),
    }
}

/// Node 0 listens on the base port, node 1 on the one above, ...
fn port_of(index: usize, base_port: Option<u16>) -> Result<u16, Failure> {
    let Some(base) = base_port.filter(|port| *port != 0) else { return Ok(0) };
    u16::try_from(index).ok().and_then(|index| base.checked_add(index)).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("there are not enough ports above {base}"))
            .because(format!("node {index} would need port {}", usize::from(base) + index))
            .try_this("choose a lower --base-port, or none: then free ports are taken")
    })
}

/// How many nodes can be reached from the first; a link counts if one of its ends knows it.
fn reachable(ids: &[NodeId], peers: &[Vec<NodeId>]) -> usize {
    let index: BTreeMap<&NodeId, usize> = ids.iter().zip(0..).collect();
    let mut links = vec![Vec::new(); ids.len()];
    for (from, list) in peers.iter().enumerate() {
        for to in list.iter().filter_map(|peer| index.get(peer).copied()) {
            links[from].push(to);
            links[to].push(from);
        }
    }
    let mut seen = vec![false; ids.len()];
    let mut open: Vec<usize> = (0..ids.len().min(1)).collect();
    let mut count = 0;
    while let Some(node) = open.pop() {
        if !std::mem::replace(&mut seen[node], true) {
            count += 1;
            open.extend(&links[node]);
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_hangs_together_is_counted_over_links_of_either_end() {
        let ids: Vec<NodeId> = (0..4).map(|n| NodeId::from_bytes([n; 32])).collect();
        let alone = vec![Vec::new(); 4];
        assert_eq!(reachable(&ids, &alone), 1);
        let chain = vec![vec![ids[1]], vec![], vec![ids[1]], vec![]];
        assert_eq!(reachable(&ids, &chain), 3);
        assert_eq!(reachable(&[], &[]), 0);
    }

    #[test]
    fn ports_count_upwards_and_end_at_the_last() {
        assert_eq!(port_of(3, Some(8888)).unwrap(), 8891);
        assert_eq!(port_of(3, None).unwrap(), 0);
        assert_eq!(port_of(1, Some(65_535)).unwrap_err().exit(), Exit::Usage);
    }
}
