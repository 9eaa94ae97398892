//! The way of the last messages through this node.

use std::collections::{BTreeSet, VecDeque};

use crate::{
    id::{MessageId, NodeId},
    journey::{Arrival, Dropped, Forwarding, Nth, Origin, Step},
    limits::{
        HAD_WITHIN, MAX_DIRECT_JOURNEYS, MAX_DROPPED_JOURNEYS, MAX_JOURNEY_BYTES,
        MAX_JOURNEY_STEPS, MAX_JOURNEYS,
    },
    time::{Duration, Instant, Now},
};

/// The last messages, oldest first. A step of a broadcast finds its message without a search, a
/// name is looked for in all of them.
#[derive(Debug, Default)]
pub(super) struct Journeys {
    /// Their numbers have no gaps.
    broadcasts: VecDeque<Journey>,
    directs: VecDeque<Journey>,
    dropped: VecDeque<(Now, Dropped)>,
    /// Memory of steps.
    steps_bytes: usize,
    pub(super) forgotten: u64,
    pub(super) untold: u64,
}

/// The way of one message.
#[derive(Clone, Debug)]
pub(super) struct Journey {
    /// The default for a direct message.
    nth: Nth,
    pub(super) id: MessageId,
    pub(super) sender: NodeId,
    pub(super) sequence: u64,
    pub(super) arrival: Arrival,
    /// When it was taken: its signature is good, and the application has it.
    pub(super) taken: Now,
    pub(super) hops: Vec<Hop>,
    /// Times that it came again.
    pub(super) repeated: u32,
}

/// One step between us and a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) peer: NodeId,
    /// Microseconds after it came here.
    pub(super) after: u32,
    pub(super) what: HopKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HopKind {
    /// We sent it, or word of it.
    Sent {
        how: Forwarding,
        /// What became of it, as far as we know.
        fate: Fate,
    },
    /// It came again.
    Repeated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing is known.
    Unknown,
    /// The peer has it from somebody else.
    Had,
    /// The session did not take it.
    NotSent,
    /// It arrived.
    Arrived,
}

impl Journeys {
    /// Something happened to a broadcast.
    pub(super) fn handle_step(&mut self, now: Now, nth: Nth, step: Step) {
        if let Step::Taken(origin) = step {
            return self.take(now, nth, origin);
        }
        let Some(first) = self.broadcasts.front() else { return };
        let place = nth.0.checked_sub(first.nth.0).and_then(|place| usize::try_from(place).ok());
        let Some(journey) = place.and_then(|place| self.broadcasts.get_mut(place)) else { return };
        let before = journey.hops.capacity();
        match step {
            Step::Taken(_) => {}
            Step::Forwarded { to, how } => {
                let what = HopKind::Sent { how, fate: Fate::Unknown };
                for peer in to {
                    self.untold += u64::from(!journey.add(now, peer, what));
                }
            }
            Step::Repeated(peer) => {
                journey.repeated += 1;
                journey.note_fate(now, &peer, Fate::Had);
                self.untold += u64::from(!journey.add(now, peer, HopKind::Repeated));
            }
            Step::Had(peer) => journey.note_fate(now, &peer, Fate::Had),
            Step::NotSent(peer) => journey.note_fate(now, &peer, Fate::NotSent),
        }
        self.steps_bytes += (journey.hops.capacity() - before) * size_of::<Hop>();
        self.trim();
    }

    /// A broadcast was not taken.
    pub(super) fn handle_dropped(&mut self, now: Now, dropped: Dropped) {
        if self.dropped.len() >= MAX_DROPPED_JOURNEYS {
            self.dropped.pop_front();
        }
        self.dropped.push_back((now, dropped));
    }

    /// A direct message came, or goes to one node.
    pub(super) fn handle_direct(&mut self, now: Now, origin: Origin, to: Option<NodeId>) {
        if self.directs.len() >= MAX_DIRECT_JOURNEYS
            && let Some(oldest) = self.directs.pop_front()
        {
            self.steps_bytes -= oldest.steps_bytes();
        }
        let mut journey = Journey::new(now, Nth::default(), origin);
        if let Some(to) = to {
            let what = HopKind::Sent { how: Forwarding::Send, fate: Fate::Unknown };
            journey.add(now, to, what);
        }
        self.steps_bytes += journey.steps_bytes();
        self.directs.push_back(journey);
    }

    /// A direct message of ours arrived.
    pub(super) fn handle_arrived(&mut self, id: &MessageId) {
        let journey = self.directs.iter_mut().rev().find(|journey| journey.id == *id);
        for hop in journey.into_iter().flat_map(|journey| &mut journey.hops) {
            if let HopKind::Sent { fate, .. } = &mut hop.what {
                *fate = Fate::Arrived;
            }
        }
    }

    /// The last message of this name.
    pub(super) fn find(&self, id: &MessageId) -> Option<&Journey> {
        let newest_first = self.broadcasts.iter().rev().chain(self.directs.iter().rev());
        newest_first.into_iter().find(|journey| journey.id == *id)
    }

    /// The same among broadcasts.
    pub(super) fn find_broadcast(&self, id: &MessageId) -> Option<&Journey> {
        self.broadcasts.iter().rev().find(|journey| journey.id == *id)
    }

    /// Whenever a message of this name, or of this sender and number, was not taken.
    pub(super) fn drops<'a>(
        &'a self,
        id: &'a MessageId,
        journey: Option<&'a Journey>,
    ) -> impl Iterator<Item = &'a (Now, Dropped)> {
        self.dropped.iter().filter(move |(_, dropped)| {
            let key = (dropped.sender, dropped.sequence);
            let same = journey.is_some_and(|journey| (journey.sender, journey.sequence) == key);
            dropped.id.as_ref() == Some(id) || dropped.id.is_none() && same
        })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.broadcasts.len() + self.directs.len()
    }

    /// What they take.
    pub(super) fn bytes(&self) -> usize {
        let dropped = self.dropped.capacity() * size_of::<(Now, Dropped)>();
        let capacity = self.broadcasts.capacity() + self.directs.capacity();
        self.steps_bytes + capacity * size_of::<Journey>() + dropped
    }

    fn take(&mut self, now: Now, nth: Nth, origin: Origin) {
        if self.broadcasts.len() >= MAX_JOURNEYS {
            self.forget_oldest();
        }
        let journey = Journey::new(now, nth, origin);
        self.steps_bytes += journey.steps_bytes();
        self.broadcasts.push_back(journey);
        self.trim();
    }

    fn trim(&mut self) {
        while self.bytes() > MAX_JOURNEY_BYTES && self.broadcasts.len() > 1 {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.broadcasts.pop_front() {
            self.steps_bytes -= oldest.steps_bytes();
            self.forgotten += 1;
        }
    }
}

impl Journey {
    fn new(now: Now, nth: Nth, origin: Origin) -> Self {
        let Origin { id, sender, sequence, arrival, also } = origin;
        let hops = Vec::new();
        let mut journey =
            Self { nth, id, sender, sequence, arrival, taken: now, hops, repeated: 0 };
        for peer in also {
            journey.repeated += 1;
            journey.add(now, peer, HopKind::Repeated);
        }
        journey
    }

    pub(super) fn is_direct(&self) -> bool {
        self.nth == Nth::default()
    }

    /// When it came here.
    pub(super) const fn heard(&self) -> Instant {
        match self.arrival {
            Arrival::Own => self.taken.mono,
            Arrival::Heard { at, .. } => at,
        }
    }

    /// Those who were sent it and may have it from us, and how long it lay here before: the first
    /// time it was sent to each.
    pub(super) fn children(&self) -> Vec<(NodeId, Duration)> {
        let mut seen: BTreeSet<NodeId> = BTreeSet::new();
        let repeated = |hop: &&Hop| hop.what == HopKind::Repeated;
        seen.extend(self.hops.iter().filter(repeated).map(|hop| hop.peer));
        let went = |hop: &&Hop| match hop.what {
            HopKind::Sent { how, fate } => {
                how.is_whole() && !matches!(fate, Fate::Had | Fate::NotSent)
            }
            HopKind::Repeated => false,
        };
        let sent = self.hops.iter().filter(went).filter(|hop| seen.insert(hop.peer));
        sent.map(|hop| (hop.peer, Duration::from_micros(u64::from(hop.after)))).collect()
    }

    fn add(&mut self, now: Now, peer: NodeId, what: HopKind) -> bool {
        let fits = self.hops.len() < MAX_JOURNEY_STEPS;
        if fits {
            let after = micros(now.mono.since(self.heard()));
            self.hops.push(Hop { peer, after, what });
        }
        fits
    }

    /// What became of what was sent to `of` last.
    fn note_fate(&mut self, now: Now, of: &NodeId, new: Fate) {
        let since = micros(now.mono.since(self.heard()));
        let sent = |hop: &&mut Hop| hop.peer == *of && hop.what != HopKind::Repeated;
        let Some(hop) = self.hops.iter_mut().rev().find(sent) else { return };
        let is_fresh = since.saturating_sub(hop.after) <= micros(HAD_WITHIN);
        if let HopKind::Sent { how, fate } = &mut hop.what
            && how.is_whole()
            && (is_fresh || new != Fate::Had)
        {
            *fate = new;
        }
    }

    fn steps_bytes(&self) -> usize {
        self.hops.capacity() * size_of::<Hop>()
    }
}

/// In microseconds, as far as they go.
pub(super) fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}
