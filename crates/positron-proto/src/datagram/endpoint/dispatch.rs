//! What arrives at an endpoint: whose is it, and what follows? And what is asked without a
//! connection.

use std::{collections::BTreeSet, net::SocketAddr};

use bytes::Bytes;

use super::{Endpoint, EndpointWake, is_agreed};
use crate::{
    datagram::{
        client_handshake::{HandshakeProgress, unsealed},
        connection::{Connection, Handled, OpenedPacket, SealedPacket},
        contract::{
            AnswerTooLong, Closed, ConnectionId, EndpointEvent, ExtraSocket, NotAsked, QueryEvent,
            QueryId, QueryReply, QueryTarget, StunAnswered,
        },
        half_open::{Knock, remote, sealed_reset},
        protection::Protection,
        query::{Answering, Asking, QueryGround},
        received_datagram::ReceivedDatagram,
    },
    handshake::{agreement::Agreement, expect::Direction},
    limits::{MAX_STUN_ANSWERS, STRAY_HINTS_PER_SECOND},
    rng::Seed,
    stun::{BindingAnswer, BindingRequest, StunMessage, TransactionId},
    time::{Instant, Now},
    wire::{
        frame::CloseReason,
        packet::{Hint, PacketType, QUERY_PATTERN, Syn},
    },
};

impl Endpoint {
    /// Asks a node something without a connection. One [`QueryEvent::Answered`] or
    /// [`QueryEvent::Failed`] of this name follows, after
    /// [`QUERY_TIMEOUT`](crate::limits::QUERY_TIMEOUT) at the latest, unless the query is given up
    /// by [`cancel_query`](Self::cancel_query). Nothing is said twice because it may be lost:
    /// whoever needs an answer asks several nodes.
    ///
    /// # Errors
    ///
    /// Nothing was asked, and why.
    pub fn query(
        &mut self,
        now: Now,
        to: QueryTarget,
        id: QueryId,
        body: Bytes,
    ) -> Result<(), NotAsked> {
        let wire = self.fresh_wire();
        let (_, asking, mut ground) = self.queries(now);
        let asked = asking.ask((id, to, body), wire, &mut ground);
        self.wake_queries();
        asked
    }

    /// The answer to a query is not wanted any more: no event follows.
    pub fn cancel_query(&mut self, id: QueryId) {
        self.asking.cancel(id);
        self.wake_queries();
    }

    /// Answers a query ([`QueryEvent::Asked`]), by at most [`QueryReply::room`] bytes.
    ///
    /// # Errors
    ///
    /// The answer is longer than that. Nothing was answered.
    pub fn answer_query(
        &mut self,
        now: Now,
        reply: QueryReply,
        body: &[u8],
    ) -> Result<(), AnswerTooLong> {
        let (answering, _, mut ground) = self.queries(now);
        answering.answer(reply, body, &mut ground)
    }

    /// The next thing that became of a query. Independent of [`poll_event`](Self::poll_event).
    pub fn poll_query(&mut self) -> Option<QueryEvent> {
        self.query_events.pop_front()
    }

    /// Datagrams arrived from one address, in one buffer: each has `segment_size` bytes but the
    /// last, which may have less. A `segment_size` of 0 stands for one datagram.
    pub fn handle_datagrams(
        &mut self,
        now: Now,
        from: SocketAddr,
        segment_size: usize,
        datagrams: &[u8],
    ) {
        let size = if segment_size == 0 { datagrams.len() } else { segment_size };
        for datagram in datagrams.chunks(size.max(1)) {
            self.counters.datagrams_received += 1;
            self.counters.bytes_received += u64::try_from(datagram.len()).unwrap_or(0);
            self.handle_datagram(now, from, datagram);
        }
        self.settle_arrived(now);
    }

    fn handle_datagram(&mut self, now: Now, from: SocketAddr, datagram: &[u8]) {
        let received = ReceivedDatagram::read(datagram);
        if !matches!(received, ReceivedDatagram::Sealed(_)) {
            self.settle_arrived(now);
        }
        match received {
            ReceivedDatagram::Sealed(header) => {
                self.handle_sealed(now, SealedPacket { from, header: &header, datagram });
            }
            ReceivedDatagram::Query(header) => {
                let (answering, _, mut ground) = self.queries(now);
                answering.handle_query(from, &header, datagram, &mut ground);
            }
            ReceivedDatagram::Answer(header) => {
                let (_, asking, mut ground) = self.queries(now);
                asking.handle_answer(from, &header, datagram, &mut ground);
                self.wake_queries();
            }
            ReceivedDatagram::Syn(syn) if syn.pattern == QUERY_PATTERN => {
                self.handle_query_syn(now, from, &syn);
            }
            ReceivedDatagram::Syn(syn) => self.handle_syn(now, from, &syn),
            ReceivedDatagram::SynAck { to, payload } => {
                self.handle_syn_ack(now, from, to, payload);
            }
            ReceivedDatagram::Ack { to, payload } => self.handle_ack(now, from, to, payload),
            ReceivedDatagram::Hint { of, hint } => self.handle_hint(now, from, of, hint),
            ReceivedDatagram::OtherSyn { theirs } => {
                self.counters.handshakes_failed += 1;
                let hint = unsealed(PacketType::Rst, theirs, |out| Hint::Version.encode(out));
                self.transmits.push(from, hint);
            }
            ReceivedDatagram::OtherHint { of } => self.handle_other_hint(from, of),
            ReceivedDatagram::Stun => self.handle_stun(now, from, datagram),
            ReceivedDatagram::Malformed => self.counters.malformed += 1,
        }
    }

    /// Asks by STUN how somebody sees the socket of this path, once; the answer is [`poll_stun`]'s
    /// to tell.
    ///
    /// [`poll_stun`]: Self::poll_stun
    pub fn ask_stun(&mut self, to: SocketAddr, id: TransactionId, hops: Option<u8>) {
        self.transmits.push_hops(to, BindingRequest::encode(id), hops);
    }

    /// The extra sockets over which connections go.
    pub fn extra_sockets(&self) -> BTreeSet<ExtraSocket> {
        let remotes = self.demux.views().filter_map(|view| view.remote);
        remotes.filter_map(|remote| ExtraSocket::split(remote.addr).0).collect()
    }

    /// Says by STUN that we see somebody there, once, as if he had asked us.
    pub fn answer_stun(&mut self, to: SocketAddr, id: TransactionId) {
        let (_, seen) = ExtraSocket::split(to);
        self.transmits.push(to, BindingAnswer::Mapped(seen).encode(&id, false));
    }

    /// The next answer to a STUN request, perhaps none of ours.
    pub fn poll_stun(&mut self) -> Option<StunAnswered> {
        self.stun_answers.pop_front()
    }

    fn handle_stun(&mut self, now: Now, from: SocketAddr, datagram: &[u8]) {
        if let Ok(StunMessage::Answer(id, answer)) = StunMessage::decode(datagram) {
            if self.stun_answers.len() < MAX_STUN_ANSWERS {
                let mapped = match answer {
                    BindingAnswer::Mapped(mapped) => Some(mapped),
                    BindingAnswer::Refused { .. } => None,
                };
                self.stun_answers.push_back(StunAnswered { from, id, mapped });
            }
            return;
        }
        let answer = self.bindings.answer(now.mono, from, datagram, &mut self.counters);
        if let Some(answer) = answer {
            self.transmits.push(from, answer);
        }
    }

    /// The hint of a node that speaks another version.
    fn handle_other_hint(&mut self, from: SocketAddr, wire: u32) {
        self.counters.malformed += 1;
        let id = self.demux.by_wire(wire);
        if let Some(dial) = id.and_then(|id| self.dials.get_mut(&id))
            && dial.to() == from
        {
            self.counters.resets_unauthenticated += 1;
            dial.handle_other_version();
        }
    }

    /// A SYN that asks and begins nothing: under pressure it needs a cookie like any other.
    fn handle_query_syn(&mut self, now: Now, from: SocketAddr, syn: &Syn<'_>) {
        if syn.connection == 0 {
            self.counters.malformed += 1;
            return;
        }
        let admission = &mut self.answering.admission;
        let is_asked_too_often = admission.is_pressed(now.mono, from);
        if is_asked_too_often || self.half_open.is_pressed(now.mono, from) {
            let (rng, counters) = (&mut self.rng, &mut self.counters);
            let cookie = self.half_open.wants_cookie((now.mono, from), syn, rng, counters);
            if let Some(cookie) = cookie {
                self.transmits.push(from, cookie);
                return;
            }
            if !admission.admit_proven(now.mono, from) {
                self.counters.queries_over_limit += 1;
                return;
            }
        } else {
            admission.count_unproven(now.mono, from);
        }
        self.half_open.note_computed(now.mono);
        let (answering, _, mut ground) = self.queries(now);
        answering.handle_syn(from, syn, &mut ground);
    }

    /// Both ends of queries, and what they need.
    pub(super) const fn queries(
        &mut self,
        now: Now,
    ) -> (&mut Answering, &mut Asking, QueryGround<'_>) {
        let ground = QueryGround {
            now: now.mono,
            local: &self.local,
            rng: &mut self.rng,
            transmits: &mut self.transmits,
            events: &mut self.query_events,
            counters: &mut self.counters,
        };
        (&mut self.answering, &mut self.asking, ground)
    }

    /// Queries of ours under way.
    #[cfg(test)]
    pub(in crate::datagram) fn queries_under_way(&self) -> usize {
        self.asking.len()
    }

    pub(super) fn wake_queries(&mut self) {
        self.deadlines.set_or_clear(EndpointWake::Query, self.asking.poll_timeout());
    }

    fn handle_syn(&mut self, now: Now, from: SocketAddr, syn: &Syn<'_>) {
        let ours = self.fresh_wire();
        let answer = self.half_open.handle_syn(
            (now.mono, from),
            syn,
            ours,
            &self.local,
            &mut self.rng,
            &mut self.counters,
        );
        self.wake_half_open();
        if let Some(answer) = answer {
            self.transmits.push(from, answer);
        }
    }

    fn handle_syn_ack(&mut self, now: Now, from: SocketAddr, wire: u32, payload: &[u8]) {
        if self.asking.knows(wire) {
            let (_, asking, mut ground) = self.queries(now);
            asking.handle_syn_ack(from, wire, payload, &mut ground);
            self.wake_queries();
            return;
        }
        let Some(id) = self.demux.by_wire(wire) else {
            self.counters.unknown_connections += 1;
            return;
        };
        match self.dials.get_mut(&id) {
            Some(dial) if !dial.is_agreed() => {
                if dial.to() != from {
                    self.counters.unknown_connections += 1;
                    return;
                }
                let progress = dial.handle_syn_ack(payload, &self.local);
                self.progress(now.mono, id, progress);
            }
            // Our ACK or first sealed packet may be lost, or this one was said twice.
            _ => self.ping_if_suspect(now, id),
        }
    }

    /// The third message of XX.
    fn handle_ack(&mut self, now: Now, from: SocketAddr, wire: u32, payload: &[u8]) {
        if self.half_open.knows(wire) {
            let (local, counters) = (&self.local, &mut self.counters);
            let overtook = self.half_open.handle_ack(from, wire, payload, local, counters);
            if let Some(datagram) = overtook {
                self.handle_datagram(now, from, &datagram);
            }
        } else if let Some(id) = self.demux.by_wire(wire) {
            self.ping_if_suspect(now, id);
        } else {
            self.counters.unknown_connections += 1;
        }
    }

    /// An unsealed RST.
    fn handle_hint(&mut self, now: Now, from: SocketAddr, wire: u32, hint: Hint) {
        if hint == Hint::NoSuchConnection {
            self.handle_no_such_connection(now, wire);
            return;
        }
        if self.asking.knows(wire) {
            self.counters.resets_unauthenticated += 1;
            if hint == Hint::NotThisKey {
                self.asking.handle_not_this_key(from, wire);
            }
            return;
        }
        let Some(id) = self.demux.by_wire(wire) else {
            self.counters.unknown_connections += 1;
            return;
        };
        self.counters.resets_unauthenticated += 1;
        match self.dials.get_mut(&id) {
            Some(dial) if !dial.is_agreed() => {
                if dial.to() == from {
                    let progress = dial.handle_hint(now.mono, hint, &self.local, &mut self.rng);
                    self.progress(now.mono, id, progress);
                }
            }
            _ => self.ping_if_suspect(now, id),
        }
    }

    /// Who says so knows only the id that we wrote to: the other end's.
    fn handle_no_such_connection(&mut self, now: Now, theirs: u32) {
        let suspects = self.demux.by_theirs(theirs);
        if suspects.is_empty() {
            self.counters.unknown_connections += 1;
        } else {
            self.counters.resets_unauthenticated += 1;
        }
        for id in suspects {
            self.ping_if_suspect(now, id);
        }
    }

    /// Somebody, perhaps the other end, doubts a connection: the other end is asked.
    fn ping_if_suspect(&mut self, now: Now, id: ConnectionId) {
        if let Some(connection) = self.demux.get_mut(id) {
            connection.ping_if_suspect(now.mono);
            self.settle(id);
        }
    }

    fn handle_sealed(&mut self, now: Now, packet: SealedPacket<'_>) {
        let wire = packet.header.connection;
        let id = self.demux.by_wire(wire);
        if self.arrived != id {
            self.settle_arrived(now);
        }
        if let Some(id) = id {
            let Some(connection) = self.demux.get_mut(id).filter(|_| is_agreed(&self.dials, id))
            else {
                self.counters.unknown_connections += 1;
                return;
            };
            let (out, counters) = (&mut self.opened, &mut self.counters);
            let handled = connection.handle_packet(now.mono, packet, out, counters);
            self.arrived = Some(id);
            if handled == Handled::Opened {
                self.forget_dial(id);
            }
        } else if self.half_open.knows(wire) {
            self.handle_first_sealed(now, packet);
        } else {
            self.handle_stray(now, packet);
        }
    }

    /// What follows for the connection whose packets arrived last: once for all of them that came
    /// together, for it costs as much as reading one.
    fn settle_arrived(&mut self, now: Now) {
        if let Some(id) = self.arrived.take() {
            self.settle(id);
            self.enforce_memory_budget(now);
        }
    }

    /// A stranger may prove to be live.
    fn handle_first_sealed(&mut self, now: Now, packet: SealedPacket<'_>) {
        let SealedPacket { from, header, datagram } = packet;
        let refuse = self.is_full().then_some(CloseReason::ConnectionsFull);
        let (out, counters) = (&mut self.opened, &mut self.counters);
        match self.half_open.handle_sealed(now.mono, packet, out, refuse, counters) {
            Knock::Nothing => self.wake_half_open(),
            Knock::Refused(reset) => self.transmits.push(from, reset),
            Knock::Live(accepted) => {
                let id = self.insert(now.mono, header.connection, Direction::Inbound);
                self.counters.connections += 1;
                self.demux.set_theirs(id, accepted.theirs);
                let Some(connection) = self.demux.get_mut(id) else { return };
                let (protection, theirs) = (accepted.protection, accepted.theirs);
                connection.secure(now.mono, protection, accepted.remote, theirs);
                let (number, frames) = (accepted.number, self.opened.as_slice());
                let opened = OpenedPacket { from, header, number, frames, len: datagram.len() };
                connection.handle_opened(now.mono, opened, &mut self.counters);
                self.wake_half_open();
                self.settle(id);
                self.enforce_memory_budget(now);
            }
        }
    }

    /// For no connection of ours: says so, so that a restart is noticed at once.
    fn handle_stray(&mut self, now: Now, packet: SealedPacket<'_>) {
        self.counters.unknown_connections += 1;
        // We do not know how the other end calls the connection, only how it calls ours. Never in
        // answer to an RST: two ends would go on for ever.
        let said = self.stray_hints.in_this_second(now.mono);
        if packet.header.kind == PacketType::Rst || said >= STRAY_HINTS_PER_SECOND {
            return;
        }
        self.stray_hints.count(now.mono);
        let hint = |out: &mut Vec<u8>| Hint::NoSuchConnection.encode(out);
        let hint = unsealed(PacketType::Rst, packet.header.connection, hint);
        self.transmits.push(packet.from, hint);
    }

    /// Notes when a handshake of ours wants to be woken.
    pub(super) fn wake_dial(&mut self, id: ConnectionId) {
        let next = self.dials.get(&id).map(|dial| dial.next());
        self.deadlines.set_or_clear(EndpointWake::Dial(id), next);
    }

    pub(super) fn wake_half_open(&mut self) {
        self.deadlines.set_or_clear(EndpointWake::HalfOpen, self.half_open.poll_timeout());
    }

    /// What a handshake of ours came to.
    pub(super) fn progress(&mut self, now: Instant, id: ConnectionId, progress: HandshakeProgress) {
        let Some(to) = self.dials.get(&id).map(|dial| dial.to()) else { return };
        match progress {
            HandshakeProgress::Nothing => {}
            HandshakeProgress::Say(datagram) => self.transmits.push(to, datagram),
            HandshakeProgress::Agreed(agreed, ack) => self.agreed(now, id, to, *agreed, ack),
            // Its last message was said often enough: what is silent is the connection.
            HandshakeProgress::Over(_) if is_agreed(&self.dials, id) => self.forget_dial(id),
            HandshakeProgress::Over(why) => self.fail_dial(id, why),
        }
        self.wake_dial(id);
    }

    fn fail_dial(&mut self, connection: ConnectionId, why: Closed) {
        self.counters.handshakes_failed += 1;
        self.forget(connection);
        self.events.push_back(EndpointEvent::Closed { connection, why });
    }

    /// The listener is known. Go on, or say sealed why not.
    fn agreed(
        &mut self,
        now: Instant,
        id: ConnectionId,
        to: SocketAddr,
        agreed: Agreement,
        ack: Option<Vec<u8>>,
    ) {
        let mut protection =
            Protection::tuned(&agreed.split, agreed.suite, agreed.role, self.tuning);
        let theirs = agreed.connection.unwrap_or_default();
        let is_last = ack.is_none();
        if let Some(ack) = ack {
            self.transmits.push(to, ack);
        }
        if let Some(reason) = agreed.refusal {
            if let Some(reset) = sealed_reset(now, &mut protection, theirs, &reason) {
                self.transmits.push(to, reset);
            }
            let why = match reason {
                CloseReason::SelfDial => Closed::Ourselves,
                CloseReason::WrongNode => Closed::WrongNode { found: agreed.id },
                reason => Closed::ByUs(reason),
            };
            self.fail_dial(id, why);
            return;
        }
        if is_last {
            self.forget_dial(id);
        } else if let Some(dial) = self.dials.get_mut(&id) {
            dial.handle_agreement(now);
        }
        self.demux.set_theirs(id, theirs);
        let Some(connection) = self.demux.get_mut(id) else { return };
        let remote = remote(&agreed, to, Direction::Outbound);
        connection.secure(now, protection, remote, theirs);
        self.counters.connections += 1;
        self.settle(id);
    }

    /// A connection id that nobody has here. 0 stands for none.
    pub(in crate::datagram) fn fresh_wire(&mut self) -> u32 {
        loop {
            let wire = u32::from_be_bytes(self.rng.bytes());
            if wire != 0 && !self.is_taken(wire) {
                return wire;
            }
        }
    }

    fn is_taken(&self, wire: u32) -> bool {
        self.demux.by_wire(wire).is_some() || self.half_open.knows(wire) || self.asking.knows(wire)
    }

    /// A new connection: a dial of ours, or a stranger who proved to be live.
    pub(in crate::datagram) fn insert(
        &mut self,
        now: Instant,
        wire: u32,
        direction: Direction,
    ) -> ConnectionId {
        let rng = Seed::new(self.rng.bytes()).stream("connection");
        let connection = Connection::new(now, &self.config, direction, rng, &mut self.windows);
        self.demux.insert(wire, connection)
    }

    /// Ends the connections that hold most while too much is held beyond what windows promised.
    fn enforce_memory_budget(&mut self, now: Now) {
        while let Some(greatest) = self.memory.beyond_windows() {
            let Some(connection) = self.demux.get_mut(greatest) else { return };
            connection.reset(now.mono, CloseReason::ConnectionsFull);
            self.settle(greatest);
        }
    }

    /// Keeps unfinished messages within their bound.
    pub(super) fn enforce_fragment_budget(&mut self) {
        while let Some(oldest) = self.memory.beyond_fragments() {
            let Some(connection) = self.demux.get_mut(oldest) else { return };
            if connection.give_up_oldest() == 0 {
                return;
            }
            self.memory.note(oldest, connection.unfinished(), connection.overdraft());
            self.counters.reassemblies_abandoned += 1;
            self.transmits.set_ready(oldest);
            let wake = EndpointWake::Connection(oldest);
            self.deadlines.set_or_clear(wake, connection.poll_timeout());
        }
    }
}
