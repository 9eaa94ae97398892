//! Values that cannot change, kept by who read them.

use super::{DhtRecord, Place, RecordKind};
use crate::{
    identity::Verified,
    limits::MAX_CACHED_VALUES,
    lru::LruMap,
    time::{Duration, Instant},
};

/// Immutable records that this node read, for as long as they live: their key is a hash of what
/// they say, so that nothing else can be there, and nobody has to be asked again.
///
/// **Bounds**: [`MAX_CACHED_VALUES`]; what was not read for longest gives way. Others are told
/// nothing of it: what a node keeps for them is another matter.
#[derive(Debug)]
pub(super) struct ValueCache(LruMap<Place, CachedValue>);

#[derive(Debug)]
struct CachedValue {
    record: Verified<DhtRecord>,
    until: Instant,
}

impl ValueCache {
    pub(super) const fn new() -> Self {
        Self(LruMap::new(MAX_CACHED_VALUES))
    }

    /// A record was read that lives for so long; one that can change is not kept.
    pub(super) fn insert(&mut self, now: Instant, record: &Verified<DhtRecord>, left: Duration) {
        if record.content().kind == RecordKind::Immutable && !left.is_zero() {
            let cached = CachedValue { record: record.clone(), until: now + left };
            let _ = self.0.insert(record.content().key(), cached);
        }
    }

    /// What is under this key, if that was read and lives still, and the seconds that are left.
    pub(super) fn get(&mut self, now: Instant, key: &Place) -> Option<(Verified<DhtRecord>, u32)> {
        let cached = self.0.get(key)?;
        let left = u32::try_from(cached.until.since(now).as_secs()).unwrap_or(u32::MAX);
        let record = cached.record.clone();
        if left == 0 {
            self.0.remove(key);
            return None;
        }
        self.0.touch(key);
        Some((record, left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dht::NameHash, id::NetworkId, identity::Identity};

    const LIFE: Duration = Duration::from_secs(60);

    fn record(kind: RecordKind, value: String) -> Verified<DhtRecord> {
        let me = Identity::from_seed([1; 32]);
        let value = bytes::Bytes::from(value);
        let (publisher, name) = (*me.public_key(), NameHash::of_value(&value));
        let (sequence, created, ttl) = (1, 1, 60);
        let record =
            DhtRecord { publisher, kind, name, sequence, created, ttl, value: Some(value) };
        me.sign(record, &NetworkId::from_name("test"))
    }

    #[test]
    fn what_cannot_change_is_there_until_its_life_is_over_and_what_can_is_not() {
        let (mut cache, start) = (ValueCache::new(), Instant::ORIGIN);
        let fixed = record(RecordKind::Immutable, "fixed".into());
        let key = fixed.content().key();
        cache.insert(start, &fixed, LIFE);
        for kind in [RecordKind::Owned, RecordKind::Shared] {
            let other = record(kind, "fixed".into());
            cache.insert(start, &other, LIFE);
            assert_eq!(cache.get(start, &other.content().key()), None);
        }
        let later = start + Duration::from_secs(20);
        assert_eq!(cache.get(later, &key), Some((fixed.clone(), 40)));
        assert_eq!(cache.get(start + LIFE, &key), None);
        assert_eq!(cache.get(later, &key), None, "it is gone");
        cache.insert(start, &fixed, Duration::ZERO);
        assert_eq!(cache.get(start, &key), None);
    }

    #[test]
    fn so_many_are_kept_and_what_was_not_read_for_longest_gives_way() {
        let (mut cache, now) = (ValueCache::new(), Instant::ORIGIN);
        let records: Vec<_> =
            (0..=MAX_CACHED_VALUES).map(|n| record(RecordKind::Immutable, n.to_string())).collect();
        for record in &records[..MAX_CACHED_VALUES] {
            cache.insert(now, record, LIFE);
        }
        let mut has = |n: usize| cache.get(now, &records[n].content().key()).is_some();
        assert!(has(0), "read again");
        cache.insert(now, &records[MAX_CACHED_VALUES], LIFE);
        let mut has = |n: usize| cache.get(now, &records[n].content().key()).is_some();
        assert!(has(0) && has(MAX_CACHED_VALUES) && !has(1) && has(2));
    }
}
