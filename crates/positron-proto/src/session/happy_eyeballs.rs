//! Dials under way: over the preferred kind of link first, over each other one after a head start,
//! and the first that is up ends it (as RFC 8305 races addresses).

use std::collections::{BTreeMap, VecDeque};

use super::contract::{DialFailure, DialRequest, Effort, LinkKind, LinkKinds, Purpose};
use crate::{
    deadlines::Deadlines,
    handshake::expect::Expect,
    id::{LinkId, NodeId},
    limits::HEAD_START,
    time::Instant,
};

/// Names an attempt: counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AttemptId(u64);

/// The dials under way: for each, the links that race and the kinds whose turn comes yet.
///
/// [`begin`](Self::begin), then [`next_turn`](Self::next_turn): at once, whenever
/// [`pop_due`](Self::pop_due) says so, and when [`AfterFailure::NextTurn`] does. Each turn is
/// answered by [`handle_dialled`](Self::handle_dialled) or
/// [`handle_failure`](Self::handle_failure), and each link that was dialled and is no more by the
/// latter. [`end`](Self::end) is the caller's, when a link is up or [`AfterFailure::Over`] says
/// that none can be any more.
///
/// Of the losers those without keys are to be abandoned; one that waits for its PONG goes on,
/// because the other end may have taken it for better already, and the rule for two links between
/// the same two nodes decides.
///
/// It knows no link but by its name. Bounded by whom it is told to dial, and each attempt by one
/// link of each kind.
#[derive(Debug, Default)]
pub(super) struct HappyEyeballs {
    under_way: BTreeMap<AttemptId, ConnectionAttempt>,
    begun: u64,
    turns: Deadlines<AttemptId>,
}

/// The links that are dialled for one wish.
#[derive(Debug)]
struct ConnectionAttempt {
    dial: DialRequest,
    /// Of each kind.
    effort: Effort,
    why: Reason,
    /// Under way: at most one of each kind.
    links: Vec<LinkId>,
    /// The kinds that are still to be dialled, and when.
    turns: VecDeque<(Instant, LinkKind)>,
    /// The most telling failure so far.
    failure: Option<DialFailure>,
}

/// Whose wish an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The caller's, who is told how it ends.
    Requested,
    /// Ours: the link to the node fell silent.
    Failover,
    /// Ours: the session with the node runs over a link of a less preferred kind.
    Upgrade,
}

/// What is to be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NextDial {
    pub(super) kind: LinkKind,
    pub(super) dial: DialRequest,
    pub(super) why: Reason,
}

/// What an attempt comes to when a link of it is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AfterFailure {
    /// It is over already, or several links are still under way.
    Nothing,
    /// The next kind has its turn at once.
    NextTurn,
    /// This link is all that is left.
    OneLeft(LinkId),
    /// It is to be ended: no link of it can be up any more, or none need be tried.
    Over(DialFailure),
}

/// An attempt that is over.
#[derive(Debug)]
pub(super) struct EndedAttempt {
    pub(super) dial: DialRequest,
    pub(super) why: Reason,
    /// Its links that were under way.
    pub(super) links: Vec<LinkId>,
}

impl HappyEyeballs {
    /// Begins an attempt over these kinds of links. Its first turn is due at once.
    pub(super) fn begin(
        &mut self,
        now: Instant,
        dial: DialRequest,
        why: Reason,
        over: LinkKinds,
    ) -> AttemptId {
        let id = AttemptId(self.begun);
        self.begun += 1;
        let at = |(kind, start)| (now + start, kind);
        let turns = match dial.purpose {
            Purpose::Connect => over.head_starts().map(at).collect(),
            Purpose::Probe => over.probe_starts().map(at).collect(),
        };
        let effort = dial.effort.shared_by(over.iter().count());
        let attempt =
            ConnectionAttempt { dial, effort, why, links: Vec::new(), turns, failure: None };
        self.under_way.insert(id, attempt);
        id
    }

    /// The next kind's turn, if any is left.
    pub(super) fn next_turn(&mut self, id: AttemptId) -> Option<NextDial> {
        self.turns.clear(id);
        let attempt = self.under_way.get_mut(&id)?;
        let (_, kind) = attempt.turns.pop_front()?;
        if let Some((at, _)) = attempt.turns.front() {
            self.turns.set(id, *at);
        }
        let dial = DialRequest { effort: attempt.effort, ..attempt.dial };
        Some(NextDial { kind, dial, why: attempt.why })
    }

    /// A link is under way for an attempt.
    pub(super) fn handle_dialled(&mut self, id: AttemptId, link: LinkId) {
        if let Some(attempt) = self.under_way.get_mut(&id) {
            attempt.links.push(link);
        }
    }

    /// A link of an attempt is no more, or one could not even be begun.
    pub(super) fn handle_failure(
        &mut self,
        now: Instant,
        id: AttemptId,
        link: Option<LinkId>,
        failure: DialFailure,
    ) -> AfterFailure {
        let Some(attempt) = self.under_way.get_mut(&id) else { return AfterFailure::Nothing };
        attempt.links.retain(|other| Some(*other) != link);
        if failure.settles() {
            return AfterFailure::Over(failure);
        }
        let so_far = attempt.failure.take();
        let more_telling = so_far.filter(|before| before.telling() > failure.telling());
        let failure = more_telling.unwrap_or(failure);
        if attempt.turns.is_empty() && attempt.links.is_empty() {
            return AfterFailure::Over(failure);
        }
        attempt.failure = Some(failure);
        if !attempt.turns.is_empty() {
            // The ones after it follow at their distance.
            for (at, (turn, _)) in (0_u32..).zip(&mut attempt.turns) {
                *turn = now + HEAD_START * at;
            }
            return AfterFailure::NextTurn;
        }
        match attempt.links[..] {
            [other] => AfterFailure::OneLeft(other),
            _ => AfterFailure::Nothing,
        }
    }

    /// Ends an attempt, unless it is over already. Its links are the caller's to end.
    pub(super) fn end(&mut self, id: AttemptId) -> Option<EndedAttempt> {
        let ConnectionAttempt { dial, why, links, .. } = self.under_way.remove(&id)?;
        self.turns.clear(id);
        Some(EndedAttempt { dial, why, links })
    }

    /// What an attempt is for, while it is under way.
    pub(super) fn request(&self, id: AttemptId) -> Option<DialRequest> {
        self.under_way.get(&id).map(|attempt| attempt.dial)
    }

    /// The attempts to reach `peer` that nobody asked for, for these reasons.
    pub(super) fn of_ours(&self, peer: NodeId, which: impl Fn(Reason) -> bool) -> Vec<AttemptId> {
        let ours = |attempt: &ConnectionAttempt| {
            attempt.dial.expect == Expect::Node(peer) && attempt.why != Reason::Requested
        };
        let these = self.under_way.iter().filter(|(_, it)| ours(it) && which(it.why));
        these.map(|(id, _)| *id).collect()
    }

    /// Whether `peer` is being dialled for this reason.
    pub(super) fn is_under_way(&self, peer: NodeId, why: Reason) -> bool {
        let expect = Expect::Node(peer);
        self.under_way.values().any(|it| it.why == why && it.dial.expect == expect)
    }

    /// Whether none is under way.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty() && self.turns.is_empty()
    }

    /// An attempt whose next turn is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<AttemptId> {
        self.turns.pop_due(now)
    }

    /// When the next turn is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.turns.next().map(|(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        handshake::HandshakeFailure, session::contract::LinkDown, time::Duration,
        wire::frame::CloseReason,
    };

    const BOTH: LinkKinds = LinkKinds::BOTH;

    fn dial() -> DialRequest {
        let (to, expect) = (([10, 0, 0, 1], 4000).into(), Expect::Anyone);
        let (purpose, effort) = (Purpose::Connect, Effort::Full);
        DialRequest { to, expect, noise_static: None, purpose, effort }
    }

    fn begun() -> (HappyEyeballs, AttemptId, [LinkId; 2]) {
        let mut attempts = HappyEyeballs::default();
        let id = attempts.begin(Instant::ORIGIN, dial(), Reason::Requested, BOTH);
        (attempts, id, [0, 1].map(LinkId::of_core))
    }

    #[test]
    fn each_kind_has_its_turn_after_a_head_start_or_at_once_when_the_one_before_it_failed() {
        for fails in [false, true] {
            let (mut attempts, id, [first, second]) = begun();
            assert_eq!(attempts.next_turn(id).map(|turn| turn.kind), Some(LinkKind::Udp));
            attempts.handle_dialled(id, first);
            let start = Instant::ORIGIN + HEAD_START;
            assert_eq!(attempts.poll_timeout(), Some(start));
            if fails {
                let now = Instant::ORIGIN + Duration::from_millis(1);
                let failure = LinkDown::Refused.into();
                let after = attempts.handle_failure(now, id, Some(first), failure);
                assert_eq!(after, AfterFailure::NextTurn);
            } else {
                assert_eq!(attempts.pop_due(start), Some(id));
            }
            assert_eq!(attempts.next_turn(id).map(|turn| turn.kind), Some(LinkKind::Tcp));
            attempts.handle_dialled(id, second);
            assert_eq!((attempts.next_turn(id), attempts.poll_timeout()), (None, None));
            let links = if fails { vec![second] } else { vec![first, second] };
            assert_eq!(attempts.end(id).map(|ended| ended.links), Some(links));
            assert!(attempts.end(id).is_none() && attempts.is_empty(), "an attempt ends once");
        }
    }

    #[test]
    fn it_is_over_with_its_last_link_for_the_most_telling_reason() {
        let (mut attempts, id, [first, second]) = begun();
        for link in [first, second] {
            attempts.next_turn(id);
            attempts.handle_dialled(id, link);
        }
        let told = HandshakeFailure::Broken("told more").into();
        let after = attempts.handle_failure(Instant::ORIGIN, id, Some(first), told);
        assert_eq!(after, AfterFailure::OneLeft(second));
        let silent = LinkDown::TimedOut.into();
        let after = attempts.handle_failure(Instant::ORIGIN, id, Some(second), silent);
        assert_eq!(after, AfterFailure::Over(HandshakeFailure::Broken("told more").into()));
    }

    #[test]
    fn who_refuses_under_its_key_is_not_asked_over_another_kind() {
        let (mut attempts, id, [first, _]) = begun();
        attempts.next_turn(id);
        attempts.handle_dialled(id, first);
        let refused = DialFailure::refused(CloseReason::SlotsFull);
        let after = attempts.handle_failure(Instant::ORIGIN, id, Some(first), refused.clone());
        assert_eq!(after, AfterFailure::Over(refused));
    }

    #[test]
    fn what_nobody_asked_for_is_found_by_the_node_that_it_is_to_reach() {
        let (mut attempts, requested, _) = begun();
        let peer = NodeId::from_bytes([7; 32]);
        let expected = DialRequest { expect: Expect::Node(peer), ..dial() };
        let ours = attempts.begin(Instant::ORIGIN, expected, Reason::Upgrade, BOTH);
        assert!(attempts.is_under_way(peer, Reason::Upgrade));
        assert!(!attempts.is_under_way(peer, Reason::Failover));
        assert_eq!(attempts.of_ours(peer, |_| true), [ours]);
        assert_eq!(attempts.of_ours(peer, |why| why == Reason::Failover), []);
        assert!(attempts.request(requested).is_some());
    }
}
