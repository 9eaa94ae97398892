//! All that can be played by name: [`stories`], which promise that nothing is lost, and
//! [`experiments`] with whole nodes, which promise figures.
//!
//! ```
//! use positron_sim::repertoire::{self, Piece};
//!
//! assert!(repertoire::abouts().any(|(name, _about)| name == "liars"));
//! let piece = repertoire::named("liars", 10).unwrap();
//! assert!(matches!(piece, Piece::Experiment(_)));
//! assert_eq!(piece.story().nodes, 10);
//! ```

use crate::{
    experiments::{self, GossipExperiment},
    scenario::Scenario,
    stories,
};

/// What a name stands for.
#[derive(Clone, Debug)]
pub enum Piece {
    /// A story: its checks say whether it went well.
    Story(Box<Scenario>),
    /// An experiment: so do its figures.
    Experiment(Box<GossipExperiment>),
}

impl Piece {
    /// What happens in it.
    pub fn story(&self) -> &Scenario {
        match self {
            Self::Story(story) => story,
            Self::Experiment(experiment) => &experiment.story,
        }
    }
}

/// Every name, and what it is about in less than a line.
pub fn abouts() -> impl Iterator<Item = (&'static str, &'static str)> {
    let stories = stories::TITLES.iter().map(|title| (title.name, title.about));
    stories.chain(experiments::TITLES.iter().map(|title| (title.name, title.about)))
}

/// Whether that is the name of an experiment.
pub fn is_experiment(name: &str) -> bool {
    experiments::NAMES.contains(&name)
}

/// What is called `name`, with `nodes` nodes.
pub fn named(name: &str, nodes: usize) -> Option<Piece> {
    let story = stories::named(name, nodes).map(|story| Piece::Story(Box::new(story)));
    let experiment = || experiments::named(name, nodes);
    story.or_else(|| experiment().map(|experiment| Piece::Experiment(Box::new(experiment))))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_name_stands_for_two_things_and_each_is_told_in_a_line() {
        let names: BTreeSet<&str> = abouts().map(|(name, _)| name).collect();
        assert_eq!(names.len(), abouts().count());
        for (name, about) in abouts() {
            assert!((1..=80).contains(&about.len()) && !about.ends_with('.'), "{name}: {about}");
            let piece = named(name, experiments::FEWEST_NODES).unwrap();
            assert_eq!(piece.story().name, name);
            assert_eq!(matches!(piece, Piece::Experiment(_)), is_experiment(name));
        }
        assert!(named("nonsense", 10).is_none());
    }
}
