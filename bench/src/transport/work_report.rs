//! The medians of all rounds, beside quinn.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Serialize;

use super::{
    connection_kind::ConnectionKind,
    measurement::{Readings, Work},
};
use crate::numbers::{median, shown};

/// All rounds of one kind of work.
#[derive(Debug, Serialize)]
pub(crate) struct WorkReport {
    work: String,
    figures: &'static [&'static str],
    lines: Vec<Line>,
}

/// One contender.
#[derive(Debug, Serialize)]
struct Line {
    contender: String,
    /// Of each figure.
    medians: Vec<Option<f64>>,
    /// Of each figure, the median of what it is by that of quinn in the same round.
    ratios: Vec<Option<f64>>,
    rounds: Vec<Readings>,
}

impl WorkReport {
    /// Takes the medians.
    pub(crate) fn new(work: Work, rounds: Vec<BTreeMap<ConnectionKind, Readings>>) -> Self {
        let figures = work.figures();
        let contenders = rounds.first().into_iter().flat_map(BTreeMap::keys);
        let line = |contender: &ConnectionKind| {
            let of = |whose, round: &BTreeMap<_, Readings>, at: usize| -> Option<f64> {
                round.get(whose)?.get(at).copied()
            };
            let medians = (0..figures.len())
                .map(|at| median(rounds.iter().filter_map(|it| of(contender, it, at)).collect()));
            let ratios = (0..figures.len()).map(|at| {
                let ratio = |it| Some(of(contender, it, at)? / of(&ConnectionKind::Quinn, it, at)?);
                median(rounds.iter().filter_map(ratio).collect())
            });
            Line {
                contender: contender.to_string(),
                medians: medians.collect(),
                ratios: ratios.collect(),
                rounds: rounds.iter().filter_map(|it| it.get(contender).cloned()).collect(),
            }
        };
        Self { work: work.to_string(), figures, lines: contenders.map(line).collect() }
    }

    /// A table in Markdown.
    pub(crate) fn text(&self) -> String {
        let Self { work, figures, lines } = self;
        let titles: Vec<_> = figures.iter().map(|it| format!("{it} | of quinn's")).collect();
        let mut text = format!("### {work}\n\n| | {} |\n| --- |", titles.join(" | "));
        _ = writeln!(text, "{}", " --: | --: |".repeat(figures.len()));
        for Line { contender, medians, ratios, .. } in lines {
            let cells = medians.iter().zip(ratios);
            let cells = cells.map(|(it, ratio)| format!("{} | {}", shown(*it), shown(*ratio)));
            _ = writeln!(text, "| {contender} | {} |", cells.collect::<Vec<_>>().join(" | "));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_of_those_within_a_round_and_not_that_of_medians() {
        let round = |tls: f64, quinn: f64| {
            let small = |figure: f64| vec![figure, 1.0];
            BTreeMap::from([
                (ConnectionKind::Tls, small(tls)),
                (ConnectionKind::Quinn, small(quinn)),
            ])
        };
        let rounds = vec![round(100.0, 50.0), round(10.0, 10.0), round(30.0, 1.0)];
        let text = WorkReport::new(Work::Small, rounds).text();
        assert!(text.contains("| thousands/s | of quinn's | CPU µs | of quinn's |\n"), "{text}");
        assert!(text.contains("| TLS over TCP | 30.0 | 2.00 | 1.00 | 1.00 |\n"), "{text}");
        assert!(text.contains("| quinn | 10.0 | 1.00 | 1.00 | 1.00 |\n"), "{text}");
    }

    #[test]
    fn without_quinn_there_are_no_ratios() {
        let rounds = vec![BTreeMap::from([(ConnectionKind::Tcp, vec![8.0])])];
        let text = WorkReport::new(Work::Idle, rounds).text();
        assert!(text.contains("| TCP, clear text | 8.00 | – |\n"), "{text}");
    }
}
