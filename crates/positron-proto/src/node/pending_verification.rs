//! Claims that wait for their signature to be checked.
//!
//! Bounded per peer and in all. Verdicts come back late and in any order; where order matters
//! (direct messages) a claim is let go only after the earlier ones of the same peer.

use std::collections::{BTreeMap, VecDeque};

use super::CheckId;
use crate::{
    dht::{DhtRecord, RecordFor},
    id::{NetworkId, NodeId},
    identity::{SignatureJob, Signed, Verdict},
    limits::{
        CHECKS_BEFORE_READ, MAX_PARKED, MAX_PARKED_BYTES_PER_PEER, MAX_PARKED_PER_PEER,
        MAX_PARKED_WITH_DIRECTS,
    },
    metric::{Histogram, Level},
    succession::{Acceptance, Succession},
    time::Instant,
    trace::TraceOrder,
    wire::{message::AppMessage, record::PeerRecord},
};

/// A claim, and the room that waits for it.
#[derive(Debug)]
pub(super) enum Claim {
    /// A broadcast, with its remaining hops.
    Gossip(u8, Signed<AppMessage>),
    /// A direct message.
    Direct(Signed<AppMessage>),
    /// A peer record.
    Record(Signed<PeerRecord>),
    /// What the new key of a succession signed.
    Acceptance(Signed<Acceptance>),
    /// What the old key of a succession signed.
    Succession(Signed<Succession>),
    /// A record of the hash table.
    Stored {
        /// What is claimed.
        claim: Signed<DhtRecord>,
        /// Seconds that are left of its life.
        remaining: u32,
        /// What it is for.
        wanted: RecordFor,
    },
    /// That the sender of a message wants to know its way.
    Trace {
        /// How far the question is still to be passed on.
        hops: u8,
        /// When it came.
        arrived: Instant,
        /// What is signed.
        order: Signed<TraceOrder>,
    },
}

#[derive(Debug)]
struct Waiting {
    since: Instant,
    from: NodeId,
    bytes: usize,
    claim: Claim,
    verdict: Option<Verdict>,
}

#[derive(Debug, Default)]
struct SenderShare {
    claims: usize,
    bytes: usize,
    /// Direct messages in order of arrival.
    ordered: VecDeque<CheckId>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct PendingVerification {
    last: u64,
    waiting: BTreeMap<CheckId, Waiting>,
    shares: BTreeMap<NodeId, SenderShare>,
    /// How long claims waited.
    waits: Histogram,
}

impl PendingVerification {
    /// How long claims waited until they went on.
    pub(super) const fn waits(&self) -> Histogram {
        self.waits
    }

    /// How many claims wait.
    pub(super) fn level(&self) -> Level {
        Level::new(self.waiting.len(), MAX_PARKED)
    }

    /// Parks `claim`, which `from` brought; gives it back when there is no room.
    pub(super) fn park(
        &mut self,
        now: Instant,
        from: NodeId,
        claim: Claim,
        network: &NetworkId,
    ) -> Result<(CheckId, SignatureJob), Box<Claim>> {
        let bytes = claim.bytes();
        let most = match &claim {
            Claim::Direct(_) => MAX_PARKED_WITH_DIRECTS,
            _ => MAX_PARKED_PER_PEER,
        };
        let full = self.shares.get(&from).is_some_and(|share| {
            share.claims >= most || share.bytes + bytes > MAX_PARKED_BYTES_PER_PEER
        });
        if full || self.waiting.len() >= MAX_PARKED {
            return Err(Box::new(claim));
        }
        self.last += 1;
        let check = CheckId(self.last);
        let share = self.shares.entry(from).or_default();
        share.claims += 1;
        share.bytes += bytes;
        if matches!(claim, Claim::Direct(_)) {
            share.ordered.push_back(check);
        }
        let job = claim.job(network);
        self.waiting.insert(check, Waiting { since: now, from, bytes, claim, verdict: None });
        Ok((check, job))
    }

    /// Whether so much of `from` is being checked that nothing more is to be read of it: what its
    /// link has under way, a window and the largest message, still has room.
    pub(super) fn is_crowded(&self, from: &NodeId) -> bool {
        self.shares.get(from).is_some_and(|share| {
            share.claims > CHECKS_BEFORE_READ || share.bytes > MAX_PARKED_BYTES_PER_PEER / 4
        })
    }

    /// Who brought a claim that waits, who is to have signed it, and since when it waits.
    pub(super) fn asked(&self, check: CheckId) -> Option<(NodeId, NodeId, Instant)> {
        let Waiting { since, from, claim, .. } = self.waiting.get(&check)?;
        Some((*from, claim.signer().unwrap_or(*from), *since))
    }

    /// A verdict came back. Returns the claims that may go on now, in order; an unknown check is
    /// none.
    pub(super) fn decide(
        &mut self,
        now: Instant,
        check: CheckId,
        verdict: Verdict,
    ) -> Vec<(NodeId, Claim, Verdict)> {
        let Some(waiting) = self.waiting.get_mut(&check) else { return Vec::new() };
        waiting.verdict = Some(verdict);
        let from = waiting.from;
        if !matches!(waiting.claim, Claim::Direct(_)) {
            return self.release(now, check).into_iter().collect();
        }
        let mut decided = Vec::new();
        while let Some(&first) = self.shares.get(&from).and_then(|share| share.ordered.front()) {
            let Some(next) = self.release(now, first) else { break };
            decided.push(next);
        }
        decided
    }

    /// Checks every direct message of `from` that waits, here and now, so that there is room again:
    /// what was acknowledged to the peer is never dropped. Their late verdicts find nothing.
    pub(super) fn decide_directs(
        &mut self,
        now: Instant,
        from: NodeId,
        network: &NetworkId,
    ) -> Vec<(NodeId, Claim, Verdict)> {
        let Some(share) = self.shares.get(&from) else { return Vec::new() };
        let checks = share.ordered.clone();
        let mut decided = Vec::with_capacity(checks.len());
        for check in checks {
            if let Some(waiting) = self.waiting.get_mut(&check) {
                let verdict = waiting.verdict.unwrap_or_else(|| waiting.claim.job(network).run());
                decided.extend(self.decide(now, check, verdict));
            }
        }
        decided
    }

    fn release(&mut self, now: Instant, check: CheckId) -> Option<(NodeId, Claim, Verdict)> {
        let verdict = self.waiting.get(&check)?.verdict?;
        let Waiting { since, from, bytes, claim, .. } = self.waiting.remove(&check)?;
        self.waits.note(now.since(since));
        if let Some(share) = self.shares.get_mut(&from) {
            share.claims -= 1;
            share.bytes -= bytes;
            if share.ordered.front() == Some(&check) {
                share.ordered.pop_front();
            }
            if share.claims == 0 {
                self.shares.remove(&from);
            }
        }
        Some((from, claim, verdict))
    }
}

impl Claim {
    /// Who is to have signed the message, if it is one of an application.
    pub(super) fn signer(&self) -> Option<NodeId> {
        match self {
            Self::Gossip(_, claim) | Self::Direct(claim) => Some(claim.content().sender.node_id()),
            _ => None,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Gossip(_, claim) | Self::Direct(claim) => 256 + claim.content().payload.len(),
            Self::Record(_) | Self::Acceptance(_) | Self::Succession(_) | Self::Trace { .. } => 512,
            Self::Stored { claim, .. } => claim.encoded_len() + 128,
        }
    }

    pub(super) fn job(&self, network: &NetworkId) -> SignatureJob {
        match self {
            Self::Gossip(_, claim) | Self::Direct(claim) => claim.job(network),
            Self::Record(claim) => claim.job(network),
            Self::Acceptance(claim) => claim.job(network),
            Self::Succession(claim) => claim.job(network),
            Self::Trace { order, .. } => order.job(network),
            Self::Stored { claim, .. } => claim.job(network),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{identity::Identity, time::WallTime, wire::message::Audience};

    const NOW: Instant = Instant::ORIGIN;

    fn direct(sequence: u64, bytes: usize) -> Claim {
        let me = Identity::from_seed([1; 32]);
        let message = AppMessage {
            sender: *me.public_key(),
            audience: Audience::Node(me.node_id()),
            sequence,
            timestamp: WallTime::default(),
            payload: vec![0; bytes].into(),
        };
        Claim::Direct(me.sign(message, &NetworkId::from_name("test")).claim().clone())
    }

    #[test]
    fn direct_messages_of_one_peer_go_on_in_the_order_in_which_they_came() {
        let (network, peer) = (NetworkId::from_name("test"), NodeId::from_bytes([9; 32]));
        let mut parked = PendingVerification::default();
        let checks: Vec<_> =
            (0..3).map(|n| parked.park(NOW, peer, direct(n, 10), &network).unwrap()).collect();
        let mut decided = Vec::new();
        for index in [2, 0, 1] {
            let (check, job) = &checks[index];
            for (from, claim, verdict) in parked.decide(NOW, *check, job.run()) {
                let Claim::Direct(message) = claim else { panic!("only direct ones were parked") };
                assert!(from == peer && verdict.is_valid());
                decided.push(message.content().sequence);
            }
        }
        assert_eq!(decided, [0, 1, 2]);
        assert!(parked.shares.is_empty() && parked.waiting.is_empty());
        assert!(parked.decide(NOW, checks[0].0, checks[0].1.run()).is_empty(), "a second verdict");
    }

    #[test]
    fn without_room_the_waiting_direct_messages_are_checked_at_once_and_stay_in_order() {
        let (network, peer) = (NetworkId::from_name("test"), NodeId::from_bytes([9; 32]));
        let mut parked = PendingVerification::default();
        let mut checks = Vec::new();
        while let Ok(check) = parked.park(NOW, peer, direct(checks.len() as u64, 10), &network) {
            checks.push(check);
        }
        let full = checks.len() as u64;
        let late = checks.pop().unwrap();
        let _ = parked.decide(NOW, late.0, late.1.run());
        let decided = parked.decide_directs(NOW, peer, &network);
        let numbers = decided.iter().map(|(_, claim, verdict)| {
            let Claim::Direct(message) = claim else { panic!("only direct ones were parked") };
            assert!(verdict.is_valid());
            message.content().sequence
        });
        assert!(numbers.eq(0..full));
        assert!(parked.park(NOW, peer, direct(0, 10), &network).is_ok());
        assert!(parked.decide(NOW, checks[0].0, checks[0].1.run()).is_empty(), "a late verdict");
    }

    #[test]
    fn who_finds_no_room_leaves_nothing_behind() {
        let network = NetworkId::from_name("test");
        let mut parked = PendingVerification::default();
        let peer = |n: usize| NodeId::from_bytes([u8::try_from(n).unwrap(); 32]);
        let claim = direct(0, 1);
        let Claim::Direct(signed) = &claim else { panic!("made as one") };
        let claim = || Claim::Direct(signed.clone());
        let peers = MAX_PARKED / MAX_PARKED_WITH_DIRECTS;
        for n in 0..MAX_PARKED {
            assert!(parked.park(NOW, peer(n % peers), claim(), &network).is_ok());
        }
        for n in peers..peers + 100 {
            assert!(parked.park(NOW, peer(n), claim(), &network).is_err());
        }
        assert_eq!(parked.shares.len(), peers);
    }

    #[test]
    fn one_peer_cannot_park_more_than_its_share() {
        let network = NetworkId::from_name("test");
        let (greedy, modest) = (NodeId::from_bytes([1; 32]), NodeId::from_bytes([2; 32]));
        let mut parked = PendingVerification::default();
        let mut take = |claim: fn(u64) -> Claim| {
            let mut numbers = 0..2 * MAX_PARKED_WITH_DIRECTS as u64;
            numbers.position(|n| parked.park(NOW, greedy, claim(n), &network).is_err())
        };
        let broadcast = |n| match direct(n, 1) {
            Claim::Direct(claim) => Claim::Gossip(1, claim),
            _ => panic!("made as one"),
        };
        assert_eq!(take(broadcast), Some(MAX_PARKED_PER_PEER));
        assert_eq!(take(|n| direct(n, 1)), Some(MAX_PARKED_WITH_DIRECTS - MAX_PARKED_PER_PEER));
        assert!(parked.park(NOW, modest, direct(0, 1 << 20), &network).is_ok());
        assert!((1..9).any(|n| parked.park(NOW, modest, direct(n, 1 << 20), &network).is_err()));
    }
}
