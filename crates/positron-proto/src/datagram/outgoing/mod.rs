//! Messages on their way to the other end.

mod fragmenter;
mod send_queue;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use self::send_queue::{Queue, Tally};
use super::{
    contract::{LaneNumber, NotQueued},
    incoming::Violation,
    sent_frames::{PacketBuilder, SentFrame},
};
use crate::{
    limits::{CONNECTION_QUEUE_MESSAGES, LANES, MAX_DATAGRAM_MESSAGE},
    wire::{
        body::Body,
        packet_frame::{Channel, Delivery},
    },
};

/// Messages that wait to be sent and acknowledged, in all lanes.
///
/// [`push`](Self::push) queues; [`fill`](Self::fill) puts one lane into a packet, what was lost
/// before what is new, small messages together and one fragment alone. The packet layer gives each
/// [`SentFrame`] back to [`handle_ack`](Self::handle_ack) or [`handle_loss`](Self::handle_loss), in
/// any order and more than once: only the first acknowledgment of something counts, and after it no
/// loss does.
///
/// A message in fragments is let go when the other end says that it has all of it
/// ([`whole`](Self::whole)), not when its packets are acknowledged: the other end may still give it
/// up, and is then sent all of it again. An unreliable message is let go when it is sent.
///
/// Bounded by the bytes that it was made with and by [`CONNECTION_QUEUE_MESSAGES`]; what is kept
/// beside the messages is proportional to them. An idle one takes no memory of its own.
#[derive(Debug)]
pub(super) struct SendChannels {
    /// Those that were ever used, by lane and then delivery. In boxes: few are, and the tree has
    /// room for eleven.
    queues: BTreeMap<(LaneNumber, Delivery), Box<Queue>>,
    tally: Tally,
    limit: usize,
    refused: bool,
}

impl SendChannels {
    /// Nothing waits; at most `limit` bytes will.
    pub(super) fn new(limit: usize) -> Self {
        Self { queues: BTreeMap::new(), tally: Tally::default(), limit, refused: false }
    }

    /// Queues a message; `elsewhere` are bytes of the same limit that streams take. When there is
    /// no room, an unreliable message takes the place of the oldest ones of its lane.
    pub(super) fn push(
        &mut self,
        lane: LaneNumber,
        delivery: Delivery,
        body: impl Into<Body>,
        elsewhere: usize,
    ) -> Result<(), NotQueued> {
        if lane >= LANES {
            return Err(NotQueued::NoSuchLane(lane));
        }
        let body = body.into();
        let (len, limit) = (body.len(), MAX_DATAGRAM_MESSAGE);
        if len > limit {
            return Err(NotQueued::TooLarge { len, limit });
        }
        while !self.has_room_for(len, elsewhere) {
            let stale = match delivery {
                Delivery::Unreliable => self.queues.get_mut(&(lane, delivery)),
                Delivery::Ordered | Delivery::Unordered => None,
            };
            if !stale.is_some_and(|queue| queue.drop_oldest(&mut self.tally)) {
                self.refused = true;
                return Err(NotQueued::Full);
            }
        }
        let queue = self.queues.entry((lane, delivery));
        let queue = queue.or_insert_with(|| Box::new(Queue::new(Channel { delivery, lane })));
        queue.push(body, &mut self.tally);
        Ok(())
    }

    /// Puts what fits of one lane into a packet.
    pub(super) fn fill(&mut self, lane: LaneNumber, packet: &mut PacketBuilder<'_>) {
        for (_, queue) in self.queues.range_mut(within(lane)) {
            if !packet.takes_data() {
                return;
            }
            queue.fill(&mut self.tally, packet);
        }
    }

    /// A packet with this arrived.
    pub(super) fn handle_ack(&mut self, chunk: &SentFrame) {
        match *chunk {
            SentFrame::Messages { channel, first, count } => {
                if let Some((queue, tally)) = self.queue(channel) {
                    queue.handle_ack(first, count, tally);
                }
            }
            SentFrame::Part { channel, number, from, to, attempt } => {
                if let Some((queue, _)) = self.queue(channel) {
                    queue.part_acknowledged(number, from..to, attempt);
                }
            }
            _ => {}
        }
    }

    /// A packet with this is taken for lost.
    pub(super) fn handle_loss(&mut self, chunk: &SentFrame) {
        match *chunk {
            SentFrame::Messages { channel, first, count } => {
                if let Some((queue, _)) = self.queue(channel) {
                    queue.handle_loss(first, count);
                }
            }
            SentFrame::Part { channel, number, from, to, attempt } => {
                if let Some((queue, _)) = self.queue(channel) {
                    queue.part_lost(number, from..to, attempt);
                }
            }
            _ => {}
        }
    }

    /// MESSAGE_ACK: the other end has a message in fragments. A violation for one that was never
    /// sent.
    pub(super) fn whole(&mut self, channel: Channel, number: u64) -> Result<(), Violation> {
        match self.queue(channel) {
            Some((queue, tally)) if queue.was_begun(number) => queue.whole(number, tally),
            _ => return Err(Violation::protocol("the end of a message that was never sent")),
        }
        Ok(())
    }

    /// MESSAGE_NACK: the other end let go of what it had of a message; all of it is sent again. A
    /// violation for one that was never sent.
    pub(super) fn given_up(&mut self, channel: Channel, number: u64) -> Result<(), Violation> {
        match self.queue(channel) {
            Some((queue, _)) if queue.was_begun(number) => queue.given_up(number),
            _ => return Err(Violation::protocol("a message given up that was never sent")),
        }
        Ok(())
    }

    /// The most urgent lane of which something can be sent in a packet of its own, when a full
    /// packet takes `full` bytes of frames and flow control lets `budget` be sent.
    pub(super) fn most_urgent(&self, full: usize, budget: u64) -> Option<LaneNumber> {
        let mut queues = self.queues.iter();
        let ready = queues.find(|(_, queue)| queue.is_ready(&self.tally, full, budget))?;
        Some(ready.0.0)
    }

    /// Bytes that wait to be sent or acknowledged.
    pub(super) const fn queued_bytes(&self) -> usize {
        self.tally.bytes
    }

    /// Those of them in this lane and more urgent ones.
    pub(super) fn queued_bytes_up_to(&self, lane: LaneNumber) -> usize {
        let urgent = self.queues.range(..=(lane, Delivery::Unreliable));
        urgent.map(|(_, queue)| queue.queued_bytes()).sum()
    }

    /// Whether everything was sent and acknowledged.
    pub(super) const fn is_drained(&self) -> bool {
        self.tally.messages == 0
    }

    /// Whether a push was refused and half of the queue is free again; told once.
    pub(super) fn take_writable(&mut self, elsewhere: usize) -> bool {
        let free = self.tally.bytes.saturating_add(elsewhere) <= self.limit / 2
            && self.tally.messages <= CONNECTION_QUEUE_MESSAGES / 2;
        self.refused && free && core::mem::take(&mut self.refused)
    }

    /// Unreliable messages that were dropped because newer ones took their place, since this was
    /// asked last.
    pub(super) const fn take_dropped(&mut self) -> u64 {
        core::mem::replace(&mut self.tally.dropped, 0)
    }

    fn queue(&mut self, channel: Channel) -> Option<(&mut Queue, &mut Tally)> {
        let queue = self.queues.get_mut(&(channel.lane, channel.delivery))?;
        Some((queue, &mut self.tally))
    }

    /// An empty queue takes any message, so that no message is too large for a small limit.
    fn has_room_for(&self, len: usize, elsewhere: usize) -> bool {
        let taken = self.tally.bytes.saturating_add(elsewhere);
        self.tally.messages < CONNECTION_QUEUE_MESSAGES
            && (taken == 0 || taken.saturating_add(len) <= self.limit)
    }
}

fn within(lane: LaneNumber) -> core::ops::RangeInclusive<(LaneNumber, Delivery)> {
    (lane, Delivery::Ordered)..=(lane, Delivery::Unreliable)
}
