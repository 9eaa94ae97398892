//! Who is nearest to a place: asked step by step, always those nearest that are known.

use std::collections::{BTreeMap, BTreeSet};

use super::{Contact, Distance, Place};
use crate::{
    id::NodeId,
    limits::{
        LONGEST_LOOKUP, LOOKUP_WIDTH, MAX_ASKED_OF_ONE_ANSWER, MAX_CONTACTS_PER_ANSWER,
        MAX_LOOKUP_CONTACTS, MAX_LOOKUP_QUESTIONS, MAX_REGION_QUESTIONS, MAX_REPLICAS_PER_GROUP,
        WIDEST_LOOKUP, WIDTH_OF_PATH,
    },
    scope::Group,
    time::{Duration, Instant},
};

/// One iterative lookup (Maymounkov and Mazières 2002, "Kademlia", 2.3). It knows nothing of
/// records, and sends nothing.
///
/// Whoever drives it calls [`next`](Self::next) until `None`, asks whom it names, says what came of
/// it ([`handle_answer`](Self::handle_answer), [`handle_failure`](Self::handle_failure)) and what
/// time it is ([`handle_timeout`](Self::handle_timeout)), and calls `next` again after each, until
/// [`is_done`](Self::is_done). Every input in any order is harmless.
///
/// It is over when those `wanted` nodes have answered that are nearest of all it heard of, of one
/// /16 (IPv6: /32) at most [`MAX_REPLICAS_PER_GROUP`] of them, and all within a *region* if it has
/// one ([`all_within`](Self::all_within)): where somebody sought places, that are not few. A node
/// that lets it wait for longer than `hedge` does not hold it: another is asked in its stead, as is
/// the next on the list, and its answer counts if it still comes (Dean and Barroso 2013, "The Tail
/// at Scale"). Of contacts that came in one answer, at most [`MAX_ASKED_OF_ONE_ANSWER`] are asked
/// until one of them has answered: so a liar cannot make us ask machines that know nothing of it.
///
/// Over several paths it is as many lookups that share no node (Baumgart and Mies 2007,
/// "S/Kademlia", 4.4): what a node answers is known to the path only that asked it, so that one
/// liar leads one path astray.
#[derive(Debug)]
pub(super) struct Lookup {
    target: Place,
    me: NodeId,
    wanted: usize,
    hedge: Duration,
    paths: usize,
    /// Questions that one path has under way.
    width: usize,
    /// All that are not farther than this are asked.
    region: Option<Distance>,
    /// Who is not farther than this has what is looked for, as a rule.
    goal: Option<Distance>,
    ends: Instant,
    /// The longest time is over.
    has_ended: bool,
    /// All that it heard of, nearest first; at most [`MAX_LOOKUP_CONTACTS`].
    known: BTreeMap<Key, Candidate>,
    /// Who was asked, in this order; at most [`MAX_LOOKUP_QUESTIONS`].
    asked: Vec<Key>,
    /// Those who are not asked any more, under whatever address: an answer of them came or may
    /// still come.
    busy: BTreeSet<NodeId>,
    /// What was named together: a list for each path to begin with, then one for each answer.
    lists: Vec<List>,
}

/// A question that was asked, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupStep {
    /// When.
    pub at: Instant,
    /// Whom.
    pub contact: Contact,
    /// How far it is from what was looked for.
    pub distance: Distance,
    /// How many answers led to it, one after the other.
    pub hop: u32,
    /// On which of the disjoint paths, from 0.
    pub path: usize,
    /// What came of it.
    pub outcome: StepOutcome,
}

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// It is under way.
    Waiting,
    /// It is under way for so long that another was asked beside it.
    Slow,
    /// An answer came.
    Answered {
        /// After this time.
        after: Duration,
        /// Contacts of which nobody had spoken before.
        new: usize,
    },
    /// None came.
    Failed,
}

/// Of the nodes found nearest to a place, how often one named somebody farther than another of
/// them, and not that one; and how often it could have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Omissions {
    pub(super) omitted: usize,
    pub(super) of: usize,
}

/// The address too: whoever names a node at a wrong one must not hide it at the right one.
type Key = (Distance, NodeId, core::net::SocketAddr);

#[derive(Debug)]
struct Candidate {
    contact: Contact,
    group: Group,
    hop: u32,
    /// Where it was named.
    lists: Vec<usize>,
    /// When and on which path it was asked, and what came of it.
    question: Option<DhtQuestion>,
}

#[derive(Clone, Copy, Debug)]
struct DhtQuestion {
    at: Instant,
    path: usize,
    outcome: StepOutcome,
}

#[derive(Debug)]
struct List {
    path: usize,
    /// How many of it were asked on its account.
    asked: usize,
    /// One of it answered, or it is our own.
    is_good: bool,
    /// Who named it; nobody, if it is our own.
    by: Option<Key>,
    /// How far it goes.
    farthest: Option<Distance>,
}

impl Lookup {
    /// For the `wanted` nodes nearest to `target`, beginning with these; over one path.
    pub(super) fn new(
        now: Instant,
        target: Place,
        wanted: usize,
        start: Vec<Contact>,
        me: NodeId,
        hedge: Duration,
    ) -> Self {
        let mut lookup = Self {
            target,
            me,
            wanted,
            hedge,
            paths: 0,
            width: LOOKUP_WIDTH,
            region: None,
            goal: None,
            ends: now + LONGEST_LOOKUP,
            has_ended: false,
            known: BTreeMap::new(),
            asked: Vec::new(),
            busy: BTreeSet::new(),
            lists: Vec::new(),
        };
        lookup.deal(1, start);
        lookup
    }

    /// The same, beginning with these too.
    pub(super) fn with_more(mut self, more: Vec<Contact>) -> Self {
        let start = self.known.values().map(|candidate| candidate.contact).chain(more).collect();
        self.deal(1, start);
        self
    }

    /// The same over this many paths that share no node, before anything is asked. The nodes to
    /// begin with are dealt to them in turn.
    pub(super) fn over_paths(mut self, paths: usize) -> Self {
        debug_assert!(self.asked.is_empty(), "paths are chosen before the first question");
        let start = self.known.values().map(|candidate| candidate.contact).collect();
        self.width = if paths > 1 { WIDTH_OF_PATH } else { self.width };
        self.deal(paths.max(1), start);
        self
    }

    /// The same with so many questions under way, as long as they are answered in time.
    pub(super) const fn with_width(mut self, width: usize) -> Self {
        self.width = width;
        self
    }

    /// The same, without asking these.
    pub(super) fn without(mut self, others: impl Iterator<Item = NodeId>) -> Self {
        self.busy.extend(others);
        self
    }

    /// The same, and whoever is not farther than this is asked.
    pub(super) const fn all_within(mut self, region: Distance) -> Self {
        self.region = Some(region);
        self
    }

    /// The same, and an answer from within this distance will end it, as a rule: while one is
    /// waited for and nothing was lost on the way, nobody else is asked.
    pub(super) const fn ending_within(mut self, goal: Option<Distance>) -> Self {
        self.goal = goal;
        self
    }

    /// Over how many.
    pub(super) const fn paths(&self) -> usize {
        self.paths
    }

    /// What is looked for.
    pub(super) const fn target(&self) -> Place {
        self.target
    }

    /// Whom to ask now; it is under way then. Call until `None`.
    pub(super) fn next(&mut self, now: Instant) -> Option<Contact> {
        let has_room = self.asked.len() < self.most_questions();
        if self.has_ended || !has_room || self.is_about_to_end() {
            return None;
        }
        // The path with the fewest questions first: none waits for another.
        let mut paths: Vec<_> = (0..self.paths).map(|path| (self.waiting(path), path)).collect();
        paths.sort_unstable();
        let has_room = |(waiting, path): &(usize, usize)| *waiting < self.width_of(*path);
        let (key, path) = paths.into_iter().filter(has_room).find_map(|(_, path)| {
            let mut nearest = self.nearest_of(path);
            let (key, _) = nearest.find(|(_, candidate)| candidate.question.is_none())?;
            Some((*key, path))
        })?;
        let candidate = self.known.get_mut(&key)?;
        candidate.question = Some(DhtQuestion { at: now, path, outcome: StepOutcome::Waiting });
        // It is asked on account of one list, and of none if one of them has proven good.
        let lists = candidate.lists.iter().filter(|list| self.lists[**list].path == path);
        if !lists.clone().any(|list| self.lists[*list].is_good) {
            let with_room = lists.copied().find(|list| self.lists[*list].has_room());
            if let Some(list) = with_room {
                self.lists[list].asked += 1;
            }
        }
        self.asked.push(key);
        self.busy.insert(key.1);
        Some(candidate.contact)
    }

    /// A node answered and named these. What it says of places near us from afar is left out
    /// ([`Contact::is_plausible`]), and an answer to no question of ours.
    pub(super) fn handle_answer(&mut self, now: Instant, from: &Contact, named: Vec<Contact>) {
        let key = self.key(from);
        let Some(Candidate { hop, question: Some(question), .. }) = self.known.get(&key) else {
            return;
        };
        if matches!(question.outcome, StepOutcome::Answered { .. }) {
            return;
        }
        let (hop, DhtQuestion { at, path, .. }) = (hop + 1, *question);
        let plausible = named.into_iter().filter(|contact| contact.is_plausible(from.addr()));
        let plausible = plausible.take(MAX_CONTACTS_PER_ANSWER).collect();
        let list = self.lists.len();
        let new = self.add_list(path, false, hop, plausible);
        self.lists[list].by = Some(key);
        if let Some(candidate) = self.known.get_mut(&key) {
            for list in &candidate.lists {
                self.lists[*list].is_good = true;
            }
            let outcome = StepOutcome::Answered { after: now.since(at), new };
            candidate.question = Some(DhtQuestion { at, path, outcome });
        }
        self.busy.insert(from.id());
        self.trim();
    }

    /// A node will not answer, as far as anybody can tell. If it does, that counts all the same.
    pub(super) fn handle_failure(&mut self, whom: &Contact) {
        let key = self.key(whom);
        let Some(question) = self.known.get_mut(&key).and_then(|known| known.question.as_mut())
        else {
            return;
        };
        if !matches!(question.outcome, StepOutcome::Answered { .. }) {
            question.outcome = StepOutcome::Failed;
            self.busy.remove(&whom.id());
        }
    }

    /// Time has passed: who has not answered for too long holds nothing up any more.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.has_ended |= now >= self.ends;
        for key in &self.asked {
            let question = self.known.get_mut(key).and_then(|known| known.question.as_mut());
            match question {
                Some(question)
                    if question.outcome == StepOutcome::Waiting
                        && question.at + self.hedge <= now =>
                {
                    question.outcome = StepOutcome::Slow;
                }
                _ => {}
            }
        }
    }

    /// When it wants to know that time has passed.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        if self.is_done() {
            return None;
        }
        let waiting = self.questions().filter(|(_, asked)| asked.outcome == StepOutcome::Waiting);
        let slow = waiting.map(|(_, asked)| asked.at + self.hedge).min();
        Some(slow.map_or(self.ends, |at| at.min(self.ends)))
    }

    /// Whether those that are nearest have answered, or nobody is left to ask, or it took too long.
    pub(super) fn is_done(&self) -> bool {
        self.has_ended || (0..self.paths).all(|path| self.is_path_done(path))
    }

    /// Who answered, nearest first.
    pub(super) fn nearest(&self) -> Vec<Contact> {
        let answered = self.known.values().filter(|candidate| candidate.has_answered());
        answered.map(|candidate| candidate.contact).collect()
    }

    /// Who was asked, nearest first, also if no answer came.
    pub(super) fn nearest_asked(&self) -> Vec<Contact> {
        let asked = self.known.values().filter(|candidate| candidate.question.is_some());
        asked.map(|candidate| candidate.contact).collect()
    }

    /// Those among the `wanted` nearest that have answered already.
    pub(super) fn settled(&self) -> impl Iterator<Item = Contact> {
        let near = (0..self.paths.min(1)).flat_map(|path| self.nearest_of(path));
        near.filter(|(_, candidate)| candidate.has_answered()).map(|(_, near)| near.contact)
    }

    /// How many of the `n` nearest that may be found have answered.
    pub(super) fn answered_among(&self, n: usize) -> usize {
        let may_be_found = self.known.values().filter(|candidate| {
            !matches!(candidate.outcome(), Some(StepOutcome::Slow | StepOutcome::Failed))
        });
        may_be_found.take(n).filter(|candidate| candidate.has_answered()).count()
    }

    /// How many were asked.
    pub(super) const fn asked(&self) -> usize {
        self.asked.len()
    }

    /// How many answers, one after the other, led to the farthest found of the `wanted` nearest: a
    /// node that we knew is one hop away.
    pub(super) fn hops(&self) -> u32 {
        let answered = self.known.values().filter(|candidate| candidate.has_answered());
        answered.take(self.wanted).map(|candidate| candidate.hop).max().unwrap_or(0)
    }

    /// Whom of the nodes found nearest the others of them left out.
    pub(super) fn omissions(&self) -> Omissions {
        let answered = self.known.iter().filter(|(_, candidate)| candidate.has_answered());
        let nearest: Vec<_> = answered.take(self.wanted).collect();
        let mut seen = Omissions::default();
        for (at, list) in self.lists.iter().enumerate() {
            let is_near = |by: &Key| nearest.iter().any(|(key, _)| *key == by);
            let Some(by) = list.by.as_ref().filter(|by| is_near(by)) else { continue };
            for (_, other) in
                nearest.iter().filter(|(key, _)| *key != by && Some(key.0) < list.farthest)
            {
                seen.of += 1;
                seen.omitted += usize::from(!other.lists.contains(&at));
            }
        }
        seen
    }

    /// What was asked, in this order.
    pub(super) fn steps(&self) -> impl Iterator<Item = LookupStep> {
        self.questions().map(|(candidate, question)| LookupStep {
            at: question.at,
            contact: candidate.contact,
            distance: self.target.distance(&candidate.contact.place()),
            hop: candidate.hop,
            path: question.path,
            outcome: question.outcome,
        })
    }

    fn questions(&self) -> impl Iterator<Item = (&Candidate, DhtQuestion)> {
        self.asked.iter().filter_map(|key| {
            let candidate = self.known.get(key)?;
            Some((candidate, candidate.question?))
        })
    }

    fn deal(&mut self, paths: usize, mut start: Vec<Contact>) {
        (self.paths, self.known, self.lists) = (paths, BTreeMap::new(), Vec::new());
        start.sort_unstable_by_key(|contact| self.target.distance(&contact.place()));
        for path in 0..paths {
            let its_own = start.iter().skip(path).step_by(paths).copied().collect();
            self.add_list(path, true, 1, its_own);
        }
        self.trim();
    }

    /// How many of them nobody had named.
    fn add_list(&mut self, path: usize, is_good: bool, hop: u32, contacts: Vec<Contact>) -> usize {
        let (list, before) = (self.lists.len(), self.known.len());
        self.lists.push(List { path, asked: 0, is_good, by: None, farthest: None });
        for contact in contacts.into_iter().filter(|contact| contact.id() != self.me) {
            let key = self.key(&contact);
            let candidate = self.known.entry(key).or_insert_with(|| Candidate {
                contact,
                group: Group::of(contact.addr().ip()),
                hop,
                lists: Vec::new(),
                question: None,
            });
            self.lists[list].is_good |= candidate.has_answered();
            self.lists[list].farthest = self.lists[list].farthest.max(Some(key.0));
            if !candidate.lists.contains(&list) {
                candidate.lists.push(list);
            }
        }
        self.known.len() - before
    }

    /// The farthest that were not asked give way.
    fn trim(&mut self) {
        while self.known.len() > MAX_LOOKUP_CONTACTS {
            let mut farthest = self.known.iter().rev();
            let Some((key, _)) = farthest.find(|(_, known)| known.question.is_none()) else {
                break;
            };
            let key = *key;
            self.known.remove(&key);
        }
    }

    const fn most_questions(&self) -> usize {
        if self.region.is_some() { MAX_REGION_QUESTIONS } else { MAX_LOOKUP_QUESTIONS }
    }

    /// Where questions stay unanswered, more go out at once.
    fn width_of(&self, path: usize) -> usize {
        if self.paths > 1 {
            return self.width;
        }
        let lost = self.questions().filter(|(_, asked)| asked.path == path && asked.is_lost());
        (self.width + lost.count()).min(WIDEST_LOOKUP)
    }

    fn is_about_to_end(&self) -> bool {
        let Some(goal) = self.goal else { return false };
        let is_near = |candidate: &Candidate| self.key(&candidate.contact).0 <= goal;
        let mut questions = self.questions();
        let is_waited_for = questions
            .any(|(candidate, asked)| asked.outcome == StepOutcome::Waiting && is_near(candidate));
        is_waited_for && !self.questions().any(|(_, asked)| asked.is_lost())
    }

    /// The nearest of this path that may be found: who answered, is asked, or can be asked.
    fn nearest_of(&self, path: usize) -> impl Iterator<Item = (&Key, &Candidate)> {
        let counts = move |(_, candidate): &(&Key, &Candidate)| {
            let mut lists = candidate
                .lists
                .iter()
                .map(|list| &self.lists[*list])
                .filter(|list| list.path == path);
            match candidate.outcome() {
                None => !self.busy.contains(&candidate.contact.id()) && lists.any(List::has_room),
                Some(StepOutcome::Waiting | StepOutcome::Answered { .. }) => lists.next().is_some(),
                Some(StepOutcome::Slow | StepOutcome::Failed) => false,
            }
        };
        let mut groups = Vec::new();
        let has_room = move |(_, candidate): &(&Key, &Candidate)| {
            let taken = groups.iter().filter(|group| **group == candidate.group).count();
            groups.push(candidate.group);
            candidate.group == Group::Near || taken < MAX_REPLICAS_PER_GROUP
        };
        let is_wanted = |(n, (key, _)): &(usize, (&Key, &Candidate))| {
            *n < self.wanted || self.region.is_some_and(|region| key.0 <= region)
        };
        let near = self.known.iter().filter(counts).filter(has_room).enumerate();
        near.take_while(is_wanted).map(|(_, near)| near)
    }

    fn waiting(&self, path: usize) -> usize {
        let is_waiting = |(_, question): &(&Candidate, DhtQuestion)| {
            question.path == path && question.outcome == StepOutcome::Waiting
        };
        self.questions().filter(is_waiting).count()
    }

    fn is_path_done(&self, path: usize) -> bool {
        let mut answered = 0;
        for (_, candidate) in self.nearest_of(path) {
            match candidate.outcome() {
                Some(StepOutcome::Answered { .. }) => answered += 1,
                None if self.asked.len() >= self.most_questions() => {}
                _ => return false,
            }
        }
        let mut questions = self.questions();
        // A slow answer is better than none.
        answered >= self.wanted
            || !questions.any(|(_, asked)| asked.path == path && asked.outcome == StepOutcome::Slow)
    }

    fn key(&self, contact: &Contact) -> Key {
        (self.target.distance(&contact.place()), contact.id(), contact.addr())
    }
}

impl DhtQuestion {
    const fn is_lost(&self) -> bool {
        matches!(self.outcome, StepOutcome::Slow | StepOutcome::Failed)
    }
}

impl List {
    const fn has_room(&self) -> bool {
        self.is_good || self.asked < MAX_ASKED_OF_ONE_ANSWER
    }
}

impl Candidate {
    fn outcome(&self) -> Option<StepOutcome> {
        self.question.map(|question| question.outcome)
    }

    fn has_answered(&self) -> bool {
        matches!(self.outcome(), Some(StepOutcome::Answered { .. }))
    }
}

#[cfg(test)]
mod tests;
