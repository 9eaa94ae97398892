//! One stream of ours.

use core::ops::Range;
use std::collections::VecDeque;

use crate::{
    datagram::{
        contract::LaneNumber,
        ranges::RangeSet,
        sent_frames::{PacketBuilder, PacketKind, SentFrame},
    },
    limits::{MESSAGE_COST, STREAM_UNSENT, STREAM_WINDOW_FIRST},
    wire::packet_frame::{put_stream, stream_overhead},
};

/// What was written to a stream and not acknowledged.
#[derive(Debug)]
pub(super) struct Sending {
    number: u64,
    pub(super) lane: LaneNumber,
    /// Bytes from `base` on.
    buffer: VecDeque<u8>,
    /// Everything below it was acknowledged.
    base: u64,
    /// Everything below it was sent at least once.
    sent: u64,
    /// How far the other end lets us send.
    limit: u64,
    acknowledged: RangeSet,
    again: RangeSet,
    end: End,
    /// Bytes that were offered and not taken.
    pub(super) refused: Option<usize>,
    /// Whether a frame of it was ever sent.
    begun: bool,
}

/// How far the end of a stream got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// More may be written.
    Open,
    /// Nothing more is written; that is to be told.
    Due,
    Told,
    Acknowledged,
    /// It was given up, for a reason of the application.
    Reset(u32),
}

impl Sending {
    pub(super) fn new(number: u64, lane: LaneNumber) -> Self {
        Self {
            number,
            lane,
            buffer: VecDeque::new(),
            base: 0,
            sent: 0,
            limit: as_u64(STREAM_WINDOW_FIRST),
            acknowledged: RangeSet::new(),
            again: RangeSet::new(),
            end: End::Open,
            refused: None,
            begun: false,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.end == End::Open
    }

    pub(super) fn is_reset(&self) -> bool {
        matches!(self.end, End::Reset(_))
    }

    /// Whether all of it arrived.
    pub(super) fn is_over(&self) -> bool {
        self.end == End::Acknowledged && self.buffer.is_empty()
    }

    pub(super) fn queued(&self) -> usize {
        self.buffer.len()
    }

    /// Where it ended when it was given up, and why.
    pub(super) const fn reset_at(&self) -> (u64, u32) {
        let code = if let End::Reset(code) = self.end { code } else { 0 };
        (self.sent, code)
    }

    /// Bytes that it takes beside those that wait to be sent for the first time.
    pub(super) fn room(&self) -> usize {
        let unsent = usize::try_from(self.written() - self.sent).unwrap_or(usize::MAX);
        STREAM_UNSENT.saturating_sub(unsent)
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.buffer.extend(bytes);
    }

    pub(super) fn finish(&mut self) {
        if self.end == End::Open {
            self.end = End::Due;
        }
    }

    /// Gives it up: how many bytes that freed.
    pub(super) fn reset(&mut self, code: u32) -> usize {
        let freed = self.buffer.len();
        self.buffer = VecDeque::new();
        self.again.clear();
        self.acknowledged.clear();
        self.end = End::Reset(code);
        freed
    }

    pub(super) fn raise(&mut self, limit: u64) {
        self.limit = self.limit.max(limit);
    }

    /// Whether something can be sent when flow control of the connection lets `budget` be sent.
    pub(super) fn is_ready(&self, budget: u64) -> bool {
        if self.is_reset() {
            return false;
        }
        let new = self.written().min(self.limit).saturating_sub(self.sent);
        !self.again.is_empty()
            || (new > 0 && budget >= self.first_cost() + new.min(MIN_PIECE))
            || (self.end == End::Due && self.sent == self.written() && budget >= self.first_cost())
    }

    /// Puts what fits into a packet; whether something was.
    pub(super) fn fill(&mut self, packet: &mut PacketBuilder<'_>) -> bool {
        let mut something = false;
        while packet.takes_data() && self.is_ready(packet.budget) && self.put(packet) {
            something = true;
        }
        something
    }

    /// Puts one frame into a packet, if it fits.
    fn put(&mut self, packet: &mut PacketBuilder<'_>) -> bool {
        let lost = self.again.lowest_range();
        let again = lost.is_some();
        let new = self.sent..self.written().min(self.limit).max(self.sent);
        let wanted = lost.unwrap_or(new);
        let overhead = stream_overhead(self.number, wanted.start, packet.room());
        let Some(room) = packet.room().checked_sub(overhead) else { return false };
        let start = usize::try_from(wanted.start - self.base).unwrap_or(usize::MAX);
        let bytes = contiguous(&self.buffer, start);
        let first = if again { 0 } else { self.first_cost() };
        let mut len = as_u64(room.min(bytes.len())).min(wanted.end - wanted.start);
        if !again {
            len = len.min(packet.budget.saturating_sub(first));
        }
        let to = wanted.start + len;
        let ends = to == self.written() && matches!(self.end, End::Due | End::Told);
        let all = to == wanted.end || as_u64(bytes.len()) == len;
        if (len == 0 && !ends) || (!all && len < MIN_PIECE) {
            return false;
        }
        let body = &bytes[..usize::try_from(len).unwrap_or(0)];
        put_stream(packet.out, self.number, self.lane, ends, wanted.start, body);
        if again {
            packet.charge_again(len);
        } else {
            // It was cut to what is left.
            packet.charge(len + first);
        }
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        let (stream, from) = (self.number, wanted.start);
        packet.contents.push(SentFrame::Stream { stream, from, len, fin: ends });
        packet.kind = PacketKind::Data;
        (packet.reliable, packet.ordered) = (true, true);
        packet.carries(self.lane);
        self.begun = true;
        self.again.remove(&(from..to));
        self.sent = self.sent.max(to);
        if ends {
            self.end = End::Told;
        }
        true
    }

    /// These bytes arrived: how many bytes that freed.
    pub(super) fn acknowledged(&mut self, bytes: Range<u64>, fin: bool) -> usize {
        if self.is_reset() || bytes.end > self.sent {
            return 0;
        }
        if fin {
            self.end = End::Acknowledged;
        }
        self.again.remove(&bytes);
        self.acknowledged.add(bytes.start.max(self.base)..bytes.end);
        let Some(first) = self.acknowledged.lowest_range().filter(|first| first.start <= self.base)
        else {
            return 0;
        };
        let freed = usize::try_from(first.end - self.base).unwrap_or(usize::MAX);
        self.acknowledged.remove(&first);
        self.base = first.end;
        self.buffer.drain(..freed);
        if self.buffer.is_empty() {
            self.buffer = VecDeque::new();
        }
        freed
    }

    /// These bytes were lost.
    pub(super) fn handle_loss(&mut self, bytes: Range<u64>, fin: bool) {
        if self.is_reset() || bytes.end > self.sent {
            return;
        }
        for missing in self.acknowledged.gaps(bytes.start.max(self.base)..bytes.end) {
            self.again.add(missing);
        }
        if fin && self.end == End::Told {
            self.end = End::Due;
        }
    }

    /// Everything below it was written.
    fn written(&self) -> u64 {
        self.base + as_u64(self.buffer.len())
    }

    /// What a stream costs of the window beside its bytes, with its first frame.
    fn first_cost(&self) -> u64 {
        if self.begun { 0 } else { as_u64(MESSAGE_COST) }
    }
}

/// The bytes from `start` on that lie together.
fn contiguous(buffer: &VecDeque<u8>, start: usize) -> &[u8] {
    let (front, back) = buffer.as_slices();
    match start.checked_sub(front.len()) {
        Some(start) => back.get(start..).unwrap_or(&[]),
        None => &front[start..],
    }
}

fn as_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// A smaller piece that is not the last one is not worth its frame; it waits for the next packet
/// (guess).
const MIN_PIECE: u64 = 64;
