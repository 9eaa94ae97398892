//! From dial or accept to keys.

use std::{collections::VecDeque, net::SocketAddr};

use super::{
    contract::{DialFailure, DialOutcome, Hangup, Peer, Purpose, SessionEffect},
    handshake::{
        Answered, Heard, Initiator, NotOurs, Packet, Responder, StreamHandshakeError, protocol_of,
    },
    happy_eyeballs::AttemptId,
    link::{Carrier, SessionLink},
    record::Keys,
    sessions::{SessionWake, Sessions},
    table::{LinkEntry, Quota, ReferralState, Stage, TooMany},
};
use crate::{
    handshake::{agreement::Agreement, expect::Direction},
    id::LinkId,
    limits::HANDSHAKE_TIMEOUT,
    time::Now,
    wire::frame::{CloseReason, Frame},
};

/// Whether to look at the bytes of a link once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Again,
    Enough,
}

impl Sessions {
    /// A dial of ours has a byte stream.
    pub fn handle_connected(&mut self, now: Now, link: LinkId, out: &mut VecDeque<SessionEffect>) {
        let Some(entry) = self.links.get_mut(&link) else { return };
        let Stage::Connecting(race) = entry.stage else { return };
        let Some(dial) = self.attempts.get(&race).map(|race| race.dial) else { return };
        let (expect, theirs) = (dial.expect, dial.noise_static.as_ref());
        match Initiator::start(&self.local, expect, theirs, &mut self.rng) {
            Ok((initiator, syn)) => {
                entry.stage = Stage::Initiating(race, Box::new(initiator));
                self.deadlines.set_earliest(SessionWake::Link(link), now.mono + HANDSHAKE_TIMEOUT);
                self.write(now, link, syn, out);
            }
            Err(_) => {
                let failure = DialFailure::Handshake("no handshake can be started");
                self.fail_dial(now, link, race, failure, out);
            }
        }
    }

    /// Lets a stranger in front of the door, unless its address has too many links; the stranger
    /// who waits longest gives way when there are too many in all.
    pub(super) fn admit_half_open(
        &mut self,
        now: Now,
        link: LinkId,
        from: SocketAddr,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let stage = Stage::Responding(Box::new(Responder::Listening { after_ik: false }));
        match self.door.reserve(link, from) {
            Ok(place) => {
                self.links.insert(link, LinkEntry::new(from, stage, place));
                self.deadlines.set(SessionWake::Link(link), now.mono + HANDSHAKE_TIMEOUT);
            }
            Err(TooMany) => {
                self.links.insert(link, LinkEntry::new(from, Stage::Closing, Quota::Free));
                self.counters.links_refused += 1;
                out.push_back(SessionEffect::Hangup { link, how: Hangup::Abort });
            }
        }
        self.evict_half_open(now, out);
    }

    /// Lets the stranger go who waits longest, if there are too many.
    pub(super) fn evict_half_open(&mut self, now: Now, out: &mut VecDeque<SessionEffect>) {
        if let Some(oldest) = self.door.oldest_beyond_limit() {
            self.counters.half_open_evicted += 1;
            self.hang_up(now, oldest, Hangup::Abort, CloseReason::SlotsFull, out);
        }
    }

    /// Looks at what arrived on a link until more is needed.
    pub(super) fn advance(&mut self, now: Now, link: LinkId, out: &mut VecDeque<SessionEffect>) {
        loop {
            let Some(entry) = self.links.get(&link) else { return };
            let step = match entry.stage {
                Stage::Initiating(..) => self.initiate(now, link, out),
                Stage::Responding(_) => self.respond(now, link, out),
                Stage::AwaitPong(..) | Stage::AwaitFirstRecord(_) | Stage::AwaitAdmission(_) => {
                    self.confirm(now, link, out)
                }
                Stage::Up(_) => {
                    self.handle_frames(now, link, out);
                    Step::Enough
                }
                Stage::Connecting(_) | Stage::Closing => Step::Enough,
            };
            if step == Step::Enough {
                return;
            }
        }
    }

    fn initiate(&mut self, now: Now, link: LinkId, out: &mut VecDeque<SessionEffect>) -> Step {
        let Some(entry) = self.links.get_mut(&link) else { return Step::Enough };
        let packet = Packet::read(&mut entry.inbound);
        if let Ok(None) = packet {
            return Step::Enough;
        }
        let stage = core::mem::replace(&mut entry.stage, Stage::Closing);
        let Stage::Initiating(race, initiator) = stage else { return Step::Enough };
        let answered = match packet {
            Ok(Some(packet)) => initiator.answer(&packet, &self.local, &mut self.rng),
            Ok(None) | Err(NotOurs) => {
                self.counters.not_positron += 1;
                Err(DialFailure::NotPositron(protocol_of(&entry.inbound.front(8))))
            }
        };
        match answered {
            Ok(Answered::Again(initiator, syn)) => {
                entry.stage = Stage::Initiating(race, Box::new(initiator));
                self.write(now, link, syn, out);
                Step::Again
            }
            Ok(Answered::Secured(secured, ack)) => {
                self.secured_by_us(now, (link, race), *secured, ack, out);
                Step::Again
            }
            Err(failure) => {
                self.counters.handshakes_failed += 1;
                self.fail_dial(now, link, race, failure, out);
                Step::Enough
            }
        }
    }

    /// The listener is known. Confirm, or say sealed why not.
    fn secured_by_us(
        &mut self,
        now: Now,
        (id, race): (LinkId, AttemptId),
        secured: Agreement,
        mut bytes: Vec<u8>,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let records_per_key = self.local.records_per_key;
        let found = secured.id;
        let instead = self.is_failover(&found);
        let Some(dial) = self.attempts.get(&race).map(|race| race.dial) else { return };
        let Some(entry) = self.links.get_mut(&id) else { return };
        let refusal = secured.refusal.clone();
        let mut link =
            Box::new(link_of(secured, records_per_key, entry.addr, Direction::Outbound, id, now));
        let probed = dial.purpose == Purpose::Probe;
        let Some(reason) = refusal.or(probed.then_some(CloseReason::Probe)) else {
            bytes.append(&mut link.first_ping(now.mono, id.number(), instead));
            entry.stage = Stage::AwaitPong(race, link, ReferralState::Possible);
            self.write(now, id, bytes, out);
            return;
        };
        bytes.append(&mut link.sealed(&[Frame::Close(reason.clone())]));
        self.write(now, id, bytes, out);
        self.hang_up(now, id, Hangup::Flush, reason.clone(), out);
        let outcome = match reason {
            CloseReason::Probe => DialOutcome::Probed(found),
            CloseReason::SelfDial => DialOutcome::Failed(DialFailure::Ourselves),
            CloseReason::WrongNode => DialOutcome::Failed(DialFailure::WrongNode { found }),
            reason => DialOutcome::Failed(DialFailure::Closed(reason)),
        };
        if let DialOutcome::Failed(_) = outcome {
            self.counters.handshakes_failed += 1;
        }
        self.end_attempt(now, race, Some(id), outcome, out);
    }

    fn respond(&mut self, now: Now, link: LinkId, out: &mut VecDeque<SessionEffect>) -> Step {
        let Some(entry) = self.links.get_mut(&link) else { return Step::Enough };
        let packet = Packet::read(&mut entry.inbound);
        if let Ok(None) = packet {
            return Step::Enough;
        }
        let stage = core::mem::replace(&mut entry.stage, Stage::Closing);
        let Stage::Responding(responder) = stage else { return Step::Enough };
        let heard = match packet {
            Ok(Some(packet)) => responder.hear(&packet, &self.local, &mut self.rng),
            Ok(None) | Err(NotOurs) => Err(StreamHandshakeError::NotOurs),
        };
        match heard {
            Ok(Heard::Reply(responder, reply)) => {
                entry.stage = Stage::Responding(Box::new(responder));
                self.write(now, link, reply, out);
                return Step::Again;
            }
            Ok(Heard::Secured(secured, reply)) => {
                self.secured_by_them(now, link, *secured, reply, out);
                return Step::Again;
            }
            Ok(Heard::OtherVersion(hint)) => {
                self.counters.handshakes_failed += 1;
                self.write(now, link, hint, out);
                self.hang_up(now, link, Hangup::Flush, CloseReason::WrongVersion, out);
            }
            // To garbage there is no answer [PROTOCOL 1].
            Err(StreamHandshakeError::NotOurs) => {
                self.counters.not_positron += 1;
                self.hang_up(now, link, Hangup::Abort, CloseReason::WrongVersion, out);
            }
            Err(StreamHandshakeError::Broken) => {
                self.counters.handshakes_failed += 1;
                self.hang_up(now, link, Hangup::Abort, CloseReason::WrongVersion, out);
            }
        }
        Step::Enough
    }

    /// The dialler is known, if it is not an old message sent again: nothing happens before its
    /// first record opens [PROTOCOL 5.2].
    fn secured_by_them(
        &mut self,
        now: Now,
        id: LinkId,
        secured: Agreement,
        mut bytes: Vec<u8>,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let records_per_key = self.local.records_per_key;
        let Some(entry) = self.links.get_mut(&id) else { return };
        let refusal = secured.refusal.clone();
        let mut link =
            Box::new(link_of(secured, records_per_key, entry.addr, Direction::Inbound, id, now));
        if let Some(reason) = refusal {
            self.counters.handshakes_failed += 1;
            bytes.append(&mut link.sealed(&[Frame::Close(reason.clone())]));
            self.write(now, id, bytes, out);
            self.hang_up(now, id, Hangup::Flush, reason, out);
            return;
        }
        entry.stage = Stage::AwaitFirstRecord(link);
        if !bytes.is_empty() {
            self.write(now, id, bytes, out);
        }
    }
}

fn link_of(
    agreed: Agreement,
    records_per_key: u64,
    addr: SocketAddr,
    direction: Direction,
    id: LinkId,
    now: Now,
) -> SessionLink {
    let Agreement { id: peer, key, noise_static, boot, split, suite, role, .. } = agreed;
    let keys = Keys::derive(&split, suite, role, records_per_key);
    let peer = Peer { id: peer, key, noise_static, addr, direction, link: id };
    SessionLink::new(peer, boot, Carrier::Stream(keys), now.mono)
}
