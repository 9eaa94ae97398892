//! A packet that arrived, frame by frame.

use std::net::SocketAddr;

use super::{
    Carried, Connection, ConnectionEvent, Handled, PacketSpace, packet_space::PathResponse,
};
use crate::{
    datagram::{
        contract::{Closed, ConnectionState, EndpointCounters},
        incoming::{ReceivedPart, Violation},
        protection::Unopened,
        recovery::AckOutcome,
    },
    misbehavior::Misbehavior,
    time::{Duration, Instant},
    wire::{
        Malformed,
        frame::CloseReason,
        packet::{Header, PacketType},
        packet_frame::{AckRanges, Frames, PacketFrame},
    },
};

/// A sealed packet, where the socket put it.
#[derive(Clone, Copy)]
pub(in super::super) struct SealedPacket<'a> {
    pub(in super::super) from: SocketAddr,
    pub(in super::super) header: &'a Header,
    pub(in super::super) datagram: &'a [u8],
}

/// A packet that opened. Its frames are borrowed: whoever keeps something of them copies it to the
/// place where it stays, once, and nothing that is kept holds a whole packet.
#[derive(Clone, Copy)]
pub(in super::super) struct OpenedPacket<'a> {
    pub(in super::super) from: SocketAddr,
    pub(in super::super) header: &'a Header,
    pub(in super::super) number: u64,
    pub(in super::super) frames: &'a [u8],
    /// Bytes of its datagram.
    pub(in super::super) len: usize,
}

/// What the frames of a packet came to, beside what they changed at once.
#[derive(Default)]
struct Heard {
    eliciting: bool,
    /// Whether some of it is for the application.
    said: bool,
    acknowledged: Option<(AckRanges, Duration)>,
    /// Where the other end proved to be now.
    moved: Option<SocketAddr>,
    close: Option<CloseReason>,
    /// The tokens of its last PING and its last PATH_CHALLENGE: however many questions a packet
    /// has, it gets one answer to each kind.
    ping: Option<u64>,
    challenge: Option<[u8; 8]>,
}

/// What became of packets of ours, as far as it concerns more than them.
#[derive(Default)]
pub(super) struct RecvProgress {
    /// Something that was said was acknowledged.
    acknowledged: bool,
    /// Our FIN was.
    fin: bool,
}

impl Connection {
    /// A sealed packet for this connection, which is opened into `out`: the same for each packet,
    /// so that it costs no memory.
    pub(in super::super) fn handle_packet(
        &mut self,
        now: Instant,
        packet: SealedPacket<'_>,
        out: &mut Vec<u8>,
        counters: &mut EndpointCounters,
    ) -> Handled {
        let Some(secured) = &mut self.secured else {
            return Handled::NotOpened(Unopened::NotSealed);
        };
        let SealedPacket { from, header, datagram } = packet;
        let three_pto = secured.three_pto();
        match secured.protection.open(now, three_pto, header, datagram, out) {
            Ok(number) => {
                let len = datagram.len();
                let opened = OpenedPacket { from, header, number, frames: out, len };
                self.handle_opened(now, opened, counters);
                Handled::Opened
            }
            Err(why) => {
                counters.not_opened(why);
                if secured.protection.is_at_cipher_limit() {
                    self.abort(now, Closed::CipherLimit);
                }
                Handled::NotOpened(why)
            }
        }
    }

    /// A packet for this connection that was opened.
    pub(in super::super) fn handle_opened(
        &mut self,
        now: Instant,
        packet: OpenedPacket<'_>,
        counters: &mut EndpointCounters,
    ) {
        let Some(secured) = &mut self.secured else { return };
        if self.state == ConnectionState::Closed {
            // Whoever still speaks is told again that it is over, no more often than it speaks.
            secured.due.reset |= packet.header.kind != PacketType::Rst && self.ending.resets();
            return;
        }
        let updates = secured.protection.key_updates();
        counters.key_updates += updates - core::mem::replace(&mut secured.key_updates, updates);
        counters.packets_opened += 1;
        let OpenedPacket { from, header, number, len, .. } = packet;
        let was_quiet = now.since(secured.heard) >= QUIET;
        (secured.heard, secured.unanswered) = (now, None);
        let newest = secured.protection.highest_opened() == Some(number);
        let pto = secured.recovery.rtt().pto();
        secured.paths.handle_arrival(now, from, len, newest, pto, &mut self.rng);
        secured.send_window.handle_announcement(number, header.window);

        let deaf = !self.state.hears_messages();
        let mut heard = match secured.hear_all(now, packet, deaf, &mut self.carried, counters) {
            Ok(heard) => heard,
            Err(violation) => return self.violate(now, violation),
        };
        let acknowledged = heard.acknowledged.take();
        let progress =
            secured.acknowledged(now, header.ack, acknowledged, &mut self.carried, counters);
        let progress = match progress.and_then(|it| self.carried.count_arrived().map(|()| it)) {
            Ok(progress) => progress,
            Err(violation) => return self.violate(now, violation),
        };
        secured.due.window |= self.carried.window.update_due();
        secured.due.pong = heard.ping.or(secured.due.pong);
        if let Some(token) = heard.challenge {
            secured.due.respond(PathResponse { to: from, token, asked: len });
        }
        secured.received.handle_arrival(now, number, heard.eliciting);
        if was_quiet {
            secured.shrink();
        }
        if let Some(addr) = heard.moved {
            self.handle_move(now, addr, counters);
        }
        self.handle_progress(now, &progress);
        match (header.kind, heard.close) {
            (PacketType::Fin, Some(reason)) => self.handle_fin(now, reason),
            (PacketType::Rst, Some(reason)) => self.handle_reset(now, reason),
            _ => {}
        }
        if heard.said {
            self.note_arrival(now);
        }
        if was_quiet {
            // Most connections are idle.
            self.events.shrink_to_fit();
            self.carried.incoming.shrink();
        }
    }

    /// The other end proved that it is at another address.
    pub(super) fn handle_move(
        &mut self,
        now: Instant,
        addr: SocketAddr,
        counters: &mut EndpointCounters,
    ) {
        let Some(secured) = &mut self.secured else { return };
        secured.handle_move(now, addr);
        counters.migrations += 1;
        self.events.push_back(ConnectionEvent::Moved(addr));
    }

    /// Packets of ours arrived at the other end or were lost.
    pub(super) fn handle_progress(&mut self, now: Instant, progress: &RecvProgress) {
        if progress.acknowledged {
            self.note_progress(now);
        }
        if progress.fin {
            self.handle_fin_ack(now);
        }
        let Carried { outgoing, streams, .. } = &mut self.carried;
        if outgoing.take_writable(streams.queued_bytes()) {
            self.events.push_back(ConnectionEvent::Writable);
        }
        if self.carried.is_drained() && !core::mem::replace(&mut self.drained, true) {
            self.events.push_back(ConnectionEvent::Drained);
        }
        self.close_if_drained(now);
    }

    /// An unauthenticated word about this connection arrived: the other end is asked for a sign of
    /// life, at most ten times a second. Nothing else changes.
    pub(in super::super) fn ping_if_suspect(&mut self, now: Instant) {
        let Some(secured) = &mut self.secured else { return };
        if secured.prodded.is_none_or(|last| now.since(last) >= PROD_INTERVAL) {
            secured.prodded = Some(now);
            secured.due.ping = true;
        }
    }
}

impl PacketSpace {
    /// Frame by frame. To the `deaf` nothing more can be said: it is acknowledged and not heard.
    fn hear_all(
        &mut self,
        now: Instant,
        packet: OpenedPacket<'_>,
        deaf: bool,
        carried: &mut Carried,
        counters: &mut EndpointCounters,
    ) -> Result<Heard, Violation> {
        let OpenedPacket { from, header, number, frames, .. } = packet;
        let mut heard = Heard::default();
        for frame in Frames::new(header.kind, header.fragment, frames) {
            let malformed =
                |it: Malformed| Violation { what: it.what, misbehavior: Misbehavior::Malformed };
            match frame.map_err(malformed)? {
                PacketFrame::StopWaiting { number: lowest } if lowest > number => {
                    return Err(unsent("STOP_WAITING above its own packet"));
                }
                frame if deaf && is_for_application(&frame) => heard.eliciting = true,
                frame => self.hear(now, from, frame, carried, &mut heard, counters)?,
            }
        }
        Ok(heard)
    }

    fn hear(
        &mut self,
        now: Instant,
        from: SocketAddr,
        frame: PacketFrame<&[u8]>,
        carried: &mut Carried,
        heard: &mut Heard,
        counters: &mut EndpointCounters,
    ) -> Result<(), Violation> {
        heard.eliciting |= frame.is_ack_eliciting();
        heard.said |= is_for_application(&frame);
        match frame {
            PacketFrame::Padding { .. } | PacketFrame::Pong { .. } => {}
            PacketFrame::Unknown { .. } => counters.extensions_ignored += 1,
            PacketFrame::Ping { token } => heard.ping = Some(token),
            PacketFrame::Message { channel, number, body } => {
                count(carried.incoming.message(channel, number, body)?, counters);
            }
            PacketFrame::Fragment { channel, number, offset, total, body } => {
                let place = (offset, total);
                count(carried.incoming.part(now, channel, number, place, body)?, counters);
            }
            PacketFrame::Stream { id, lane: _, fin, offset, body } => {
                carried.streams.handle_stream(id, offset, body, fin)?;
            }
            PacketFrame::MaxData { stream, limit } => {
                carried.streams.handle_credit(stream, limit)?;
            }
            PacketFrame::StreamEnd { id, side, offset } => {
                carried.streams.handle_end(id, side, offset)?;
            }
            PacketFrame::PacketAck { ranges, delay } => heard.acknowledged = Some((ranges, delay)),
            PacketFrame::StopWaiting { number } => self.received.abandoned_below(number),
            PacketFrame::PathChallenge { token } => heard.challenge = Some(token),
            PacketFrame::PathResponse { token } => {
                let token = u64::from_be_bytes(token);
                heard.moved = self.paths.response(now, from, token).or(heard.moved);
            }
            PacketFrame::MessageAck { channel, number } => {
                carried.outgoing.whole(channel, number)?;
            }
            PacketFrame::MessageNack { channel, number } => {
                carried.outgoing.given_up(channel, number)?;
            }
            PacketFrame::Close(reason) => heard.close = Some(reason),
        }
        Ok(())
    }

    /// The other end received everything below the number whose low half is `cumulative`, and what
    /// `acknowledged` names.
    fn acknowledged(
        &mut self,
        now: Instant,
        cumulative: u32,
        acknowledged: Option<(AckRanges, Duration)>,
        carried: &mut Carried,
        counters: &mut EndpointCounters,
    ) -> Result<RecvProgress, Violation> {
        let cumulative = self.cumulative(cumulative);
        let out = &mut self.outcome;
        let told = match acknowledged {
            Some((ranges, delay)) => {
                self.recovery.handle_ack(now, ranges.iter(), delay, cumulative, out)
            }
            None => {
                let nothing = core::iter::empty();
                self.recovery.handle_ack(now, nothing, Duration::ZERO, cumulative, out)
            }
        };
        told.map_err(|_| unsent("an acknowledgment of what was never sent"))?;
        let progress = self.settle(now, carried, counters);
        self.received.rtt_changed(self.recovery.rtt().smoothed());
        if self.recovery.in_flight() == 0 {
            // An idle connection keeps no room for what packets carry.
            self.outcome = AckOutcome::new();
        }
        Ok(progress)
    }

    /// Packets arrived at the other end or were lost: what they carried is done with, or waits
    /// again.
    pub(super) fn settle(
        &mut self,
        now: Instant,
        carried: &mut Carried,
        counters: &mut EndpointCounters,
    ) -> RecvProgress {
        counters.spurious_losses += core::mem::take(&mut self.outcome.spurious);
        let mut progress = RecvProgress::default();
        for packet in self.outcome.acked.drain(..) {
            let cargo = packet.contents;
            self.outstanding = self.outstanding.saturating_sub(cargo.charged);
            self.size.handle_ack(packet.number, packet.size);
            self.protection.handle_ack(packet.number);
            carried.handle_ack(&cargo);
            progress.fin |= cargo.fin;
            progress.acknowledged |= cargo.charged > 0;
        }
        let black_holes = self.size.black_holes();
        for packet in self.outcome.lost.drain(..) {
            let cargo = packet.contents;
            self.outstanding = self.outstanding.saturating_sub(cargo.charged);
            self.size.handle_loss(now, packet.number, packet.size);
            self.lost += 1;
            self.due.fin |= cargo.fin;
            counters.packets_lost += 1;
            carried.handle_loss(&cargo);
        }
        counters.black_holes += self.size.black_holes() - black_holes;
        progress
    }
}

/// Whether it is for the application, and not between the two machines.
const fn is_for_application(frame: &PacketFrame<&[u8]>) -> bool {
    matches!(
        frame,
        PacketFrame::Message { .. } | PacketFrame::Fragment { .. } | PacketFrame::Stream { .. }
    )
}

fn count(arrival: ReceivedPart, counters: &mut EndpointCounters) {
    match arrival {
        ReceivedPart::New | ReceivedPart::Dropped => {}
        ReceivedPart::Duplicate => counters.messages_duplicate += 1,
        ReceivedPart::GivenUp => counters.reassemblies_abandoned += 1,
    }
}

const fn unsent(what: &'static str) -> Violation {
    Violation { what, misbehavior: Misbehavior::ProtocolViolation }
}

/// Silence after which a connection counts as idle (guess: long beside every round trip).
const QUIET: Duration = Duration::from_secs(1);

/// Guess: enough to notice a restarted peer at once, too little to be of use to an attacker.
const PROD_INTERVAL: Duration = Duration::from_millis(100);
