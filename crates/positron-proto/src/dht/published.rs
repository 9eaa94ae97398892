//! What this node publishes itself: it is renewed for as long as the node lives.

use std::collections::BTreeMap;

use super::{DhtRecord, DhtRefused, Found, LivingRecord, NameHash, Place, RecordKind};
use crate::{
    deadlines::Deadlines,
    id::NodeId,
    identity::Verified,
    limits::{DISJOINT_PATHS, LONGEST_REPUBLISH, MAX_PUBLISHED, SHORTEST_REPUBLISH},
    time::{Duration, Instant, Now, WallTime},
};

/// Names what this node publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Title {
    pub(super) kind: RecordKind,
    pub(super) name: NameHash,
}

/// One record of ours.
#[derive(Debug)]
pub(super) struct Publication {
    pub(super) record: Verified<DhtRecord>,
    /// When it would end if nobody renewed it.
    pub(super) ends: Instant,
    /// How many others keep it, as far as was heard.
    pub(super) holders: usize,
    /// Over how many paths those who should keep it are looked for, when it is offered again.
    pub(super) paths: usize,
    /// How long until it is offered again to more nodes, while too few keep it.
    again_after: Duration,
}

/// What is to be done about a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Half of its life is over: it is said again under a higher sequence.
    Renew(Title),
    /// Too few keep it: it is offered again as it is.
    Offer(Title),
    /// It has ended: a tombstone, that nobody renews.
    Ended(Title),
}

/// All records of ours.
#[derive(Debug, Default)]
pub(super) struct Published {
    by_title: BTreeMap<Title, Publication>,
    /// Everybody who reads asks whether something of ours is under a key: it is under one only.
    by_key: BTreeMap<Place, Title>,
    deadlines: Deadlines<(Title, Wait)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wait {
    Life,
    Holders,
}

impl Title {
    pub(super) const fn of(record: &DhtRecord) -> Self {
        Self { kind: record.kind, name: record.name }
    }

    /// One under which an application may publish.
    pub(super) fn of_application(kind: RecordKind, name: NameHash) -> Result<Self, DhtRefused> {
        let title = Self { kind, name };
        let is_taken = title == Self::of_peer_record();
        if is_taken { Err(DhtRefused::OwnPeerRecord) } else { Ok(title) }
    }

    /// That of our own peer record: the node's, and no application's.
    pub(super) fn of_peer_record() -> Self {
        Self { kind: RecordKind::Owned, name: NameHash::of_peer_record() }
    }

    pub(super) fn key(&self, me: &NodeId) -> Place {
        self.name.key(self.kind, me)
    }
}

impl Publication {
    const fn new(record: Verified<DhtRecord>, ends: Instant) -> Self {
        let (paths, again_after) = (DISJOINT_PATHS, SHORTEST_REPUBLISH);
        Self { record, ends, holders: 0, paths, again_after }
    }
}

impl Published {
    /// Whether another title of the application has room.
    pub(super) fn has_room(&self, title: &Title) -> bool {
        self.len() < MAX_PUBLISHED || self.by_title.contains_key(title)
    }

    /// This is what we say under its title from now on.
    pub(super) fn publish(&mut self, now: Instant, record: Verified<DhtRecord>, life: Duration) {
        let (title, ends) = (Title::of(record.content()), now + life);
        let is_tombstone = record.content().is_tombstone();
        // A tombstone is not renewed: it is to outlive what it kills, and no more.
        let next = if is_tombstone { life } else { life.min(record.content().life() / 2) };
        self.deadlines.set((title, Wait::Life), now + next);
        self.deadlines.clear((title, Wait::Holders));
        self.insert(title, record, ends);
    }

    /// What this node published before it stopped. It is said again at once, a tombstone for as
    /// long as it is to be kept; but where the node is now, it says itself as soon as it knows.
    /// Returns the highest sequence.
    pub(super) fn restore(&mut self, now: Now, records: Vec<Verified<DhtRecord>>) -> u64 {
        let highest = records.iter().map(|record| record.content().sequence).max();
        let is_kept =
            |record: &Verified<DhtRecord>| Title::of(record.content()) != Title::of_peer_record();
        records.into_iter().filter(is_kept).for_each(|record| self.restore_one(now, record));
        highest.unwrap_or_default()
    }

    fn restore_one(&mut self, now: Now, record: Verified<DhtRecord>) {
        let (title, content) = (Title::of(record.content()), record.content());
        let created = WallTime::from_unix_micros(u64::from(content.created) * 1_000_000);
        let left = content.life().saturating_sub(now.wall.since(created));
        let wait = if content.is_tombstone() { left } else { Duration::ZERO };
        self.deadlines.set((title, Wait::Life), now.mono + wait);
        self.insert(title, record, now.mono + left);
    }

    fn insert(&mut self, title: Title, record: Verified<DhtRecord>, ends: Instant) {
        self.by_key.insert(record.content().key(), title);
        self.by_title.insert(title, Publication::new(record, ends));
    }

    /// So many others keep this record of ours, of so many that should.
    pub(super) fn handle_holders(
        &mut self,
        now: Instant,
        record: &DhtRecord,
        holders: usize,
        wanted: usize,
    ) {
        let title = Title::of(record);
        let Some(publication) = self.by_title.get_mut(&title) else { return };
        if publication.record.content().sequence != record.sequence {
            return;
        }
        publication.holders = holders;
        if holders < wanted {
            self.deadlines.set((title, Wait::Holders), now + publication.again_after);
            publication.again_after = (publication.again_after * 2).min(LONGEST_REPUBLISH);
        }
    }

    /// Those who keep this record of ours may not be the nearest: it is offered again soon, over so
    /// many paths.
    pub(super) fn doubt(&mut self, now: Instant, record: &DhtRecord, paths: usize) {
        let title = Title::of(record);
        let Some(publication) = self.by_title.get_mut(&title) else { return };
        if publication.record.content().sequence == record.sequence {
            publication.paths = paths;
            self.deadlines.set_earliest((title, Wait::Holders), now + SHORTEST_REPUBLISH);
        }
    }

    /// Somebody new can be asked: what too few keep is offered again soon.
    pub(super) fn handle_newcomer(&mut self, now: Instant, wanted: usize) {
        for (title, publication) in &mut self.by_title {
            if publication.holders < wanted {
                publication.again_after = SHORTEST_REPUBLISH;
                self.deadlines.set_earliest((*title, Wait::Holders), now + SHORTEST_REPUBLISH);
            }
        }
    }

    /// The next thing that is due; call until `None`.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Due> {
        let (title, wait) = self.deadlines.pop_due(now)?;
        let is_tombstone =
            self.by_title.get(&title).is_none_or(|kept| kept.record.content().is_tombstone());
        Some(match wait {
            Wait::Holders => Due::Offer(title),
            Wait::Life if is_tombstone => {
                self.forget(&title);
                Due::Ended(title)
            }
            Wait::Life => Due::Renew(title),
        })
    }

    pub(super) fn forget(&mut self, title: &Title) -> Option<Publication> {
        self.deadlines.clear((*title, Wait::Life));
        self.deadlines.clear((*title, Wait::Holders));
        let publication = self.by_title.remove(title)?;
        self.by_key.remove(&publication.record.content().key());
        Some(publication)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Publication> {
        self.by_title.values()
    }

    pub(super) fn get(&self, title: &Title) -> Option<&Publication> {
        self.by_title.get(title)
    }

    /// What of ours is under this key.
    pub(super) fn under(&self, key: &Place) -> Option<&Publication> {
        self.by_title.get(self.by_key.get(key)?)
    }

    /// What of ours is under this key, as whoever asks wants it.
    pub(super) fn tell(
        &self,
        now: Instant,
        (key, publisher, values): (&Place, Option<NodeId>, bool),
        me: &NodeId,
        found: &mut Found,
    ) {
        if publisher.is_some_and(|wanted| wanted != *me) {
            return;
        }
        if let Some(Publication { record, ends, .. }) = self.under(key) {
            let left = u32::try_from(ends.since(now).as_secs()).unwrap_or(u32::MAX);
            if left > 0 && values {
                found
                    .records
                    .push(LivingRecord { record: record.claim().clone(), remaining: left });
            } else if left > 0 {
                found.heads.push(record.content().head());
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next().map(|(at, _)| at)
    }

    /// How many the application has; our own peer record stands beside them.
    pub(super) fn len(&self) -> usize {
        let is_there = self.by_title.contains_key(&Title::of_peer_record());
        self.by_title.len() - usize::from(is_there)
    }
}
