//! The tree along which new messages are pushed `[PROTOCOL 6]`.

use std::collections::{BTreeMap, BTreeSet};

use super::message_key::MessageKey;
use crate::{
    id::{MessageId, NodeId},
    journey::Nth,
    limits::{GRAFT_INTERVAL, SHAPE_LEAST, SHAPED_AGAIN, SHAPED_MENDED, SHAPED_MESSAGES},
    time::{Duration, Instant},
};

/// Which links are *eager* (new messages are pushed over them) and which are *lazy* (they may be
/// announced), in the words of Plumtree (Leitão, Pereira, Rodrigues 2007).
///
/// Plumtree prunes the link of whatever message came twice. With many senders that leaves the links
/// over which some message happened to be first somewhere: a deep random tree. Here the tree is
/// that of *one* message: now and then a publisher marks its message as one that shapes. It is
/// pushed over all links; everyone grafts the link it came by first, which is the quickest way from
/// there, and prunes those by which it came again. What is pushed meanwhile goes along the tree of
/// the one before. Of two that are marked at about the same time the smaller id shapes, everywhere.
///
/// ```text
///            graft: it shaped and came first, it was late and this link had it, an eager one died
///   lazy  ------------------------------------------------------------------------------> eager
///         <------------------------------------------------------------------------------
///            prune: it shaped and came again, or was not late after all
/// ```
///
/// Both ends hold a link for the same, for each change is told. Where two changes cross they may
/// not, until the next message that shapes: its outcome is told again on every link.
#[derive(Debug)]
pub(super) struct PushTree {
    eager: BTreeSet<NodeId>,
    /// Those of them that were grafted since, because something was late, or a link began or ended:
    /// one over which anything comes again closes a circle.
    on_trial: BTreeMap<NodeId, TriedBy>,
    shape: Shape,
    /// What a link was grafted for last, until it proves to have been in vain.
    rescue: Option<Rescue>,
    /// When that was.
    grafted: Option<Instant>,
}

/// Which end of a link tries it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TriedBy {
    Us,
    Them,
}

/// A message that is new here, on its way to the peers.
pub(super) struct Rumour {
    pub(super) item: MessageKey,
    pub(super) nth: Nth,
    /// Hops that it may still be pushed, and whether it [`SHAPES`](super::SHAPES).
    pub(super) ttl: u8,
    /// Who has it.
    pub(super) has: Vec<NodeId>,
    /// Who of them sent it after another one, or will: they hear that we have it from elsewhere.
    pub(super) besides: Vec<NodeId>,
}

/// The message whose tree it is.
#[derive(Debug)]
struct Shape {
    /// None before the first.
    message: Option<(MessageKey, MessageId)>,
    since: Instant,
    /// Messages that came after it.
    followed: u32,
    /// Whether links that began or ended made others be tried out since.
    mended: bool,
    /// How many shaped instead of one another.
    rivals: u8,
    /// How long it stays, if enough follow.
    stays: Duration,
}

/// A message that an announcer had to be asked for.
#[derive(Clone, Copy, Debug)]
struct Rescue {
    item: MessageKey,
    announced: Instant,
    /// Whose link was grafted.
    from: NodeId,
}

impl PushTree {
    /// Without links, and shaped by nothing yet; the first message that shapes may come soon.
    pub(super) const fn new(now: Instant, first: Duration) -> Self {
        let (message, stays) = (None, first);
        let shape = Shape { message, since: now, followed: 0, mended: false, rivals: 0, stays };
        Self {
            eager: BTreeSet::new(),
            on_trial: BTreeMap::new(),
            shape,
            rescue: None,
            grafted: None,
        }
    }

    pub(super) fn is_eager(&self, peer: &NodeId) -> bool {
        self.eager.contains(peer)
    }

    /// Whether its link is eager until something comes again over it.
    pub(super) fn is_on_trial(&self, peer: &NodeId) -> bool {
        self.on_trial.contains_key(peer)
    }

    /// The peers whose links are eager.
    pub(super) fn eager(&self) -> impl Iterator<Item = &NodeId> {
        self.eager.iter()
    }

    /// How many links are eager.
    pub(super) fn len(&self) -> usize {
        self.eager.len()
    }

    /// The link to `peer` is eager from now on.
    pub(super) fn graft(&mut self, peer: NodeId) {
        self.eager.insert(peer);
        self.on_trial.remove(&peer);
    }

    /// A link began or ended: that to `peer` is eager from now on, unless something comes again
    /// over it.
    pub(super) fn try_out(&mut self, peer: NodeId) {
        self.shape.mended |= self.put_on_trial(peer, TriedBy::Us);
    }

    /// The other end grafted the link to `peer`: because a message shaped there, or else it tries
    /// it out, and it is on trial at both ends.
    pub(super) fn handle_graft(&mut self, now: Instant, peer: NodeId) {
        if now.since(self.shape.since) < SHAPE_LEAST {
            self.eager.insert(peer);
        } else {
            self.put_on_trial(peer, TriedBy::Them);
        }
    }

    /// Returns whether it was lazy; what is eager anyway stays what it is.
    fn put_on_trial(&mut self, peer: NodeId, by: TriedBy) -> bool {
        let was_lazy = self.eager.insert(peer);
        if was_lazy {
            self.on_trial.insert(peer, by);
        }
        was_lazy
    }

    /// Whether a message shaped it.
    pub(super) const fn is_shaped(&self) -> bool {
        self.shape.message.is_some()
    }

    /// The link to `peer` is lazy from now on, or gone; returns whether it was eager.
    pub(super) fn prune(&mut self, peer: &NodeId) -> bool {
        self.on_trial.remove(peer);
        self.eager.remove(peer)
    }

    /// A message that is not marked came or was published.
    pub(super) const fn handle_message(&mut self) {
        self.shape.followed = self.shape.followed.saturating_add(1);
    }

    /// Whether it is time for a message that shapes: the one before was long ago, and enough came
    /// after it. What was mended goes roundabout ways.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let Shape { message, since, followed, mended, stays, .. } = self.shape;
        let enough = if mended { SHAPED_MENDED } else { SHAPED_MESSAGES };
        (message.is_none() || followed >= enough) && now.since(since) >= stays
    }

    /// A message that is marked came first or is ours; returns whether it shapes here. If so, ours
    /// do not for as long as it `stays`.
    pub(super) fn takes_shape(
        &mut self,
        now: Instant,
        item: MessageKey,
        id: MessageId,
        stays: Duration,
    ) -> bool {
        let before = self.shape.message.filter(|_| now.since(self.shape.since) < SHAPE_LEAST);
        let message = Some((item, id));
        let first = Shape { message, since: now, followed: 0, mended: false, rivals: 0, stays };
        match before {
            None => self.shape = first,
            Some((_, other)) if id < other && self.shape.rivals < SHAPED_AGAIN => {
                let (since, rivals) = (self.shape.since, self.shape.rivals + 1);
                self.shape = Shape { since, rivals, ..first };
            }
            Some(_) => return false,
        }
        self.on_trial.clear();
        true
    }

    /// Whether `item` is what shaped the tree.
    pub(super) fn is_shaped_by(&self, item: &MessageKey) -> bool {
        self.shape.message.is_some_and(|(shape, _)| shape == *item)
    }

    /// `item` was announced at `announced` and had to be asked for, and now `from` sent it; returns
    /// whether its link is grafted for that, unless `most` are on trial already.
    pub(super) fn handle_rescue(
        &mut self,
        now: Instant,
        item: MessageKey,
        announced: Instant,
        from: NodeId,
        most: usize,
    ) -> bool {
        let is_soon = self.grafted.is_some_and(|last| now.since(last) < GRAFT_INTERVAL);
        let ours = self.on_trial.values().filter(|by| **by == TriedBy::Us).count();
        if is_soon || ours >= most || !self.put_on_trial(from, TriedBy::Us) {
            return false;
        }
        self.grafted = Some(now);
        self.rescue = Some(Rescue { item, announced, from });
        true
    }

    /// `item` came once more, from `from`: returns whose link is to be pruned for that, and how
    /// long after its announcement `item` was pushed, if it was only late and asked for in vain.
    pub(super) fn handle_repeat(
        &mut self,
        now: Instant,
        item: &MessageKey,
        from: NodeId,
    ) -> Option<(NodeId, Option<Duration>)> {
        let in_vain = |rescue: &Rescue| rescue.item == *item && rescue.from != from;
        if self.is_shaped_by(item) {
            return Some((from, None));
        }
        if self.is_eager(&from)
            && let Some(rescue) = self.rescue.take_if(|rescue| in_vain(rescue))
        {
            return Some((rescue.from, Some(now.since(rescue.announced))));
        }
        self.on_trial.contains_key(&from).then_some((from, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn peer(number: u8) -> NodeId {
        NodeId::from_bytes([number; 32])
    }

    fn of(sequence: u64) -> MessageKey {
        MessageKey { sender: peer(9), sequence }
    }

    fn id(first: u8) -> MessageId {
        MessageId::from_bytes([first; 32])
    }

    fn tree() -> PushTree {
        PushTree::new(Instant::ORIGIN, SECOND)
    }

    fn at(seconds: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(seconds)
    }

    #[test]
    fn a_shape_stays_for_its_time_and_until_enough_followed() {
        let mut tree = tree();
        assert!(!tree.is_due(at(0)) && tree.is_due(at(1)));
        assert!(tree.takes_shape(at(1), of(1), id(5), 16 * SECOND));
        assert!(tree.is_shaped_by(&of(1)) && !tree.is_shaped_by(&of(2)));
        assert!(!tree.is_due(at(100)), "nothing followed");
        (0..SHAPED_MESSAGES).for_each(|_| tree.handle_message());
        assert!(!tree.is_due(at(16)) && tree.is_due(at(17)));
    }

    #[test]
    fn fewer_have_to_follow_where_links_began_or_ended_since() {
        let mut tree = tree();
        assert!(tree.takes_shape(at(1), of(1), id(5), SECOND));
        tree.graft(peer(1));
        (0..SHAPED_MENDED).for_each(|_| tree.handle_message());
        assert!(!tree.is_due(at(100)));
        assert!(tree.handle_rescue(at(2), of(2), at(2), peer(3), 3) && !tree.is_due(at(100)));
        tree.try_out(peer(2));
        assert!(tree.is_due(at(100)));
        assert!(tree.takes_shape(at(100), of(2), id(5), SECOND));
        (0..SHAPED_MENDED).for_each(|_| tree.handle_message());
        assert!(!tree.is_due(at(200)), "it was shaped anew");
    }

    #[test]
    fn of_two_that_are_marked_at_the_same_time_the_smaller_shapes_everywhere() {
        for order in [[5, 3], [3, 5]] {
            let mut tree = tree();
            for first in order {
                tree.takes_shape(at(1), of(u64::from(first)), id(first), SECOND);
            }
            assert!(tree.is_shaped_by(&of(3)), "{order:?}");
        }
    }

    #[test]
    fn who_marks_ever_smaller_ones_shapes_a_few_times_and_not_for_ever() {
        let mut tree = tree();
        let taken = (0..200_u8)
            .filter(|n| tree.takes_shape(at(1), of(u64::from(*n)), id(200 - n), SECOND))
            .count();
        assert_eq!(taken, usize::from(SHAPED_AGAIN) + 1);
        assert!(tree.takes_shape(Instant::ORIGIN + SECOND + SHAPE_LEAST, of(7), id(9), SECOND));
    }

    #[test]
    fn what_was_late_grafts_a_link_now_and_then_and_what_was_not_late_prunes_it_again() {
        let mut tree = tree();
        tree.graft(peer(1));
        assert!(tree.handle_rescue(at(2), of(1), at(1), peer(2), 2));
        assert!(!tree.handle_rescue(at(2), of(2), at(1), peer(3), 2), "one at a time");
        assert!(tree.handle_rescue(at(3), of(3), at(2), peer(3), 2));
        assert!(!tree.handle_rescue(at(4), of(4), at(2), peer(4), 2), "so many a shape");
        assert_eq!(tree.handle_repeat(at(4), &of(3), peer(4)), None, "nobody's push");
        let in_vain = tree.handle_repeat(at(4), &of(3), peer(1));
        assert_eq!(in_vain, Some((peer(3), Some(2 * SECOND))));
        assert!(tree.prune(&peer(3)) && tree.is_eager(&peer(2)));
        assert_eq!(tree.handle_repeat(at(4), &of(3), peer(1)), None, "once");
        assert!(tree.handle_rescue(at(5), of(5), at(4), peer(4), 2), "what was in vain is free");
    }

    #[test]
    fn a_link_that_others_try_out_is_on_trial_here_too_and_keeps_nobody_from_trying() {
        let mut tree = tree();
        assert!(tree.takes_shape(at(1), of(1), id(5), SECOND));
        tree.handle_graft(at(2), peer(1));
        assert_eq!(tree.handle_repeat(at(3), &of(2), peer(1)), None, "it came of the shape");
        let later = Instant::ORIGIN + SECOND + SHAPE_LEAST;
        tree.handle_graft(later, peer(2));
        assert!(tree.handle_rescue(later, of(3), at(1), peer(3), 1));
        assert_eq!(tree.handle_repeat(later, &of(4), peer(2)), Some((peer(2), None)));
    }

    #[test]
    fn a_link_on_trial_over_which_something_comes_again_is_pruned_until_a_shape_takes_it_in() {
        let mut tree = tree();
        tree.graft(peer(1));
        [2, 3, 1].into_iter().for_each(|number| tree.try_out(peer(number)));
        assert_eq!(tree.handle_repeat(at(1), &of(1), peer(1)), None, "of the tree");
        assert_eq!(tree.handle_repeat(at(1), &of(1), peer(2)), Some((peer(2), None)));
        assert!(tree.takes_shape(at(1), of(2), id(5), SECOND));
        tree.graft(peer(3));
        assert_eq!(tree.handle_repeat(at(1), &of(1), peer(3)), None);
        assert_eq!(tree.handle_repeat(at(1), &of(2), peer(1)), Some((peer(1), None)), "the shape");
    }
}
