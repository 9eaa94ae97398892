//! The packets that are out, in order of their numbers.

use core::ops::RangeInclusive;
use std::collections::VecDeque;

use super::delivery::DeliveryMark;
use crate::time::Instant;

/// What a packet asks of the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::datagram) enum SentPacketKind {
    /// Only acknowledges: its number is used up, nothing else is remembered.
    AckOnly,
    /// Must be acknowledged.
    Eliciting,
    /// Must be acknowledged, and is larger than the path is known to carry: its loss says nothing
    /// of congestion.
    SizeProbe,
}

/// A packet in flight.
#[derive(Debug)]
pub(super) struct SentPacket<C> {
    pub(super) at: Instant,
    pub(super) size: usize,
    pub(super) kind: SentPacketKind,
    pub(super) mark: DeliveryMark,
    pub(super) contents: C,
}

/// A packet that is given up.
#[derive(Debug)]
pub(super) struct Lost<C> {
    pub(super) number: u64,
    pub(super) packet: SentPacket<C>,
    /// The packet sent after it arrived.
    pub(super) acked_follows: bool,
}

/// All packets in flight. Numbers go up with the time of sending, so the packet that is lost first,
/// by either rule, is always the one in front.
///
/// Memory: [`SLOTS_PER_PACKET`] slots for each that is out, however many were acknowledged after
/// one that was not.
#[derive(Debug)]
pub(super) struct Flight<C> {
    /// Ascending numbers. In front there is always a packet that is out.
    slots: VecDeque<Slot<C>>,
    /// Bytes of all that is out.
    bytes: u64,
    /// Packets that are out.
    packets: usize,
    /// Of those, how many only probe for a datagram size.
    size_probes: usize,
}

#[derive(Debug)]
struct Slot<C> {
    number: u64,
    state: State<C>,
}

#[derive(Debug)]
enum State<C> {
    Out(SentPacket<C>),
    /// Acknowledged, as are the next `run - 1` slots at least: an acknowledgment that names them
    /// again steps over all of them, so that each costs only what is new in it.
    Acked {
        run: usize,
    },
}

impl<C> Flight<C> {
    pub(super) const fn new() -> Self {
        Self { slots: VecDeque::new(), bytes: 0, packets: 0, size_probes: 0 }
    }

    pub(super) fn push(&mut self, number: u64, packet: SentPacket<C>) {
        self.count_in(&packet);
        self.slots.push_back(Slot { number, state: State::Out(packet) });
    }

    /// Keeps no room that nothing is in.
    pub(super) fn shrink(&mut self) {
        self.slots.shrink_to_fit();
    }

    /// Bytes that are out.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Packets that are out.
    pub(super) fn packets(&self) -> usize {
        self.packets
    }

    /// Whether nothing is out but probes for a datagram size.
    pub(super) fn only_size_probes(&self) -> bool {
        self.packets == self.size_probes
    }

    /// The packet that has been out longest.
    pub(super) fn oldest(&self) -> Option<(u64, &SentPacket<C>)> {
        match self.slots.front() {
            Some(Slot { number, state: State::Out(packet) }) => Some((*number, packet)),
            _ => None,
        }
    }

    /// The packet that was sent last of those that are out.
    pub(super) fn newest(&self) -> Option<(u64, &SentPacket<C>)> {
        self.slots.iter().rev().find_map(|slot| match &slot.state {
            State::Out(packet) => Some((slot.number, packet)),
            State::Acked { .. } => None,
        })
    }

    /// Takes the oldest packet out as lost.
    pub(super) fn lose_oldest(&mut self) -> Option<Lost<C>> {
        let slot = self.slots.pop_front()?;
        let State::Out(packet) = slot.state else { return None };
        self.count_out(&packet);
        let acked_follows = self.settle();
        Some(Lost { number: slot.number, packet, acked_follows })
    }

    /// Takes what is out of `range` as acknowledged, lowest first. [`Self::settle`] must follow.
    pub(super) fn acknowledge(
        &mut self,
        range: &RangeInclusive<u64>,
        mut each: impl FnMut(u64, SentPacket<C>),
    ) {
        let first = self.slots.partition_point(|slot| slot.number < *range.start());
        let mut at = first;
        while let Some(slot) = self.slots.get_mut(at).filter(|slot| slot.number <= *range.end()) {
            match core::mem::replace(&mut slot.state, State::Acked { run: 1 }) {
                State::Out(packet) => {
                    let number = slot.number;
                    self.count_out(&packet);
                    each(number, packet);
                    at += 1;
                }
                State::Acked { run } => {
                    slot.state = State::Acked { run };
                    at += run;
                }
            }
        }
        // All that was stepped on leads to the end from now on, wherever the next range begins.
        let mut step = first;
        while let Some(State::Acked { run }) =
            self.slots.get_mut(step).filter(|_| step < at).map(|slot| &mut slot.state)
        {
            step += core::mem::replace(run, at - step);
        }
    }

    /// Restores the order after acknowledgments; whether the oldest packet was among them.
    pub(super) fn settle(&mut self) -> bool {
        let before = self.slots.len();
        while matches!(self.slots.front(), Some(Slot { state: State::Acked { .. }, .. })) {
            self.slots.pop_front();
        }
        let oldest_arrived = self.slots.len() < before;
        if self.slots.len() > SLOTS_LEAST + SLOTS_PER_PACKET * self.packets {
            self.condense();
        }
        oldest_arrived
    }

    /// Of each run of acknowledged packets one slot is kept: it tells that something arrived there.
    fn condense(&mut self) {
        let mut follows_acked = false;
        self.slots.retain_mut(|slot| {
            let again = follows_acked;
            follows_acked = matches!(slot.state, State::Acked { .. });
            if let State::Acked { run } = &mut slot.state {
                *run = 1;
            }
            !(again && follows_acked)
        });
    }

    fn count_in(&mut self, packet: &SentPacket<C>) {
        self.bytes = self.bytes.saturating_add(bytes_of(packet.size));
        self.packets += 1;
        self.size_probes += usize::from(packet.kind == SentPacketKind::SizeProbe);
    }

    fn count_out(&mut self, packet: &SentPacket<C>) {
        self.bytes = self.bytes.saturating_sub(bytes_of(packet.size));
        self.packets -= 1;
        self.size_probes -= usize::from(packet.kind == SentPacketKind::SizeProbe);
    }

    /// What is out, counted one by one.
    #[cfg(test)]
    pub(super) fn recount(&self) -> (u64, usize) {
        self.slots.iter().fold((0, 0), |(bytes, packets), slot| match &slot.state {
            State::Out(packet) => (bytes + bytes_of(packet.size), packets + 1),
            State::Acked { .. } => (bytes, packets),
        })
    }
}

/// Slots for each packet that is out before those of acknowledged ones are condensed: at most two
/// for each are left then, so that every slot is looked at once or twice in all.
const SLOTS_PER_PACKET: usize = 4;
/// The same for none (guess: less is not worth the effort).
const SLOTS_LEAST: usize = 64;

/// A datagram's length as a number of bytes.
pub(super) fn bytes_of(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
