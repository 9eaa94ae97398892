//! Nodes leave and come back all the time.

use positron_proto::time::Duration;

use super::{
    experiment::{GossipExperiment, Played},
    figure::Figure,
};
use crate::{
    scenario::{Death, Fault, Scenario},
    selector::Selector,
};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Time in which nodes find each other before anybody leaves.
const SETTLING: Duration = secs(30);
const MINUTE: Duration = secs(60);
/// Time between two broadcasts, each by anybody who runs.
const PAUSE: Duration = secs(5);
/// By when whoever runs has to have one.
const PATIENCE: Duration = secs(60);
/// After the last node left: those that came last find their place, and get what they lack.
const CALM: Duration = secs(75);

/// In each minute of `lasting` a tenth of all nodes leaves, one after the other: killed, without
/// power, or told to stop, in turn. From the second minute on as many come back.
pub fn churn(nodes: usize, lasting: Duration) -> GossipExperiment {
    let end = SETTLING + lasting;
    let mut story = Scenario::quiet("churn", nodes, end + CALM);
    let leave_a_minute = u32::try_from(nodes / 10).unwrap_or(u32::MAX).max(1);
    let apart = MINUTE / leave_a_minute;
    let mut at = SETTLING;
    for turn in (0..3).cycle() {
        if at >= end {
            break;
        }
        let who = Selector::Count(1);
        if at >= SETTLING + MINUTE {
            story = story.fault(at, Fault::Start(who.clone()));
        }
        let leave = match turn {
            0 => Fault::Crash { who, death: Death::Killed },
            1 => Fault::Crash { who, death: Death::PowerCut },
            _ => Fault::Stop(who),
        };
        // Who comes back is not who leaves next.
        story = story.fault(at + apart / 2, leave);
        at += apart;
    }
    let broadcasts = u32::try_from(lasting.as_secs() / PAUSE.as_secs()).unwrap_or(u32::MAX);
    story = story.broadcasts(broadcasts, 256, SETTLING, end);
    story = story.fault(end, Fault::Start(Selector::All));
    GossipExperiment {
        name: "churn",
        story,
        without: None,
        span: (SETTLING, end),
        patience: PATIENCE,
        figures,
    }
}

fn figures(played: &Played, _without: Option<&Played>) -> Vec<Figure> {
    let left = played.story.faults.iter();
    let left = left.filter(|(_, fault)| matches!(fault, Fault::Crash { .. } | Fault::Stop(_)));
    let mut figures = vec![Figure::told("times that a node left", left.count() as f64, "")];
    figures.extend(played.reached());
    figures
}
