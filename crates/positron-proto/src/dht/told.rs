//! Who was told lately which nodes are near a place.

use std::collections::VecDeque;

use super::Place;
use crate::{
    id::NodeId,
    limits::{LONGEST_LOOKUP, MAX_TOLD},
    time::Instant,
};

/// The last [`MAX_TOLD`] questions that we answered with nodes near a place, each for as long as
/// the longest lookup.
///
/// Whoever stores a record has asked before who is near its key, and gives it to all of them: only
/// nodes that came after our answer may lack it.
#[derive(Debug, Default)]
pub(super) struct Told(VecDeque<Answer>);

#[derive(Debug)]
struct Answer {
    to: NodeId,
    target: Place,
    at: Instant,
}

impl Told {
    /// It is told now whom we know near this place.
    pub(super) fn handle_answer(&mut self, now: Instant, to: NodeId, target: Place) {
        let is_over = |answer: &Answer| now.since(answer.at) > LONGEST_LOOKUP;
        while self.0.front().is_some_and(|answer| is_over(answer) || self.0.len() >= MAX_TOLD) {
            self.0.pop_front();
        }
        self.0.push_back(Answer { to, target, at: now });
    }

    /// When it was told that last.
    pub(super) fn when(&self, to: NodeId, target: Place) -> Option<Instant> {
        let answer = self.0.iter().rfind(|answer| answer.to == to && answer.target == target);
        answer.map(|answer| answer.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    #[test]
    fn the_last_answer_about_a_place_counts_and_old_ones_give_way() {
        let (mut told, start) = (Told::default(), Instant::ORIGIN);
        let node = |n: usize| NodeId::from_bytes([u8::try_from(n).unwrap(); 32]);
        let place = |n: u8| Place::from_bytes([n; 32]);
        let later = start + Duration::from_secs(1);
        told.handle_answer(start, node(1), place(1));
        told.handle_answer(later, node(1), place(1));
        told.handle_answer(later, node(1), place(2));
        assert_eq!(told.when(node(1), place(1)), Some(later));
        assert_eq!(told.when(node(2), place(1)), None);
        for n in 0..MAX_TOLD {
            told.handle_answer(later, node(n), place(3));
        }
        assert_eq!((told.0.len(), told.when(node(1), place(2))), (MAX_TOLD, None));
        told.handle_answer(later + LONGEST_LOOKUP * 2, node(9), place(9));
        assert_eq!(told.0.len(), 1);
    }
}
