//! From dial or accept to a session.

use std::{collections::VecDeque, net::SocketAddr};

use bytes::Bytes;

use super::{
    contract::{
        Dial, DialFailure, DialOutcome, Direction, DownReason, Hangup, LinkDown, Out, Peer, Purpose,
    },
    conversation::{Conversation, Presence},
    ending::Memory,
    handshake::{
        Answered, Heard, Initiator, NotOurs, Packet, Responder, Secured, Unheard, protocol_of,
    },
    link::{Fault, Link},
    sessions::{Sessions, Wake},
    table::{Entry, Parting, Place, Stage, TooMany},
};
use crate::{
    id::{LinkId, NodeId},
    limits::{HANDSHAKE_TIMEOUT, MAX_RECORD},
    time::Now,
    wire::frame::{CloseReason, Frame, Lane},
};

/// Whether to look at the bytes of a link once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Again,
    Enough,
}

impl Sessions {
    /// A dial of ours has a byte stream.
    pub fn connected(&mut self, now: Now, link: LinkId, out: &mut VecDeque<Out>) {
        let Some(entry) = self.links.get_mut(&link) else { return };
        let Stage::Connecting(dial) = entry.stage else { return };
        let (expect, theirs) = (dial.expect, dial.noise_static.as_ref());
        match Initiator::start(&self.local, expect, theirs, &mut self.rng) {
            Ok((initiator, syn)) => {
                entry.stage = Stage::Initiating(dial, Box::new(initiator));
                self.deadlines.set_earliest(Wake::Link(link), now.mono + HANDSHAKE_TIMEOUT);
                self.write(link, syn, out);
            }
            Err(_) => {
                let failure = DialFailure::Handshake("no handshake can be started");
                self.fail_dial(now, link, dial, failure, out);
            }
        }
    }

    /// Lets a stranger in front of the door, unless its address has too many links; the stranger
    /// who waits longest gives way when there are too many in all.
    pub(super) fn open_door(
        &mut self,
        now: Now,
        link: LinkId,
        from: SocketAddr,
        out: &mut VecDeque<Out>,
    ) {
        let stage = Stage::Responding(Box::new(Responder::Listening { after_ik: false }));
        match self.door.arrive(link, from) {
            Ok(place) => {
                self.links.insert(link, Entry::new(from, stage, place));
                self.deadlines.set(Wake::Link(link), now.mono + HANDSHAKE_TIMEOUT);
            }
            Err(TooMany) => {
                self.links.insert(link, Entry::new(from, Stage::Closing, Place::Free));
                self.counters.links_refused += 1;
                out.push_back(Out::Hangup { link, how: Hangup::Abort });
            }
        }
        if let Some(oldest) = self.door.oldest_beyond_limit() {
            self.counters.half_open_evicted += 1;
            self.hang_up(now, oldest, Hangup::Abort, out);
        }
    }

    /// Looks at what arrived on a link until more is needed.
    pub(super) fn advance(&mut self, now: Now, link: LinkId, out: &mut VecDeque<Out>) {
        loop {
            let Some(entry) = self.links.get(&link) else { return };
            let step = match entry.stage {
                Stage::Initiating(..) => self.initiate(now, link, out),
                Stage::Responding(_) => self.respond(now, link, out),
                Stage::Confirming(..) | Stage::Proving(_) | Stage::Knocking(_) => {
                    self.confirm(now, link, out)
                }
                Stage::Up(_) => {
                    self.converse(now, link, out);
                    Step::Enough
                }
                Stage::Connecting(_) | Stage::Closing => Step::Enough,
            };
            if step == Step::Enough {
                return;
            }
        }
    }

    fn initiate(&mut self, now: Now, link: LinkId, out: &mut VecDeque<Out>) -> Step {
        let Some(entry) = self.links.get_mut(&link) else { return Step::Enough };
        let packet = Packet::read(&mut entry.inbound);
        if let Ok(None) = packet {
            return Step::Enough;
        }
        let stage = core::mem::replace(&mut entry.stage, Stage::Closing);
        let Stage::Initiating(dial, initiator) = stage else { return Step::Enough };
        let answered = match packet {
            Ok(Some(packet)) => initiator.answer(&packet, &self.local, &mut self.rng),
            Ok(None) | Err(NotOurs) => {
                self.counters.not_positron += 1;
                Err(DialFailure::NotPositron(protocol_of(&entry.inbound.front(8))))
            }
        };
        match answered {
            Ok(Answered::Again(initiator, syn)) => {
                entry.stage = Stage::Initiating(dial, Box::new(initiator));
                self.write(link, syn, out);
                Step::Again
            }
            Ok(Answered::Secured(secured, ack)) => {
                self.secured_by_us(now, (link, dial), *secured, ack, out);
                Step::Again
            }
            Err(failure) => {
                self.counters.handshakes_failed += 1;
                self.fail_dial(now, link, dial, failure, out);
                Step::Enough
            }
        }
    }

    /// The listener is known. Confirm, or say sealed why not.
    fn secured_by_us(
        &mut self,
        now: Now,
        (id, dial): (LinkId, Dial),
        secured: Secured,
        mut bytes: Vec<u8>,
        out: &mut VecDeque<Out>,
    ) {
        let Some(entry) = self.links.get_mut(&id) else { return };
        let found = secured.id;
        let refusal = secured.refusal.clone();
        let mut link = Box::new(link_of(secured, entry.addr, Direction::Outbound, id, now));
        let probed = dial.purpose == Purpose::Probe;
        let Some(reason) = refusal.or(probed.then_some(CloseReason::Probe)) else {
            bytes.append(&mut link.first_ping(now.mono, id.number()));
            entry.stage = Stage::Confirming(dial, link, Parting::Possible);
            self.write(id, bytes, out);
            return;
        };
        bytes.append(&mut link.sealed(&[Frame::Close(reason.clone())]));
        self.write(id, bytes, out);
        self.hang_up(now, id, Hangup::Flush, out);
        let outcome = match reason {
            CloseReason::Probe => DialOutcome::Probed(found),
            CloseReason::SelfDial => DialOutcome::Failed(DialFailure::Ourselves),
            CloseReason::WrongNode => DialOutcome::Failed(DialFailure::WrongNode { found }),
            reason => DialOutcome::Failed(DialFailure::Closed(reason)),
        };
        if let DialOutcome::Failed(_) = outcome {
            self.counters.handshakes_failed += 1;
        }
        out.push_back(Out::DialEnded { dial, outcome });
    }

    fn respond(&mut self, now: Now, link: LinkId, out: &mut VecDeque<Out>) -> Step {
        let Some(entry) = self.links.get_mut(&link) else { return Step::Enough };
        let packet = Packet::read(&mut entry.inbound);
        if let Ok(None) = packet {
            return Step::Enough;
        }
        let stage = core::mem::replace(&mut entry.stage, Stage::Closing);
        let Stage::Responding(responder) = stage else { return Step::Enough };
        let heard = match packet {
            Ok(Some(packet)) => responder.hear(&packet, &self.local, &mut self.rng),
            Ok(None) | Err(NotOurs) => Err(Unheard::NotOurs),
        };
        match heard {
            Ok(Heard::Reply(responder, reply)) => {
                entry.stage = Stage::Responding(Box::new(responder));
                self.write(link, reply, out);
                return Step::Again;
            }
            Ok(Heard::Secured(secured, reply)) => {
                self.secured_by_them(now, link, *secured, reply, out);
                return Step::Again;
            }
            Ok(Heard::OtherVersion(hint)) => {
                self.counters.handshakes_failed += 1;
                self.write(link, hint, out);
                self.hang_up(now, link, Hangup::Flush, out);
            }
            // To garbage there is no answer [PROTOCOL 1].
            Err(Unheard::NotOurs) => {
                self.counters.not_positron += 1;
                self.hang_up(now, link, Hangup::Abort, out);
            }
            Err(Unheard::Broken) => {
                self.counters.handshakes_failed += 1;
                self.hang_up(now, link, Hangup::Abort, out);
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
        secured: Secured,
        mut bytes: Vec<u8>,
        out: &mut VecDeque<Out>,
    ) {
        let Some(entry) = self.links.get_mut(&id) else { return };
        let refusal = secured.refusal.clone();
        let mut link = Box::new(link_of(secured, entry.addr, Direction::Inbound, id, now));
        if let Some(reason) = refusal {
            self.counters.handshakes_failed += 1;
            bytes.append(&mut link.sealed(&[Frame::Close(reason)]));
            self.write(id, bytes, out);
            self.hang_up(now, id, Hangup::Flush, out);
            return;
        }
        entry.stage = Stage::Proving(link);
        if !bytes.is_empty() {
            self.write(id, bytes, out);
        }
    }

    /// One frame before the session is up.
    fn confirm(&mut self, now: Now, id: LinkId, out: &mut VecDeque<Out>) -> Step {
        let Some(Entry { stage, inbound, .. }) = self.links.get_mut(&id) else {
            return Step::Enough;
        };
        let (Stage::Confirming(_, link, _) | Stage::Proving(link) | Stage::Knocking(link)) = stage
        else {
            return Step::Enough;
        };
        let peer = link.peer;
        let frame = match link.next_frame(inbound, &mut self.counters.records_received) {
            Ok(None) => return Step::Enough,
            Ok(Some(Frame::Close(reason))) => Err(Fault::Closed(reason)),
            Ok(Some(frame)) => greet(now, stage, frame),
            Err(fault) => Err(fault),
        };
        match frame {
            Ok(Greeting::Nothing) => {}
            Ok(Greeting::Parting(body)) => out.push_back(Out::Parting { peer: peer.id, body }),
            Ok(Greeting::Live) => self.knock(now, id, out),
            Ok(Greeting::Agreed) => self.establish(now, id, out),
            Err(fault) => self.fail_unconfirmed(now, id, fault, out),
        }
        Step::Again
    }

    /// A node that dialled us is live. The node decides, unless there is a session already and the
    /// tie of two links is all that is to be broken.
    fn knock(&mut self, now: Now, id: LinkId, out: &mut VecDeque<Out>) {
        let Some(entry) = self.links.get_mut(&id) else { return };
        let stage = core::mem::replace(&mut entry.stage, Stage::Closing);
        let Stage::Proving(link) = stage else { return };
        let (peer, boot) = (link.peer, link.boot);
        entry.stage = Stage::Knocking(link);
        self.end_session_of_earlier_boot(now, peer.id, boot, out);
        if self.is_up(&peer.id) {
            self.establish(now, id, out);
        } else {
            out.push_back(Out::Knock(peer));
        }
    }

    /// Answers a [`Out::Knock`]: yes. [`Out::Up`] follows, unless there are as many sessions as
    /// there may be. Nothing happens if the link is gone.
    pub fn admit(&mut self, now: Now, link: LinkId, out: &mut VecDeque<Out>) {
        if let Some(Entry { stage: Stage::Knocking(_), .. }) = self.links.get(&link) {
            self.establish(now, link, out);
        }
    }

    /// Answers a [`Out::Knock`]: no. `parting` is an encoded message that goes before the reason;
    /// it is left out if it does not fit into one record. Nothing happens if the link is gone.
    pub fn refuse(
        &mut self,
        now: Now,
        link: LinkId,
        reason: CloseReason,
        parting: Option<Bytes>,
        out: &mut VecDeque<Out>,
    ) {
        let Some(entry) = self.links.get_mut(&link) else { return };
        let Stage::Knocking(knocking) = &mut entry.stage else { return };
        if reason == CloseReason::SlotsFull {
            self.counters.links_refused += 1;
        }
        let mut frames = Vec::new();
        if let Some(body) = parting.filter(|body| body.len() <= MAX_RECORD / 2) {
            frames.push(Frame::Message { lane: Lane::Control, number: 0, body });
        }
        frames.push(Frame::Close(reason));
        let bytes = knocking.sealed(&frames);
        self.counters.records_sent += 1;
        self.write(link, bytes, out);
        self.hang_up(now, link, Hangup::Flush, out);
    }

    /// Both ends agreed on this link. It becomes that of the session with this peer, or gives way
    /// to the one that is there.
    fn establish(&mut self, now: Now, id: LinkId, out: &mut VecDeque<Out>) {
        let Some(entry) = self.links.get(&id) else { return };
        let Some(link) = entry.link() else { return };
        let (peer, boot) = (link.peer, link.boot);
        let dial = match entry.stage {
            Stage::Confirming(dial, ..) => Some(dial),
            _ => None,
        };
        self.end_session_of_earlier_boot(now, peer.id, boot, out);
        let mut outcome = DialOutcome::Connected(peer.id);
        match self.conversations.get(&peer.id).map(|talk| talk.presence.clone()) {
            Some(Presence::Up(old)) => self.break_tie(now, peer, old, out),
            Some(Presence::Between(_)) => self.raise(now, id),
            Some(Presence::Dormant(_)) | None if self.sessions_up() >= self.config.max_links => {
                self.counters.links_refused += 1;
                self.close_link(now, id, CloseReason::SlotsFull, out);
                outcome = DialOutcome::Failed(DialFailure::Closed(CloseReason::SlotsFull));
            }
            Some(Presence::Dormant(_)) | None => {
                self.raise(now, id);
                self.counters.sessions += 1;
                out.push_back(Out::Up(peer));
            }
        }
        if let Some(dial) = dial {
            out.push_back(Out::DialEnded { dial, outcome });
        }
    }

    /// Two links between the same two nodes [PROTOCOL 5.2]: of links dialled from opposite ends the
    /// one dialled by the smaller id stays, so that both ends choose alike; of links dialled from
    /// the same end the newer one, as the dialler counts: the first PINGs may overtake each other.
    fn break_tie(&mut self, now: Now, new: Peer, old: LinkId, out: &mut VecDeque<Out>) {
        let links = [old, new.link].map(|id| self.links.get(&id).and_then(Entry::link));
        let [Some(older), Some(newer)] = links else { return };
        let (since, same_dialler) = (older.since, older.peer.direction == new.direction);
        let dialled_later = newer.order > older.order;
        let dialler_is_smaller = match new.direction {
            Direction::Outbound => self.local.me.node_id() < new.id,
            Direction::Inbound => new.id < self.local.me.node_id(),
        };
        if if same_dialler { dialled_later } else { dialler_is_smaller } {
            self.raise(now, new.link);
            if let Some(Entry { stage: Stage::Up(link), .. }) = self.links.get_mut(&new.link) {
                link.since = since;
            }
            self.close_link(now, old, CloseReason::Duplicate, out);
        } else {
            self.close_link(now, new.link, CloseReason::Duplicate, out);
        }
    }

    /// Makes a confirmed link the one of its conversation.
    fn raise(&mut self, now: Now, id: LinkId) {
        let Some(entry) = self.links.get_mut(&id) else { return };
        let stage = core::mem::replace(&mut entry.stage, Stage::Closing);
        let (Stage::Confirming(_, mut link, _) | Stage::Knocking(mut link)) = stage else {
            return;
        };
        entry.place = self.door.enter(entry.place, entry.addr);
        link.since = now.mono;
        link.carried(now.mono);
        let (peer, boot) = (link.peer.id, link.boot);
        entry.stage = Stage::Up(link);
        let talk =
            self.conversations.entry(peer).or_insert_with(|| Conversation::new(boot, now.mono));
        if let Presence::Dormant(until) = talk.presence {
            self.dormant.remove(&(until, peer));
        }
        let memory = talk.resume(now.mono, id, boot, &mut self.memories);
        if let Some(Entry { stage: Stage::Up(link), .. }) = self.links.get_mut(&id) {
            link.ask(memory);
        }
        self.deadlines.set(Wake::Link(id), now.mono);
        self.ask_for_flush(now, id);
    }

    /// The process that we talked to is gone if another one with its key is live.
    fn end_session_of_earlier_boot(
        &mut self,
        now: Now,
        peer: NodeId,
        boot: u64,
        out: &mut VecDeque<Out>,
    ) {
        let Some(talk) = self.conversations.get(&peer) else { return };
        if talk.boot == boot {
            return;
        }
        if let Presence::Up(old) = talk.presence {
            self.close_link(now, old, CloseReason::Duplicate, out);
        }
        self.end_session(now, peer, DownReason::Link(LinkDown::Reset), Memory::Keep, out);
    }

    /// A link with keys ends before it is a session.
    fn fail_unconfirmed(&mut self, now: Now, id: LinkId, fault: Fault, out: &mut VecDeque<Out>) {
        let Some(entry) = self.links.get(&id) else { return };
        let Some(peer) = entry.link().map(|link| link.peer.id) else { return };
        let dial = match entry.stage {
            Stage::Confirming(dial, ..) => Some(dial),
            _ => None,
        };
        let duplicate = fault == Fault::Closed(CloseReason::Duplicate) && self.is_up(&peer);
        if !duplicate && fault != Fault::Closed(CloseReason::Probe) {
            self.counters.handshakes_failed += 1;
        }
        self.accuse(peer, &fault, out);
        let outcome = match fault {
            Fault::Closed(reason) => {
                self.hang_up(now, id, Hangup::Flush, out);
                if duplicate {
                    DialOutcome::Connected(peer)
                } else {
                    DialOutcome::Failed(DialFailure::Closed(reason))
                }
            }
            Fault::Forged => {
                self.hang_up(now, id, Hangup::Abort, out);
                DialOutcome::Failed(DialFailure::Handshake("its first record does not open"))
            }
            Fault::Malformed(what) | Fault::Violation(what) | Fault::Flooding(what) => {
                let reason = CloseReason::Violation(what.into());
                self.close_link(now, id, reason.clone(), out);
                DialOutcome::Failed(DialFailure::Closed(reason))
            }
        };
        if let Some(dial) = dial {
            out.push_back(Out::DialEnded { dial, outcome });
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

fn greet(now: Now, stage: &mut Stage, frame: Frame) -> Result<Greeting, Fault> {
    match (stage, frame) {
        (_, Frame::Unknown { .. }) => Ok(Greeting::Nothing),
        (Stage::Confirming(_, link, _), Frame::Pong { token }) => {
            let answered = link.handle_pong(now.mono, token);
            Ok(if answered { Greeting::Agreed } else { Greeting::Nothing })
        }
        (Stage::Confirming(_, _, parting), Frame::Message { body, .. })
            if *parting == Parting::Possible =>
        {
            *parting = Parting::Said;
            Ok(Greeting::Parting(body))
        }
        (Stage::Proving(link), Frame::Ping { token }) => {
            link.order = token;
            link.handle_ping(now.mono, token).map(|()| Greeting::Live)
        }
        (Stage::Knocking(link), Frame::Ping { token }) => {
            link.handle_ping(now.mono, token).map(|()| Greeting::Nothing)
        }
        _ => Err(Fault::Violation("a frame before the session is up")),
    }
}

fn link_of(secured: Secured, addr: SocketAddr, direction: Direction, id: LinkId, now: Now) -> Link {
    let Secured { id: peer, key, noise_static, boot, keys, refusal: _ } = secured;
    let peer = Peer { id: peer, key, noise_static, addr, direction, link: id };
    Link::new(peer, boot, keys, now.mono)
}
