//! Established nodes turn against the others.

use positron_proto::time::Duration;

use super::{
    experiment::{GossipExperiment, Played},
    figure::Figure,
};
use crate::{
    adversary::{Adversary, Attack, Turn},
    scenario::Scenario,
};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// By when everybody knows everybody, and has been of use.
const TURN: Duration = secs(60);
/// When the last thing is said.
const SILENCE: Duration = secs(120);
/// By when everybody has to have it.
const PATIENCE: Duration = secs(20);
/// Links that a turncoat dials: as many as a node.
const LINKS: usize = 8;
/// How much later one of them passes on what it hears.
const DELAY: Duration = secs(5);

/// Any of `nodes` nodes say ten things a second. There are others, so that a minute after the
/// beginning `percent` of a hundred turn, in equal parts: they drop everything, pass it on five
/// seconds later, forge, equivocate, and flood.
pub fn turned(nodes: usize, percent: usize) -> GossipExperiment {
    let hostile = (nodes * percent).div_ceil(100 - percent.min(99));
    let mut story = story("turned", nodes);
    let turns = [
        Turn::Drop,
        Turn::Delay(DELAY),
        Turn::Into(Attack::Forge),
        Turn::Into(Attack::Equivocate),
        Turn::Into(Attack::Flood),
    ];
    let guest = |turn| Adversary::Turncoat { after: TURN, turn, links: LINKS };
    story.guests = turns.into_iter().cycle().take(hostile).map(guest).collect();
    // They are there from the beginning, like everybody.
    story.guests_after = story.start_within / 2;
    GossipExperiment {
        name: "turned",
        without: Some(self::story("without turncoats", nodes)),
        story,
        span: (TURN, SILENCE),
        patience: PATIENCE,
        figures,
    }
}

fn story(name: &str, nodes: usize) -> Scenario {
    Scenario::quiet(name, nodes, SILENCE + PATIENCE + secs(1))
        .broadcasts(100, 256, secs(30), TURN)
        .broadcasts(600, 256, TURN, SILENCE)
}

fn figures(played: &Played, without: Option<&Played>) -> Vec<Figure> {
    let before = without.map_or(f64::NAN, |without| without.reach.ms(0.99));
    let [first, last] = played.guests;
    let late = played.reach.ms(0.99);
    let mut figures = vec![
        Figure::told("peers that are about to turn", first * 100.0, "%").at_least(1.0),
        Figure::told("peers that have turned, at the end", last * 100.0, "%"),
        Figure::told("delivery, 99 of 100, without turncoats", before, "ms"),
        Figure::told("later than without, 99 of 100", late - before, "ms"),
        Figure::told("deliveries in time", played.share_in_time() * 100.0, "%").at_least(99.9),
        Figure::told("extra copies a delivery", played.report.extra_copies, ""),
    ];
    figures.extend(played.reached());
    figures
}
