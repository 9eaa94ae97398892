//! What gossip remembers of a peer while it is up.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    message_key::MessageKey,
    reach::{PlaceSet, ReachPlace},
};
use crate::{
    id::NodeId,
    limits::{
        GOSSIP_BUDGET_INTERVAL, HAD_WITHIN, MAX_EXAMINED, MAX_OWED, SENT_AGAIN_AFTER,
        SENT_REMEMBERED, SERVED_BYTES, SYNC_TIMEOUT,
    },
    time::{Duration, Instant},
    wire::holdings::Ranges,
};

/// A peer that is up.
#[derive(Debug)]
pub(super) struct GossipPeer {
    /// Where it stands in the sets of those who are waited for.
    pub(super) place: Option<ReachPlace>,
    /// Bytes that it may still be sent because it asked.
    pub(super) serving: Budget,
    /// What it was sent, and may not have yet.
    pub(super) sent: SentDigest,
    /// Large messages that it was told of, and may ask for once beside its budget.
    pub(super) owed: Owed,
    /// Announced ranges and numbers that are still looked at for it.
    pub(super) examining: Budget,
    /// When it last sent something that it was asked for.
    pub(super) answered: Option<Instant>,
    /// What it may be withholding.
    pub(super) suspicion: Option<Suspicion>,
    /// When it was last sent everything that is here.
    pub(super) digest_sent: Option<Instant>,
    /// When it last had all that is here.
    pub(super) in_step: Option<Instant>,
    /// When it was last offered what is kept for it.
    pub(super) offered: Option<Instant>,
    /// The number of what it is told of next, of what is new.
    pub(super) told: u64,
    /// Our GOSSIP_DIGEST that it has not answered to the end.
    pub(super) comparison: Option<Comparison>,
}

/// It announced `item`, was asked for it, and answered nothing since.
#[derive(Clone, Copy, Debug)]
pub(super) struct Suspicion {
    pub(super) item: MessageKey,
    pub(super) asked: Instant,
}

/// What a peer said that it has, of what we have, since we sent it a GOSSIP_DIGEST.
#[derive(Debug)]
pub(super) struct Comparison {
    since: Instant,
    pub(super) told: BTreeMap<NodeId, Ranges>,
}

/// So much per [`GOSSIP_BUDGET_INTERVAL`].
#[derive(Debug)]
pub(super) struct Budget {
    full: usize,
    left: usize,
    since: Instant,
}

/// Where those of `peers` stand that are up.
pub(super) fn places<'a>(
    up: &BTreeMap<NodeId, GossipPeer>,
    peers: impl IntoIterator<Item = &'a NodeId>,
) -> PlaceSet {
    peers.into_iter().filter_map(|peer| up.get(peer)?.place).collect()
}

impl GossipPeer {
    pub(super) fn new(now: Instant, place: Option<ReachPlace>, told: u64) -> Self {
        Self {
            place,
            in_step: None,
            offered: None,
            serving: Budget::new(SERVED_BYTES, now),
            sent: SentDigest::default(),
            owed: Owed::default(),
            examining: Budget::new(MAX_EXAMINED, now),
            answered: None,
            suspicion: None,
            digest_sent: None,
            told,
            comparison: None,
        }
    }

    /// Whether it sent something that it was asked for after `asked`.
    pub(super) fn answered_since(&self, asked: Instant) -> bool {
        self.answered.is_some_and(|answered| answered > asked)
    }

    /// Whether it may have everything again; at most once per `interval`, less the jitter of an
    /// honest asker.
    pub(super) fn may_have_digest(&mut self, now: Instant, interval: Duration) -> bool {
        let least = interval - interval / 4;
        if self.digest_sent.is_some_and(|sent| now.since(sent) < least) {
            return false;
        }
        self.digest_sent = Some(now);
        true
    }
}

/// The last [`MAX_OWED`] large messages that a peer was told of, and has not asked for.
#[derive(Debug, Default)]
pub(super) struct Owed {
    items: BTreeSet<MessageKey>,
    order: VecDeque<MessageKey>,
}

impl Owed {
    pub(super) fn add(&mut self, item: MessageKey) {
        if !self.items.insert(item) {
            return;
        }
        self.order.push_back(item);
        if self.order.len() > MAX_OWED
            && let Some(oldest) = self.order.pop_front()
        {
            self.items.remove(&oldest);
        }
    }

    /// Whether `item` is owed, which it is no more.
    pub(super) fn take(&mut self, item: &MessageKey) -> bool {
        self.items.remove(item)
    }
}

/// Large messages that a peer was sent of late.
///
/// On a slow line a message is under way for longer than its asker's patience. Sent once more for
/// each question, the copies fill the line and nothing arrives in time any more. Bounded by the
/// budget of what is served and by what a session's queue holds.
#[derive(Debug, Default)]
pub(super) struct SentDigest {
    items: BTreeSet<MessageKey>,
    order: VecDeque<(Instant, MessageKey)>,
}

impl SentDigest {
    /// Whether `item` was sent a short time ago.
    pub(super) fn is_under_way(&mut self, now: Instant, item: &MessageKey) -> bool {
        while let Some(&(at, old)) = self.order.front()
            && now.since(at) >= SENT_AGAIN_AFTER
        {
            self.order.pop_front();
            self.items.remove(&old);
        }
        self.items.contains(item)
    }

    /// `item` is sent now, with a payload of `bytes`.
    pub(super) fn note(&mut self, now: Instant, item: MessageKey, bytes: usize) {
        if bytes >= SENT_REMEMBERED && self.items.insert(item) {
            self.order.push_back((now, item));
        }
    }

    /// It was not sent after all, or has arrived.
    pub(super) fn forget(&mut self, item: &MessageKey) {
        if self.items.remove(item) {
            self.order.retain(|(_, sent)| sent != item);
        }
    }
}

impl Comparison {
    pub(super) const fn new(since: Instant) -> Self {
        Self { since, told: BTreeMap::new() }
    }

    /// Whether a list of everything may be on its way.
    pub(super) fn is_young(&self, now: Instant) -> bool {
        now.since(self.since) < HAD_WITHIN
    }

    pub(super) fn is_current(&self, now: Instant) -> bool {
        now.since(self.since) < SYNC_TIMEOUT
    }

    /// Whether the peer was sent everything after the comparison began.
    pub(super) fn was_told_all(&self, digest_sent: Option<Instant>) -> bool {
        digest_sent.is_some_and(|sent| sent >= self.since)
    }

    /// The peer has `theirs`; what we do not have ourselves is not remembered, which bounds it.
    pub(super) fn add(&mut self, sender: NodeId, theirs: &Ranges, ours: &Ranges) {
        let both = ours.common_with(theirs);
        if !both.is_empty() {
            let told = self.told.entry(sender).or_default();
            both.iter().for_each(|range| told.insert_range(range));
        }
    }
}

impl Budget {
    const fn new(full: usize, since: Instant) -> Self {
        Self { full, left: full, since }
    }

    /// What is left at `now`.
    pub(super) fn handle_left(&mut self, now: Instant) -> usize {
        if now.since(self.since) >= GOSSIP_BUDGET_INTERVAL {
            (self.left, self.since) = (self.full, now);
        }
        self.left
    }

    /// Spends `cost` if that much is left.
    pub(super) fn take(&mut self, now: Instant, cost: usize) -> bool {
        let after = self.handle_left(now).checked_sub(cost);
        self.left = after.unwrap_or(self.left);
        after.is_some()
    }
}
