//! Nothing goes wrong, and many speak.

use positron_proto::time::Duration;

use super::{
    experiment::{GossipExperiment, Played},
    figure::Figure,
};
use crate::{physics::Physics, scenario::Scenario};

/// Time in which nodes find each other before anybody speaks.
const SETTLING: Duration = Duration::from_secs(30);
/// How long they speak.
const TALK: Duration = Duration::from_secs(30);
/// What is said in that time, each by any node.
const BROADCASTS: u32 = 600;
/// By when everybody has to have it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Any nodes say twenty things a second, 256 bytes each. Links take 10 to 50 ms one way and lose
/// nothing.
pub fn quiet(nodes: usize) -> GossipExperiment {
    let (begin, end) = (SETTLING, SETTLING + TALK);
    GossipExperiment {
        name: "quiet",
        story: Scenario::quiet("quiet", nodes, end + PATIENCE + Duration::from_secs(1))
            .physics(Physics::calm())
            .broadcasts(BROADCASTS, 256, begin, end),
        without: None,
        span: (begin, end),
        patience: PATIENCE,
        figures,
    }
}

fn figures(played: &Played, _without: Option<&Played>) -> Vec<Figure> {
    let spread = played.report.dissemination;
    let hops = |what, hops: u8| Figure::told(what, f64::from(hops), "links");
    let mut figures = vec![
        Figure::told("extra copies a delivery", played.report.extra_copies, "")
            .at_most(0.15)
            .beside("0.46, iroh-gossip"),
        hops("links to the last node, half", spread.last_hop.p50)
            .at_most(12.0)
            .beside("57.6, iroh-gossip, on average"),
        hops("links to the last node, the most", spread.last_hop.max),
        Figure::told("to all, half", spread.to_all_ms.p50, "ms")
            .at_most(400.0)
            .beside("1,649 ms, iroh-gossip, on average"),
        Figure::told("to all, 99 of 100", spread.to_all_ms.p99, "ms"),
        Figure::told("to all, the last", spread.to_all_ms.max, "ms"),
    ];
    figures.extend(played.reached());
    figures
}
