//! What clients of the API cost a node that lives in a process of its own, with its doors open.
//!
//! - `listeners MINUTES EVENTS`: nobody and 16 listen to events in turn for half of the time,
//!   and then, of 16, one reads nothing for that time, in which so many events pass. Fails if the
//!   memory of the node grows by more than 16 MiB.
//! - `strangers SECONDS`: a thousand connections that say little, show wrong tokens, or come from
//!   pages and names of somebody else. Fails if one of them is given any data, or the owner is not.
//!
//! Reports times and judges none, because they are those of this machine.
//!
//! ```text
//! cargo run --release -p positron-admin --example load -- listeners 10 100000
//! cargo run --release -p positron-admin --example load -- strangers 30
//! ```

mod listeners;
mod node_process;
mod strangers;

use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        [node_process::ARGUMENT] => node_process::be().await,
        ["listeners", minutes, events] => listeners::run(minutes.parse()?, events.parse()?).await,
        ["strangers", seconds] => strangers::run(seconds.parse()?).await,
        _ => Err("usage: load listeners MINUTES EVENTS | strangers SECONDS".into()),
    }
}
