//! Reading: of each publisher the newest record that anybody near the key has.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Contact, DhtQuery, DhtRecord, Found, FoundRecord, LivingRecord, Place, ReadMode,
    held::supersedes, lookup::Lookup,
};
use crate::{
    id::NodeId,
    identity::{Signed, Verified},
    limits::{MAX_SLOTS, REPLICAS},
    time::{Duration, WallTime},
};

/// What a read has found so far.
///
/// What answers bring is a claim: only what was verified counts, and only what is newer than what
/// counts already is verified.
#[derive(Debug)]
pub(super) struct RecordReading {
    key: Place,
    publisher: Option<NodeId>,
    mode: ReadMode,
    newest: BTreeMap<NodeId, Newest>,
    /// Who has which sequence of whom, as they say.
    held: BTreeMap<NodeId, BTreeMap<NodeId, u64>>,
    /// Records that are being checked, and those that were asked for over sessions.
    waiting: usize,
    /// What is told to be elsewhere and too large for an answer: of whom, and who has which
    /// sequence. The highest is asked for first, and the others if that does not come: who makes
    /// one up hides nothing.
    large: BTreeMap<NodeId, BTreeMap<(u64, NodeId), Contact>>,
}

/// The newest record of one publisher.
#[derive(Debug)]
struct Newest {
    record: Verified<DhtRecord>,
    from: NodeId,
    remaining: u32,
}

impl RecordReading {
    pub(super) fn new(key: Place, publisher: Option<NodeId>, mode: ReadMode) -> Self {
        let (newest, held) = (BTreeMap::new(), BTreeMap::new());
        Self { key, publisher, mode, newest, held, waiting: 0, large: BTreeMap::new() }
    }

    pub(super) const fn key(&self) -> Place {
        self.key
    }

    pub(super) const fn query(&self) -> DhtQuery {
        DhtQuery::Get { key: self.key, publisher: self.publisher, values: true }
    }

    /// Whether the first copy is enough, which most of those have who are near.
    pub(super) const fn wants_first(&self) -> bool {
        matches!(self.mode, ReadMode::First)
    }

    /// An answer came: what of it is to be verified.
    pub(super) fn handle_found(
        &mut self,
        now: WallTime,
        from: &Contact,
        found: &mut Found,
    ) -> Vec<LivingRecord> {
        let records = core::mem::take(&mut found.records);
        let held = self.held.entry(from.id()).or_default();
        let heads = records.iter().map(|living| living.record.content().head());
        for head in heads.chain(found.heads.iter().copied()).take(MAX_SLOTS) {
            held.insert(head.publisher, head.sequence);
        }
        for head in &found.heads {
            let is_wanted = self.publisher.is_none_or(|wanted| wanted == head.publisher);
            if is_wanted && self.is_news(&head.publisher, head.sequence) {
                self.note_large(head.publisher, head.sequence, *from);
            }
        }
        let wanted = records.into_iter().filter(|living| self.wants(now, living));
        let wanted: Vec<_> = wanted.collect();
        self.waiting += wanted.len();
        wanted
    }

    /// Publishers are as many as one node may name: others give way to nobody.
    fn note_large(&mut self, publisher: NodeId, sequence: u64, from: Contact) {
        if self.large.len() >= MAX_SLOTS && !self.large.contains_key(&publisher) {
            return;
        }
        let told = self.large.entry(publisher).or_default();
        told.insert((sequence, from.id()), from);
        if told.len() > REPLICAS {
            told.pop_first();
        }
    }

    fn wants(&self, now: WallTime, living: &LivingRecord) -> bool {
        let record = living.record.content();
        let publisher = record.publisher.node_id();
        let is_news = |newest: &Newest| supersedes(record, newest.record.content());
        record.key() == self.key
            && record.is_of_this_time(now)
            && self.publisher.is_none_or(|wanted| wanted == publisher)
            && self.newest.get(&publisher).is_none_or(is_news)
    }

    fn is_news(&self, publisher: &NodeId, sequence: u64) -> bool {
        self.newest.get(publisher).is_none_or(|newest| newest.record.content().sequence < sequence)
    }

    /// A record proved to be its publisher's.
    pub(super) fn handle_verified(
        &mut self,
        from: NodeId,
        record: Verified<DhtRecord>,
        remaining: u32,
    ) {
        self.waiting = self.waiting.saturating_sub(1);
        self.take(from, record, remaining);
    }

    /// A record is here already.
    pub(super) fn take(&mut self, from: NodeId, record: Verified<DhtRecord>, remaining: u32) {
        let publisher = record.content().publisher.node_id();
        let sequence = record.content().sequence;
        self.held.entry(from).or_default().insert(publisher, sequence);
        let has_room = self.newest.len() < MAX_SLOTS || self.newest.contains_key(&publisher);
        let is_news = |newest: &Newest| supersedes(record.content(), newest.record.content());
        if has_room && self.newest.get(&publisher).is_none_or(is_news) {
            self.newest.insert(publisher, Newest { record, from, remaining });
        }
        if let Some(told) = self.large.get_mut(&publisher) {
            told.retain(|(large, _), _| *large > sequence);
        }
        self.large.retain(|_, told| !told.is_empty());
    }

    /// A record did not prove to be anybody's, or did not come.
    pub(super) fn handle_refuted(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// Who answered that there is nothing, or made something up: it need not be asked again.
    pub(super) fn empty_handed(&self) -> impl Iterator<Item = NodeId> {
        self.held.iter().filter(|(_, held)| held.is_empty()).map(|(node, _)| *node)
    }

    /// What this node brought it made up.
    pub(super) fn handle_forged(&mut self, from: &NodeId) {
        if let Some(held) = self.held.get_mut(from) {
            held.clear();
        }
    }

    /// Whether no more was wanted than the first that comes, and it came.
    pub(super) fn has_first(&self) -> bool {
        self.wants_first() && !self.newest.is_empty()
    }

    /// Whether no more is wanted than the first that comes, and something is being checked.
    pub(super) const fn is_checking_first(&self) -> bool {
        matches!(self.mode, ReadMode::First) && self.is_waiting()
    }

    /// Whether nobody had anything, and nothing is waited for.
    pub(super) fn found_nothing(&self) -> bool {
        self.newest.is_empty() && self.large.is_empty() && !self.is_waiting()
    }

    /// Whether something is waited for beside the lookup.
    pub(super) const fn is_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// Whether the lookup may end here. More than half of the nodes nearest to the key have
    /// answered: whoever wrote to more than half of them is heard.
    pub(super) fn is_enough(&self, lookup: &Lookup) -> bool {
        match self.mode {
            ReadMode::First => !self.newest.is_empty(),
            ReadMode::Fresh => {
                !self.newest.is_empty() && lookup.answered_among(REPLICAS) > REPLICAS / 2
            }
        }
    }

    /// Who is to be asked over a session, for what is too large for an answer: of each publisher
    /// one at a time, each once.
    pub(super) fn take_large(&mut self) -> Vec<Contact> {
        if self.is_waiting() {
            return Vec::new();
        }
        let highest = self.large.values_mut().filter_map(BTreeMap::pop_last);
        let holders: BTreeSet<_> = highest.map(|(_, holder)| holder).collect();
        self.large.retain(|_, told| !told.is_empty());
        self.waiting += holders.len();
        holders.into_iter().collect()
    }

    /// The newest records, and how many nodes had any. Tombstones are left out.
    pub(super) fn records(&self) -> (Vec<FoundRecord>, usize) {
        let holders = self.held.values().filter(|held| !held.is_empty()).count();
        (self.found(false), holders)
    }

    /// The tombstones that are newest.
    pub(super) fn deleted(&self) -> Vec<FoundRecord> {
        self.found(true)
    }

    fn found(&self, deleted: bool) -> Vec<FoundRecord> {
        let wanted =
            self.newest.values().filter(|newest| newest.record.content().is_tombstone() == deleted);
        let found = wanted.map(|newest| FoundRecord {
            record: newest.record.clone(),
            from: newest.from,
            remaining: Duration::from_secs(newest.remaining.into()),
        });
        found.collect()
    }

    /// The newest record of this publisher, tombstone or not, and its sequence.
    pub(super) fn newest_of(&self, publisher: &NodeId) -> Option<&Verified<DhtRecord>> {
        self.newest.get(publisher).map(|newest| &newest.record)
    }

    /// Which of these nodes have something older than the newest: whom it is to be given.
    pub(super) fn behind(&self, nodes: &[Contact]) -> Vec<(Contact, Signed<DhtRecord>, u32)> {
        let lacks = |node: &Contact, newest: &Newest| {
            let record = newest.record.content();
            let held = self.held.get(&node.id());
            // Who has nothing at all may not be one of those who keep it.
            held.and_then(|held| held.get(&record.publisher.node_id()))
                .is_some_and(|sequence| *sequence < record.sequence)
        };
        let of = |node: &Contact| {
            let behind = self.newest.values().find(|newest| lacks(node, newest))?;
            Some((*node, behind.record.claim().clone(), behind.remaining))
        };
        nodes.iter().filter_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dht::{NameHash, RecordHead, RecordKind},
        id::NetworkId,
        identity::Identity,
    };

    #[test]
    fn who_makes_up_a_higher_number_hides_nothing_that_is_too_large_for_an_answer() {
        let publisher = Identity::from_seed([1; 32]);
        let name = NameHash::of_name("name").unwrap();
        let key = name.key(RecordKind::Shared, &publisher.node_id());
        let mut reading = RecordReading::new(key, None, ReadMode::Fresh);
        let contact = |n: u8| {
            let key = *Identity::from_seed([n; 32]).public_key();
            Contact::new(key, [n; 32], ([11, n, 0, 1], 8888).into())
        };
        let tell = |reading: &mut RecordReading, from: u8, sequence: u64| {
            let head = RecordHead { publisher: publisher.node_id(), sequence, len: 5_000 };
            let mut found = Found { heads: vec![head], ..Found::default() };
            let now = WallTime::default();
            assert!(reading.handle_found(now, &contact(from), &mut found).is_empty());
        };
        for (from, sequence) in [(2, 7), (3, u64::MAX), (4, u64::MAX - 1), (5, 7)] {
            tell(&mut reading, from, sequence);
        }
        // The two that make it up have nothing to show.
        for liar in [3, 4] {
            assert_eq!(reading.take_large(), [contact(liar)]);
            assert!(reading.is_waiting() && reading.take_large().is_empty(), "one at a time");
            reading.handle_refuted();
        }
        let [honest] = reading.take_large()[..] else { panic!("one that has it") };
        assert!([contact(2), contact(5)].contains(&honest));
        let value = Some(vec![7; 5_000].into());
        let (kind, created, ttl) = (RecordKind::Shared, 1, 60);
        let publisher_key = *publisher.public_key();
        let record =
            DhtRecord { publisher: publisher_key, kind, name, sequence: 7, created, ttl, value };
        let record = publisher.sign(record, &NetworkId::from_name("test"));
        reading.handle_verified(honest.id(), record, 60);
        assert!(!reading.is_waiting() && reading.take_large().is_empty(), "it is there");
        assert_eq!(reading.records().0.len(), 1);
        // However many they are, no more than so many are asked.
        for n in 10..100 {
            tell(&mut reading, n, u64::from(n) + 1_000);
        }
        let mut asked = 0;
        while !reading.take_large().is_empty() {
            reading.handle_refuted();
            asked += 1;
        }
        assert_eq!(asked, REPLICAS);
    }
}
