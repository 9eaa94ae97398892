//! Plays a story of many hash tables and says what came of it.
//!
//! ```text
//! cargo run --release -p positron-sim --example dht -- 10000 quiet 1
//! ```

use positron_proto::time::Duration;
use positron_sim::dht::{DhtScenario, Hostility, play};

const STORIES: &str = "quiet, frozen, crash, churn, hostile-20, hostile-30, hostile-50, replay";

fn main() {
    let mut args = std::env::args().skip(1);
    let nodes = args.next().and_then(|arg| arg.parse().ok()).unwrap_or(1_000);
    let name = args.next().unwrap_or_else(|| "quiet".into());
    let seed = args.next().and_then(|arg| arg.parse().ok()).unwrap_or(1);
    let quiet = DhtScenario::quiet("quiet", nodes);
    let hostile = |part| DhtScenario { name: "hostile", hostile: part, ..quiet.clone() };
    let scenario = match name.as_str() {
        "quiet" => quiet.clone(),
        "frozen" => DhtScenario { name: "frozen", frozen: 0.3, ..quiet.clone() },
        "crash" => DhtScenario { name: "crash", crashed: 0.1, ..quiet.clone() },
        "churn" => DhtScenario {
            name: "churn",
            churn: 0.2,
            crashed: 0.1,
            age: Duration::from_secs(3600),
            ..quiet.clone()
        },
        "hostile-20" => hostile(0.2),
        "hostile-30" => hostile(0.3),
        "hostile-50" => hostile(0.5),
        "replay" => DhtScenario { hostility: Hostility::Replay, ..hostile(0.3) },
        _ => panic!("{name}? one of {STORIES}"),
    };
    let start = std::time::Instant::now();
    let report = play(&scenario, seed);
    println!("{} of {nodes} nodes, seed {seed}\n{report}", scenario.name);
    eprintln!("{:.1?}", start.elapsed());
}
