//! The medians of all rounds, a column for each contender.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Serialize;

use super::{
    options::Protocol,
    plan::{Outcome, Plan, Spread},
};
use crate::numbers::{median, shown};

/// All rounds of one size.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    nodes: usize,
    bytes: usize,
    outstanding: usize,
    medians: Vec<Median>,
    rounds: Vec<(Protocol, Outcome)>,
}

/// One figure of each contender that was measured.
#[derive(Debug, Serialize)]
struct Median {
    what: String,
    of: BTreeMap<Protocol, Option<f64>>,
}

impl Comparison {
    /// Takes the medians.
    pub(crate) fn new(plan: &Plan, rounds: Vec<(Protocol, Outcome)>) -> Self {
        let &Plan { nodes, bytes, outstanding, .. } = plan;
        let mut all = Self { nodes, bytes, outstanding, medians: Vec::new(), rounds };
        all.add("peers of a node", |it| Some(it.degree));
        all.add("start until one is heard by all, s", |it| Some(it.ready_s));
        all.add("idle memory a node, KiB", |it| Some(it.memory_kib));
        all.add("idle, ms of CPU a second and node", |it| Some(it.idle_cpu));
        all.add(&format!("{outstanding} under way: deliveries a second"), |it| {
            Some(it.busy.deliveries_per_s)
        });
        all.add(&format!("{outstanding} under way: until it is taken, p50, ms"), |it| {
            Some(it.busy.taken_ms.p50)
        });
        all.add(&format!("{outstanding} under way: until it is taken, p99, ms"), |it| {
            Some(it.busy.taken_ms.p99)
        });
        all.add(&format!("{outstanding} under way: to the last node, p99, ms"), |it| {
            Some(it.busy.last_ms.p99)
        });
        all.add_costs(&format!("{outstanding} under way"), |it| &it.busy);
        all.add("apart: to the last node, p50, ms", |it| Some(it.apart.last_ms.p50));
        all.add("apart: to the last node, p99, ms", |it| Some(it.apart.last_ms.p99));
        all.add("apart: to a node, p50, ms", |it| Some(it.apart.each_ms.p50));
        all.add("apart: to a node, p99, ms", |it| Some(it.apart.each_ms.p99));
        all.add_costs("apart", |it| &it.apart);
        all
    }

    /// A table in Markdown.
    pub(crate) fn text(&self) -> String {
        let Self { nodes, bytes, .. } = self;
        let columns: Vec<_> = Protocol::ALL.into_iter().filter(|it| self.has(*it)).collect();
        let titles: Vec<_> = columns.iter().map(|protocol| protocol.title()).collect();
        let mut text = format!("## {nodes} nodes, {bytes} bytes\n\n| | {} |\n", titles.join(" | "));
        _ = writeln!(text, "| --- |{}", " --: |".repeat(columns.len()));
        for Median { what, of } in &self.medians {
            let cells: Vec<_> = of.values().map(|number| shown(*number)).collect();
            _ = writeln!(text, "| {what} | {} |", cells.join(" | "));
        }
        for (protocol, outcome) in &self.rounds {
            for why in &outcome.failures {
                _ = writeln!(text, "\n{}: started again: {why}", protocol.name());
            }
            for refusal in [&outcome.busy.refusal, &outcome.apart.refusal].into_iter().flatten() {
                _ = writeln!(text, "\n{}: not taken by a node, {refusal}", protocol.name());
            }
        }
        text
    }

    fn has(&self, protocol: Protocol) -> bool {
        self.rounds.iter().any(|(whose, _)| *whose == protocol)
    }

    fn add_costs(&mut self, when: &str, of: fn(&Outcome) -> &Spread) {
        self.add(&format!("{when}: CPU a delivery, µs"), |it| Some(of(it).cpu_us));
        self.add(&format!("{when}: copies a delivery"), |it| Some(of(it).copies));
        self.add(&format!("{when}: bytes on the wire for one"), |it| of(it).wire);
        self.add(&format!("{when}: incomplete, %"), |it| {
            let Spread { incomplete, messages, .. } = of(it);
            Some(*incomplete as f64 / *messages as f64 * 100.0)
        });
        self.add(&format!("{when}: incomplete"), |it| Some(of(it).incomplete as f64));
        self.add(&format!("{when}: of them not taken"), |it| Some(of(it).refused as f64));
        self.add(&format!("{when}: messages"), |it| Some(of(it).messages as f64));
    }

    fn add(&mut self, what: &str, figure: impl Fn(&Outcome) -> Option<f64>) {
        let of = Protocol::ALL.into_iter().filter(|protocol| self.has(*protocol));
        let of = of.map(|protocol| {
            let mine = self.rounds.iter().filter(|(whose, _)| *whose == protocol);
            (protocol, median(mine.filter_map(|(_, outcome)| figure(outcome)).collect()))
        });
        let of = of.collect();
        self.medians.push(Median { what: what.into(), of });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(cpu_us: f64, wire: Option<f64>) -> Outcome {
        let busy = Spread { messages: 200, incomplete: 3, cpu_us, wire, ..Spread::default() };
        Outcome { busy, ..Outcome::default() }
    }

    #[test]
    fn the_table_has_a_column_for_each_contender_that_was_measured_and_medians_of_rounds() {
        let rounds = vec![
            (Protocol::Iroh, outcome(4.0, Some(2.0))),
            (Protocol::Positron, outcome(60.0, None)),
            (Protocol::Positron, outcome(70.0, None)),
            (Protocol::Iroh, outcome(6.0, Some(3.0))),
        ];
        let text = Comparison::new(&Plan::small(), rounds).text();
        assert!(text.starts_with("## 10 nodes, 256 bytes\n\n| | positron-net | iroh-gossip |\n"));
        assert!(text.contains("\n| --- | --: | --: |\n"), "{text}");
        assert!(text.contains("\n| 64 under way: CPU a delivery, µs | 65.0 | 5.00 |\n"), "{text}");
        assert!(text.contains("\n| 64 under way: bytes on the wire for one | – | 2.50 |\n"));
        assert!(text.contains("\n| 64 under way: incomplete, % | 1.50 | 1.50 |\n"), "{text}");
    }

    #[test]
    fn json_names_each_contender_and_has_each_round() {
        let mut refused = outcome(1.0, None);
        refused.apart.refusal = Some("3 of 200: full".into());
        refused.failures.push("it did not come up".into());
        let comparison = Comparison::new(&Plan::small(), vec![(Protocol::PositronDisk, refused)]);
        assert!(comparison.text().contains("positron-disk: started again: it did not come up"));
        assert!(comparison.text().contains("positron-disk: not taken by a node, 3 of 200: full"));
        let json = serde_json::to_value(&comparison).unwrap();
        assert_eq!(json["medians"][0]["of"]["positron_disk"], 0.0);
        assert_eq!(json["rounds"][0][0], "positron_disk");
        assert_eq!(json["rounds"][0][1]["busy"]["cpu_us"], 1.0);
    }
}
