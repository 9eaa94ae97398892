//! What linked peers do for this node, which reaches nobody by datagrams.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    Contact, DhtAnswer, DhtAsk, DhtEffect, DhtOutcome, DhtQuery, ErrandId, NearestTo,
    PendingRecord, Place, ReadFrom, RecordFor, StoreOutcome, Via,
    operation::Goal,
    question::{About, DhtQuestions, ErrandPart},
    reading::RecordReading,
};
use crate::{
    id::{NodeId, Ticket},
    limits::{ERRANDS_AFTER, HELPERS_FOR_READS, MAX_HELPERS_ASKED, REPLICAS},
    rng::Rng,
    scope::Group,
    time::{Duration, Instant, Now},
};

/// Errands under way: what a node that only dials over TCP wants of the table is done by peers that
/// it is linked with.
///
/// What they bring proves itself, and of a read two are asked that are in different networks, so
/// that one of them hides nothing that the other one has. Who keeps what was written is the word of
/// the one that did it: it is said again under a new number when half of its life is over, and then
/// another peer is asked, as the dice fall.
#[derive(Debug, Default)]
pub(super) struct Errands {
    /// Who is linked.
    helpers: BTreeMap<NodeId, Contact>,
    /// From when on they are asked, if nobody has answered by datagrams then.
    wanted_from: Option<Instant>,
    /// The same, until it has come.
    first: Option<Instant>,
    next: u64,
    open: BTreeMap<ErrandId, OpenErrand>,
}

/// One errand.
#[derive(Debug)]
pub(super) struct OpenErrand {
    pub(super) ticket: Option<Ticket>,
    pub(super) goal: Goal,
    target: Place,
    began: Instant,
    /// Who may still be asked.
    next: VecDeque<Contact>,
    asked: usize,
    under_way: usize,
    answered: usize,
    /// Who is near, as they say.
    contacts: BTreeSet<Contact>,
    /// Who keeps what was written, as they say.
    holders: BTreeSet<NodeId>,
    refused: Vec<(NodeId, StoreOutcome)>,
    silent: usize,
}

impl Errands {
    /// Somebody is linked. Peers are asked at once where there are no datagrams at all.
    pub(super) fn peer_up(&mut self, now: Instant, peer: Contact, has_datagrams: bool) {
        self.helpers.insert(peer.id(), peer);
        let wait = if has_datagrams { ERRANDS_AFTER } else { Duration::ZERO };
        if self.wanted_from.is_none() {
            self.wanted_from = Some(now + wait);
            self.first = Some(now + wait).filter(|from| *from > now);
        }
    }

    pub(super) fn peer_down(&mut self, peer: &NodeId) {
        self.helpers.remove(peer);
    }

    /// When peers are asked, if any is linked.
    pub(super) fn wanted_from(&self) -> Option<Instant> {
        self.wanted_from.filter(|_| !self.helpers.is_empty())
    }

    /// Whether there is somebody to be asked.
    pub(super) fn are_wanted(&self, now: Instant) -> bool {
        self.wanted_from().is_some_and(|from| from <= now)
    }

    /// Whether peers may be asked from now on; told once.
    pub(super) fn pop_due(&mut self, now: Instant) -> bool {
        self.first.take_if(|first| *first <= now).is_some()
    }

    /// When that is, if it is still to come.
    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.first
    }

    /// How many are under way.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Begins one.
    pub(super) fn begin(
        &mut self,
        now: Instant,
        (ticket, target, goal): (Option<Ticket>, Place, Goal),
        rng: &mut Rng,
    ) -> ErrandId {
        let id = ErrandId(self.next);
        self.next += 1;
        let errand = OpenErrand {
            ticket,
            goal,
            target,
            began: now,
            next: self.chosen(rng),
            asked: 0,
            under_way: 0,
            answered: 0,
            contacts: BTreeSet::new(),
            holders: BTreeSet::new(),
            refused: Vec::new(),
            silent: 0,
        };
        self.open.insert(id, errand);
        id
    }

    /// Asks whoever is to be asked now. The errand, if it is over.
    pub(super) fn drive(
        &mut self,
        now: Instant,
        id: ErrandId,
        questions: &mut DhtQuestions,
        out: &mut VecDeque<DhtEffect>,
    ) -> Option<OpenErrand> {
        let errand = self.open.get_mut(&id)?;
        while let Some((to, part)) = errand.next_to_ask() {
            let question = questions.ask(now, (to, About::Errand(id, part)), None, true);
            let ask = DhtAsk { serves: false, query: errand.query() };
            out.push_back(DhtEffect::Ask { question, to, ask, via: Via::Session });
        }
        if errand.is_over() { self.open.remove(&id) } else { None }
    }

    /// A peer answered: what of it is to be verified.
    pub(super) fn handle_answer(
        &mut self,
        now: Now,
        id: ErrandId,
        (from, part): (&Contact, ErrandPart),
        answer: DhtAnswer,
        out: &mut VecDeque<DhtEffect>,
    ) {
        let Some(errand) = self.open.get_mut(&id) else { return };
        errand.under_way = errand.under_way.saturating_sub(1);
        match (part, answer) {
            (ErrandPart::Keep, DhtAnswer::Stored(outcome)) => {
                if outcome.is_held() {
                    errand.holders.insert(from.id());
                }
            }
            (ErrandPart::Keep, _) => {}
            (
                ErrandPart::Walk,
                DhtAnswer::Stored(outcome) | DhtAnswer::StoredOnTheWay(outcome, _),
            ) => {
                errand.refused.push((from.id(), outcome));
            }
            (ErrandPart::Walk, DhtAnswer::Held(holders)) => {
                errand.answered += 1;
                errand.holders.extend(holders);
            }
            (ErrandPart::Walk, DhtAnswer::Found(mut found)) => {
                errand.answered += 1;
                let contacts = found.contacts.drain(..);
                errand.contacts.extend(contacts.filter(|named| named.is_plausible(from.addr())));
                // What is only told of is at a node that this one cannot ask.
                found.heads.clear();
                let Some(reading) = errand.reading() else { return };
                for living in reading.handle_found(now.wall, from, &mut found) {
                    out.push_back(DhtEffect::Verify(PendingRecord {
                        claim: living.record,
                        remaining: living.remaining,
                        from: from.id(),
                        wanted: RecordFor::ByErrand(id),
                    }));
                }
            }
        }
    }

    /// A peer did not answer in time, or could not be asked.
    pub(super) fn handle_failure(&mut self, id: ErrandId, part: ErrandPart) {
        let Some(errand) = self.open.get_mut(&id) else { return };
        errand.under_way = errand.under_way.saturating_sub(1);
        errand.silent += usize::from(part == ErrandPart::Walk);
    }

    /// What an errand has read.
    pub(super) fn reading(&mut self, id: ErrandId) -> Option<&mut RecordReading> {
        self.open.get_mut(&id)?.reading()
    }

    /// The node stops: the tickets of what was under way.
    pub(super) fn give_up_all(&mut self) -> impl Iterator<Item = Ticket> + use<> {
        core::mem::take(&mut self.open).into_values().filter_map(|errand| errand.ticket)
    }

    /// Whom to ask, in this order: those in networks of their own first, as the dice fall.
    fn chosen(&self, rng: &mut Rng) -> VecDeque<Contact> {
        let mut all: Vec<_> = self.helpers.values().copied().collect();
        rng.shuffle(&mut all);
        let mut groups = BTreeSet::new();
        let is_apart = |contact: &Contact| {
            let group = Group::of(contact.addr().ip());
            group == Group::Near || groups.insert(group)
        };
        let (mut apart, others): (Vec<_>, Vec<_>) = all.into_iter().partition(is_apart);
        apart.extend(others);
        apart.truncate(MAX_HELPERS_ASKED);
        apart.into()
    }
}

impl OpenErrand {
    fn reading(&mut self) -> Option<&mut RecordReading> {
        match &mut self.goal {
            Goal::Read(reading) | Goal::Delete(reading) => Some(reading),
            Goal::Find | Goal::Write(_) => None,
        }
    }

    /// What a peer is asked to do.
    fn query(&self) -> DhtQuery {
        match &self.goal {
            Goal::Find => DhtQuery::Find(self.target),
            Goal::Read(reading) | Goal::Delete(reading) => reading.query(),
            Goal::Write(writing) => writing.store(),
        }
    }

    /// The next one to be asked, and for what: who writes for us is asked to keep it as well.
    fn next_to_ask(&mut self) -> Option<(Contact, ErrandPart)> {
        let is_write = matches!(self.goal, Goal::Write(_));
        if is_write && self.asked % 2 == 1 {
            let first = self.next.pop_front()?;
            (self.asked, self.under_way) = (self.asked + 1, self.under_way + 1);
            return Some((first, ErrandPart::Keep));
        }
        let wanted = if is_write { 1 } else { HELPERS_FOR_READS };
        if self.answered + self.under_way >= wanted {
            return None;
        }
        let next = if is_write { *self.next.front()? } else { self.next.pop_front()? };
        (self.asked, self.under_way) = (self.asked + 1, self.under_way + 1);
        Some((next, ErrandPart::Walk))
    }

    /// Whether nobody is left to be waited for.
    fn is_over(&self) -> bool {
        let is_read = match &self.goal {
            Goal::Read(reading) | Goal::Delete(reading) => !reading.is_waiting(),
            Goal::Find | Goal::Write(_) => true,
        };
        self.under_way == 0 && is_read
    }

    /// How many others keep what was written.
    pub(super) fn holders(&self) -> usize {
        self.holders.len()
    }

    /// What came of it; nothing yet of a deletion, whose tombstone is to be written.
    pub(super) fn outcome(&self, now: Now) -> Option<DhtOutcome> {
        let (took, asked) = (now.mono.since(self.began), self.asked);
        Some(match &self.goal {
            Goal::Find => {
                let mut contacts: Vec<_> = self.contacts.iter().copied().collect();
                contacts.sort_by_key(|contact| contact.place().distance(&self.target));
                contacts.truncate(REPLICAS);
                let (hops, steps) = (0, Vec::new());
                DhtOutcome::Nearest(NearestTo { contacts, took, hops, steps })
            }
            Goal::Read(reading) => {
                let ((records, _), key) = (reading.records(), reading.key());
                let holders = records.len().min(self.answered);
                let deleted = reading.deleted();
                DhtOutcome::Read(ReadFrom { key, records, deleted, holders, took, asked })
            }
            Goal::Write(writing) => {
                let mut stored = writing.outcome(took, asked);
                stored.holders = self.holders.iter().copied().collect();
                stored.refused.clone_from(&self.refused);
                stored.silent = self.silent;
                DhtOutcome::Stored(stored)
            }
            Goal::Delete(_) => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dht::{
            DhtRecord, Found, LivingRecord, NameHash, ReadMode, RecordKind, writing::RecordWriting,
        },
        id::NetworkId,
        identity::{Identity, Verified},
        rng::Seed,
    };

    const START: Instant = Instant::from_micros(1_000_000_000);

    fn now() -> Now {
        Now { mono: START, ..Now::default() }
    }

    fn helper(n: u8, ip: [u8; 4]) -> Contact {
        Contact::new(*Identity::from_seed([n; 32]).public_key(), [n; 32], (ip, 8888).into())
    }

    fn record(sequence: u64) -> Verified<DhtRecord> {
        let me = Identity::from_seed([99; 32]);
        let record = DhtRecord {
            publisher: *me.public_key(),
            kind: RecordKind::Shared,
            name: NameHash::of_name("board").unwrap(),
            sequence,
            created: 0,
            ttl: 60,
            value: Some(sequence.to_string().into_bytes().into()),
        };
        me.sign(record, &NetworkId::from_name("test"))
    }

    /// Errands with these helpers, and one that is under way.
    struct Story {
        errands: Errands,
        questions: DhtQuestions,
        id: ErrandId,
        over: Option<OpenErrand>,
        /// Who was asked and did not answer yet, and to keep something itself or to walk.
        asked: VecDeque<(Contact, bool)>,
    }

    impl Story {
        fn begin(helpers: &[Contact], goal: Goal) -> Self {
            let (mut errands, mut rng) = (Errands::default(), Seed::from_number(1).stream("dht"));
            assert!(!errands.are_wanted(START), "there is nobody");
            helpers.iter().for_each(|helper| errands.peer_up(START, *helper, false));
            assert!(errands.are_wanted(START));
            let target = record(1).content().key();
            let id = errands.begin(START, (None, target, goal), &mut rng);
            let (questions, asked) = (DhtQuestions::default(), VecDeque::new());
            let mut story = Self { errands, questions, id, over: None, asked };
            story.drive();
            story
        }

        fn drive(&mut self) {
            let mut out = VecDeque::new();
            self.over = self.errands.drive(START, self.id, &mut self.questions, &mut out);
            for effect in out {
                let DhtEffect::Ask { question, to, .. } = effect else { panic!("{effect:?}") };
                self.asked.push_back((to, !self.questions.is_errand(question)));
            }
        }

        /// The first who was asked answers: the records that are to be checked.
        fn answer(&mut self, answer: DhtAnswer) -> Vec<PendingRecord> {
            let (from, keeps) = self.asked.pop_front().expect("somebody was asked");
            let part = if keeps { ErrandPart::Keep } else { ErrandPart::Walk };
            let mut out = VecDeque::new();
            self.errands.handle_answer(now(), self.id, (&from, part), answer, &mut out);
            let pending = out.into_iter().map(|effect| match effect {
                DhtEffect::Verify(pending) => pending,
                other => panic!("{other:?}"),
            });
            let pending = pending.collect();
            self.drive();
            pending
        }

        fn outcome(&self) -> DhtOutcome {
            self.over.as_ref().expect("it is over").outcome(now()).unwrap()
        }
    }

    fn found(records: &[Verified<DhtRecord>]) -> DhtAnswer {
        let living = |record: &Verified<DhtRecord>| LivingRecord {
            record: record.claim().clone(),
            remaining: 60,
        };
        let records = records.iter().map(living).collect();
        DhtAnswer::Found(Found { records, ..Found::default() })
    }

    fn to_read() -> Goal {
        Goal::Read(RecordReading::new(record(1).content().key(), None, ReadMode::Fresh))
    }

    #[test]
    fn two_in_different_networks_are_asked_to_read_and_the_newest_counts() {
        let helpers = [
            helper(1, [11, 1, 0, 1]),
            helper(2, [11, 1, 0, 2]),
            helper(3, [11, 1, 9, 9]),
            helper(4, [12, 7, 0, 1]),
        ];
        for (first, second) in [(1, 2), (2, 1)] {
            let mut story = Story::begin(&helpers, to_read());
            let groups: BTreeSet<_> =
                story.asked.iter().map(|(to, _)| Group::of(to.addr().ip())).collect();
            assert_eq!((story.asked.len(), groups.len()), (2, 2));
            for sequence in [first, second] {
                for pending in story.answer(found(&[record(sequence)])) {
                    assert!(story.over.is_none(), "its signature is not checked");
                    let reading = story.errands.reading(story.id).unwrap();
                    reading.handle_verified(pending.from, record(sequence), pending.remaining);
                    story.drive();
                }
            }
            let DhtOutcome::Read(read) = story.outcome() else { panic!("a read") };
            let sequences = read.records.iter().map(|found| found.record.content().sequence);
            assert!(sequences.eq([2]), "whoever had it");
        }
    }

    #[test]
    fn one_that_hides_or_makes_up_records_hides_nothing_that_the_other_has() {
        let helpers = [helper(1, [11, 1, 0, 1]), helper(4, [12, 7, 0, 1])];
        let forged = record(9);
        let mut story = Story::begin(&helpers, to_read());
        let [pending] = &story.answer(found(&[forged]))[..] else { panic!("it is to be checked") };
        assert_eq!(pending.wanted, RecordFor::ByErrand(story.id));
        story.errands.reading(story.id).unwrap().handle_refuted();
        story.drive();
        let [pending] = &story.answer(found(&[record(3)]))[..] else { panic!("one more") };
        let (from, remaining) = (pending.from, pending.remaining);
        let reading = story.errands.reading(story.id).unwrap();
        reading.handle_verified(from, record(3), remaining);
        story.drive();
        let DhtOutcome::Read(read) = story.outcome() else { panic!("a read") };
        assert_eq!((read.records.len(), read.asked), (1, 2));

        let mut story = Story::begin(&helpers, to_read());
        assert!(story.answer(DhtAnswer::Held(vec![helpers[0].id(); 24])).is_empty());
        assert!(story.answer(found(&[])).is_empty());
        let DhtOutcome::Read(read) = story.outcome() else { panic!("a read") };
        assert!(read.records.is_empty());
    }

    #[test]
    fn who_refuses_or_is_silent_is_replaced_by_the_next_and_not_for_ever() {
        let helpers: Vec<_> = (1..=9).map(|n| helper(n, [11, n, 0, 1])).collect();
        let mut story = Story::begin(&helpers, to_read());
        let mut asked = BTreeSet::new();
        for turn in 0..MAX_HELPERS_ASKED {
            assert!(story.over.is_none());
            assert!(asked.insert(story.asked[0].0.id()), "each once");
            if turn % 2 == 0 {
                story.answer(DhtAnswer::Stored(StoreOutcome::Refused));
            } else {
                story.asked.pop_front();
                story.errands.handle_failure(story.id, ErrandPart::Walk);
                story.drive();
            }
        }
        let DhtOutcome::Read(read) = story.outcome() else { panic!("a read") };
        assert_eq!((read.records.len(), read.asked), (0, MAX_HELPERS_ASKED));
        assert!(story.errands.len() == 0 && story.asked.is_empty());
    }

    #[test]
    fn who_gives_a_record_to_others_is_asked_to_keep_it_too() {
        let helpers: Vec<_> = (1..=3).map(|n| helper(n, [11, n, 0, 1])).collect();
        let writing = RecordWriting::new(record(1), 60);
        let mut story = Story::begin(&helpers, Goal::Write(writing.into()));
        let [(walks, false), (keeps, true)] = story.asked.make_contiguous() else {
            panic!("{:?}", story.asked)
        };
        assert_eq!(walks.id(), keeps.id());
        let (first, others) = (walks.id(), vec![helpers[0].id(), NodeId::from_bytes([7; 32])]);
        story.answer(DhtAnswer::Held(others.clone()));
        story.answer(DhtAnswer::Stored(StoreOutcome::Kept));
        let DhtOutcome::Stored(stored) = story.outcome() else { panic!("a write") };
        let expected: BTreeSet<_> = others.into_iter().chain([first]).collect();
        assert_eq!(BTreeSet::from_iter(stored.holders), expected);

        // The first one keeps it and walks for nobody: the second one is asked.
        let writing = RecordWriting::new(record(1), 60);
        let mut story = Story::begin(&helpers, Goal::Write(writing.into()));
        story.answer(DhtAnswer::Stored(StoreOutcome::Refused));
        story.answer(DhtAnswer::Stored(StoreOutcome::Kept));
        assert!(story.over.is_none() && story.asked.len() == 2, "{:?}", story.asked);
        assert_ne!(story.asked[0].0.id(), first);
    }

    #[test]
    fn where_there_are_datagrams_peers_are_asked_when_nobody_answered_for_long_enough() {
        let mut errands = Errands::default();
        errands.peer_up(START, helper(1, [11, 1, 0, 1]), true);
        errands.peer_up(START + ERRANDS_AFTER / 2, helper(2, [11, 2, 0, 1]), true);
        assert!(!errands.are_wanted(START + ERRANDS_AFTER / 2));
        assert_eq!(errands.poll_timeout(), Some(START + ERRANDS_AFTER));
        assert!(!errands.pop_due(START));
        assert!(errands.pop_due(START + ERRANDS_AFTER) && !errands.pop_due(START + ERRANDS_AFTER));
        assert!(errands.are_wanted(START + ERRANDS_AFTER));
        errands.peer_down(&helper(1, [0; 4]).id());
        errands.peer_down(&helper(2, [0; 4]).id());
        assert!(!errands.are_wanted(START + ERRANDS_AFTER), "nobody is linked");
    }
}
