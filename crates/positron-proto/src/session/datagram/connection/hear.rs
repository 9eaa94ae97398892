//! A packet that arrived, frame by frame.

use std::net::SocketAddr;

use bytes::Bytes;

use super::{Cargo, Connection, ConnectionEvent, Handled, PathResponse, Secured};
use crate::{
    limits::{MAX_PATH_RESPONSES, MESSAGE_COST},
    misbehavior::Misbehavior,
    session::datagram::{
        congestion::NewReno,
        contract::{Closed, EndpointCounters, State},
        incoming::{Arrival, Violation},
        pacer::Pacer,
        protection::Unopened,
        recovery::Outcome,
    },
    time::{Duration, Instant},
    wire::{
        frame::CloseReason,
        packet::{HEADER_LEN, Header, PacketType, TAG_LEN, extend_number},
        packet_frame::{AckRanges, Frames, PacketFrame},
    },
};

/// A packet that opened.
pub(in super::super) struct Opened<'a> {
    pub(in super::super) from: SocketAddr,
    pub(in super::super) header: &'a Header,
    pub(in super::super) number: u64,
    pub(in super::super) frames: Bytes,
    /// Bytes of its datagram.
    pub(in super::super) len: usize,
}

/// What the frames of a packet came to, beside what they changed at once.
#[derive(Default)]
struct Heard {
    /// Bytes of all frames.
    len: usize,
    eliciting: bool,
    /// Whether some of it is for the application.
    said: bool,
    acknowledged: Option<(AckRanges, Duration)>,
    close: Option<CloseReason>,
    /// The tokens of its last PING and its last PATH_CHALLENGE: however many questions a packet
    /// has, it gets one answer to each kind.
    ping: Option<u64>,
    challenge: Option<[u8; 8]>,
}

impl Connection {
    /// A sealed packet for this connection.
    pub(in super::super) fn handle_packet(
        &mut self,
        now: Instant,
        from: SocketAddr,
        header: &Header,
        datagram: &[u8],
        counters: &mut EndpointCounters,
    ) -> Handled {
        let Some(secured) = &mut self.secured else {
            return Handled::NotOpened(Unopened::NotSealed);
        };
        let mut frames = Vec::with_capacity(datagram.len().saturating_sub(HEADER_LEN + TAG_LEN));
        let three_pto = secured.three_pto();
        match secured.protection.open(now, three_pto, header, datagram, &mut frames) {
            Ok(number) => {
                let (frames, len) = (Bytes::from(frames), datagram.len());
                let opened = Opened { from, header, number, frames, len };
                self.handle_opened(now, opened, counters);
                Handled::Opened
            }
            Err(why) => {
                match why {
                    Unopened::Replayed | Unopened::TooOld => counters.replayed += 1,
                    Unopened::Forged { damaged } => {
                        counters.forged += 1;
                        counters.damaged += u64::from(damaged);
                    }
                    Unopened::NotSealed => {}
                }
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
        packet: Opened<'_>,
        counters: &mut EndpointCounters,
    ) {
        let Some(secured) = &mut self.secured else { return };
        if self.state == State::Closed {
            // Whoever still speaks is told again that it is over, no more often than it speaks.
            secured.due.reset |= packet.header.kind != PacketType::Rst && self.ending.resets();
            return;
        }
        let updates = secured.protection.updates();
        counters.key_updates += updates - core::mem::replace(&mut secured.key_updates, updates);
        counters.packets_opened += 1;
        let Opened { from, header, number, frames, len } = packet;
        let was_quiet = now.since(secured.heard) >= QUIET;
        (secured.heard, secured.unanswered) = (now, None);
        let newest = secured.protection.highest_opened() == Some(number);
        let pto = secured.recovery.rtt().pto();
        secured.paths.arrived(now, from, len, newest, pto, &mut self.rng);
        secured.send_window.told(number, header.window);
        let cumulative = secured.cumulative(header.ack);

        let mut heard = Heard { len: frames.len(), ..Heard::default() };
        for frame in Frames::new(header.kind, header.fragment, frames) {
            let outcome = match frame {
                Ok(PacketFrame::Lowest { number: lowest }) if lowest > number => {
                    Err(unsent("LOWEST above its own packet"))
                }
                Ok(frame) => self.hear(now, from, frame, &mut heard, counters),
                Err(malformed) => return self.malformed(now, malformed.what),
            };
            if let Err(violation) = outcome {
                return self.violate(now, violation);
            }
        }
        self.acknowledged(now, cumulative, heard.acknowledged, counters);
        let arrived = self.incoming.take_arrived() + self.streams.take_arrived();
        if let Err(violation) = self.window.arrived(arrived) {
            return self.violate(now, violation);
        }
        self.window.dropped(self.streams.take_released());
        self.tell_window();
        let Some(secured) = &mut self.secured else { return };
        secured.due.pong = heard.ping.or(secured.due.pong);
        if let Some(token) = heard.challenge {
            secured.due.respond(PathResponse { to: from, token, asked: len });
        }
        secured.received.arrived(now, number, heard.eliciting);
        match (header.kind, heard.close) {
            (PacketType::Fin, Some(reason)) => self.heard_fin(now, reason),
            (PacketType::Rst, Some(reason)) => self.heard_reset(now, reason),
            _ => {}
        }
        if heard.said {
            self.note_arrival(now);
        }
        if was_quiet {
            self.shrink();
        }
    }

    /// Keeps no room for the packets of busier times: most connections are idle.
    fn shrink(&mut self) {
        self.events.shrink_to_fit();
        if let Some(secured) = &mut self.secured {
            secured.outcome = Outcome::new();
            secured.recovery.shrink();
        }
    }

    fn hear(
        &mut self,
        now: Instant,
        from: SocketAddr,
        frame: PacketFrame,
        heard: &mut Heard,
        counters: &mut EndpointCounters,
    ) -> Result<(), Violation> {
        let Some(secured) = &mut self.secured else { return Ok(()) };
        heard.eliciting |= frame.is_ack_eliciting();
        // What is said after a FIN is acknowledged and not heard.
        let deaf = !self.state.hears_messages();
        heard.said |= matches!(
            frame,
            PacketFrame::Message { .. } | PacketFrame::Part { .. } | PacketFrame::Stream { .. }
        );
        match frame {
            PacketFrame::Padding { .. }
            | PacketFrame::Pong { .. }
            | PacketFrame::Unknown { .. } => {}
            PacketFrame::Ping { token } => heard.ping = Some(token),
            PacketFrame::Message { .. } | PacketFrame::Part { .. } | PacketFrame::Stream { .. }
                if deaf => {}
            PacketFrame::Message { channel, number, body } => {
                let body = on_its_own(body, heard.len);
                count(self.incoming.message(channel, number, body)?, counters);
            }
            PacketFrame::Part { channel, number, offset, total, body } => {
                let place = (offset, total);
                count(self.incoming.part(now, channel, number, place, &body)?, counters);
            }
            PacketFrame::Stream { id, lane: _, fin, offset, body } => {
                self.streams.handle_stream(id, offset, &body, fin)?;
            }
            PacketFrame::Credit { stream, limit } => self.streams.handle_credit(stream, limit)?,
            PacketFrame::StreamEnd { id, side, offset } => {
                self.streams.handle_end(id, side, offset)?;
            }
            PacketFrame::PacketAck { ranges, delay } => heard.acknowledged = Some((ranges, delay)),
            PacketFrame::Lowest { number } => secured.received.abandoned_below(number),
            PacketFrame::PathChallenge { token } => heard.challenge = Some(token),
            PacketFrame::PathResponse { token } => {
                let token = u64::from_be_bytes(token);
                if let Some(addr) = secured.paths.response(now, from, token) {
                    self.moved(now, addr, counters);
                }
            }
            PacketFrame::Whole { channel, number } => {
                self.outgoing.whole(channel, number)?;
            }
            PacketFrame::GivenUp { channel, number } => {
                self.outgoing.given_up(channel, number)?;
            }
            PacketFrame::Close(reason) => heard.close = Some(reason),
        }
        Ok(())
    }

    /// The other end proved that it is at another address. What was measured of the old path says
    /// nothing of this one (RFC 9000, 9.4).
    pub(super) fn moved(
        &mut self,
        now: Instant,
        addr: SocketAddr,
        counters: &mut EndpointCounters,
    ) {
        let Some(secured) = &mut self.secured else { return };
        secured.remote.addr = addr;
        secured.size.moved();
        let datagram = u64::try_from(secured.size.current()).unwrap_or(u64::MAX);
        secured.recovery.moved(Box::new(NewReno::new(datagram)));
        secured.pacer = Pacer::new(now, datagram);
        counters.moves += 1;
        self.events.push_back(ConnectionEvent::Moved(addr));
    }

    /// The other end received everything below `cumulative`, and what `acknowledged` names.
    fn acknowledged(
        &mut self,
        now: Instant,
        cumulative: u64,
        acknowledged: Option<(AckRanges, Duration)>,
        counters: &mut EndpointCounters,
    ) {
        let Some(secured) = &mut self.secured else { return };
        let mut outcome = core::mem::replace(&mut secured.outcome, Outcome::new());
        let told = match &acknowledged {
            Some((ranges, delay)) => {
                let ranges = ranges.iter();
                secured.recovery.acknowledged(now, ranges, *delay, cumulative, &mut outcome)
            }
            None => {
                let nothing = core::iter::empty();
                let delay = Duration::ZERO;
                secured.recovery.acknowledged(now, nothing, delay, cumulative, &mut outcome)
            }
        };
        if told.is_err() {
            secured.outcome = outcome;
            return self.violate(now, unsent("an acknowledgment of what was never sent"));
        }
        self.settle(now, &mut outcome, counters);
        if let Some(secured) = &mut self.secured {
            secured.received.rtt_changed(secured.recovery.rtt().smoothed());
            // An idle connection keeps no room for what packets carry.
            let is_idle = secured.recovery.in_flight() == 0;
            secured.outcome = if is_idle { Outcome::new() } else { outcome };
        }
    }

    /// Packets arrived at the other end or were lost: what they carried is done with, or waits
    /// again.
    pub(super) fn settle(
        &mut self,
        now: Instant,
        outcome: &mut Outcome<Cargo>,
        counters: &mut EndpointCounters,
    ) {
        counters.packets_lost_spuriously += outcome.spurious;
        outcome.spurious = 0;
        let (mut fin_acknowledged, mut progress) = (false, false);
        for packet in outcome.acked.drain(..) {
            let Some(secured) = &mut self.secured else { return };
            secured.outstanding = secured.outstanding.saturating_sub(packet.contents.charged);
            secured.size.acknowledged(packet.number, packet.size);
            secured.protection.acknowledged(packet.number);
            for chunk in packet.contents.contents.iter() {
                self.outgoing.acknowledged(chunk);
                self.streams.acknowledged(chunk);
            }
            fin_acknowledged |= packet.contents.fin;
            progress |= packet.contents.charged > 0;
        }
        for packet in outcome.lost.drain(..) {
            let Some(secured) = &mut self.secured else { return };
            secured.outstanding = secured.outstanding.saturating_sub(packet.contents.charged);
            let black_holes = secured.size.black_holes();
            secured.size.lost(now, packet.number, packet.size);
            counters.black_holes += secured.size.black_holes() - black_holes;
            secured.lost += 1;
            secured.due.fin |= packet.contents.fin;
            counters.packets_lost += 1;
            self.requeue(&packet.contents);
        }
        if progress {
            self.note_progress(now);
        }
        if fin_acknowledged {
            self.fin_acknowledged(now);
        }
        self.tell_progress(now);
    }

    /// What a packet carried waits to be sent again.
    pub(super) fn requeue(&mut self, cargo: &Cargo) {
        for chunk in cargo.contents.iter() {
            self.outgoing.lost(chunk);
            self.streams.lost(chunk);
            self.incoming.lost(chunk);
        }
    }

    fn tell_progress(&mut self, now: Instant) {
        if self.outgoing.take_writable(self.streams.queued_bytes()) {
            self.events.push_back(ConnectionEvent::Writable);
        }
        let drained = self.outgoing.is_drained() && self.streams.is_drained();
        if drained && !core::mem::replace(&mut self.drained, true) {
            self.events.push_back(ConnectionEvent::Drained);
        }
        self.close_if_drained(now);
    }

    /// An unauthenticated word about this connection arrived: the other end is asked for a sign of
    /// life, at most ten times a second. Nothing else changes.
    pub(in super::super) fn prod(&mut self, now: Instant) {
        let Some(secured) = &mut self.secured else { return };
        if secured.prodded.is_none_or(|last| now.since(last) >= PROD_INTERVAL) {
            secured.prodded = Some(now);
            secured.due.ping = true;
        }
    }
}

impl super::Due {
    /// Answers a challenge. While nothing can be sent the oldest ones are forgotten.
    fn respond(&mut self, response: PathResponse) {
        if self.path_responses.len() >= MAX_PATH_RESPONSES {
            self.path_responses.pop_front();
        }
        self.path_responses.push_back(response);
    }
}

fn count(arrival: Arrival, counters: &mut EndpointCounters) {
    match arrival {
        Arrival::New | Arrival::Dropped => {}
        Arrival::Duplicate => counters.messages_duplicate += 1,
        Arrival::GivenUp => counters.messages_given_up += 1,
    }
}

/// A message that keeps no more alive than a few times what it counts for: the rest of its packet
/// may be padding, and it may wait for long.
fn on_its_own(body: Bytes, packet: usize) -> Bytes {
    if (body.len() + MESSAGE_COST) * MOST_KEPT_ALIVE < packet {
        Bytes::copy_from_slice(&body)
    } else {
        body
    }
}

const fn unsent(what: &'static str) -> Violation {
    Violation { what, misbehavior: Misbehavior::ProtocolViolation }
}

impl Secured {
    /// The cumulative acknowledgment in full, from its low half.
    fn cumulative(&self, ack: u32) -> u64 {
        extend_number(ack, self.protection.next_number().checked_sub(1))
    }

    /// Room for the frames of a datagram of this size.
    pub(super) const fn room_in(size: usize) -> usize {
        size.saturating_sub(HEADER_LEN + TAG_LEN)
    }
}

/// Silence after which a connection counts as idle (guess: long beside every round trip).
const QUIET: Duration = Duration::from_secs(1);
/// How many times what it counts for a message may keep alive (guess: half of the packets of small
/// messages are spared a copy of each).
const MOST_KEPT_ALIVE: usize = 4;

/// Guess: enough to notice a restarted peer at once, too little to be of use to an attacker.
const PROD_INTERVAL: Duration = Duration::from_millis(100);
