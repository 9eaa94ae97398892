//! Plays experiments with gossip and says what came of them beside what was promised.
//!
//! ```text
//! cargo run --release -p positron-sim --example experiments -- 500 quiet 1 --svg quiet.svg
//! ```
//!
//! Arguments are `NODES NAME|all SEED [--json] [--svg FILE]`; `all` are those of gossip. How far it
//! is stands on standard error. On standard output is a table, or with `--json` an array of all
//! that was measured. `--svg` draws how broadcasts spread in each experiment. The exit code is 0 if
//! everything is as was promised, 1 if not, and 2 if the arguments are wrong, or name a file that
//! cannot be written.

mod bar;
mod chart;
mod order;
mod table;

use std::{
    fs::{self, File},
    process::ExitCode,
};

use positron_sim::experiments::{self, Findings};

use crate::{bar::Bar, order::Order};

fn main() -> ExitCode {
    match Order::parse(std::env::args().skip(1)) {
        Ok(order) => carry_out(&order),
        Err(wrong) => {
            eprintln!("{wrong}\n\n{}", order::usage());
            ExitCode::from(2)
        }
    }
}

fn play(name: &str, order: &Order) -> Findings {
    if name == experiments::REPUTATION {
        let mut bar = Bar::new(name);
        let found = experiments::reputation(order.nodes).play(order.seed, |what, at| match at {
            Some(progress) => bar.show(progress),
            None => eprintln!("{name:12} {what}"),
        });
        bar.end();
        return found;
    }
    let Some(experiment) = experiments::named(name, order.nodes) else {
        return experiments::eclipse(order.nodes).play(order.seed, |attack, restarts| {
            eprintln!("{name:12} attack {}: {restarts} restarts", attack + 1);
        });
    };
    let mut bar = Bar::new(name);
    let found = experiment.play(order.seed, |progress| bar.show(progress));
    bar.end();
    found
}

fn carry_out(order: &Order) -> ExitCode {
    // A chart that has no place is found out now, and not in an hour.
    if let Some(file) = &order.svg
        && let Err(error) = File::create(file)
    {
        eprintln!("{}: {error}", file.display());
        return ExitCode::from(2);
    }
    let mut all = Vec::new();
    for name in &order.names {
        let found = play(name, order);
        if !order.json {
            println!("{}", table::of(&found));
        }
        all.push(found);
    }
    if order.json {
        println!("{}", serde_json::to_string_pretty(&all).expect("findings are plain data"));
    }
    if let Some(file) = &order.svg
        && let Err(error) = fs::write(file, chart::of(&all))
    {
        eprintln!("{}: {error}", file.display());
        return ExitCode::FAILURE;
    }
    if all.iter().all(Findings::is_met) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
