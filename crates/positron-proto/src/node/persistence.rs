//! What goes to the disk, and what may be said when it is there.

use std::collections::{BTreeMap, VecDeque};

use super::{ChangeId, Effect, Refused, SequenceKind};
use crate::{
    id::{MessageId, Ticket},
    storage::{Change, Urgency},
};

/// The changes on their way to the disk, and what waits for them.
///
/// [`persist`](Self::persist) hands a change over, in order, and so does
/// [`persist_for`](Self::persist_for), which says what it makes possible; that comes back from
/// [`handle_persisted`](Self::handle_persisted), in the same order, or is given up by
/// [`handle_failed`](Self::handle_failed). After that nothing is
/// written any more, and what needs the disk is to be refused ([`check`](Self::check)).
///
/// Bounded by whoever asks: one reservation of numbers for each counting, and the broadcasts that
/// [`waiting`](Self::waiting) counts.
#[derive(Debug, Default)]
pub(super) struct Persistence {
    last_change: u64,
    awaited: BTreeMap<ChangeId, Awaited>,
    failed: Option<String>,
}

/// What becomes possible when a change is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    /// Numbers below this one may be given out.
    Numbers(SequenceKind, u64),
    /// The ticket of this broadcast is complete.
    Broadcast(Ticket, MessageId),
}

impl Persistence {
    /// Hands a change to the disk.
    pub(super) fn persist(&mut self, change: Change, out: &mut VecDeque<Effect>) -> ChangeId {
        self.last_change += 1;
        let id = ChangeId(self.last_change);
        if self.failed.is_some() {
            return id;
        }
        out.push_back(Effect::Persist { id, change });
        id
    }

    /// Hands a change to the disk; this becomes possible when it is there.
    pub(super) fn persist_for(
        &mut self,
        what: Awaited,
        change: Change,
        out: &mut VecDeque<Effect>,
    ) {
        let id = self.persist(change.at_least(Urgency::Awaited), out);
        self.awaited.insert(id, what);
    }

    /// The disk has everything up to `up_to`.
    pub(super) fn handle_persisted(
        &mut self,
        up_to: ChangeId,
    ) -> impl Iterator<Item = Awaited> + use<> {
        let later = self.awaited.split_off(&ChangeId(up_to.0.saturating_add(1)));
        core::mem::replace(&mut self.awaited, later).into_values()
    }

    /// The disk is gone: the tickets of the broadcasts that waited for it. `None` if it was gone
    /// before.
    pub(super) fn handle_failed(
        &mut self,
        why: &str,
    ) -> Option<impl Iterator<Item = Ticket> + use<>> {
        if self.failed.is_some() {
            return None;
        }
        self.failed = Some(why.to_owned());
        let awaited = core::mem::take(&mut self.awaited).into_values();
        Some(awaited.filter_map(|awaited| match awaited {
            Awaited::Broadcast(ticket, _) => Some(ticket),
            Awaited::Numbers(..) => None,
        }))
    }

    /// Whether there is a disk, or why not.
    pub(super) fn check(&self) -> Result<(), Refused> {
        self.failed.clone().map_or(Ok(()), |why| Err(Refused::StorageFailed(why)))
    }

    /// How many changes something waits for.
    pub(super) fn waiting(&self) -> usize {
        self.awaited.len()
    }
}
