//! Claims on their way to being evidence, and who waits for them.

use super::{
    CheckId, Effect, NodeCore, check_pace::Bringer, finding::Finding, hash_table::HashTable,
    held_links::HeldFor, inheritance::Inheritance, pending_verification::Claim, tracing::Tracing,
};
use crate::{
    id::NodeId,
    identity::{Signed, Verdict},
    time::Now,
    wire::message::AppMessage,
};

/// A node, while claims of others are parked or judged: what comes of each, for the room that waits
/// for it and for the link that brought it.
pub(super) struct Verification<'a>(pub(super) &'a mut NodeCore);

impl Verification<'_> {
    /// A claim waits for its signature to be checked. Without room for it a broadcast or a record
    /// is as if it was lost; a direct message was acknowledged already and is checked at once.
    pub(super) fn ask(&mut self, now: Now, from: NodeId, claim: Claim) {
        let (signer, bytes) = (claim.signer().unwrap_or(from), claim.bytes());
        match self.0.pending.park(now.mono, from, claim, &self.0.network) {
            Ok((check, job)) => {
                let bringer = Bringer::new(from, signer);
                let effect = Effect::Verify { check, job, from };
                let at_once = self.0.pace.offer(now.mono, bringer, signer, bytes, effect);
                self.0.counters.checks_paced += u64::from(at_once.is_none());
                self.0.effects.extend(at_once);
                self.checks_begun(now, from);
            }
            Err(claim) => match *claim {
                Claim::Gossip(_, claim) => {
                    self.0.counters.verifications_dropped += 1;
                    let out = &mut self.0.queues.gossip;
                    self.0.gossip.handle_unchecked(now, from, &claim, out);
                }
                Claim::Record(record) => {
                    self.0.counters.verifications_dropped += 1;
                    Finding(self.0).handle_checked(now, from, record.content().node_id());
                }
                Claim::Trace { .. } => self.0.counters.verifications_dropped += 1,
                Claim::Acceptance(_) | Claim::Succession(_) => {
                    self.0.counters.verifications_dropped += 1;
                    self.0.successions.handle_unchecked(from);
                }
                Claim::Stored { wanted, .. } => {
                    self.0.counters.verifications_dropped += 1;
                    let out = &mut self.0.queues.dht;
                    self.0.dht.handle_unchecked(now, wanted, out);
                }
                Claim::Direct(_) => {
                    for (from, claim, verdict) in
                        self.0.pending.decide_directs(now.mono, from, &self.0.network)
                    {
                        self.claim_decided(now, from, claim, verdict);
                    }
                    let verdict = claim.job(&self.0.network).run();
                    self.claim_decided(now, from, *claim, verdict);
                }
            },
        }
    }

    /// `peer` brought a claim that is being checked: if many are, its link is read no further until
    /// they are not. What there is no room for is dropped and has to be brought again.
    fn checks_begun(&mut self, now: Now, peer: NodeId) {
        if self.is_crowded(&peer) && self.0.hold(now, peer, HeldFor::Checks, None) {
            self.0.counters.links_held += 1;
        }
    }

    fn is_crowded(&self, peer: &NodeId) -> bool {
        self.0.pending.is_crowded(peer) || self.0.pace.is_crowded(peer)
    }

    /// A claim of `peer` was checked.
    fn checks_ended(&mut self, now: Now, peer: NodeId) {
        if !self.is_crowded(&peer)
            && let Some(link) = self.0.sessions.link_of(&peer)
            && self.0.held.release(link, HeldFor::Checks)
        {
            self.0.read_on(now, vec![link]);
        }
    }

    /// A signature was checked: whatever waited for it, or behind it, goes on.
    pub(super) fn handle_verdict(&mut self, now: Now, check: CheckId, verdict: Verdict) {
        if let Some((from, signer, since)) = self.0.pending.asked(check) {
            let bringer = Bringer::new(from, signer);
            self.0.pace.handle_checked(now.mono, bringer, signer, since);
        }
        for (from, claim, verdict) in self.0.pending.decide(now.mono, check, verdict) {
            self.claim_decided(now, from, claim, verdict);
            self.checks_ended(now, from);
        }
    }

    /// To the room that waits for the claim, as evidence or as a lie.
    fn claim_decided(&mut self, now: Now, from: NodeId, claim: Claim, verdict: Verdict) {
        self.0.counters.signatures_checked += 1;
        self.0.counters.signatures_invalid += u64::from(!verdict.is_valid());
        match claim {
            Claim::Gossip(ttl, claim) => self.gossip_decided(now, from, ttl, claim, verdict),
            Claim::Direct(claim) => match claim.accept(verdict) {
                Some(message) => {
                    self.0.direct.handle_verified(now, from, message, &mut self.0.queues.direct);
                }
                None => self.0.direct.handle_refuted(now, from, &mut self.0.queues.direct),
            },
            Claim::Record(claim) => {
                let node = claim.content().node_id();
                match claim.accept(verdict) {
                    Some(record) => {
                        self.0.peers.handle_verified(now, from, record, &mut self.0.queues.peers);
                    }
                    None => self.0.peers.handle_refuted(now, from, node, &mut self.0.queues.peers),
                }
                Finding(self.0).handle_checked(now, from, node);
            }
            Claim::Trace { hops, arrived, order } => {
                Tracing(self.0).handle_verdict(now, (from, hops, arrived), order, verdict);
            }
            Claim::Stored { claim, remaining, wanted } => {
                HashTable(self.0).handle_verdict(now, claim, (remaining, from, wanted), verdict);
            }
            Claim::Acceptance(claim) => Inheritance(self.0).handle_accepted(from, claim, verdict),
            Claim::Succession(claim) => {
                Inheritance(self.0).handle_verdict(now, from, claim, verdict);
            }
        }
    }

    fn gossip_decided(
        &mut self,
        now: Now,
        from: NodeId,
        ttl: u8,
        claim: Signed<AppMessage>,
        verdict: Verdict,
    ) {
        if !verdict.is_valid() {
            self.0.gossip.handle_refuted(now, from, &claim, &mut self.0.queues.gossip);
        } else if let Some(message) = claim.accept(verdict) {
            let standings = self.0.trust.standings();
            self.0.gossip.handle_verified(
                now,
                from,
                ttl,
                message,
                standings,
                &mut self.0.queues.gossip,
            );
        }
    }
}
