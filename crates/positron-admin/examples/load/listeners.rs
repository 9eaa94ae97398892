//! Somebody who listens to events and stops reading.

use std::{
    error::Error,
    fmt,
    time::{Duration, Instant},
};

use positron_admin::limits::MAX_LISTENERS;
use positron_networking::{Inbox, NetworkConfig, Node};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::node_process::NodeProcess;

/// Events that fill the ring before anything is measured.
const FIRST: u64 = 8_192;
/// What the memory of the node may grow by.
const MAX_GROWTH: u64 = 16 << 20;
/// Between two broadcasts, and two portions of events.
const PACE: Duration = Duration::from_millis(50);
/// Longest wait for what is to come.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) async fn run(minutes: f64, events: u64) -> Result<(), Box<dyn Error>> {
    let mut node = NodeProcess::start()?;
    let mut talk = Talk::start(&node.address).await?;
    let mut others = JoinSet::new();
    let (stop_all, _) = tokio::sync::watch::channel(());
    for _ in 1..MAX_LISTENERS {
        let mut stopped = stop_all.subscribe();
        let stopped = async move { while stopped.changed().await.is_ok() {} };
        others.spawn(read_until(listen(&node).await?, stopped));
    }
    let (stop_one, stopped) = oneshot::channel::<()>();
    let one = tokio::spawn(read_until(listen(&node).await?, async { drop(stopped.await) }));
    let lasting = Duration::from_secs_f64(minutes * 60.0);
    pass(&mut node, &mut talk, Duration::ZERO, FIRST).await?;
    let all_read = pass(&mut node, &mut talk, lasting / 4, events / 4).await?;
    drop(stop_one);
    // Open, and nobody reads it.
    let (deaf, _) = one.await??;
    let before = node.resident()?;
    let one_stopped = pass(&mut node, &mut talk, lasting, events).await?;
    drop((deaf, stop_all));
    let mut told = Vec::new();
    while let Some(other) = others.join_next().await {
        told.push(other??.1);
    }
    let growth = one_stopped.resident.saturating_sub(before);
    println!("all {MAX_LISTENERS} read: {}", all_read.latency);
    println!("one reads nothing for {lasting:?}, {events} events: {}", one_stopped.latency);
    println!("each of the others read {} events at least", told.iter().min().unwrap_or(&0));
    println!("the node took {before} bytes, and {growth} more at most");
    match growth > MAX_GROWTH {
        true => Err(format!("{growth} bytes are more than {MAX_GROWTH}").into()),
        false => Ok(()),
    }
}

/// What was seen while events passed.
struct Passed {
    latency: Latency,
    /// The most that the node took.
    resident: u64,
}

/// Lets so many events happen over a time, and talks meanwhile.
async fn pass(
    node: &mut NodeProcess,
    talk: &mut Talk,
    lasting: Duration,
    events: u64,
) -> Result<Passed, Box<dyn Error>> {
    let portions = u64::try_from(lasting.as_nanos() / PACE.as_nanos())?.max(16);
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut made, mut took, mut resident) = (0, Vec::new(), 0);
    for portion in 1..=portions {
        pace.tick().await;
        let due = events * portion / portions;
        node.make_events(due - made)?;
        made = due;
        took.push(talk.say_something().await?);
        resident = resident.max(node.resident()?);
    }
    Ok(Passed { latency: Latency::of(took), resident })
}

/// Two nodes that are linked to the one that is watched, and to nobody else: what one broadcasts
/// comes to the other through it.
struct Talk {
    from: Node,
    _to: Node,
    heard: Inbox,
}

impl Talk {
    async fn start(through: &str) -> Result<Self, Box<dyn Error>> {
        let config = NetworkConfig {
            bootstrap_nodes: vec![through.to_owned()],
            max_peers: 1,
            min_peers: 1,
            ..NetworkConfig::loopback()
        };
        let (from, to) = (Node::start(config.clone()).await?, Node::start(config).await?);
        let mut look = interval(Duration::from_millis(10));
        timeout(DEADLINE, async {
            while from.stats().active_peers < 1 || to.stats().active_peers < 1 {
                look.tick().await;
            }
        })
        .await?;
        let heard = to.subscribe();
        Ok(Self { from, _to: to, heard })
    }

    /// How long it took.
    async fn say_something(&mut self) -> Result<Duration, Box<dyn Error>> {
        let began = Instant::now();
        let said = self.from.broadcast(&"x".repeat(128)).await?;
        loop {
            let heard = timeout(DEADLINE, self.heard.recv()).await?.ok_or("the node stopped")?;
            if heard.id == said {
                return Ok(began.elapsed());
            }
        }
    }
}

struct Latency(Vec<Duration>);

impl Latency {
    fn of(mut took: Vec<Duration>) -> Self {
        took.sort_unstable();
        Self(took)
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |part: usize| self.0[(self.0.len() * part).div_ceil(100).saturating_sub(1)];
        let count = self.0.len();
        write!(f, "{count} broadcasts took {:?}, p99 {:?}", at(50), at(99))
    }
}

async fn listen(node: &NodeProcess) -> Result<TcpStream, Box<dyn Error>> {
    let mut stream = TcpStream::connect(node.api).await?;
    let (host, bearer) = (node.api, &node.bearer);
    let head =
        format!("GET /v1/events HTTP/1.1\r\nHost: {host}\r\nAuthorization: {bearer}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut answer = [0; 64];
    let read = stream.read(&mut answer).await?;
    match answer[..read].starts_with(b"HTTP/1.1 200 ") {
        true => Ok(stream),
        false => Err(String::from_utf8_lossy(&answer[..read]).into()),
    }
}

/// Reads until it is to stop: the stream, and how many events there were.
async fn read_until(
    mut stream: TcpStream,
    stop: impl Future<Output = ()>,
) -> std::io::Result<(TcpStream, u64)> {
    let (mut chunk, mut events) = (vec![0; 64 * 1024], 0);
    tokio::pin!(stop);
    loop {
        let read = tokio::select! {
            () = &mut stop => return Ok((stream, events)),
            read = stream.read(&mut chunk) => read?,
        };
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        // Two ends of a line are the end of an event.
        let ends = chunk[..read].windows(2).filter(|pair| *pair == b"\n\n").count();
        events += u64::try_from(ends).unwrap_or(u64::MAX);
    }
}
