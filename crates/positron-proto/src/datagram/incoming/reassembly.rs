//! Messages of which only parts have arrived.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::violation::Violation;
use crate::{
    datagram::ranges::RangeSet,
    limits::{
        FRAGMENT_AGE, MAX_FRAGMENTS_PER_PEER, MAX_UNFINISHED_PER_PEER, MESSAGE_COST,
        UNFINISHED_PER_BYTE,
    },
    time::Instant,
    wire::packet_frame::{Channel, Delivery},
};

/// What a message counts for while it is unfinished, at both ends: its bytes, what is remembered of
/// its gaps and of itself.
pub(in crate::datagram) const fn cost_of_unfinished(total: usize) -> usize {
    total + total / GAP_SHARE + MESSAGE_COST
}

/// The unfinished messages of one connection.
///
/// Each has its buffer from its first part on and counts for its whole length at once, so that the
/// sender and the receiver of many half messages agree on how much they are. Clearing a buffer
/// takes time, so beyond the first [`MAX_FRAGMENTS_PER_PEER`] it is paid for by the bytes that
/// arrive ([`UNFINISHED_PER_BYTE`]): else a part of one byte in the place of another message would
/// cost a mebibyte.
#[derive(Debug, Default)]
pub(super) struct Assemblies {
    by_name: BTreeMap<(Channel, u64), Assembly>,
    /// By when each began, or was last found to have gone on.
    by_age: BTreeMap<(Instant, u64), (Channel, u64)>,
    begun: u64,
    /// Bytes of buffers that no bytes have paid for.
    unpaid: usize,
    reliable: Taken,
    unreliable: Taken,
}

/// What one kind of them takes.
#[derive(Debug, Default)]
struct Taken {
    messages: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Assembly {
    age: (Instant, u64),
    /// When something new of it arrived last.
    progress: Instant,
    total: usize,
    /// As far as anything arrived; what is missing in between is cleared.
    body: Vec<u8>,
    arrived: RangeSet,
}

/// What a part added.
#[derive(Debug)]
pub(super) enum AddedPart {
    Nothing,
    Part,
    /// The message is whole.
    Last(Bytes),
}

impl Assemblies {
    /// How long a message is of which parts have arrived.
    pub(super) fn total(&self, channel: Channel, number: u64) -> Option<usize> {
        self.by_name.get(&(channel, number)).map(|assembly| assembly.total)
    }

    /// Whether one more message may begin; if not, an unreliable one may give way. Only a sender
    /// that does not keep to the limits begins a reliable one beyond them.
    pub(super) fn has_room_for(&self, total: u32, reliable: bool) -> Result<bool, Violation> {
        let cost = cost_of_unfinished(as_usize(total));
        if reliable && !self.reliable.may_take(cost) {
            return Err(Violation::flooding("too many unfinished messages"));
        }
        let messages = self.reliable.messages + self.unreliable.messages;
        Ok(Taken { messages, bytes: self.bytes() }.may_take(cost))
    }

    /// Bytes of parts arrived, whatever becomes of them.
    pub(super) fn pay(&mut self, bytes: usize) {
        self.unpaid = self.unpaid.saturating_sub(bytes.saturating_mul(UNFINISHED_PER_BYTE));
    }

    /// Whether enough arrived to make one more buffer.
    pub(super) fn is_paid_for(&self, total: u32) -> bool {
        self.unpaid + as_usize(total) <= MAX_FRAGMENTS_PER_PEER
    }

    /// Adds one part; the caller has made sure that a new message may begin.
    pub(super) fn add(
        &mut self,
        now: Instant,
        channel: Channel,
        number: u64,
        (offset, total): (u32, u32),
        part: &[u8],
    ) -> Result<AddedPart, Violation> {
        let name = (channel, number);
        let from = as_usize(offset);
        let to = from.checked_add(part.len()).filter(|to| *to <= as_usize(total) && *to > from);
        let Some(to) = to else {
            return Err(Violation::protocol("a part outside its message"));
        };
        if self.total(channel, number).is_some_and(|before| before != as_usize(total)) {
            return Err(Violation::protocol("a message of two lengths"));
        }
        if !self.by_name.contains_key(&name) {
            self.begin(now, name, as_usize(total));
        }
        let Some(assembly) = self.by_name.get_mut(&name) else { return Ok(AddedPart::Nothing) };
        if !assembly.add(from..to, part)? {
            return Ok(AddedPart::Nothing);
        }
        assembly.progress = now;
        if !assembly.arrived.covers(&(0..u64::from(total))) {
            return Ok(AddedPart::Part);
        }
        let whole = self.remove(name).map(|assembly| Bytes::from(assembly.body));
        Ok(whole.map_or(AddedPart::Nothing, AddedPart::Last))
    }

    /// Forgets one; whether there was any of it.
    pub(super) fn forget(&mut self, channel: Channel, number: u64) -> bool {
        self.remove((channel, number)).is_some()
    }

    /// Makes room by the oldest unreliable one.
    pub(super) fn evict_unreliable(&mut self) -> Option<(Channel, u64)> {
        let unreliable = |name: &&(Channel, u64)| name.0.delivery == Delivery::Unreliable;
        let name = *self.by_age.values().find(unreliable)?;
        self.remove(name).map(|_| name)
    }

    /// Makes room by the oldest one.
    pub(super) fn evict_oldest(&mut self) -> Option<(Channel, u64)> {
        let name = *self.by_age.first_key_value()?.1;
        self.remove(name).map(|_| name)
    }

    /// Lets go of one of which nothing arrived for [`FRAGMENT_AGE`].
    pub(super) fn evict_stale(&mut self, now: Instant) -> Option<(Channel, u64)> {
        loop {
            let (&age, &name) = self.by_age.first_key_value()?;
            if age.0 + FRAGMENT_AGE > now {
                return None;
            }
            let assembly = self.by_name.get_mut(&name)?;
            if assembly.progress + FRAGMENT_AGE <= now {
                return self.remove(name).map(|_| name);
            }
            // A large message over a slow path takes longer, but goes on.
            assembly.age = (assembly.progress, age.1);
            let age_now = assembly.age;
            self.by_age.remove(&age);
            self.by_age.insert(age_now, name);
        }
    }

    /// Gives back the room of messages that are gone: an empty tree keeps its last node.
    pub(super) fn shrink(&mut self) {
        if self.by_name.is_empty() {
            (self.by_name, self.by_age) = (BTreeMap::new(), BTreeMap::new());
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        Some(self.oldest()? + FRAGMENT_AGE)
    }

    pub(super) fn oldest(&self) -> Option<Instant> {
        self.by_age.first_key_value().map(|((since, _), _)| *since)
    }

    pub(super) const fn bytes(&self) -> usize {
        self.reliable.bytes + self.unreliable.bytes
    }

    fn begin(&mut self, now: Instant, name: (Channel, u64), total: usize) {
        self.begun += 1;
        let age = (now, self.begun);
        let (body, arrived) = (Vec::with_capacity(total), RangeSet::new());
        self.by_age.insert(age, name);
        self.by_name.insert(name, Assembly { age, progress: now, total, body, arrived });
        self.unpaid += total;
        let taken = self.taken(name.0);
        taken.messages += 1;
        taken.bytes += cost_of_unfinished(total);
    }

    fn remove(&mut self, name: (Channel, u64)) -> Option<Assembly> {
        let assembly = self.by_name.remove(&name)?;
        self.by_age.remove(&assembly.age);
        let taken = self.taken(name.0);
        taken.messages -= 1;
        taken.bytes -= cost_of_unfinished(assembly.total);
        Some(assembly)
    }

    const fn taken(&mut self, channel: Channel) -> &mut Taken {
        match channel.delivery {
            Delivery::Ordered | Delivery::Unordered => &mut self.reliable,
            Delivery::Unreliable => &mut self.unreliable,
        }
    }
}

impl Taken {
    const fn may_take(&self, cost: usize) -> bool {
        self.messages < MAX_UNFINISHED_PER_PEER && self.bytes + cost <= MAX_FRAGMENTS_PER_PEER
    }
}

impl Assembly {
    /// Adds bytes that lie inside; whether something of them was new.
    fn add(&mut self, place: core::ops::Range<usize>, part: &[u8]) -> Result<bool, Violation> {
        let range = as_u64(place.start)..as_u64(place.end);
        let missing = self.arrived.gaps(range.clone());
        let inside = |at: u64| usize::try_from(at - range.start).unwrap_or(usize::MAX);
        // What overlaps has to agree.
        let mut known_from = range.start;
        for gap in missing.iter().chain([&(range.end..range.end)]) {
            let (from, to) = (inside(known_from), inside(gap.start));
            if from < to && self.body[place.start + from..place.start + to] != part[from..to] {
                return Err(Violation::protocol("parts that contradict one another"));
            }
            known_from = gap.end;
        }
        for gap in &missing {
            let (from, to) = (inside(gap.start), inside(gap.end));
            self.write(place.start + from, &part[from..to]);
        }
        let new = self.arrived.add(range);
        if self.arrived.len() > 2 + self.total / BYTES_OF_A_GAP {
            return Err(Violation::flooding("a message in crumbs"));
        }
        Ok(new)
    }

    /// What comes in order is appended, and no byte cleared for it.
    fn write(&mut self, at: usize, part: &[u8]) {
        if self.body.len() < at {
            self.body.resize(at, 0);
        }
        let (inside, behind) = part.split_at(part.len().min(self.body.len() - at));
        self.body[at..at + inside.len()].copy_from_slice(inside);
        self.body.extend_from_slice(behind);
    }
}

fn as_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

fn as_usize(len: u32) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

/// For so many bytes of a message there may be one gap: no sender makes parts below twice that, but
/// the last one.
const BYTES_OF_A_GAP: usize = 128;

/// A gap takes 16 bytes, so gaps take at most this share of a message (RUSTSEC-2026-0185: what is
/// remembered of gaps has to be bounded too).
const GAP_SHARE: usize = BYTES_OF_A_GAP / 16;
