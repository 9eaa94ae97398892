//! A queue in which nobody's long line makes another's short one wait.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What waits, in one line for each `K`; the lines take turns by the bytes of what they hand out.
///
/// Fair queueing by start times (Goyal, Vin and Cheng 1996): each item begins, in virtual time,
/// where the one before it in its line ended, but not before now; who begins first goes first.
/// Virtual time runs as it would if all lines were served at once, a byte of each at a time (Parekh
/// and Gallager 1993). So a line that begins anew waits for about one item of each other line,
/// whoever has just had more than its share waits until the others have had theirs, and a line
/// keeps its order.
///
/// It remembers the lines in which something waits, and those that are ahead of virtual time: about
/// as many again, since that goes on with everything that is handed out. An empty one takes no
/// memory of its own: trees would keep the room of eleven entries.
#[derive(Debug)]
pub(crate) struct FairQueue<K, T> {
    lines: BTreeMap<K, Line<T>>,
    /// When the first item of each line that is not empty begins, in virtual time; of two at the
    /// same time the one that has waited longer goes first.
    turns: BTreeSet<(u64, u64, K)>,
    /// Goes on by the bytes that are handed out, divided among the lines that wait.
    virtual_time: u64,
    /// Lines that were ever begun: breaks ties.
    begun: u64,
}

#[derive(Debug)]
struct Line<T> {
    /// With their bytes.
    items: VecDeque<(usize, T)>,
    /// Together.
    bytes: usize,
    /// When the last item that was handed out ended, in virtual time.
    ended: u64,
    /// It has no turns.
    is_suspended: bool,
}

impl<K: Ord + Copy, T> FairQueue<K, T> {
    pub(crate) fn new() -> Self {
        Self { lines: BTreeMap::new(), turns: BTreeSet::new(), virtual_time: 0, begun: 0 }
    }

    /// Whether nothing waits for a turn.
    pub(crate) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Bytes and items in the line of `key`.
    pub(crate) fn waiting(&self, key: &K) -> (usize, usize) {
        self.lines.get(key).map_or((0, 0), |line| (line.bytes, line.items.len()))
    }

    /// Bytes and items in all lines.
    pub(crate) fn all_waiting(&self) -> (usize, usize) {
        let add =
            |sum: (usize, usize), line: &Line<T>| (sum.0 + line.bytes, sum.1 + line.items.len());
        self.lines.values().fold((0, 0), add)
    }

    /// To the end of the line of `key`.
    pub(crate) fn push(&mut self, key: K, bytes: usize, item: T) {
        let line = self.lines.entry(key).or_default();
        if line.items.is_empty() && !line.is_suspended {
            self.begun += 1;
            self.turns.insert((line.ended.max(self.virtual_time), self.begun, key));
        }
        line.bytes += bytes;
        line.items.push_back((bytes, item));
    }

    /// The line of `key` has no turn until [`resume`](Self::resume).
    pub(crate) fn suspend(&mut self, key: K) {
        self.lines.entry(key).or_default().is_suspended = true;
        self.turns.retain(|(_, _, whose)| *whose != key);
    }

    /// Whether the line of `key` has no turns.
    pub(crate) fn is_suspended(&self, key: &K) -> bool {
        self.lines.get(key).is_some_and(|line| line.is_suspended)
    }

    /// The suspended lines have turns again of which this holds.
    pub(crate) fn resume(&mut self, mut is_over: impl FnMut(&K) -> bool) {
        for (key, line) in &mut self.lines {
            if line.is_suspended && is_over(key) {
                line.is_suspended = false;
                if !line.items.is_empty() {
                    self.begun += 1;
                    self.turns.insert((line.ended.max(self.virtual_time), self.begun, *key));
                }
            }
        }
    }

    /// Whose turn it is.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let (begins, _, key) = self.turns.pop_first()?;
        let line = self.lines.get_mut(&key)?;
        let (bytes, item) = line.items.pop_front()?;
        line.bytes -= bytes;
        line.ended = begins.saturating_add(cost(bytes));
        let lines = self.turns.len() as u64 + 1;
        let served = self.virtual_time.saturating_add(cost(bytes).div_ceil(lines));
        self.virtual_time = served.max(begins);
        if !line.items.is_empty() {
            self.begun += 1;
            self.turns.insert((line.ended, self.begun, key));
        } else if self.turns.is_empty() {
            // Nobody is ahead of anybody any more.
            self.virtual_time = 0;
            self.lines.retain(|_, line| line.is_suspended);
            self.lines.values_mut().for_each(|line| line.ended = 0);
            self.release_memory();
        } else {
            let now = self.virtual_time;
            self.lines
                .retain(|_, line| !line.items.is_empty() || line.is_suspended || line.ended > now);
        }
        Some(item)
    }

    /// A tree that was emptied keeps a leaf: of a queue for each peer, most of which have nothing
    /// to say, that is more than all that waits.
    fn release_memory(&mut self) {
        self.turns = BTreeSet::new();
        if self.lines.is_empty() {
            self.lines = BTreeMap::new();
        }
    }

    /// The line of `key`, which ends with that.
    pub(crate) fn remove(&mut self, key: &K) -> impl Iterator<Item = T> + use<K, T> {
        self.turns.retain(|(_, _, whose)| whose != key);
        let line = self.lines.remove(key);
        line.into_iter().flat_map(|line| line.items).map(|(_, item)| item)
    }

    /// Everything, line by line.
    pub(crate) fn into_items(self) -> impl Iterator<Item = T> {
        self.lines.into_values().flat_map(|line| line.items).map(|(_, item)| item)
    }
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self { items: VecDeque::new(), bytes: 0, ended: 0, is_suspended: false }
    }
}

/// What an item takes of its line's turn: its bytes, and its frame (guess, 32 bytes), so that empty
/// ones are not free.
fn cost(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(queue: &mut FairQueue<char, u32>) -> Vec<u32> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn a_short_line_waits_for_one_of_a_long_one() {
        let mut queue = FairQueue::new();
        (0..1_000).for_each(|n| queue.push('a', 65_536, n));
        assert_eq!(queue.pop(), Some(0));
        queue.push('b', 256, 7_777);
        let next: Vec<_> = (0..2).filter_map(|_| queue.pop()).collect();
        assert!(next.contains(&7_777), "{next:?}");
    }

    #[test]
    fn lines_take_turns_by_bytes_and_keep_their_order() {
        let mut queue = FairQueue::new();
        (0..100).for_each(|n| queue.push('a', 968, n));
        (1_000..2_000).for_each(|n| queue.push('b', 68, n));
        let order = order(&mut queue);
        assert_eq!(order.len(), 1_100);
        let (large, small): (Vec<u32>, Vec<u32>) = order.iter().partition(|n| **n < 1_000);
        assert!(large.is_sorted() && small.is_sorted());
        for (at, _) in order.iter().enumerate().filter(|(_, n)| **n < 1_000) {
            let done = order[..at].iter().filter(|n| **n < 1_000).count();
            let others = at - done;
            assert!(
                others.abs_diff(done * 10) <= 10,
                "after {done} large ones {others} small ones"
            );
        }
    }

    #[test]
    fn who_comes_back_for_one_at_a_time_has_no_more_than_its_share() {
        let mut queue = FairQueue::new();
        (0..100).for_each(|n| queue.push('a', 1_000, n));
        let mut theirs = 0;
        queue.push('b', 1_000, 7_777);
        for _ in 0..100 {
            if queue.pop() == Some(7_777) {
                theirs += 1;
                queue.push('b', 1_000, 7_777);
            }
        }
        assert!((49..=51).contains(&theirs), "{theirs}");
    }

    #[test]
    fn a_line_that_is_removed_leaves_the_turns_of_the_others() {
        let mut queue = FairQueue::new();
        (0..10).for_each(|n| queue.push(if n % 2 == 0 { 'a' } else { 'b' }, 10, n));
        let removed: Vec<u32> = queue.remove(&'a').collect();
        assert_eq!(removed, [0, 2, 4, 6, 8]);
        assert_eq!(order(&mut queue), [1, 3, 5, 7, 9]);
        assert!(queue.is_empty() && queue.lines.is_empty());
    }

    #[test]
    fn a_suspended_line_has_no_turn_and_loses_nothing() {
        let mut queue = FairQueue::new();
        (0..3).for_each(|n| queue.push('a', 10, n));
        queue.push('b', 10, 10);
        queue.suspend('a');
        queue.suspend('c');
        queue.push('a', 10, 3);
        queue.push('c', 10, 20);
        assert_eq!(order(&mut queue), [10]);
        assert!(queue.is_empty() && queue.is_suspended(&'a') && !queue.is_suspended(&'b'));
        assert_eq!(queue.waiting(&'a'), (40, 4));
        queue.resume(|key| *key == 'a');
        assert_eq!(order(&mut queue), [0, 1, 2, 3]);
        queue.resume(|_| true);
        assert_eq!(order(&mut queue), [20]);
        assert!(queue.lines.is_empty());
    }

    #[test]
    fn whoever_comes_under_ever_new_names_leaves_nothing_behind() {
        let mut queue = FairQueue::new();
        queue.push(0, 10, 0);
        for name in 1..10_000 {
            queue.push(name, 10, name);
            queue.pop();
            assert!(queue.lines.len() <= 5, "{}", queue.lines.len());
        }
        let left: Vec<u32> = queue.into_items().collect();
        assert_eq!(left.len(), 1);
    }
}
