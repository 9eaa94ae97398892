//! What arrives at an endpoint: whose is it?

use std::net::SocketAddr;

use super::{
    client_handshake::unsealed,
    connection::{Handled, OpenedPacket, SealedPacket},
    contract::ConnectionId,
    endpoint::{Endpoint, EndpointWake},
    half_open::Knock,
};
use crate::{
    limits::STRAY_HINTS_PER_SECOND,
    time::Now,
    wire::{
        frame::CloseReason,
        packet::{
            Flags, HEADER_LEN, Header, Hint, MAGIC, PacketType, Syn, VERSION, checksum,
            syn_of_another_version,
        },
    },
};

impl Endpoint {
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
    }

    fn handle_datagram(&mut self, now: Now, from: SocketAddr, datagram: &[u8]) {
        let Ok((header, sum)) = Header::decode(datagram) else {
            self.handle_foreign(from, datagram);
            return;
        };
        let kind = header.kind;
        let is_sealed = match kind {
            PacketType::Syn | PacketType::SynAck => false,
            // Which of two things it claims to be; each is then demanded to be it.
            PacketType::Ack | PacketType::Rst => header.flags.contains(Flags::ENCRYPTED),
            _ => true,
        };
        if is_sealed {
            self.handle_sealed(now, SealedPacket { from, header: &header, datagram });
            return;
        }
        // Nothing else protects them from accidents.
        if checksum(datagram) != sum {
            self.counters.malformed += 1;
            return;
        }
        let payload = &datagram[HEADER_LEN..];
        match kind {
            PacketType::Syn => self.handle_syn(now, from, &header, payload),
            PacketType::SynAck => self.handle_syn_ack(now, from, header.connection, payload),
            PacketType::Ack => self.handle_last(now, from, header.connection, payload),
            _ => self.handle_hint(now, from, header.connection, payload),
        }
    }

    /// It is none of ours, or of another version.
    fn handle_foreign(&mut self, from: SocketAddr, datagram: &[u8]) {
        if let Some((_, theirs)) = syn_of_another_version(datagram) {
            self.counters.handshakes_failed += 1;
            self.say(from, unsealed(PacketType::Rst, theirs, |out| Hint::Version.encode(out)));
            return;
        }
        self.counters.malformed += 1;
        let [MAGIC, version, kind, ..] = *datagram else { return };
        if version == VERSION || kind != PacketType::Rst as u8 {
            return;
        }
        // The hint of a node that speaks another version; where it has the id is a guess.
        let wire = datagram.get(HEADER_LEN - 4..HEADER_LEN).and_then(|id| id.first_chunk());
        let Some(id) = wire.and_then(|id| self.by_wire.get(&u32::from_be_bytes(*id))) else {
            return;
        };
        if let Some(dial) = self.rows.get_mut(id).and_then(|row| row.dial.as_deref_mut())
            && dial.to() == from
        {
            self.counters.resets_unsealed += 1;
            dial.handle_other_version();
        }
    }

    fn handle_syn(&mut self, now: Now, from: SocketAddr, header: &Header, payload: &[u8]) {
        let syn = match Syn::decode(payload) {
            Ok(syn) if header.connection == 0 => syn,
            _ => {
                self.counters.malformed += 1;
                return;
            }
        };
        let ours = self.fresh_wire();
        let answer = self.door.handle_syn(
            (now.mono, from),
            &syn,
            ours,
            &self.local,
            &mut self.rng,
            &mut self.counters,
        );
        self.wake_door();
        if let Some(answer) = answer {
            self.say(from, answer);
        }
    }

    fn handle_syn_ack(&mut self, now: Now, from: SocketAddr, wire: u32, payload: &[u8]) {
        let Some(id) = self.by_wire.get(&wire).copied() else {
            self.counters.unknown_connections += 1;
            return;
        };
        let Some(row) = self.rows.get_mut(&id) else { return };
        match &mut row.dial {
            Some(dial) if !dial.is_agreed() => {
                if dial.to() != from {
                    self.counters.unknown_connections += 1;
                    return;
                }
                let progress = dial.handle_syn_ack(payload, &self.local);
                self.progress(now, id, progress);
            }
            // Our ACK or first sealed packet may be lost, or this one was said twice.
            _ => self.ping_if_suspect(now, id),
        }
    }

    /// The third message of XX.
    fn handle_last(&mut self, now: Now, from: SocketAddr, wire: u32, payload: &[u8]) {
        if self.door.knows(wire) {
            self.door.handle_ack(from, wire, payload, &self.local, &mut self.counters);
        } else if let Some(id) = self.by_wire.get(&wire).copied() {
            self.ping_if_suspect(now, id);
        } else {
            self.counters.unknown_connections += 1;
        }
    }

    /// An unsealed RST.
    fn handle_hint(&mut self, now: Now, from: SocketAddr, wire: u32, payload: &[u8]) {
        let Ok(hint) = Hint::decode(payload) else {
            self.counters.malformed += 1;
            return;
        };
        if hint == Hint::NoSuchConnection {
            self.handle_no_such_connection(now, wire);
            return;
        }
        let Some(id) = self.by_wire.get(&wire).copied() else {
            self.counters.unknown_connections += 1;
            return;
        };
        self.counters.resets_unsealed += 1;
        let Some(row) = self.rows.get_mut(&id) else { return };
        match &mut row.dial {
            Some(dial) if !dial.is_agreed() => {
                if dial.to() == from {
                    let progress = dial.handle_hint(now.mono, hint, &self.local, &mut self.rng);
                    self.progress(now, id, progress);
                }
            }
            _ => self.ping_if_suspect(now, id),
        }
    }

    /// Who says so knows only the id that we wrote to: the other end's.
    fn handle_no_such_connection(&mut self, now: Now, theirs: u32) {
        let of_theirs = (theirs, ConnectionId(0))..=(theirs, ConnectionId(u64::MAX));
        let doubted = self.by_theirs.range(of_theirs).map(|(_, id)| *id);
        // Several ends chose one id once in a long while.
        let doubted: Vec<ConnectionId> = doubted.take(MAX_DOUBTED).collect();
        if doubted.is_empty() {
            self.counters.unknown_connections += 1;
        } else {
            self.counters.resets_unsealed += 1;
        }
        for id in doubted {
            self.ping_if_suspect(now, id);
        }
    }

    /// Somebody, perhaps the other end, doubts a connection: the other end is asked.
    fn ping_if_suspect(&mut self, now: Now, id: ConnectionId) {
        if let Some(row) = self.rows.get_mut(&id) {
            row.connection.ping_if_suspect(now.mono);
            self.settle(id);
        }
    }

    fn handle_sealed(&mut self, now: Now, packet: SealedPacket<'_>) {
        let SealedPacket { from, header, .. } = packet;
        if let Some(id) = self.by_wire.get(&header.connection).copied() {
            let Some(row) = self.rows.get_mut(&id).filter(|row| row.is_agreed()) else {
                self.counters.unknown_connections += 1;
                return;
            };
            let (out, counters) = (&mut self.opened, &mut self.counters);
            let handled = row.connection.handle_packet(now.mono, packet, out, counters);
            if handled == Handled::Opened {
                self.forget_dial(id);
            }
            self.settle(id);
            self.enforce_memory_budget(now);
        } else if self.door.knows(header.connection) {
            self.knock(now, packet);
        } else {
            self.handle_stray(now, from, header);
        }
    }

    /// A stranger may prove to be live.
    fn knock(&mut self, now: Now, packet: SealedPacket<'_>) {
        let SealedPacket { from, header, datagram } = packet;
        let refuse = self.is_full().then_some(CloseReason::SlotsFull);
        let (out, counters) = (&mut self.opened, &mut self.counters);
        match self.door.handle_sealed(now.mono, packet, out, refuse, counters) {
            Knock::Nothing => self.wake_door(),
            Knock::Refused(reset) => {
                self.say(from, reset);
            }
            Knock::Live(newcomer) => {
                let id = self.insert(now.mono, header.connection, None);
                self.counters.connections += 1;
                let Some(row) = self.rows.get_mut(&id) else { return };
                let theirs = newcomer.theirs;
                row.theirs = Some(theirs);
                self.by_theirs.insert((theirs, id));
                let connection = &mut row.connection;
                connection.secure(now.mono, newcomer.protection, newcomer.remote, theirs);
                let (number, frames) = (newcomer.number, self.opened.as_slice());
                let opened = OpenedPacket { from, header, number, frames, len: datagram.len() };
                connection.handle_opened(now.mono, opened, &mut self.counters);
                self.wake_door();
                self.settle(id);
                self.enforce_memory_budget(now);
            }
        }
    }

    /// For no connection of ours: says so, so that a restart is noticed at once.
    fn handle_stray(&mut self, now: Now, from: SocketAddr, header: &Header) {
        self.counters.unknown_connections += 1;
        // We do not know how the other end calls the connection, only how it calls ours. Never in
        // answer to an RST: two ends would go on for ever.
        let said = self.stray_hints.in_this_second(now.mono);
        if header.kind == PacketType::Rst || said >= STRAY_HINTS_PER_SECOND {
            return;
        }
        self.stray_hints.count(now.mono);
        let hint = |out: &mut Vec<u8>| Hint::NoSuchConnection.encode(out);
        self.say(from, unsealed(PacketType::Rst, header.connection, hint));
    }

    pub(super) fn wake_door(&mut self) {
        match self.door.poll_timeout() {
            Some(at) => self.deadlines.set(EndpointWake::Door, at),
            None => self.deadlines.clear(EndpointWake::Door),
        }
    }
}

/// Connections that one unsealed reset may concern.
const MAX_DOUBTED: usize = 4;
