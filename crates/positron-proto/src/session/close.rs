//! How links and sessions end, and how conversations are forgotten.

use std::collections::VecDeque;

use super::{
    admission::Quota,
    attempt::AttemptId,
    carrier::LinkEnding,
    contract::{DialFailure, DownReason, LinkDown, SessionEffect},
    session::{Attachment, Session},
    sessions::{SessionWake, Sessions},
    table::{LinkEntry, Stage},
};
use crate::{
    id::{LinkId, NodeId},
    limits::{CONVERSATION_GRACE, FLUSH_TIMEOUT, MAX_DORMANT_BYTES, MAX_DORMANT_CONVERSATIONS},
    time::Now,
    wire::frame::CloseReason,
};

/// What becomes of a conversation whose session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retention {
    /// It waits for another link.
    Keep,
    /// It is over, and what waits will not be delivered.
    Drop,
}

impl Sessions {
    /// Ends the session with `peer`, telling it why, and every link to it that is about to become
    /// one. What the write window still takes goes before the reason; the rest is undelivered.
    pub fn close(
        &mut self,
        now: Now,
        peer: NodeId,
        reason: CloseReason,
        out: &mut VecDeque<SessionEffect>,
    ) {
        self.cancel_attempts(now, peer, |_| true, out);
        let with_peer = |(id, entry): (&LinkId, &LinkEntry)| {
            entry.link().is_some_and(|link| link.peer.id == peer).then_some(*id)
        };
        let links: Vec<LinkId> = self.links.iter().filter_map(with_peer).collect();
        for link in links {
            self.close_whatever(now, link, reason.clone(), out);
        }
        self.end_session(now, peer, DownReason::ByUs(reason), Retention::Drop, out);
        self.settle(now, out);
    }

    /// Ends every session, dial and half-open link, and forgets every conversation.
    pub fn close_all(&mut self, now: Now, reason: CloseReason, out: &mut VecDeque<SessionEffect>) {
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for link in links {
            self.close_whatever(now, link, reason.clone(), out);
        }
        let peers: Vec<NodeId> = self.sessions.keys().copied().collect();
        for peer in peers {
            self.end_session(now, peer, DownReason::ByUs(reason.clone()), Retention::Drop, out);
            self.forget(peer, out);
        }
        self.settle(now, out);
    }

    /// Ends one link, at whatever stage it is. Its session, if any, is the caller's to end.
    fn close_whatever(
        &mut self,
        now: Now,
        link: LinkId,
        reason: CloseReason,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let Some(entry) = self.links.get(&link) else { return };
        match entry.stage {
            Stage::Connecting(race) | Stage::Initiating(race) => {
                self.fail_dial(now, link, race, DialFailure::Closed(reason), out);
            }
            Stage::AwaitPong(race, ..) => {
                self.close_link(now, link, reason.clone());
                self.attempt_failed(now, race, Some(link), DialFailure::Closed(reason), out);
            }
            Stage::Responding => self.end_link(now, link, LinkEnding::Reset, reason),
            Stage::AwaitFirstRecord(_) | Stage::AwaitAdmission(_) => {
                self.close_link(now, link, reason);
            }
            Stage::Up(_) => {
                self.fill(now, link);
                self.close_link(now, link, reason);
            }
            Stage::Closing => {}
        }
    }

    /// Says why, and ends a link after what was said before. Where its session goes on over another
    /// one, or the peer is gone, nothing waits for that: what was not acknowledged comes again over
    /// the next link.
    pub(super) fn close_link(&mut self, now: Now, id: LinkId, reason: CloseReason) {
        let Some(entry) = self.links.get(&id) else { return };
        let moved_on = matches!(
            (&entry.stage, &reason),
            (Stage::Up(_), CloseReason::Duplicate | CloseReason::Timeout | CloseReason::SlowReader)
        );
        self.end_link(
            now,
            id,
            if moved_on { LinkEnding::MoveOn } else { LinkEnding::Close },
            reason,
        );
    }

    /// Ends a link. What still arrives is dropped; it is forgotten when its carrier says that it is
    /// over.
    ///
    /// While it flushes it keeps its place: whoever is told goodbye and does not go costs a
    /// descriptor like any other stranger.
    pub(super) fn end_link(
        &mut self,
        now: Now,
        link: LinkId,
        how: LinkEnding,
        reason: CloseReason,
    ) {
        let Some(entry) = self.links.get_mut(&link) else { return };
        entry.stage = Stage::Closing;
        let kind = entry.kind;
        if how == LinkEnding::Reset {
            self.door.release(entry.place, entry.addr);
            entry.place = Quota::Free;
            self.deadlines.clear(SessionWake::Link(link));
        } else {
            self.deadlines.set(SessionWake::Link(link), now.mono + FLUSH_TIMEOUT);
        }
        self.lay_down(link);
        self.carriers.of(kind).end(now, link, how, reason);
    }

    /// A session lost its link.
    pub(super) fn link_lost(
        &mut self,
        now: Now,
        peer: NodeId,
        why: LinkDown,
        out: &mut VecDeque<SessionEffect>,
    ) {
        self.end_session(now, peer, DownReason::Link(why), Retention::Keep, out);
    }

    /// Nothing more is expected of a link, nor given to it.
    pub(super) fn lay_down(&mut self, link: LinkId) {
        self.partials.note(link, None);
        self.unflushed.remove(&link);
        self.deadlines.clear(SessionWake::Back(link));
    }

    /// Hangs up on whoever answered a dial of ours, or did not.
    pub(super) fn fail_dial(
        &mut self,
        now: Now,
        link: LinkId,
        race: AttemptId,
        failure: DialFailure,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let reason = match &failure {
            DialFailure::Closed(reason) => reason.clone(),
            _ => CloseReason::Timeout,
        };
        self.end_link(now, link, LinkEnding::Reset, reason);
        self.attempt_failed(now, race, Some(link), failure, out);
    }

    /// A deadline of a link passed.
    pub(super) fn wake_link(&mut self, now: Now, link: LinkId, out: &mut VecDeque<SessionEffect>) {
        let Some(entry) = self.links.get(&link) else { return };
        match &entry.stage {
            Stage::Connecting(race) => {
                let (race, failure) = (*race, DialFailure::Link(LinkDown::TimedOut));
                self.fail_dial(now, link, race, failure, out);
            }
            Stage::Initiating(race) => {
                let race = *race;
                self.counters.handshakes_timed_out += 1;
                self.fail_dial(now, link, race, DialFailure::Timeout, out);
            }
            Stage::AwaitPong(race, up, _) => {
                let (race, peer) = (*race, up.peer.id);
                self.counters.handshakes_timed_out += 1;
                self.fail_dial(now, link, race, DialFailure::Timeout, out);
                self.end_session_between_links(now, peer, out);
            }
            Stage::Responding | Stage::AwaitFirstRecord(_) | Stage::AwaitAdmission(_) => {
                self.counters.handshakes_timed_out += 1;
                self.end_link(now, link, LinkEnding::Reset, CloseReason::Timeout);
            }
            Stage::Up(_) => self.check_session(now, link, out),
            // The kernel does not get rid of the last bytes: the peer does not read.
            Stage::Closing => self.end_link(now, link, LinkEnding::Reset, CloseReason::Timeout),
        }
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
        let Some(talk) = self.sessions.get_mut(&peer) else { return };
        if let Attachment::Detached(_) = talk.attachment {
            return;
        }
        talk.lost = matches!(reason, DownReason::Link(_) | DownReason::ByUs(CloseReason::Timeout));
        let until = now.mono + CONVERSATION_GRACE;
        talk.attachment = Attachment::Detached(until);
        self.dormant.insert((until, peer));
        self.deadlines.set_earliest(SessionWake::Forget, until);
        out.push_back(SessionEffect::Down { peer, reason });
        if memory == Retention::Drop {
            self.cancel_attempts(now, peer, |_| true, out);
            self.forget(peer, out);
        }
        self.forget_beyond_limits(out);
    }

    /// Forgets the oldest dormant conversations while there are too many, or too much waits in
    /// them.
    fn forget_beyond_limits(&mut self, out: &mut VecDeque<SessionEffect>) {
        let waiting = |peer| self.sessions.get(peer).map_or(0, Session::queued_bytes);
        let mut bytes: usize = self.dormant.iter().map(|(_, peer)| waiting(peer)).sum();
        while self.dormant.len() > MAX_DORMANT_CONVERSATIONS || bytes > MAX_DORMANT_BYTES {
            let Some(&(_, oldest)) = self.dormant.first() else { return };
            bytes -= self.sessions.get(&oldest).map_or(0, Session::queued_bytes);
            self.forget(oldest, out);
        }
    }

    /// The link that was to continue a session did not come up, and no other will.
    pub(super) fn end_session_between_links(
        &mut self,
        now: Now,
        peer: NodeId,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let Some(talk) = self.sessions.get(&peer) else { return };
        let Attachment::Handover(reason) = &talk.attachment else { return };
        if !self.is_confirming(&peer) {
            let reason = reason.clone();
            self.end_session(now, peer, reason, Retention::Keep, out);
        }
    }

    /// Forgets the dormant conversations whose time has come.
    pub(super) fn forget_detached(&mut self, now: Now, out: &mut VecDeque<SessionEffect>) {
        while let Some(&(until, peer)) = self.dormant.first() {
            if until > now.mono {
                self.deadlines.set(SessionWake::Forget, until);
                return;
            }
            self.forget(peer, out);
        }
    }

    /// Forgets a dormant conversation; what waited in it will not be delivered.
    fn forget(&mut self, peer: NodeId, out: &mut VecDeque<SessionEffect>) {
        let Some(talk) = self.sessions.remove(&peer) else { return };
        if let Attachment::Detached(until) = talk.attachment {
            self.dormant.remove(&(until, peer));
        }
        out.extend(talk.into_tickets().map(|ticket| SessionEffect::Undelivered { ticket }));
    }
}
