//! Who sent what, who got it, and how long it took.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::latency::{Latencies, Percentiles};

/// One broadcast of the simulation, by its number.
#[derive(Clone, Copy, Debug)]
struct Sent {
    by: usize,
    at: Instant,
    /// The node refused it, or could not keep it: nobody is owed a delivery.
    failed: bool,
}

/// What one node sent and got.
#[derive(Clone, Debug, Default)]
struct Account {
    sent: u64,
    /// By number of the broadcast.
    got: Vec<bool>,
    /// Of what is owed to it.
    deliveries: u64,
    duplicates: u64,
    latencies: Latencies,
}

/// The books: every broadcast, and every delivery of it.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    sent: Vec<Sent>,
    failed: u64,
    accounts: Vec<Account>,
    first_delivery: Option<Instant>,
    last_delivery: Option<Instant>,
}

/// What the books say about one node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Line {
    /// Broadcasts that it sent.
    pub sent: u64,
    /// Broadcasts of others that it got, each counted once.
    pub received: u64,
    /// Broadcasts of others, so far.
    pub expected: u64,
    /// Broadcasts that it got once more than once.
    pub duplicates: u64,
    /// How long its deliveries took.
    pub latency: Option<Percentiles>,
}

/// What the books say in all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Totals {
    /// Broadcasts that a node took.
    pub broadcasts: u64,
    /// Broadcasts that a node did not take.
    pub failed: u64,
    /// Deliveries, each counted once.
    pub deliveries: u64,
    /// One for each broadcast and each node but its sender.
    pub expected: u64,
    /// Deliveries of what was delivered before.
    pub duplicates: u64,
    /// How long deliveries took, from the call to the receipt.
    pub latency: Option<Percentiles>,
}

impl Ledger {
    /// Empty books of `nodes` nodes.
    pub(crate) fn new(nodes: usize) -> Self {
        let accounts = vec![Account::default(); nodes];
        Self { sent: Vec::new(), failed: 0, accounts, first_delivery: None, last_delivery: None }
    }

    /// Node `by` is about to send its next broadcast. The number goes with it.
    pub(crate) fn send(&mut self, by: usize, at: Instant) -> usize {
        self.sent.push(Sent { by, at, failed: false });
        self.accounts[by].sent += 1;
        self.sent.len() - 1
    }

    /// Broadcast `number` was not taken, although it may have reached others.
    pub(crate) fn withdraw(&mut self, number: usize) {
        let Some(sent) = self.sent.get_mut(number) else { return };
        if std::mem::replace(&mut sent.failed, true) {
            return;
        }
        self.failed += 1;
        self.accounts[sent.by].sent -= 1;
        for account in &mut self.accounts {
            account.deliveries -= u64::from(account.has(number));
        }
    }

    /// Node `node` got broadcast `number`. Numbers that were never sent are not ours.
    pub(crate) fn deliver(&mut self, node: usize, number: usize, at: Instant) {
        let (Some(sent), Some(account)) = (self.sent.get(number), self.accounts.get_mut(node))
        else {
            return;
        };
        if account.got.len() <= number {
            account.got.resize(self.sent.len(), false);
        }
        if std::mem::replace(&mut account.got[number], true) {
            account.duplicates += 1;
            return;
        }
        account.deliveries += u64::from(!sent.failed);
        account.latencies.add(at.saturating_duration_since(sent.at));
        self.first_delivery.get_or_insert(at);
        self.last_delivery = Some(at);
    }

    /// When broadcast `number` was sent.
    pub(crate) fn sent_at(&self, number: usize) -> Option<Instant> {
        Some(self.sent.get(number)?.at)
    }

    /// Whether nothing is under way any more.
    pub(crate) fn is_settled(&self) -> bool {
        self.deliveries() >= self.expected()
    }

    /// How long after `start` the first delivery was.
    pub(crate) fn first_delivery_after(&self, start: Instant) -> Option<Duration> {
        Some(self.first_delivery?.saturating_duration_since(start))
    }

    /// How long after `start` the last delivery was.
    pub(crate) fn last_delivery_after(&self, start: Instant) -> Option<Duration> {
        Some(self.last_delivery?.saturating_duration_since(start))
    }

    /// The books of node `node`.
    pub(crate) fn line(&self, node: usize) -> Line {
        let account = &self.accounts[node];
        Line {
            sent: account.sent,
            received: account.deliveries,
            expected: self.broadcasts() - account.sent,
            duplicates: account.duplicates,
            latency: account.latencies.percentiles(),
        }
    }

    /// The books in all.
    pub(crate) fn totals(&self) -> Totals {
        let mut latencies = Latencies::default();
        self.accounts.iter().for_each(|account| latencies.merge(&account.latencies));
        Totals {
            broadcasts: self.broadcasts(),
            failed: self.failed,
            deliveries: self.deliveries(),
            expected: self.expected(),
            duplicates: self.accounts.iter().map(|account| account.duplicates).sum(),
            latency: latencies.percentiles(),
        }
    }

    /// Who missed which broadcast.
    pub(crate) fn missed(&self) -> impl Iterator<Item = (usize, usize)> {
        let owed = self.sent.iter().enumerate().filter(|(_, sent)| !sent.failed);
        owed.flat_map(move |(number, sent)| {
            let others = self.accounts.iter().enumerate().filter(|(node, _)| *node != sent.by);
            others
                .filter_map(move |(node, account)| (!account.has(number)).then_some((number, node)))
        })
    }

    fn broadcasts(&self) -> u64 {
        self.sent.len() as u64 - self.failed
    }

    fn deliveries(&self) -> u64 {
        self.accounts.iter().map(|account| account.deliveries).sum()
    }

    fn expected(&self) -> u64 {
        self.broadcasts() * (self.accounts.len() as u64).saturating_sub(1)
    }
}

impl Account {
    fn has(&self, number: usize) -> bool {
        self.got.get(number).copied().unwrap_or(false)
    }
}

/// The books are whole between two entries, whatever happened to who wrote them.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_books_add_up() {
        let start = Instant::now();
        let mut books = Ledger::new(3);
        let (a, b) = (books.send(0, start), books.send(2, start));
        assert!(!books.is_settled());
        for (node, number) in [(1, a), (2, a), (0, b)] {
            books.deliver(node, number, start + Duration::from_millis(5));
        }
        assert_eq!(books.missed().collect::<Vec<_>>(), [(b, 1)]);
        books.deliver(1, b, start + Duration::from_millis(9));
        let totals = books.totals();
        assert_eq!((totals.broadcasts, totals.deliveries, totals.expected), (2, 4, 4));
        assert!(books.is_settled() && books.missed().next().is_none());
        assert_eq!(books.first_delivery_after(start), Some(Duration::from_millis(5)));
        let line = books.line(2);
        assert_eq!((line.sent, line.received, line.expected), (1, 1, 1));
    }

    #[test]
    fn a_second_delivery_breaks_the_promise_and_is_not_a_delivery() {
        let now = Instant::now();
        let mut books = Ledger::new(2);
        let number = books.send(0, now);
        books.deliver(1, number, now);
        books.deliver(1, number, now);
        let totals = books.totals();
        assert_eq!((totals.deliveries, totals.duplicates), (1, 1));
    }

    #[test]
    fn nobody_is_owed_what_was_not_taken_nor_what_was_never_sent() {
        let now = Instant::now();
        let mut books = Ledger::new(2);
        let (a, b) = (books.send(0, now), books.send(0, now));
        books.deliver(1, a, now);
        books.deliver(1, b, now);
        books.deliver(1, 77, now);
        books.withdraw(a);
        let totals = books.totals();
        assert_eq!((totals.broadcasts, totals.failed), (1, 1));
        assert_eq!((totals.deliveries, totals.expected), (1, 1));
    }
}
