//! Links over datagram connections: what the endpoint says becomes what links do, and what sessions
//! say becomes messages of connections.

use std::{collections::VecDeque, net::SocketAddr};

use bytes::Bytes;

use super::{
    close::Retention,
    contract::{
        DialFailure, DialOutcome, DownReason, Hangup, LinkDown, LinkKind, Peer, Purpose,
        SessionEffect,
    },
    link::{Carrier, LinkFault, SessionLink},
    sessions::{SessionWake, Sessions},
    table::{LinkEntry, ReferralState, Stage, TooMany},
    transfer::next_check,
};
use crate::{
    datagram::contract::{
        Closed, ConnectionId, Delivery, EndpointEvent, LaneNumber, NotQueued, RemoteNode, Transmit,
    },
    handshake::expect::Direction,
    id::LinkId,
    limits::{HANDSHAKE_TIMEOUT, LINK_DATAGRAM_WINDOW, MAX_RECORD},
    time::Now,
    wire::frame::{CloseReason, Lane},
};

impl Sessions {
    /// Datagrams arrived from one address, in one buffer: each has `segment_size` bytes but the
    /// last, which may have less.
    pub fn handle_datagrams(
        &mut self,
        now: Now,
        from: SocketAddr,
        segment_size: usize,
        datagrams: &[u8],
        out: &mut VecDeque<SessionEffect>,
    ) {
        if self.config.transports.has(LinkKind::Udp) {
            self.endpoint.handle_datagrams(now, from, segment_size, datagrams);
            self.handle_connection_events(now, out);
        }
    }

    /// Fills `buf` (which is cleared first) with the next batch of datagrams to one address, at
    /// most `max_segments` of one size. Call it until `None` when an input is done with.
    pub fn poll_transmit(
        &mut self,
        now: Now,
        max_segments: usize,
        buf: &mut Vec<u8>,
    ) -> Option<Transmit> {
        self.endpoint.poll_transmit(now, max_segments, buf)
    }

    /// Deals with whatever happened to datagram connections.
    pub(super) fn handle_connection_events(&mut self, now: Now, out: &mut VecDeque<SessionEffect>) {
        while let Some(event) = self.endpoint.poll_event() {
            self.happened(now, event, out);
        }
        let has_room = |link: &LinkId| {
            let connection = self.links.get(link).and_then(|entry| entry.connection);
            let queued = connection.and_then(|connection| self.endpoint.queued_bytes(connection));
            queued.is_none_or(|queued| queued + MAX_RECORD <= LINK_DATAGRAM_WINDOW)
        };
        let these: Vec<LinkId> = self.hungry.iter().copied().filter(has_room).collect();
        for link in these {
            self.hungry.remove(&link);
            self.note_progress(now, link);
            self.ask_for_flush(now, link);
        }
    }

    fn happened(&mut self, now: Now, event: EndpointEvent, out: &mut VecDeque<SessionEffect>) {
        match event {
            EndpointEvent::Connected { connection, remote } => {
                self.connection_opened(now, connection, remote, out);
            }
            EndpointEvent::Accepted { connection, remote } => {
                self.connection_accepted(now, connection, remote, out);
            }
            EndpointEvent::Message { connection, lane, delivery, body } => {
                self.endpoint.release(now, connection, body.len());
                self.record_arrived(now, connection, (lane, delivery), body, out);
            }
            EndpointEvent::Moved { connection, addr } => self.connection_moved(connection, addr),
            EndpointEvent::Finished { connection, reason } => {
                self.told_goodbye(now, connection, LinkFault::Closed(reason), out);
            }
            EndpointEvent::Closed { connection, why } => {
                self.connection_closed(now, connection, why, out);
            }
            // A link has no streams: whoever opens one is told that nobody reads it.
            EndpointEvent::StreamReadable { connection, stream } => {
                self.endpoint.drop_stream(now, connection, stream);
            }
            // Whether there is room is looked at in any case.
            EndpointEvent::Drained { .. }
            | EndpointEvent::Writable { .. }
            | EndpointEvent::StreamWritable { .. }
            | EndpointEvent::StreamsAvailable { .. } => {}
        }
    }

    /// The node that we dialled is known. Confirm, or be gone if that is all we wanted to know.
    fn connection_opened(
        &mut self,
        now: Now,
        connection: ConnectionId,
        remote: RemoteNode,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let Some(&id) = self.by_connection.get(&connection) else { return };
        let Some(LinkEntry { stage: Stage::Connecting(race), .. }) = self.links.get(&id) else {
            return;
        };
        let race = *race;
        let Some(dial) = self.attempts.get(&race).map(|race| race.dial) else { return };
        if dial.purpose == Purpose::Probe {
            self.hang_up(now, id, Hangup::Flush, CloseReason::Probe, out);
            self.end_attempt(now, race, Some(id), DialOutcome::Probed(remote.id), out);
            return;
        }
        let mut link = link_of(&remote, Direction::Outbound, id, now);
        let instead = self.is_failover(&remote.id);
        let ping = link.first_ping(now.mono, id.number(), instead);
        self.deadlines.set(SessionWake::Link(id), now.mono + HANDSHAKE_TIMEOUT);
        if let Some(entry) = self.links.get_mut(&id) {
            entry.stage = Stage::AwaitPong(race, Box::new(link), ReferralState::Possible);
        }
        self.counters.records_sent += 1;
        self.write(now, id, ping, out);
    }

    /// A node dialled us, and is live: its connection says so. Its first PING is to come.
    fn connection_accepted(
        &mut self,
        now: Now,
        connection: ConnectionId,
        remote: RemoteNode,
        out: &mut VecDeque<SessionEffect>,
    ) {
        self.counters.accepts += 1;
        let id = LinkId::accepted_by_datagrams(self.accepted);
        self.accepted += 1;
        match self.door.reserve(id, remote.addr) {
            Ok(place) => {
                let link = link_of(&remote, Direction::Inbound, id, now);
                let entry =
                    LinkEntry::new(remote.addr, Stage::AwaitFirstRecord(Box::new(link)), place);
                self.links.insert(id, entry.over(connection));
                self.by_connection.insert(connection, id);
                self.deadlines.set(SessionWake::Link(id), now.mono + HANDSHAKE_TIMEOUT);
            }
            Err(TooMany) => {
                self.counters.links_refused += 1;
                self.endpoint.reset(now, connection, CloseReason::SlotsFull);
            }
        }
        self.evict_half_open(now, out);
    }

    fn record_arrived(
        &mut self,
        now: Now,
        connection: ConnectionId,
        (lane, delivery): (LaneNumber, Delivery),
        body: Bytes,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let Some(&id) = self.by_connection.get(&connection) else { return };
        let Some(link) = self.links.get_mut(&id).and_then(LinkEntry::link_mut) else { return };
        self.counters.records_received += 1;
        let taken = match delivery {
            Delivery::Ordered => link.take_record(lane, body),
            _ => Err(LinkFault::Violation("a record that is not in order")),
        };
        match taken {
            Ok(()) => self.advance(now, id, out),
            Err(fault) => self.told_goodbye(now, connection, fault, out),
        }
    }

    fn connection_moved(&mut self, connection: ConnectionId, addr: SocketAddr) {
        let Some(id) = self.by_connection.get(&connection) else { return };
        let Some(entry) = self.links.get_mut(id) else { return };
        self.door.moved(entry.place, entry.addr, addr);
        entry.addr = addr;
        if let Some(link) = entry.link_mut() {
            link.peer.addr = addr;
        }
    }

    /// A link with keys cannot go on, or its other end does not want to.
    fn told_goodbye(
        &mut self,
        now: Now,
        connection: ConnectionId,
        fault: LinkFault,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let Some(&id) = self.by_connection.get(&connection) else { return };
        match self.links.get(&id).map(|entry| &entry.stage) {
            Some(Stage::Up(_)) => self.fail_session(now, id, fault, out),
            Some(Stage::AwaitPong(..) | Stage::AwaitFirstRecord(_) | Stage::AwaitAdmission(_)) => {
                self.fail_unconfirmed(now, id, fault, out);
            }
            _ => {}
        }
    }

    fn connection_closed(
        &mut self,
        now: Now,
        connection: ConnectionId,
        why: Closed,
        out: &mut VecDeque<SessionEffect>,
    ) {
        match &why {
            Closed::ByPeer(reason) => {
                self.told_goodbye(now, connection, LinkFault::Closed(reason.clone()), out);
            }
            Closed::Violation { what, misbehavior } => {
                let fault = LinkFault::of(what, *misbehavior);
                self.told_goodbye(now, connection, fault, out);
            }
            _ => {}
        }
        let Some(id) = self.by_connection.remove(&connection) else { return };
        let down = match &why {
            Closed::NoAnswer | Closed::Silent => LinkDown::TimedOut,
            Closed::ByUs(_) => LinkDown::HungUp,
            Closed::ByPeer(_) => LinkDown::Reset,
            _ => LinkDown::Other(why.to_string()),
        };
        let failure = match why {
            Closed::ByUs(reason) | Closed::ByPeer(reason) => DialFailure::Closed(reason),
            Closed::Handshake(what) => DialFailure::Handshake(what),
            Closed::WrongNode { found } => DialFailure::WrongNode { found },
            Closed::Ourselves => DialFailure::Ourselves,
            Closed::Violation { what, .. } => DialFailure::Handshake(what),
            Closed::NoAnswer | Closed::Silent | Closed::CipherLimit => {
                DialFailure::Link(down.clone())
            }
        };
        self.link_gone(now, id, failure, down, out);
    }

    /// Gives one record of lane 0 or of a given lane to a connection.
    ///
    /// The caller saw that there is room. If the connection refuses all the same it is of no use:
    /// what it was given comes again over the next one.
    fn give(
        &mut self,
        now: Now,
        id: LinkId,
        lane: Lane,
        record: Vec<u8>,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let Some(entry) = self.links.get_mut(&id) else { return };
        let Some(connection) = entry.connection else { return };
        entry.in_flight += record.len();
        let lane = lane as LaneNumber;
        let given = self.endpoint.send(now, connection, lane, Delivery::Ordered, record.into());
        // That it is closed, and why, is said by an event.
        if let Ok(()) | Err(NotQueued::Closed) = given {
            return;
        }
        let peer = entry.link().map(|link| link.peer.id);
        let was_up = matches!(entry.stage, Stage::Up(_));
        if let Some(race) = entry.race() {
            let failure = DialFailure::Link(LinkDown::Reset);
            return self.fail_dial(now, id, race, failure, out);
        }
        self.hang_up(now, id, Hangup::Abort, CloseReason::Timeout, out);
        if let Some(peer) = peer.filter(|_| was_up) {
            self.end_session(now, peer, DownReason::Link(LinkDown::Reset), Retention::Keep, out);
        }
    }

    /// Gives a record to a link, whatever it is made of: sealed bytes to a stream, or frames of
    /// lane 0 to a connection.
    pub(super) fn write(
        &mut self,
        now: Now,
        id: LinkId,
        bytes: Vec<u8>,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let Some(entry) = self.links.get_mut(&id) else { return };
        if entry.connection.is_some() {
            return self.give(now, id, Lane::Control, bytes, out);
        }
        entry.in_flight += bytes.len();
        self.counters.bytes_sent += u64::try_from(bytes.len()).unwrap_or(0);
        out.push_back(SessionEffect::Write { link: id, bytes: bytes.into() });
    }

    /// Takes note of what the other end's endpoint acknowledged, and of when it was heard.
    pub(super) fn note_progress(&mut self, now: Now, id: LinkId) {
        let Some(LinkEntry {
            stage: Stage::Up(link), in_flight, connection: Some(connection), ..
        }) = self.links.get_mut(&id)
        else {
            return;
        };
        let Some(talk) = self.sessions.get_mut(&link.peer.id) else { return };
        if let Some(then) = self.endpoint.heard(*connection) {
            link.heard_then(then);
        }
        let queued = self.endpoint.queued_bytes(*connection).unwrap_or(0);
        if let Some(taken) = in_flight.checked_sub(queued).filter(|taken| *taken > 0) {
            talk.written(now.mono, taken);
        }
        *in_flight = queued;
    }

    /// Fills records from the lanes of a session, most urgent first: one lane of the connection for
    /// each, up to the window. What does not fit waits in its lane, where it can still move to
    /// another link.
    pub(super) fn fill_connection(
        &mut self,
        now: Now,
        id: LinkId,
        out: &mut VecDeque<SessionEffect>,
    ) {
        self.note_progress(now, id);
        for lane in Lane::ALL {
            // What is urgent does not wait behind what is not.
            let urgent = if lane == Lane::Control { MAX_RECORD } else { 0 };
            loop {
                let Some(LinkEntry { stage: Stage::Up(link), in_flight, .. }) =
                    self.links.get_mut(&id)
                else {
                    return;
                };
                let Some(talk) = self.sessions.get_mut(&link.peer.id) else { return };
                if *in_flight + MAX_RECORD > LINK_DATAGRAM_WINDOW + urgent {
                    break;
                }
                let mut record = Vec::new();
                if lane == Lane::Control {
                    link.put_keep_alive(now.mono, &mut record);
                    talk.put_acks(now.mono, &mut record);
                }
                let put = talk.put_lane(lane, &mut record, MAX_RECORD);
                if put.bytes > 0 {
                    link.carried(now.mono);
                }
                if record.is_empty() {
                    break;
                }
                self.counters.messages_resent += put.resent;
                self.counters.records_sent += 1;
                self.give(now, id, lane, record, out);
            }
        }
        let Some(LinkEntry { stage: Stage::Up(link), .. }) = self.links.get(&id) else { return };
        let Some(talk) = self.sessions.get(&link.peer.id) else { return };
        if link.has_keep_alive() || talk.has_something_to_say() {
            self.hungry.insert(id);
        }
        let check = next_check(link, talk, self.config.heartbeat);
        self.deadlines.set_earliest(SessionWake::Link(id), check);
    }
}

fn link_of(remote: &RemoteNode, direction: Direction, link: LinkId, now: Now) -> SessionLink {
    let RemoteNode { id, key, noise_static, boot, addr, direction: _ } = *remote;
    let peer = Peer { id, key, noise_static, addr, direction, link };
    SessionLink::new(peer, boot, Carrier::Datagrams(0), now.mono)
}
