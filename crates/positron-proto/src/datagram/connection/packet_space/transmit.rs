//! The next packets of a connection: what goes into them, and sealing them.

use std::net::SocketAddr;

use super::PacketSpace;
use crate::{
    datagram::{
        connection::data::{Carried, SentPacketData},
        contract::Transmit,
        path_validation::{Challenge, Response},
        protection::Exhausted,
        recovery::SentPacketKind,
        sent_frames::{self, PacketBuilder},
        window::ReceiveWindow,
    },
    limits::{LANES, LEAST_DATAGRAM, MAX_BATCH, MAX_SEGMENTS},
    time::Instant,
    wire::{
        frame::CloseReason,
        packet::{Flags, Fragment, HEADER_LEN, Header, PacketType, TAG_LEN, low},
        packet_frame::{PacketFrame, put_close},
    },
};

/// A packet whose frames are complete.
struct Complete {
    kind: PacketType,
    flags: Flags,
    fragment: Fragment,
    asks: SentPacketKind,
    cargo: SentPacketData,
}

impl Complete {
    fn new(kind: PacketType, asks: SentPacketKind) -> Self {
        let (flags, fragment) = (Flags::NONE, Fragment::default());
        Self { kind, flags, fragment, asks, cargo: SentPacketData::default() }
    }
}

/// Why no further packet follows in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filled {
    /// A full one: another may follow.
    Full,
    /// A shorter one, which must be the last.
    Short,
    /// One that only acknowledges, and must be the last.
    Acks,
    /// Nothing was to be said.
    Nothing,
}

/// When acknowledgments go into a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AckWhen {
    /// If the other end waits for one: data packets carry the cumulative number for free.
    Due,
    /// In any case.
    Always,
}

impl PacketSpace {
    /// A packet of the connection's own, for its end: RST, FIN or FIN_ACK.
    pub(in crate::datagram::connection) fn seal_end(
        &mut self,
        now: Instant,
        window: &mut ReceiveWindow,
        buf: &mut Vec<u8>,
        kind: PacketType,
        reason: Option<&CloseReason>,
    ) -> Result<Transmit, Exhausted> {
        let fin = kind == PacketType::Fin;
        let asks = if fin { SentPacketKind::Eliciting } else { SentPacketKind::AckOnly };
        let mut packet = Complete::new(kind, asks);
        packet.cargo.fin = fin;
        let close = |out: &mut Vec<u8>| reason.into_iter().for_each(|why| put_close(out, why));
        self.single(now, window, buf, packet, close)
    }

    /// The answer to their PINGs.
    pub(in crate::datagram::connection) fn poll_pong(
        &mut self,
        now: Instant,
        window: &mut ReceiveWindow,
        buf: &mut Vec<u8>,
    ) -> Result<Option<Transmit>, Exhausted> {
        let Some(token) = self.idle_timer.poll_pong() else { return Ok(None) };
        let frames = |out: &mut Vec<u8>| PacketFrame::Pong { token }.encode(out);
        let packet = Complete::new(PacketType::Pong, SentPacketKind::AckOnly);
        self.single(now, window, buf, packet, frames).map(Some)
    }

    /// A batch of packets with messages and pieces of streams.
    pub(in crate::datagram::connection) fn poll_data(
        &mut self,
        now: Instant,
        carried: &mut Carried,
        max_segments: usize,
        buf: &mut Vec<u8>,
    ) -> Result<Option<Transmit>, Exhausted> {
        let full = self.sending.datagram_size();
        let most = if self.sending.may_batch(now) { max_segments } else { 1 };
        let most = most.min(MAX_SEGMENTS).min(MAX_BATCH / full).max(1);
        let path = self.paths.allowance(self.paths.addr());
        let mut allowed = self.sending.allowance(now, path, most, carried.queued_bytes());
        let mut count = 0;
        while count < most && (allowed > 0 || self.sending.probes_due()) {
            let may_follow = count + 1 < most && allowed > 1;
            let filled = self.fill_packet(now, carried, (full, may_follow), buf)?;
            if filled == Filled::Nothing {
                self.sending.handle_app_limited();
                break;
            }
            count += 1;
            if filled == Filled::Acks {
                break;
            }
            self.sending.handle_probe_sent();
            allowed = allowed.saturating_sub(1);
            // A probe goes alone: it arrives where batches do not.
            if filled == Filled::Short || allowed == 0 {
                break;
            }
        }
        if count == 0 {
            return Ok(None);
        }
        let (to, len) = (self.paths.addr(), buf.len());
        self.sending.handle_batch_sent(now, len);
        Ok(Some(Transmit { to, segment_size: full.min(len), len, hops: None }))
    }

    /// One packet with as much as fits of what is most urgent. A batch goes on for as long as its
    /// packets have `full` bytes: if another one `may_follow` and a little is missing, it is
    /// padded.
    fn fill_packet(
        &mut self,
        now: Instant,
        carried: &mut Carried,
        (full, may_follow): (usize, bool),
        buf: &mut Vec<u8>,
    ) -> Result<Filled, Exhausted> {
        let start = begin(buf);
        let end = start + full - TAG_LEN;
        let acks = self.put_acks(now, buf, end, AckWhen::Due);
        let (room, budget) = (self.sending.room(), self.sending.budget());
        let urgent = carried.most_urgent(room, budget).unwrap_or(LANES);
        let mut filling = PacketBuilder::new(buf, end, room, budget);
        carried.incoming.fill(&mut filling);
        carried.streams.fill_control(&mut filling);
        for lane in urgent..LANES {
            if filling.room() == 0 || !filling.takes_data() {
                break;
            }
            carried.outgoing.fill(lane, &mut filling);
            carried.streams.fill(lane, &mut filling);
        }
        let PacketBuilder { kind, contents, charged, reliable, ordered, lane, .. } = filling;
        if kind == sent_frames::PacketKind::Data {
            self.put_stop_waiting(now, buf, end);
        }
        let Some((kind, fragment)) = packet_type(kind) else {
            if acks {
                // The fragment that is next leaves no room for them.
                let packet = Complete::new(PacketType::Ack, SentPacketKind::AckOnly);
                self.finish(now, &mut carried.window, buf, start, packet)?;
                return Ok(Filled::Acks);
            }
            buf.truncate(start);
            return Ok(Filled::Nothing);
        };
        let mut flags = Flags::NONE;
        for (is, flag) in [
            (reliable, Flags::RELIABLE),
            (ordered, Flags::ORDERED),
            (lane == Some(0), Flags::PRIORITY),
            (kind == PacketType::Fragment, Flags::FRAGMENTED),
            (fragment.total > 0 && fragment.index + 1 == fragment.total, Flags::LAST_FRAGMENT),
        ] {
            if is {
                flags = flags.with(flag);
            }
        }
        let is_nearly_full = end.saturating_sub(buf.len()) <= full / PADDED_PART;
        if may_follow
            && is_nearly_full
            && carried.most_urgent(room, budget.saturating_sub(charged)).is_some()
        {
            buf.resize(end, 0);
        }
        let follows = start > 0;
        let cargo = SentPacketData { contents, charged, fin: false, follows };
        let packet = Complete { kind, flags, fragment, asks: SentPacketKind::Eliciting, cargo };
        self.finish(now, &mut carried.window, buf, start, packet)?;
        Ok(if buf.len() - start == full { Filled::Full } else { Filled::Short })
    }

    /// A PING or a mere acknowledgment.
    pub(in crate::datagram::connection) fn poll_ping_or_ack(
        &mut self,
        now: Instant,
        window: &mut ReceiveWindow,
        buf: &mut Vec<u8>,
    ) -> Result<Option<Transmit>, Exhausted> {
        if let Some(token) = self.idle_timer.poll_ping() {
            let frames = |out: &mut Vec<u8>| PacketFrame::Ping { token }.encode(out);
            self.sending.handle_ping_sent();
            let packet = Complete::new(PacketType::Ping, SentPacketKind::Eliciting);
            return self.single(now, window, buf, packet, frames).map(Some);
        }
        // Packets full of one fragment have no room to say it.
        let stop_waiting =
            self.sending.stop_waiting_due(now).is_some() && self.sending.is_in_flight();
        if self.received.ack_due(now) || window.update_due() || stop_waiting {
            let packet = Complete::new(PacketType::Ack, SentPacketKind::AckOnly);
            return self.single(now, window, buf, packet, |_| {}).map(Some);
        }
        Ok(None)
    }

    /// Challenges and responses go to the path that they are about, padded so that it is known to
    /// carry full datagrams (RFC 9000, 8.2.1).
    pub(in crate::datagram::connection) fn poll_path(
        &mut self,
        now: Instant,
        window: &mut ReceiveWindow,
        buf: &mut Vec<u8>,
    ) -> Result<Option<Transmit>, Exhausted> {
        // A response that is lost is asked for again: as many as somebody asks for, whatever the
        // congestion window says, must not be remembered until they are acknowledged.
        let (to, frame, size, asks) =
            if let Some(Response { to, token, size }) = self.paths.poll_response() {
                (to, PacketFrame::PathResponse { token }, size, SentPacketKind::AckOnly)
            } else if let Some(Challenge { to, token, size }) = self.paths.poll_challenge(now) {
                let frame = PacketFrame::PathChallenge { token: token.to_be_bytes() };
                (to, frame, size, SentPacketKind::Eliciting)
            } else {
                return Ok(None);
            };
        let start = begin(buf);
        frame.encode(buf);
        buf.resize((start + size.min(LEAST_DATAGRAM)).saturating_sub(TAG_LEN).max(buf.len()), 0);
        let packet = Complete::new(PacketType::Data, asks);
        self.finish_to(now, window, buf, start, packet, to)?;
        Ok(Some(alone(to, buf)))
    }

    /// A datagram larger than the path is known to carry (RFC 8899), if it is time for one.
    pub(in crate::datagram::connection) fn poll_size_probe(
        &mut self,
        now: Instant,
        window: &mut ReceiveWindow,
        buf: &mut Vec<u8>,
    ) -> Result<Option<Transmit>, Exhausted> {
        let Some(size) = self.sending.poll_size_probe(now) else { return Ok(None) };
        let start = begin(buf);
        PacketFrame::Ping { token: self.idle_timer.next_token() }.encode(buf);
        buf.resize(start + size - TAG_LEN, 0);
        let packet = Complete::new(PacketType::Ping, SentPacketKind::SizeProbe);
        self.finish(now, window, buf, start, packet)?;
        Ok(Some(alone(self.paths.addr(), buf)))
    }

    /// A packet of its own, with acknowledgments in front.
    fn single(
        &mut self,
        now: Instant,
        window: &mut ReceiveWindow,
        buf: &mut Vec<u8>,
        packet: Complete,
        frames: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Transmit, Exhausted> {
        let start = begin(buf);
        let end = start + LEAST_DATAGRAM / 2;
        self.put_acks(now, buf, end, AckWhen::Always);
        self.put_stop_waiting(now, buf, end + STOP_WAITING_LEN);
        frames(buf);
        self.finish(now, window, buf, start, packet)?;
        Ok(alone(self.paths.addr(), buf))
    }

    /// Says which packets arrived, if the other end waits to hear of it and the header does not say
    /// it all. Whether something was said.
    fn put_acks(&mut self, now: Instant, buf: &mut Vec<u8>, end: usize, when: AckWhen) -> bool {
        let start = buf.len();
        let wanted = when == AckWhen::Always || self.received.ack_due(now);
        if wanted {
            self.received.put_ack(now, buf, end.saturating_sub(start));
        }
        buf.len() > start
    }

    /// Says which packets of ours will never arrive, if there is room and the other end was not
    /// told lately.
    fn put_stop_waiting(&mut self, now: Instant, buf: &mut Vec<u8>, end: usize) {
        if buf.len() + STOP_WAITING_LEN <= end
            && let Some(number) = self.sending.stop_waiting_due(now)
        {
            PacketFrame::StopWaiting { number }.encode(buf);
            self.sending.handle_stop_waiting_sent(now, number);
        }
    }

    fn finish(
        &mut self,
        now: Instant,
        window: &mut ReceiveWindow,
        buf: &mut Vec<u8>,
        start: usize,
        packet: Complete,
    ) -> Result<(), Exhausted> {
        let to = self.paths.addr();
        self.finish_to(now, window, buf, start, packet, to)
    }

    /// Seals what was appended since `start`, and remembers what it was.
    fn finish_to(
        &mut self,
        now: Instant,
        window: &mut ReceiveWindow,
        buf: &mut Vec<u8>,
        start: usize,
        packet: Complete,
        to: SocketAddr,
    ) -> Result<(), Exhausted> {
        buf.resize(buf.len() + TAG_LEN, 0);
        let datagram = buf.get_mut(start..).unwrap_or_default();
        let size = datagram.len();
        let mut header = Header::new(packet.kind, self.theirs);
        header.flags = packet.flags;
        header.fragment = packet.fragment;
        header.ack = low(self.received.cumulative());
        header.window = window.advertise();
        header.payload_len = u32::try_from(size - HEADER_LEN).unwrap_or(u32::MAX);
        if let Some(front) = datagram.first_chunk_mut() {
            header.encode(front);
        }
        let number = self.protection.seal(now, datagram)?;
        self.received.handle_header_sent(now);
        // Silence on a probe for a size is an answer, too.
        if packet.asks == SentPacketKind::Eliciting {
            self.idle_timer.handle_sent(now);
        }
        self.paths.handle_sent(to, size);
        self.sending.handle_sent(now, number, size, packet.asks, packet.cargo);
        Ok(())
    }
}

/// Room for a header at the end of `buf`.
fn begin(buf: &mut Vec<u8>) -> usize {
    let start = buf.len();
    buf.resize(start + HEADER_LEN, 0);
    start
}

/// One datagram.
const fn alone(to: SocketAddr, buf: &[u8]) -> Transmit {
    Transmit { to, segment_size: buf.len(), len: buf.len(), hops: None }
}

/// What a filled packet is called on the wire; `None` if nothing was put into it.
fn packet_type(kind: sent_frames::PacketKind) -> Option<(PacketType, Fragment)> {
    Some(match kind {
        sent_frames::PacketKind::Empty => return None,
        sent_frames::PacketKind::Data => (PacketType::Data, Fragment::default()),
        sent_frames::PacketKind::Fragment(fragment) => (PacketType::Fragment, fragment),
        sent_frames::PacketKind::MessageAck => (PacketType::MessageAck, Fragment::default()),
        sent_frames::PacketKind::MessageNack => (PacketType::MessageNack, Fragment::default()),
    })
}

/// Bytes of a STOP_WAITING frame at the most.
const STOP_WAITING_LEN: usize = 9;

/// A packet that lacks one in so many bytes is padded where others follow in its batch: the
/// fragments of a message differ by a few bytes, and a datagram more in a batch is ten times as
/// quick as a batch of its own.
const PADDED_PART: usize = 32;
