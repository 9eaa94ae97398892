//! Plays one story and measures it: time, and memory for each node.
//!
//! ```text
//! cargo run --release -p positron-sim --example measure -- 1000 default 1
//! ```

use positron_sim::{run_with, stories};

/// Bytes of this process in memory, where the system tells it (Linux).
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

fn main() {
    let mut args = std::env::args().skip(1);
    let nodes = args.next().and_then(|arg| arg.parse().ok()).unwrap_or(1_000);
    let name = args.next().unwrap_or_else(|| "default".into());
    let seed = args.next().and_then(|arg| arg.parse().ok()).unwrap_or(1);
    let scenario = stories::named(&name, nodes).expect("a story of that name");
    let (start, before) = (std::time::Instant::now(), resident().unwrap_or(0));
    let mut most = 0;
    let mut report = run_with(&scenario, seed, |progress| {
        most = most.max(resident().unwrap_or(0));
        eprintln!("{:6.1?} {progress:?}", start.elapsed());
    });
    report.wall_s = Some(start.elapsed().as_secs_f64());
    println!("{}", serde_json::to_string_pretty(&report).expect("a report is plain data"));
    let each = most.saturating_sub(before) / nodes as u64 / 1024;
    eprintln!("{} MiB at most, {each} KiB a node", most >> 20);
}
