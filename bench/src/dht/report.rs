//! The medians of all rounds, beside each other.

use std::fmt::Write as _;

use serde::Serialize;

use super::{
    options::{Size, Stack},
    round::{Figures, Round, Step},
};
use crate::numbers::{median, shown};

/// All rounds of one size.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) size: Size,
    pub(crate) medians: Vec<Row>,
    pub(crate) rounds: Vec<(Stack, Round)>,
}

/// One figure of each contender.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) positron: Option<f64>,
    pub(crate) libp2p: Option<f64>,
    /// Ours by theirs, unless theirs is next to nothing.
    pub(crate) ratio: Option<f64>,
}

impl Report {
    /// Takes the medians.
    pub(crate) fn new(size: Size, rounds: Vec<(Stack, Round)>) -> Self {
        let mut report = Self { size, medians: Vec::new(), rounds };
        report.add("start until read on all, s", |round| Some(round.ready_s));
        report.add("idle, ms of CPU a second and node", |round| Some(round.idle_cpu));
        if size.frozen() == 0 {
            report.add("memory a node, KiB", |round| Some(round.memory_kib));
        }
        for (step, name) in STEPS {
            let of =
                |round: &Round, figure: fn(&Figures) -> f64| round.steps.get(&step).map(figure);
            if !report.rounds.iter().any(|(_, round)| round.steps.contains_key(&step)) {
                continue;
            }
            report.add(&format!("{name}: p50, ms"), |round| of(round, |it| it.p50_ms));
            report.add(&format!("{name}: p99, ms"), |round| of(round, |it| it.p99_ms));
            report.add(&format!("{name}: CPU, ms"), |round| of(round, |it| it.cpu_ms));
            report.add(&format!("{name}: requests"), |round| of(round, |it| it.requests));
            report.add(&format!("{name}: failed, %"), |round| {
                of(round, |it| it.failed as f64 / it.operations as f64 * 100.0)
            });
        }
        report
    }

    /// A table in Markdown.
    pub(crate) fn text(&self) -> String {
        let Size { nodes, frozen_percent } = self.size;
        let frozen =
            if frozen_percent > 0 { format!(", {frozen_percent} % frozen") } else { String::new() };
        let mut text = format!("## {nodes} nodes{frozen}\n\n| | positron-net | libp2p | ratio |\n");
        text.push_str("| --- | --: | --: | --: |\n");
        for Row { what, positron, libp2p, ratio } in &self.medians {
            let [positron, libp2p, ratio] = [positron, libp2p, ratio].map(|number| shown(*number));
            _ = writeln!(text, "| {what} | {positron} | {libp2p} | {ratio} |");
        }
        for (stack, round) in &self.rounds {
            for (step, figures) in &round.steps {
                if let Some(why) = &figures.failure {
                    let stack = stack.name();
                    _ = writeln!(text, "\n{stack}, {step:?}: {} failed: {why}", figures.failed);
                }
            }
        }
        text
    }

    fn add(&mut self, what: &str, figure: impl Fn(&Round) -> Option<f64>) {
        let [positron, libp2p] = Stack::ALL.map(|stack| {
            let mine = self.rounds.iter().filter(|(whose, _)| *whose == stack);
            median(mine.filter_map(|(_, round)| figure(round)).collect())
        });
        let shown = libp2p.filter(|number| *number >= 0.005);
        let ratio = positron.zip(shown).map(|(ours, theirs)| ours / theirs);
        self.medians.push(Row { what: what.into(), positron, libp2p, ratio });
    }
}

/// What is told of a round, in its order.
const STEPS: [(Step, &str); 6] = [
    (Step::FirstPut, "first PUT of a node"),
    (Step::FirstGet, "first GET of a node"),
    (Step::Put, "PUT"),
    (Step::GetAny, "GET, any copy"),
    (Step::GetNewest, "GET, the newest"),
    (Step::Delete, "DELETE"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_ours_by_theirs_and_missing_where_one_is_missing() {
        let round = |ready_s| Round { ready_s, ..Round::default() };
        let size = Size { nodes: 10, frozen_percent: 0 };
        let both = vec![(Stack::Positron, round(1.0)), (Stack::Libp2p, round(4.0))];
        assert_eq!(Report::new(size, both).medians[0].ratio, Some(0.25));
        let report = Report::new(size, vec![(Stack::Positron, round(1.0))]);
        assert_eq!((report.medians[0].libp2p, report.medians[0].ratio), (None, None));
        assert!(report.text().contains("| start until read on all, s | 1.00 | – | – |"));
    }
}
