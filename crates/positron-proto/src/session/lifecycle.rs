//! How sessions begin, move and end `[PROTOCOL 5.2]`.

use std::{
    collections::{BTreeSet, VecDeque},
    net::SocketAddr,
};

use super::{
    carrier::LinkEnding,
    carriers::Carriers,
    contract::{
        DialFailure, DialOutcome, DownReason, LinkDown, LinkKind, LinkKinds, Peer, SessionEffect,
    },
    conversations::{Attachment, Retention},
    credit::ReceiveCredit,
    established::{EstablishedSession, Health},
    fault::LinkFault,
    happy_eyeballs::Reason,
    processes::Process,
    sessions::Sessions,
    stage::Stage,
};
use crate::{
    datagram::contract::ExtraSocket,
    handshake::{Direction, HandshakeFailure},
    id::{LinkId, NodeId},
    limits::{ASK_AROUND_INTERVAL, BACK_LONGEST},
    scope::is_relayed,
    stun::TransactionId,
    time::{Duration, Now},
    wire::frame::CloseReason,
};

impl Sessions {
    /// What sockets say goes to them at once; [`settle`](Self::settle) hears what it meant.
    pub(super) const fn carriers_mut(&mut self) -> &mut Carriers {
        self.links.table.carriers_mut()
    }

    /// A node that dialled us is live. The node decides, unless there is a session already and the
    /// tie of two links is all that is to be broken.
    pub(super) fn handle_live(&mut self, now: Now, id: LinkId, out: &mut VecDeque<SessionEffect>) {
        let Some(stage) = self.links.table.stage_mut(id) else { return };
        stage.await_admission();
        let Stage::AwaitAdmission(link) = stage else { return };
        let peer = link.peer;
        self.end_session_of_earlier_boot(now, peer, out);
        if self.conversations.is_up(&peer.id) {
            out.push_back(SessionEffect::DialledUs { peer: peer.id, from: peer.addr });
            self.establish(now, id, out);
        } else {
            out.push_back(SessionEffect::Incoming(peer));
        }
    }

    /// Both ends agreed on this link. It becomes that of the session with this peer, or gives way
    /// to the one that is there.
    pub(super) fn establish(&mut self, now: Now, id: LinkId, out: &mut VecDeque<SessionEffect>) {
        let Some(stage) = self.links.table.stage(id) else { return };
        let Some(link) = stage.link() else { return };
        let (peer, kind, attempt) = (link.peer, link.kind, stage.attempt());
        self.end_session_of_earlier_boot(now, peer, out);
        let mut outcome = DialOutcome::Connected(peer.id, kind);
        match self.conversations.attachment(&peer.id) {
            Some(&Attachment::Attached(old)) => self.break_tie(now, peer, old, out),
            Some(Attachment::Handover(_)) => {
                self.bring_up(now, id);
                out.push_back(SessionEffect::Moved { peer: peer.id, addr: peer.addr });
            }
            Some(Attachment::Detached(_)) | None
                if self.conversations.sessions() >= self.config.max_links =>
            {
                self.counters.links_refused += 1;
                self.links.table.close(now, id, CloseReason::ConnectionsFull);
                outcome = DialOutcome::Failed(DialFailure::refused(CloseReason::ConnectionsFull));
            }
            Some(Attachment::Detached(_)) | None => {
                self.bring_up(now, id);
                self.counters.sessions += 1;
                out.push_back(SessionEffect::Up(peer));
            }
        }
        if let Some(attempt) = attempt {
            self.links.dials.end(&mut self.links.table, now, attempt, Some(id), outcome, out);
        }
    }

    /// Makes a confirmed link the one of its conversation, with what it may have to be replaced by.
    fn bring_up(&mut self, now: Now, id: LinkId) {
        let transports = self.config.transports;
        let Some(link) = self.links.table.establish(now, id) else { return };
        let (peer, kind) = (link.peer, link.kind);
        let resumed = self.conversations.attach(now.mono, peer, kind);
        link.keep_alive.ask(resumed.epoch);
        link.receive_credit = self.download.is_limited().then(ReceiveCredit::default);
        if resumed.moved {
            self.counters.handovers += 1;
            self.moves[kind] += 1;
        }
        if peer.direction == Direction::Outbound {
            // A relayed one by one through another relay.
            let is_replaceable = kind == LinkKind::Relay || !transports.after(kind).is_empty();
            link.keep_alive.set_replaceable(is_replaceable);
            if !transports.before(kind).is_empty() {
                self.upgrade_later(now, id, &peer.id);
            }
        }
        self.links.table.ask_for_flush(now, id);
    }

    /// Two links between the same two nodes: one stays, and both ends choose alike, for they know
    /// the same of both.
    fn break_tie(&mut self, now: Now, new: Peer, old: LinkId, out: &mut VecDeque<SessionEffect>) {
        let table = &mut self.links.table;
        let (Some(older), Some(newer)) = (table.link(old), table.link(new.link)) else { return };
        if !newer.supersedes(older, self.me) {
            table.close(now, new.link, CloseReason::Duplicate);
            return;
        }
        let (since, from, before) = (older.since, older.kind, older.peer);
        let was_good = now.mono.since(older.raised) >= BACK_LONGEST;
        if self.config.transports.before(from).is_empty() && was_good {
            self.conversations.handle_good_link(&new.id);
        }
        self.bring_up(now, new.link);
        if let Some(Stage::Established(link)) = self.links.table.stage_mut(new.link) {
            link.since = since;
        }
        // Who dialled is news, too, where both did through one relay.
        if (before.addr, before.direction) != (new.addr, new.direction) {
            out.push_back(SessionEffect::Moved { peer: new.id, addr: new.addr });
        }
        self.links.table.close(now, old, CloseReason::Duplicate);
        self.links.dials.cancel(
            &mut self.links.table,
            now,
            &new.id,
            |why| why == Reason::Failover,
            out,
        );
    }

    /// Tries a preferred kind again when its time comes: each time after twice as long.
    fn upgrade_later(&mut self, now: Now, link: LinkId, peer: &NodeId) {
        if let Some(wait) = self.conversations.next_upgrade(peer) {
            self.links.table.upgrade_at(link, now.mono + wait);
        }
    }

    /// The peer of a session may answer at this address, too: the session is to go on over a link
    /// to there, of one of these kinds. Nothing happens without a session, or if it does not get
    /// through.
    pub fn dial_direct(
        &mut self,
        now: Now,
        peer: &NodeId,
        (to, over): (SocketAddr, LinkKinds),
        out: &mut VecDeque<SessionEffect>,
    ) {
        if let Some(link) = self.link_of(peer) {
            let table = &mut self.links.table;
            self.links.dials.dial_direct(table, now, (link, to), over, out);
            self.settle(now, out);
        }
    }

    /// How long a round trip to `peer` takes, smoothed, if that is known.
    pub fn rtt(&self, peer: &NodeId) -> Option<Duration> {
        self.links.table.link(self.link_of(peer)?)?.keep_alive.rtt()
    }

    /// Sends a PING to `peer` now; [`SessionEffect::Pong`] answers, unless the link is lost first.
    pub fn ping(&mut self, now: Now, peer: &NodeId) {
        let Some(link) = self.link_of(peer) else { return };
        if let Some(on) = self.links.table.established(link) {
            on.link.keep_alive.ping();
            self.links.table.ask_for_flush(now, link);
        }
    }

    /// The link of a session fell silent: one to this address, which is a relayed one, stands by.
    pub fn stand_by(
        &mut self,
        now: Now,
        peer: &NodeId,
        to: SocketAddr,
        out: &mut VecDeque<SessionEffect>,
    ) {
        if let Some(link) = self.link_of(peer) {
            self.links.dials.stand_by(&mut self.links.table, now, (link, to), out);
            self.settle(now, out);
        }
    }

    /// Asks by STUN, once, from the socket of this path; [`SessionEffect::Stun`] may follow.
    pub fn ask_stun(&mut self, to: SocketAddr, id: TransactionId, hops: Option<u8>) {
        if self.config.transports.has(LinkKind::Udp) {
            self.carriers_mut().datagrams.endpoint.ask_stun(to, id, hops);
        }
    }

    /// The extra sockets over which connections go.
    pub fn extra_sockets(&self) -> BTreeSet<ExtraSocket> {
        self.links.table.carriers().datagrams.endpoint.extra_sockets()
    }

    /// Whether a link goes over an extra socket, of which its other end sees another port.
    pub fn is_over_extra_socket(&self, link: LinkId) -> bool {
        self.links.table.carriers().datagrams.is_over_extra_socket(link)
    }

    /// Whose session goes over a link.
    pub fn peer_over(&self, link: LinkId) -> Option<NodeId> {
        match self.links.table.stage(link)? {
            Stage::Established(established) => Some(established.peer.id),
            _ => None,
        }
    }

    /// Says by STUN how we see somebody who did not ask us, from the socket of this path.
    pub fn answer_stun(&mut self, to: SocketAddr, id: TransactionId) {
        if self.config.transports.has(LinkKind::Udp) {
            self.carriers_mut().datagrams.endpoint.answer_stun(to, id);
        }
    }

    /// Tries the preferred kinds again for a session that runs over this link.
    pub(super) fn upgrade(&mut self, now: Now, id: LinkId, out: &mut VecDeque<SessionEffect>) {
        let Some(Stage::Established(link)) = self.links.table.stage(id) else { return };
        let peer = link.peer.id;
        self.upgrade_later(now, id, &peer);
        self.links.dials.upgrade(&mut self.links.table, now, id, out);
    }

    /// The process that we talked to is gone if another one with its key is live.
    fn end_session_of_earlier_boot(
        &mut self,
        now: Now,
        peer: Peer,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let Some(last) = self.conversations.process(&peer.id) else { return };
        if last.boot == peer.boot {
            return;
        }
        let new = Process { boot: peer.boot, addr: peer.addr };
        if self.processes.handle_replaced(peer.id, last, new) {
            out.push_back(SessionEffect::UsedTwice {
                peer: peer.id,
                addrs: [last.addr, peer.addr],
            });
        }
        let there = match is_relayed(peer.addr.ip()) {
            true => "behind a relay".to_owned(),
            false => peer.addr.to_string(),
        };
        let reason = CloseReason::OtherProcess(there);
        if let Some(&Attachment::Attached(old)) = self.conversations.attachment(&peer.id) {
            self.links.table.close(now, old, reason.clone());
        }
        self.end_session(now, peer.id, DownReason::ByUs(reason), Retention::Keep, out);
    }

    /// The session over this link, if it is that of one.
    pub(super) fn established(&mut self, link: LinkId) -> Option<EstablishedSession<'_>> {
        EstablishedSession::of(&mut self.links.table, &mut self.conversations, link)
    }

    /// Takes every frame that has arrived on the link of a session.
    pub(super) fn handle_frames(
        &mut self,
        now: Now,
        id: LinkId,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let (table, conversations) = (&mut self.links.table, &mut self.conversations);
        let Some(mut session) = EstablishedSession::of(table, conversations, id) else { return };
        let (peer, was_doubted) = (session.peer(), session.is_suspect());
        let heard = session.handle_frames(now.mono, &mut self.counters, out);
        session.grant(now.mono, &mut self.download);
        let (partial, has_something_to_say) = (session.partial(), session.has_something_to_say());
        let acknowledges = session.acknowledges_at();
        self.links.table.note_partial(id, partial);
        self.links.table.look_by(id, acknowledges);
        if let Err(fault) = heard {
            self.fail_session(now, id, fault, out);
        } else if has_something_to_say {
            self.links.table.ask_for_flush(now, id);
        }
        if let Some(longest) = self.links.table.longest_partial_beyond_limit() {
            self.give_up_partial(now, longest, out);
        }
        if was_doubted {
            self.links.dials.cancel(
                &mut self.links.table,
                now,
                &peer,
                |why| why == Reason::Failover,
                out,
            );
        }
    }

    /// Puts what waits on a link, as far as its carrier has room.
    pub(super) fn fill(&mut self, now: Now, id: LinkId) {
        let (table, conversations) = (&mut self.links.table, &mut self.conversations);
        let Some(mut session) = EstablishedSession::of(table, conversations, id) else { return };
        session.fill(now, &mut self.upload, &mut self.counters);
        let check = session.poll_check(self.config.heartbeat);
        self.links.table.look_at(id, check);
    }

    /// Somebody waits for what `peer` says, or it for what we say: its silence is noticed within
    /// three seconds. Say so again every [`PROBE_AFTER`](crate::limits::PROBE_AFTER) meanwhile.
    pub fn handle_awaited(&mut self, now: Now, peer: &NodeId) {
        let Some(id) = self.link_of(peer) else { return };
        let (table, conversations) = (&mut self.links.table, &mut self.conversations);
        let Some(mut session) = EstablishedSession::of(table, conversations, id) else { return };
        session.handle_awaited(now.mono);
        let check = session.poll_check(self.config.heartbeat);
        self.links.table.look_at(id, check);
    }

    /// Gives links their turns to send, and to be sent, what limits of bandwidth held back.
    pub(super) fn take_turns(&mut self, now: Now, out: &mut VecDeque<SessionEffect>) {
        // Each turn takes something of a bucket, or ends a wait.
        while let Some(link) = self.download.next_turn(now.mono) {
            let (table, conversations) = (&mut self.links.table, &mut self.conversations);
            if let Some(mut session) = EstablishedSession::of(table, conversations, link)
                && session.grant(now.mono, &mut self.download)
            {
                self.links.table.ask_for_flush(now, link);
            }
        }
        while let Some(link) = self.upload.next_turn(now.mono) {
            self.fill(now, link);
        }
        self.flush(now, out);
    }

    /// What the stage of a link waits for did not happen in time.
    pub(super) fn handle_overdue(
        &mut self,
        now: Now,
        id: LinkId,
        out: &mut VecDeque<SessionEffect>,
    ) {
        if let Some(Stage::Established(_)) = self.links.table.stage(id) {
            return self.check_session(now, id, out);
        }
        if let Some(peer) = self.links.handle_overdue(now, id, out) {
            self.end_session_between_links(now, peer, out);
        }
    }

    /// Asks whether the peer of a session is there, and whether it takes what is sent to it
    /// [PROTOCOL 5.4, 5.5].
    fn check_session(&mut self, now: Now, id: LinkId, out: &mut VecDeque<SessionEffect>) {
        let heartbeat = self.config.heartbeat;
        let Some(mut session) = self.established(id) else { return };
        let (peer, health) = (session.peer(), session.check(now.mono, heartbeat));
        let has_something_to_say = session.has_something_to_say();
        let check = session.poll_check(heartbeat);
        let (reason, memory) = match health {
            Health::Silent => {
                self.counters.keepalive_timeouts += 1;
                self.ask_around(now);
                (CloseReason::Timeout, Retention::Keep)
            }
            Health::SlowReader => {
                self.counters.slow_readers += 1;
                (CloseReason::SlowReader, Retention::Drop)
            }
            Health::Fine | Health::Suspect => {
                self.links.table.look_at(id, check);
                if has_something_to_say {
                    self.links.table.ask_for_flush(now, id);
                }
                if health == Health::Suspect {
                    self.ask_around(now);
                    out.push_back(SessionEffect::Suspect(peer));
                    self.links.dials.begin_failover(&mut self.links.table, now, id, out);
                }
                return;
            }
        };
        self.links.table.close(now, id, reason.clone());
        self.lose_link(now, peer, DownReason::ByUs(reason), memory, out);
    }

    /// A link fell silent. If it is our translator that forgot it, it forgot the others too, and
    /// who wants us cannot come in before we say something: over every quiet one we do. Silence is
    /// not held against them for it.
    fn ask_around(&mut self, now: Now) {
        let since = self.asked_around.map(|before| now.mono.since(before));
        if since.is_some_and(|since| since < ASK_AROUND_INTERVAL) {
            return;
        }
        self.asked_around = Some(now.mono);
        let links: Vec<LinkId> = self.conversations.attached().map(|(link, _)| link).collect();
        for link in links {
            let Some(on) = self.links.table.established(link) else { continue };
            if on.link.keep_alive.is_quiet(now.mono) {
                on.link.keep_alive.ping();
                self.links.table.ask_for_flush(now, link);
            }
        }
    }

    /// Ends the session whose unfinished message is the oldest: there is too much of such in all.
    /// Nobody did wrong, and the message comes again over the next link.
    fn give_up_partial(&mut self, now: Now, id: LinkId, out: &mut VecDeque<SessionEffect>) {
        let Some(peer) = self.links.table.link(id).map(|link| link.peer.id) else { return };
        self.counters.reassemblies_abandoned += 1;
        self.links.table.close(now, id, CloseReason::MemoryFull);
        let reason = DownReason::ByUs(CloseReason::MemoryFull);
        self.end_session(now, peer, reason, Retention::Keep, out);
    }

    /// A link cannot go on, or its other end does not want to.
    pub(super) fn handle_failed(
        &mut self,
        now: Now,
        id: LinkId,
        fault: LinkFault,
        out: &mut VecDeque<SessionEffect>,
    ) {
        if let Some(Stage::Established(_)) = self.links.table.stage(id) {
            return self.fail_session(now, id, fault, out);
        }
        if let Some(peer) = self.links.handle_failed(now, id, fault, &self.conversations, out) {
            self.end_session_between_links(now, peer, out);
        }
    }

    /// The session cannot go on over this link.
    fn fail_session(
        &mut self,
        now: Now,
        id: LinkId,
        fault: LinkFault,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let Some(peer) = self.links.table.link(id).map(|link| link.peer.id) else { return };
        self.links.report_fault(peer, &fault, out);
        match fault {
            // Its carrier ended it and told the other end why: it held too much.
            LinkFault::Handshake(HandshakeFailure::Refused(reason)) => {
                self.links.table.end(now, id, LinkEnding::Reset, reason.clone());
                self.end_session(now, peer, DownReason::ByUs(reason), Retention::Keep, out);
            }
            // There are keys.
            LinkFault::Handshake(_) => {}
            // Somebody broke into the link; the peer did nothing wrong. It is told so, and the
            // conversation goes on over another one.
            LinkFault::Forged => {
                let reason = CloseReason::RecordBroken;
                self.links.table.close(now, id, reason.clone());
                self.end_session(now, peer, DownReason::ByUs(reason), Retention::Keep, out);
            }
            LinkFault::Violation { what, .. } => {
                let reason = CloseReason::Violation(what.into());
                self.links.table.close(now, id, reason.clone());
                self.end_session(now, peer, DownReason::ByUs(reason), Retention::Drop, out);
            }
            LinkFault::Closed(reason) => {
                self.links.table.end(now, id, LinkEnding::Answer, reason.clone());
                let memory = match reason {
                    CloseReason::Duplicate
                    | CloseReason::OtherProcess(_)
                    | CloseReason::Timeout
                    | CloseReason::ConnectionsFull
                    | CloseReason::MemoryFull
                    | CloseReason::RecordBroken => Retention::Keep,
                    _ => Retention::Drop,
                };
                self.lose_link(now, peer, DownReason::ByPeer(reason), memory, out);
            }
        }
    }

    /// The session with `peer` lost its link. Where another one is about to come up, because we
    /// dialled it instead or the peer has it already, the session waits for that. A peer that has
    /// it closes this one, and over a stream that may be all that we hear: an end that closes with
    /// bytes unread resets the connection, and what it said last is lost (RFC 1122, 4.2.2.13).
    fn lose_link(
        &mut self,
        now: Now,
        peer: NodeId,
        reason: DownReason,
        memory: Retention,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let is_replaced = matches!(
            reason,
            DownReason::ByPeer(CloseReason::Duplicate)
                | DownReason::ByUs(CloseReason::Timeout)
                | DownReason::Link(_)
        );
        if is_replaced && self.links.table.is_confirming(&peer) {
            self.conversations.hand_over(&peer, reason);
        } else {
            self.end_session(now, peer, reason, memory, out);
        }
    }

    /// A link is no more: what that means for whoever dialled it, or for its session.
    pub(super) fn handle_closed(
        &mut self,
        now: Now,
        id: LinkId,
        why: LinkDown,
        out: &mut VecDeque<SessionEffect>,
    ) {
        self.upload.forget(id);
        self.download.forget(id);
        match self.links.table.remove(id) {
            Some(Stage::Established(link)) => {
                let reason = DownReason::Link(why);
                self.lose_link(now, link.peer.id, reason, Retention::Keep, out);
            }
            Some(stage) => {
                if let Some(peer) = self.links.handle_closed(now, id, &stage, why, out) {
                    self.end_session_between_links(now, peer, out);
                }
            }
            None => {}
        }
    }

    /// Ends one link, at whatever stage it is. Its session, if any, is the caller's to end.
    pub(super) fn close_link(
        &mut self,
        now: Now,
        id: LinkId,
        reason: CloseReason,
        out: &mut VecDeque<SessionEffect>,
    ) {
        self.fill(now, id);
        self.links.close(now, id, reason, out);
    }

    /// The session with `peer` is over, if there is one. Its link is the caller's to end.
    pub(super) fn end_session(
        &mut self,
        now: Now,
        peer: NodeId,
        reason: DownReason,
        memory: Retention,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let ended = self.conversations.end_session(now.mono, peer, reason, memory, out);
        if ended && memory == Retention::Drop {
            self.links.dials.cancel(&mut self.links.table, now, &peer, |_| true, out);
        }
    }

    /// The link that was to continue a session did not come up, and no other will.
    fn end_session_between_links(
        &mut self,
        now: Now,
        peer: NodeId,
        out: &mut VecDeque<SessionEffect>,
    ) {
        if let Some(Attachment::Handover(reason)) = self.conversations.attachment(&peer)
            && !self.links.table.is_confirming(&peer)
        {
            let reason = reason.clone();
            self.end_session(now, peer, reason, Retention::Keep, out);
        }
    }
}
