//! Limits of bandwidth in one direction: how much may go now of what can wait, and whose turn it is
//! `[PROTOCOL 5.7]`.

use std::collections::{BTreeMap, VecDeque};

use super::{contract::RateLimit, token_bucket::TokenBucket};
use crate::{
    deadlines::Deadlines,
    id::{LinkId, NodeId},
    limits::BANDWIDTH_STEP,
    time::{Duration, Instant, earliest},
};

/// A shaper (RFC 2475, 2.3.3.3): what can wait is held back until both the bucket of its peer and
/// that of the node have tokens; what cannot wait is only counted.
///
/// Ask [`allowance`](Self::allowance) before what can wait goes over a link and say with
/// [`pay`](Self::pay) what went of it. [`handle_traffic`](Self::handle_traffic) is told what the
/// link carried in all: what was not paid for is taken from the buckets then, be it headers,
/// acknowledgments, heartbeats, or what was lost and sent again. Who is allowed nothing
/// [`wait`](Self::wait)s, and is named by [`next_turn`](Self::next_turn) when there is something.
///
/// **Fair**: while the node's bucket is short, links take turns of a step each (round robin, as in
/// Shreedhar and Varghese 1995; nobody is owed more than a step, so nobody's deficit is kept).
///
/// **Bounds**: a link is paid for at most `ahead` at the limited rate and not used, all links
/// together too, but a step each; a peer's bucket is forgotten when it is full again.
#[derive(Debug)]
pub(super) struct Shaper {
    node: Option<TokenBucket>,
    peer: Option<u64>,
    peers: BTreeMap<NodeId, TokenBucket>,
    ahead: Duration,
    links: BTreeMap<LinkId, Account>,
    /// Links that wait for the bucket of the node, the next one first.
    turns: VecDeque<LinkId>,
    /// The link whose turn it is.
    turn: Option<LinkId>,
    /// Links that wait for something else.
    waits: Deadlines<LinkId>,
    waited: u64,
}

/// What was paid for a link.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    /// Bytes that it carried, as far as we were told.
    carried: u64,
    /// Bytes that were paid for and that it did not carry yet.
    ahead: u64,
}

impl Shaper {
    /// Holds back what is beyond `limit`, of which at most as much as comes in the time `ahead` is
    /// under way to the wire.
    pub(super) fn new(limit: RateLimit, ahead: Duration) -> Self {
        Self {
            node: limit.node.map(|rate| TokenBucket::new(Instant::ORIGIN, rate)),
            peer: limit.peer,
            peers: BTreeMap::new(),
            ahead,
            links: BTreeMap::new(),
            turns: VecDeque::new(),
            turn: None,
            waits: Deadlines::new(),
            waited: 0,
        }
    }

    /// Whether there is any limit.
    pub(super) const fn is_limited(&self) -> bool {
        self.node.is_some() || self.peer.is_some()
    }

    /// Bytes that may go now over this link: none, or a step at the least.
    pub(super) fn allowance(&mut self, now: Instant, link: LinkId, peer: &NodeId) -> u64 {
        let of_peer = self.bucket(now, peer).map_or(u64::MAX, |bucket| bucket.allowance(now));
        let others_wait = !self.turns.is_empty();
        let of_node = match &mut self.node {
            None => u64::MAX,
            Some(_) if others_wait && self.turn != Some(link) => 0,
            Some(bucket) if others_wait => bucket.allowance(now).min(bucket.step()),
            Some(bucket) => bucket.allowance(now),
        };
        of_peer.min(of_node)
    }

    /// Bytes that may be paid for this link and not used: a share of what may be in all.
    pub(super) fn most_ahead(&mut self, now: Instant, peer: &NodeId) -> u64 {
        let ahead = self.ahead;
        let of_peer = self
            .bucket(now, peer)
            .map_or(u64::MAX, |bucket| bucket.bytes_in(ahead).max(bucket.step()));
        let busy = self.links.values().filter(|account| account.ahead > 0).count();
        let sharers = u64::try_from(busy.max(self.turns.len())).unwrap_or(u64::MAX).max(1);
        let of_node = self
            .node
            .as_ref()
            .map_or(u64::MAX, |bucket| (bucket.bytes_in(ahead) / sharers).max(bucket.step()));
        of_peer.min(of_node)
    }

    /// Bytes that were paid for this link and not used.
    pub(super) fn paid_ahead(&self, link: LinkId) -> u64 {
        self.links.get(&link).map_or(0, |account| account.ahead)
    }

    /// Bytes that can wait are on their way.
    pub(super) fn pay(&mut self, now: Instant, link: LinkId, peer: &NodeId, bytes: u64) {
        self.links.entry(link).or_default().ahead += bytes;
        self.take(now, peer, bytes);
    }

    /// A link carried `total` bytes since it began.
    pub(super) fn handle_traffic(&mut self, now: Instant, link: LinkId, peer: &NodeId, total: u64) {
        let account = self.links.entry(link).or_default();
        let news = total.saturating_sub(account.carried);
        let paid = news.min(account.ahead);
        (account.carried, account.ahead) = (total.max(account.carried), account.ahead - paid);
        self.take(now, peer, news - paid);
    }

    fn take(&mut self, now: Instant, peer: &NodeId, bytes: u64) {
        if bytes > 0 {
            self.bucket(now, peer).into_iter().for_each(|bucket| bucket.take(now, bytes));
            self.node.iter_mut().for_each(|bucket| bucket.take(now, bytes));
        }
    }

    /// Something waits for this link to be allowed more, after so many bytes of it went.
    pub(super) fn wait(&mut self, now: Instant, link: LinkId, peer: &NodeId, went: u64) {
        let of_peer = self.bucket(now, peer).map_or(now, |bucket| bucket.ready_at());
        if of_peer > now || self.node.is_none() {
            self.waited += u64::from(self.waits.get(link).is_none());
            self.waits.set(link, of_peer);
        } else if !self.turns.contains(&link) {
            if went == 0 && self.turn == Some(link) {
                // What it had to say at once took the tokens of its own turn.
                self.turns.push_front(link);
            } else {
                self.waited += 1;
                self.turns.push_back(link);
            }
        }
        self.end_turn(link);
    }

    /// Something waits until this link has used more of what was paid for it. If it `moves`, that
    /// is about to happen; otherwise it is looked at again in a step.
    pub(super) fn wait_for_room(&mut self, now: Instant, link: LinkId, moves: bool) {
        let wait = if moves { BANDWIDTH_STEP / 10 } else { BANDWIDTH_STEP };
        self.waits.set(link, now + wait);
        self.end_turn(link);
    }

    /// Nothing waits for this link to be allowed more.
    pub(super) fn end_turn(&mut self, link: LinkId) {
        self.turn.take_if(|turn| *turn == link);
    }

    /// A link that waited and may have something now; call until `None`, and let each have its
    /// turn.
    pub(super) fn next_turn(&mut self, now: Instant) -> Option<LinkId> {
        if let Some(link) = self.waits.pop_due(now) {
            return Some(link);
        }
        if self.turns.is_empty() || self.node.as_mut()?.allowance(now) == 0 {
            return None;
        }
        self.turn = self.turns.pop_front();
        self.turn
    }

    /// When there is a [`next_turn`](Self::next_turn).
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let waits = self.waits.next().map(|(at, _)| at);
        let turns = self.node.as_ref().filter(|_| !self.turns.is_empty());
        earliest([waits, turns.map(TokenBucket::ready_at)])
    }

    /// A link is over.
    pub(super) fn forget(&mut self, link: LinkId) {
        self.links.remove(&link);
        self.turns.retain(|waiting| *waiting != link);
        self.waits.clear(link);
        self.end_turn(link);
    }

    /// How often somebody waited.
    pub(super) const fn waited(&self) -> u64 {
        self.waited
    }

    /// The bucket of a peer, if there is a limit for each.
    fn bucket(&mut self, now: Instant, peer: &NodeId) -> Option<&mut TokenBucket> {
        let rate = self.peer?;
        if !self.peers.contains_key(peer) {
            self.peers.retain(|_, bucket| !bucket.is_full(now));
        }
        Some(self.peers.entry(*peer).or_insert_with(|| TokenBucket::new(now, rate)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Instant = Instant::from_micros(1 << 40);
    const AHEAD: Duration = Duration::from_millis(20);

    fn peer(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    fn shaper(node: Option<u64>, peer: Option<u64>) -> Shaper {
        Shaper::new(RateLimit { node, peer }, AHEAD)
    }

    /// A link takes all that it may, and waits for more: what it took.
    fn take(shaper: &mut Shaper, now: Instant, link: LinkId, peer: &NodeId) -> u64 {
        let allowed = shaper.allowance(now, link, peer);
        shaper.pay(now, link, peer, allowed);
        shaper.wait(now, link, peer, allowed);
        allowed
    }

    #[test]
    fn what_was_paid_for_is_not_paid_for_again_when_it_is_on_the_wire() {
        let (mut shaper, link) = (shaper(Some(1_000_000), None), LinkId::of_core(1));
        assert_eq!(shaper.allowance(NOON, link, &peer(1)), 100_000);
        shaper.pay(NOON, link, &peer(1), 60_000);
        shaper.handle_traffic(NOON, link, &peer(1), 50_000);
        assert_eq!(shaper.paid_ahead(link), 10_000);
        assert_eq!(shaper.allowance(NOON, link, &peer(1)), 40_000);
        // The rest of it, and what is around it.
        shaper.handle_traffic(NOON, link, &peer(1), 65_000);
        assert_eq!(shaper.paid_ahead(link), 0);
        assert_eq!(shaper.allowance(NOON, link, &peer(1)), 35_000);
        shaper.handle_traffic(NOON, link, &peer(1), 65_000);
        assert_eq!(shaper.allowance(NOON, link, &peer(1)), 35_000);
    }

    #[test]
    fn who_comes_while_others_wait_waits_behind_them() {
        let mut shaper = shaper(Some(1_000_000), None);
        let [first, second, third] = [1, 2, 3].map(LinkId::of_core);
        assert_eq!(take(&mut shaper, NOON, first, &peer(1)), 100_000);
        assert_eq!(take(&mut shaper, NOON, second, &peer(2)), 0);
        let soon = NOON + Duration::from_millis(20);
        assert_eq!(shaper.poll_timeout(), Some(NOON + BANDWIDTH_STEP));
        assert_eq!(take(&mut shaper, soon, third, &peer(3)), 0, "not before its turn");
        for link in [first, second] {
            assert_eq!(shaper.next_turn(soon), Some(link));
            assert_eq!(take(&mut shaper, soon, link, &peer(1)), 10_000);
        }
        assert_eq!(shaper.next_turn(soon), None);
        assert_eq!(shaper.next_turn(soon + BANDWIDTH_STEP), Some(third));
        assert_eq!(shaper.waited(), 5);
    }

    #[test]
    fn a_link_that_is_over_holds_nobody_up_and_a_full_bucket_is_forgotten() {
        let mut shaper = shaper(Some(1_000_000), Some(1_000_000));
        let [first, second] = [1, 2].map(LinkId::of_core);
        take(&mut shaper, NOON, first, &peer(1));
        shaper.forget(first);
        let later = NOON + Duration::from_secs(1);
        assert_eq!(shaper.next_turn(later), None);
        assert_eq!(take(&mut shaper, later, second, &peer(2)), 100_000);
        assert_eq!(shaper.peers.keys().collect::<Vec<_>>(), [&peer(2)]);
        assert_eq!(shaper.links.len(), 1);
    }

    #[test]
    fn of_a_long_wait_for_the_wire_nothing_is_made_up_for() {
        let mut shaper = shaper(None, Some(1_000_000));
        let link = LinkId::of_core(1);
        assert_eq!(shaper.most_ahead(NOON, &peer(1)), 20_000);
        shaper.wait_for_room(NOON, link, false);
        assert_eq!(shaper.poll_timeout(), Some(NOON + BANDWIDTH_STEP));
        assert_eq!(shaper.next_turn(NOON + BANDWIDTH_STEP), Some(link));
        assert_eq!(shaper.poll_timeout(), None);
    }
}
