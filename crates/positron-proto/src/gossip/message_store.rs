//! The retention window: what is kept for late and healed nodes `[PROTOCOL 6]`.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use super::{
    low_watermarks::LowWatermarks,
    message_key::MessageKey,
    reach::{PlaceSet, ReachPlace, Step, Taking},
    refused::RefusedMessages,
    set_digest::Entry,
};
use crate::{
    id::NodeId,
    identity::Verified,
    journey::Nth,
    limits::{CROWDED_PART, RETENTION_AGE, RETENTION_BYTES, STEPS_PER_WINDOW},
    time::Instant,
    wire::{
        holdings::{Holdings, Ranges},
        message::AppMessage,
    },
};

/// The messages that are kept, and per sender the floor below which they are old.
///
/// A message is *known* if it is kept or below its sender's floor, so what was here once and left
/// stays known. To make that true, messages leave in order of their number: whoever must give up
/// one gives up its lowest, and its floor rises above it. Gaps stall nothing: they end below the
/// floor like everything else; and they push nothing out, for there are no more of them than
/// messages. A flood that arrives in any order leaves one behind nearly every message for a moment.
///
/// **Who gives up.** When there are too many messages, the sender with the most messages; when
/// there are too many bytes, the sender with the most bytes: a flood under one key pushes out
/// itself. Against a flood under many keys, equals are not treated alike: half of the room is for
/// the senders who were here first, who stay, and the other half for the newcomers, who leave in
/// turn; so neither are old messages pushed out nor new ones kept out. (The idea is that of
/// segmented LRU caches: Karedla, Love, Wherry 1994.)
///
/// **Who is waited for.** A message remembers the peers that it has not reached. Whoever trims says
/// which are not to leave yet; then the next to leave *stands in the way*
/// ([`in_the_way`](Self::in_the_way)) of its sender's newer ones, and the window is larger by at
/// most a quarter, for the others.
#[derive(Debug)]
pub(super) struct MessageStore {
    max_count: usize,
    shares: BTreeMap<NodeId, SenderShare>,
    floors: LowWatermarks,
    /// What was never kept, and will not be.
    refused: RefusedMessages,
    by_count: Ranking,
    by_bytes: Ranking,
    /// One entry a sender: when its lowest message came.
    by_age: BTreeSet<(Instant, NodeId)>,
    /// Numbers senders in the order in which they came into the window.
    arrivals: u64,
    count: usize,
    bytes: usize,
    in_the_way: Option<MessageKey>,
}

/// Senders by how much they have; then by when they came.
type Ranking = BTreeSet<(usize, u64, NodeId)>;

/// What is kept of one sender; never empty.
#[derive(Debug)]
struct SenderShare {
    arrival: u64,
    /// Boxed: with many senders of few messages most of a leaf is empty.
    messages: BTreeMap<u64, Box<Kept>>,
    numbers: Ranges,
    bytes: usize,
    /// How the peers take it while it fills a sixteenth of the window; those who took nothing are
    /// not in it.
    taking: BTreeMap<ReachPlace, Taking>,
}

/// A message that is kept.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) message: Verified<AppMessage>,
    /// A second content that its sender signed under its number: together they are the proof.
    rival: Option<Box<Verified<AppMessage>>>,
    pub(super) received: Instant,
    /// Which of those that this process took.
    pub(super) nth: Nth,
    /// The peers that it has not reached, of those that were up when it came.
    pub(super) awaited: PlaceSet,
    /// Who brought it to be passed on, if that was one alone, and still linked.
    pub(super) bringer: Option<ReachPlace>,
}

impl Kept {
    /// What of it is compared with others.
    pub(super) fn entry(&self, item: &MessageKey) -> Entry {
        Entry::new(item, &self.message.id(), self.rival.is_some())
    }

    /// A second content that its sender signed under its number.
    pub(super) fn rival(&self) -> Option<&Verified<AppMessage>> {
        self.rival.as_deref()
    }

    /// Of its payload, and that of its rival.
    pub(super) fn bytes(&self) -> usize {
        let rival = self.rival.as_ref().map_or(0, |rival| rival.content().payload.len());
        self.message.content().payload.len() + rival
    }
}

/// The next message that is to leave.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    pub(super) item: MessageKey,
    pub(super) kept: &'a Kept,
    /// Whether numbers between those that left and this one never came. They may be under way, or
    /// nobody ever used them.
    pub(super) behind_a_gap: bool,
    /// Whether its sender fills a sixteenth of the window: in one of many senders whoever has two
    /// messages has the most.
    pub(super) of_a_burst: bool,
    /// The peers that take what its sender sends, if that fills more than half of the window.
    pub(super) takers_of_a_flood: PlaceSet,
}

/// A message that left.
#[derive(Debug)]
pub(super) struct Evicted {
    pub(super) item: MessageKey,
    pub(super) message: Verified<AppMessage>,
    /// What of it was compared with others.
    pub(super) entry: Entry,
    /// Whom it has not reached, if it was not too old.
    pub(super) awaited: PlaceSet,
}

impl MessageStore {
    pub(super) fn new(max_count: usize, floors: &[(NodeId, u64)]) -> Self {
        let mut window = Self {
            max_count: max_count.max(1),
            shares: BTreeMap::new(),
            floors: LowWatermarks::default(),
            refused: RefusedMessages::default(),
            by_count: Ranking::new(),
            by_bytes: Ranking::new(),
            by_age: BTreeSet::new(),
            arrivals: 0,
            count: 0,
            bytes: 0,
            in_the_way: None,
        };
        for &(sender, floor) in floors {
            window.floors.raise(sender, floor);
        }
        window
    }

    /// Whether the number is below its sender's floor.
    pub(super) fn is_old(&self, item: &MessageKey) -> bool {
        item.sequence < self.floors.of(&item.sender)
    }

    /// Whether anything was ever heard of `sender`, as far as that is remembered.
    pub(super) fn knows(&self, sender: &NodeId) -> bool {
        self.shares.contains_key(sender) || self.floors.contains(sender)
    }

    pub(super) fn is_known(&self, item: &MessageKey) -> bool {
        self.get(item).is_some() || self.is_old(item) || self.is_refused(item)
    }

    /// Its message is not accepted here.
    pub(super) fn refuse(&mut self, item: MessageKey) {
        self.refused.insert(item);
    }

    pub(super) fn is_refused(&self, item: &MessageKey) -> bool {
        self.refused.contains(item)
    }

    pub(super) fn get(&self, item: &MessageKey) -> Option<&Kept> {
        self.shares.get(&item.sender)?.messages.get(&item.sequence).map(Box::as_ref)
    }

    /// Keeps `rival` beside the message of `item`.
    pub(super) fn set_rival(&mut self, item: &MessageKey, rival: Verified<AppMessage>) {
        let Some(mut share) = self.take_share(&item.sender) else { return };
        if let Some(kept) = share.messages.get_mut(&item.sequence) {
            let bytes = kept.bytes();
            kept.rival = Some(Box::new(rival));
            share.bytes = share.bytes - bytes + kept.bytes();
            self.bytes = self.bytes - bytes + kept.bytes();
        }
        self.put_share(item.sender, share);
    }

    /// What is kept of `sender` within `range`, lowest number first.
    pub(super) fn kept(
        &self,
        sender: &NodeId,
        range: RangeInclusive<u64>,
    ) -> impl Iterator<Item = (u64, &Kept)> {
        let share = self.shares.get(sender);
        share.into_iter().flat_map(move |share| {
            share.messages.range(range.clone()).map(|(&sequence, kept)| (sequence, kept.as_ref()))
        })
    }

    /// Everything that is kept, by sender, lowest number first.
    pub(super) fn messages(&self) -> impl Iterator<Item = &Verified<AppMessage>> {
        self.shares.values().flat_map(|share| share.messages.values().map(|kept| &kept.message))
    }

    /// Which numbers are kept of `sender`.
    pub(super) fn numbers(&self, sender: &NodeId) -> Option<&Ranges> {
        self.shares.get(sender).map(|share| &share.numbers)
    }

    /// The numbers of `ranges` that are not known, lowest first, at most `limit`.
    pub(super) fn unknown(&self, sender: &NodeId, ranges: &Ranges, limit: usize) -> Vec<u64> {
        let floor = self.floors.of(sender);
        let none = Ranges::new();
        let kept = self.numbers(sender).unwrap_or(&none);
        let refused = self.refused.of(sender);
        let is_new = ranges.iter().next().is_none_or(|lowest| *lowest.start() >= floor);
        if is_new && refused.is_none() {
            return ranges.missing_from(kept, limit).collect();
        }
        let mut new = Ranges::new();
        for range in ranges.iter() {
            new.insert_range(floor.max(*range.start())..=*range.end());
        }
        new.without(refused.unwrap_or(&none)).missing_from(kept, limit).collect()
    }

    /// Everything that is kept, per sender.
    pub(super) fn holdings(&self) -> Holdings {
        let mut holdings = Holdings::new();
        for (sender, share) in &self.shares {
            holdings.insert_ranges(*sender, share.numbers.clone());
        }
        holdings
    }

    /// How many messages, and the bytes of their payloads.
    pub(super) const fn size(&self) -> (usize, usize) {
        (self.count, self.bytes)
    }

    /// What of each message is compared with others.
    pub(super) fn entries(&self) -> impl Iterator<Item = (MessageKey, Entry)> {
        self.shares.iter().flat_map(|(&sender, share)| {
            share.messages.iter().map(move |(&sequence, kept)| {
                let item = MessageKey { sender, sequence };
                (item, kept.entry(&item))
            })
        })
    }

    /// How many bytes a list of everything takes, about.
    pub(super) fn list_bytes(&self) -> usize {
        self.shares.values().map(|share| 33 + 4 * share.numbers.len()).sum()
    }

    /// When something will be too old.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.by_age.first().map(|&(received, _)| received + RETENTION_AGE)
    }

    /// Keeps a message unless its number is known. [`trim`](Self::trim) follows.
    pub(super) fn insert(
        &mut self,
        now: Instant,
        item: MessageKey,
        message: Verified<AppMessage>,
        nth: Nth,
        awaited: PlaceSet,
        bringer: Option<ReachPlace>,
    ) -> bool {
        if self.is_known(&item) {
            return false;
        }
        let mut share = self.take_share(&item.sender).unwrap_or_else(|| {
            self.arrivals += 1;
            SenderShare {
                arrival: self.arrivals,
                messages: BTreeMap::new(),
                numbers: Ranges::new(),
                bytes: 0,
                taking: BTreeMap::new(),
            }
        });
        let bytes = message.content().payload.len();
        self.count += 1;
        self.bytes += bytes;
        self.floors.handle_sign_of_life(item.sender);
        share.bytes += bytes;
        share.numbers.insert(item.sequence);
        for (place, taking) in &mut share.taking {
            if awaited.contains(*place) {
                taking.front = taking.front.min(item.sequence);
            }
        }
        let kept = Kept { message, rival: None, received: now, nth, awaited, bringer };
        share.messages.insert(item.sequence, Box::new(kept));
        self.put_share(item.sender, share);
        true
    }

    /// Takes the senders whose floor was forgotten, so that storage forgets it, too.
    pub(super) fn take_forgotten(&mut self) -> Vec<NodeId> {
        self.floors.take_forgotten()
    }

    /// The peer at `place` has what is kept of `sender` within `range`, of which at most `limit`
    /// are looked at; how many were. Each of them is told, and whether it lacked it until now.
    pub(super) fn handle_reached(
        &mut self,
        now: Instant,
        sender: &NodeId,
        range: RangeInclusive<u64>,
        place: ReachPlace,
        limit: usize,
        mut tell: impl FnMut(Nth, bool),
    ) -> usize {
        let Some(share) = self.shares.get_mut(sender) else { return 0 };
        let (mut examined, mut was_awaited) = (0, false);
        for kept in share.messages.range_mut(range).map(|(_, kept)| kept).take(limit) {
            examined += 1;
            let lacked = kept.awaited.remove(place);
            was_awaited |= lacked;
            tell(kept.nth, lacked);
        }
        if was_awaited && share.fills(STEPS_PER_WINDOW, self.max_count) {
            share.note_taken(now, place, Step::of_window(self.max_count));
        }
        examined
    }

    /// What is kept of `sender` and has not reached the peer at `place`.
    pub(super) fn awaited_by(&self, sender: &NodeId, place: ReachPlace) -> Ranges {
        let kept = self.kept(sender, 0..=u64::MAX);
        kept.filter(|(_, kept)| kept.awaited.contains(place)).map(|(number, _)| number).collect()
    }

    /// Nobody waits for the peer at `place` any more, which had all that was here at `in_step`.
    /// Returns how many messages it lacks.
    pub(super) fn handle_gone(&mut self, place: ReachPlace, in_step: Option<Instant>) -> usize {
        let mut lacking = 0;
        for share in self.shares.values_mut() {
            share.taking.remove(&place);
            for kept in share.messages.values_mut() {
                let is_newer = in_step.is_none_or(|at| kept.received > at);
                lacking += usize::from(kept.awaited.remove(place) && is_newer);
                kept.bringer.take_if(|bringer| *bringer == place);
            }
        }
        lacking
    }

    /// Since the last [`trim`](Self::trim): the message that had to stay. Newer ones of its sender
    /// are not to come.
    pub(super) const fn in_the_way(&self) -> Option<MessageKey> {
        self.in_the_way
    }

    /// Whether there is no room for `item` until what stands in its way has left.
    pub(super) fn has_no_room_for(&self, item: &MessageKey) -> bool {
        self.in_the_way
            .is_some_and(|first| first.sender == item.sender && first.sequence < item.sequence)
    }

    /// Lets go what is too old, too many, or too large, in the order of the return value; floors
    /// rise above it. What `must_stay` stays, until there is a quarter too much.
    pub(super) fn trim(
        &mut self,
        now: Instant,
        must_stay: impl Fn(Candidate<'_>) -> bool,
    ) -> Vec<Evicted> {
        let mut evicted = Vec::new();
        while let Some(sender) = self.whose_is_too_old(now) {
            let too_old = self.evict_lowest(sender);
            evicted.extend(too_old.map(|old| Evicted { awaited: PlaceSet::default(), ..old }));
        }
        self.in_the_way = None;
        while let Some(candidate) = self.who_gives_up(now) {
            let item = candidate.item;
            if !self.is_overfull() && must_stay(candidate) {
                self.in_the_way = Some(item);
                break;
            }
            evicted.extend(self.evict_lowest(item.sender));
        }
        evicted
    }

    fn whose_is_too_old(&self, now: Instant) -> Option<NodeId> {
        let too_old = self.next_expiry().is_some_and(|at| at <= now);
        too_old.then(|| self.by_age.first().map(|&(_, sender)| sender))?
    }

    fn who_gives_up(&self, now: Instant) -> Option<Candidate<'_>> {
        let half = u64::try_from(self.max_count / 2).unwrap_or(u64::MAX);
        let newcomers = self.arrivals.saturating_sub(half);
        let sender = if self.count > self.max_count {
            largest(&self.by_count, newcomers)?
        } else if self.bytes > RETENTION_BYTES {
            largest(&self.by_bytes, newcomers)?
        } else {
            return None;
        };
        let share = self.shares.get(&sender)?;
        let (&sequence, kept) = share.messages.first_key_value()?;
        let fills = |part: usize| share.fills(part, self.max_count);
        let takers = share.taking.iter().filter(|(_, taking)| fills(2) && taking.moves(now));
        let floor = self.floors.of(&sender);
        let behind_a_gap = floor != 0 && floor != sequence;
        Some(Candidate {
            item: MessageKey { sender, sequence },
            kept,
            behind_a_gap,
            of_a_burst: fills(STEPS_PER_WINDOW),
            takers_of_a_flood: takers.map(|(place, _)| *place).collect(),
        })
    }

    /// Whether there is more than a quarter too much.
    const fn is_overfull(&self) -> bool {
        self.count > self.max_count.saturating_add(self.max_count / CROWDED_PART)
            || self.bytes > RETENTION_BYTES + RETENTION_BYTES / CROWDED_PART
    }

    fn evict_lowest(&mut self, sender: NodeId) -> Option<Evicted> {
        let mut share = self.take_share(&sender)?;
        let (sequence, kept) = share.messages.pop_first()?;
        let (item, bytes) = (MessageKey { sender, sequence }, kept.bytes());
        share.numbers.remove(sequence);
        share.bytes -= bytes;
        self.count -= 1;
        self.bytes -= bytes;
        self.floors.raise(sender, sequence + 1);
        if !share.fills(STEPS_PER_WINDOW, self.max_count) {
            share.taking.clear();
        }
        if !share.messages.is_empty() {
            self.put_share(sender, share);
        }
        let entry = kept.entry(&item);
        Some(Evicted { item, message: kept.message, entry, awaited: kept.awaited })
    }

    /// Takes a sender's share out of every index, to be changed and put back.
    fn take_share(&mut self, sender: &NodeId) -> Option<SenderShare> {
        let share = self.shares.remove(sender)?;
        self.by_count.remove(&(share.messages.len(), share.arrival, *sender));
        self.by_bytes.remove(&(share.bytes, share.arrival, *sender));
        if let Some((_, lowest)) = share.messages.first_key_value() {
            self.by_age.remove(&(lowest.received, *sender));
        }
        Some(share)
    }

    fn put_share(&mut self, sender: NodeId, share: SenderShare) {
        self.by_count.insert((share.messages.len(), share.arrival, sender));
        self.by_bytes.insert((share.bytes, share.arrival, sender));
        if let Some((_, lowest)) = share.messages.first_key_value() {
            self.by_age.insert((lowest.received, sender));
        }
        self.shares.insert(sender, share);
    }
}

impl SenderShare {
    /// Whether it takes more than this part of a window of so many messages.
    fn fills(&self, part: usize, max_count: usize) -> bool {
        self.messages.len() > max_count / part || self.bytes > RETENTION_BYTES / part
    }

    /// The peer at `place` has something more. Looks no further than to the end of a step: more is
    /// not earned by one report, and not walked for one.
    fn note_taken(&mut self, now: Instant, place: ReachPlace, step: Step) {
        let taking = self.taking.entry(place).or_insert_with(|| Taking::new(step));
        for (number, kept) in self.messages.range(taking.front..) {
            let bytes = kept.message.content().payload.len();
            if kept.awaited.contains(place) || taking.pass(now, *number, bytes) {
                break;
            }
        }
    }
}

/// Who has the most. Among equals: the latest of those who came before `newcomers`, or else the
/// first newcomer.
fn largest(ranking: &Ranking, newcomers: u64) -> Option<NodeId> {
    const FIRST: NodeId = NodeId::from_bytes([0; 32]);
    let &(most, _, _) = ranking.last()?;
    let settled = ranking.range((most, 0, FIRST)..(most, newcomers, FIRST)).next_back();
    let sender = settled.or_else(|| ranking.range((most, newcomers, FIRST)..).next())?;
    Some(sender.2)
}
