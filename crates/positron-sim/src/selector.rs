//! Whom a fault happens to.

use crate::dice::Dice;

/// Some of the nodes.
#[derive(Clone, Debug, PartialEq)]
pub enum Selector {
    /// Everyone.
    All,
    /// This one.
    Node(usize),
    /// These.
    Nodes(Vec<usize>),
    /// Drawn: this part of those to whom the fault can happen, rounded down, but at least one.
    Part(f64),
    /// Drawn as [`Part`](Self::Part), but never a bootstrap node.
    PartOfOthers(f64),
    /// Drawn: so many of those to whom the fault can happen, or all of them.
    Count(usize),
}

impl Selector {
    /// Those of `able`, to whom it can happen, that are meant; the first `bootstraps` nodes are
    /// bootstrap nodes.
    pub(crate) fn choose(
        &self,
        mut able: Vec<usize>,
        bootstraps: usize,
        dice: &mut Dice,
    ) -> Vec<usize> {
        match self {
            Self::All => able,
            Self::Node(node) => able.into_iter().filter(|n| n == node).collect(),
            Self::Nodes(these) => able.into_iter().filter(|n| these.contains(n)).collect(),
            Self::Part(part) => draw(able, *part, dice),
            Self::Count(count) => draw_count(able, *count, dice),
            Self::PartOfOthers(part) => {
                able.retain(|node| *node >= bootstraps);
                draw(able, *part, dice)
            }
        }
    }
}

fn draw(from: Vec<usize>, part: f64, dice: &mut Dice) -> Vec<usize> {
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let count = (from.len() as f64 * part) as usize;
    draw_count(from, count.max(1), dice)
}

fn draw_count(mut from: Vec<usize>, count: usize, dice: &mut Dice) -> Vec<usize> {
    dice.shuffle(&mut from);
    from.truncate(count);
    from.sort_unstable();
    from
}
