//! Streams of bytes, each in one direction.

mod receiving;
mod sending;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use self::{
    receiving::{Receiving, RecvChange, RecvState},
    sending::Sending,
};
use super::{
    contract::{LaneNumber, NotQueued, StreamId},
    incoming::Violation,
    sent_frames::{PacketBuilder, PacketKind, SentFrame},
};
use crate::{
    handshake::expect::Direction,
    limits::{LANES, MAX_STREAMS},
    time::{Duration, Instant},
    wire::packet_frame::{PacketFrame, StreamSide},
};

/// All streams of a connection, in both directions.
///
/// A stream goes from the end that opened it to the other one. Each may hold what its credit says
/// (offsets, RFC 9000, 4.1), all of them together what the window of the connection says
/// ([`take_arrived`](Self::take_arrived), [`take_released`](Self::take_released)). There are at
/// most [`MAX_STREAMS`] of each side at a time.
#[derive(Debug)]
pub(super) struct Streams {
    ours: BTreeMap<u64, Sending>,
    theirs: BTreeMap<u64, Receiving>,
    /// Streams that we opened in all, and may have.
    opened: u64,
    may_open: u64,
    /// Whether one could not be opened since there was room for one.
    open_refused: bool,
    /// Streams that the other end opened in all, and may have.
    seen: u64,
    may_see: u64,
    /// The most that the window of one grows to.
    most: u64,
    queued: usize,
    arrived: u64,
    released: u64,
    /// Frames to be sent: credits (0: of streams), resets, stops.
    credits: BTreeSet<u64>,
    resets: BTreeSet<u64>,
    /// With what is said of each.
    stops: BTreeMap<u64, u32>,
    /// Streams of theirs that can be read, and of ours that ended early, with what is said of each.
    readable: BTreeSet<u64>,
    stopped: BTreeMap<u64, u32>,
    /// Streams of ours that were offered more than they took.
    refused: BTreeSet<u64>,
    /// The one that was served last: the next one's turn is after it.
    turn: u64,
}

/// Something that the application is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamEvent {
    Readable(StreamId),
    Writable(StreamId),
    /// The other end reads no more of it, and says why.
    Stopped(StreamId, u32),
    /// More may be opened, after that was refused.
    Available,
}

impl Streams {
    /// None yet; the window of one grows to at most `most` bytes.
    pub(super) fn new(most: usize) -> Self {
        Self {
            ours: BTreeMap::new(),
            theirs: BTreeMap::new(),
            opened: 0,
            may_open: MAX_STREAMS,
            open_refused: false,
            seen: 0,
            may_see: MAX_STREAMS,
            most: as_u64(most),
            queued: 0,
            arrived: 0,
            released: 0,
            credits: BTreeSet::new(),
            resets: BTreeSet::new(),
            stops: BTreeMap::new(),
            readable: BTreeSet::new(),
            stopped: BTreeMap::new(),
            refused: BTreeSet::new(),
            turn: 0,
        }
    }

    /// Opens one of ours. If there may be no more, a [`StreamEvent::Available`] follows.
    pub(super) fn open(&mut self, lane: LaneNumber) -> Result<StreamId, NotQueued> {
        if lane >= LANES {
            return Err(NotQueued::NoSuchLane(lane));
        }
        if !self.may_open() {
            self.open_refused = true;
            return Err(NotQueued::TooManyStreams);
        }
        self.opened += 1;
        self.ours.insert(self.opened, Sending::new(self.opened, lane));
        Ok(ours(self.opened))
    }

    /// Whether one may be opened.
    pub(super) const fn may_open(&self) -> bool {
        self.opened < self.may_open
    }

    /// Takes as many of `bytes` as `room` bytes of the queue allow: how many. If not all, a
    /// [`StreamEvent::Writable`] follows.
    pub(super) fn write(
        &mut self,
        id: StreamId,
        bytes: &[u8],
        room: usize,
    ) -> Result<usize, NotQueued> {
        let stream = self.open_one(id)?;
        let len = bytes.len().min(room).min(stream.room());
        stream.write(&bytes[..len]);
        stream.refused = (len < bytes.len()).then_some(bytes.len() - len);
        if stream.refused.is_some() {
            self.refused.insert(id.number);
        }
        self.queued += len;
        Ok(len)
    }

    /// Nothing more is written.
    pub(super) fn finish(&mut self, id: StreamId) -> Result<(), NotQueued> {
        self.open_one(id)?.finish();
        Ok(())
    }

    /// Reads; what is read counts as released. `Ok(None)` once, at the end; an error if it was
    /// reset, and afterwards.
    pub(super) fn read(
        &mut self,
        now: Instant,
        id: StreamId,
        limit: usize,
        rtt: Duration,
    ) -> Result<Option<Bytes>, NotQueued> {
        let stream = match id.opened_by {
            Direction::Inbound => self.theirs.get_mut(&id.number),
            Direction::Outbound => None,
        };
        let stream = stream.ok_or(NotQueued::StreamClosed)?;
        match stream.state {
            RecvState::Dropped => return Err(NotQueued::StreamClosed),
            RecvState::Reset(code) => {
                self.forget(id.number);
                return Err(NotQueued::StreamReset { code });
            }
            RecvState::Open => {}
        }
        if stream.is_finished() {
            self.forget(id.number);
            return Ok(None);
        }
        let bytes = stream.read(limit);
        self.released += as_u64(bytes.len());
        if stream.raise(now, rtt, self.most) {
            self.credits.insert(id.number);
        }
        if stream.is_readable() {
            self.readable.insert(id.number);
        } else {
            self.readable.remove(&id.number);
        }
        Ok(Some(bytes))
    }

    /// Whether [`read`](Self::read) would tell something new.
    pub(super) fn is_readable(&self, id: StreamId) -> bool {
        id.opened_by == Direction::Inbound
            && self.theirs.get(&id.number).is_some_and(Receiving::is_readable)
    }

    /// Resets one of ours, or refuses one of theirs.
    pub(super) fn drop_stream(&mut self, id: StreamId, code: u32) {
        match id.opened_by {
            Direction::Outbound => self.reset_ours(id.number, code),
            Direction::Inbound => {
                let Some(stream) = self.theirs.get_mut(&id.number) else { return };
                self.released += stream.drop_rest();
                self.readable.remove(&id.number);
                if stream.is_over() {
                    self.forget(id.number);
                } else {
                    self.stops.insert(id.number, code);
                }
            }
        }
    }

    /// A STREAM frame.
    pub(super) fn handle_stream(
        &mut self,
        number: u64,
        offset: u64,
        body: &[u8],
        fin: bool,
    ) -> Result<(), Violation> {
        let Some(stream) = self.theirs(number)? else { return Ok(()) };
        let change = stream.take(offset, body, fin)?;
        self.changed(number, change);
        Ok(())
    }

    /// A MAX_DATA frame; stream 0 tells how many we may open in all.
    pub(super) fn handle_credit(&mut self, number: u64, limit: u64) -> Result<(), Violation> {
        if number == 0 {
            self.may_open = self.may_open.max(limit);
        } else if number > self.opened {
            return Err(Violation::protocol("credit for a stream that was never opened"));
        } else if let Some(stream) = self.ours.get_mut(&number) {
            stream.raise(limit);
        }
        Ok(())
    }

    /// A STREAM_END frame: the other end sends no more than `offset` bytes of its own stream, or
    /// reads no more of ours.
    pub(super) fn handle_end(
        &mut self,
        number: u64,
        side: StreamSide,
        (offset, code): (u64, u32),
    ) -> Result<(), Violation> {
        match side {
            StreamSide::Sending => {
                let Some(stream) = self.theirs(number)? else { return Ok(()) };
                let change = stream.reset(offset, code)?;
                self.changed(number, change);
            }
            StreamSide::Reading if number > self.opened => {
                return Err(Violation::protocol("the end of a stream that was never opened"));
            }
            StreamSide::Reading => {
                if self.ours.get(&number).is_some_and(|stream| !stream.is_reset()) {
                    self.reset_ours(number, code);
                    self.stopped.insert(number, code);
                }
            }
        }
        Ok(())
    }

    /// Puts credits and ends into a packet.
    pub(super) fn fill_control(&mut self, packet: &mut PacketBuilder<'_>) {
        while packet.takes_data() && packet.room() >= CONTROL {
            let (chunk, frame) = if let Some(stream) = self.credits.pop_first() {
                let limit = match self.theirs.get(&stream) {
                    Some(stream) => stream.limit(),
                    None if stream == 0 => self.may_see,
                    None => continue,
                };
                (SentFrame::Credit { stream }, PacketFrame::MaxData { stream, limit })
            } else if let Some(stream) = self.resets.pop_first() {
                let (offset, code) = self.ours.get(&stream).map_or((0, 0), Sending::reset_at);
                let (id, side) = (stream, StreamSide::Sending);
                (SentFrame::Reset { stream }, PacketFrame::StreamEnd { id, side, offset, code })
            } else if let Some((stream, code)) = self.stops.pop_first() {
                let Some(offset) = self.theirs.get(&stream).map(Receiving::read_to) else {
                    continue;
                };
                let (id, side) = (stream, StreamSide::Reading);
                let stop = SentFrame::Stop { stream, code };
                (stop, PacketFrame::StreamEnd { id, side, offset, code })
            } else {
                return;
            };
            frame.encode(packet.out);
            packet.contents.push(chunk);
            packet.reply(0, PacketKind::Data);
        }
    }

    /// Puts what fits of one lane into a packet; streams take turns.
    pub(super) fn fill(&mut self, lane: LaneNumber, packet: &mut PacketBuilder<'_>) {
        let (before, after): (Vec<u64>, Vec<u64>) = self
            .ours
            .iter()
            .filter(|(_, stream)| stream.lane == lane && stream.is_ready(packet.budget))
            .map(|(number, _)| *number)
            .partition(|number| *number <= self.turn);
        for number in after.into_iter().chain(before) {
            let Some(stream) = self.ours.get_mut(&number) else { continue };
            if !stream.fill(packet) {
                return;
            }
            self.turn = number;
        }
    }

    /// A packet with this arrived.
    pub(super) fn handle_ack(&mut self, chunk: &SentFrame) {
        let number = match *chunk {
            SentFrame::Stream { stream: number, from, len, fin } => {
                let Some(stream) = self.ours.get_mut(&number) else { return };
                self.queued -= stream.acknowledged(from..from + u64::from(len), fin);
                if !stream.is_over() {
                    return;
                }
                number
            }
            SentFrame::Reset { stream } => stream,
            _ => return,
        };
        self.ours.remove(&number);
        self.refused.remove(&number);
        self.resets.remove(&number);
    }

    /// A packet with this is taken for lost.
    pub(super) fn handle_loss(&mut self, chunk: &SentFrame) {
        match *chunk {
            SentFrame::Stream { stream, from, len, fin } => {
                if let Some(stream) = self.ours.get_mut(&stream) {
                    stream.handle_loss(from..from + u64::from(len), fin);
                }
            }
            SentFrame::Credit { stream } => {
                let wanted = self.theirs.get(&stream).is_some_and(Receiving::wants_credit);
                if stream == 0 || wanted {
                    self.credits.insert(stream);
                }
            }
            SentFrame::Reset { stream } if self.ours.contains_key(&stream) => {
                self.resets.insert(stream);
            }
            SentFrame::Stop { stream, code } if self.theirs.contains_key(&stream) => {
                self.stops.insert(stream, code);
            }
            _ => {}
        }
    }

    /// The most urgent lane that has something to send when flow control lets `budget` be sent;
    /// credits and ends count as lane 0.
    pub(super) fn most_urgent(&self, budget: u64) -> Option<LaneNumber> {
        if !(self.credits.is_empty() && self.resets.is_empty() && self.stops.is_empty()) {
            return Some(0);
        }
        let ready = self.ours.values().filter(|stream| stream.is_ready(budget));
        ready.map(|stream| stream.lane).min()
    }

    /// Bytes that wait to be sent or acknowledged.
    pub(super) const fn queued_bytes(&self) -> usize {
        self.queued
    }

    /// Whether everything was sent and acknowledged. A stream that is open and has nothing to say
    /// is no hindrance.
    pub(super) fn is_drained(&self) -> bool {
        self.resets.is_empty()
            && self.ours.values().all(|stream| stream.is_open() && stream.queued() == 0)
    }

    /// Whether a reader would find something in one of theirs.
    pub(super) fn has_unread(&self) -> bool {
        self.theirs.values().any(Receiving::is_readable)
    }

    /// The next thing to tell; `room` bytes of the queue are free.
    pub(super) fn poll_event(&mut self, room: usize) -> Option<StreamEvent> {
        if let Some(number) = self.readable.pop_first() {
            return Some(StreamEvent::Readable(theirs(number)));
        }
        if let Some((number, code)) = self.stopped.pop_first() {
            return Some(StreamEvent::Stopped(ours(number), code));
        }
        if self.may_open() && core::mem::take(&mut self.open_refused) {
            return Some(StreamEvent::Available);
        }
        let worth = |number: &&u64| {
            let stream = self.ours.get(number);
            let wanted = stream.and_then(|stream| stream.refused).unwrap_or(0);
            let room = stream.map_or(room, |stream| room.min(stream.room()));
            room >= wanted.min(WRITABLE) || (self.queued == 0 && room > 0)
        };
        let number = *self.refused.iter().find(worth)?;
        self.refused.remove(&number);
        Some(StreamEvent::Writable(ours(number)))
    }

    /// Bytes of flow control that came to be held since this was asked last.
    pub(super) fn take_arrived(&mut self) -> u64 {
        core::mem::take(&mut self.arrived)
    }

    /// Bytes of flow control that were let go since this was asked last: read, or dropped.
    pub(super) fn take_released(&mut self) -> u64 {
        core::mem::take(&mut self.released)
    }

    fn open_one(&mut self, id: StreamId) -> Result<&mut Sending, NotQueued> {
        let stream = match id.opened_by {
            Direction::Outbound => self.ours.get_mut(&id.number),
            Direction::Inbound => None,
        };
        stream.filter(|stream| stream.is_open()).ok_or(NotQueued::StreamClosed)
    }

    /// One of theirs, which begins with any frame about it or about a later one (RFC 9000, 3.2);
    /// `None` if it is over.
    fn theirs(&mut self, number: u64) -> Result<Option<&mut Receiving>, Violation> {
        if number > self.may_see {
            return Err(Violation::flooding("more streams than were allowed"));
        }
        while self.seen < number {
            self.seen += 1;
            self.theirs.insert(self.seen, Receiving::new());
        }
        Ok(self.theirs.get_mut(&number))
    }

    fn changed(&mut self, number: u64, change: RecvChange) {
        self.arrived += change.held;
        self.released += change.released;
        if change.readable {
            self.readable.insert(number);
        }
        let dropped = |stream: &Receiving| stream.state == RecvState::Dropped && stream.is_over();
        if self.theirs.get(&number).is_some_and(dropped) {
            self.forget(number);
        }
    }

    /// One of theirs is over: they may open another one.
    fn forget(&mut self, number: u64) {
        if let Some(stream) = self.theirs.remove(&number) {
            self.released += stream.cost();
            self.may_see += 1;
            self.credits.insert(0);
        }
        self.credits.remove(&number);
        self.stops.remove(&number);
        self.readable.remove(&number);
    }

    fn reset_ours(&mut self, number: u64, code: u32) {
        let Some(stream) = self.ours.get_mut(&number) else { return };
        if !stream.is_reset() {
            self.queued -= stream.reset(code);
            self.refused.remove(&number);
            self.resets.insert(number);
        }
    }
}

const fn ours(number: u64) -> StreamId {
    StreamId { opened_by: Direction::Outbound, number }
}

const fn theirs(number: u64) -> StreamId {
    StreamId { opened_by: Direction::Inbound, number }
}

fn as_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// The longest control frame: a type, two varints, a side, a code.
const CONTROL: usize = 22;
/// Room in the queue that is worth waking a writer for (guess).
const WRITABLE: usize = 16 * 1024;
