//! What a packet carried, in few bytes: loss and acknowledgment are told in these words.

use super::contract::LaneNumber;
use crate::wire::{packet::Fragment, packet_frame::Channel};

/// One thing that a packet carried.
///
/// The packet layer keeps these with each packet that is under way and gives every one back, to
/// the room that it came from, when its packet was acknowledged or lost. Both may happen to one
/// packet, in either order, and any number of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SentFrame {
    /// Whole messages with consecutive numbers.
    Messages { channel: Channel, first: u64, count: u32 },
    /// Bytes `from..to` of a message; `attempt` counts how often it was begun.
    Part { channel: Channel, number: u64, from: u32, to: u32, attempt: u8 },
    /// `len` bytes of a stream of ours from offset `from` on, and whether it ends there.
    Stream { stream: u64, from: u64, len: u32, fin: bool },
    /// How far the other end may write its stream of this number; 0: how many it may open.
    Credit { stream: u64 },
    /// A stream of ours was reset.
    Reset { stream: u64 },
    /// A stream of the other end is not read any more.
    Stop { stream: u64, code: u32 },
    /// A message in fragments was received whole.
    Whole { channel: Channel, number: u64 },
    /// What there was of a message in fragments was let go.
    GivenUp { channel: Channel, number: u64 },
}

/// Everything that a packet carried. No allocation for up to four chunks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SentFrames {
    few: [Option<SentFrame>; FEW],
    /// What is beyond the first four.
    more: Vec<SentFrame>,
}

impl SentFrames {
    /// Adds a chunk; one message more of a run makes the run longer.
    pub(super) fn push(&mut self, chunk: SentFrame) {
        if self.last_mut().is_some_and(|last| last.join(chunk)) {
            return;
        }
        match self.few.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => *slot = Some(chunk),
            None => self.more.push(chunk),
        }
    }

    /// All chunks, in the order of packing.
    pub(super) fn iter(&self) -> impl Iterator<Item = &SentFrame> {
        self.few.iter().flatten().chain(&self.more)
    }

    /// Whether the packet carried nothing that must arrive.
    pub(super) fn is_empty(&self) -> bool {
        self.few[0].is_none()
    }

    fn last_mut(&mut self) -> Option<&mut SentFrame> {
        self.more.last_mut().or_else(|| self.few.iter_mut().flatten().last())
    }
}

impl SentFrame {
    /// Takes in `next` if it continues this chunk.
    fn join(&mut self, next: Self) -> bool {
        let Self::Messages { channel, first, count } = self else { return false };
        let Self::Messages { channel: next_channel, first: next_first, count: 1 } = next else {
            return false;
        };
        if *channel != next_channel || first.checked_add(u64::from(*count)) != Some(next_first) {
            return false;
        }
        count.checked_add(1).map(|sum| *count = sum).is_some()
    }
}

/// What a packet is, by what was put into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PacketKind {
    /// Nothing was put into it yet: it may become any.
    Empty,
    /// Frames of all kinds.
    Data,
    /// One fragment, and nothing else but acknowledgments.
    Fragment(Fragment),
    /// Only MESSAGE_ACK frames.
    MessageAck,
    /// Only MESSAGE_NACK frames.
    MessageNack,
}

/// A packet that is being filled.
///
/// The packet layer makes one for each packet, offers it to [`super::incoming::RecvChannels`], then
/// lane by lane to [`super::outgoing::SendChannels`] and [`super::streams::Streams`], and sends it
/// if the kind is another than [`PacketKind::Empty`] afterwards. Acknowledgments may be in `out`
/// already, or be added after.
#[derive(Debug)]
pub(super) struct PacketBuilder<'a> {
    /// Frames are appended to it.
    pub(super) out: &'a mut Vec<u8>,
    /// The length that `out` may have at most.
    pub(super) end: usize,
    /// Bytes of frames in a full packet of this connection at present: messages above it are cut.
    pub(super) full: usize,
    /// What flow control lets be sent.
    pub(super) budget: u64,
    /// What of it was used: outstanding until the packet is acknowledged or lost.
    pub(super) charged: u64,
    /// What the packet is.
    pub(super) kind: PacketKind,
    /// What it carries that must arrive. Empty for unreliable messages only.
    pub(super) contents: SentFrames,
    /// Whether something in it is sent until it arrives.
    pub(super) reliable: bool,
    /// Whether something in it is delivered in order.
    pub(super) ordered: bool,
    /// The most urgent lane in it.
    pub(super) lane: Option<LaneNumber>,
}

impl<'a> PacketBuilder<'a> {
    /// Nothing in it yet.
    pub(super) fn new(out: &'a mut Vec<u8>, end: usize, full: usize, budget: u64) -> Self {
        Self {
            out,
            end,
            full,
            budget,
            charged: 0,
            kind: PacketKind::Empty,
            contents: SentFrames::default(),
            reliable: false,
            ordered: false,
            lane: None,
        }
    }

    /// Bytes that can be appended.
    pub(super) fn room(&self) -> usize {
        self.end.saturating_sub(self.out.len())
    }

    /// Whether frames of a DATA packet may be added.
    pub(super) fn takes_data(&self) -> bool {
        matches!(self.kind, PacketKind::Empty | PacketKind::Data)
    }

    /// Uses `cost` of what flow control allows; whether there was as much.
    pub(super) fn charge(&mut self, cost: u64) -> bool {
        let Some(left) = self.budget.checked_sub(cost) else { return false };
        self.budget = left;
        self.charged += cost;
        true
    }

    /// Uses `cost` for what was sent before: the other end has had room for it, and holds what
    /// waits for it, so it goes even if there is no room now.
    pub(super) fn charge_again(&mut self, cost: u64) {
        self.budget = self.budget.saturating_sub(cost);
        self.charged += cost;
    }

    /// A reply was added, which alone would make the packet one of this `kind`.
    pub(super) fn reply(&mut self, lane: LaneNumber, kind: PacketKind) {
        if self.kind == PacketKind::Empty {
            self.kind = kind;
        }
        self.reliable = true;
        self.carries(lane);
    }

    /// A frame of this lane was added.
    pub(super) fn carries(&mut self, lane: LaneNumber) {
        self.lane = Some(self.lane.map_or(lane, |urgent| urgent.min(lane)));
    }
}

/// Chunks that a packet carries without an allocation: data packets carry a run of messages, or a
/// piece of one or two streams.
const FEW: usize = 4;
