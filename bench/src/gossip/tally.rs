//! Who has heard which message, and how long after it was published.

use std::{
    ops::Range,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::Notify;

use super::plan::Quantiles;
use crate::numbers::quantile;

/// All messages of a network. A message begins with its number, by which it is found here; a node
/// counts once for each, and the one that published it does not.
#[derive(Debug)]
pub(crate) struct Tally {
    nodes: usize,
    bytes: usize,
    next: AtomicUsize,
    deliveries: AtomicUsize,
    rows: Box<[OnceLock<Box<Row>>]>,
}

/// One message.
#[derive(Debug)]
struct Row {
    publisher: usize,
    published: Instant,
    /// Microseconds that it took to each node; 0: it is not there.
    took_us: Box<[AtomicU32]>,
    heard: AtomicUsize,
    is_complete: Notify,
}

/// Where a node tells what it handed over.
#[derive(Clone, Debug)]
pub(crate) struct Ear {
    tally: Arc<Tally>,
    node: usize,
}

/// How some messages spread.
#[derive(Debug, Default)]
pub(crate) struct Times {
    pub(crate) incomplete: usize,
    pub(crate) last_ms: Quantiles,
    pub(crate) each_ms: Quantiles,
}

impl Tally {
    /// For messages of so many bytes, of which there will be `messages` at most.
    pub(crate) fn new(nodes: usize, bytes: usize, messages: usize) -> Arc<Self> {
        Arc::new(Self {
            nodes,
            bytes,
            next: AtomicUsize::default(),
            deliveries: AtomicUsize::default(),
            rows: (0..messages).map(|_| OnceLock::new()).collect(),
        })
    }

    /// The ear of a node.
    pub(crate) fn ear(self: &Arc<Self>, node: usize) -> Ear {
        Ear { tally: self.clone(), node }
    }

    /// A new message, which counts as published now. `None`: there were too many.
    pub(crate) fn publish(&self, publisher: usize) -> Option<(usize, Bytes)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut payload = vec![FILLING; self.bytes];
        payload[..NUMBER].copy_from_slice(&(number as u64).to_le_bytes());
        let row = Row {
            publisher,
            published: Instant::now(),
            took_us: (0..self.nodes).map(|_| AtomicU32::default()).collect(),
            heard: AtomicUsize::default(),
            is_complete: Notify::new(),
        };
        self.rows.get(number)?.set(row.into()).expect("each number is given once");
        Some((number, payload.into()))
    }

    /// Waits until all others have the message.
    pub(crate) async fn complete(&self, number: usize) {
        if let Some(row) = self.row(number) {
            row.is_complete.notified().await;
        }
    }

    /// How many others have the message.
    pub(crate) fn heard(&self, number: usize) -> usize {
        self.row(number).map_or(0, |row| row.heard.load(Ordering::Relaxed))
    }

    /// The number that the next message will have.
    pub(crate) fn next(&self) -> usize {
        self.next.load(Ordering::Relaxed)
    }

    /// Bytes of a message.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Deliveries so far.
    pub(crate) fn deliveries(&self) -> usize {
        self.deliveries.load(Ordering::Relaxed)
    }

    /// How these messages spread. One that was not there in time took [`LONGEST`].
    pub(crate) fn times(&self, numbers: Range<usize>) -> Times {
        let longest_us = u32::try_from(LONGEST.as_micros()).unwrap_or(u32::MAX);
        let (mut all, mut incomplete) = (Vec::new(), 0);
        let mut last: Vec<f64> = Vec::new();
        for row in numbers.filter_map(|number| self.row(number)) {
            let took = row.took_us.iter().map(|took| took.load(Ordering::Relaxed)).enumerate();
            let took =
                took.filter(|(node, _)| *node != row.publisher).map(|(_, took)| match took {
                    0 => longest_us,
                    took => took.min(longest_us),
                });
            let took: Vec<u32> = took.collect();
            let slowest = took.iter().copied().max().unwrap_or_default();
            incomplete += usize::from(slowest == longest_us);
            last.push(f64::from(slowest) / 1e3);
            all.extend(took.into_iter().map(|took| f64::from(took) / 1e3));
        }
        Times { incomplete, last_ms: quantiles(last), each_ms: quantiles(all) }
    }

    fn row(&self, number: usize) -> Option<&Row> {
        self.rows.get(number)?.get().map(|row| &**row)
    }

    fn hear(&self, node: usize, payload: &[u8]) -> Option<()> {
        let number = u64::from_le_bytes(*payload.first_chunk()?);
        let row = self.row(usize::try_from(number).ok()?)?;
        if node == row.publisher || payload.len() != self.bytes {
            return None;
        }
        let took = u32::try_from(row.published.elapsed().as_micros()).unwrap_or(u32::MAX).max(1);
        let before = row.took_us.get(node)?;
        before.compare_exchange(0, took, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        self.deliveries.fetch_add(1, Ordering::Relaxed);
        if row.heard.fetch_add(1, Ordering::Relaxed) + 2 == self.nodes {
            row.is_complete.notify_one();
        }
        Some(())
    }
}

impl Ear {
    /// The node handed this message over. What is no message of the tally is nothing.
    pub(crate) fn hear(&self, payload: &[u8]) {
        let _ = self.tally.hear(self.node, payload);
    }
}

/// Half, and 99 of a hundred, of these; of none, nothing.
pub(crate) fn quantiles(mut of: Vec<f64>) -> Quantiles {
    if of.is_empty() {
        return Quantiles::default();
    }
    of.sort_by(f64::total_cmp);
    Quantiles { p50: quantile(&of, 50), p99: quantile(&of, 99) }
}

/// A message that not all others have by then is incomplete.
pub(crate) const LONGEST: Duration = Duration::from_secs(4);
/// Bytes of a message's number.
const NUMBER: usize = 8;
/// What the rest of a message is full of.
const FILLING: u8 = 0x5A;

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn a_message_is_complete_when_all_but_its_publisher_have_it_and_each_counts_once() {
        let tally = Tally::new(3, 16, 2);
        let (number, payload) = tally.publish(1).unwrap();
        assert_eq!((number, payload.len(), tally.next()), (0, 16, 1));
        for node in [0, 0, 1] {
            tally.ear(node).hear(&payload);
        }
        assert_eq!((tally.deliveries(), tally.heard(0)), (1, 1));
        assert!(tally.complete(0).now_or_never().is_none());
        tally.ear(2).hear(&payload);
        assert_eq!(tally.deliveries(), 2);
        assert!(tally.complete(0).now_or_never().is_some());
    }

    #[test]
    fn what_is_no_message_of_the_tally_is_not_counted() {
        let tally = Tally::new(3, 16, 1);
        let (_, payload) = tally.publish(0).unwrap();
        let unknown = [7; 16];
        for wrong in [&[][..], &payload[..4], &payload[..15], &unknown] {
            tally.ear(1).hear(wrong);
        }
        tally.ear(3).hear(&payload);
        assert_eq!(tally.deliveries(), 0);
        assert!(tally.publish(0).is_none(), "there is room for one");
    }

    #[test]
    fn a_message_that_a_node_lacks_is_incomplete_and_took_the_longest() {
        let tally = Tally::new(3, 16, 2);
        for ears in [&[1, 2][..], &[1]] {
            let (_, payload) = tally.publish(0).unwrap();
            for ear in ears {
                tally.ear(*ear).hear(&payload);
            }
        }
        let times = tally.times(0..2);
        assert_eq!((times.incomplete, times.last_ms.p99, times.each_ms.p99), (1, 4000.0, 4000.0));
        assert!(times.last_ms.p50 < 4000.0 && times.each_ms.p50 < 4000.0);
        let times = tally.times(0..1);
        assert_eq!(times.incomplete, 0);
        assert!(times.last_ms.p99 < 4000.0);
    }
}
