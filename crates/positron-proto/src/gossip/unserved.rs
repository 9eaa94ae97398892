//! What peers asked for, and was not looked at yet.

use std::ops::RangeInclusive;

use crate::{
    fair_queue::FairQueue,
    id::NodeId,
    limits::{MAX_UNSERVED, SERVED_IN_TURN, SERVING_INTERVAL},
    time::Instant,
};

/// Numbers of a sender that a peer asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) peer: NodeId,
    pub(super) sender: NodeId,
    pub(super) numbers: RangeInclusive<u64>,
}

/// Questions, answered in turns: one list may ask for all that there is, and neither the others who
/// ask nor what else the node has to do waits until that is sent. At most [`MAX_UNSERVED`] of each
/// peer; at most [`SERVED_IN_TURN`] messages every [`SERVING_INTERVAL`].
#[derive(Debug)]
pub(super) struct Unserved {
    questions: FairQueue<NodeId, Question>,
    /// What may still be sent in the turn that began then.
    left: usize,
    turn: Instant,
}

impl Default for Unserved {
    fn default() -> Self {
        Self { questions: FairQueue::new(), left: SERVED_IN_TURN, turn: Instant::ORIGIN }
    }
}

impl Unserved {
    /// How much may be sent now.
    pub(super) fn begin_turn(&mut self, now: Instant) -> usize {
        if now.since(self.turn) >= SERVING_INTERVAL {
            (self.left, self.turn) = (SERVED_IN_TURN, now);
        }
        self.left
    }

    /// So much of it was left; when the next turn is due, if something waits for it.
    pub(super) fn end_turn(&mut self, left: usize) -> Option<Instant> {
        self.left = left;
        (!self.questions.is_empty()).then(|| self.turn + SERVING_INTERVAL)
    }

    /// To the end of what its peer asked for; whether there is room for it.
    pub(super) fn push(&mut self, question: Question) -> bool {
        let peer = question.peer;
        let has_room = self.questions.waiting(&peer).1 < MAX_UNSERVED;
        if has_room {
            self.questions.push(peer, 0, question);
        }
        has_room
    }

    /// The next one.
    pub(super) fn pop(&mut self) -> Option<Question> {
        self.questions.pop()
    }

    /// It is gone, or has asked for more than it may.
    pub(super) fn forget(&mut self, peer: &NodeId) {
        drop(self.questions.remove(peer));
    }
}
