//! The next packets of a connection.

use std::net::SocketAddr;

use super::{Carried, Connection, PacketSpace, SentPacketData, packet_space::PathResponse};
use crate::{
    datagram::{
        contract::{Closed, ConnectionState, EndpointCounters, Transmit},
        path::Challenge,
        protection::Exhausted,
        recovery::SentPacketKind,
        sent_frames::{self, PacketBuilder},
        window::ReceiveWindow,
    },
    limits::{LANES, LEAST_DATAGRAM, MAX_BATCH, MAX_SEGMENTS},
    time::Instant,
    wire::{
        packet::{Flags, Fragment, HEADER_LEN, Header, PacketType, TAG_LEN, low},
        packet_frame::{PacketFrame, put_ack, put_close},
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

impl Connection {
    /// Fills `buf`, which is cleared first, with the next batch.
    pub(in super::super) fn poll_transmit(
        &mut self,
        now: Instant,
        max_segments: usize,
        buf: &mut Vec<u8>,
        counters: &mut EndpointCounters,
    ) -> Option<Transmit> {
        buf.clear();
        let sent = match self.say(now, max_segments, buf) {
            Ok(sent) => sent?,
            Err(Exhausted) => {
                self.abort(now, Closed::CipherLimit);
                return None;
            }
        };
        let count = sent.len.div_ceil(sent.segment_size.max(1));
        counters.datagrams_sent += u64::try_from(count).unwrap_or(0);
        counters.bytes_sent += u64::try_from(sent.len).unwrap_or(0);
        Some(sent)
    }

    fn say(
        &mut self,
        now: Instant,
        max_segments: usize,
        buf: &mut Vec<u8>,
    ) -> Result<Option<Transmit>, Exhausted> {
        let may_probe_size = self.may_probe_size();
        let (ending, carried) = (&self.ending, &mut self.carried);
        let Some(secured) = self.secured.as_deref_mut() else { return Ok(None) };
        let close = |out: &mut Vec<u8>| put_close(out, &ending.reason());
        if core::mem::take(&mut secured.due.reset) {
            let packet = Complete::new(PacketType::Rst, SentPacketKind::AckOnly);
            return secured.single(now, &mut carried.window, buf, packet, close).map(Some);
        }
        if self.state == ConnectionState::Closed {
            return Ok(None);
        }
        if let Some(sent) = secured.say_on_paths(now, &mut carried.window, buf)? {
            return Ok(Some(sent));
        }
        if core::mem::take(&mut secured.due.fin_ack) {
            let packet = Complete::new(PacketType::FinAck, SentPacketKind::AckOnly);
            return secured.single(now, &mut carried.window, buf, packet, |_| {}).map(Some);
        }
        if let Some(token) = secured.due.pong.take() {
            let frames = |out: &mut Vec<u8>| PacketFrame::Pong { token }.encode(out);
            let packet = Complete::new(PacketType::Pong, SentPacketKind::AckOnly);
            return secured.single(now, &mut carried.window, buf, packet, frames).map(Some);
        }
        if core::mem::take(&mut secured.due.fin) && self.state.awaits_fin_acknowledgment() {
            let mut packet = Complete::new(PacketType::Fin, SentPacketKind::Eliciting);
            packet.cargo.fin = true;
            return secured.single(now, &mut carried.window, buf, packet, close).map(Some);
        }
        if let Some(sent) = secured.say_data(now, carried, max_segments, buf)? {
            return Ok(Some(sent));
        }
        secured.say_little(now, &mut carried.window, may_probe_size, buf)
    }
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
    /// A batch of packets with messages and pieces of streams.
    fn say_data(
        &mut self,
        now: Instant,
        carried: &mut Carried,
        max_segments: usize,
        buf: &mut Vec<u8>,
    ) -> Result<Option<Transmit>, Exhausted> {
        let full = self.size.current();
        let most = max_segments.min(MAX_SEGMENTS).min(MAX_BATCH / full).max(1);
        let mut allowed = self.allowed(now, full, most, carried.queued_bytes());
        let mut count = 0;
        while count < most && (allowed > 0 || self.due.probes > 0) {
            let filled = self.fill_packet(now, carried, full, buf)?;
            if filled == Filled::Nothing {
                self.recovery.app_limited();
                self.paced_until = None;
                break;
            }
            count += 1;
            if filled == Filled::Acks {
                break;
            }
            self.due.probes = self.due.probes.saturating_sub(1);
            allowed = allowed.saturating_sub(1);
            if filled == Filled::Short {
                break;
            }
        }
        if count == 0 {
            return Ok(None);
        }
        self.pacer.handle_sent(now, u64::try_from(buf.len()).unwrap_or(u64::MAX));
        let (to, len) = (self.paths.addr(), buf.len());
        Ok(Some(Transmit { to, segment_size: full.min(len), len }))
    }

    /// One packet with as much as fits of what is most urgent.
    fn fill_packet(
        &mut self,
        now: Instant,
        carried: &mut Carried,
        full: usize,
        buf: &mut Vec<u8>,
    ) -> Result<Filled, Exhausted> {
        let start = begin(buf);
        let end = start + full - TAG_LEN;
        let acks = self.put_acks(now, buf, end, AckWhen::Due);
        let (room, budget) = (self.room(), self.budget());
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
            self.put_lowest(now, buf, end);
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
        let cargo = SentPacketData { contents, charged, fin: false };
        let packet = Complete { kind, flags, fragment, asks: SentPacketKind::Eliciting, cargo };
        self.finish(now, &mut carried.window, buf, start, packet)?;
        Ok(if buf.len() - start == full { Filled::Full } else { Filled::Short })
    }

    /// A PING, a probe for a larger datagram, or a mere acknowledgment.
    fn say_little(
        &mut self,
        now: Instant,
        window: &mut ReceiveWindow,
        may_probe_size: bool,
        buf: &mut Vec<u8>,
    ) -> Result<Option<Transmit>, Exhausted> {
        if core::mem::take(&mut self.due.ping) {
            let token = self.next_token();
            let frames = |out: &mut Vec<u8>| PacketFrame::Ping { token }.encode(out);
            self.due.probes = 0;
            let packet = Complete::new(PacketType::Ping, SentPacketKind::Eliciting);
            return self.single(now, window, buf, packet, frames).map(Some);
        }
        if may_probe_size && let Some(size) = self.size.poll_probe(now) {
            return self.probe_size(now, window, buf, size).map(Some);
        }
        let larger = core::mem::take(&mut self.due.window);
        // Packets full of one fragment have no room to say it.
        let lowest = self.lowest_due(now).is_some() && self.recovery.in_flight() > 0;
        if self.received.ack_due(now) || larger || lowest {
            let packet = Complete::new(PacketType::Ack, SentPacketKind::AckOnly);
            return self.single(now, window, buf, packet, |_| {}).map(Some);
        }
        Ok(None)
    }

    /// How many full datagrams congestion control, pacing and the path allow now.
    fn allowed(&mut self, now: Instant, full: usize, most: usize, queued: usize) -> usize {
        let datagram = u64::try_from(full).unwrap_or(u64::MAX).max(1);
        let most = u64::try_from(most).unwrap_or(1);
        self.recovery.congestion_mut().datagram_size_changed(datagram);
        let window = self.recovery.congestion().window();
        let free = window.saturating_sub(self.recovery.in_flight());
        let path = self.paths.allowance(self.paths.addr());
        let queued = u64::try_from(queued).unwrap_or(u64::MAX).saturating_add(datagram);
        let wanted = free.min(path).min(datagram * most).min(queued) / datagram * datagram;
        self.paced_until = None;
        if wanted == 0 {
            return 0;
        }
        self.pacer.datagram_size_changed(datagram);
        self.pacer.follow(now, self.recovery.congestion(), self.recovery.rtt());
        let paced = self.pacer.allowance(now, wanted);
        if paced < datagram {
            self.paced_until = self.pacer.poll_timeout(now, wanted);
        }
        usize::try_from(paced.min(wanted) / datagram).unwrap_or(0)
    }

    /// Challenges and responses go to the path that they are about, padded so that it is known to
    /// carry full datagrams (RFC 9000, 8.2.1).
    fn say_on_paths(
        &mut self,
        now: Instant,
        window: &mut ReceiveWindow,
        buf: &mut Vec<u8>,
    ) -> Result<Option<Transmit>, Exhausted> {
        // Somebody who is neither here nor coming asked: it gets nothing.
        let paths = &self.paths;
        self.due.path_responses.retain(|due| paths.allowance(due.to) >= LEAST_ON_PATH);
        // A response that is lost is asked for again: as many as somebody asks for, whatever the
        // congestion window says, must not be remembered until they are acknowledged.
        let due = self.due.path_responses.pop_front();
        let (to, frame, size, asks) = if let Some(PathResponse { to, token, asked }) = due {
            let allowed = usize::try_from(self.paths.allowance(to)).unwrap_or(usize::MAX);
            let frame = PacketFrame::PathResponse { token };
            (to, frame, allowed.min(asked), SentPacketKind::AckOnly)
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

    /// A datagram larger than the path is known to carry (RFC 8899).
    fn probe_size(
        &mut self,
        now: Instant,
        window: &mut ReceiveWindow,
        buf: &mut Vec<u8>,
        size: usize,
    ) -> Result<Transmit, Exhausted> {
        let start = begin(buf);
        PacketFrame::Ping { token: self.next_token() }.encode(buf);
        buf.resize(start + size - TAG_LEN, 0);
        let packet = Complete::new(PacketType::Ping, SentPacketKind::SizeProbe);
        let number = self.protection.next_number();
        self.finish(now, window, buf, start, packet)?;
        self.size.probe_sent(number);
        Ok(alone(self.paths.addr(), buf))
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
        self.put_lowest(now, buf, end + LOWEST_LEN);
        frames(buf);
        self.finish(now, window, buf, start, packet)?;
        Ok(alone(self.paths.addr(), buf))
    }

    /// Says which packets arrived, if the other end waits to hear of it and the header does not say
    /// it all. Whether something was said.
    fn put_acks(&mut self, now: Instant, buf: &mut Vec<u8>, end: usize, when: AckWhen) -> bool {
        let start = buf.len();
        let wanted = when == AckWhen::Always || self.received.ack_due(now);
        if wanted && self.received.has_gaps() {
            let delay = self.received.ack_delay(now);
            let room = end.saturating_sub(start);
            put_ack(buf, self.received.ranges(), delay, room);
            self.received.ack_sent(now);
        }
        buf.len() > start
    }

    /// Says which packets of ours will never arrive, if there is room and the other end was not
    /// told lately.
    fn put_lowest(&mut self, now: Instant, buf: &mut Vec<u8>, end: usize) {
        if buf.len() + LOWEST_LEN <= end
            && let Some(number) = self.lowest_due(now)
        {
            PacketFrame::StopWaiting { number }.encode(buf);
            self.recovery.lowest_told(number);
            self.lowest_told = now;
        }
    }

    /// The number for a STOP_WAITING frame. Until the other end shows that it heard of one, it is
    /// told again, no more often than twice a round trip.
    fn lowest_due(&self, now: Instant) -> Option<u64> {
        let pause = self.recovery.rtt().smoothed() / 2;
        let number = self.recovery.lowest_to_tell(now)?;
        (now.since(self.lowest_told) >= pause).then_some(number)
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
        self.due.window = false;
        if !self.received.has_gaps() {
            // The header said it all.
            self.received.ack_sent(now);
        }
        // Silence on a probe for a size is an answer, too.
        if packet.asks == SentPacketKind::Eliciting {
            self.unanswered.get_or_insert(now);
            self.spoke = now;
        }
        self.outstanding += packet.cargo.charged;
        self.sent += 1;
        self.paths.handle_sent(to, size);
        self.recovery.handle_sent(now, number, size, packet.asks, packet.cargo);
        Ok(())
    }

    const fn next_token(&mut self) -> u64 {
        self.due.tokens += 1;
        self.due.tokens
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
    Transmit { to, segment_size: buf.len(), len: buf.len() }
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

/// Bytes of a packet with a challenge or a response.
const LEAST_ON_PATH: u64 = 32 + 9 + 16;
/// Bytes of a STOP_WAITING frame at the most.
const LOWEST_LEN: usize = 9;
