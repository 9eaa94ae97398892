//! Somebody tells each half of the network something else under one number.

use positron_proto::time::{Duration, Instant};

use super::{
    experiment::{GossipExperiment, Played, ratio_of},
    figure::Figure,
};
use crate::{adversary::Adversary, clock::at, scenario::Scenario};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Time in which nodes find each other before anything is measured.
const SETTLING: Duration = secs(60);
/// For how long bytes are counted, before and afterwards.
const SPAN: Duration = secs(40);
/// When two contents are signed under one number.
const EQUIVOCATION: Duration = secs(100);
/// From then on everything should be as before: ten rounds later.
const CALM: Duration = secs(110);
/// By when everybody has to have what was said.
const PATIENCE: Duration = secs(10);
/// What is said a second, each by any node.
const A_SECOND: u32 = 2;
/// Of the way from a stranger's score to the ban: it is there but for the last digits of a number.
const AT_THE_BAN: f64 = 0.999;

/// Any nodes say two things a second, 256 bytes each. A guest that is linked with every node that
/// lets it in signs two contents under one number, shows the one to the first half of them, the
/// other one to the second half, and is silent. The same with one content is measured beside it.
pub fn equivocation(nodes: usize) -> GossipExperiment {
    let end = CALM + SPAN;
    let span = u32::try_from(end.saturating_sub(SETTLING).as_secs()).unwrap_or(u32::MAX);
    let mut story = Scenario::quiet("equivocation", nodes, end + PATIENCE + secs(1)).broadcasts(
        A_SECOND * span,
        256,
        SETTLING,
        end,
    );
    let mut without = story.clone();
    story.guests = vec![Adversary::TwoFaced { at: EQUIVOCATION, faces: 2 }];
    without.guests = vec![Adversary::TwoFaced { at: EQUIVOCATION, faces: 1 }];
    without.name = "with one content".into();
    GossipExperiment {
        name: "equivocation",
        story,
        without: Some(without),
        span: (SETTLING, end),
        patience: PATIENCE,
        figures,
    }
}

fn figures(played: &Played, without: Option<&Played>) -> Vec<Figure> {
    let nodes = played.story.nodes;
    let told: Vec<Instant> =
        (0..nodes).map(|node| played.ledger.told_of_equivocation(node)).collect();
    let rounds = |told: Option<&Instant>| match told {
        Some(told) if *told != Instant::FAR_FUTURE => {
            let interval = played.story.config.gossip.interval.as_secs_f64();
            told.since(at(EQUIVOCATION)).as_secs_f64() / interval
        }
        _ => f64::INFINITY,
    };
    let (ones, others) = told.split_at(nodes / 2);
    let first = rounds(ones.iter().min()).max(rounds(others.iter().min()));
    let untold = told.iter().filter(|told| **told == Instant::FAR_FUTURE).count();
    let unflagged = played.regards.iter().filter(|regard| regard.fallen < AT_THE_BAN);
    let linked = played.regards.iter().filter(|regard| regard.linked_for.is_some());
    let before = bytes_a_second(played, EQUIVOCATION.saturating_sub(SPAN));
    let after = bytes_a_second(played, CALM);
    let alike = without.map_or(f64::NAN, |without| bytes_a_second(without, CALM));
    let apart = 100.0 * (after / alike - 1.0).abs();
    let mut figures = vec![
        Figure::told("both halves hold the proof, the first of each", first, "rounds").at_most(2.0),
        Figure::told("all nodes hold the proof", rounds(told.iter().max()), "rounds").at_most(2.0),
        Figure::told("nodes whose application was not told", untold as f64, "").at_most(0.0),
        Figure::told("nodes that do not flag the offender", unflagged.count() as f64, "")
            .at_most(0.0),
        Figure::told(
            "nodes that are linked with it at the end",
            100.0 * ratio_of(linked.count(), played.regards.len()),
            "%",
        ),
        Figure::told("bytes afterwards, beside those with one content", apart, "% apart")
            .at_most(10.0),
        Figure::told("bytes a second of a node, before", before, ""),
        Figure::told("bytes a second of a node, afterwards", after, ""),
        Figure::told("bytes a second of a node, afterwards, with one content", alike, ""),
    ];
    figures.extend(played.reached());
    figures
}

/// Bytes that a node sends in a second from then on.
fn bytes_a_second(played: &Played, from: Duration) -> f64 {
    let bytes = played.bytes_until(at(from + SPAN)) - played.bytes_until(at(from));
    bytes as f64 / SPAN.as_secs_f64() / played.story.nodes as f64
}
