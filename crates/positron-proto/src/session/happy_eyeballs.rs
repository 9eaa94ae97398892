//! A dial: over datagrams first, over a byte stream after a head start, and the first that is up
//! ends it (as RFC 8305 races addresses).

use std::collections::VecDeque;

use super::{
    contract::{
        DialFailure, DialOutcome, DialRequest, Hangup, LinkDown, LinkKind, LinkKinds, SessionEffect,
    },
    sessions::{SessionWake, Sessions},
    table::{LinkEntry, Quota, Stage},
};
use crate::{
    datagram::contract::NotDialled,
    handshake::expect::Expect,
    id::{LinkId, NodeId},
    limits::{BACK_FIRST, MAX_HALF_OPEN, UDP_ALONE, UDP_HEAD_START},
    time::Now,
    wire::frame::CloseReason,
};

/// Names a race: counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AttemptId(u64);

/// The links that are dialled for one wish.
///
/// It is over when the first of them is up, or when none can be any more. Of the others those
/// without keys are abandoned; one that waits for its PONG goes on, because the other end may have
/// taken it for better already, and the rule for two links between the same two nodes decides.
#[derive(Debug)]
pub(super) struct ConnectionAttempt {
    pub(super) dial: DialRequest,
    pub(super) why: Reason,
    /// Under way: one or two.
    links: Vec<LinkId>,
    /// Whether the byte stream is still to be dialled.
    stream_waits: bool,
    /// The most telling failure so far.
    failure: Option<DialFailure>,
}

/// Whose wish a race is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The caller's, who is told how it ends.
    Requested,
    /// Ours: the datagram link to the node fell silent.
    Failover,
    /// Ours: the session with the node runs over a byte stream.
    Upgrade,
}

impl Sessions {
    /// Dials. Exactly one [`SessionEffect::DialEnded`] will follow.
    pub fn dial(&mut self, now: Now, dial: DialRequest, out: &mut VecDeque<SessionEffect>) {
        let dialling =
            |(id, entry): (&LinkId, &LinkEntry)| !id.is_accepted() && entry.is_half_open();
        if self.links.iter().filter(|link| dialling(*link)).count() >= MAX_HALF_OPEN {
            self.counters.links_refused += 1;
            let outcome = DialOutcome::Failed(DialFailure::Closed(CloseReason::SlotsFull));
            out.push_back(SessionEffect::DialEnded { dial, outcome });
            return;
        }
        self.counters.dials += 1;
        self.race(now, dial, Reason::Requested, self.config.transports, out);
    }

    /// Begins a race over these transports.
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
        let stream_waits = over.has(LinkKind::Tcp);
        let race = ConnectionAttempt { dial, why, links: Vec::new(), stream_waits, failure: None };
        self.attempts.insert(id, race);
        if !over.has(LinkKind::Udp) {
            self.dial_stream(now, id, out);
            return;
        }
        match self.dial_datagrams(now, id, dial) {
            Ok(()) if stream_waits => {
                self.deadlines.set(SessionWake::Attempt(id), now.mono + UDP_HEAD_START);
            }
            Ok(()) => {}
            Err(why) => self.attempt_failed(now, id, None, why, out),
        }
    }

    fn dial_datagrams(
        &mut self,
        now: Now,
        id: AttemptId,
        dial: DialRequest,
    ) -> Result<(), DialFailure> {
        let connect = self.endpoint.connect(now, dial.to, dial.expect, dial.noise_static);
        let connection = connect.map_err(|why| match why {
            NotDialled::TooMany => DialFailure::Link(LinkDown::Other(why.to_string())),
            NotDialled::BadAddress(_) => DialFailure::Link(LinkDown::Unreachable(why.to_string())),
            NotDialled::Handshake => DialFailure::Handshake("no handshake can be started"),
        })?;
        let link = self.begin_link(now, id, dial);
        if let Some(entry) = self.links.remove(&link) {
            self.links.insert(link, entry.over(connection));
        }
        if self.attempts.get(&id).is_some_and(|race| race.why == Reason::Upgrade) {
            // Over before the next attempt.
            self.deadlines.set_earliest(SessionWake::Link(link), now.mono + BACK_FIRST);
        }
        self.by_connection.insert(connection, link);
        Ok(())
    }

    /// It is the byte stream's turn, if it has not had it.
    pub(super) fn dial_stream(
        &mut self,
        now: Now,
        id: AttemptId,
        out: &mut VecDeque<SessionEffect>,
    ) {
        self.deadlines.clear(SessionWake::Attempt(id));
        let Some(race) = self.attempts.get_mut(&id) else { return };
        if core::mem::take(&mut race.stream_waits) {
            let dial = race.dial;
            let link = self.begin_link(now, id, dial);
            out.push_back(SessionEffect::Dial { link, to: dial.to });
        }
    }

    fn begin_link(&mut self, now: Now, id: AttemptId, dial: DialRequest) -> LinkId {
        let link = LinkId::dialled(self.dialled);
        self.dialled += 1;
        self.links.insert(link, LinkEntry::new(dial.to, Stage::Connecting(id), Quota::Free));
        self.deadlines.set(SessionWake::Link(link), now.mono + self.config.connect_timeout);
        if let Some(race) = self.attempts.get_mut(&id) {
            race.links.push(link);
        }
        link
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
                self.abandon(now, link, out);
            }
        }
        if race.why == Reason::Requested {
            out.push_back(SessionEffect::DialEnded { dial: race.dial, outcome });
        }
    }

    /// Lets go of a link of which the other end thinks nothing yet.
    fn abandon(&mut self, now: Now, link: LinkId, out: &mut VecDeque<SessionEffect>) {
        let Some(entry) = self.links.get(&link) else { return };
        if let Stage::Connecting(_) | Stage::Initiating(..) = entry.stage {
            self.hang_up(now, link, Hangup::Abort, CloseReason::Duplicate, out);
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
        if settles(&failure) {
            return self.end_attempt(now, id, None, DialOutcome::Failed(failure), out);
        }
        let so_far = race.failure.take();
        let more_telling = so_far.filter(|before| telling(before) > telling(&failure));
        race.failure = Some(more_telling.unwrap_or(failure));
        if race.stream_waits {
            return self.dial_stream(now, id, out);
        }
        let Some(other) = race.links.first() else {
            let failure = race.failure.take().unwrap_or(DialFailure::Timeout);
            return self.end_attempt(now, id, None, DialOutcome::Failed(failure), out);
        };
        // Whatever answers a byte stream there, no datagram may ever be answered.
        if let Some(LinkEntry { stage: Stage::Connecting(_), connection: Some(_), .. }) =
            self.links.get(other)
        {
            self.deadlines.set_earliest(SessionWake::Link(*other), now.mono + UDP_ALONE);
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

/// Whether nothing else has to be tried: the right node, or a wrong one, said so under its key.
const fn settles(failure: &DialFailure) -> bool {
    match failure {
        DialFailure::WrongNode { .. } | DialFailure::Ourselves | DialFailure::Closed(_) => true,
        DialFailure::Link(_)
        | DialFailure::NotPositron(_)
        | DialFailure::Timeout
        | DialFailure::Handshake(_) => false,
    }
}

/// How much a failure tells of what is there.
const fn telling(failure: &DialFailure) -> u8 {
    match failure {
        DialFailure::Link(LinkDown::TimedOut) => 0,
        DialFailure::Timeout => 1,
        DialFailure::Link(_) => 2,
        DialFailure::Handshake(_) | DialFailure::NotPositron(_) => 3,
        DialFailure::WrongNode { .. } | DialFailure::Ourselves | DialFailure::Closed(_) => 4,
    }
}
