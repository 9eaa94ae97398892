//! An experiment with whole nodes in a made-up world, and what came of it beside what is promised.

use std::{
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use positron_sim::{
    Progress,
    experiments::{Figure, Findings, GossipExperiment},
};
use serde::Serialize;

use super::{
    Record,
    virtual_time::{self, REDRAW},
};
use crate::{
    table::{Fit, fitted},
    terminal::Terminal,
};

/// What an experiment came to.
#[derive(Debug, Serialize)]
pub(crate) struct ExperimentSummary {
    #[serde(flatten)]
    pub(crate) findings: Findings,
    /// The figures that are not as was promised.
    unmet: Vec<&'static str>,
}

impl ExperimentSummary {
    fn of(findings: Findings) -> Self {
        let unmet = findings.figures.iter().filter(|figure| !figure.is_met());
        Self { unmet: unmet.map(|figure| figure.what).collect(), findings }
    }

    /// Which promises are broken, in words.
    pub(crate) fn broken(&self) -> Vec<String> {
        let unmet = self.findings.figures.iter().filter(|figure| !figure.is_met());
        let told = |figure: &Figure| {
            format!("{} is {}, not {}", figure.what, figure.shown(), figure.promised())
        };
        let violations = self.findings.report.iter().flat_map(|report| &report.violations);
        unmet.map(told).chain(violations.map(ToString::to_string)).collect()
    }
}

/// Plays it, and tells on a terminal how far it is.
pub(crate) fn play(
    experiment: &GossipExperiment,
    seed: u64,
    terminal: &Terminal,
    record: Option<&Arc<Record>>,
) -> ExperimentSummary {
    let start = Instant::now();
    let (mut drawn, mut before, mut part) = (start, Duration::ZERO, 1);
    let parts = 1 + usize::from(experiment.without.is_some());
    let tell = |progress: &Progress| {
        part += usize::from(progress.at < before);
        before = progress.at;
        if drawn.elapsed() >= REDRAW {
            drawn = Instant::now();
            let line = virtual_time::line(progress, start.elapsed());
            let of = if parts > 1 { format!("part {part} of {parts}: ") } else { String::new() };
            terminal.draw([format!("{of}{line}").as_str()]);
        }
    };
    let mut findings = experiment.play_watched(seed, tell, |world| {
        record.map(|record| record.witness(world, experiment.story.nodes))
    });
    terminal.clear();
    if let Some(report) = &mut findings.report {
        report.wall_s = Some(start.elapsed().as_secs_f64());
    }
    ExperimentSummary::of(findings)
}

/// For people, in so many columns if there is a width: the story, and a table of the figures.
pub(crate) fn told(summary: &ExperimentSummary, width: Option<usize>) -> String {
    let ExperimentSummary { findings, .. } = summary;
    let mut told = String::new();
    if let Some(report) = &findings.report {
        let _ = writeln!(told, "{}\n", virtual_time::fields(report));
    }
    let row = |figure: &Figure| {
        [
            figure.what.to_owned(),
            figure.shown(),
            figure.promised(),
            figure.verdict().to_owned(),
            figure.published.unwrap_or_default().to_owned(),
        ]
    };
    let head = ["figure", "measured", "promised", "", "published"];
    let fit = Fit { expendable: &[4], words: Some(0) };
    let table = fitted(head, findings.figures.iter().map(row).collect(), width, fit);
    let _ = write!(told, "{table}");
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(figures: Vec<Figure>) -> Findings {
        Findings {
            name: "quiet",
            nodes: 10,
            seed: 1,
            figures,
            spread_ms: Vec::new(),
            spread_without_ms: None,
            report: None,
        }
    }

    #[test]
    fn a_figure_that_is_not_met_is_a_broken_promise_and_stands_in_the_table_as_one() {
        let late = Figure::told("to all, half", 512.0, "ms").at_most(400.0);
        let copies = Figure::told("extra copies", 0.1, "").at_most(0.15).beside("0.46, others");
        let summary = ExperimentSummary::of(findings(vec![late, copies]));
        assert_eq!(summary.broken(), ["to all, half is 512 ms, not at most 400 ms"]);
        let told = told(&summary, None);
        for cell in ["figure", "measured", "promised", "published", "NOT MET", "0.46, others"] {
            assert!(told.contains(cell), "{cell}: {told}");
        }
        let json = serde_json::to_value(&summary).unwrap();
        assert_eq!((&json["unmet"][0], &json["name"]), (&"to all, half".into(), &"quiet".into()));
    }
}
