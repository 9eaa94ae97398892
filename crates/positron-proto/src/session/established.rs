//! A session that is up: frames in, records out, liveness.

use std::collections::VecDeque;

use super::{
    attempt::Reason,
    carrier::{CarrierOrder, LinkEnding},
    close::Retention,
    contract::{DownReason, SessionEffect},
    fault::LinkFault,
    link::{Liveness, SessionLink},
    session::{Attachment, Freshness, Session},
    sessions::{SessionWake, Sessions},
    table::{LinkEntry, Stage},
};
use crate::{
    id::{LinkId, NodeId},
    limits::MAX_RECORD,
    time::{Instant, Now},
    wire::frame::{CloseReason, Frame, Lane},
};

impl Sessions {
    /// Takes every frame that has arrived on the link of a session.
    pub(super) fn handle_frames(
        &mut self,
        now: Now,
        id: LinkId,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let Some(LinkEntry { stage: Stage::Up(link), .. }) = self.links.get_mut(&id) else {
            return;
        };
        let Some(talk) = self.sessions.get_mut(&link.peer.id) else { return };
        let was_doubted = link.is_suspect();
        let peer = link.peer.id;
        link.handle_sign_of_life(now.mono);
        let mut hearing = FrameHandler { now: now.mono, link, talk, out };
        let fault = loop {
            match hearing.link.next_frame() {
                Ok(None) => break None,
                Ok(Some(frame)) => match hearing.handle_frame(frame) {
                    Ok(FrameOutcome::Nothing) => {}
                    Ok(FrameOutcome::Message) => self.counters.messages_received += 1,
                    Ok(FrameOutcome::Duplicate) => self.counters.messages_duplicate += 1,
                    Ok(FrameOutcome::UnknownLane) => self.counters.messages_unknown += 1,
                    Err(fault) => break Some(fault),
                },
                Err(fault) => break Some(fault),
            }
        };
        self.partials.note(id, hearing.link.partial());
        if let Some(fault) = fault {
            self.fail_session(now, id, fault, out);
        } else if hearing.talk.has_something_to_say() || hearing.link.has_keep_alive() {
            self.ask_for_flush(now, id);
        }
        if let Some(longest) = self.partials.longest_beyond_limit() {
            self.give_up_partial(now, longest, out);
        }
        if was_doubted {
            self.cancel_attempts(now, peer, |why| why == Reason::Failover, out);
        }
    }

    /// Ends the session whose unfinished message is the oldest: there is too much of such in all.
    /// Nobody did wrong, and the message comes again over the next link.
    fn give_up_partial(&mut self, now: Now, id: LinkId, out: &mut VecDeque<SessionEffect>) {
        let Some(link) = self.links.get(&id).and_then(LinkEntry::link) else { return };
        let peer = link.peer.id;
        self.counters.reassemblies_abandoned += 1;
        self.close_link(now, id, CloseReason::Timeout);
        let reason = DownReason::ByUs(CloseReason::Timeout);
        self.end_session(now, peer, reason, Retention::Keep, out);
    }

    /// The session cannot go on over this link.
    pub(super) fn fail_session(
        &mut self,
        now: Now,
        id: LinkId,
        fault: LinkFault,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let Some(link) = self.links.get(&id).and_then(LinkEntry::link) else { return };
        let peer = link.peer.id;
        self.report_fault(peer, &fault, out);
        let reason = match fault {
            LinkFault::Closed(reason) => reason,
            // There are keys.
            LinkFault::Handshake(_) => return,
            // Somebody broke into the stream; the peer did nothing wrong. It sees a broken link
            // too, and the conversation goes on over another one.
            LinkFault::Forged => {
                self.end_link(now, id, LinkEnding::Reset, CloseReason::Timeout);
                let reason = CloseReason::Violation("a record does not open".into());
                self.end_session(now, peer, DownReason::ByUs(reason), Retention::Keep, out);
                return;
            }
            LinkFault::Malformed(what) | LinkFault::Violation(what) | LinkFault::Flooding(what) => {
                let reason = CloseReason::Violation(what.into());
                self.close_link(now, id, reason.clone());
                self.end_session(now, peer, DownReason::ByUs(reason), Retention::Drop, out);
                return;
            }
        };
        self.end_link(now, id, LinkEnding::Answer, reason.clone());
        let duplicate = reason == CloseReason::Duplicate;
        let memory = match reason {
            CloseReason::Duplicate | CloseReason::Timeout => Retention::Keep,
            _ => Retention::Drop,
        };
        let down = DownReason::ByPeer(reason);
        if duplicate && self.is_confirming(&peer) {
            // The link that stays has not told us yet that it is up.
            if let Some(talk) = self.sessions.get_mut(&peer) {
                talk.attachment = Attachment::Handover(down);
            }
        } else {
            self.end_session(now, peer, down, memory, out);
        }
    }

    /// Whether a dial of ours to `peer` waits for its PONG.
    pub(super) fn is_confirming(&self, peer: &NodeId) -> bool {
        self.links.values().any(|entry| match &entry.stage {
            Stage::AwaitPong(_, link, _) => link.peer.id == *peer,
            _ => false,
        })
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

    /// Puts what waits on its links, as far as their carriers have room.
    ///
    /// Call it when an input is done with, so that all it caused shares records.
    pub fn flush(&mut self, now: Now, out: &mut VecDeque<SessionEffect>) {
        self.settle(now, out);
        while !self.unflushed.is_empty() {
            for link in core::mem::take(&mut self.unflushed) {
                self.fill(now, link);
            }
            self.settle(now, out);
        }
        self.unflushed_since = None;
    }

    /// Fills records from the lanes of a session, most urgent first, as long as its link has room:
    /// what does not fit waits in its lane, where a later message of a more urgent lane still
    /// overtakes it, and from where it can still move to another link [PROTOCOL 5.5].
    pub(super) fn fill(&mut self, now: Now, id: LinkId) {
        self.note_progress(now, id);
        let Some(LinkEntry { stage: Stage::Up(link), kind, .. }) = self.links.get_mut(&id) else {
            return;
        };
        let Some(talk) = self.sessions.get_mut(&link.peer.id) else { return };
        let carrier = self.carriers.of(*kind);
        let (order, largest) = (carrier.order(), carrier.largest_message());
        for lane in Lane::KNOWN {
            // Where lanes do not matter below, the first turn is that of all.
            let lanes = match order {
                CarrierOrder::OfLinks => &Lane::KNOWN[..],
                CarrierOrder::OfLanes => &[lane],
            };
            let is_first = lane == Lane::CONTROL;
            while talk.has_messages(lanes)
                || is_first && (link.has_keep_alive() || talk.owes_acks())
            {
                if !carrier.has_room(id, lane) {
                    break;
                }
                let mut record = carrier.begin(id);
                let start = record.bytes.len();
                let expected = talk.unsent_bytes() + talk.unsent_bytes() / 8 + 96;
                record.bytes.reserve(expected.min(MAX_RECORD));
                if is_first {
                    link.put_keep_alive(now.mono, &mut record.bytes);
                    talk.put_acks(now.mono, &mut record.bytes);
                }
                let put = talk.put(lanes, &mut record.bytes, start, largest);
                if put.bytes > 0 {
                    link.handle_carried(now.mono);
                }
                self.counters.messages_retransmitted += put.resent;
                let is_empty = record.is_empty();
                carrier.send(now, id, lane, record);
                if is_empty {
                    break;
                }
            }
            if order == CarrierOrder::OfLinks {
                break;
            }
        }
        let check = next_check(link, talk, self.config.heartbeat);
        self.deadlines.set_earliest(SessionWake::Link(id), check);
    }

    /// Takes note of what was taken of what was sent, and of when the other end was heard.
    fn note_progress(&mut self, now: Now, id: LinkId) {
        let Some(LinkEntry { stage: Stage::Up(link), kind, taken, .. }) = self.links.get_mut(&id)
        else {
            return;
        };
        let Some(talk) = self.sessions.get_mut(&link.peer.id) else { return };
        let carrier = self.carriers.of(*kind);
        if let Some(then) = carrier.heard(id) {
            link.heard_then(then);
        }
        let before = core::mem::replace(taken, carrier.taken(id));
        talk.handle_written(now.mono, taken.saturating_sub(before));
    }

    /// The other end took something, or there is room again.
    pub(super) fn handle_taken(&mut self, now: Now, id: LinkId) {
        self.note_progress(now, id);
        if let Some(LinkEntry { stage: Stage::Up(_), .. }) = self.links.get(&id) {
            self.ask_for_flush(now, id);
        }
    }

    /// Asks whether the peer of a session is there, and whether it takes what is sent to it
    /// [PROTOCOL 5.4, 5.5].
    pub(super) fn check_session(
        &mut self,
        now: Now,
        id: LinkId,
        out: &mut VecDeque<SessionEffect>,
    ) {
        self.note_progress(now, id);
        let Some(LinkEntry { stage: Stage::Up(link), .. }) = self.links.get_mut(&id) else {
            return;
        };
        let Some(talk) = self.sessions.get_mut(&link.peer.id) else { return };
        let peer = link.peer.id;
        let (reason, memory) =
            match link.check_liveness(now.mono, talk.waiting(), self.config.heartbeat) {
                Liveness::Gone => {
                    self.counters.keepalive_timeouts += 1;
                    (CloseReason::Timeout, Retention::Keep)
                }
                _ if talk.poll_slow_reader() <= now.mono => {
                    self.counters.slow_readers += 1;
                    (CloseReason::SlowReader, Retention::Drop)
                }
                alive => {
                    let check = next_check(link, talk, self.config.heartbeat);
                    self.deadlines.set(SessionWake::Link(id), check);
                    match alive {
                        Liveness::Ask => self.ask_for_flush(now, id),
                        Liveness::Suspect => {
                            let peer = link.peer;
                            self.failover(now, peer, out);
                        }
                        Liveness::Fine | Liveness::Gone => {}
                    }
                    return;
                }
            };
        self.close_link(now, id, reason.clone());
        let down = DownReason::ByUs(reason);
        if memory == Retention::Keep && self.is_confirming(&peer) {
            // The link that was dialled instead is about to come up.
            if let Some(talk) = self.sessions.get_mut(&peer) {
                talk.attachment = Attachment::Handover(down);
            }
        } else {
            self.end_session(now, peer, down, memory, out);
        }
    }
}

pub(super) fn next_check(
    link: &SessionLink,
    talk: &Session,
    heartbeat: crate::time::Duration,
) -> Instant {
    link.poll_liveness(talk.waiting(), heartbeat).min(talk.poll_slow_reader())
}

/// What a frame came to.
enum FrameOutcome {
    Nothing,
    Message,
    Duplicate,
    UnknownLane,
}

/// A session while its frames are heard.
struct FrameHandler<'a> {
    now: Instant,
    link: &'a mut SessionLink,
    talk: &'a mut Session,
    out: &'a mut VecDeque<SessionEffect>,
}

impl FrameHandler<'_> {
    fn handle_frame(&mut self, frame: Frame) -> Result<FrameOutcome, LinkFault> {
        match frame {
            Frame::Ping { token } => {
                self.talk.handle_epoch(token);
                self.link.handle_ping(self.now, token)?;
            }
            Frame::Pong { token } => {
                self.link.handle_pong(self.now, token);
            }
            Frame::Message { lane, number, body } => {
                self.link.handle_carried(self.now);
                return match self.talk.check_duplicate(lane, number)? {
                    Freshness::New if !lane.is_known() => Ok(self.drop_unknown(lane)),
                    Freshness::New => {
                        self.link.abandon(lane);
                        Ok(self.deliver(lane, body))
                    }
                    Freshness::Duplicate => Ok(self.ack_again(lane)),
                };
            }
            Frame::Fragment { lane, number, offset, total, body } => {
                self.link.handle_carried(self.now);
                self.talk.assembling(self.now, lane);
                let arrival = self.talk.check_duplicate(lane, number)?;
                let end = u64::from(offset) + u64::try_from(body.len()).unwrap_or(u64::MAX);
                let is_last = end == u64::from(total);
                if arrival == Freshness::Duplicate || !lane.is_known() {
                    return Ok(match arrival {
                        _ if !is_last => FrameOutcome::Nothing,
                        Freshness::Duplicate => self.ack_again(lane),
                        Freshness::New => self.drop_unknown(lane),
                    });
                }
                if let Some(whole) =
                    self.link.assemble(self.now, lane, number, (offset, total), &body)?
                {
                    return Ok(self.deliver(lane, whole));
                }
            }
            Frame::Ack { lane, next } => {
                let out = &mut *self.out;
                self.talk.handle_ack(self.now, lane, next, |ticket| {
                    out.push_back(SessionEffect::Delivered { ticket });
                })?;
            }
            Frame::Close(reason) => return Err(LinkFault::Closed(reason)),
            Frame::Unknown { .. } => {}
        }
        Ok(FrameOutcome::Nothing)
    }

    fn deliver(&mut self, lane: Lane, body: bytes::Bytes) -> FrameOutcome {
        self.talk.handle_delivered(lane);
        self.out.push_back(SessionEffect::Message { peer: self.link.peer.id, body });
        FrameOutcome::Message
    }

    /// Nobody here knows what goes in this lane; its sender is not to say it again.
    fn drop_unknown(&mut self, lane: Lane) -> FrameOutcome {
        self.talk.handle_delivered(lane);
        FrameOutcome::UnknownLane
    }

    fn ack_again(&mut self, lane: Lane) -> FrameOutcome {
        self.talk.ack_again(lane);
        FrameOutcome::Duplicate
    }
}
