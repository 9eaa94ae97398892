//! What goes to the disk, and what may be said when it is there.

use std::collections::{BTreeMap, VecDeque};

use super::{
    ChangeId, Effect, Refused, SequenceKind, StoreLevels, backlog::Backlog, view::StorageView,
};
use crate::{
    id::{MessageId, Ticket},
    limits::{HOLD_READING_AT, MAX_BACKLOG_BYTES, MAX_BYTES_TO_DISK, WRITE_INTERVAL},
    metric::Level,
    reason::Reason,
    storage::{Change, Urgency},
    time::Instant,
};

/// The changes on their way to the disk, and what waits for them.
///
/// [`persist`](Self::persist) hands a change over, in order, and so does
/// [`persist_for`](Self::persist_for), which says what it makes possible; that comes back from
/// [`handle_persisted`](Self::handle_persisted), in the same order, or is given up by
/// [`handle_failed`](Self::handle_failed). After that nothing is
/// written any more, and what needs the disk is to be refused ([`check`](Self::check)).
///
/// Nobody waits for the disk: at most [`MAX_BYTES_TO_DISK`] are on their way to it, and what comes
/// behind them stands in the [`Backlog`], which is bounded. A disk that is only slow is behind
/// ([`is_behind`](Self::is_behind)) and slows down whoever brings more than it takes. One that is
/// away for a while ([`handle_waits`](Self::handle_waits)) slows nobody, because nobody knows for
/// how long; what it misses is written when it is back.
#[derive(Debug, Default)]
pub(super) struct Persistence {
    last_change: u64,
    awaited: BTreeMap<ChangeId, Awaited>,
    /// What the disk was given and has not reported: its bytes.
    under_way: VecDeque<(ChangeId, usize)>,
    bytes_under_way: usize,
    backlog: Backlog,
    /// What strangers can cause as often as they like, until the next time that it is written; by
    /// numbers of its own.
    later: Backlog,
    last_later: u64,
    later_due: Option<Instant>,
    disk: Disk,
    /// Whether the node ends, and everything goes to the disk at once.
    flushing: bool,
    dropped: u64,
}

/// How the disk is.
#[derive(Debug, Default)]
enum Disk {
    #[default]
    Works,
    /// It takes nothing now, and why.
    Waits(Reason, String),
    /// It takes nothing any more, and why.
    Failed(Reason, String),
}

/// What becomes possible when a change is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    /// Numbers below this one may be given out.
    Numbers(SequenceKind, u64),
    /// The ticket of this broadcast is complete.
    Broadcast(Ticket, MessageId),
    /// The ticket of what a subscription said is complete.
    Subscription(Ticket),
}

impl Persistence {
    /// Hands a change to the disk, or to what waits for it.
    pub(super) fn persist(&mut self, change: Change, out: &mut VecDeque<Effect>) -> ChangeId {
        self.last_change += 1;
        let id = ChangeId(self.last_change);
        if matches!(self.disk, Disk::Failed(..)) {
            return id;
        }
        if self.backlog.is_empty() && self.has_room() {
            self.give(id, change, out);
        } else {
            self.dropped += self.backlog.push(id, change);
        }
        id
    }

    /// Hands a change to the disk; this becomes possible when it is there.
    pub(super) fn persist_for(
        &mut self,
        what: Awaited,
        change: Change,
        out: &mut VecDeque<Effect>,
    ) {
        let urgency = match what {
            // It goes out to the others without its ticket.
            Awaited::Broadcast(..) => Urgency::Soon,
            Awaited::Numbers(..) | Awaited::Subscription(..) => Urgency::Awaited,
        };
        let id = self.persist(change.at_least(urgency), out);
        self.awaited.insert(id, what);
    }

    /// Hands a change over that nobody waits for: in at most [`WRITE_INTERVAL`], together with what
    /// else changed meanwhile. So what is written for it is bounded by time, and a row that changes
    /// often costs one write.
    pub(super) fn persist_later(
        &mut self,
        now: Instant,
        change: Change,
        out: &mut VecDeque<Effect>,
    ) {
        if matches!(self.disk, Disk::Failed(..)) {
            return;
        }
        self.last_later += 1;
        self.dropped += self.later.push(ChangeId(self.last_later), change);
        self.later_due.get_or_insert(now + WRITE_INTERVAL);
        if self.flushing || self.later.bytes() >= MAX_BYTES_TO_DISK {
            self.persist_what_waits(out);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.later_due
    }

    /// Hands over what waits for its time.
    pub(super) fn handle_timeout(&mut self, now: Instant, out: &mut VecDeque<Effect>) {
        if self.later_due.is_some_and(|due| due <= now) {
            self.persist_what_waits(out);
        }
    }

    fn persist_what_waits(&mut self, out: &mut VecDeque<Effect>) {
        self.later_due = None;
        while let Some((_, change)) = self.later.pop() {
            self.persist(change, out);
        }
    }

    /// The disk has everything up to `up_to`.
    pub(super) fn handle_persisted(
        &mut self,
        up_to: ChangeId,
        out: &mut VecDeque<Effect>,
    ) -> impl Iterator<Item = Awaited> + use<> {
        while let Some(&(id, bytes)) = self.under_way.front()
            && id <= up_to
        {
            self.under_way.pop_front();
            self.bytes_under_way -= bytes;
        }
        self.give_from_backlog(out);
        let later = self.awaited.split_off(&ChangeId(up_to.0.saturating_add(1)));
        core::mem::replace(&mut self.awaited, later).into_values()
    }

    /// The disk takes nothing for now; whether that is news.
    pub(super) fn handle_waits(&mut self, reason: Reason, why: &str) -> bool {
        match &self.disk {
            Disk::Failed(..) => false,
            Disk::Waits(_, known) if known == why => false,
            Disk::Waits(..) | Disk::Works => {
                self.disk = Disk::Waits(reason, why.to_owned());
                true
            }
        }
    }

    /// The disk takes something; whether it was away before.
    pub(super) fn handle_back(&mut self) -> bool {
        let was_away = matches!(self.disk, Disk::Waits(..));
        if was_away {
            self.disk = Disk::Works;
        }
        was_away
    }

    /// The disk is gone for good: the tickets that waited for it. `None` if it
    /// was gone before.
    pub(super) fn handle_failed(
        &mut self,
        reason: Reason,
        why: &str,
    ) -> Option<impl Iterator<Item = Ticket> + use<>> {
        if matches!(self.disk, Disk::Failed(..)) {
            return None;
        }
        self.disk = Disk::Failed(reason, why.to_owned());
        (self.backlog, self.later, self.later_due) = Default::default();
        let awaited = core::mem::take(&mut self.awaited).into_values();
        Some(awaited.filter_map(|awaited| match awaited {
            Awaited::Broadcast(ticket, _) | Awaited::Subscription(ticket) => Some(ticket),
            Awaited::Numbers(..) => None,
        }))
    }

    /// The node ends: whatever waits, and whatever comes, goes to the disk now.
    pub(super) fn flush(&mut self, out: &mut VecDeque<Effect>) {
        self.flushing = true;
        self.persist_what_waits(out);
        self.give_from_backlog(out);
    }

    /// Whether the disk takes less than is brought.
    pub(super) const fn is_behind(&self) -> bool {
        matches!(self.disk, Disk::Works) && self.backlog.bytes() >= HOLD_READING_AT
    }

    /// Whether there is a disk, or why not.
    pub(super) fn check(&self) -> Result<(), Refused> {
        match &self.disk {
            Disk::Failed(_, why) => Err(Refused::StorageFailed(why.clone())),
            Disk::Works | Disk::Waits(..) => Ok(()),
        }
    }

    /// Says of a broadcast that is one too many what the others wait for.
    pub(super) fn explain(&self, refused: Refused) -> Refused {
        match (refused, &self.disk) {
            (Refused::TooManyPending, Disk::Waits(_, why)) => Refused::StorageWaits(why.clone()),
            (refused, _) => refused,
        }
    }

    /// How many changes something waits for.
    pub(super) fn waiting(&self) -> usize {
        self.awaited.len()
    }

    /// Changes that were dropped because too many waited.
    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// What waits, as numbers.
    pub(super) fn levels(&self) -> StoreLevels {
        let bytes = self.bytes_under_way + self.backlog.bytes() + self.later.bytes();
        StoreLevels {
            waiting_bytes: Level::new(bytes, MAX_BACKLOG_BYTES),
            waits: u64::from(matches!(self.disk, Disk::Waits(..))),
            failed: u64::from(matches!(self.disk, Disk::Failed(..))),
        }
    }

    /// How it goes.
    pub(super) fn view(&self) -> StorageView {
        let (waits_for, failed, reason) = match &self.disk {
            Disk::Works => (None, None, None),
            Disk::Waits(reason, why) => (Some(why.clone()), None, Some(*reason)),
            Disk::Failed(reason, why) => (None, Some(why.clone()), Some(*reason)),
        };
        let is_broadcast = |awaited: &&Awaited| matches!(awaited, Awaited::Broadcast(..));
        StorageView {
            waits_for,
            failed,
            reason,
            changes: self.last_change,
            waiting_changes: self.under_way.len() + self.backlog.len() + self.later.len(),
            waiting_bytes: self.bytes_under_way + self.backlog.bytes() + self.later.bytes(),
            waiting_broadcasts: self.awaited.values().filter(is_broadcast).count(),
        }
    }

    const fn has_room(&self) -> bool {
        self.flushing || self.bytes_under_way < MAX_BYTES_TO_DISK
    }

    fn give_from_backlog(&mut self, out: &mut VecDeque<Effect>) {
        while self.has_room()
            && let Some((id, change)) = self.backlog.pop()
        {
            self.give(id, change, out);
        }
    }

    fn give(&mut self, id: ChangeId, change: Change, out: &mut VecDeque<Effect>) {
        self.under_way.push_back((id, change.len()));
        self.bytes_under_way += change.len();
        out.push_back(Effect::Persist { id, change });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::NodeId,
        peers::change::forget,
        standings::PeerTrust,
        time::{Duration, WallTime},
        trust,
    };

    fn standing(n: u16, score: f64) -> Change {
        let mut id = [0; 32];
        id[..2].copy_from_slice(&n.to_be_bytes());
        let standing = PeerTrust { score, banned_until: Some(WallTime::from_unix_micros(9)) };
        let at = WallTime::from_unix_micros(5);
        let peer = NodeId::from_bytes(id);
        trust::change::keep(&trust::RememberedTrust { peer, standing, at, ordered: None })
    }

    /// Carries out what is due at `now`; how many changes went to the disk.
    fn written(persistence: &mut Persistence, now: Instant) -> usize {
        let mut out = VecDeque::new();
        persistence.handle_timeout(now, &mut out);
        for effect in &out {
            let Effect::Persist { id, .. } = effect else { panic!("{effect:?}") };
            drop(persistence.handle_persisted(*id, &mut VecDeque::new()));
        }
        out.len()
    }

    #[test]
    fn what_strangers_cause_is_written_once_an_interval_and_a_row_once() {
        let (mut persistence, mut out) = (Persistence::default(), VecDeque::new());
        let mut now = Instant::ORIGIN;
        let (mut writes, mut rows) = (0, 0);
        // Ten seconds of a thousand changes each, of a hundred peers.
        for n in 0..10_000 {
            now = now + Duration::from_millis(1);
            persistence.persist_later(now, standing(n % 100, f64::from(n)), &mut out);
            let these = written(&mut persistence, now);
            writes += usize::from(these > 0);
            rows += these;
        }
        assert!(out.is_empty(), "nothing goes to the disk before its time");
        assert!(writes <= 10 && rows <= 1_000, "{rows} rows in {writes} writes");
        assert!(persistence.poll_timeout().is_some());
        persistence.flush(&mut out);
        assert!(out.len() <= 100 && persistence.poll_timeout().is_none());
        persistence.persist_later(now, standing(1, 0.5), &mut out);
        assert!(persistence.poll_timeout().is_none(), "a node that ends does not wait");
    }

    #[test]
    fn a_broadcast_can_spare_a_moment_and_what_a_subscription_said_cannot() {
        let (mut persistence, mut out) = (Persistence::default(), VecDeque::new());
        let id = MessageId::from_bytes([1; 32]);
        for (what, wanted) in [
            (Awaited::Broadcast(Ticket(1), id), Urgency::Soon),
            (Awaited::Subscription(Ticket(2)), Urgency::Awaited),
            (Awaited::Numbers(SequenceKind::Broadcast, 9), Urgency::Awaited),
        ] {
            persistence.persist_for(what, forget(&NodeId::from_bytes([1; 32])), &mut out);
            let Some(Effect::Persist { change, .. }) = out.pop_back() else { panic!("{what:?}") };
            assert_eq!(change.urgency, wanted, "{what:?}");
        }
    }
}
