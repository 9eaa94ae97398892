//! What was handed to the application and not acknowledged by it, across restarts.

use std::collections::{BTreeMap, VecDeque};

use bytes::{BufMut as _, Bytes};

use super::{Refused, SequenceKind};
use crate::{
    id::{MessageId, NetworkId, NodeId},
    identity::Verified,
    limits::{
        MAX_SUBSCRIPTION_NAME, MAX_SUBSCRIPTIONS, MAX_UNACKNOWLEDGED, MAX_UNACKNOWLEDGED_BYTES,
    },
    storage::{Change, Remembered, Row, Rule, Table, Value},
    time::WallTime,
    wire::{Malformed, Reader, Writer as _, message::AppMessage},
};

/// Number: a message for the application.
pub const DELIVERIES: Table =
    Table { name: "node_deliveries", rule: Rule::Replace, essential: false };
/// The name of a subscription: the first number that it has not acknowledged.
pub const SUBSCRIPTIONS: Table =
    Table { name: "node_subscriptions", rule: Rule::Rise, essential: false };

/// A message for the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedOver {
    /// Its name.
    pub id: MessageId,
    /// Who signed it.
    pub sender: NodeId,
    /// Whether it was said to everyone or to us.
    pub kind: SequenceKind,
    /// When, by the sender's clock.
    pub timestamp: WallTime,
    /// What.
    pub payload: Bytes,
    /// The neighbour that brought it (for a direct message the sender).
    pub from: NodeId,
}

impl HandedOver {
    /// What `from` brought.
    pub(super) fn new(message: &Verified<AppMessage>, kind: SequenceKind, from: NodeId) -> Self {
        let content = message.content();
        Self {
            id: message.id(),
            sender: content.sender.node_id(),
            kind,
            timestamp: content.timestamp,
            payload: content.payload.clone(),
            from,
        }
    }
}

/// A message that a subscription has not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unacknowledged {
    /// Its number in the log: to be acknowledged, and to be asked for what follows.
    pub number: u64,
    /// Messages before it that fell off the log.
    pub missed: u64,
    /// The message.
    pub delivered: HandedOver,
}

/// How a subscription stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionView {
    /// Its name.
    pub name: String,
    /// Messages that it can be handed and has not acknowledged.
    pub unacknowledged: u64,
    /// Messages that fell off the log before it acknowledged them, since its last acknowledgment.
    pub missed: u64,
}

/// The messages that durable subscriptions have not acknowledged: one log for all of them, and for
/// each the first number that it has not acknowledged.
///
/// Numbers are consecutive, so a gap tells how many messages fell off the log. A message is on disk
/// before gossip remembers to have it: one that is lost by a crash is fetched again.
///
/// Without a subscription nothing is kept. Bounded by [`MAX_SUBSCRIPTIONS`],
/// [`MAX_UNACKNOWLEDGED`] and [`MAX_UNACKNOWLEDGED_BYTES`]; the oldest messages fall off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryLog {
    deliveries: BTreeMap<u64, HandedOver>,
    bytes: usize,
    subscriptions: BTreeMap<String, u64>,
    evicted: u64,
}

impl DeliveryLog {
    /// Remembers what comes from now on for `name`, until it is acknowledged. Nothing changes for a
    /// subscription that is there already.
    pub(super) fn subscribe(&mut self, name: &str) -> Result<Change, Refused> {
        if name.is_empty() || name.len() > MAX_SUBSCRIPTION_NAME {
            return Err(Refused::SubscriptionName(name.len()));
        }
        let is_new = !self.subscriptions.contains_key(name);
        if is_new && self.subscriptions.len() >= MAX_SUBSCRIPTIONS {
            return Err(Refused::TooManySubscriptions);
        }
        let next = self.next();
        let next = *self.subscriptions.entry(name.to_owned()).or_insert(next);
        Ok(keep_subscription(name, next))
    }

    /// Forgets a subscription, and what only that one has not acknowledged.
    pub(super) fn unsubscribe(&mut self, name: &str) -> Result<VecDeque<Change>, Refused> {
        if self.subscriptions.remove(name).is_none() {
            return Err(Refused::NoSubscription(name.to_owned()));
        }
        let mut changes = VecDeque::from([Change::forget(&SUBSCRIPTIONS, name.to_owned())]);
        self.forget_acknowledged(&mut changes);
        Ok(changes)
    }

    /// The subscription is done with every message up to this one.
    pub(super) fn acknowledge(
        &mut self,
        name: &str,
        up_to: u64,
    ) -> Result<VecDeque<Change>, Refused> {
        let next = self.next();
        let cursor = self.subscriptions.get_mut(name);
        let cursor = cursor.ok_or_else(|| Refused::NoSubscription(name.to_owned()))?;
        *cursor = up_to.saturating_add(1).min(next).max(*cursor);
        let mut changes = VecDeque::from([keep_subscription(name, *cursor)]);
        self.forget_acknowledged(&mut changes);
        Ok(changes)
    }

    /// A message goes to the application. What is to be kept for it.
    pub(super) fn append(&mut self, delivery: &HandedOver) -> VecDeque<Change> {
        let mut changes = VecDeque::new();
        if self.subscriptions.is_empty() {
            return changes;
        }
        let number = self.next();
        changes.push_back(keep_delivery(number, delivery));
        self.insert(number, delivery.clone());
        while self.deliveries.len() > MAX_UNACKNOWLEDGED
            || (self.bytes > MAX_UNACKNOWLEDGED_BYTES && self.deliveries.len() > 1)
        {
            self.evicted += 1;
            changes.extend(self.pop_oldest());
        }
        changes
    }

    /// The first message from `from` on that the subscription has not acknowledged.
    pub(super) fn first_unacknowledged(&self, name: &str, from: u64) -> Option<Unacknowledged> {
        let from = from.max(*self.subscriptions.get(name)?);
        let (&number, delivery) = self.deliveries.range(from..).next()?;
        Some(Unacknowledged { number, missed: number - from, delivered: delivery.clone() })
    }

    /// How every subscription stands.
    pub(super) fn views(&self) -> impl Iterator<Item = SubscriptionView> {
        let (first, next) = (self.first(), self.next());
        self.subscriptions.iter().map(move |(name, &cursor)| SubscriptionView {
            name: name.clone(),
            unacknowledged: next - cursor.max(first),
            missed: first.saturating_sub(cursor),
        })
    }

    /// Messages that fell off because nobody acknowledged them in time.
    pub(super) const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The number of the oldest message that is kept.
    fn first(&self) -> u64 {
        self.deliveries.first_key_value().map_or_else(|| self.next(), |(&number, _)| number)
    }

    /// The number of the next message.
    fn next(&self) -> u64 {
        let kept = self.deliveries.last_key_value().map_or(0, |(&number, _)| number + 1);
        self.subscriptions.values().copied().fold(kept, u64::max)
    }

    fn insert(&mut self, number: u64, delivery: HandedOver) {
        self.bytes += delivery.payload.len();
        self.deliveries.insert(number, delivery);
    }

    fn pop_oldest(&mut self) -> Option<Change> {
        let (number, delivery) = self.deliveries.pop_first()?;
        self.bytes -= delivery.payload.len();
        Some(Change::forget(&DELIVERIES, number.to_be_bytes().to_vec()))
    }

    fn forget_acknowledged(&mut self, changes: &mut VecDeque<Change>) {
        let awaited = self.subscriptions.values().copied().min();
        while self
            .deliveries
            .first_key_value()
            .is_some_and(|(&number, _)| awaited.is_none_or(|awaited| number < awaited))
        {
            changes.extend(self.pop_oldest());
        }
    }
}

impl Remembered for DeliveryLog {
    fn tables(&self) -> &'static [&'static Table] {
        &[&DELIVERIES, &SUBSCRIPTIONS]
    }

    fn load(&mut self, row: Row, _: &NetworkId) -> Result<(), Malformed> {
        let (mut key, mut value) = (Reader::new(row.key), Reader::new(row.value));
        if *row.table == SUBSCRIPTIONS {
            let no_text = key.malformed("name of a subscription");
            let name = String::from_utf8(key.rest().to_vec()).map_err(|_| no_text)?;
            let next = value.u64()?;
            value.finish()?;
            // A message with the last number of all has no successor.
            if next == u64::MAX {
                return Err(key.malformed("number of a delivery"));
            }
            self.subscriptions.insert(name, next);
        } else {
            let number = key.u64()?;
            let delivery = read_delivery(&mut value)?;
            if number == u64::MAX {
                return Err(key.malformed("number of a delivery"));
            }
            key.finish()?;
            self.insert(number, delivery);
        }
        Ok(())
    }
}

fn keep_subscription(name: &str, next: u64) -> Change {
    Change::keep(&SUBSCRIPTIONS, name.to_owned(), next.to_be_bytes().to_vec())
}

fn keep_delivery(number: u64, delivery: &HandedOver) -> Change {
    let mut head = Vec::with_capacity(105);
    head.put_u8(match delivery.kind {
        SequenceKind::Broadcast => BROADCAST,
        SequenceKind::Direct => DIRECT,
    });
    head.append_raw(delivery.id.as_bytes());
    head.append_raw(delivery.sender.as_bytes());
    head.append_raw(delivery.from.as_bytes());
    head.put_u64(delivery.timestamp.as_unix_micros());
    let value = Value { head: head.into(), tail: delivery.payload.clone() };
    Change::keep(&DELIVERIES, number.to_be_bytes().to_vec(), value)
}

fn read_delivery(value: &mut Reader<Bytes>) -> Result<HandedOver, Malformed> {
    let unknown = value.malformed("kind of a delivery");
    let kind = match value.u8()? {
        BROADCAST => SequenceKind::Broadcast,
        DIRECT => SequenceKind::Direct,
        _ => return Err(unknown),
    };
    Ok(HandedOver {
        kind,
        id: MessageId::from_bytes(value.array()?),
        sender: NodeId::from_bytes(value.array()?),
        from: NodeId::from_bytes(value.array()?),
        timestamp: WallTime::from_unix_micros(value.u64()?),
        payload: value.rest(),
    })
}

const BROADCAST: u8 = 0;
const DIRECT: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(n: u8, bytes: usize) -> HandedOver {
        HandedOver {
            id: MessageId::from_bytes([n; 32]),
            sender: NodeId::from_bytes([1; 32]),
            kind: if n.is_multiple_of(2) { SequenceKind::Broadcast } else { SequenceKind::Direct },
            timestamp: WallTime::from_unix_micros(u64::from(n)),
            payload: vec![n; bytes].into(),
            from: NodeId::from_bytes([2; 32]),
        }
    }

    /// A log and what its disk holds.
    #[derive(Default)]
    struct Rig {
        log: DeliveryLog,
        disk: BTreeMap<(&'static str, Bytes), Change>,
    }

    impl Rig {
        fn subscribe(&mut self, name: &str) {
            let change = self.log.subscribe(name).unwrap();
            self.write([change]);
        }

        fn append(&mut self, delivery: &HandedOver) {
            let changes = self.log.append(delivery);
            self.write(changes);
        }

        fn acknowledge(&mut self, name: &str, up_to: u64) {
            let changes = self.log.acknowledge(name, up_to).unwrap();
            self.write(changes);
        }

        fn write(&mut self, changes: impl IntoIterator<Item = Change>) {
            for change in changes {
                let row = (change.table.name, change.key.clone());
                match change.value {
                    Some(_) => drop(self.disk.insert(row, change)),
                    None => drop(self.disk.remove(&row)),
                }
            }
        }

        /// The process is killed, and another one starts.
        fn restart(&mut self) {
            self.log = DeliveryLog::default();
            for change in self.disk.values() {
                let value = change.value.as_ref().unwrap().to_bytes();
                let row = Row { table: change.table, key: change.key.clone(), value };
                self.log.load(row, &NetworkId::from_name("test")).unwrap();
            }
        }

        /// Numbers and misses of everything that `name` is handed from now on.
        fn handed(&self, name: &str) -> Vec<(u64, u64)> {
            let mut from = 0;
            core::iter::from_fn(|| {
                let next = self.log.first_unacknowledged(name, from)?;
                from = next.number + 1;
                Some((next.number, next.missed))
            })
            .collect()
        }
    }

    #[test]
    fn what_is_not_acknowledged_is_handed_over_again_after_a_crash() {
        let mut rig = Rig::default();
        rig.append(&delivery(0, 10));
        rig.subscribe("ledger");
        assert!(rig.handed("ledger").is_empty(), "it came before the subscription");
        let sent = [delivery(1, 10), delivery(2, 0), delivery(3, 30)];
        sent.iter().for_each(|delivery| rig.append(delivery));
        rig.acknowledge("ledger", 0);
        for _ in 0..2 {
            rig.restart();
            rig.subscribe("ledger");
            assert_eq!(rig.handed("ledger"), [(1, 0), (2, 0)]);
            assert_eq!(rig.log.first_unacknowledged("ledger", 0).unwrap().delivered, sent[1]);
        }
        rig.acknowledge("ledger", 2);
        rig.restart();
        assert!(rig.handed("ledger").is_empty());
        rig.append(&sent[0]);
        assert_eq!(rig.handed("ledger"), [(3, 0)], "numbers go on");
        assert_eq!(rig.disk.len(), 2);
    }

    #[test]
    fn each_subscription_acknowledges_for_itself_and_the_slowest_one_keeps() {
        let mut rig = Rig::default();
        rig.subscribe("one");
        rig.subscribe("two");
        (0..4).for_each(|n| rig.append(&delivery(n, 10)));
        rig.acknowledge("one", 2);
        rig.restart();
        assert_eq!(rig.handed("one"), [(3, 0)]);
        assert_eq!(rig.handed("two").len(), 4);
        let changes = rig.log.unsubscribe("two").unwrap();
        rig.write(changes);
        assert_eq!(rig.disk.len(), 2, "one subscription, one message");
        assert_eq!(rig.log.first_unacknowledged("two", 0), None);
        assert!(matches!(rig.log.acknowledge("two", 3), Err(Refused::NoSubscription(_))));
    }

    #[test]
    fn what_falls_off_is_counted_and_told_even_across_a_crash() {
        let mut rig = Rig::default();
        rig.subscribe("slow");
        let large = MAX_UNACKNOWLEDGED_BYTES / 4;
        (0..6).for_each(|n| rig.append(&delivery(n, large)));
        assert_eq!(rig.log.evicted(), 2);
        rig.restart();
        assert_eq!(rig.handed("slow"), [(2, 2), (3, 0), (4, 0), (5, 0)]);
        let view = rig.log.views().next().unwrap();
        assert_eq!((view.unacknowledged, view.missed), (4, 2));
        (0..MAX_UNACKNOWLEDGED).for_each(|_| rig.append(&delivery(7, 1)));
        assert_eq!(rig.disk.len(), 1 + MAX_UNACKNOWLEDGED);
        assert_eq!(rig.handed("slow")[0], (6, 6));
    }

    #[test]
    fn names_and_their_number_are_bounded() {
        let mut log = DeliveryLog::default();
        for name in ["", &"x".repeat(MAX_SUBSCRIPTION_NAME + 1)] {
            assert!(matches!(log.subscribe(name), Err(Refused::SubscriptionName(_))));
        }
        for n in 0..MAX_SUBSCRIPTIONS {
            log.subscribe(&n.to_string()).unwrap();
        }
        assert_eq!(log.subscribe("one more"), Err(Refused::TooManySubscriptions));
        log.subscribe("0").unwrap();
        log.acknowledge("0", u64::MAX).unwrap();
        assert_eq!(log.next(), 0, "nothing was handed over that could be acknowledged");
    }
}
