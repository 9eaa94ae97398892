//! Links before they are those of sessions: dials and strangers, until both ends agree or one does
//! not want to `[PROTOCOL 5.2]`.

use std::{collections::VecDeque, net::SocketAddr};

use super::{
    carrier::LinkEnding,
    carriers::Carriers,
    contract::{
        DialFailure, DialOutcome, LinkDown, LinkKind, Peer, Purpose, SessionConfig,
        SessionCounters, SessionEffect,
    },
    conversations::{Attachment, Conversations},
    dials::Dials,
    fault::LinkFault,
    happy_eyeballs::AttemptId,
    link::SessionLink,
    link_table::{Admitted, LinkTable},
    stage::{Greeting, ReferralState, Stage},
};
use crate::{
    handshake::{Direction, HandshakeFailure, RemoteNode},
    id::{LinkId, NodeId},
    limits::HANDSHAKE_TIMEOUT,
    time::{Instant, Now},
    wire::frame::CloseReason,
};

/// The links of a node until both ends agree, or one does not want to.
///
/// Ours come from `dials`; a stranger's by [`handle_accepted`](Self::handle_accepted), or, over
/// datagrams, by [`handle_authenticated`](Self::handle_authenticated). When a record came,
/// [`next_greeting`](Self::next_greeting) is called until `None`. On [`Greeting::Agreed`], or when
/// the node let a stranger in, the link is to be made that of a session or to be closed, and its
/// dial to be ended. From then on `table` alone knows it, and what happens to it is the caller's to
/// judge: nothing here ends the link of a session unless [`close`](Self::close) is asked to.
///
/// Some calls return a peer: a dial to it came to nothing, and a session between two links, which
/// may have waited for that dial, is the caller's to end.
///
/// It holds nothing of its own but counters; the bounds are those of [`LinkTable`] and [`Dials`].
#[derive(Debug)]
pub(super) struct Links {
    pub(super) table: LinkTable,
    pub(super) dials: Dials,
    counters: SessionCounters,
}

impl Links {
    pub(super) fn new(config: &SessionConfig, carriers: Carriers) -> Self {
        Self {
            table: LinkTable::new(carriers),
            dials: Dials::new(config),
            counters: SessionCounters::default(),
        }
    }

    /// Somebody opened a byte stream to us.
    pub(super) fn handle_accepted(
        &mut self,
        now: Now,
        kind: LinkKind,
        link: LinkId,
        from: SocketAddr,
        certificate: Option<[u8; 32]>,
    ) {
        self.table.carriers_mut().streams.handle_accepted(link, from, certificate);
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
            Some(&mut (Stage::Connecting(attempt) | Stage::Initiating(attempt))) => {
                let failover = self.is_failover(&link.peer.id, conversations);
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
        let Some(dial) = self.dials.request(attempt) else { return };
        if dial.purpose == Purpose::Probe {
            self.table.end(now, id, LinkEnding::Close, CloseReason::Probe);
            let outcome = DialOutcome::Probed(found, link.kind);
            return self.dials.end(&mut self.table, now, attempt, Some(id), outcome, out);
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
            &(Stage::Connecting(attempt) | Stage::Initiating(attempt)) => {
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
        let failure = fault.into_failure();
        if let HandshakeFailure::NotPositron(_) = failure {
            self.counters.protocol_mismatches += 1;
        }
        if failure.settles() {
            // What we have against the other end is said sealed.
            self.table.end(now, id, LinkEnding::Answer, CloseReason::Timeout);
            self.dials.handle_failure(&mut self.table, now, attempt, Some(id), failure.into(), out);
        } else {
            self.dials.fail(&mut self.table, now, id, attempt, failure.into(), out);
        }
    }

    /// Nothing came of a handshake of somebody who dialled us.
    fn fail_stranger(&mut self, now: Now, id: LinkId, fault: &LinkFault) {
        match fault {
            LinkFault::Handshake(HandshakeFailure::NotPositron(_)) => {
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
        let &SessionLink { peer: Peer { id: peer, .. }, kind, .. } = self.table.link(id)?;
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
                    DialOutcome::Connected(peer, kind)
                } else {
                    DialOutcome::Failed(DialFailure::refused(reason))
                }
            }
            LinkFault::Handshake(failure) => {
                self.table.end(now, id, LinkEnding::Reset, CloseReason::Timeout);
                DialOutcome::Failed(failure.into())
            }
            LinkFault::Forged => {
                self.table.end(now, id, LinkEnding::Reset, CloseReason::Timeout);
                DialOutcome::Failed(
                    HandshakeFailure::Broken("its first record does not open").into(),
                )
            }
            LinkFault::Violation { what, .. } => {
                let reason = CloseReason::Violation(what.into());
                self.table.close(now, id, reason.clone());
                DialOutcome::Failed(DialFailure::refused(reason))
            }
        };
        let attempt = attempt?;
        match outcome {
            DialOutcome::Failed(failure) => {
                self.dials.handle_failure(&mut self.table, now, attempt, Some(id), failure, out);
            }
            outcome => self.dials.end(&mut self.table, now, attempt, Some(id), outcome, out),
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
        if stage.is_half_open() && !matches!(stage, Stage::Connecting(_)) {
            self.counters.handshakes_failed += 1;
        }
        let (attempt, failure) = (stage.attempt()?, DialFailure::Link(why));
        self.dials.handle_failure(&mut self.table, now, attempt, Some(link), failure, out);
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
        self.dials.fail(&mut self.table, now, link, attempt, failure, out);
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
            Some(&(Stage::Connecting(attempt) | Stage::Initiating(attempt))) => {
                let failure = DialFailure::refused(reason);
                self.dials.fail(&mut self.table, now, link, attempt, failure, out);
            }
            Some(Stage::AwaitPong(attempt, ..)) => {
                let attempt = *attempt;
                self.table.close(now, link, reason.clone());
                let failure = DialFailure::refused(reason);
                self.dials.handle_failure(&mut self.table, now, attempt, Some(link), failure, out);
            }
            Some(Stage::Responding) => self.table.end(now, link, LinkEnding::Reset, reason),
            Some(Stage::AwaitFirstRecord(_) | Stage::AwaitAdmission(_) | Stage::Established(_)) => {
                self.table.close(now, link, reason);
            }
            Some(Stage::Closing) | None => {}
        }
    }

    /// What happened before there were sessions, since the start.
    pub(super) fn counters(&self) -> SessionCounters {
        self.counters + self.dials.counters()
    }
}
