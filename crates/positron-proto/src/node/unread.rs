//! What peers said and nobody has read yet.

use bytes::Bytes;

use super::work_budget::cost;
use crate::{
    fair_queue::FairQueue,
    id::NodeId,
    limits::{READING_PER_MESSAGE, READING_TURN, UNREAD_LONG},
    time::Instant,
};

/// Messages that wait to be read, in one line for each peer, which have their turns by what reading
/// takes. A node reads so much at a time and lets the world outside have its say in between: what
/// arrived from others meanwhile is opened, which costs little, and its turn comes after one
/// message of each line. So nobody waits for all that somebody else brought at once.
///
/// Bounded by [`UNREAD_LONG`] for each peer, at which its link is read no further, and by what was
/// on its way then.
#[derive(Debug)]
pub(super) struct Unread {
    lines: FairQueue<NodeId, (NodeId, Bytes)>,
    /// What may still be read in this turn.
    left: usize,
    /// The time of the last thing that waits.
    since: Option<Instant>,
}

impl Default for Unread {
    fn default() -> Self {
        Self { lines: FairQueue::new(), left: READING_TURN, since: None }
    }
}

impl Unread {
    /// Something else had its turn.
    pub(super) const fn begin_turn(&mut self) {
        self.left = READING_TURN;
    }

    /// Whether a message is to be read at once, as a part of this turn: nothing waits, the turn is
    /// not over, and its peer has turns.
    pub(super) fn takes(&mut self, from: &NodeId, body: &[u8]) -> bool {
        let takes = self.left > 0 && self.lines.is_empty() && !self.lines.is_suspended(from);
        if takes {
            self.left = self.left.saturating_sub(weight(body));
        }
        takes
    }

    /// To the end of the line of its peer; whether that is long now.
    pub(super) fn push(&mut self, now: Instant, from: NodeId, body: Bytes) -> bool {
        self.lines.push(from, weight(&body), (from, body));
        self.since = Some(now);
        self.lines.waiting(&from).0 > UNREAD_LONG
    }

    /// What this peer said and says is not read until [`resume`](Self::resume).
    pub(super) fn suspend(&mut self, from: NodeId) {
        self.lines.suspend(from);
    }

    /// What those said is read again of whom this holds.
    pub(super) fn resume(&mut self, is_over: impl FnMut(&NodeId) -> bool) {
        self.lines.resume(is_over);
    }

    /// The next message of this turn.
    pub(super) fn pop(&mut self) -> Option<(NodeId, Bytes)> {
        if self.left == 0 {
            return None;
        }
        let (from, body) = self.lines.pop()?;
        self.left = self.left.saturating_sub(weight(&body));
        Some((from, body))
    }

    /// Whether so little of this peer waits that its link may be read again.
    pub(super) fn is_short(&self, from: &NodeId) -> bool {
        self.lines.waiting(from).0 < UNREAD_LONG / 2
    }

    /// All that waits of this peer.
    pub(super) fn take_line(&mut self, from: &NodeId) -> impl Iterator<Item = Bytes> + use<> {
        self.lines.remove(from).map(|(_, body)| body)
    }

    /// When to [begin](Self::begin_turn) the next turn: at once, if something waits for it.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.since.filter(|_| !self.lines.is_empty())
    }
}

/// What reading a message takes.
fn weight(body: &[u8]) -> usize {
    usize::try_from(cost(body)).unwrap_or(usize::MAX).saturating_add(READING_PER_MESSAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Instant = Instant::from_micros(1 << 40);

    fn peer(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    fn question() -> Bytes {
        Bytes::from_static(&[7; 150])
    }

    fn turn(unread: &mut Unread) -> Vec<NodeId> {
        unread.begin_turn();
        core::iter::from_fn(|| unread.pop()).map(|(from, _)| from).collect()
    }

    #[test]
    fn who_says_little_waits_for_one_message_of_who_says_much_and_not_for_all() {
        let mut unread = Unread::default();
        assert!(unread.takes(&peer(1), &question()), "nothing waits");
        assert_eq!(unread.poll_timeout(), None);
        let at_once = 1 + (1..).take_while(|_| unread.takes(&peer(1), &question())).count();
        assert!((10..100).contains(&at_once), "{at_once}");
        let was_long = (0..1_000).map(|_| unread.push(NOON, peer(1), question()));
        let read = was_long.take_while(|is_long| !is_long).count();
        assert!(read <= 5 * at_once, "its link is read no further after {read}");
        assert_eq!(unread.pop(), None, "it is the others' turn");
        assert_eq!(unread.poll_timeout(), Some(NOON));

        unread.push(NOON, peer(2), question());
        let next = turn(&mut unread);
        assert!(next[..2].contains(&peer(2)), "one of each");
        assert!(next.len() <= at_once, "no turn is longer than another");
        while !unread.is_short(&peer(1)) {
            assert!(!turn(&mut unread).is_empty());
        }
        assert!(unread.take_line(&peer(1)).count() > 0);
        assert_eq!(unread.poll_timeout(), None, "nothing is left of who is gone");
    }
}
