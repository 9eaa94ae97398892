//! Many nodes of one owner around a few honest ones.
//!
//! The attacks of the report on GossipSub v1.1 (Vyzovitis et al. 2020, PL-TechRep-2020-001), where
//! 1,000 honest nodes stand against 1,000 to 4,000. Sybils are the shipped node, with an
//! application that accepts nothing; so they are found by comparing what they have, and not by
//! their manners.

use positron_proto::time::Duration;

use super::{
    experiment::{GossipExperiment, Played},
    figure::Figure,
};
use crate::{
    adversary::{Adversary, Turn},
    scenario::{Scenario, Workload},
};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// By when honest nodes have found each other, where they come first.
const ATTACK: Duration = secs(60);
/// From then on it is measured.
const MEASURED: Duration = secs(120);
/// When the last thing is said.
const SILENCE: Duration = secs(180);
/// By when everybody has to have it.
const PATIENCE: Duration = secs(6);
/// Links that a Sybil dials: more than a node keeps.
const LINKS: usize = 20;
/// Bytes of what is said.
const BYTES: usize = 2_048;

/// One of the attacks.
#[derive(Clone, Copy, Debug)]
struct Siege {
    name: &'static str,
    /// For each honest node.
    sybils: usize,
    turn: Turn,
    /// When they come, and when they turn.
    come: Duration,
    turns: Duration,
    /// Who speaks; `None`: anybody.
    speaker: Option<usize>,
    figures: fn(&Played, Option<&Played>) -> Vec<Figure>,
}

/// Four Sybils for each honest node come after a minute, and drop everything.
const USUAL: Siege = Siege {
    name: "network-eclipse",
    sybils: 4,
    turn: Turn::Drop,
    come: ATTACK,
    turns: ATTACK,
    speaker: None,
    figures: figures::<999>,
};

/// As [`USUAL`].
pub(super) fn network_eclipse(nodes: usize) -> GossipExperiment {
    USUAL.experiment(nodes)
}

/// Two for each, which drop every second message.
pub(super) fn degradation(nodes: usize) -> GossipExperiment {
    Siege { name: "degradation", sybils: 2, turn: Turn::DropHalf, ..USUAL }.experiment(nodes)
}

/// Two for each, which drop what one honest node says, who alone speaks.
pub(super) fn censor(nodes: usize) -> GossipExperiment {
    let speaker = Some(Scenario::quiet("", nodes, Duration::ZERO).victim());
    Siege { name: "censor", sybils: 2, turn: Turn::Censor, speaker, ..USUAL }.experiment(nodes)
}

/// Four for each are there from the beginning and behave, and drop everything from one moment on.
pub(super) fn covert_flash(nodes: usize) -> GossipExperiment {
    Siege { name: "covert-flash", come: secs(4), ..USUAL }.experiment(nodes)
}

/// Four for each are there before anybody else, and drop everything.
pub(super) fn cold_boot(nodes: usize) -> GossipExperiment {
    let (come, turns) = (Duration::ZERO, Duration::ZERO);
    Siege { name: "cold-boot", come, turns, figures: figures::<990>, ..USUAL }.experiment(nodes)
}

impl Siege {
    fn experiment(self, nodes: usize) -> GossipExperiment {
        let mut story = self.story(self.name, nodes);
        let Self { turn, turns, .. } = self;
        let sybil = Adversary::Turncoat { after: turns, turn, links: LINKS };
        story.guests = vec![sybil; nodes * self.sybils];
        story.guests_after = self.come;
        GossipExperiment {
            name: self.name,
            without: Some(self.story("without Sybils", nodes)),
            story,
            span: (MEASURED, SILENCE),
            patience: PATIENCE,
            figures: self.figures,
        }
    }

    fn story(&self, name: &str, nodes: usize) -> Scenario {
        let mut story = Scenario::quiet(name, nodes, SILENCE + PATIENCE + secs(1));
        let (count, width) = (600, SILENCE.saturating_sub(secs(30)));
        for n in 0..count {
            let saying = Workload::Broadcast { from: self.speaker, bytes: BYTES };
            story.sayings.push((secs(30) + width * n / count, saying));
        }
        story
    }
}

/// `WANTED` of a thousand deliveries are promised.
fn figures<const WANTED: u32>(played: &Played, without: Option<&Played>) -> Vec<Figure> {
    let before = without.map_or(f64::NAN, |without| without.reach.ms(0.99));
    let [first, last] = played.guests;
    let in_time = played.share_in_time() * 100.0;
    let bytes = |played: &Played| played.bytes_a_node((MEASURED, SILENCE));
    let more = bytes(played) / without.map_or(f64::NAN, bytes);
    let mut figures = vec![
        Figure::told("peers that are Sybils", first * 100.0, "%").at_least(1.0),
        Figure::told("peers that are Sybils, at the end", last * 100.0, "%"),
        Figure::told("delivery, 99 of 100, without Sybils", before, "ms"),
        Figure::told("deliveries within 6 s", in_time, "%")
            .at_least(f64::from(WANTED) / 10.0)
            .beside("all, or nearly: GossipSub v1.1"),
    ];
    figures
        .push(Figure::told("bytes of a node, times those without Sybils", more, "").at_most(3.0));
    let reached = played.reached().into_iter();
    figures.extend(reached.filter(|figure| figure.what != "deliveries that were missing"));
    figures
}
