//! Nodes that do nothing but gossip, and what it costs: the same seed makes the same run, whatever
//! of the node is compiled out. `.ci/watching` compares two builds of it.
//!
//! ```text
//! cargo run --release -p positron-sim --example gossip -- 50 3000 1
//! ```

use positron_proto::time::Duration;
use positron_sim::{Scenario, run};

/// Nanoseconds that this process had a processor (Linux; it has one thread).
fn cpu_ns() -> Option<u64> {
    let told = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    told.split_whitespace().next()?.parse().ok()
}

fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse().expect("a number"));
    let nodes = args.next().unwrap_or(50);
    let broadcasts = args.next().unwrap_or(3_000);
    let seed = args.next().unwrap_or(1);
    let secs = Duration::from_secs;
    let nodes = usize::try_from(nodes).expect("so many nodes");
    let broadcasts = u32::try_from(broadcasts).expect("so many broadcasts");
    let story = Scenario::quiet("gossip", nodes, secs(70));
    let story = story.broadcasts(broadcasts, 256, secs(10), secs(60));
    let before = cpu_ns().unwrap_or_default();
    let report = run(&story, seed);
    let cpu = cpu_ns().unwrap_or_default() - before;
    report.expect_ok();
    assert_eq!(report.deliveries, report.expected_deliveries, "everybody has everything");
    println!("run_hash {}", report.run_hash);
    println!("deliveries {}", report.deliveries);
    println!("cpu_ns {cpu}");
    println!("cpu_ns_a_delivery {}", cpu / report.deliveries.max(1));
}
