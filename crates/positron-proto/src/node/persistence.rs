//! What goes to the disk, and what may be said when it is there.

use std::collections::{BTreeMap, VecDeque};

use super::{ChangeId, Effect, Refused, SequenceKind, backlog::Backlog, view::StorageView};
use crate::{
    id::{MessageId, Ticket},
    limits::{HOLD_READING_AT, MAX_BYTES_TO_DISK},
    storage::Change,
};

/// The changes on their way to the disk, and what waits for them.
///
/// [`persist`](Self::persist) hands a change over, in order, and [`wait_for`](Self::wait_for) says
/// what it makes possible; that comes back from [`handle_persisted`](Self::handle_persisted), in
/// the same order, or is given up by [`handle_failed`](Self::handle_failed). After that nothing is
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
    Waits(String),
    /// It takes nothing any more, and why.
    Failed(String),
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
        if matches!(self.disk, Disk::Failed(_)) {
            return id;
        }
        if self.backlog.is_empty() && self.has_room() {
            self.give(id, change, out);
        } else {
            self.dropped += self.backlog.push(id, change);
        }
        id
    }

    /// This becomes possible when the change with this name is on disk.
    pub(super) fn wait_for(&mut self, change: ChangeId, what: Awaited) {
        self.backlog.protect(change);
        self.awaited.insert(change, what);
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
    pub(super) fn handle_waits(&mut self, why: &str) -> bool {
        match &self.disk {
            Disk::Failed(_) => false,
            Disk::Waits(known) if known == why => false,
            Disk::Waits(_) | Disk::Works => {
                self.disk = Disk::Waits(why.to_owned());
                true
            }
        }
    }

    /// The disk takes something; whether it was away before.
    pub(super) fn handle_back(&mut self) -> bool {
        let was_away = matches!(self.disk, Disk::Waits(_));
        if was_away {
            self.disk = Disk::Works;
        }
        was_away
    }

    /// The disk is gone for good: the tickets that waited for it. `None` if it
    /// was gone before.
    pub(super) fn handle_failed(
        &mut self,
        why: &str,
    ) -> Option<impl Iterator<Item = Ticket> + use<>> {
        if matches!(self.disk, Disk::Failed(_)) {
            return None;
        }
        self.disk = Disk::Failed(why.to_owned());
        self.backlog = Backlog::default();
        let awaited = core::mem::take(&mut self.awaited).into_values();
        Some(awaited.filter_map(|awaited| match awaited {
            Awaited::Broadcast(ticket, _) | Awaited::Subscription(ticket) => Some(ticket),
            Awaited::Numbers(..) => None,
        }))
    }

    /// The node ends: whatever waits, and whatever comes, goes to the disk now.
    pub(super) fn flush(&mut self, out: &mut VecDeque<Effect>) {
        self.flushing = true;
        self.give_from_backlog(out);
    }

    /// Whether the disk takes less than is brought.
    pub(super) const fn is_behind(&self) -> bool {
        matches!(self.disk, Disk::Works) && self.backlog.bytes() >= HOLD_READING_AT
    }

    /// Whether there is a disk, or why not.
    pub(super) fn check(&self) -> Result<(), Refused> {
        match &self.disk {
            Disk::Failed(why) => Err(Refused::StorageFailed(why.clone())),
            Disk::Works | Disk::Waits(_) => Ok(()),
        }
    }

    /// Says of a broadcast that is one too many what the others wait for.
    pub(super) fn explain(&self, refused: Refused) -> Refused {
        match (refused, &self.disk) {
            (Refused::TooManyPending, Disk::Waits(why)) => Refused::StorageWaits(why.clone()),
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

    /// How it goes.
    pub(super) fn view(&self) -> StorageView {
        let (waits_for, failed) = match &self.disk {
            Disk::Works => (None, None),
            Disk::Waits(why) => (Some(why.clone()), None),
            Disk::Failed(why) => (None, Some(why.clone())),
        };
        let is_broadcast = |awaited: &&Awaited| matches!(awaited, Awaited::Broadcast(..));
        StorageView {
            waits_for,
            failed,
            changes: self.last_change,
            waiting_changes: self.under_way.len() + self.backlog.len(),
            waiting_bytes: self.bytes_under_way + self.backlog.bytes(),
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
