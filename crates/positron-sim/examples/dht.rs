//! Plays a story of many hash tables and says what came of it, how long it took, and how much
//! memory there was for each node, what carries its questions included.
//!
//! ```text
//! cargo run --release -p positron-sim --example dht -- 10000 quiet 1
//! ```

use positron_sim::dht::{DhtScenario, play};

/// The most bytes that this process had in memory, where the system tells it (Linux).
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

fn main() {
    let mut args = std::env::args().skip(1);
    let nodes = args.next().and_then(|arg| arg.parse().ok()).unwrap_or(1_000);
    let name = args.next().unwrap_or_else(|| "quiet".into());
    let seed = args.next().and_then(|arg| arg.parse().ok()).unwrap_or(1);
    let scenario = DhtScenario::named(&name, nodes)
        .unwrap_or_else(|| panic!("{name}? one of {}", DhtScenario::NAMES.join(", ")));
    let start = std::time::Instant::now();
    let report = play(&scenario, seed);
    println!("{name} of {nodes} nodes, seed {seed}\n{report}");
    let each = resident().map(|bytes| bytes / nodes as u64 / 1024);
    eprintln!("{:.1?}, {each:?} KiB a node", start.elapsed());
}
