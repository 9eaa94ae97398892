//! From dial or accept to an authenticated node.

use std::{collections::VecDeque, net::SocketAddr};

use bytes::Bytes;

use super::{
    admission::{Quota, TooMany},
    carrier::LinkEnding,
    contract::{DialFailure, DialOutcome, LinkDown, LinkKind, Purpose, SessionEffect},
    fault::LinkFault,
    link::SessionLink,
    sessions::{SessionWake, Sessions},
    table::{LinkEntry, ReferralState, Stage},
};
use crate::{
    handshake::{Direction, RemoteNode},
    id::LinkId,
    limits::HANDSHAKE_TIMEOUT,
    time::Now,
    wire::frame::{CloseReason, Frame, Lane},
};

impl Sessions {
    /// Somebody opened a byte stream to us.
    pub fn handle_accepted(
        &mut self,
        now: Now,
        kind: LinkKind,
        link: LinkId,
        from: SocketAddr,
        out: &mut VecDeque<SessionEffect>,
    ) {
        self.carriers.streams.handle_accepted(link, from, None);
        self.admit_half_open(now, kind, link, from, Stage::Responding);
        self.settle(now, out);
    }

    /// Lets a stranger in front of the door, unless its address has too many links; the stranger
    /// who waits longest gives way when there are too many in all.
    fn admit_half_open(
        &mut self,
        now: Now,
        kind: LinkKind,
        link: LinkId,
        from: SocketAddr,
        stage: Stage,
    ) {
        self.counters.links_accepted += 1;
        match self.door.reserve(link, from) {
            Ok(place) => {
                self.links.insert(link, LinkEntry::new(kind, from, stage, place));
                self.deadlines.set(SessionWake::Link(link), now.mono + HANDSHAKE_TIMEOUT);
            }
            Err(TooMany) => {
                self.counters.links_refused += 1;
                self.links.insert(link, LinkEntry::new(kind, from, Stage::Closing, Quota::Free));
                self.carriers.of(kind).end(now, link, LinkEnding::Reset, CloseReason::SlotsFull);
            }
        }
        if let Some(oldest) = self.door.oldest_beyond_limit() {
            self.counters.half_open_evicted += 1;
            self.end_link(now, oldest, LinkEnding::Reset, CloseReason::SlotsFull);
        }
    }

    /// Something answers where we dialled.
    pub(super) fn handle_reached(&mut self, now: Now, link: LinkId) {
        let Some(entry) = self.links.get_mut(&link) else { return };
        if let Stage::Connecting(race) = entry.stage {
            entry.stage = Stage::Initiating(race);
            self.deadlines.set_earliest(SessionWake::Link(link), now.mono + HANDSHAKE_TIMEOUT);
        }
    }

    /// The other end of a link is known, and live if it dialled.
    pub(super) fn handle_authenticated(
        &mut self,
        now: Now,
        kind: LinkKind,
        id: LinkId,
        remote: RemoteNode,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let link = Box::new(SessionLink::new(&remote, id, kind, now.mono));
        match self.links.get_mut(&id) {
            None if remote.direction == Direction::Inbound => {
                let stage = Stage::AwaitFirstRecord(link);
                self.admit_half_open(now, kind, id, remote.addr, stage);
            }
            Some(entry) if matches!(entry.stage, Stage::Responding) => {
                entry.stage = Stage::AwaitFirstRecord(link);
            }
            Some(_) => self.confirm_dial(now, link, out),
            None => {}
        }
    }

    /// The node that we dialled is known. Confirm, or be gone if that is all we wanted to know.
    fn confirm_dial(
        &mut self,
        now: Now,
        mut link: Box<SessionLink>,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let (id, found) = (link.peer.link, link.peer.id);
        let instead = self.is_failover(&found);
        let Some(entry) = self.links.get_mut(&id) else { return };
        let (Stage::Connecting(race) | Stage::Initiating(race)) = entry.stage else { return };
        let Some(dial) = self.attempts.get(&race).map(|race| race.dial) else { return };
        if dial.purpose == Purpose::Probe {
            self.end_link(now, id, LinkEnding::Close, CloseReason::Probe);
            self.end_attempt(now, race, Some(id), DialOutcome::Probed(found), out);
            return;
        }
        let ping = link.first_ping(now.mono, id.number(), instead);
        entry.stage = Stage::AwaitPong(race, link, ReferralState::Possible);
        self.deadlines.set_earliest(SessionWake::Link(id), now.mono + HANDSHAKE_TIMEOUT);
        self.say(now, id, &ping);
    }

    /// One record came in, in this lane: its frames are dealt with before the next one.
    pub(super) fn handle_record(
        &mut self,
        now: Now,
        id: LinkId,
        lane: Lane,
        record: Bytes,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let Some(entry) = self.links.get_mut(&id) else { return };
        let order = self.carriers.of(entry.kind).order();
        let Some(link) = entry.link_mut() else { return };
        match link.take_record(order, lane, record) {
            Ok(()) => self.advance(now, id, out),
            Err(fault) => self.handle_failed(now, id, fault, out),
        }
    }

    /// Looks at the record at hand until there is nothing left of it.
    fn advance(&mut self, now: Now, link: LinkId, out: &mut VecDeque<SessionEffect>) {
        while let Some(entry) = self.links.get(&link) {
            match entry.stage {
                Stage::AwaitPong(..) | Stage::AwaitFirstRecord(_) | Stage::AwaitAdmission(_) => {
                    if !self.confirm(now, link, out) {
                        return;
                    }
                }
                Stage::Up(_) => return self.handle_frames(now, link, out),
                _ => return,
            }
        }
    }

    /// The other end has another address.
    pub(super) fn handle_moved(&mut self, link: LinkId, addr: SocketAddr) {
        let Some(entry) = self.links.get_mut(&link) else { return };
        self.door.handle_move(entry.place, entry.addr, addr);
        entry.addr = addr;
        if let Some(link) = entry.link_mut() {
            link.peer.addr = addr;
        }
    }

    /// A link cannot go on, or its other end does not want to.
    pub(super) fn handle_failed(
        &mut self,
        now: Now,
        id: LinkId,
        fault: LinkFault,
        out: &mut VecDeque<SessionEffect>,
    ) {
        match self.links.get(&id).map(|entry| &entry.stage) {
            Some(Stage::Connecting(race) | Stage::Initiating(race)) => {
                let race = *race;
                self.fail_handshake(now, id, race, fault, out);
            }
            Some(Stage::Responding) => self.fail_stranger(now, id, &fault),
            Some(Stage::AwaitPong(..) | Stage::AwaitFirstRecord(_) | Stage::AwaitAdmission(_)) => {
                self.fail_unconfirmed(now, id, fault, out);
            }
            Some(Stage::Up(_)) => self.fail_session(now, id, fault, out),
            Some(Stage::Closing) | None => {}
        }
    }

    /// Nothing came of a handshake of ours.
    fn fail_handshake(
        &mut self,
        now: Now,
        id: LinkId,
        race: super::attempt::AttemptId,
        fault: LinkFault,
        out: &mut VecDeque<SessionEffect>,
    ) {
        if let Some(LinkEntry { stage: Stage::Initiating(_), .. }) = self.links.get(&id) {
            self.counters.handshakes_failed += 1;
        }
        let failure = match fault {
            LinkFault::Handshake(failure) => failure,
            LinkFault::Closed(reason) => DialFailure::Closed(reason),
            LinkFault::Forged => DialFailure::Handshake("a record does not open"),
            LinkFault::Malformed(what) | LinkFault::Violation(what) | LinkFault::Flooding(what) => {
                DialFailure::Handshake(what)
            }
        };
        if let DialFailure::NotPositron(_) = failure {
            self.counters.protocol_mismatches += 1;
        }
        if failure.settles() {
            // What we have against the other end is said sealed.
            let reason = CloseReason::Timeout;
            self.end_link(now, id, LinkEnding::Answer, reason);
            self.attempt_failed(now, race, Some(id), failure, out);
        } else {
            self.fail_dial(now, id, race, failure, out);
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
        self.end_link(now, id, how, CloseReason::WrongVersion);
    }

    /// A link is no more: what that means for whoever dialled it, or for its session.
    pub(super) fn handle_closed(
        &mut self,
        now: Now,
        link: LinkId,
        why: LinkDown,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let Some(entry) = self.links.remove(&link) else { return };
        self.deadlines.clear(SessionWake::Link(link));
        self.lay_down(link);
        self.door.release(entry.place, entry.addr);
        let failure = DialFailure::Link(why.clone());
        match entry.stage {
            Stage::Connecting(race) => self.attempt_failed(now, race, Some(link), failure, out),
            Stage::Initiating(race) => {
                self.counters.handshakes_failed += 1;
                self.attempt_failed(now, race, Some(link), failure, out);
            }
            Stage::AwaitPong(race, up, _) => {
                self.counters.handshakes_failed += 1;
                self.attempt_failed(now, race, Some(link), failure, out);
                self.end_session_between_links(now, up.peer.id, out);
            }
            Stage::Responding | Stage::AwaitFirstRecord(_) | Stage::AwaitAdmission(_) => {
                self.counters.handshakes_failed += 1;
            }
            Stage::Up(up) => self.link_lost(now, up.peer.id, why, out),
            Stage::Closing => {}
        }
    }

    /// Says one frame of lane 0 on a link.
    pub(super) fn say(&mut self, now: Now, id: LinkId, frame: &Frame) {
        let Some(entry) = self.links.get(&id) else { return };
        let carrier = self.carriers.of(entry.kind);
        let mut record = carrier.begin(id);
        frame.encode(&mut record.bytes);
        carrier.send(now, id, Lane::CONTROL, record);
    }
}
