//! Writing: giving a record to the nodes nearest to its key.

use std::collections::{BTreeSet, VecDeque};

use super::{Contact, DhtQuery, DhtRecord, Found, LivingRecord, StoreOutcome, StoredAt};
use crate::{id::NodeId, identity::Verified, limits::REPLICAS, time::Duration};

/// A record on its way to those who are to keep it.
///
/// ```text
/// LOOKING --all near have answered--> GIVING --as many keep it as should, or nobody is left-->
/// over
/// ```
///
/// Who surely is one of the nearest is given it while others are looked for. Whoever refuses or is
/// silent is replaced by the next nearest, once each.
#[derive(Debug)]
pub(super) struct RecordWriting {
    record: Verified<DhtRecord>,
    remaining: u32,
    /// Who has it, or something newer, as they said on the way.
    has: BTreeSet<NodeId>,
    /// Who was given it, or has it.
    given: BTreeSet<NodeId>,
    /// How many should keep it.
    wanted: usize,
    /// Whom to ask next, nearest first.
    next: VecDeque<Contact>,
    under_way: BTreeSet<NodeId>,
    holders: Vec<NodeId>,
    refused: Vec<(NodeId, StoreOutcome)>,
    silent: usize,
    is_giving: bool,
}

impl RecordWriting {
    pub(super) fn new(record: Verified<DhtRecord>, remaining: u32) -> Self {
        Self {
            record,
            remaining,
            has: BTreeSet::new(),
            given: BTreeSet::new(),
            wanted: REPLICAS,
            next: VecDeque::new(),
            under_way: BTreeSet::new(),
            holders: Vec::new(),
            refused: Vec::new(),
            silent: 0,
            is_giving: false,
        }
    }

    pub(super) const fn record(&self) -> &Verified<DhtRecord> {
        &self.record
    }

    /// What nodes on the way are asked: who is near, and what they have of it.
    pub(super) fn query(&self) -> DhtQuery {
        let record = self.record.content();
        let publisher = Some(record.publisher.node_id());
        DhtQuery::Get { key: record.key(), publisher, values: false }
    }

    /// What is given.
    pub(super) fn store(&self) -> DhtQuery {
        let (record, remaining) = (self.record.claim().clone(), self.remaining);
        DhtQuery::Store(LivingRecord { record, remaining })
    }

    /// A node on the way answered.
    pub(super) fn handle_found(&mut self, from: NodeId, found: &Found) {
        let sequence = self.record.content().sequence;
        if found.heads.iter().any(|head| head.sequence == sequence) {
            self.has.insert(from);
        }
    }

    pub(super) const fn is_giving(&self) -> bool {
        self.is_giving
    }

    /// These are surely among those who are to keep it.
    pub(super) fn give_early(&mut self, sure: impl Iterator<Item = Contact>) {
        for candidate in sure {
            self.offer(candidate);
        }
    }

    /// The nodes nearest to the key are known: first those `wanted` who are to keep it.
    pub(super) fn begin_giving(&mut self, candidates: &[Contact], wanted: usize) {
        self.is_giving = true;
        let is_first = |id: &NodeId| candidates.iter().take(wanted).any(|first| first.id() == *id);
        // Who was given it too early keeps it beside them.
        self.wanted = wanted + self.given.iter().filter(|id| !is_first(id)).count();
        for candidate in candidates {
            self.offer(*candidate);
        }
    }

    fn offer(&mut self, candidate: Contact) {
        if !self.given.insert(candidate.id()) {
            return;
        }
        if self.has.contains(&candidate.id()) {
            self.holders.push(candidate.id());
        } else {
            self.next.push_back(candidate);
        }
    }

    /// The next one to be given it; call until `None`.
    pub(super) fn pop_next(&mut self) -> Option<Contact> {
        if self.holders.len() + self.under_way.len() >= self.wanted {
            return None;
        }
        let next = self.next.pop_front()?;
        self.under_way.insert(next.id());
        Some(next)
    }

    /// Somebody said what became of it; `None`: nothing in time.
    pub(super) fn handle_outcome(&mut self, from: NodeId, outcome: Option<StoreOutcome>) {
        let was_waited_for = self.under_way.remove(&from);
        match outcome {
            Some(outcome) if outcome.is_held() => self.holders.push(from),
            Some(outcome) => self.refused.push((from, outcome)),
            None if was_waited_for => self.silent += 1,
            None => {}
        }
    }

    /// Whether nobody is left to be waited for.
    pub(super) fn is_over(&self) -> bool {
        let is_enough = self.holders.len() >= self.wanted || self.next.is_empty();
        self.is_giving && self.under_way.is_empty() && is_enough
    }

    /// What came of it.
    pub(super) fn outcome(&self, took: Duration, asked: usize) -> StoredAt {
        let record = self.record.content();
        StoredAt {
            key: record.key(),
            sequence: record.sequence,
            holders: self.holders.clone(),
            refused: self.refused.clone(),
            silent: self.silent,
            took,
            asked,
        }
    }
}
