//! How much work each peer may make.

use std::collections::BTreeMap;

use crate::{
    id::NodeId,
    limits::{MAX_HOLD, WORK_BURST, WORK_PATIENCE, WORK_PER_MESSAGE, WORK_PER_SECOND, WORK_SHARE},
    metric::Level,
    relay::{RELAY_DATA, RELAY_TYPES},
    request::{CANCEL, REQUEST, RESPONSE},
    substream::{SUBSTREAM_DATA, SUBSTREAM_TYPES},
    time::{Duration, Instant},
    wire::message::{CUSTOM_DATA, GOSSIP_MESSAGE},
};

/// What every peer owes for the work that it made, counted in bytes to be read and walked.
///
/// Lists, questions, records and frames that say nothing cost their bytes, and every message a
/// little. A message of an application costs a small part of its bytes, given back when it proves
/// to be new: what brings news is bounded by its signatures and by the disk. So does a request,
/// when the application has answered it, and an answer that was asked for. Debts are paid off by
/// time. Who owes more than [`WORK_BURST`] waits: its link is not read for a moment, so that flow
/// control slows down whoever says too much, and nobody else. Who owes that much again after
/// [`WORK_PATIENCE`], and was not down to half of it when something was charged meanwhile, floods.
///
/// Bounded by the peers that are linked, and those that left in the last seconds: a new link is no
/// way to be rid of a debt.
#[derive(Debug, Default)]
pub(super) struct WorkBudgets(BTreeMap<NodeId, Debt>);

#[derive(Debug)]
struct Debt {
    owed: u64,
    at: Instant,
    /// Since when it has owed too much, without a break.
    over_since: Option<Instant>,
}

/// Whether a peer may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charged {
    /// It may.
    Within,
    /// Its link is to be read again at this time, and what it said is read.
    Waits(Instant),
    /// The same, and what it said is not read: it is far over what it may owe.
    Dropped(Instant),
    /// It has made others wait for long enough.
    Floods,
}

impl WorkBudgets {
    /// `peer` said this.
    pub(super) fn charge(&mut self, now: Instant, peer: NodeId, message: &[u8]) -> Charged {
        // What is for one node was acknowledged when it arrived; all else is brought again.
        let is_for_us = |kind: &u8| {
            matches!(*kind, CUSTOM_DATA | REQUEST | RESPONSE | CANCEL)
                || SUBSTREAM_TYPES.contains(kind)
                || RELAY_TYPES.contains(kind)
        };
        let may_drop = !message.first().is_some_and(is_for_us);
        match self.add(now, peer, cost(message)) {
            Charged::Dropped(until) if !may_drop => Charged::Waits(until),
            charged => charged,
        }
    }

    /// `peer` made so many bytes of frames to be read that said nothing.
    pub(super) fn charge_frames(&mut self, now: Instant, peer: NodeId, bytes: usize) -> Charged {
        self.add(now, peer, as_u64(bytes))
    }

    fn add(&mut self, now: Instant, peer: NodeId, cost: u64) -> Charged {
        if !self.0.contains_key(&peer) {
            self.0.retain(|_, debt| debt.owed_at(now) > 0);
        }
        let debt = self.0.entry(peer).or_insert(Debt { owed: 0, at: now, over_since: None });
        (debt.owed, debt.at) = (debt.owed_at(now), now);
        if debt.owed < WORK_BURST / 2 {
            debt.over_since = None;
        }
        debt.owed = debt.owed.saturating_add(cost);
        if debt.owed <= WORK_BURST {
            return Charged::Within;
        }
        let since = *debt.over_since.get_or_insert(now);
        if now.since(since) >= WORK_PATIENCE {
            return Charged::Floods;
        }
        let micros = (debt.owed - WORK_BURST).saturating_mul(1_000_000) / WORK_PER_SECOND;
        let until = now + Duration::from_micros(micros).min(MAX_HOLD);
        if debt.owed > 2 * WORK_BURST { Charged::Dropped(until) } else { Charged::Waits(until) }
    }

    /// What `peer` owes, beside what it may owe before it has to wait.
    pub(super) fn level(&self, now: Instant, peer: &NodeId) -> Level {
        let owed = self.0.get(peer).map_or(0, |debt| debt.owed_at(now));
        Level { used: owed, limit: WORK_BURST }
    }

    /// `peer` was the first to bring a message with so many bytes of payload.
    pub(super) fn handle_news(&mut self, peer: &NodeId, payload: usize) {
        if let Some(debt) = self.0.get_mut(peer) {
            debt.owed = debt.owed.saturating_sub(share(payload) + WORK_PER_MESSAGE);
        }
    }
}

impl Debt {
    /// What is left of it.
    fn owed_at(&self, now: Instant) -> u64 {
        let micros = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX);
        self.owed.saturating_sub(micros.saturating_mul(WORK_PER_SECOND) / 1_000_000)
    }
}

/// What `message` costs whoever says it.
pub(super) fn cost(message: &[u8]) -> u64 {
    if let Some(&(SUBSTREAM_DATA | RELAY_DATA)) = message.first() {
        return WORK_PER_MESSAGE.saturating_sub(as_u64(message.len()) / STREAM_WORTH);
    }
    let brings_payload =
        matches!(message.first(), Some(&(GOSSIP_MESSAGE | CUSTOM_DATA | REQUEST | RESPONSE)));
    let bytes = if brings_payload { share(message.len()) } else { as_u64(message.len()) };
    WORK_PER_MESSAGE + bytes
}

/// Bytes of a stream that pay for one: no more of them come than the application reads, so only
/// pieces that are small for their number cost anything.
const STREAM_WORTH: u64 = 16;

fn share(bytes: usize) -> u64 {
    as_u64(bytes) / WORK_SHARE
}

fn as_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{MAX_HOLDINGS_SENDERS, MAX_PAYLOAD};

    const NOON: Instant = Instant::from_micros(1 << 40);

    fn peer(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    #[test]
    fn a_comparison_of_everything_that_is_kept_costs_nobody_a_pause() {
        let mut budgets = WorkBudgets::default();
        // 10,000 senders in lists of 1,024, each by its id and a range.
        for _ in 0..10_000 / MAX_HOLDINGS_SENDERS + 1 {
            let list = vec![7; MAX_HOLDINGS_SENDERS * 40];
            assert_eq!(budgets.charge(NOON, peer(1), &list), Charged::Within);
        }
    }

    #[test]
    fn news_is_free_however_much_there_is() {
        let mut budgets = WorkBudgets::default();
        let message = vec![GOSSIP_MESSAGE; MAX_PAYLOAD];
        for _ in 0..100_000 {
            assert_eq!(budgets.charge(NOON, peer(1), &message), Charged::Within);
            budgets.handle_news(&peer(1), MAX_PAYLOAD);
        }
    }

    #[test]
    fn who_says_too_much_waits_and_who_does_not_stop_floods_and_others_notice_nothing() {
        let mut budgets = WorkBudgets::default();
        let list = vec![7; 16 << 10];
        let (mut now, mut read) = (NOON, 0);
        let took = loop {
            match budgets.charge(now, peer(1), &list) {
                Charged::Within => read += 1,
                Charged::Waits(until) => {
                    assert!(until > now && until <= now + MAX_HOLD);
                    (now, read) = (until, read + 1);
                }
                Charged::Dropped(_) => panic!("it waits when it is to"),
                Charged::Floods => break now.since(NOON),
            }
            assert_eq!(budgets.charge(now, peer(2), b"hello"), Charged::Within);
        };
        assert!((WORK_PATIENCE..WORK_PATIENCE * 2).contains(&took), "{took:?}");
        let most = WORK_BURST + WORK_PER_SECOND * took.as_secs();
        assert!(read * (16 << 10) <= most, "{read} lists in {took:?}");
    }

    #[test]
    fn who_makes_many_frames_to_be_read_and_says_nothing_waits_and_floods() {
        let mut budgets = WorkBudgets::default();
        let (mut now, mut bytes) = (NOON, 0);
        let took = loop {
            match budgets.charge_frames(now, peer(1), 64 << 10) {
                Charged::Within => bytes += 64 << 10,
                Charged::Waits(until) | Charged::Dropped(until) => {
                    (now, bytes) = (until, bytes + (64 << 10));
                }
                Charged::Floods => break now.since(NOON),
            }
        };
        assert!(took < WORK_PATIENCE * 2, "{took:?}");
        let most = WORK_BURST + WORK_PER_SECOND * (took.as_secs() + 1);
        assert!(bytes <= most, "{bytes} bytes in {took:?}");
    }

    #[test]
    fn what_is_far_over_is_not_read_but_for_direct_messages_and_debts_are_paid_off_by_time() {
        let mut budgets = WorkBudgets::default();
        let list = vec![7; 16 << 10];
        let read = |charged: &Charged| !matches!(charged, Charged::Dropped(_));
        let charged = core::iter::from_fn(|| Some(budgets.charge(NOON, peer(1), &list)));
        let bytes = charged.take_while(read).count() * list.len();
        assert!(as_u64(bytes) <= 2 * WORK_BURST);
        for other in 2..200 {
            budgets.charge(NOON, peer(other), b"hello");
        }
        assert!(matches!(budgets.charge(NOON, peer(1), &list), Charged::Dropped(_)));
        let direct = [&[CUSTOM_DATA], &list[..]].concat();
        assert!(matches!(budgets.charge(NOON, peer(1), &direct), Charged::Waits(_)));
        budgets.charge(NOON + WORK_PATIENCE, peer(1), b"hello");
        assert_eq!(budgets.charge(NOON + WORK_PATIENCE, peer(250), b"hello"), Charged::Within);
        assert_eq!(budgets.0.len(), 2, "who owes nothing is forgotten");
    }
}
