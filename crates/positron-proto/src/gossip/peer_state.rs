//! What gossip remembers of a peer while it is up.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    SHAPES,
    comparison::{Comparison, DigestSaid, LastDigests, OfferedSketch},
    message_key::MessageKey,
    reach::{PlaceSet, ReachPlace},
    set_digest::SetDigest,
};
use crate::{
    allowance::Allowance,
    id::NodeId,
    limits::{
        GOSSIP_BUDGET_INTERVAL, LISTED_BYTES_PER_SECOND, MAX_EXAMINED, MAX_OWED, MOST_IN_VAIN,
        NEWCOMER_INTERVAL, NEWCOMERS_AT_ONCE, SENT_AGAIN_AFTER, SENT_REMEMBERED, SERVED_BYTES,
    },
    time::{Duration, Instant},
};

/// A peer that is up.
#[derive(Debug)]
pub(super) struct GossipPeer {
    /// Where it stands in the sets of those who are waited for.
    pub(super) place: Option<ReachPlace>,
    /// Bytes that it may still be sent because it asked.
    pub(super) serving: Budget,
    /// Senders that it may bring of whom nobody heard before.
    newcomers: Allowance,
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
    /// The last GOSSIP_DIGEST of it that was answered.
    answered_digest: Option<AnsweredDigest>,
    /// When it was last sent a list of everything that is here, whether that answered its last
    /// GOSSIP_DIGEST, and from when it may have another.
    pub(super) list_sent: Option<Instant>,
    pub(super) was_listed: bool,
    next_list: Instant,
    /// When it last had all that is here.
    pub(super) in_step: Option<Instant>,
    /// When it was last offered what is kept for it.
    pub(super) offered: Option<Instant>,
    /// Whether it is to announce what is new, as long as nothing is pushed over its link.
    pub(super) announces: bool,
    /// Whether it wants that of us; if not, the number of what it would have been told of next when
    /// it said so.
    pub(super) is_announced_to: bool,
    pub(super) told_until: u64,
    /// Which of the last eight messages that shaped the tree it sent, the latest in the lowest bit.
    pub(super) shapes_sent: u8,
    /// The number of what it is told of next, of what is new.
    pub(super) told: u64,
    /// What is here, in one sum that both ends can make, once both have the key of the link.
    pub(super) digest: Option<SetDigest>,
    /// What both last said of it.
    pub(super) last_digests: LastDigests,
    /// Our GOSSIP_DIGEST that it has not answered to the end.
    pub(super) comparison: Option<Comparison>,
    /// What it may still ask for since its own.
    pub(super) offered_sketch: Option<OfferedSketch>,
}

/// A GOSSIP_DIGEST that was answered.
#[derive(Clone, Copy, Debug)]
struct AnsweredDigest {
    said: DigestSaid,
    at: Instant,
    /// How often in a row the same was: in vain, but for the last time.
    times: u32,
}

/// It announced `item`, was asked for it, and answered nothing since.
#[derive(Clone, Copy, Debug)]
pub(super) struct Suspicion {
    pub(super) item: MessageKey,
    pub(super) asked: Instant,
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

/// Where the one of `up` stands who brought something to be passed on, if it was one alone.
pub(super) fn sole_bringer(
    up: &BTreeMap<NodeId, GossipPeer>,
    bringers: &[NodeId],
    ttl: u8,
) -> Option<ReachPlace> {
    let &[peer] = bringers else { return None };
    up.get(&peer)?.place.filter(|_| ttl & !SHAPES > 0)
}

impl GossipPeer {
    pub(super) fn new(now: Instant, place: Option<ReachPlace>, told: u64) -> Self {
        Self {
            place,
            in_step: None,
            offered: None,
            serving: Budget::new(SERVED_BYTES, now),
            newcomers: Allowance::new(),
            sent: SentDigest::default(),
            owed: Owed::default(),
            examining: Budget::new(MAX_EXAMINED, now),
            answered: None,
            suspicion: None,
            answered_digest: None,
            list_sent: None,
            was_listed: false,
            next_list: now,
            announces: true,
            is_announced_to: true,
            told_until: told,
            shapes_sent: 0,
            told,
            digest: None,
            last_digests: LastDigests::new(now),
            comparison: None,
            offered_sketch: None,
        }
    }

    /// Whether it sent something that it was asked for after `asked`.
    pub(super) fn answered_since(&self, asked: Instant) -> bool {
        self.answered.is_some_and(|answered| answered > asked)
    }

    /// Whether it may bring a sender of whom nobody heard before.
    pub(super) fn may_bring_newcomer(&mut self, now: Instant) -> bool {
        self.newcomers.pay(now, NEWCOMER_INTERVAL, NEWCOMERS_AT_ONCE)
    }

    /// Whether its GOSSIP_DIGEST is answered: `least` after the last one. Who says the same again
    /// took nothing of what it was told, and is told the next time after twice as long, and so on,
    /// [`MOST_IN_VAIN`] times.
    pub(super) fn may_compare(&mut self, now: Instant, least: Duration, said: DigestSaid) -> bool {
        let before = self.answered_digest;
        let times = before.filter(|before| before.said == said).map_or(0, |before| before.times);
        let wait = least.saturating_mul(1 << times.saturating_sub(1).min(MOST_IN_VAIN));
        if before.is_some_and(|before| now.since(before.at) < wait) {
            return false;
        }
        self.answered_digest = Some(AnsweredDigest { said, at: now, times: times + 1 });
        true
    }

    /// It has all that is here.
    pub(super) fn handle_in_step(&mut self, now: Instant) {
        self.in_step = Some(now);
        if let Some(answered) = &mut self.answered_digest {
            answered.times = 0;
        }
    }

    /// Whether it may have a list of everything, of about so many bytes: the next one then when
    /// they went out at [`LISTED_BYTES_PER_SECOND`].
    pub(super) fn may_have_list(&mut self, now: Instant, bytes: usize) -> bool {
        if now < self.next_list {
            return false;
        }
        let micros = bytes.saturating_mul(1_000_000) / LISTED_BYTES_PER_SECOND;
        self.next_list = now + Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        self.list_sent = Some(now);
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
