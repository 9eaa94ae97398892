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
/// Who surely is one of the nearest is given it while others are looked for; and who is near enough
/// and has given us a ticket is given it instead of being asked what it knows, and tells whom it
/// knows. Whoever refuses or is silent is replaced by the next nearest, once each.
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

    /// The same, to who is on the way, if it was not given to it already.
    pub(super) fn give_on_the_way(&mut self, to: NodeId) -> Option<DhtQuery> {
        if !self.given.insert(to) {
            return None;
        }
        self.under_way.insert(to);
        let (record, remaining) = (self.record.claim().clone(), self.remaining);
        Some(DhtQuery::StoreOnTheWay(LivingRecord { record, remaining }))
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
        // Who was given it on the way and is silent is heard, and not waited for.
        let has_answered = |id: &NodeId| candidates.iter().any(|one| one.id() == *id);
        self.under_way.retain(has_answered);
        self.given.retain(|id| has_answered(id) || self.holders.contains(id));
        let is_first = |id: &NodeId| candidates.iter().take(wanted).any(|first| first.id() == *id);
        // Who was given it too early keeps it beside them.
        let given = self.holders.iter().chain(&self.under_way);
        self.wanted = wanted + given.filter(|id| !is_first(id)).count();
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
            // It may have started again, and knows its ticket no more.
            Some(StoreOutcome::Refused) if !self.is_giving => _ = self.given.remove(&from),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dht::{NameHash, RecordKind},
        id::NetworkId,
        identity::Identity,
    };

    fn contact(n: u8) -> Contact {
        Contact::new(*Identity::from_seed([n; 32]).public_key(), [n; 32], ([10, 0, 0, n], 1).into())
    }

    fn writing() -> RecordWriting {
        let me = Identity::from_seed([1; 32]);
        let (publisher, name) = (*me.public_key(), NameHash::of_name("board").unwrap());
        let (kind, value) = (RecordKind::Shared, Some(b"value".as_slice().into()));
        let record = DhtRecord { publisher, kind, name, sequence: 1, created: 1, ttl: 60, value };
        RecordWriting::new(me.sign(record, &NetworkId::from_name("test")), 60)
    }

    #[test]
    fn who_was_given_it_on_the_way_and_is_silent_is_heard_and_not_waited_for() {
        let [quick, silent, other] = [1, 2, 3].map(contact);
        let mut writing = writing();
        for near in [quick, silent] {
            assert!(writing.give_on_the_way(near.id()).is_some());
            assert!(writing.give_on_the_way(near.id()).is_none(), "once");
        }
        writing.handle_outcome(quick.id(), Some(StoreOutcome::Kept));
        writing.begin_giving(&[quick, other], 2);
        assert_eq!(writing.pop_next(), Some(other));
        writing.handle_outcome(other.id(), Some(StoreOutcome::Kept));
        assert!(writing.is_over());
        writing.handle_outcome(silent.id(), Some(StoreOutcome::Kept));
        let outcome = writing.outcome(Duration::ZERO, 3);
        assert_eq!((outcome.holders.len(), outcome.silent), (3, 0));
    }

    #[test]
    fn who_was_given_it_too_early_keeps_it_beside_all_who_are_nearest() {
        let [early, other] = [1, 2].map(contact);
        for still_known in [true, false] {
            let mut writing = writing();
            assert!(writing.give_on_the_way(early.id()).is_some());
            writing.handle_outcome(early.id(), Some(StoreOutcome::Kept));
            let candidates = [other, early];
            writing.begin_giving(&candidates[..1 + usize::from(still_known)], 1);
            assert_eq!(writing.pop_next(), Some(other), "{still_known}");
        }
    }

    #[test]
    fn who_knows_its_ticket_no_more_is_given_it_again_at_the_end() {
        let restarted = contact(1);
        let mut writing = writing();
        assert!(writing.give_on_the_way(restarted.id()).is_some());
        writing.handle_outcome(restarted.id(), Some(StoreOutcome::Refused));
        writing.begin_giving(&[restarted], 1);
        assert_eq!(writing.pop_next(), Some(restarted));
        writing.handle_outcome(restarted.id(), Some(StoreOutcome::Refused));
        assert!(writing.is_over(), "once");
    }
}
