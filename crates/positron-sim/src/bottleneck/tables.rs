//! The tables by which congestion controls are compared.

use core::fmt;

use positron_proto::{datagram::contract::CongestionAlgorithm, time::Duration};

use super::{
    line::{Bottleneck, FlowReport},
    play::play,
};

/// How long one flow is played, and how long two are; the latter are measured after a third of it.
const ALONE: Duration = Duration::from_secs(10);
const TOGETHER: Duration = Duration::from_secs(30);

/// Lines and what came of flows over each.
#[derive(Clone, Debug, serde::Serialize)]
pub struct BottleneckTable {
    /// What is compared.
    pub title: &'static str,
    /// What a line is, and its flows.
    pub rows: Vec<(String, Vec<FlowReport>)>,
}

impl BottleneckTable {
    /// The part of everything that was read that the first of two flows had, in each row.
    pub fn shares(&self) -> impl Iterator<Item = f64> {
        self.rows.iter().map(|(_, flows)| share(flows))
    }
}

fn share(flows: &[FlowReport]) -> f64 {
    let all: f64 = flows.iter().map(|flow| flow.goodput).sum();
    flows.first().map_or(0.0, |flow| flow.goodput / all.max(1.0))
}

/// All tables for these congestion controls: each alone, and beside CUBIC and itself.
pub fn tables(
    controls: &[CongestionAlgorithm],
    seed: u64,
    mut told: impl FnMut(&str),
) -> [BottleneckTable; 2] {
    let mut alone = BottleneckTable { title: "one flow", rows: Vec::new() };
    for (name, line) in lines() {
        for control in controls {
            told(name);
            let flows = play(&line, &[*control], (Duration::ZERO, ALONE), seed);
            alone.rows.push((name.to_owned(), flows));
        }
    }
    let mut beside = BottleneckTable { title: "two flows", rows: Vec::new() };
    for (name, queue) in [("queue 10 ms", 10), ("queue 40 ms", 40), ("queue 100 ms", 100)] {
        let line = Bottleneck { queue: Duration::from_millis(queue), ..Bottleneck::calm() };
        for control in controls {
            let mut pairs = vec![[*control, CongestionAlgorithm::Cubic]];
            if *control != CongestionAlgorithm::Cubic {
                pairs.push([*control, *control]);
            }
            for pair in pairs {
                told(name);
                let flows = play(&line, &pair, (TOGETHER / 3, TOGETHER), seed);
                beside.rows.push((name.to_owned(), flows));
            }
        }
    }
    [alone, beside]
}

/// The lines that one flow is played over.
fn lines() -> [(&'static str, Bottleneck); 6] {
    let calm = Bottleneck::calm();
    let millis = Duration::from_millis;
    [
        ("calm", calm),
        ("1 % lost", Bottleneck { loss: 0.01, ..calm }),
        ("5 % lost", Bottleneck { loss: 0.05, ..calm }),
        ("5 % reordered", Bottleneck { reordered: 0.05, ..calm }),
        ("queue 2 ms", Bottleneck { queue: millis(2), ..calm }),
        ("queue 200 ms", Bottleneck { queue: millis(200), ..calm }),
    ]
}

impl fmt::Display for BottleneckTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        writeln!(f)?;
        writeln!(
            f,
            "| line | congestion | Mbit/s | share | sent/needed | lost | waited, ms | 95 % | false \
             losses |"
        )?;
        writeln!(f, "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")?;
        for (name, flows) in &self.rows {
            let all: f64 = flows.iter().map(|flow| flow.goodput).sum();
            for flow in flows {
                let FlowReport { congestion, goodput, lost, spurious, .. } = flow;
                let (mbits, share) = (goodput / 1e6, goodput / all.max(1.0));
                let (sent, waited) = (flow.sent_per_needed, flow.waited_ms);
                let p95 = flow.waited_p95_ms;
                writeln!(
                    f,
                    "| {name} | {congestion} | {mbits:.1} | {share:.2} | {sent:.3} | {lost} | \
                     {waited:.1} | {p95:.1} | {spurious} |"
                )?;
            }
        }
        Ok(())
    }
}
