//! Links before they are those of sessions: dials and strangers, until both ends agree or one does
//! not want to `[PROTOCOL 5.2]`.

use std::{collections::VecDeque, net::SocketAddr};

use super::{
    attempts::{AfterFailure, AttemptId, Attempts, EndedAttempt, Reason, Turn},
    carrier::LinkEnding,
    carriers::Carriers,
    contract::{
        DialFailure, DialOutcome, DialRequest, LinkDown, LinkKind, LinkKinds, Peer, Purpose,
        SessionConfig, SessionCounters, SessionEffect,
    },
    conversations::{Attachment, Conversations},
    fault::LinkFault,
    link::SessionLink,
    link_table::{Admitted, LinkTable},
    stage::{Greeting, ReferralState, Stage},
};
use crate::{
    handshake::{Direction, Expect, RemoteNode},
    id::{LinkId, NodeId},
    limits::{BACK_FIRST, HANDSHAKE_TIMEOUT, MAX_HALF_OPEN},
    time::{Duration, Instant, Now},
    wire::frame::CloseReason,
};

/// The links of a node, and the attempts that those of its own dials belong to.
///
/// A dial is [`dial`](Self::dial)led, a stranger comes by [`handle_accepted`](Self::handle_accepted)
/// or [`handle_authenticated`](Self::handle_authenticated). When a record came,
/// [`next_greeting`](Self::next_greeting) is called until `None`; on [`Greeting::Agreed`], or when
/// the node let a stranger in, the link is to be made that of a session or closed, and its attempt
/// to be [`end_attempt`](Self::end_attempt)ed. From then on `table` alone knows it, and what
/// happens to it is judged by the caller: nothing here ends the link of a session.
///
/// **Guarantee.** Each dial ends with one [`SessionEffect::DialEnded`].
///
/// Some calls return a peer: a dial to it came to nothing, and a session between two links, which
/// may have waited for that dial, is the caller's to end.
///
/// Bounded by [`MAX_HALF_OPEN`] dials, and by the bounds of [`LinkTable`].
#[derive(Debug)]
pub(super) struct Links {
    pub(super) table: LinkTable,
    attempts: Attempts,
    transports: LinkKinds,
    connect_timeout: Duration,
    counters: SessionCounters,
}

impl Links {
    pub(super) fn new(config: &SessionConfig, carriers: Carriers) -> Self {
        Self {
            table: LinkTable::new(carriers),
            attempts: Attempts::default(),
            transports: config.transports,
            connect_timeout: config.connect_timeout,
            counters: SessionCounters::default(),
        }
    }

    /// Dials. Exactly one [`SessionEffect::DialEnded`] will follow.
    pub(super) fn dial(&mut self, now: Now, dial: DialRequest, out: &mut VecDeque<SessionEffect>) {
        let dialling = self.table.stages().filter(|(_, stage)| stage.attempt().is_some());
        if dialling.count() >= MAX_HALF_OPEN {
            self.counters.links_refused += 1;
            let outcome = DialOutcome::Failed(DialFailure::Closed(CloseReason::SlotsFull));
            out.push_back(SessionEffect::DialEnded { dial, outcome });
            return;
        }
        self.counters.dials += 1;
        self.attempt(now, dial, Reason::Requested, self.transports, out);
    }

    /// The link of a session fell silent: one of a less preferred kind to the same address stands
    /// by, unless it is under way already.
    pub(super) fn fail_over(&mut self, now: Now, link: LinkId, out: &mut VecDeque<SessionEffect>) {
        let Some(SessionLink { peer, kind, .. }) = self.table.link(link) else { return };
        if !self.attempts.is_under_way(peer.id, Reason::Failover) {
            self.counters.failovers += 1;
            let over = self.transports.after(*kind);
            self.attempt(now, again(peer), Reason::Failover, over, out);
        }
    }

    /// Tries the preferred kinds again for a session that runs over another one, unless that is
    /// under way already.
    pub(super) fn upgrade(&mut self, now: Now, link: LinkId, out: &mut VecDeque<SessionEffect>) {
        let Some(SessionLink { peer, kind, .. }) = self.table.link(link) else { return };
        if !self.attempts.is_under_way(peer.id, Reason::Upgrade) {
            self.counters.upgrades += 1;
            let over = self.transports.before(*kind);
            self.attempt(now, again(peer), Reason::Upgrade, over, out);
        }
    }

    /// Begins an attempt over these kinds of links.
    fn attempt(
        &mut self,
        now: Now,
        dial: DialRequest,
        why: Reason,
        over: LinkKinds,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let id = self.attempts.begin(now.mono, dial, why, over);
        self.dial_next(now, id, out);
    }

    /// It is the next kind's turn, if any is left.
    fn dial_next(&mut self, now: Now, id: AttemptId, out: &mut VecDeque<SessionEffect>) {
        let Some(Turn { kind, dial, why }) = self.attempts.next_turn(id) else { return };
        let patience = match why {
            // Over before the next attempt.
            Reason::Upgrade => self.connect_timeout.min(BACK_FIRST),
            Reason::Requested | Reason::Failover => self.connect_timeout,
        };
        match self.table.dial(now, kind, &dial, id, now.mono + patience) {
            Ok(link) => self.attempts.handle_dialled(id, link),
            Err(failure) => self.attempt_failed(now, id, None, failure, out),
        }
    }

    /// A link of an attempt is over, or could not even be begun.
    fn attempt_failed(
        &mut self,
        now: Now,
        id: AttemptId,
        link: Option<LinkId>,
        failure: DialFailure,
        out: &mut VecDeque<SessionEffect>,
    ) {
        match self.attempts.handle_failure(now.mono, id, link, failure) {
            AfterFailure::Nothing => {}
            AfterFailure::NextTurn => self.dial_next(now, id, out),
            AfterFailure::OneLeft(other) => self.table.shorten_dial(now, other),
            AfterFailure::Over(failure) => {
                self.end_attempt(now, id, None, DialOutcome::Failed(failure), out);
            }
        }
    }

    /// One link of an attempt came to this; it is the caller's to end if it is not the winner. The
    /// others are abandoned, as far as the other end thinks nothing of them yet.
    pub(super) fn end_attempt(
        &mut self,
        now: Now,
        id: AttemptId,
        winner: Option<LinkId>,
        outcome: DialOutcome,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let Some(EndedAttempt { dial, why, links }) = self.attempts.end(id) else { return };
        for link in links {
            if Some(link) != winner
                && let Some(Stage::Connecting(_) | Stage::Initiating(_)) = self.table.stage(link)
            {
                self.table.end(now, link, LinkEnding::Reset, CloseReason::Duplicate);
            }
        }
        if why == Reason::Requested {
            out.push_back(SessionEffect::DialEnded { dial, outcome });
        }
    }

    /// Ends the attempts to reach `peer` that nobody asked for, as far as the peer thinks nothing
    /// of them.
    pub(super) fn cancel_attempts(
        &mut self,
        now: Now,
        peer: &NodeId,
        which: impl Fn(Reason) -> bool,
        out: &mut VecDeque<SessionEffect>,
    ) {
        for id in self.attempts.of_ours(*peer, which) {
            let failure = DialFailure::Closed(CloseReason::Duplicate);
            self.end_attempt(now, id, None, DialOutcome::Failed(failure), out);
        }
    }

    /// Somebody opened a byte stream to us.
    pub(super) fn handle_accepted(
        &mut self,
        now: Now,
        kind: LinkKind,
        link: LinkId,
        from: SocketAddr,
    ) {
        self.table.carriers_mut().streams.handle_accepted(link, from, None);
        self.admit(now, kind, link, from, Stage::Responding);
    }

    fn admit(&mut self, now: Now, kind: LinkKind, link: LinkId, from: SocketAddr, stage: Stage) {
        self.counters.links_accepted += 1;
        match self.table.admit(now, kind, link, from, stage) {
            Admitted::Yes => {}
            Admitted::InsteadOfOldest => self.counters.half_open_evicted += 1,
            Admitted::Refused => self.counters.links_refused += 1,
        }
    }

    /// The other end of a link is known, and live if it dialled.
    pub(super) fn handle_authenticated(
        &mut self,
        now: Now,
        (kind, id): (LinkKind, LinkId),
        remote: &RemoteNode,
        conversations: &Conversations,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let link = Box::new(SessionLink::new(remote, id, kind, now.mono));
        match self.table.stage_mut(id) {
            None if remote.direction == Direction::Inbound => {
                self.admit(now, kind, id, remote.addr, Stage::AwaitFirstRecord(link));
            }
            Some(stage @ Stage::Responding) => *stage = Stage::AwaitFirstRecord(link),
            Some(Stage::Connecting(attempt) | Stage::Initiating(attempt)) => {
                let (attempt, failover) =
                    (*attempt, self.is_failover(&link.peer.id, conversations));
                self.confirm(now, attempt, link, failover, out);
            }
            Some(_) | None => {}
        }
    }

    /// The node that we dialled is known. Confirm, or be gone if that is all we wanted to know.
    fn confirm(
        &mut self,
        now: Now,
        attempt: AttemptId,
        mut link: Box<SessionLink>,
        failover: bool,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let (id, found) = (link.peer.link, link.peer.id);
        let Some(dial) = self.attempts.dial(attempt) else { return };
        if dial.purpose == Purpose::Probe {
            self.table.end(now, id, LinkEnding::Close, CloseReason::Probe);
            self.end_attempt(now, attempt, Some(id), DialOutcome::Probed(found), out);
            return;
        }
        let ping = link.first_ping(now.mono, id.number(), failover);
        if let Some(stage) = self.table.stage_mut(id) {
            *stage = Stage::AwaitPong(attempt, link, ReferralState::Possible);
        }
        self.table.look_by(id, now.mono + HANDSHAKE_TIMEOUT);
        self.table.say(now, id, &ping);
    }

    /// Whether we hold every earlier link to `peer` for dead.
    fn is_failover(&self, peer: &NodeId, conversations: &Conversations) -> bool {
        match conversations.attachment(peer) {
            Some(Attachment::Attached(link)) => {
                self.table.link(*link).is_some_and(|link| link.keep_alive.is_suspect())
            }
            Some(Attachment::Handover(_)) | None => false,
            Some(Attachment::Detached(_)) => conversations.is_lost(peer),
        }
    }

    /// The next frame of the record at hand, before the session is up: `None` if there is none, or
    /// the link is at another stage.
    pub(super) fn next_greeting(
        &mut self,
        now: Instant,
        link: LinkId,
    ) -> Option<Result<Greeting, LinkFault>> {
        self.table.stage_mut(link)?.next_greeting(now)
    }

    /// A link cannot go on, or its other end does not want to.
    pub(super) fn handle_failed(
        &mut self,
        now: Now,
        id: LinkId,
        fault: LinkFault,
        conversations: &Conversations,
        out: &mut VecDeque<SessionEffect>,
    ) -> Option<NodeId> {
        match self.table.stage(id)? {
            Stage::Connecting(attempt) | Stage::Initiating(attempt) => {
                let attempt = *attempt;
                self.fail_handshake(now, id, attempt, fault, out);
                None
            }
            Stage::Responding => {
                self.fail_stranger(now, id, &fault);
                None
            }
            Stage::AwaitPong(_, link, _)
            | Stage::AwaitFirstRecord(link)
            | Stage::AwaitAdmission(link) => {
                let peer = link.peer.id;
                self.fail_unconfirmed(now, id, fault, conversations.is_up(&peer), out)
            }
            Stage::Established(_) | Stage::Closing => None,
        }
    }

    /// Nothing came of a handshake of ours.
    fn fail_handshake(
        &mut self,
        now: Now,
        id: LinkId,
        attempt: AttemptId,
        fault: LinkFault,
        out: &mut VecDeque<SessionEffect>,
    ) {
        if let Some(Stage::Initiating(_)) = self.table.stage(id) {
            self.counters.handshakes_failed += 1;
        }
        let failure = fault.into_dial_failure();
        if let DialFailure::NotPositron(_) = failure {
            self.counters.protocol_mismatches += 1;
        }
        if failure.settles() {
            // What we have against the other end is said sealed.
            self.table.end(now, id, LinkEnding::Answer, CloseReason::Timeout);
            self.attempt_failed(now, attempt, Some(id), failure, out);
        } else {
            self.fail_dial(now, id, attempt, failure, out);
        }
    }

    /// Nothing came of a handshake of somebody who dialled us.
    fn fail_stranger(&mut self, now: Now, id: LinkId, fault: &LinkFault) {
        match fault {
            LinkFault::Handshake(DialFailure::NotPositron(_)) => {
                self.counters.protocol_mismatches += 1;
            }
            LinkFault::Forged => {
                self.counters.decrypt_failed += 1;
                self.counters.handshakes_failed += 1;
            }
            _ => self.counters.handshakes_failed += 1,
        }
        let how = match fault {
            LinkFault::Handshake(failure) if failure.settles() => LinkEnding::Answer,
            _ => LinkEnding::Reset,
        };
        self.table.end(now, id, how, CloseReason::WrongVersion);
    }

    /// A link with keys ends before it is that of a session; `up` says whether there is one with
    /// its peer.
    fn fail_unconfirmed(
        &mut self,
        now: Now,
        id: LinkId,
        fault: LinkFault,
        up: bool,
        out: &mut VecDeque<SessionEffect>,
    ) -> Option<NodeId> {
        let peer = self.table.link(id)?.peer.id;
        let attempt = self.table.stage(id).and_then(Stage::attempt);
        let duplicate = fault == LinkFault::Closed(CloseReason::Duplicate) && up;
        if !duplicate && fault != LinkFault::Closed(CloseReason::Probe) {
            self.counters.handshakes_failed += 1;
        }
        self.report_fault(peer, &fault, out);
        let outcome = match fault {
            LinkFault::Closed(reason) => {
                self.table.end(now, id, LinkEnding::Answer, reason.clone());
                if duplicate {
                    DialOutcome::Connected(peer)
                } else {
                    DialOutcome::Failed(DialFailure::Closed(reason))
                }
            }
            LinkFault::Handshake(failure) => {
                self.table.end(now, id, LinkEnding::Reset, CloseReason::Timeout);
                DialOutcome::Failed(failure)
            }
            LinkFault::Forged => {
                self.table.end(now, id, LinkEnding::Reset, CloseReason::Timeout);
                DialOutcome::Failed(DialFailure::Handshake("its first record does not open"))
            }
            LinkFault::Malformed(what) | LinkFault::Violation(what) | LinkFault::Flooding(what) => {
                let reason = CloseReason::Violation(what.into());
                self.table.close(now, id, reason.clone());
                DialOutcome::Failed(DialFailure::Closed(reason))
            }
        };
        let attempt = attempt?;
        match outcome {
            DialOutcome::Failed(failure) => {
                self.attempt_failed(now, attempt, Some(id), failure, out);
            }
            outcome => self.end_attempt(now, attempt, Some(id), outcome, out),
        }
        Some(peer)
    }

    /// Holds a fault against the peer who caused it.
    pub(super) fn report_fault(
        &mut self,
        peer: NodeId,
        fault: &LinkFault,
        out: &mut VecDeque<SessionEffect>,
    ) {
        if *fault == LinkFault::Forged {
            self.counters.decrypt_failed += 1;
        }
        if let Some(what) = fault.misbehavior() {
            out.push_back(SessionEffect::Misbehaved { peer, what });
        }
    }

    /// A link is no more, which was at this stage.
    pub(super) fn handle_closed(
        &mut self,
        now: Now,
        link: LinkId,
        stage: &Stage,
        why: LinkDown,
        out: &mut VecDeque<SessionEffect>,
    ) -> Option<NodeId> {
        let is_of_handshake = !matches!(stage, Stage::Connecting(_));
        if stage.is_half_open() && is_of_handshake {
            self.counters.handshakes_failed += 1;
        }
        self.attempt_failed(now, stage.attempt()?, Some(link), DialFailure::Link(why), out);
        stage.link().map(|link| link.peer.id)
    }

    /// What the stage of a link waits for did not happen in time.
    pub(super) fn handle_overdue(
        &mut self,
        now: Now,
        link: LinkId,
        out: &mut VecDeque<SessionEffect>,
    ) -> Option<NodeId> {
        let stage = self.table.stage(link)?;
        let (attempt, peer) = (stage.attempt(), stage.link().map(|link| link.peer.id));
        let failure = match stage {
            Stage::Established(_) => return None,
            Stage::Connecting(_) => DialFailure::Link(LinkDown::TimedOut),
            // The kernel does not get rid of the last bytes: the peer does not read.
            Stage::Closing => DialFailure::Timeout,
            _ => {
                self.counters.handshakes_timed_out += 1;
                DialFailure::Timeout
            }
        };
        let Some(attempt) = attempt else {
            self.table.end(now, link, LinkEnding::Reset, CloseReason::Timeout);
            return None;
        };
        self.fail_dial(now, link, attempt, failure, out);
        peer
    }

    /// Ends one link, at whatever stage it is. Its session, if any, is the caller's to end.
    pub(super) fn close(
        &mut self,
        now: Now,
        link: LinkId,
        reason: CloseReason,
        out: &mut VecDeque<SessionEffect>,
    ) {
        match self.table.stage(link) {
            Some(Stage::Connecting(attempt) | Stage::Initiating(attempt)) => {
                self.fail_dial(now, link, *attempt, DialFailure::Closed(reason), out);
            }
            Some(Stage::AwaitPong(attempt, ..)) => {
                let attempt = *attempt;
                self.table.close(now, link, reason.clone());
                self.attempt_failed(now, attempt, Some(link), DialFailure::Closed(reason), out);
            }
            Some(Stage::Responding) => self.table.end(now, link, LinkEnding::Reset, reason),
            Some(Stage::AwaitFirstRecord(_) | Stage::AwaitAdmission(_) | Stage::Established(_)) => {
                self.table.close(now, link, reason);
            }
            Some(Stage::Closing) | None => {}
        }
    }

    /// Hangs up on whoever answered a dial of ours, or did not.
    fn fail_dial(
        &mut self,
        now: Now,
        link: LinkId,
        attempt: AttemptId,
        failure: DialFailure,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let reason = match &failure {
            DialFailure::Closed(reason) => reason.clone(),
            _ => CloseReason::Timeout,
        };
        self.table.end(now, link, LinkEnding::Reset, reason);
        self.attempt_failed(now, attempt, Some(link), failure, out);
    }

    /// Dials the kinds whose turn has come.
    pub(super) fn handle_timeout(&mut self, now: Now, out: &mut VecDeque<SessionEffect>) {
        while let Some(attempt) = self.attempts.pop_due(now.mono) {
            self.dial_next(now, attempt, out);
        }
    }

    /// When the next kind has its turn in an attempt, or a link is to be looked at.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.table.poll_timeout().into_iter().chain(self.attempts.poll_timeout()).min()
    }

    /// What happened before there were sessions, since the start.
    pub(super) const fn counters(&self) -> SessionCounters {
        self.counters
    }

    /// Whether no dial is under way.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.attempts.is_empty()
    }
}

/// A dial to where a peer was reached.
const fn again(peer: &Peer) -> DialRequest {
    DialRequest {
        to: peer.addr,
        expect: Expect::Node(peer.id),
        noise_static: Some(peer.noise_static),
        purpose: Purpose::Connect,
    }
}
