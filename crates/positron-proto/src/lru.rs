//! A bounded map in which the least recently used entry gives way.

use std::collections::BTreeMap;

/// At most `most` entries. One is used when it is inserted or [touched](Self::touch); looking at it
/// is no use of it.
///
/// Every operation is O(log n).
#[derive(Debug)]
pub(crate) struct LruMap<K, V> {
    most: usize,
    entries: BTreeMap<K, Entry<V>>,
    /// The least recently used first.
    by_use: BTreeMap<u64, K>,
    /// Uses so far.
    clock: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    used: u64,
}

impl<K: Ord + Copy, V> LruMap<K, V> {
    pub(crate) const fn new(most: usize) -> Self {
        Self { most, entries: BTreeMap::new(), by_use: BTreeMap::new(), clock: 0 }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|entry| &mut entry.value)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The least recently used.
    pub(crate) fn oldest(&self) -> Option<(&K, &V)> {
        let (_, key) = self.by_use.first_key_value()?;
        Some((key, self.get(key)?))
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    /// It is used: others give way before it.
    pub(crate) fn touch(&mut self, key: &K) {
        if let Some(entry) = self.entries.get_mut(key) {
            self.clock += 1;
            self.by_use.remove(&entry.used);
            entry.used = self.clock;
            self.by_use.insert(self.clock, *key);
        }
    }

    /// Takes it out.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.remove(key)?;
        self.by_use.remove(&entry.used);
        Some(entry.value)
    }

    /// In place of what was there; who had to give way.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<K> {
        self.clock += 1;
        if let Some(before) = self.entries.insert(key, Entry { value, used: self.clock }) {
            self.by_use.remove(&before.used);
        }
        self.by_use.insert(self.clock, key);
        if self.entries.len() <= self.most {
            return None;
        }
        let (_, oldest) = self.by_use.pop_first()?;
        self.entries.remove(&oldest);
        Some(oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_used_longest_ago_gives_way_and_who_is_looked_at_is_not_used() {
        let mut map = LruMap::new(3);
        assert!((1..=3).all(|key| map.insert(key, key * 10).is_none()));
        map.touch(&1);
        map.touch(&9);
        assert_eq!((map.get(&2), map.get(&9)), (Some(&20), None));
        assert_eq!(map.get_mut(&2), Some(&mut 20));
        assert_eq!(map.insert(4, 40), Some(2));
        assert_eq!(map.insert(3, 31), None, "in its place");
        assert_eq!(map.insert(5, 50), Some(1));
        assert_eq!([1, 2, 3, 4, 5].map(|key| map.contains(&key)), [false, false, true, true, true]);
        assert_eq!((map.entries.len(), map.by_use.len(), map.get(&3)), (3, 3, Some(&31)));
        assert_eq!((map.remove(&3), map.remove(&3)), (Some(31), None));
        assert_eq!((map.entries.len(), map.by_use.len()), (2, 2));
    }
}
