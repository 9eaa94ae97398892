//! What the network and the time bring to a connection, and what it sends.

use std::net::SocketAddr;

use super::{
    Connection,
    data::Carried,
    event::ConnectionEvent,
    packet::{Handled, OpenedPacket, SealedPacket},
    packet_space::PacketSpace,
    send_control::Progress,
};
use crate::{
    datagram::{
        contract::{Closed, ConnectionState, EndpointCounters, Transmit},
        protection::{Exhausted, Unopened},
    },
    limits::PROBE_SIZE_FROM,
    time::{Instant, earliest},
    wire::{frame::CloseReason, packet::PacketType},
};

impl Connection {
    /// A sealed packet for this connection, which is opened into `out`: the same for each packet,
    /// so that it costs no memory.
    pub(in crate::datagram) fn handle_packet(
        &mut self,
        now: Instant,
        packet: SealedPacket<'_>,
        out: &mut Vec<u8>,
        counters: &mut EndpointCounters,
    ) -> Handled {
        let Some(space) = &mut self.space else {
            return Handled::NotOpened(Unopened::NotSealed);
        };
        let SealedPacket { from, header, datagram } = packet;
        match space.open(now, header, datagram, out) {
            Ok(number) => {
                let len = datagram.len();
                let opened = OpenedPacket { from, header, number, frames: out, len };
                self.handle_opened(now, opened, counters);
                Handled::Opened
            }
            Err(why) => {
                counters.not_opened(why);
                if space.is_at_cipher_limit() {
                    self.abort(now, Closed::CipherLimit);
                }
                Handled::NotOpened(why)
            }
        }
    }

    /// A packet for this connection that was opened.
    pub(in crate::datagram) fn handle_opened(
        &mut self,
        now: Instant,
        packet: OpenedPacket<'_>,
        counters: &mut EndpointCounters,
    ) {
        let Some(space) = &mut self.space else { return };
        let kind = packet.header.kind;
        if self.lifecycle.is_closed() {
            return self.lifecycle.handle_late_packet(kind);
        }
        counters.packets_opened += 1;
        self.wire_bytes.received += u64::try_from(packet.len).unwrap_or(0);
        let deaf = !self.lifecycle.state().hears_messages();
        let (carried, rng) = (&mut self.carried, &mut self.rng);
        let arrival = match space.handle_opened(now, packet, deaf, carried, rng, counters) {
            Ok(arrival) => arrival,
            Err(violation) => {
                let event = self.lifecycle.handle_violation(now, violation, Some(space.rtt()));
                self.events.extend(event);
                return;
            }
        };
        if let Some(addr) = arrival.moved {
            self.handle_move(addr, counters);
        }
        self.handle_progress(now, &arrival.progress);
        if let Some(reason) = arrival.close {
            self.handle_close(now, kind, reason);
        }
        if arrival.said {
            self.lifecycle.handle_arrival(now);
        }
        if arrival.was_quiet {
            // Most connections are idle.
            self.events.shrink_to_fit();
            self.carried.incoming.shrink();
        }
    }

    /// An unauthenticated word about this connection arrived: the other end is asked for a sign of
    /// life, at most ten times a second. Nothing else changes.
    pub(in crate::datagram) fn ping_if_suspect(&mut self, now: Instant) {
        if let Some(space) = &mut self.space {
            space.handle_suspicion(now);
        }
    }

    /// Fills `buf`, which is cleared first, with the next batch.
    pub(in crate::datagram) fn poll_transmit(
        &mut self,
        now: Instant,
        max_segments: usize,
        buf: &mut Vec<u8>,
        counters: &mut EndpointCounters,
    ) -> Option<Transmit> {
        buf.clear();
        let sent = match self.fill(now, max_segments, buf) {
            Ok(sent) => sent?,
            Err(Exhausted) => {
                self.abort(now, Closed::CipherLimit);
                return None;
            }
        };
        let count = sent.len.div_ceil(sent.segment_size.max(1));
        counters.datagrams_sent += u64::try_from(count).unwrap_or(0);
        let len = u64::try_from(sent.len).unwrap_or(0);
        counters.bytes_sent += len;
        self.wire_bytes.sent += len;
        Some(sent)
    }

    /// When [`handle_timeout`](Self::handle_timeout) or [`poll_transmit`](Self::poll_transmit) has
    /// something to do.
    pub(in crate::datagram) fn poll_timeout(&self) -> Option<Instant> {
        let end = self.lifecycle.poll_timeout();
        let Some(space) = self.space.as_deref().filter(|_| !self.lifecycle.is_closed()) else {
            return end;
        };
        let next = space.poll_timeout(self.drained, self.may_probe_size());
        let reassembly = self.carried.incoming.poll_timeout();
        earliest([end, next, reassembly])
    }

    /// Does what is due.
    pub(in crate::datagram) fn handle_timeout(
        &mut self,
        now: Instant,
        counters: &mut EndpointCounters,
    ) {
        let rtt = self.space.as_deref().map(PacketSpace::rtt);
        self.events.extend(self.lifecycle.handle_timeout(now, rtt));
        if self.lifecycle.is_closed() {
            return;
        }
        counters.reassemblies_abandoned += self.carried.incoming.handle_timeout(now);
        let Some(space) = &mut self.space else { return };
        let fin_due = self.lifecycle.is_fin_due();
        let arrival = space.handle_timeout(now, fin_due, &mut self.carried, counters);
        self.handle_progress(now, &arrival.progress);
        if let Some(addr) = arrival.moved {
            self.handle_move(addr, counters);
        }
        let Some(space) = &mut self.space else { return };
        if let Some(why) = space.handle_silence(now, self.drained) {
            self.abort(now, why);
        }
    }

    /// The most urgent of what is to be said.
    fn fill(
        &mut self,
        now: Instant,
        max_segments: usize,
        buf: &mut Vec<u8>,
    ) -> Result<Option<Transmit>, Exhausted> {
        let may_probe_size = self.may_probe_size();
        let Self { lifecycle, carried, space, .. } = self;
        let Some(space) = space else { return Ok(None) };
        if lifecycle.poll_reset() {
            let (reason, window) = (lifecycle.reason(), &mut carried.window);
            return space.seal_end(now, window, buf, PacketType::Rst, Some(&reason)).map(Some);
        }
        if lifecycle.is_closed() {
            return Ok(None);
        }
        if let Some(sent) = space.poll_path(now, &mut carried.window, buf)? {
            return Ok(Some(sent));
        }
        if lifecycle.poll_fin_ack() {
            let window = &mut carried.window;
            return space.seal_end(now, window, buf, PacketType::FinAck, None).map(Some);
        }
        if let Some(sent) = space.poll_pong(now, &mut carried.window, buf)? {
            return Ok(Some(sent));
        }
        if lifecycle.poll_fin() {
            let (reason, window) = (lifecycle.reason(), &mut carried.window);
            return space.seal_end(now, window, buf, PacketType::Fin, Some(&reason)).map(Some);
        }
        // Before the data: a flood never ends, and has the most to gain from larger datagrams.
        if may_probe_size
            && let Some(sent) = space.poll_size_probe(now, &mut carried.window, buf)?
        {
            return Ok(Some(sent));
        }
        if let Some(sent) = space.poll_data(now, carried, max_segments, buf)? {
            return Ok(Some(sent));
        }
        space.poll_ping_or_ack(now, &mut carried.window, buf)
    }

    /// Whether it is worth looking for a larger datagram: there is something to send that would
    /// use it, and the path answers. Into silence only the timeout speaks.
    fn may_probe_size(&self) -> bool {
        self.lifecycle.state() == ConnectionState::Established
            && self.queued_bytes() >= PROBE_SIZE_FROM
            && self.space.as_ref().is_some_and(|space| space.answers())
    }

    /// Packets of ours arrived at the other end or were lost.
    fn handle_progress(&mut self, now: Instant, progress: &Progress) {
        if progress.acknowledged {
            self.lifecycle.handle_progress(now);
        }
        if progress.fin_lost {
            self.lifecycle.handle_fin_loss();
        }
        if progress.fin_acked {
            let rtt = self.space.as_deref().map(PacketSpace::rtt);
            self.events.extend(self.lifecycle.handle_fin_ack(now, rtt));
        }
        let Carried { outgoing, streams, .. } = &mut self.carried;
        if outgoing.take_writable(streams.queued_bytes()) {
            self.events.push_back(ConnectionEvent::Writable);
        }
        if self.carried.is_drained() && !core::mem::replace(&mut self.drained, true) {
            self.events.push_back(ConnectionEvent::Drained);
        }
        self.lifecycle.close_if_drained(now, &self.carried);
    }

    /// Their FIN or RST.
    fn handle_close(&mut self, now: Instant, kind: PacketType, reason: CloseReason) {
        let rtt = self.space.as_deref().map(PacketSpace::rtt);
        let event = match kind {
            PacketType::Fin => self.lifecycle.handle_fin(now, reason, rtt),
            PacketType::Rst => self.lifecycle.abort(now, Closed::ByPeer(reason), rtt),
            _ => None,
        };
        self.events.extend(event);
        self.lifecycle.close_if_drained(now, &self.carried);
    }

    /// The other end proved that it is at another address.
    fn handle_move(&mut self, addr: SocketAddr, counters: &mut EndpointCounters) {
        counters.migrations += 1;
        self.events.push_back(ConnectionEvent::Moved(addr));
    }
}
