//! Those who would gain by what is thought of them, and those who mean well: what trust makes of
//! both.
//!
//! The shipped [`Trust`](positron_proto::trust::Trust) and
//! [`Recommendations`](positron_proto::recommendation::Recommendations) of each node that means
//! well, wired as a node wires them, in towns that are made up; and whole nodes in the world of the
//! simulator.

mod citizen;
mod gaming;
mod honest;
mod threats;
mod throwaways;
mod town;

use positron_proto::rng::Seed;

use super::experiment::Findings;
use crate::report::Progress;

/// How it is called.
pub const REPUTATION: &str = "reputation";

/// What it takes to be trusted, and how soon that is over.
#[derive(Clone, Copy, Debug)]
pub struct ReputationExperiment {
    /// Nodes of a town, and whole nodes of a world.
    pub nodes: usize,
    /// How long each town is looked at.
    pub hours: u64,
    /// Deliveries among whole nodes that mean well; among traitors a few nodes have a thousandth.
    pub deliveries: usize,
    /// Identities that each do one wrong at one node.
    pub liars: usize,
}

/// In its full length.
pub const fn reputation(nodes: usize) -> ReputationExperiment {
    ReputationExperiment { nodes, hours: 12, deliveries: 1_000_000, liars: 1_000_000 }
}

impl ReputationExperiment {
    /// Plays it with the dice of `seed`, and tells what is played, and of whole nodes how far.
    pub fn play(&self, seed: u64, mut progress: impl FnMut(&str, Option<&Progress>)) -> Findings {
        let root = Seed::from_number(seed).child(REPUTATION);
        let mut figures = Vec::new();
        for figure in threats::figures(self.nodes, self.hours, &root) {
            progress(figure.what, None);
            figures.push(figure);
        }
        figures.extend(gaming::figures());
        progress("liars", None);
        figures.extend(throwaways::figures(self.liars, &root));
        let mut play =
            |story| honest::play(&story, seed, &mut |story, at| progress(story, Some(at)));
        let slander = play(honest::slander(self.nodes.min(FEW), self.deliveries / 1_000));
        figures.extend(slander.figures_of_slander());
        let alone = play(honest::story(self.nodes, self.deliveries));
        figures.extend(alone.figures(self.deliveries));
        Findings {
            name: REPUTATION,
            nodes: self.nodes,
            seed,
            figures,
            spread_ms: Vec::new(),
            spread_without_ms: None,
            report: Some(alone.report),
        }
    }
}

/// Whole nodes among traitors: each traitor makes work for all of them.
const FEW: usize = 10;
