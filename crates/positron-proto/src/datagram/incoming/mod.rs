//! Messages from the other end: put together and in order.

mod reassembly;
mod reorder;
#[cfg(test)]
mod tests;
mod violation;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

pub(super) use self::{reassembly::cost_of_unfinished, violation::Violation};
use self::{
    reassembly::{AddedPart, Assemblies},
    reorder::{Order, Placement},
};
use super::{
    contract::LaneNumber,
    sent_frames::{PacketBuilder, PacketKind, SentFrame},
};
use crate::{
    limits::{MAX_UNFINISHED_PER_PEER, MESSAGE_COST},
    time::Instant,
    wire::{
        codec::varint_len,
        packet_frame::{Channel, Delivery, PacketFrame},
    },
};

/// Messages that arrive, in all lanes.
///
/// [`message`](Self::message) and [`part`](Self::part) take what arrives;
/// [`poll`](Self::poll) hands over, in order within an ordered lane, and every reliable message
/// once. What the other end must hear of it is put into packets by [`fill`](Self::fill); a
/// [`Violation`] ends the connection.
///
/// **What it holds.** Whole messages count against flow control
/// ([`take_arrived`](Self::take_arrived)): their bytes and [`MESSAGE_COST`], until each is
/// released. Unfinished ones do not, because nobody can release them; they are bounded by
/// [`MAX_FRAGMENTS_PER_PEER`](crate::limits::MAX_FRAGMENTS_PER_PEER), and let go when nothing of
/// them arrived for [`FRAGMENT_AGE`](crate::limits::FRAGMENT_AGE).
#[derive(Debug, Default)]
pub(super) struct RecvChannels {
    orders: BTreeMap<Channel, Order>,
    assemblies: Assemblies,
    delivered: VecDeque<Delivered>,
    /// Messages that the other end is to be told of: those that are whole, those let go.
    wholes: BTreeSet<(Channel, u64)>,
    given_up: BTreeSet<(Channel, u64)>,
    arrived: u64,
}

/// A message for the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Delivered {
    pub(super) lane: LaneNumber,
    pub(super) delivery: Delivery,
    pub(super) body: Bytes,
}

/// What happened to a message or a part that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReceivedPart {
    New,
    /// It had arrived before.
    Duplicate,
    /// It is unreliable, and there is no room for it or it is too old.
    Dropped,
    /// It is reliable and was not begun: the other end is told to send it again.
    GivenUp,
}

/// The messages of which only parts have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unfinished {
    /// What they take.
    pub(super) bytes: usize,
    /// When the oldest began, or went on after [`FRAGMENT_AGE`](crate::limits::FRAGMENT_AGE).
    pub(super) since: Instant,
}

impl RecvChannels {
    /// A MESSAGE frame. The body is copied once, to where it stays until it is released.
    pub(super) fn message(
        &mut self,
        channel: Channel,
        number: u64,
        body: &[u8],
    ) -> Result<ReceivedPart, Violation> {
        match self.stands(channel, number)? {
            Placement::Old => return Ok(ReceivedPart::Duplicate),
            Placement::Past => return Ok(ReceivedPart::Dropped),
            Placement::New => {}
        }
        if self.assemblies.total(channel, number).is_some_and(|total| total != body.len()) {
            return Err(Violation::protocol("a message of two lengths"));
        }
        if self.assemblies.forget(channel, number) {
            self.tell_whole(channel, number);
        }
        self.finish(channel, number, Bytes::copy_from_slice(body));
        Ok(ReceivedPart::New)
    }

    /// A FRAGMENT frame: bytes from `offset` on of a message of `total`.
    pub(super) fn part(
        &mut self,
        now: Instant,
        channel: Channel,
        number: u64,
        (offset, total): (u32, u32),
        body: &[u8],
    ) -> Result<ReceivedPart, Violation> {
        match self.stands(channel, number)? {
            Placement::Old => {
                self.tell_whole(channel, number);
                return Ok(ReceivedPart::Duplicate);
            }
            Placement::Past => return Ok(ReceivedPart::Dropped),
            Placement::New => {}
        }
        let reliable = channel.delivery != Delivery::Unreliable;
        self.assemblies.pay(body.len());
        if self.assemblies.total(channel, number).is_none() {
            let mut has_room = self.assemblies.has_room_for(total, reliable)?;
            if !self.assemblies.is_paid_for(total) {
                self.pass_over(channel, number);
                return Ok(if reliable { ReceivedPart::GivenUp } else { ReceivedPart::Dropped });
            }
            while !has_room {
                let Some((channel, number)) = self.assemblies.evict_unreliable() else {
                    return Ok(ReceivedPart::Dropped);
                };
                self.pass_over(channel, number);
                has_room = self.assemblies.has_room_for(total, reliable)?;
            }
        }
        match self.assemblies.add(now, channel, number, (offset, total), body)? {
            AddedPart::Nothing => Ok(ReceivedPart::Duplicate),
            AddedPart::Part => Ok(ReceivedPart::New),
            AddedPart::Last(whole) => {
                self.tell_whole(channel, number);
                self.finish(channel, number, whole);
                Ok(ReceivedPart::New)
            }
        }
    }

    /// The next message for the application. It is held until it is released.
    pub(super) fn poll(&mut self) -> Option<Delivered> {
        let next = self.delivered.pop_front();
        if self.delivered.is_empty() && self.delivered.capacity() > DELIVERED_ROOM {
            self.delivered = VecDeque::new();
        }
        next
    }

    /// Whether there is something for [`fill`](Self::fill).
    pub(super) fn has_replies(&self) -> bool {
        !self.wholes.is_empty() || !self.given_up.is_empty()
    }

    /// Puts MESSAGE_ACK or MESSAGE_NACK frames into a packet: into an empty one, one kind, or both
    /// kinds among the data of another.
    pub(super) fn fill(&mut self, packet: &mut PacketBuilder<'_>) {
        if matches!(packet.kind, PacketKind::Empty | PacketKind::MessageAck | PacketKind::Data) {
            while let Some(&(channel, number)) = self.wholes.first() {
                if packet.room() < 2 + varint_len(number) {
                    return;
                }
                self.wholes.pop_first();
                PacketFrame::MessageAck { channel, number }.encode(packet.out);
                packet.contents.push(SentFrame::Whole { channel, number });
                packet.reply(channel.lane, PacketKind::MessageAck);
            }
        }
        if matches!(packet.kind, PacketKind::Empty | PacketKind::MessageNack | PacketKind::Data) {
            while let Some(&(channel, number)) = self.given_up.first() {
                if packet.room() < 2 + varint_len(number) {
                    return;
                }
                self.given_up.pop_first();
                PacketFrame::MessageNack { channel, number }.encode(packet.out);
                packet.contents.push(SentFrame::GivenUp { channel, number });
                packet.reply(channel.lane, PacketKind::MessageNack);
            }
        }
    }

    /// A packet with this is taken for lost.
    pub(super) fn handle_loss(&mut self, chunk: &SentFrame) {
        match *chunk {
            SentFrame::Whole { channel, number } => self.tell_whole(channel, number),
            // If it began again since, the other end has heard of it.
            SentFrame::GivenUp { channel, number }
                if self.assemblies.total(channel, number).is_none()
                    && self.stands(channel, number) == Ok(Placement::New) =>
            {
                self.tell_given_up(channel, number);
            }
            _ => {}
        }
    }

    /// Gives back the room of what is empty. Nothing of it is asked for until the next message.
    pub(super) fn shrink(&mut self) {
        self.assemblies.shrink();
        for replies in [&mut self.wholes, &mut self.given_up] {
            if replies.is_empty() {
                *replies = BTreeSet::new();
            }
        }
    }

    /// Bytes of flow control that came to be held since this was asked last.
    pub(super) fn take_arrived(&mut self) -> u64 {
        core::mem::take(&mut self.arrived)
    }

    /// What unfinished messages take, if there are any.
    pub(super) fn unfinished(&self) -> Option<Unfinished> {
        let since = self.assemblies.oldest()?;
        Some(Unfinished { bytes: self.assemblies.bytes(), since })
    }

    /// Lets go of the oldest unfinished message: how many bytes that freed.
    pub(super) fn give_up_oldest(&mut self) -> usize {
        let before = self.assemblies.bytes();
        if let Some((channel, number)) = self.assemblies.evict_oldest() {
            self.pass_over(channel, number);
        }
        before - self.assemblies.bytes()
    }

    /// Lets go of what did not go on for too long: how many messages.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> u64 {
        let mut count = 0;
        while let Some((channel, number)) = self.assemblies.evict_stale(now) {
            self.pass_over(channel, number);
            count += 1;
        }
        count
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.assemblies.poll_timeout()
    }

    fn stands(&self, channel: Channel, number: u64) -> Result<Placement, Violation> {
        match self.orders.get(&channel) {
            Some(order) => order.stands(number),
            None => Order::new(channel.delivery).stands(number),
        }
    }

    fn order(&mut self, channel: Channel) -> &mut Order {
        self.orders.entry(channel).or_insert_with(|| Order::new(channel.delivery))
    }

    /// A message is whole.
    fn finish(&mut self, channel: Channel, number: u64, body: Bytes) {
        let cost = u64::try_from(body.len() + MESSAGE_COST).unwrap_or(u64::MAX);
        self.arrived = self.arrived.saturating_add(cost);
        let Channel { lane, delivery } = channel;
        let order = self.orders.entry(channel).or_insert_with(|| Order::new(delivery));
        let delivered = &mut self.delivered;
        order.take(number, body, |body| delivered.push_back(Delivered { lane, delivery, body }));
    }

    /// An unfinished message was let go. The other end sends it again if it is reliable, and parts
    /// of it that come later are of no use if it is not.
    fn pass_over(&mut self, channel: Channel, number: u64) {
        if channel.delivery == Delivery::Unreliable {
            self.order(channel).take(number, Bytes::new(), |_| {});
        } else {
            self.tell_given_up(channel, number);
        }
    }

    fn tell_whole(&mut self, channel: Channel, number: u64) {
        if channel.delivery != Delivery::Unreliable {
            self.given_up.remove(&(channel, number));
            remember(&mut self.wholes, (channel, number));
        }
    }

    fn tell_given_up(&mut self, channel: Channel, number: u64) {
        remember(&mut self.given_up, (channel, number));
    }
}

fn remember(set: &mut BTreeSet<(Channel, u64)>, entry: (Channel, u64)) {
    set.insert(entry);
    if set.len() > MAX_REPLIES {
        set.pop_first();
    }
}

/// Messages for which room is kept while there are none: with one at a time, each would pay for it
/// anew.
const DELIVERED_ROOM: usize = 4;
/// Replies of one kind that wait. A sender that keeps to its limits has no more unfinished messages
/// than that, so it misses nothing; any other one deserves nothing.
const MAX_REPLIES: usize = 4 * MAX_UNFINISHED_PER_PEER;
