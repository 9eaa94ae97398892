//! Who ran when, and who had which broadcast when.

use std::collections::{BTreeMap, BTreeSet};

use positron_proto::{
    id::MessageId,
    time::{Duration, Instant},
};

use crate::witness::Seen;

/// Who ran when, was linked with whom, and had which broadcast when.
///
/// # Contract
///
/// It is told everything that a [`Witness`](crate::Witness) sees, and afterwards answers questions
/// about spans of time. A broadcast counts as said when its sender has it on disk, which is when it
/// is sent: one that was lost before that was never said, and neither was what no node said.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// When processes of each node began and ended.
    lives: Vec<Vec<(Instant, Instant)>>,
    broadcasts: BTreeMap<MessageId, Broadcast>,
    /// When two nodes were linked, and when no more, in order of time but for a moment.
    links: Vec<(Instant, (usize, usize), bool)>,
    /// Whether others speak, too: what none of the nodes said is theirs then, and owed to nobody.
    has_guests: bool,
    /// When the application of a node was told first that somebody contradicted itself.
    equivocations: BTreeMap<usize, Instant>,
}

/// One broadcast.
#[derive(Clone, Debug)]
struct Broadcast {
    said: Instant,
    sender: Option<usize>,
    /// When each node had it; [`Instant::FAR_FUTURE`]: never.
    had: Vec<Instant>,
}

/// What became of the broadcasts of a span of time at those that ran for long enough.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Broadcasts that were said, but for those that died with their sender.
    pub broadcasts: usize,
    /// Broadcasts that nobody had but a sender that did not run for long enough.
    pub lost: usize,
    /// Times that one was due.
    pub due: usize,
    /// How late each of these was that came in time, in microseconds, the least first.
    pub micros: Vec<u64>,
}

impl Ledger {
    /// Of so many nodes, none of which has started.
    pub(super) fn new(nodes: usize) -> Self {
        Self { lives: vec![Vec::new(); nodes], ..Self::default() }
    }

    /// The same, where there are guests.
    pub(super) fn with_guests(mut self, has_guests: bool) -> Self {
        self.has_guests = has_guests;
        self
    }

    /// Something is seen.
    pub(super) fn handle_seen(&mut self, at: Instant, seen: Seen) {
        match seen {
            Seen::Up(node) => self.lives[node].push((at, Instant::FAR_FUTURE)),
            Seen::Down(node) => {
                if let Some((_, end)) = self.lives[node].last_mut() {
                    *end = at;
                }
            }
            Seen::Linked(a, b) => self.links.push((at, (a.min(b), a.max(b)), true)),
            Seen::Cut(a, b) => self.links.push((at, (a.min(b), a.max(b)), false)),
            Seen::Has { message, node, from: None } => {
                self.handle_has(at, message, node).sender = Some(node);
            }
            Seen::Has { message, node, .. } | Seen::HasFromGuest { message, node } => {
                self.handle_has(at, message, node);
            }
            Seen::Equivocated(node) => drop(self.equivocations.entry(node).or_insert(at)),
        }
    }

    fn handle_has(&mut self, at: Instant, message: MessageId, node: usize) -> &mut Broadcast {
        let nobody = vec![Instant::FAR_FUTURE; self.lives.len()];
        let new = || Broadcast { said: at, sender: None, had: nobody };
        let broadcast = self.broadcasts.entry(message).or_insert_with(new);
        broadcast.said = broadcast.said.min(at);
        let had = &mut broadcast.had[node];
        *had = at.min(*had);
        broadcast
    }

    /// Whether one process of a node ran from a time until another one.
    fn ran(&self, node: usize, from: Instant, until: Instant) -> bool {
        self.lives[node].iter().any(|(begin, end)| *begin <= from && until <= *end)
    }

    fn said_in(&self, (from, until): (Instant, Instant)) -> impl Iterator<Item = &Broadcast> {
        let in_time = move |one: &&Broadcast| from <= one.said && one.said < until;
        let is_ours = |one: &&Broadcast| one.sender.is_some() || !self.has_guests;
        self.broadcasts.values().filter(in_time).filter(is_ours)
    }

    /// Whom the broadcasts of a span of time reached, of those that ran from the saying until
    /// `patience` later. That has to be before the end.
    pub fn reach(&self, span: (Instant, Instant), patience: Duration) -> Reach {
        let mut reach = Reach::default();
        for one in self.said_in(span) {
            let until = one.said + patience;
            let others = (0..self.lives.len()).filter(|node| Some(*node) != one.sender);
            let owed: Vec<Instant> = others
                .filter(|node| self.ran(*node, one.said, until))
                .map(|n| one.had[n])
                .collect();
            let sender_ran = one.sender.is_some_and(|sender| self.ran(sender, one.said, until));
            if !sender_ran && owed.iter().all(|had| *had == Instant::FAR_FUTURE) {
                reach.lost += 1;
                continue;
            }
            reach.broadcasts += 1;
            reach.due += owed.len();
            let in_time = owed.iter().filter(|had| **had <= until);
            reach.micros.extend(in_time.map(|had| had.as_micros() - one.said.as_micros()));
        }
        reach.micros.sort_unstable();
        reach
    }

    /// How many broadcasts of a span of time nodes that run at `at` do not have then, all together.
    pub fn missing(&self, span: (Instant, Instant), at: Instant) -> usize {
        let runs = |node: &usize| self.ran(*node, at, at);
        let missing = |one: &Broadcast| {
            (0..self.lives.len()).filter(runs).filter(|node| one.had[*node] > at).count()
        };
        self.said_in(span).map(missing).sum()
    }

    /// When those that run at `at` have all broadcasts of a span of time, which was over then;
    /// [`Instant::FAR_FUTURE`] if they never do.
    pub fn all_have(&self, span: (Instant, Instant), at: Instant) -> Instant {
        let runs = |node: &usize| self.ran(*node, at, at);
        let last = |one: &Broadcast| (0..self.lives.len()).filter(runs).map(|n| one.had[n]).max();
        self.said_in(span).filter_map(last).max().unwrap_or(at).max(at)
    }

    /// When this node's application was told first that somebody signed two contents under one
    /// number; [`Instant::FAR_FUTURE`]: never.
    pub fn told_of_equivocation(&self, node: usize) -> Instant {
        self.equivocations.get(&node).copied().unwrap_or(Instant::FAR_FUTURE)
    }

    /// Nodes of which no process ran before then, with the beginning of each one's first.
    pub fn newcomers(&self, after: Instant) -> impl Iterator<Item = (usize, Instant)> {
        let first = |(node, lives): (usize, &Vec<_>)| Some((node, lives.first().map(begin)?));
        let nodes = self.lives.iter().enumerate().filter_map(first);
        nodes.filter(move |(_, begin)| *begin >= after)
    }

    /// When this node has all broadcasts of a span of time; [`Instant::FAR_FUTURE`] if it never
    /// does.
    pub fn has_all(&self, span: (Instant, Instant), node: usize) -> Instant {
        self.said_in(span).map(|one| one.had[node]).max().unwrap_or(Instant::FAR_FUTURE)
    }

    /// How many links there are at `at` between nodes of which one is in `side`.
    pub fn links_across(&self, side: &[usize], at: Instant) -> usize {
        let mut linked = BTreeSet::new();
        for (_, link, is_up) in self.links.iter().filter(|(when, ..)| *when <= at) {
            if *is_up {
                linked.insert(*link);
            } else {
                linked.remove(link);
            }
        }
        let crosses = |(a, b): &&(usize, usize)| side.contains(a) != side.contains(b);
        linked.iter().filter(crosses).count()
    }
}

const fn begin((begin, _): &(Instant, Instant)) -> Instant {
    *begin
}

impl Reach {
    /// Times that one was due and did not come in time.
    pub fn missing(&self) -> usize {
        self.due - self.micros.len()
    }

    /// By when this part of all that came in time had come, in milliseconds.
    pub fn ms(&self, part: f64) -> f64 {
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
        #[allow(clippy::cast_sign_loss)]
        let rank = (self.micros.len() as f64 * part).ceil() as usize;
        self.micros.get(rank.max(1) - 1).map_or(f64::NAN, |micros| *micros as f64 / 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: MessageId = MessageId::from_bytes([1; 32]);
    const B: MessageId = MessageId::from_bytes([2; 32]);

    fn second(n: u64) -> Instant {
        Instant::from_micros(n * 1_000_000)
    }

    fn has(message: MessageId, node: usize, from: Option<usize>) -> Seen {
        Seen::Has { message, node, from }
    }

    /// Node 0 says something at 10 s. Node 1 has it a second later, node 2 five seconds later;
    /// node 3 dies meanwhile, and node 4 comes too late to have to have it.
    fn a_story() -> Ledger {
        let mut ledger = Ledger::new(5);
        for node in 0..4 {
            ledger.handle_seen(second(1), Seen::Up(node));
        }
        ledger.handle_seen(second(10), has(A, 0, None));
        ledger.handle_seen(second(11), has(A, 1, Some(0)));
        ledger.handle_seen(second(11), Seen::Up(4));
        ledger.handle_seen(second(12), Seen::Down(3));
        ledger.handle_seen(second(15), has(A, 2, Some(1)));
        ledger
    }

    #[test]
    fn who_runs_from_the_saying_on_is_owed_a_broadcast_in_time() {
        let ledger = a_story();
        let span = (second(0), second(20));
        let patient = ledger.reach(span, Duration::from_secs(6));
        assert_eq!((patient.broadcasts, patient.due, patient.missing()), (1, 2, 0));
        assert_eq!((patient.ms(0.5), patient.ms(1.0)), (1_000.0, 5_000.0));
        let hasty = ledger.reach(span, Duration::from_secs(4));
        assert_eq!((hasty.due, hasty.missing()), (2, 1));
        assert_eq!(ledger.reach((second(11), second(20)), Duration::ZERO), Reach::default());
    }

    #[test]
    fn what_nobody_has_but_a_sender_that_died_is_lost_and_owed_to_nobody() {
        let mut ledger = a_story();
        ledger.handle_seen(second(20), has(B, 1, None));
        let span = (second(20), second(21));
        assert_eq!(ledger.reach(span, Duration::from_secs(5)).missing(), 3, "it runs");
        ledger.handle_seen(second(21), Seen::Down(1));
        let reach = ledger.reach(span, Duration::from_secs(5));
        assert_eq!((reach.broadcasts, reach.lost, reach.due), (0, 1, 0));
        ledger.handle_seen(second(24), has(B, 2, Some(1)));
        let reach = ledger.reach(span, Duration::from_secs(5));
        assert_eq!((reach.broadcasts, reach.lost, reach.missing()), (1, 0, 2), "half gone");
    }

    #[test]
    fn what_a_guest_brought_has_come() {
        let mut ledger = a_story();
        ledger.handle_seen(second(13), Seen::HasFromGuest { message: A, node: 2 });
        let reach = ledger.reach((second(0), second(20)), Duration::from_secs(4));
        assert_eq!((reach.due, reach.missing()), (2, 0));
    }

    #[test]
    fn what_none_of_the_nodes_said_is_owed_to_nobody_where_there_are_guests() {
        let mut ledger = a_story();
        ledger.handle_seen(second(12), Seen::HasFromGuest { message: B, node: 1 });
        let span = (second(0), second(20));
        assert_eq!(ledger.reach(span, Duration::from_secs(6)).broadcasts, 2);
        assert_eq!(ledger.with_guests(true).reach(span, Duration::from_secs(6)).broadcasts, 1);
    }

    #[test]
    fn what_live_nodes_lack_and_when_they_lack_it_no_more_can_be_told() {
        let ledger = a_story();
        let span = (second(0), second(11));
        assert_eq!(ledger.missing(span, second(10)), 3);
        assert_eq!(ledger.missing(span, second(14)), 2, "the newcomer, and not the dead one");
        assert_eq!(ledger.all_have(span, second(10)), Instant::FAR_FUTURE, "one died");
        let mut ledger = ledger;
        ledger.handle_seen(second(17), has(A, 4, Some(1)));
        assert_eq!(ledger.all_have(span, second(14)), second(17));
    }

    #[test]
    fn links_across_two_sides_are_those_of_that_time() {
        let mut ledger = Ledger::new(4);
        ledger.handle_seen(second(1), Seen::Linked(2, 0));
        ledger.handle_seen(second(1), Seen::Linked(0, 1));
        ledger.handle_seen(second(3), Seen::Cut(0, 2));
        assert_eq!([0, 2, 4].map(|at| ledger.links_across(&[0, 1], second(at))), [0, 1, 0]);
    }
}
