//! Compares congestion controls over emulated lines ([`positron_sim::bottleneck`]).
//!
//! ```text
//! cargo run --release -p positron-sim --example congestion -- 1
//! ```
//!
//! Arguments are `SEED [CONTROL...]`; without a control all are compared. How far it is stands on
//! standard error, tables on standard output. The exit code is 2 if the arguments are wrong.

use std::process::ExitCode;

use positron_proto::datagram::contract::CongestionAlgorithm;
use positron_sim::bottleneck::tables;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let seed = args.next().and_then(|seed| seed.parse().ok());
    let named =
        |name: String| CongestionAlgorithm::ALL.into_iter().find(|control| control.name() == name);
    let controls: Option<Vec<_>> = args.map(named).collect();
    let (Some(seed), Some(mut controls)) = (seed, controls) else {
        let names = CongestionAlgorithm::ALL.map(CongestionAlgorithm::name).join(", ");
        eprintln!("congestion SEED [CONTROL...], where a control is one of {names}");
        return ExitCode::from(2);
    };
    if controls.is_empty() {
        controls.extend(CongestionAlgorithm::ALL);
    }
    for table in tables(&controls, seed, |row| eprintln!("{row}")) {
        println!("{table}");
    }
    ExitCode::SUCCESS
}
