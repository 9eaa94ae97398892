//! A bounded queue from the node to one subscriber: a slow one loses the oldest items, and they are
//! counted. (A ring that all subscribers share would take its whole memory in advance.)

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

/// Counts what came and does not read as what was wanted.
#[derive(Debug, Default)]
pub(crate) struct Undecodable(AtomicU64);

impl Undecodable {
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The subscriber's end.
#[derive(Debug)]
pub(crate) struct Subscription<T> {
    shared: Arc<Mutex<State<T>>>,
}

#[derive(Debug)]
struct State<T> {
    /// Items and their sizes, oldest first.
    items: VecDeque<(T, usize)>,
    bytes: usize,
    dropped: u64,
    closed: bool,
    reader: Option<Waker>,
}

impl<T> Subscription<T> {
    /// The next item; `None` when the node is gone and everything was taken.
    pub(crate) fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<T>> {
        let mut state = lock(&self.shared);
        if let Some((item, size)) = state.items.pop_front() {
            state.bytes -= size;
            return Poll::Ready(Some(item));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// How many items were lost because this subscriber was slow.
    pub(crate) fn dropped(&self) -> u64 {
        lock(&self.shared).dropped
    }
}

/// The node's end: every subscriber of one kind of item.
#[derive(Debug)]
pub(crate) struct Feeds<T> {
    max_items: usize,
    max_bytes: usize,
    table: Mutex<Table<T>>,
}

#[derive(Debug)]
struct Table<T> {
    subscribers: Vec<Weak<Mutex<State<T>>>>,
    /// What all subscribers lost, those that are gone included.
    dropped: u64,
    /// Items that came while there was no subscriber.
    unheard: u64,
    closed: bool,
}

impl<T: Clone> Feeds<T> {
    /// Each subscriber holds at most `max_items` items of at most `max_bytes` bytes, and always
    /// one.
    pub(crate) const fn new(max_items: usize, max_bytes: usize) -> Self {
        let table = Table { subscribers: Vec::new(), dropped: 0, unheard: 0, closed: false };
        Self { max_items, max_bytes, table: Mutex::new(table) }
    }

    /// A new subscriber: it hears what comes from now on.
    pub(crate) fn subscribe(&self) -> Subscription<T> {
        let mut table = lock(&self.table);
        let state = State {
            items: VecDeque::new(),
            bytes: 0,
            dropped: 0,
            closed: table.closed,
            reader: None,
        };
        let shared = Arc::new(Mutex::new(state));
        table.subscribers.push(Arc::downgrade(&shared));
        Subscription { shared }
    }

    /// Gives `item`, whose payload has `size` bytes, to every subscriber.
    pub(crate) fn push(&self, item: &T, size: usize) {
        let mut table = lock(&self.table);
        let mut lost_in_all = 0;
        table.subscribers.retain(|subscriber| {
            let Some(shared) = subscriber.upgrade() else { return false };
            let mut state = lock(&shared);
            state.items.push_back((item.clone(), size));
            state.bytes += size;
            while state.items.len() > 1
                && (state.items.len() > self.max_items || state.bytes > self.max_bytes)
            {
                let lost = state.items.pop_front().map_or(0, |(_, size)| size);
                state.bytes -= lost;
                state.dropped += 1;
                lost_in_all += 1;
            }
            let reader = state.reader.take();
            drop(state);
            reader.into_iter().for_each(Waker::wake);
            true
        });
        table.dropped += lost_in_all;
        table.unheard += u64::from(table.subscribers.is_empty());
    }

    /// No more items: subscribers take what waits, then hear the end.
    pub(crate) fn close(&self) {
        let mut table = lock(&self.table);
        table.closed = true;
        for shared in table.subscribers.iter().filter_map(Weak::upgrade) {
            let mut state = lock(&shared);
            state.closed = true;
            state.reader.take().into_iter().for_each(Waker::wake);
        }
    }

    /// How many items came while there was no subscriber.
    pub(crate) fn unheard(&self) -> u64 {
        lock(&self.table).unheard
    }

    /// How many subscribers there are, and how many items the slow ones lost since the start.
    pub(crate) fn usage(&self) -> (usize, u64) {
        let table = lock(&self.table);
        let alive = table.subscribers.iter().filter(|shared| shared.strong_count() > 0).count();
        (alive, table.dropped)
    }
}

/// A panic of a subscriber's waker leaves the queue as it is: it is whole between two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take<T>(feed: &Subscription<T>) -> Poll<Option<T>> {
        feed.poll_next(&Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_slow_subscriber_loses_the_oldest_and_a_quick_one_nothing() {
        let feeds = Feeds::new(2, 100);
        let (slow, quick) = (feeds.subscribe(), feeds.subscribe());
        for item in 1..=4 {
            feeds.push(&item, 1);
            assert_eq!(take(&quick), Poll::Ready(Some(item)));
        }
        assert_eq!((slow.dropped(), quick.dropped()), (2, 0));
        assert_eq!(feeds.usage(), (2, 2));
        assert_eq!((take(&slow), take(&slow)), (Poll::Ready(Some(3)), Poll::Ready(Some(4))));
        assert_eq!(take(&slow), Poll::Pending);
    }

    #[test]
    fn large_items_are_bounded_by_their_bytes_and_one_always_fits() {
        let feeds = Feeds::new(10, 100);
        let feed = feeds.subscribe();
        for item in 1..=3 {
            feeds.push(&item, 60);
        }
        assert_eq!((take(&feed), take(&feed)), (Poll::Ready(Some(3)), Poll::Pending));
        feeds.push(&4, 1_000);
        assert_eq!(take(&feed), Poll::Ready(Some(4)));
    }

    #[test]
    fn after_the_end_what_waits_is_taken_and_nothing_else_comes() {
        let feeds = Feeds::new(10, 100);
        let feed = feeds.subscribe();
        feeds.push(&1, 1);
        feeds.close();
        assert_eq!((take(&feed), take(&feed)), (Poll::Ready(Some(1)), Poll::Ready(None)));
        assert_eq!(take(&feeds.subscribe()), Poll::Ready(None));
    }

    #[test]
    fn the_losses_of_subscribers_that_left_stay_counted() {
        let feeds = Feeds::new(1, 100);
        let feed = feeds.subscribe();
        feeds.push(&1, 1);
        feeds.push(&2, 1);
        drop(feed);
        feeds.push(&3, 1);
        assert_eq!((feeds.usage(), feeds.unheard()), ((0, 1), 1));
    }
}
