//! A session that is up: frames in, records out, liveness.

use std::collections::VecDeque;

use super::{
    contract::{DownReason, Hangup, Out},
    conversation::{Arrival, Conversation, Presence},
    ending::Memory,
    link::{Fault, Link, Liveness, record_end},
    racing::Why,
    record::RECORD_OVERHEAD,
    sessions::{Sessions, Wake},
    table::{Entry, Stage},
};
use crate::{
    id::{LinkId, NodeId},
    limits::{LINK_WRITE_WINDOW, MAX_RECORD},
    time::{Instant, Now},
    wire::frame::{CloseReason, Frame, Lane},
};

impl Sessions {
    /// Takes every frame that has arrived on the link of a session.
    pub(super) fn converse(&mut self, now: Now, id: LinkId, out: &mut VecDeque<Out>) {
        let Some(Entry { stage: Stage::Up(link), inbound, .. }) = self.links.get_mut(&id) else {
            return;
        };
        let Some(talk) = self.conversations.get_mut(&link.peer.id) else { return };
        let was_doubted = link.is_doubted();
        let peer = link.peer.id;
        link.heard(now.mono);
        let mut hearing = Hearing { now: now.mono, link, talk, out };
        let fault = loop {
            match hearing.link.next_frame(inbound, &mut self.counters.records_received) {
                Ok(None) => break None,
                Ok(Some(frame)) => match hearing.hear(frame) {
                    Ok(Heard::Nothing) => {}
                    Ok(Heard::Message) => self.counters.messages_received += 1,
                    Ok(Heard::Duplicate) => self.counters.messages_duplicate += 1,
                    Err(fault) => break Some(fault),
                },
                Err(fault) => break Some(fault),
            }
        };
        self.partials.note(id, hearing.link.partial());
        if let Some(fault) = fault {
            self.fail_session(now, id, fault, out);
        } else if hearing.talk.has_something_to_say() || hearing.link.has_pulse() {
            self.ask_for_flush(now, id);
        }
        if let Some(longest) = self.partials.longest_beyond_limit() {
            self.give_up_partial(now, longest, out);
        }
        if was_doubted {
            self.give_up_races(now, peer, |why| why == Why::Instead, out);
        }
    }

    /// Ends the session whose unfinished message is the oldest: there is too much of such in all.
    /// Nobody did wrong, and the message comes again over the next link.
    fn give_up_partial(&mut self, now: Now, id: LinkId, out: &mut VecDeque<Out>) {
        let Some(link) = self.links.get(&id).and_then(Entry::link) else { return };
        let peer = link.peer.id;
        self.counters.partials_given_up += 1;
        self.close_link(now, id, CloseReason::Timeout, out);
        let reason = DownReason::ByUs(CloseReason::Timeout);
        self.end_session(now, peer, reason, Memory::Keep, out);
    }

    /// The session cannot go on over this link.
    pub(super) fn fail_session(
        &mut self,
        now: Now,
        id: LinkId,
        fault: Fault,
        out: &mut VecDeque<Out>,
    ) {
        let Some(link) = self.links.get(&id).and_then(Entry::link) else { return };
        let peer = link.peer.id;
        self.accuse(peer, &fault, out);
        let reason = match fault {
            Fault::Closed(reason) => reason,
            // Somebody broke into the stream; the peer did nothing wrong. It sees a broken link
            // too, and the conversation goes on over another one.
            Fault::Forged => {
                self.hang_up(now, id, Hangup::Abort, CloseReason::Timeout, out);
                let reason = CloseReason::Violation("a record does not open".into());
                self.end_session(now, peer, DownReason::ByUs(reason), Memory::Keep, out);
                return;
            }
            Fault::Malformed(what) | Fault::Violation(what) | Fault::Flooding(what) => {
                let reason = CloseReason::Violation(what.into());
                self.close_link(now, id, reason.clone(), out);
                self.end_session(now, peer, DownReason::ByUs(reason), Memory::Drop, out);
                return;
            }
        };
        self.hang_up(now, id, Hangup::Flush, reason.clone(), out);
        let duplicate = reason == CloseReason::Duplicate;
        let memory = match reason {
            CloseReason::Duplicate | CloseReason::Timeout => Memory::Keep,
            _ => Memory::Drop,
        };
        let down = DownReason::ByPeer(reason);
        if duplicate && self.is_confirming(&peer) {
            // The link that stays has not told us yet that it is up.
            if let Some(talk) = self.conversations.get_mut(&peer) {
                talk.presence = Presence::Between(down);
            }
        } else {
            self.end_session(now, peer, down, memory, out);
        }
    }

    /// Whether a dial of ours to `peer` waits for its PONG.
    pub(super) fn is_confirming(&self, peer: &NodeId) -> bool {
        self.links.values().any(|entry| match &entry.stage {
            Stage::Confirming(_, link, _) => link.peer.id == *peer,
            _ => false,
        })
    }

    /// Holds a fault against the peer who caused it.
    pub(super) fn accuse(&mut self, peer: NodeId, fault: &Fault, out: &mut VecDeque<Out>) {
        if *fault == Fault::Forged {
            self.counters.records_forged += 1;
        }
        if let Some(what) = fault.misbehavior() {
            out.push_back(Out::Misbehaved { peer, what });
        }
    }

    /// Seals and writes what waits, as far as the write windows allow.
    ///
    /// Call it when an input is done with, so that all it caused shares records.
    pub fn flush(&mut self, now: Now, out: &mut VecDeque<Out>) {
        self.attend(now, out);
        while !self.unflushed.is_empty() {
            for link in core::mem::take(&mut self.unflushed) {
                self.fill(now, link, out);
            }
            self.attend(now, out);
        }
        self.unflushed_since = None;
    }

    /// Fills records from the lanes of a session, most urgent first, up to the write window: what
    /// does not fit waits in its lane, where a later message of a more urgent lane still overtakes
    /// it [PROTOCOL 5.5].
    pub(super) fn fill(&mut self, now: Now, id: LinkId, out: &mut VecDeque<Out>) {
        let Some(Entry { stage: Stage::Up(link), in_flight, connection, .. }) =
            self.links.get_mut(&id)
        else {
            return;
        };
        let Some(talk) = self.conversations.get_mut(&link.peer.id) else { return };
        if connection.is_some() {
            return self.fill_connection(now, id, out);
        }
        let room = LINK_WRITE_WINDOW.saturating_sub(*in_flight);
        let mut bytes = Vec::new();
        while bytes.len() + RECORD_OVERHEAD + MAX_RECORD <= room
            && (link.has_pulse() || talk.has_something_to_say())
        {
            if bytes.is_empty() {
                bytes.reserve((talk.unsent_bytes() + talk.unsent_bytes() / 8 + 96).min(room));
            }
            let start = link.begin(&mut bytes);
            link.put_pulse(now.mono, &mut bytes);
            let put = talk.put(now.mono, &mut bytes, record_end(start));
            if put.bytes > 0 {
                link.carried(now.mono);
            }
            link.seal(&mut bytes, start);
            self.counters.messages_resent += put.resent;
            self.counters.records_sent += 1;
        }
        let check = next_check(link, talk, self.config.heartbeat);
        self.deadlines.set_earliest(Wake::Link(id), check);
        if !bytes.is_empty() {
            self.write(now, id, bytes, out);
        }
    }

    /// Asks whether the peer of a session is there, and whether it takes what is sent to it
    /// [PROTOCOL 5.4, 5.5].
    pub(super) fn check_session(&mut self, now: Now, id: LinkId, out: &mut VecDeque<Out>) {
        self.note_progress(now, id);
        let Some(Entry { stage: Stage::Up(link), .. }) = self.links.get_mut(&id) else { return };
        let Some(talk) = self.conversations.get_mut(&link.peer.id) else { return };
        let peer = link.peer.id;
        let (reason, memory) =
            match link.check_liveness(now.mono, talk.waiting(), self.config.heartbeat) {
                Liveness::Gone => {
                    self.counters.probes_unanswered += 1;
                    (CloseReason::Timeout, Memory::Keep)
                }
                _ if talk.poll_patience() <= now.mono => {
                    self.counters.slow_readers += 1;
                    (CloseReason::SlowReader, Memory::Drop)
                }
                alive => {
                    let check = next_check(link, talk, self.config.heartbeat);
                    self.deadlines.set(Wake::Link(id), check);
                    match alive {
                        Liveness::Ask => self.ask_for_flush(now, id),
                        Liveness::Doubtful => {
                            let peer = link.peer;
                            self.dial_instead(now, peer, out);
                        }
                        Liveness::Fine | Liveness::Gone => {}
                    }
                    return;
                }
            };
        self.close_link(now, id, reason.clone(), out);
        let down = DownReason::ByUs(reason);
        if memory == Memory::Keep && self.is_confirming(&peer) {
            // The link that was dialled instead is about to come up.
            if let Some(talk) = self.conversations.get_mut(&peer) {
                talk.presence = Presence::Between(down);
            }
        } else {
            self.end_session(now, peer, down, memory, out);
        }
    }
}

pub(super) fn next_check(
    link: &Link,
    talk: &Conversation,
    heartbeat: crate::time::Duration,
) -> Instant {
    link.poll_liveness(talk.waiting(), heartbeat).min(talk.poll_patience())
}

/// What a frame came to.
enum Heard {
    Nothing,
    Message,
    Duplicate,
}

/// A session while its frames are heard.
struct Hearing<'a> {
    now: Instant,
    link: &'a mut Link,
    talk: &'a mut Conversation,
    out: &'a mut VecDeque<Out>,
}

impl Hearing<'_> {
    fn hear(&mut self, frame: Frame) -> Result<Heard, Fault> {
        match frame {
            Frame::Ping { token } => {
                self.talk.greeted(token);
                self.link.handle_ping(self.now, token)?;
            }
            Frame::Pong { token } => {
                self.link.handle_pong(self.now, token);
            }
            Frame::Message { lane, number, body } => {
                self.link.carried(self.now);
                return match self.talk.judge(lane, number)? {
                    Arrival::New => {
                        self.link.abandon(lane);
                        Ok(self.deliver(lane, body))
                    }
                    Arrival::Duplicate => Ok(self.remind(lane)),
                };
            }
            Frame::Part { lane, number, offset, total, body } => {
                self.link.carried(self.now);
                self.talk.assembling(self.now, lane);
                let arrival = self.talk.judge(lane, number)?;
                let end = u64::from(offset) + u64::try_from(body.len()).unwrap_or(u64::MAX);
                if arrival == Arrival::Duplicate {
                    let last = end == u64::from(total);
                    return Ok(if last { self.remind(lane) } else { Heard::Nothing });
                }
                if let Some(whole) =
                    self.link.assemble(self.now, lane, number, (offset, total), &body)?
                {
                    return Ok(self.deliver(lane, whole));
                }
            }
            Frame::Ack { lane, next } => {
                let out = &mut *self.out;
                self.talk.acknowledged(self.now, lane, next, |ticket| {
                    out.push_back(Out::Delivered { ticket });
                })?;
            }
            Frame::Close(reason) => return Err(Fault::Closed(reason)),
            Frame::Unknown { .. } => {}
        }
        Ok(Heard::Nothing)
    }

    fn deliver(&mut self, lane: Lane, body: bytes::Bytes) -> Heard {
        self.talk.took(lane);
        self.out.push_back(Out::Message { peer: self.link.peer.id, body });
        Heard::Message
    }

    fn remind(&mut self, lane: Lane) -> Heard {
        self.talk.remind(lane);
        Heard::Duplicate
    }
}
