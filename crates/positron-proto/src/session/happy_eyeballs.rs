//! A dial: over the preferred kind of link first, over each other one after a head start, and the
//! first that is up ends it (as RFC 8305 races addresses).

use std::collections::VecDeque;

use super::{
    admission::Quota,
    attempt::{AttemptId, ConnectionAttempt, Reason},
    carrier::LinkEnding,
    contract::{DialFailure, DialOutcome, DialRequest, LinkKinds, SessionEffect},
    sessions::{SessionWake, Sessions},
    table::{LinkEntry, Stage},
};
use crate::{
    handshake::expect::Expect,
    id::{LinkId, NodeId},
    limits::{BACK_FIRST, HEAD_START, MAX_HALF_OPEN},
    time::Now,
    wire::frame::CloseReason,
};

impl Sessions {
    /// Dials. Exactly one [`SessionEffect::DialEnded`] will follow.
    pub fn dial(&mut self, now: Now, dial: DialRequest, out: &mut VecDeque<SessionEffect>) {
        let dialling = |entry: &&LinkEntry| entry.race().is_some();
        if self.links.values().filter(dialling).count() >= MAX_HALF_OPEN {
            self.counters.links_refused += 1;
            let outcome = DialOutcome::Failed(DialFailure::Closed(CloseReason::SlotsFull));
            out.push_back(SessionEffect::DialEnded { dial, outcome });
            return;
        }
        self.counters.dials += 1;
        self.race(now, dial, Reason::Requested, self.config.transports, out);
        self.settle(now, out);
    }

    /// Begins a race over these kinds of links.
    pub(super) fn race(
        &mut self,
        now: Now,
        dial: DialRequest,
        why: Reason,
        over: LinkKinds,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let id = AttemptId(self.raced);
        self.raced += 1;
        let turns = over.head_starts().map(|(kind, start)| (now.mono + start, kind)).collect();
        let race = ConnectionAttempt { dial, why, links: Vec::new(), turns, failure: None };
        self.attempts.insert(id, race);
        self.dial_next(now, id, out);
    }

    /// It is the next kind's turn, if any is left.
    pub(super) fn dial_next(&mut self, now: Now, id: AttemptId, out: &mut VecDeque<SessionEffect>) {
        self.deadlines.clear(SessionWake::Attempt(id));
        let Some(race) = self.attempts.get_mut(&id) else { return };
        let Some((_, kind)) = race.turns.pop_front() else { return };
        let (dial, is_upgrade) = (race.dial, race.why == Reason::Upgrade);
        if let Some((at, _)) = race.turns.front() {
            self.deadlines.set(SessionWake::Attempt(id), *at);
        }
        let link = self.names.next();
        if let Err(failure) = self.carriers.of(kind).connect(now, link, &dial) {
            return self.attempt_failed(now, id, None, failure, out);
        }
        race.links.push(link);
        let stage = Stage::Connecting(id);
        self.links.insert(link, LinkEntry::new(kind, dial.to, stage, Quota::Free));
        self.deadlines.set(SessionWake::Link(link), now.mono + self.config.connect_timeout);
        if is_upgrade {
            // Over before the next attempt.
            self.deadlines.set_earliest(SessionWake::Link(link), now.mono + BACK_FIRST);
        }
    }

    /// One link of a race came to this; it is the caller's to end if it is not the winner.
    pub(super) fn end_attempt(
        &mut self,
        now: Now,
        id: AttemptId,
        winner: Option<LinkId>,
        outcome: DialOutcome,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let Some(race) = self.attempts.remove(&id) else { return };
        self.deadlines.clear(SessionWake::Attempt(id));
        for link in race.links {
            if Some(link) != winner {
                self.abandon(now, link);
            }
        }
        if race.why == Reason::Requested {
            out.push_back(SessionEffect::DialEnded { dial: race.dial, outcome });
        }
    }

    /// Lets go of a link of which the other end thinks nothing yet.
    fn abandon(&mut self, now: Now, link: LinkId) {
        let Some(entry) = self.links.get(&link) else { return };
        if let Stage::Connecting(_) | Stage::Initiating(_) = entry.stage {
            self.end_link(now, link, LinkEnding::Reset, CloseReason::Duplicate);
        }
    }

    /// A link of a race is over, or could not even be begun. The next one has its turn at once.
    pub(super) fn attempt_failed(
        &mut self,
        now: Now,
        id: AttemptId,
        link: Option<LinkId>,
        failure: DialFailure,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let Some(race) = self.attempts.get_mut(&id) else { return };
        race.links.retain(|other| Some(*other) != link);
        if failure.settles() {
            return self.end_attempt(now, id, None, DialOutcome::Failed(failure), out);
        }
        let so_far = race.failure.take();
        let more_telling = so_far.filter(|before| before.telling() > failure.telling());
        race.failure = Some(more_telling.unwrap_or(failure));
        if !race.turns.is_empty() {
            // The ones after it follow at their distance.
            for (at, (turn, _)) in (0_u32..).zip(&mut race.turns) {
                *turn = now.mono + HEAD_START * at;
            }
            return self.dial_next(now, id, out);
        }
        let [other] = race.links[..] else {
            if race.links.is_empty() {
                let failure = race.failure.take().unwrap_or(DialFailure::Timeout);
                self.end_attempt(now, id, None, DialOutcome::Failed(failure), out);
            }
            return;
        };
        if let Some(LinkEntry { stage: Stage::Connecting(_), kind, .. }) = self.links.get(&other)
            && let Some(alone) = kind.alone()
        {
            self.deadlines.set_earliest(SessionWake::Link(other), now.mono + alone);
        }
    }

    /// Ends the races to `peer` that nobody asked for, as far as the peer thinks nothing of them.
    pub(super) fn cancel_attempts(
        &mut self,
        now: Now,
        peer: NodeId,
        which: impl Fn(Reason) -> bool,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let ours = |race: &ConnectionAttempt| {
            race.dial.expect == Expect::Node(peer) && race.why != Reason::Requested
        };
        let these = self.attempts.iter().filter(|(_, race)| ours(race) && which(race.why));
        let these: Vec<AttemptId> = these.map(|(id, _)| *id).collect();
        for id in these {
            let failure = DialFailure::Closed(CloseReason::Duplicate);
            self.end_attempt(now, id, None, DialOutcome::Failed(failure), out);
        }
    }

    /// Whether such a race to `peer` is under way.
    pub(super) fn is_attempting(&self, peer: NodeId, why: Reason) -> bool {
        let expect = Expect::Node(peer);
        self.attempts.values().any(|race| race.why == why && race.dial.expect == expect)
    }
}
