//! From keys to a session: both ends prove that they are live and agree, and of two links between
//! the same two nodes one stays `[PROTOCOL 5.2]`.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{
    carrier::LinkEnding,
    close::Retention,
    contract::{DialFailure, DialOutcome, DownReason, LinkDown, SessionEffect},
    fault::LinkFault,
    session::{Attachment, Session},
    sessions::{SessionWake, Sessions},
    table::{LinkEntry, ReferralState, Stage},
};
use crate::{
    id::{LinkId, NodeId},
    limits::MAX_RECORD,
    time::Now,
    wire::frame::{CloseReason, Frame, Lane},
};

impl Sessions {
    /// One frame before the session is up; false if there is none.
    pub(super) fn confirm(
        &mut self,
        now: Now,
        id: LinkId,
        out: &mut VecDeque<SessionEffect>,
    ) -> bool {
        let Some(LinkEntry { stage, .. }) = self.links.get_mut(&id) else { return false };
        let (Stage::AwaitPong(_, link, _)
        | Stage::AwaitFirstRecord(link)
        | Stage::AwaitAdmission(link)) = stage
        else {
            return false;
        };
        let peer = link.peer;
        let frame = match link.next_frame() {
            Ok(None) => return false,
            Ok(Some(Frame::Close(reason))) => Err(LinkFault::Closed(reason)),
            Ok(Some(frame)) => greet(now, stage, frame),
            Err(fault) => Err(fault),
        };
        match frame {
            Ok(Greeting::Nothing) => {}
            Ok(Greeting::Parting(body)) => {
                out.push_back(SessionEffect::Referral { peer: peer.id, body });
            }
            Ok(Greeting::Live) => self.knock(now, id, out),
            Ok(Greeting::Agreed) => self.establish(now, id, out),
            Err(fault) => self.fail_unconfirmed(now, id, fault, out),
        }
        true
    }

    /// A node that dialled us is live. The node decides, unless there is a session already and the
    /// tie of two links is all that is to be broken.
    fn knock(&mut self, now: Now, id: LinkId, out: &mut VecDeque<SessionEffect>) {
        let Some(entry) = self.links.get_mut(&id) else { return };
        let stage = core::mem::replace(&mut entry.stage, Stage::Closing);
        let Stage::AwaitFirstRecord(link) = stage else { return };
        let (peer, boot) = (link.peer, link.boot);
        entry.stage = Stage::AwaitAdmission(link);
        self.end_session_of_earlier_boot(now, peer.id, boot, out);
        if self.is_up(&peer.id) {
            self.establish(now, id, out);
        } else {
            out.push_back(SessionEffect::Incoming(peer));
        }
    }

    /// Answers a [`SessionEffect::Incoming`]: yes. [`SessionEffect::Up`] follows, unless there are
    /// as many sessions as there may be. Nothing happens if the link is gone.
    pub fn accept(&mut self, now: Now, link: LinkId, out: &mut VecDeque<SessionEffect>) {
        if let Some(LinkEntry { stage: Stage::AwaitAdmission(_), .. }) = self.links.get(&link) {
            self.establish(now, link, out);
            self.settle(now, out);
        }
    }

    /// Answers a [`SessionEffect::Incoming`]: no. `parting` is an encoded message that goes before
    /// the reason; it is left out if it does not fit into one record. Nothing happens if the link
    /// is gone.
    pub fn refuse(
        &mut self,
        now: Now,
        link: LinkId,
        reason: CloseReason,
        parting: Option<Bytes>,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let Some(LinkEntry { stage: Stage::AwaitAdmission(_), .. }) = self.links.get(&link) else {
            return;
        };
        if reason == CloseReason::SlotsFull {
            self.counters.links_refused += 1;
        }
        if let Some(body) = parting.filter(|body| body.len() <= MAX_RECORD / 2) {
            self.say(now, link, &Frame::Message { lane: Lane::CONTROL, number: 0, body });
        }
        self.close_link(now, link, reason);
        self.settle(now, out);
    }

    /// Both ends agreed on this link. It becomes that of the session with this peer, or gives way
    /// to the one that is there.
    fn establish(&mut self, now: Now, id: LinkId, out: &mut VecDeque<SessionEffect>) {
        let Some(entry) = self.links.get(&id) else { return };
        let Some(link) = entry.link() else { return };
        let (peer, boot) = (link.peer, link.boot);
        let race = entry.race();
        self.end_session_of_earlier_boot(now, peer.id, boot, out);
        let mut outcome = DialOutcome::Connected(peer.id);
        match self.sessions.get(&peer.id).map(|talk| talk.attachment.clone()) {
            Some(Attachment::Attached(old)) => self.break_tie(now, peer, old, out),
            Some(Attachment::Handover(_)) => self.bring_up(now, id),
            Some(Attachment::Detached(_)) | None if self.sessions_up() >= self.config.max_links => {
                self.counters.links_refused += 1;
                self.close_link(now, id, CloseReason::SlotsFull);
                outcome = DialOutcome::Failed(DialFailure::Closed(CloseReason::SlotsFull));
            }
            Some(Attachment::Detached(_)) | None => {
                self.bring_up(now, id);
                self.counters.sessions += 1;
                out.push_back(SessionEffect::Up(peer));
            }
        }
        if let Some(race) = race {
            self.end_attempt(now, race, Some(id), outcome, out);
        }
    }

    /// Makes a confirmed link the one of its conversation.
    pub(super) fn bring_up(&mut self, now: Now, id: LinkId) {
        let Some(entry) = self.links.get_mut(&id) else { return };
        let stage = core::mem::replace(&mut entry.stage, Stage::Closing);
        let (Stage::AwaitPong(_, mut link, _) | Stage::AwaitAdmission(mut link)) = stage else {
            return;
        };
        entry.place = self.door.promote(entry.place, entry.addr);
        (link.since, link.raised) = (now.mono, now.mono);
        link.handle_carried(now.mono);
        let (peer, boot, kind) = (link.peer.id, link.boot, link.kind);
        entry.stage = Stage::Up(link);
        let talk = self.sessions.entry(peer).or_insert_with(|| Session::new(boot, now.mono));
        if talk.kind.replace(kind).is_some_and(|before| before != kind) {
            self.counters.handovers += 1;
            self.moves[kind] += 1;
        }
        if let Attachment::Detached(until) = talk.attachment {
            self.dormant.remove(&(until, peer));
        }
        let memory = talk.resume(now.mono, id, boot, &mut self.memories);
        if let Some(LinkEntry { stage: Stage::Up(link), .. }) = self.links.get_mut(&id) {
            link.ask(memory);
        }
        self.prepare_to_move(now, id);
        self.deadlines.set(SessionWake::Link(id), now.mono);
        self.ask_for_flush(now, id);
    }

    /// The process that we talked to is gone if another one with its key is live.
    fn end_session_of_earlier_boot(
        &mut self,
        now: Now,
        peer: NodeId,
        boot: u64,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let Some(talk) = self.sessions.get(&peer) else { return };
        if talk.boot == boot {
            return;
        }
        if let Attachment::Attached(old) = talk.attachment {
            self.close_link(now, old, CloseReason::Duplicate);
        }
        self.end_session(now, peer, DownReason::Link(LinkDown::Reset), Retention::Keep, out);
    }

    /// A link with keys ends before it is a session.
    pub(super) fn fail_unconfirmed(
        &mut self,
        now: Now,
        id: LinkId,
        fault: LinkFault,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let Some(entry) = self.links.get(&id) else { return };
        let Some(peer) = entry.link().map(|link| link.peer.id) else { return };
        let race = entry.race();
        let duplicate = fault == LinkFault::Closed(CloseReason::Duplicate) && self.is_up(&peer);
        if !duplicate && fault != LinkFault::Closed(CloseReason::Probe) {
            self.counters.handshakes_failed += 1;
        }
        self.report_fault(peer, &fault, out);
        let outcome = match fault {
            LinkFault::Closed(reason) => {
                self.end_link(now, id, LinkEnding::Answer, reason.clone());
                if duplicate {
                    DialOutcome::Connected(peer)
                } else {
                    DialOutcome::Failed(DialFailure::Closed(reason))
                }
            }
            LinkFault::Handshake(failure) => {
                self.end_link(now, id, LinkEnding::Reset, CloseReason::Timeout);
                DialOutcome::Failed(failure)
            }
            LinkFault::Forged => {
                self.end_link(now, id, LinkEnding::Reset, CloseReason::Timeout);
                DialOutcome::Failed(DialFailure::Handshake("its first record does not open"))
            }
            LinkFault::Malformed(what) | LinkFault::Violation(what) | LinkFault::Flooding(what) => {
                let reason = CloseReason::Violation(what.into());
                self.close_link(now, id, reason.clone());
                DialOutcome::Failed(DialFailure::Closed(reason))
            }
        };
        if let Some(race) = race {
            match outcome {
                DialOutcome::Failed(failure) => {
                    self.attempt_failed(now, race, Some(id), failure, out);
                }
                outcome => self.end_attempt(now, race, Some(id), outcome, out),
            }
            self.end_session_between_links(now, peer, out);
        }
    }
}

/// What a frame means before the session is up.
enum Greeting {
    Nothing,
    /// A last word before a refusal.
    Parting(Bytes),
    /// The dialler's first record: it is no old message sent again.
    Live,
    /// The listener lets us in.
    Agreed,
}

fn greet(now: Now, stage: &mut Stage, frame: Frame) -> Result<Greeting, LinkFault> {
    match (stage, frame) {
        (_, Frame::Unknown { .. }) => Ok(Greeting::Nothing),
        (Stage::AwaitPong(_, link, _), Frame::Pong { token }) => {
            let answered = link.handle_pong(now.mono, token);
            Ok(if answered { Greeting::Agreed } else { Greeting::Nothing })
        }
        (Stage::AwaitPong(_, _, parting), Frame::Message { body, .. })
            if *parting == ReferralState::Possible =>
        {
            *parting = ReferralState::Said;
            Ok(Greeting::Parting(body))
        }
        (Stage::AwaitFirstRecord(link), Frame::Ping { token }) => {
            link.handle_introduction(token);
            link.handle_ping(now.mono, token).map(|()| Greeting::Live)
        }
        (Stage::AwaitAdmission(link), Frame::Ping { token }) => {
            link.handle_ping(now.mono, token).map(|()| Greeting::Nothing)
        }
        _ => Err(LinkFault::Violation("a frame before the session is up")),
    }
}
