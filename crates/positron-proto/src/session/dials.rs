//! Dials, those that were asked for and those of our own: the links that they make, and how they
//! end `[PROTOCOL 5.2]`.

use std::{collections::VecDeque, net::SocketAddr};

use super::{
    carrier::LinkEnding,
    contract::{
        DialFailure, DialOutcome, DialRequest, Effort, LinkKinds, Peer, Purpose, SessionConfig,
        SessionCounters, SessionEffect,
    },
    happy_eyeballs::{AfterFailure, AttemptId, EndedAttempt, HappyEyeballs, NextDial, Reason},
    link::SessionLink,
    link_table::LinkTable,
    stage::Stage,
};
use crate::{
    handshake::{Expect, HandshakeFailure},
    id::{LinkId, NodeId},
    limits::{BACK_FIRST, MAX_HALF_OPEN},
    scope::is_relayed,
    time::{Duration, Instant, Now},
    wire::frame::CloseReason,
};

/// The dials of a node: what its attempts do to the table of links.
///
/// A dial [`begin`](Self::begin)s; [`begin_failover`](Self::begin_failover) and
/// [`upgrade`](Self::upgrade) begin one that nobody asked for, which nobody hears of. When a link
/// of an attempt is no more, [`handle_failure`](Self::handle_failure) is told;
/// [`fail`](Self::fail) hangs up on one as well.
/// When both ends agreed on one, the attempt is to be [`end`](Self::end)ed.
///
/// **Guarantee.** Each dial ends with one [`SessionEffect::DialEnded`], and leaves no link behind
/// of which the other end thinks nothing yet.
///
/// Bounded by [`MAX_HALF_OPEN`] links that are dialled, and by one attempt for each session and
/// reason.
#[derive(Debug)]
pub(super) struct Dials {
    attempts: HappyEyeballs,
    transports: LinkKinds,
    connect_timeout: Duration,
    counters: SessionCounters,
}

impl Dials {
    pub(super) fn new(config: &SessionConfig) -> Self {
        Self {
            attempts: HappyEyeballs::default(),
            transports: config.transports,
            connect_timeout: config.connect_timeout,
            counters: SessionCounters::default(),
        }
    }

    /// Dials. Exactly one [`SessionEffect::DialEnded`] will follow.
    pub(super) fn begin(
        &mut self,
        table: &mut LinkTable,
        now: Now,
        dial: DialRequest,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let dialling = table.stages().filter(|(_, stage)| stage.attempt().is_some());
        if dialling.count() >= MAX_HALF_OPEN {
            self.counters.links_refused += 1;
            let outcome = DialOutcome::Failed(DialFailure::refused(CloseReason::ConnectionsFull));
            out.push_back(SessionEffect::DialEnded { dial, outcome });
            return;
        }
        self.counters.dials += 1;
        let over = self.transports.towards(dial.to);
        self.attempt(table, now, dial, Reason::Requested, over, out);
    }

    /// The link of a session fell silent: one of a less preferred kind to the same address stands
    /// by, unless it is under way already.
    pub(super) fn begin_failover(
        &mut self,
        table: &mut LinkTable,
        now: Now,
        link: LinkId,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let Some(SessionLink { peer, kind, .. }) = table.link(link) else { return };
        if is_relayed(peer.addr.ip()) {
            return;
        }
        if !self.attempts.is_under_way(peer.id, Reason::Failover) {
            self.counters.failovers += 1;
            let over = self.transports.after(*kind);
            self.attempt(table, now, again(peer), Reason::Failover, over, out);
        }
    }

    /// The same through a relay, beside it.
    pub(super) fn stand_by(
        &mut self,
        table: &mut LinkTable,
        now: Now,
        (link, to): (LinkId, SocketAddr),
        out: &mut VecDeque<SessionEffect>,
    ) {
        let Some(SessionLink { peer, .. }) = table.link(link) else { return };
        self.counters.failovers += 1;
        let dial = DialRequest { to, ..again(peer) };
        self.attempt(table, now, dial, Reason::Failover, LinkKinds::RELAY, out);
    }

    /// Tries the preferred kinds again for a session that runs over another one, unless that is
    /// under way already.
    pub(super) fn upgrade(
        &mut self,
        table: &mut LinkTable,
        now: Now,
        link: LinkId,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let Some(SessionLink { peer, kind, .. }) = table.link(link) else { return };
        if is_relayed(peer.addr.ip()) {
            return;
        }
        if !self.attempts.is_under_way(peer.id, Reason::Upgrade) {
            self.counters.upgrades += 1;
            let over = self.transports.before(*kind);
            self.attempt(table, now, again(peer), Reason::Upgrade, over, out);
        }
    }

    /// A peer that is reached over a less preferred link may answer at this address, too: it is
    /// dialled there over these kinds, instead of where it was thought to be before.
    pub(super) fn dial_direct(
        &mut self,
        table: &mut LinkTable,
        now: Now,
        (link, to): (LinkId, SocketAddr),
        over: LinkKinds,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let Some(SessionLink { peer, kind, .. }) = table.link(link) else { return };
        let over = self.transports.and(over).before(*kind);
        if !over.is_empty() {
            let dial = DialRequest { to, ..again(peer) };
            self.counters.upgrades += 1;
            let peer = peer.id;
            self.cancel(table, now, &peer, |why| why == Reason::Upgrade, out);
            self.attempt(table, now, dial, Reason::Upgrade, over, out);
        }
    }

    /// Begins an attempt over these kinds of links.
    fn attempt(
        &mut self,
        table: &mut LinkTable,
        now: Now,
        dial: DialRequest,
        why: Reason,
        over: LinkKinds,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let id = self.attempts.begin(now.mono, dial, why, over);
        self.dial_next(table, now, id, out);
    }

    /// It is the next kind's turn, if any is left.
    fn dial_next(
        &mut self,
        table: &mut LinkTable,
        now: Now,
        id: AttemptId,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let Some(NextDial { kind, dial, why }) = self.attempts.next_turn(id) else { return };
        let patience = match why {
            // Over before the next attempt.
            Reason::Upgrade => self.connect_timeout.min(BACK_FIRST),
            Reason::Requested | Reason::Failover => {
                self.connect_timeout.min(kind.patience(dial.effort))
            }
        };
        match table.dial(now, kind, &dial, id, now.mono + patience) {
            Ok(link) => self.attempts.handle_dialled(id, link),
            Err(failure) => self.handle_failure(table, now, id, None, failure, out),
        }
    }

    /// A link of an attempt is over, or could not even be begun.
    pub(super) fn handle_failure(
        &mut self,
        table: &mut LinkTable,
        now: Now,
        id: AttemptId,
        link: Option<LinkId>,
        failure: DialFailure,
        out: &mut VecDeque<SessionEffect>,
    ) {
        match self.attempts.handle_failure(now.mono, id, link, failure) {
            AfterFailure::Nothing => {}
            AfterFailure::NextTurn => self.dial_next(table, now, id, out),
            AfterFailure::OneLeft(other) => table.shorten_dial(now, other),
            AfterFailure::Over(failure) => {
                self.end(table, now, id, None, DialOutcome::Failed(failure), out);
            }
        }
    }

    /// One link of an attempt came to this; it is the caller's to end if it is not the winner. The
    /// others are abandoned, as far as the other end thinks nothing of them yet.
    pub(super) fn end(
        &mut self,
        table: &mut LinkTable,
        now: Now,
        id: AttemptId,
        winner: Option<LinkId>,
        outcome: DialOutcome,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let Some(EndedAttempt { dial, why, links }) = self.attempts.end(id) else { return };
        for link in links {
            if Some(link) != winner
                && let Some(Stage::Connecting(_) | Stage::Initiating(_)) = table.stage(link)
            {
                table.end(now, link, LinkEnding::Reset, CloseReason::Duplicate);
            }
        }
        if why == Reason::Requested {
            out.push_back(SessionEffect::DialEnded { dial, outcome });
        }
    }

    /// Ends the attempts to reach `peer` that nobody asked for, as far as the peer thinks nothing
    /// of them.
    pub(super) fn cancel(
        &mut self,
        table: &mut LinkTable,
        now: Now,
        peer: &NodeId,
        which: impl Fn(Reason) -> bool,
        out: &mut VecDeque<SessionEffect>,
    ) {
        for id in self.attempts.of_ours(*peer, which) {
            let failure = DialFailure::refused(CloseReason::Duplicate);
            self.end(table, now, id, None, DialOutcome::Failed(failure), out);
        }
    }

    /// Hangs up on whoever answered a dial of ours, or did not.
    pub(super) fn fail(
        &mut self,
        table: &mut LinkTable,
        now: Now,
        link: LinkId,
        attempt: AttemptId,
        failure: DialFailure,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let reason = match &failure {
            DialFailure::Handshake(HandshakeFailure::Refused(reason)) => reason.clone(),
            _ => CloseReason::Timeout,
        };
        table.end(now, link, LinkEnding::Reset, reason);
        self.handle_failure(table, now, attempt, Some(link), failure, out);
    }

    /// Dials the kinds whose turn has come.
    pub(super) fn handle_timeout(
        &mut self,
        table: &mut LinkTable,
        now: Now,
        out: &mut VecDeque<SessionEffect>,
    ) {
        while let Some(attempt) = self.attempts.pop_due(now.mono) {
            self.dial_next(table, now, attempt, out);
        }
    }

    /// When the next kind has its turn in an attempt.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.attempts.poll_timeout()
    }

    /// What an attempt is for, while it is under way.
    pub(super) fn request(&self, id: AttemptId) -> Option<DialRequest> {
        self.attempts.request(id)
    }

    /// What happened to dials since the start.
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
        effort: Effort::Full,
    }
}
