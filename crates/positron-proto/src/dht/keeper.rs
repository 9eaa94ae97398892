//! Answering others: what is kept for them, and who is near.

use std::collections::{BTreeMap, VecDeque};

use super::{
    AskedBy, Contact, DhtAnswer, DhtCounters, DhtEffect, DhtRecord, Found, LivingRecord,
    PendingRecord, Place, RecordFor, ReplyId, StoreOutcome,
    held::RecordBringer,
    record_store::{Reach, RecordStore, StoreChanges},
};
use crate::{id::NodeId, identity::Verified, limits::MAX_STORES_UNCHECKED, time::Now};

/// What is kept for others, and what is to be kept when its signature was checked.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) store: RecordStore,
    /// Whom to tell what became of a record that is being checked.
    unchecked: BTreeMap<ReplyId, Unchecked>,
}

/// A record is being checked.
#[derive(Debug)]
struct Unchecked {
    asker: AskedBy,
    /// Who brings it wants to know who is near its key, and that was so when it came.
    near: Option<Vec<Contact>>,
}

impl Keeper {
    pub(super) const fn new(store: RecordStore) -> Self {
        Self { store, unchecked: BTreeMap::new() }
    }

    /// What is kept under a key.
    pub(super) fn found(
        &self,
        now: Now,
        key: &Place,
        publisher: Option<&NodeId>,
        values: bool,
    ) -> Found {
        let mut found = Found::default();
        for (record, remaining) in self.store.get(now.mono, key, publisher) {
            if values {
                found.records.push(LivingRecord { record: record.claim().clone(), remaining });
            } else {
                found.heads.push(record.content().head());
            }
        }
        found
    }

    /// Somebody wants a record to be kept: it is refused at once, or its signature is checked.
    pub(super) fn handle_store(
        &mut self,
        now: Now,
        (asker, reply): (AskedBy, ReplyId),
        (living, near): (LivingRecord, Option<Vec<Contact>>),
        reach: Option<&Reach>,
        out: &mut VecDeque<DhtEffect>,
    ) {
        let record = living.record.content();
        let judged = match self.unchecked.len() < MAX_STORES_UNCHECKED {
            true => self.store.judge(now, record, living.remaining, &bringer(&asker), reach),
            false => Err(StoreOutcome::Refused),
        };
        if let Err(outcome) = judged {
            answer(reply, (outcome, near), out);
            return;
        }
        self.unchecked.insert(reply, Unchecked { asker, near });
        out.push_back(DhtEffect::Verify(PendingRecord {
            claim: living.record,
            remaining: living.remaining,
            from: asker.id,
            wanted: RecordFor::ToKeep(reply),
        }));
    }

    /// The record is its publisher's: it is kept, if there is room still.
    pub(super) fn handle_verified(
        &mut self,
        now: Now,
        reply: ReplyId,
        (record, remaining): (Verified<DhtRecord>, u32),
        out: &mut VecDeque<DhtEffect>,
        counters: &mut DhtCounters,
    ) -> Option<StoreOutcome> {
        let Unchecked { asker, near } = self.unchecked.remove(&reply)?;
        let mut changes = StoreChanges::default();
        let bringer = bringer(&asker);
        let outcome = self.store.insert(now, record, remaining, &bringer, &mut changes);
        tell(changes, out, counters);
        answer(reply, (outcome, near), out);
        Some(outcome)
    }

    /// It is not, or there was no room to check it.
    pub(super) fn handle_unverified(
        &mut self,
        reply: ReplyId,
        outcome: StoreOutcome,
        out: &mut VecDeque<DhtEffect>,
    ) {
        if let Some(Unchecked { near, .. }) = self.unchecked.remove(&reply) {
            answer(reply, (outcome, near), out);
        }
    }

    pub(super) fn handle_timeout(
        &mut self,
        now: Now,
        out: &mut VecDeque<DhtEffect>,
        counters: &mut DhtCounters,
    ) {
        let mut changes = StoreChanges::default();
        self.store.handle_timeout(now, &mut changes);
        tell(changes, out, counters);
    }
}

const fn bringer(asker: &AskedBy) -> RecordBringer {
    RecordBringer { id: asker.id, addr: asker.addr }
}

fn answer(
    to: ReplyId,
    (outcome, near): (StoreOutcome, Option<Vec<Contact>>),
    out: &mut VecDeque<DhtEffect>,
) {
    out.push_back(DhtEffect::Answer { to, answer: DhtAnswer::of_store(outcome, near) });
}

fn tell(changes: StoreChanges, out: &mut VecDeque<DhtEffect>, counters: &mut DhtCounters) {
    let StoreChanges { rows, equivocations, evicted, floors_lost } = changes;
    counters.records_evicted += evicted;
    counters.floors_lost += floors_lost;
    out.extend(rows.into_iter().map(DhtEffect::Keep));
    let told = equivocations.into_iter().map(|records| DhtEffect::Equivocated(Box::new(records)));
    out.extend(told);
}
