//! A node in a process of its own, and what that process takes of the machine (Linux).

use std::{
    error::Error,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use positron_admin::{ApiPort, Server, Surroundings, Token};
use positron_networking::{NetworkConfig, Node};

/// What makes this program such a node.
pub(crate) const ARGUMENT: &str = "node";
/// How long each ban of [`NodeProcess::make_events`] lasts.
const BANNED: Duration = Duration::from_secs(3600);

pub(crate) struct NodeProcess {
    child: Child,
    orders: Option<ChildStdin>,
    /// Where the API is.
    pub(crate) api: SocketAddr,
    /// Where other nodes reach it.
    pub(crate) address: String,
    pub(crate) bearer: String,
}

impl NodeProcess {
    pub(crate) fn start() -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (orders, told) = (child.stdin.take(), child.stdout.take());
        let mut line = String::new();
        BufReader::new(told.ok_or("a pipe")?).read_line(&mut line)?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let [api, address, token] = words[..] else { return Err("the node did not start".into()) };
        let (address, bearer) = (address.into(), format!("Bearer {token}"));
        Ok(Self { child, orders, api: api.parse()?, address, bearer })
    }

    /// So many events happen there.
    pub(crate) fn make_events(&mut self, count: u64) -> std::io::Result<()> {
        self.orders.as_mut().map_or(Ok(()), |orders| writeln!(orders, "{count}"))
    }

    /// Bytes of its memory.
    pub(crate) fn resident(&self) -> Result<u64, Box<dyn Error>> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()).ok_or("no VmRSS")?;
        Ok(kib.parse::<u64>()? * 1024)
    }

    /// How long it had a processor so far: all its threads together.
    pub(crate) fn cpu(&self) -> Result<Duration, Box<dyn Error>> {
        let mut nanos = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let told = fs::read_to_string(task?.path().join("schedstat"))?;
            nanos += told.split_whitespace().next().ok_or("no schedstat")?.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanos))
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        // It ends when its input does.
        drop(self.orders.take());
        let _ = self.child.wait();
    }
}

/// The other process: says where it is, and makes as many events as each line of its input says.
pub(crate) async fn be() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let config = NetworkConfig { min_peers: 0, ..NetworkConfig::loopback() };
    let node = Node::start(config).await?;
    let mut server = Server::new(node.clone(), Surroundings::default());
    let port = ApiPort::bind("127.0.0.1:0".parse()?, false).await?;
    let api = server.listen_at(port, folder.path())?;
    let token = Token::of(folder.path())?;
    println!("{api} {} {}", node.listen_addresses()[0], token.reveal());
    let (orders, mut made) = tokio::sync::mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let count: u64 = line.parse().unwrap_or(0);
            if orders.blocking_send(count).is_err() {
                return;
            }
        }
    });
    while let Some(count) = made.recv().await {
        for nth in 0..count {
            let address = format!("203.0.113.{}", nth % 256);
            let why = "r".repeat(200);
            node.ban_address(address.parse()?, &why, BANNED).await?;
        }
    }
    server.close().await;
    node.shutdown().await?;
    Ok(())
}
