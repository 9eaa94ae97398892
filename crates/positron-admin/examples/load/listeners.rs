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
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::node_process::NodeProcess;

/// Events that fill the ring before anything is measured.
const FIRST: u64 = 8_192;
/// Times that nobody and everybody listens, in turn, so that what else the machine does is the same
/// for both.
const TURNS: u32 = 6;
/// What the memory of the node may grow by.
const MAX_GROWTH: u64 = 16 << 20;
/// Between two broadcasts, and two portions of events.
const PACE: Duration = Duration::from_millis(50);
/// Longest wait for what is to come.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) async fn run(minutes: f64, events: u64) -> Result<(), Box<dyn Error>> {
    let mut node = NodeProcess::start()?;
    let mut talk = Talk::start(&node.address).await?;
    let lasting = Duration::from_secs_f64(minutes * 60.0);
    pass(&mut node, &mut talk, Duration::ZERO, FIRST).await?;
    let (mut nobody, mut everybody) = (Latency::default(), Latency::default());
    for _ in 0..TURNS {
        let of_turn = events / u64::from(4 * TURNS);
        nobody.add(pass(&mut node, &mut talk, lasting / (4 * TURNS), of_turn).await?);
        let listeners = Listeners::start(&node, MAX_LISTENERS).await?;
        everybody.add(pass(&mut node, &mut talk, lasting / (4 * TURNS), of_turn).await?);
        listeners.stop().await?;
    }
    println!("in turn: nobody listens: {nobody}");
    println!("in turn: {MAX_LISTENERS} listen: {everybody}");
    let listeners = Listeners::start(&node, MAX_LISTENERS - 1).await?;
    // Open, and nobody reads it.
    let deaf = listen(&node).await?;
    let before = node.resident()?;
    let one_stopped = pass(&mut node, &mut talk, lasting, events).await?;
    let growth = one_stopped.resident.saturating_sub(before);
    drop(deaf);
    let told = listeners.stop().await?;
    let mut latency = Latency::default();
    latency.add(one_stopped);
    println!("one reads nothing for {lasting:?}, {events} events: {latency}");
    println!("each of the others read {told} events at least");
    println!("the node took {before} bytes, and {growth} more at most");
    match growth > MAX_GROWTH {
        true => Err(format!("{growth} bytes are more than {MAX_GROWTH}").into()),
        false => Ok(()),
    }
}

/// Those who read all events.
struct Listeners {
    reading: JoinSet<std::io::Result<u64>>,
    stop: watch::Sender<()>,
}

impl Listeners {
    async fn start(node: &NodeProcess, count: usize) -> Result<Self, Box<dyn Error>> {
        let (stop, stopped) = watch::channel(());
        let mut reading = JoinSet::new();
        for _ in 0..count {
            reading.spawn(read_until(listen(node).await?, stopped.clone()));
        }
        Ok(Self { reading, stop })
    }

    /// How many events each of them read at least.
    async fn stop(mut self) -> Result<u64, Box<dyn Error>> {
        drop(self.stop);
        let mut least = u64::MAX;
        while let Some(read) = self.reading.join_next().await {
            least = least.min(read??);
        }
        Ok(least)
    }
}

/// What was seen while events passed.
struct Passed {
    took: Vec<Duration>,
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
    Ok(Passed { took, resident })
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

/// How long broadcasts took.
#[derive(Default)]
struct Latency(Vec<Duration>);

impl Latency {
    fn add(&mut self, passed: Passed) {
        self.0.extend(passed.took);
        self.0.sort_unstable();
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |part: usize| self.0[(self.0.len() * part).div_ceil(100).saturating_sub(1)];
        let count = self.0.len();
        write!(f, "{count} broadcasts took {:?}, p99 {:?}", at(50), at(99))
    }
}

/// One more that listens; there may be a place only when the node has noticed that others left.
async fn listen(node: &NodeProcess) -> Result<TcpStream, Box<dyn Error>> {
    let mut again = interval(Duration::from_millis(10));
    let listening = async {
        loop {
            again.tick().await;
            match ask_for_events(node).await? {
                Ok(stream) => return Ok(stream),
                Err(answer) if answer.starts_with("HTTP/1.1 503 ") => {}
                Err(answer) => return Err(answer.into()),
            }
        }
    };
    timeout(DEADLINE, listening).await?
}

/// The stream of events, or the begin of the answer if there is none.
async fn ask_for_events(node: &NodeProcess) -> std::io::Result<Result<TcpStream, String>> {
    let mut stream = TcpStream::connect(node.api).await?;
    let (host, bearer) = (node.api, &node.bearer);
    let head =
        format!("GET /v1/events HTTP/1.1\r\nHost: {host}\r\nAuthorization: {bearer}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut answer = [0; 64];
    let read = stream.read(&mut answer).await?;
    Ok(match answer[..read].starts_with(b"HTTP/1.1 200 ") {
        true => Ok(stream),
        false => Err(String::from_utf8_lossy(&answer[..read]).into_owned()),
    })
}

/// How many events there were until nobody wants more.
async fn read_until(mut stream: TcpStream, mut stop: watch::Receiver<()>) -> std::io::Result<u64> {
    let (mut chunk, mut events) = (vec![0; 64 * 1024], 0);
    loop {
        let read = tokio::select! {
            _ = stop.changed() => return Ok(events),
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
