//! Most nodes are gone at once, and nobody is told.

use positron_proto::time::Duration;

use super::{
    experiment::{GossipExperiment, Played},
    figure::Figure,
};
use crate::{
    physics::Physics,
    scenario::{Death, Fault, Scenario},
    selector::Selector,
};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// When the power is cut.
const FAILURE: Duration = secs(45);
/// The part of all nodes that lose it.
const PART: f64 = 0.8;
/// By when those that are left have to be one network again: then they speak.
const RECOVERED: Duration = secs(75);
/// Before that it is looked whether they are.
const MOMENT: Duration = Duration::from_millis(10);
/// When the last thing is said.
const SILENCE: Duration = secs(105);
/// By when everybody has to have it.
const PATIENCE: Duration = secs(10);

/// 80 % of all nodes, bootstrap nodes among them, lose their power at one moment: nobody is told.
/// Half a minute later the others speak, five things a second.
pub fn mass_failure(nodes: usize) -> GossipExperiment {
    let who = Selector::Part(PART);
    let mut story = Scenario::quiet("mass-failure", nodes, SILENCE + PATIENCE + secs(1))
        .physics(Physics::calm())
        .broadcasts(20, 256, secs(30), FAILURE)
        .fault(FAILURE, Fault::Crash { who, death: Death::PowerCut })
        .broadcasts(150, 256, RECOVERED, SILENCE);
    story.checkpoints.push(RECOVERED.saturating_sub(MOMENT));
    GossipExperiment {
        name: "mass-failure",
        story,
        without: None,
        span: (RECOVERED, SILENCE),
        patience: PATIENCE,
        figures,
    }
}

fn figures(played: &Played, _without: Option<&Played>) -> Vec<Figure> {
    let connected = played.connected.first().copied().unwrap_or(f64::NAN) * 100.0;
    let live = played.report.live_nodes as f64;
    let mut figures = vec![
        Figure::told("survivors", live, "nodes"),
        Figure::told("survivors in one network after 30 s", connected, "%").at_least(100.0),
    ];
    figures.extend(played.reached());
    for figure in &mut figures {
        if figure.what == "deliveries that were missing" {
            figure.published = Some("about 0, HyParView, after repair");
        }
    }
    figures
}
