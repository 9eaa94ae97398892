//! What a scrape costs a node that knows a thousand peers, has as many links as it allows, and is
//! spoken to by a peer with a valid identity that invents types, peers, versions and texts.
//!
//! Reports times and judges none, because they are those of this machine. It fails if peers made a
//! series, or there are more of them, or more bytes, than there may be. With `--text FILE` it
//! leaves the last text there.
//!
//! ```text
//! cargo run --release -p positron-networking --example scrape
//! ```

#[allow(dead_code)] // whoever floods uses the rest
#[path = "../hostile_peer/attack.rs"]
mod attack;
mod book;
#[allow(dead_code)]
#[path = "../hostile_peer/hostile.rs"]
mod hostile;
mod linked;

use std::{
    collections::BTreeSet,
    error::Error,
    path::PathBuf,
    time::{Duration, Instant},
};

use attack::Attack;
use book::fill_book;
use hostile::{Hostile, Mind};
use linked::{Linked, be_linked};
use positron_networking::{
    NetworkConfig, Node,
    limits::MAX_SERIES,
    metrics::{ByPeer, MetricsFormat},
};
use tokio::time::{interval, timeout};

const KNOWN: u16 = 1_000;
/// As many as a node allows, but for the hostile one.
const LINKED: usize = 49;
const SCRAPES: usize = 200;
/// Between two scrapes. All of them are about as long as a node bears with a flood.
const PACE: Duration = Duration::from_millis(50);
/// Longest wait for the hostile peer to be noticed.
const DEADLINE: Duration = Duration::from_secs(60);
/// What a text may have.
const MAX_BYTES: usize = 64 * 1024;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("linked") => {
            let count = args.next().ok_or("how many")?.parse()?;
            be_linked(count, &args.next().ok_or("to whom")?).await
        }
        Some("--text") => measure(Some(args.next().ok_or("--text FILE")?.into())).await,
        _ => measure(None).await,
    }
}

async fn measure(text_file: Option<PathBuf>) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    fill_book(folder.path(), KNOWN).await?;
    let config = NetworkConfig {
        data_dir: Some(folder.path().into()),
        min_peers: 0,
        ..NetworkConfig::loopback()
    };
    let node = Node::start(config).await?;
    let first = scrape(&node).0;
    let before = series(&first)?;
    let address = node.listen_addresses()[0];
    let linked = Linked::start(LINKED, &address.to_string())?;
    let honest = vec![node.id()];
    let mind = move || Mind::new(address, Attack::Inventions, honest, (0, 0));
    let hostile = Hostile::start(tokio::task::spawn_blocking(mind).await?);
    let mut pace = interval(PACE);
    timeout(DEADLINE, async {
        while node.stats().node.unknown_types == 0 {
            pace.tick().await;
        }
    })
    .await
    .map_err(|_| "nobody heard the hostile peer")?;
    let (mut times, mut last) = (Vec::with_capacity(SCRAPES), String::new());
    for _ in 0..SCRAPES {
        pace.tick().await;
        let (text, took) = scrape(&node);
        let now = series(&text)?;
        if let Some(new) = now.symmetric_difference(&before).next() {
            return Err(format!("{new} came or went, and nothing that peers do may do that").into());
        }
        times.push(took);
        last = text;
    }
    let deeds = hostile.stop();
    let stats = node.stats_now().await;
    times.sort_unstable();
    let at = |part: usize| times[(times.len() * part).div_ceil(100) - 1];
    println!("{} peers are known, {} linked", stats.known_peers, stats.active_peers);
    println!("the hostile peer said {} messages in {} sessions", deeds.messages, deeds.sessions);
    println!("{} series, {} bytes, in each of {SCRAPES} scrapes", before.len(), last.len());
    println!("a scrape takes {:?}; p99 {:?}; longest {:?}", at(50), at(99), at(100));
    if let Some(file) = text_file {
        std::fs::write(file, last)?;
    }
    drop(linked);
    node.shutdown().await?;
    Ok(())
}

/// The text, and how long it took.
fn scrape(node: &Node) -> (String, Duration) {
    let began = Instant::now();
    let text = node.metrics(MetricsFormat::Text, ByPeer::Without);
    (text, began.elapsed())
}

/// The names in a text, with their labels: no more than there may be.
fn series(text: &str) -> Result<BTreeSet<&str>, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("{} bytes", text.len()));
    }
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let all: BTreeSet<_> = lines.filter_map(|line| Some(line.rsplit_once(' ')?.0)).collect();
    match all.len() {
        0 => Err("there are no series".into()),
        count if count > MAX_SERIES => Err(format!("{count} series")),
        _ => Ok(all),
    }
}
