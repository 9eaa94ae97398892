//! What one hostile peer with a valid identity costs the others: honest nodes talk to each other
//! on real sockets, first in peace and then while a neighbour of one of them says as much as its
//! link takes.
//!
//! Reports and judges nothing, because the numbers are those of this machine, with all nodes and
//! the hostile peer on it; a ratio compares two times of one run. `--check` judges, and no time:
//! everything honest must arrive, and whoever only makes work must be sent away.
//!
//! ```text
//! cargo run --release -p positron-networking --example hostile_peer
//! cargo run --release -p positron-networking --example hostile_peer -- --rounds 3 --json lists
//! ```

mod attack;
mod hostile;
mod network;
mod report;

use std::{error::Error, time::Duration};

use attack::Attack;
use hostile::{Hostile, Mind};
use network::Honest;
use report::{Latency, Report, Round};
use tokio::task::spawn_blocking;

/// How long the honest nodes talk in peace, and under an attack that nobody ends: longer than a
/// node bears with a flood ([`WORK_PATIENCE`](positron_proto::limits::WORK_PATIENCE)).
const CALM: Duration = Duration::from_secs(4);
const ATTACKED: Duration = Duration::from_secs(14);
/// What is said in this time after an attack began counts as attacked even if it ended before: what
/// it left behind is to be seen.
const AFTERMATH: Duration = Duration::from_secs(2);
/// Messages and bytes that it signs before all that, about as much as it gets rid of.
const SIGNED: (usize, usize) = (300_000, 128 << 20);
/// The same for a check. Who is to be sent away has a minute for it, so that a busy machine is no
/// reason to fail.
const CHECK_CALM: Duration = Duration::from_millis(500);
const CHECK_ATTACKED: Duration = Duration::from_secs(3);
const CHECK_SIGNED: (usize, usize) = (10_000, 8 << 20);
const CHECK_PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::read(std::env::args().skip(1))?;
    let mut reports: Vec<Report> = options.attacks.iter().copied().map(Report::new).collect();
    if !options.json {
        println!("{}", Report::HEADER);
    }
    // Round by round, so that what else the machine does hits all of them.
    for _ in 0..options.rounds {
        for report in &mut reports {
            let round = round(report.attack, options.check).await?;
            if !options.json {
                println!("{}", report.line(&round));
            }
            if options.check {
                round.check(report.attack)?;
            }
            report.rounds.push(round);
        }
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&reports)?);
    } else if options.rounds > 1 {
        println!("\nmedians of {} rounds:", options.rounds);
        reports.iter().for_each(|report| println!("{}", report.line(&report.median())));
    }
    Ok(())
}

/// Peace and then an attack, among nodes that were never attacked before.
async fn round(attack: Attack, check: bool) -> Result<Round, Box<dyn Error>> {
    let (calm, attacked) = if check { (CHECK_CALM, CHECK_ATTACKED) } else { (CALM, ATTACKED) };
    let signed = if check { CHECK_SIGNED } else { SIGNED };
    let honest = Honest::start().await?;
    let (target, ids) = (honest.target(), honest.ids());
    let mind = spawn_blocking(move || Mind::new(target, attack, ids, signed)).await?;
    let ready = honest.elapsed();
    honest.talk_for(calm).await;
    let began = honest.elapsed();
    let hostile = Hostile::start(mind);
    let longest = if check && attack.is_to_end() { CHECK_PATIENCE } else { attacked };
    honest.talk_until(longest, || attack.is_to_end() && hostile.is_out()).await;
    let ended = honest.elapsed();
    let deeds = hostile.stop();
    let deliveries = honest.finish().await?;
    let lasted = deeds.lasted.map(|lasted| lasted.max(AFTERMATH));
    let until = lasted.map_or(ended, |lasted| (began + lasted).min(ended));
    Ok(Round {
        calm: Latency::of(deliveries.sent_within(ready..began)),
        attacked: Latency::of(deliveries.sent_within(began..until)),
        lost: deliveries.lost(),
        bytes_per_second: deeds.per_second(deeds.bytes),
        messages_per_second: deeds.per_second(deeds.messages),
        sessions: deeds.sessions,
        lasted: deeds.lasted,
        dropped: deeds.dropped,
    })
}

struct Options {
    attacks: Vec<Attack>,
    rounds: usize,
    json: bool,
    check: bool,
}

impl Options {
    fn read(mut args: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut options = Self { attacks: Vec::new(), rounds: 1, json: false, check: false };
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--rounds" => options.rounds = args.next().ok_or("--rounds N")?.parse()?,
                "--json" => options.json = true,
                "--check" => options.check = true,
                name => options.attacks.push(Attack::named(name).ok_or_else(|| {
                    let known = Attack::ALL.map(Attack::name).join(", ");
                    format!("{name} is no attack and no option: {known}; --rounds, --json, --check")
                })?),
            }
        }
        if options.attacks.is_empty() {
            options.attacks = Attack::ALL.into();
        }
        Ok(options)
    }
}
