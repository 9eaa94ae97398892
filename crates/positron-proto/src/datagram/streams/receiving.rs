//! One stream of the other end.

use bytes::{Bytes, BytesMut};

use crate::{
    datagram::{incoming::Violation, ranges::RangeSet},
    limits::{MESSAGE_COST, STREAM_WINDOW_FIRST},
    time::{Duration, Instant},
};

/// What arrived of a stream and was not read.
///
/// The buffer reaches as far as anything arrived, so that bytes in any order cost no more than the
/// distance that they span; that is bounded by the credit, and counts as held.
#[derive(Debug)]
pub(super) struct Receiving {
    /// Bytes from `read` on, zero where nothing arrived.
    buffer: BytesMut,
    /// What arrived of them.
    arrived: RangeSet,
    read: u64,
    /// The end of the stream, once known (RFC 9000, 4.5).
    size: Option<u64>,
    /// How far the other end may send.
    limit: u64,
    /// How far ahead of the reader that is.
    window: u64,
    /// When the limit was raised last.
    raised: Option<Instant>,
    /// Whether anything of it arrived while somebody wanted it: it costs the window from then on.
    begun: bool,
    pub(super) state: RecvState,
}

/// Whether anybody wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecvState {
    Open,
    /// The other end gave it up, and said why.
    Reset(u32),
    /// We did.
    Dropped,
}

/// What a frame changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RecvChange {
    /// Bytes of the window that are held now beside those before.
    pub(super) held: u64,
    /// Bytes that were let go.
    pub(super) released: u64,
    /// Whether there is more to read, or the end.
    pub(super) readable: bool,
}

impl Receiving {
    pub(super) fn new() -> Self {
        let first = as_u64(STREAM_WINDOW_FIRST);
        Self {
            buffer: BytesMut::new(),
            arrived: RangeSet::new(),
            read: 0,
            size: None,
            limit: first,
            window: first,
            raised: None,
            begun: false,
            state: RecvState::Open,
        }
    }

    pub(super) const fn limit(&self) -> u64 {
        self.limit
    }

    pub(super) const fn read_to(&self) -> u64 {
        self.read
    }

    /// What it costs of the window beside its bytes. Its writer pays that with the first STREAM: an
    /// end that was told, or a later stream, must not cost what was never counted there. That there
    /// are not many is bounded by how many may be open.
    pub(super) fn cost(&self) -> u64 {
        if self.begun { as_u64(MESSAGE_COST) } else { 0 }
    }

    /// Whether nothing more of it can matter.
    pub(super) fn is_over(&self) -> bool {
        match self.state {
            RecvState::Open => false,
            RecvState::Reset(_) | RecvState::Dropped => self.size.is_some(),
        }
    }

    /// Whether a reader would find something.
    pub(super) fn is_readable(&self) -> bool {
        match self.state {
            RecvState::Open => self.ready() > 0 || self.size == Some(self.read),
            RecvState::Reset(_) => true,
            RecvState::Dropped => false,
        }
    }

    /// Whether the other end should be allowed more.
    pub(super) fn wants_credit(&self) -> bool {
        self.state == RecvState::Open && self.size.is_none()
    }

    pub(super) fn take(
        &mut self,
        offset: u64,
        body: &[u8],
        fin: bool,
    ) -> Result<RecvChange, Violation> {
        let end = offset.checked_add(as_u64(body.len()));
        let end = end.filter(|end| *end <= self.limit);
        let Some(end) = end else {
            return Err(Violation::flooding("more of a stream than was allowed"));
        };
        self.check_size(end, fin)?;
        let before = self.highest();
        if fin {
            self.size = Some(end);
        }
        if self.state != RecvState::Open {
            return Ok(self.swallow(before, end));
        }
        let cost_before = self.cost();
        self.begun = true;
        let readable_before = self.is_readable() && !fin;
        let ready_before = self.ready();
        let from = offset.max(self.read);
        if from < end {
            let body = &body[as_usize(from - offset)..];
            let (start, stop) = (as_usize(from - self.read), as_usize(end - self.read));
            if self.buffer.len() == start {
                self.buffer.extend_from_slice(body);
            } else {
                self.buffer.resize(self.buffer.len().max(stop), 0);
                self.buffer[start..stop].copy_from_slice(body);
            }
            self.arrived.add(from..end);
            if self.arrived.len() > MAX_GAPS + as_usize(self.window) / BYTES_OF_A_GAP {
                return Err(Violation::flooding("a stream in crumbs"));
            }
        }
        let readable = self.ready() > ready_before || (self.is_readable() && !readable_before);
        let held = self.highest() - before + self.cost() - cost_before;
        Ok(RecvChange { held, released: 0, readable })
    }

    /// The other end gives it up after `size` bytes.
    pub(super) fn reset(&mut self, size: u64, code: u32) -> Result<RecvChange, Violation> {
        if size > self.limit {
            return Err(Violation::flooding("a stream that ends beyond what was allowed"));
        }
        self.check_size(size, true)?;
        let before = self.highest();
        if self.state == RecvState::Open && self.size == Some(self.read) {
            // The reader may as well be told that all of it arrived.
            return Ok(RecvChange::default());
        }
        self.size = Some(size);
        let held_before = before - self.read;
        let open = self.state == RecvState::Open;
        if open {
            self.state = RecvState::Reset(code);
        }
        self.empty();
        let news = size - before.min(size);
        self.read = size;
        Ok(RecvChange { held: news, released: news + held_before, readable: open })
    }

    /// Nobody reads it any more: how many bytes that freed.
    pub(super) fn drop_rest(&mut self) -> u64 {
        let freed = self.highest() - self.read;
        self.read = self.highest();
        self.empty();
        self.state = RecvState::Dropped;
        freed
    }

    /// Reads at most `limit` bytes.
    pub(super) fn read(&mut self, limit: usize) -> Bytes {
        let len = self.ready().min(limit);
        let bytes = self.buffer.split_to(len).freeze();
        self.arrived.remove(&(self.read..self.read + as_u64(len)));
        self.read += as_u64(len);
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        bytes
    }

    /// Whether all of it was read.
    pub(super) fn is_finished(&self) -> bool {
        self.state == RecvState::Open && self.size == Some(self.read)
    }

    /// Raises the limit when half of it is used up; whether it did. A reader that keeps up with
    /// half a window within two round trips, or a whole one within four, gets twice as much, up to
    /// `most`: after a loss that much is read at once, a round trip late.
    pub(super) fn raise(&mut self, now: Instant, rtt: Duration, most: u64) -> bool {
        if !self.wants_credit() || self.limit - self.read > self.window / 2 {
            return false;
        }
        let left = self.limit - self.read;
        let halves = if left <= self.window / 8 { 2 } else { 1 };
        if self.raised.is_some_and(|raised| now.since(raised) < 2 * halves * rtt) {
            self.window = self.window.saturating_mul(2).min(most.max(self.window));
        }
        self.raised = Some(now);
        self.limit = self.read.saturating_add(self.window);
        true
    }

    /// Everything below it arrived, or lies below something that did.
    fn highest(&self) -> u64 {
        self.read + as_u64(self.buffer.len())
    }

    /// Bytes that can be read.
    fn ready(&self) -> usize {
        match self.arrived.lowest_range() {
            Some(first) if first.start <= self.read => as_usize(first.end - self.read),
            _ => 0,
        }
    }

    /// RFC 9000, 4.5: the size of a stream never changes, and nothing lies beyond it.
    fn check_size(&self, end: u64, fin: bool) -> Result<(), Violation> {
        let wrong = match self.size {
            Some(size) => end > size || (fin && end != size),
            None => fin && end < self.highest(),
        };
        if wrong { Err(Violation::protocol("a stream of two sizes")) } else { Ok(()) }
    }

    /// Bytes of a stream that nobody reads.
    fn swallow(&mut self, before: u64, end: u64) -> RecvChange {
        let news = end.saturating_sub(before);
        self.read = before.max(end);
        RecvChange { held: news, released: news, readable: false }
    }

    fn empty(&mut self) {
        self.buffer = BytesMut::new();
        self.arrived.clear();
    }
}

fn as_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

fn as_usize(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

/// Gaps that any stream may have (guess), at 16 bytes each. RUSTSEC-2026-0185: what is remembered
/// of gaps has to be bounded too.
const MAX_GAPS: usize = 1024;
/// For so many bytes of its window a stream may have one gap more: 16 MiB in datagrams of 1,200
/// bytes of which every other one is missing have 7,000, and each gap more makes the next crumb
/// dearer to file.
const BYTES_OF_A_GAP: usize = 2048;
