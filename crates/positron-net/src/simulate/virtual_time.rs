//! The same nodes in a made-up world, on virtual time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use positron_sim::{Dissemination, Progress, Report, Scenario, run_watched};

use super::{PAYLOAD, Plan, Record, table::percent};
use crate::{
    table::{Fields, bytes, count, duration},
    terminal::Terminal,
};

/// How long the nodes find each other before anything is said, and how long the last messages
/// travel, at most.
const QUIET: Duration = Duration::from_secs(10);
/// How often the progress is drawn.
pub(super) const REDRAW: Duration = Duration::from_millis(250);

/// Nothing but steady traffic, by `plan`.
pub(crate) fn steady(nodes: usize, plan: &Plan, length: Duration) -> Scenario {
    let quiet = QUIET.min(length / 4);
    let (from, until) = (quiet, length - quiet);
    let wanted = (plan.rate * (until - from).as_secs_f64()).round().clamp(1.0, f64::from(u32::MAX));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped above")]
    let by_rate = wanted as u32;
    let messages = plan.messages.map_or(by_rate, |most| u32::try_from(most).unwrap_or(u32::MAX));
    Scenario::quiet("steady", nodes, length).broadcasts(messages, PAYLOAD, from, until)
}

/// Plays it, and tells on a terminal how far it is.
pub(crate) fn play(
    scenario: &Scenario,
    seed: u64,
    terminal: &Terminal,
    record: Option<&Arc<Record>>,
) -> Report {
    let start = Instant::now();
    let mut drawn = start;
    let tell = |progress: &Progress| {
        if drawn.elapsed() >= REDRAW {
            drawn = Instant::now();
            terminal.draw([line(progress, start.elapsed()).as_str()]);
        }
    };
    let mut report = run_watched(scenario, seed, tell, |world| {
        record.map(|record| record.witness(world, scenario.nodes))
    });
    terminal.clear();
    report.wall_s = Some(start.elapsed().as_secs_f64());
    report
}

/// How far it is.
pub(super) fn line(progress: &Progress, elapsed: Duration) -> String {
    let partitioned = if progress.partitioned { ", partitioned" } else { "" };
    format!(
        "{} of {} virtual seconds in {}: {} live{partitioned}, {}, {} deliveries",
        progress.at.as_secs(),
        progress.of.as_secs(),
        duration(elapsed),
        count(progress.live_nodes, "node"),
        count(progress.broadcasts, "broadcast"),
        progress.deliveries,
    )
}

/// For people.
pub(crate) fn fields(report: &Report) -> Fields {
    let latency = report.latency_ms;
    let Dissemination { last_hop, to_all_ms: to_all } = report.dissemination;
    let wall = report.wall_s.unwrap_or_default();
    let mut fields = Fields::default();
    fields
        .line("scenario", &report.scenario)
        .line(
            "nodes",
            format_args!(
                "{}, {} live at the end, {} connected",
                report.nodes, report.live_nodes, report.connected_nodes
            ),
        )
        .line("time", format_args!("{:.0} virtual seconds in {wall:.1} s", report.duration_s))
        .line("broadcasts", report.broadcasts)
        .line(
            "deliveries",
            format_args!(
                "{} of {} ({}), {} twice",
                report.deliveries,
                report.expected_deliveries,
                percent(report.deliveries, report.expected_deliveries),
                report.duplicate_deliveries
            ),
        )
        .line(
            "latency",
            format_args!(
                "p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms (where nothing was cut off)",
                latency.p50, latency.p99, latency.max
            ),
        )
        .line(
            "to all nodes",
            format_args!(
                "p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms; over {} hops, max {}",
                to_all.p50, to_all.p99, to_all.max, last_hop.p50, last_hop.max
            ),
        )
        .line("extra copies", format_args!("{} for each delivery", report.extra_copies))
        .line("on the wire", bytes(report.wire_bytes))
        .line("seed", report.seed)
        .line("run hash", &report.run_hash);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_traffic_leaves_time_to_begin_and_to_end() {
        let plan = Plan { rate: 5.0, duration: None, messages: None, seed: 1 };
        let story = steady(3, &plan, Duration::from_secs(40));
        assert_eq!(story.sayings.len(), 100);
        let first = story.sayings.iter().map(|(at, _)| *at).min().unwrap();
        let last = story.sayings.iter().map(|(at, _)| *at).max().unwrap();
        assert!(first >= QUIET && last <= Duration::from_secs(30));
        let few = Plan { messages: Some(3), ..plan };
        assert_eq!(steady(3, &few, Duration::from_secs(4)).sayings.len(), 3);
    }
}
