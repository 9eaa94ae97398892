//! Many peers announce what they never send.

use positron_proto::time::Duration;

use super::{
    experiment::{GossipExperiment, Played},
    figure::Figure,
};
use crate::{adversary::Adversary, scenario::Scenario};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Sessions of each liar: about as many as a node has.
const PEERS: usize = 12;
/// Time in which nodes find each other before anybody speaks.
const SETTLING: Duration = secs(30);
/// When the last thing is said.
const SILENCE: Duration = secs(60);
/// By when everybody has to have it.
const PATIENCE: Duration = secs(20);
/// What is pushed, and what is sent only to who asks for it.
const SMALL: usize = 256;
const LARGE: usize = 20_000;

/// Any nodes say ten small things a second and one of 20,000 bytes, over links of 10 to 50 ms that
/// lose two packets of a hundred. Three in ten of all peers of nodes are liars: each says that it
/// has whatever is said and what each sender says next, and never sends any of it.
pub fn liars(nodes: usize) -> GossipExperiment {
    let without = story("without liars", nodes);
    let mut story = story("liars", nodes);
    story.guests = vec![Adversary::Liar { peers: PEERS }; nodes / 2];
    GossipExperiment {
        name: "liars",
        story,
        without: Some(without),
        span: (SETTLING, SILENCE),
        patience: PATIENCE,
        figures,
    }
}

fn story(name: &str, nodes: usize) -> Scenario {
    Scenario::quiet(name, nodes, SILENCE + PATIENCE + secs(1))
        .broadcasts(300, SMALL, SETTLING, SILENCE)
        .broadcasts(30, LARGE, SETTLING, SILENCE)
}

fn figures(played: &Played, without: Option<&Played>) -> Vec<Figure> {
    let before = without.map_or(f64::NAN, |without| without.reach.ms(0.99));
    let [first, last] = played.guests;
    let longer = played.reach.ms(0.99) - before;
    let mut figures = vec![
        Figure::told("peers that lie when all begin to speak", first * 100.0, "%").at_least(30.0),
        Figure::told("peers that lie at the end", last * 100.0, "%"),
        Figure::told("delivery, 99 of 100, without liars", before, "ms"),
        Figure::told("later than without liars, 99 of 100", longer, "ms").at_most(4_000.0),
        Figure::told("extra copies a delivery", played.report.extra_copies, ""),
    ];
    figures.extend(played.reached());
    figures
}
