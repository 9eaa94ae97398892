//! All rounds of everything.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fs,
    io::{Write as _, stderr, stdout},
    process::Stdio,
    time::Duration,
};

use tokio::process::Command;

use super::{
    connection_kind::ConnectionKind,
    measurement::{Measurement, Readings, Work},
    options::TransportOptions,
    work_report::WorkReport,
};
use crate::conversation::Conversation;

/// Measures all that is asked for, and tells what it came to.
///
/// # Errors
/// A contender does not work, or nobody reads what is told.
pub(crate) async fn measure_all(options: TransportOptions) -> Result<(), Box<dyn Error>> {
    let contenders = options.contenders();
    let works: Vec<_> = Work::ALL.into_iter().filter(|work| options.wants(*work)).collect();
    let mut measured = BTreeMap::<Work, Vec<BTreeMap<ConnectionKind, Readings>>>::new();
    for round in 0..options.rounds {
        for work in &works {
            let mut outcomes = BTreeMap::new();
            for contender in in_turn(&contenders, *work, round) {
                let (number, all) = (round + 1, options.rounds);
                let load = load();
                let seconds = f64::from(options.milliseconds) / 1e3;
                let connections = usize::try_from(options.connections)?;
                let plan = Measurement { contender, work: *work, seconds, connections };
                let outcome = carry_out(&plan).await;
                let outcome = outcome.map_err(|why| format!("{work}, {contender}: {why}"))?;
                let round = format!("round {number} of {all}, load {load}: {work}, {contender}");
                writeln!(stderr(), "{round}: {outcome:.2?}")?;
                outcomes.insert(contender, outcome);
            }
            measured.entry(*work).or_default().push(outcomes);
        }
    }
    let reports: Vec<_> =
        measured.into_iter().map(|(work, rounds)| WorkReport::new(work, rounds)).collect();
    if options.json {
        writeln!(stdout(), "{}", serde_json::to_string_pretty(&reports)?)?;
    } else {
        for report in reports {
            writeln!(stdout(), "{}", report.text())?;
        }
    }
    Ok(())
}

/// Who is measured after whom: another one begins in each round.
fn in_turn(all: &[ConnectionKind], work: Work, round: u32) -> Vec<ConnectionKind> {
    let mut turn: Vec<_> = all.iter().copied().filter(|one| work.suits(*one)).collect();
    if !turn.is_empty() {
        let first = usize::try_from(round).unwrap_or_default() % turn.len();
        turn.rotate_left(first);
    }
    turn
}

/// Measures in a process of its own.
async fn carry_out(plan: &Measurement) -> Result<Readings, String> {
    let mut child = Command::new(env::current_exe().map_err(|error| error.to_string())?)
        .args(["worker", "transport"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| error.to_string())?;
    let longest = BESIDE + Duration::from_secs_f64(plan.seconds);
    let outcome = Conversation::new(&mut child).ask(plan, longest).await?;
    child.wait().await.map_err(|error| error.to_string())?;
    outcome
}

/// How many want a processor, in the mean of the last minute, as the system tells it.
fn load() -> String {
    let told = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    told.split_ascii_whitespace().next().unwrap_or("unknown").to_owned()
}

/// What starting, connecting and a number of things take at most.
const BESIDE: Duration = Duration::from_secs(90);

#[cfg(test)]
mod tests {
    use positron_networking::CongestionAlgorithm;

    use super::*;

    #[test]
    fn each_round_begins_with_another_one_and_has_all_who_do_the_work() {
        let all = ConnectionKind::all(&[CongestionAlgorithm::Bbr]);
        let rounds: Vec<_> = (0..4).map(|round| in_turn(&all, Work::Small, round)).collect();
        for (number, round) in rounds.iter().enumerate() {
            let mut sorted = round.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), all.len());
            assert!(rounds[..number].iter().all(|before| before[0] != round[0]), "{number}");
        }
        assert!(!in_turn(&all, Work::Idle, 0).contains(&ConnectionKind::PositronTcp));
    }
}
