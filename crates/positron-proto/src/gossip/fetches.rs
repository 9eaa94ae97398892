//! Announced messages that are being fetched.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use super::{
    fetch_delay::{AnswerTimeout, FetchDelay},
    message_key::MessageKey,
};
use crate::{
    deadlines::Deadlines,
    id::NodeId,
    limits::{
        ASKED_BYTES, ASKED_BYTES_PER_SECOND, MAX_HOLDERS, MAX_OWED_ANSWERS, MAX_WANTED,
        MIN_WANTED_PER_PEER, NAMED_AGAIN_AFTER, POSTPONED_FOR, WANT_TIMEOUT, WANT_TIMEOUT_MOST,
    },
    time::{Duration, Instant},
};

/// Fetches under way: who has the message, who was asked for it, and when to ask the next one.
///
/// An announcement is not an answer: one announcer is asked after a short wait, because an eager
/// push is usually on its way (the missing-message timer of Plumtree: Leitão, Pereira, Rodrigues
/// 2007), and the next one when that one keeps silent (the lesson of Bitcoin's CVE-2024-52913,
/// "already asked for"). Nobody pushes what is large: its announcer is asked at once, unless so
/// much is under way from it that an answer would wait. Who kept silent is asked after all others,
/// and not waited for when one of them has it, until it answered as often.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    fetches: BTreeMap<MessageKey, Fetch>,
    deadlines: Deadlines<MessageKey>,
    /// Those that there is no room for. Their deadline is when they are forgotten, so that nobody
    /// looks at them meanwhile, however many they are.
    postponed: BTreeSet<MessageKey>,
    /// How many fetches each peer caused.
    caused: BTreeMap<NodeId, usize>,
    patience: FetchDelay,
    /// How long each peer takes to answer; those that never did are not in it.
    answers: BTreeMap<NodeId, AnswerTimeout>,
    /// Who kept silent, and how many answers make up for it.
    silent: BTreeMap<NodeId, u8>,
    /// Bytes that each peer was asked for and has not sent, or that are not judged yet.
    under_way: BTreeMap<NodeId, usize>,
    /// Large ones of which enough is under way from all who have them, the oldest first.
    crowded: BTreeSet<(Instant, MessageKey)>,
}

/// Who has a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announced {
    pub(super) by: NodeId,
    /// Bytes of its payload, if it is large, and sent only to who asks.
    pub(super) bytes: Option<usize>,
}

#[derive(Debug)]
struct Fetch {
    caused_by: NodeId,
    /// When it was announced first.
    since: Instant,
    /// What it takes, as far as anybody said.
    bytes: usize,
    /// Whether nothing of it came yet.
    missing: bool,
    /// Who has it and was not asked yet, the first to say so first.
    holders: Vec<NodeId>,
    asked: Option<Asked>,
    /// The bytes that it was asked for.
    bytes_asked: usize,
    /// When a question named it last.
    named: Instant,
    /// Who was asked before, and may answer yet.
    late: Option<Asked>,
    /// Whose answer is being checked, and its bytes: more is not asked for than can be checked.
    checking: Option<(NodeId, usize)>,
}

/// Who was asked, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) whom: NodeId,
    pub(super) at: Instant,
}

impl Wanted {
    /// `item`, which is not known here, was announced. Returns whether it is being fetched now: the
    /// room is shared among all `peers`, so that no peer's made-up announcements keep out the true
    /// ones of others.
    pub(super) fn handle_announcement(
        &mut self,
        now: Instant,
        item: MessageKey,
        announced: Announced,
        peers: usize,
    ) -> bool {
        let Announced { by: holder, bytes } = announced;
        if let Some(fetch) = self.fetches.get_mut(&item) {
            fetch.bytes = fetch.bytes.max(bytes.unwrap_or(0));
            let asked = fetch.asked.map(|asked| asked.whom);
            if asked == Some(holder)
                || fetch.holders.len() >= MAX_HOLDERS
                || fetch.holders.contains(&holder)
            {
                return true;
            }
            fetch.holders.push(holder);
            // Whoever kept silent before is not waited for when somebody else has it.
            let is_hopeless = |asked: &NodeId| self.silent.contains_key(asked);
            if asked.as_ref().is_some_and(is_hopeless) && !self.silent.contains_key(&holder) {
                self.give_up_question(&item);
                self.ask_at(now + self.patience.wait(), &item);
            }
            if bytes.is_some() {
                self.ask_at(now, &item);
            }
            return true;
        }
        let share = (MAX_WANTED / peers.max(1)).max(MIN_WANTED_PER_PEER);
        let caused = self.caused.entry(holder).or_default();
        if *caused >= share || self.fetches.len() >= MAX_WANTED {
            if *caused == 0 {
                self.caused.remove(&holder);
            }
            return false;
        }
        *caused += 1;
        let (holders, asked) = (vec![holder], None);
        let fetch = Fetch {
            caused_by: holder,
            since: now,
            bytes: bytes.unwrap_or(0),
            missing: true,
            holders,
            asked,
            bytes_asked: 0,
            named: now,
            late: None,
            checking: None,
        };
        self.fetches.insert(item, fetch);
        let wait = bytes.map_or_else(|| self.patience.wait(), |_| Duration::ZERO);
        self.deadlines.set(item, now + wait);
        true
    }

    /// The next fetch whose holder must be asked now, or did not answer in time.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<MessageKey> {
        self.deadlines.pop_due(now)
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.deadlines.next().map(|(at, _)| at)
    }

    /// When `item`, which is being fetched, was announced first.
    pub(super) fn announced(&self, item: &MessageKey) -> Option<Instant> {
        self.fetches.get(item).map(|fetch| fetch.since)
    }

    /// How many are being fetched.
    pub(super) fn len(&self) -> usize {
        self.fetches.len()
    }

    /// The lowest number of `sender` that is being fetched.
    pub(super) fn lowest_of(&self, sender: NodeId) -> Option<u64> {
        let (lowest, _) = self.fetches.range(MessageKey::all_of(sender)).next()?;
        Some(lowest.sequence)
    }

    /// There is no room for it, until it is [released](Self::release) or forgotten.
    pub(super) fn postpone(&mut self, now: Instant, item: MessageKey) {
        if self.fetches.contains_key(&item) {
            self.postponed.insert(item);
            self.deadlines.set(item, now + POSTPONED_FOR);
        }
    }

    pub(super) fn is_postponed(&self, item: &MessageKey) -> bool {
        self.postponed.contains(item)
    }

    pub(super) fn has_postponed(&self) -> bool {
        !self.postponed.is_empty()
    }

    /// There is room again, but for what is behind `in_the_way`: the lowest of what waits for it
    /// are due, at most `limit`.
    pub(super) fn release(&mut self, now: Instant, in_the_way: Option<MessageKey>, limit: usize) {
        let (before, after) = in_the_way.map_or((Bound::Unbounded, None), |first| {
            let (_, last) = MessageKey::all_of(first.sender).into_inner();
            (Bound::Included(first), Some((Bound::Excluded(last), Bound::Unbounded)))
        });
        let before = self.postponed.range((Bound::Unbounded, before));
        let after = after.into_iter().flat_map(|range| self.postponed.range(range));
        let due: Vec<MessageKey> = before.chain(after).take(limit).copied().collect();
        for item in due {
            self.postponed.remove(&item);
            self.deadlines.set(item, now);
        }
    }

    /// `item` is due then, unless there is no room for it.
    fn set_due(&mut self, item: MessageKey, at: Instant) {
        if !self.is_postponed(&item) {
            self.deadlines.set(item, at);
        }
    }

    /// The time of whoever was asked is over: takes note that nobody is asked any more, and returns
    /// who was.
    pub(super) fn take_asked(&mut self, item: &MessageKey) -> Option<Asked> {
        let asked = self.give_up_question(item)?;
        let owed = self.silent.entry(asked.whom).or_default();
        *owed = owed.saturating_add(1).min(MAX_OWED_ANSWERS);
        Some(asked)
    }

    /// Nobody is waited for any more; who was asked may answer yet.
    fn give_up_question(&mut self, item: &MessageKey) -> Option<Asked> {
        let fetch = self.fetches.get_mut(item)?;
        let asked = fetch.asked.take()?;
        fetch.late = Some(asked);
        let bytes = fetch.bytes_asked;
        self.take_off(asked.whom, bytes);
        Some(asked)
    }

    /// So much is not waited for any more.
    fn take_off(&mut self, whom: NodeId, bytes: usize) {
        if let Some(under_way) = self.under_way.get_mut(&whom) {
            *under_way = under_way.saturating_sub(bytes);
            if *under_way == 0 {
                self.under_way.remove(&whom);
            }
        }
    }

    /// `peer` still has it: it is asked again after all others.
    pub(super) fn put_last(&mut self, item: &MessageKey, peer: NodeId) {
        if let Some(fetch) = self.fetches.get_mut(item)
            && !fetch.holders.contains(&peer)
        {
            fetch.holders.push(peer);
        }
    }

    /// Chooses the next holder to be asked; without one, the fetch ends. If so much is under way
    /// from all of them that an answer would have to wait, so does the question.
    pub(super) fn ask_next(&mut self, now: Instant, item: MessageKey) -> Option<NodeId> {
        let fetch = self.fetches.get_mut(&item)?;
        if fetch.holders.is_empty() {
            self.end(&item);
            return None;
        }
        let under_way = |holder: &NodeId| self.under_way.get(holder).copied().unwrap_or(0);
        let has_room = |holder: &NodeId| match under_way(holder) {
            0 => true,
            bytes => bytes + fetch.bytes <= ASKED_BYTES,
        };
        let candidates = || (0_usize..).zip(&fetch.holders).filter(|(_, holder)| has_room(holder));
        let reliable = candidates().find(|(_, holder)| !self.silent.contains_key(*holder));
        let Some((place, _)) = reliable.or_else(|| candidates().next()) else {
            self.crowded.insert((fetch.since, item));
            self.deadlines.set(item, now + WANT_TIMEOUT);
            return None;
        };
        let whom = fetch.holders.remove(place);
        self.crowded.remove(&(fetch.since, item));
        (fetch.asked, fetch.named) = (Some(Asked { whom, at: now }), now);
        fetch.bytes_asked = fetch.bytes;
        let wait = self.answers.get(&whom).map_or(WANT_TIMEOUT, AnswerTimeout::wait);
        let mut way = Duration::ZERO;
        if fetch.bytes > 0 {
            let under_way = self.under_way.entry(whom).or_default();
            *under_way += fetch.bytes;
            way = Duration::from_micros(*under_way as u64 * 1_000_000 / ASKED_BYTES_PER_SECOND);
        }
        self.deadlines.set(item, now + wait + way);
        Some(whom)
    }

    /// The lowest number of `sender` that is being fetched, if `whom` was asked for it and is
    /// silent since: it is named again in whatever else that one is asked. A peer serves only so
    /// much in a time, the lowest of a question first. Asked for by itself, at its own time, the
    /// oldest could be the one that always comes too late; and all others wait for it.
    pub(super) fn remind(&mut self, now: Instant, sender: NodeId, whom: NodeId) -> Option<u64> {
        let (item, fetch) = self.fetches.range_mut(MessageKey::all_of(sender)).next()?;
        let is_asked = fetch.asked.is_some_and(|asked| asked.whom == whom);
        if !is_asked || now.since(fetch.named) < NAMED_AGAIN_AFTER {
            return None;
        }
        fetch.named = now;
        Some(item.sequence)
    }

    /// A new message was pushed. If nobody had announced it, there was nothing to wait for.
    pub(super) fn handle_push(&mut self, item: &MessageKey) {
        if !self.fetches.contains_key(item) {
            self.patience.learn(Duration::ZERO);
        }
    }

    /// What was asked for was pushed so long after its announcement.
    pub(super) fn handle_late_push(&mut self, lag: Duration) {
        self.patience.learn(lag);
    }

    /// `from` sent it. If it was asked to, nobody else is asked while it is being checked. Returns
    /// whether it was asked.
    pub(super) fn handle_arrival(&mut self, now: Instant, item: &MessageKey, from: NodeId) -> bool {
        let Some(fetch) = self.fetches.get_mut(item) else { return false };
        let first = core::mem::replace(&mut fetch.missing, false);
        let asked = [fetch.asked, fetch.late].into_iter().flatten();
        let mut questions = asked.filter(|asked| asked.whom == from);
        // Of two questions nobody knows which was answered (RFC 6298, 3: Karn's algorithm).
        if let (Some(Asked { at, .. }), None) = (questions.next(), questions.next()) {
            self.answers.entry(from).or_default().learn(now.since(at));
            if let Some(owed) = self.silent.get_mut(&from) {
                *owed -= 1;
                if *owed == 0 {
                    self.silent.remove(&from);
                }
            }
        }
        fetch.late = fetch.late.filter(|late| late.whom != from);
        if fetch.asked.is_none_or(|asked| asked.whom != from) {
            if first {
                self.patience.learn(now.since(fetch.since));
            }
            return false;
        }
        fetch.asked = None;
        let before = fetch.checking.replace((from, fetch.bytes_asked));
        self.set_due(*item, now + WANT_TIMEOUT_MOST);
        self.take_off_checked(before);
        true
    }

    /// As much as was judged may be asked for again; two, so that small ones follow a large one.
    fn take_off_checked(&mut self, checked: Option<(NodeId, usize)>) {
        let Some((from, bytes)) = checked else { return };
        self.take_off(from, bytes);
        for _ in 0..2 {
            let Some((since, next)) = self.crowded.pop_first() else { break };
            // At once: it has been waiting since then.
            self.set_due(next, since);
        }
    }

    /// What came was no good: whoever is next is asked at once, unless somebody is being asked.
    pub(super) fn hurry(&mut self, now: Instant, item: &MessageKey) {
        self.handle_judged(item);
        self.ask_at(now, item);
    }

    /// There was no room for what came: it is asked for again in a while.
    pub(super) fn handle_no_room(&mut self, now: Instant, item: &MessageKey) {
        self.handle_judged(item);
        self.ask_at(now + WANT_TIMEOUT, item);
    }

    fn handle_judged(&mut self, item: &MessageKey) {
        let checked = self.fetches.get_mut(item).and_then(|fetch| fetch.checking.take());
        self.take_off_checked(checked);
    }

    /// It is due then, unless somebody was asked or answered.
    fn ask_at(&mut self, at: Instant, item: &MessageKey) {
        let is_open = |fetch: &Fetch| fetch.asked.is_none() && fetch.checking.is_none();
        if self.fetches.get(item).is_some_and(is_open) {
            self.set_due(*item, at);
        }
    }

    /// Who was asked for it and may send it yet.
    pub(super) fn asked_for(&self, item: &MessageKey) -> impl Iterator<Item = NodeId> {
        let fetch = self.fetches.get(item);
        fetch.into_iter().flat_map(|of| of.asked.into_iter().chain(of.late)).map(|asked| asked.whom)
    }

    /// Ends the fetch; returns who else has the message.
    pub(super) fn end(&mut self, item: &MessageKey) -> Vec<NodeId> {
        let Some(fetch) = self.fetches.remove(item) else { return Vec::new() };
        self.deadlines.clear(*item);
        self.postponed.remove(item);
        self.crowded.remove(&(fetch.since, *item));
        if let Some(asked) = fetch.asked {
            self.take_off(asked.whom, fetch.bytes_asked);
        }
        self.take_off_checked(fetch.checking);
        if let Some(caused) = self.caused.get_mut(&fetch.caused_by) {
            *caused -= 1;
            if *caused == 0 {
                self.caused.remove(&fetch.caused_by);
            }
        }
        fetch.holders.into_iter().chain(fetch.asked.map(|asked| asked.whom)).collect()
    }

    /// `peer` cannot be asked any more: what it was asked for is due at once.
    pub(super) fn peer_down(&mut self, now: Instant, peer: NodeId) {
        self.answers.remove(&peer);
        self.silent.remove(&peer);
        self.under_way.remove(&peer);
        let mut orphans = Vec::new();
        for (item, fetch) in &mut self.fetches {
            fetch.holders.retain(|holder| *holder != peer);
            if fetch.asked.is_some_and(|asked| asked.whom == peer) {
                fetch.asked = None;
                orphans.push(*item);
            } else if fetch.asked.is_none() && fetch.holders.is_empty() {
                orphans.push(*item);
            }
        }
        for item in orphans {
            self.set_due(item, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sender: u8, sequence: u64) -> MessageKey {
        MessageKey { sender: NodeId::from_bytes([sender; 32]), sequence }
    }

    fn due(wanted: &mut Wanted, now: Instant) -> Vec<MessageKey> {
        core::iter::from_fn(|| wanted.pop_due(now)).collect()
    }

    #[test]
    fn what_has_no_room_is_looked_at_when_there_is_room_or_when_it_is_forgotten() {
        let (start, holder) = (Instant::ORIGIN, NodeId::from_bytes([9; 32]));
        let later = start + POSTPONED_FOR / 2;
        let mut wanted = Wanted::default();
        for item in (1..4).flat_map(|sender| (0..100).map(move |number| of(sender, number))) {
            let announced = Announced { by: holder, bytes: None };
            assert!(wanted.handle_announcement(start, item, announced, 1));
            wanted.postpone(start, item);
        }
        assert_eq!(due(&mut wanted, later), []);
        wanted.release(later, Some(of(2, 49)), 102);
        let released = due(&mut wanted, later);
        assert_eq!(
            released,
            (0..100).map(|n| of(1, n)).chain([of(2, 0), of(2, 1)]).collect::<Vec<_>>()
        );
        wanted.release(later, Some(of(2, 49)), 1_000);
        assert_eq!(due(&mut wanted, later).len(), 48 + 100, "but for what is behind it");
        wanted.peer_down(later, holder);
        wanted.hurry(later, &of(2, 60));
        assert!(due(&mut wanted, later).iter().all(|item| !wanted.is_postponed(item)));
        let forgotten = due(&mut wanted, start + POSTPONED_FOR);
        assert_eq!(forgotten, (50..100).map(|n| of(2, n)).collect::<Vec<_>>());
    }
}
