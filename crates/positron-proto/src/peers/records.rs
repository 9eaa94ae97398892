//! From a signed record that somebody sent to an entry of the book, and back out to others.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
};

use super::{
    Peers, PeersEffect,
    address_book::Learned,
    entry::{AddressEntry, SourceShare},
    netgroup::{Scope, canonical, is_plausible},
    peers::PeersWake,
};
use crate::{
    handshake::{Direction, Expect},
    id::NodeId,
    identity::{Signed, Verified},
    limits::{
        CHECK_TIMEOUT, MAX_CHECKS, MAX_CHECKS_PER_PEER, MAX_PROBES_PER_PEER, PASSED_ON_FOR,
        REDIAL_LONGEST,
    },
    misbehavior::{Misbehavior, Observation},
    session::sessions::Purpose,
    standings::TrustTable,
    time::{Duration, Instant, Now},
    wire::{Address, record::PeerRecord},
};

/// Records whose signature is being checked: at most one for each (who told us, of whom).
#[derive(Debug, Default)]
pub(super) struct PendingChecks {
    under_way: BTreeMap<(NodeId, NodeId), Check>,
}

#[derive(Debug)]
struct Check {
    told_over: Scope,
    sequence: u64,
    since: Instant,
}

impl PendingChecks {
    fn start(&mut self, from: NodeId, node: NodeId, check: Check) -> bool {
        let of_peer = (from, NodeId::from_bytes([0; 32]))..=(from, NodeId::from_bytes([255; 32]));
        let room = self.under_way.len() < MAX_CHECKS
            && self.under_way.range(of_peer).count() < MAX_CHECKS_PER_PEER
            && !self.under_way.contains_key(&(from, node));
        if room {
            self.under_way.insert((from, node), check);
        }
        room
    }
}

impl Peers {
    /// Somebody sent a record of `record`'s node, over a link of scope `told_over`.
    pub(super) fn handle_record(
        &mut self,
        now: Now,
        from: NodeId,
        told_over: Scope,
        record: Signed<PeerRecord>,
        standings: &TrustTable,
        out: &mut VecDeque<PeersEffect>,
    ) {
        let content = record.content();
        let (node, sequence) = (content.node_id(), content.sequence);
        if standings.is_banned(&node, now.wall) {
            return;
        }
        if node == self.me {
            if sequence <= self.own.record().sequence {
                return;
            }
        } else if let Some(entry) = self.book.get(&node) {
            if entry.known.record.claim() == &record {
                return self.heard_again(now, from, node, told_over, out);
            }
            if sequence <= entry.known.record.content().sequence {
                return;
            }
        } else if usable(content, told_over).is_empty() {
            return;
        }
        let check = Check { told_over, sequence, since: now.mono };
        if self.checks.start(from, node, check) {
            out.push_back(PeersEffect::Verify { from, record });
        } else {
            self.counters.records_dropped += 1;
        }
    }

    /// The record that we have, perhaps told over a nearer link, perhaps by its owner.
    fn heard_again(
        &mut self,
        now: Now,
        from: NodeId,
        node: NodeId,
        told_over: Scope,
        out: &mut VecDeque<PeersEffect>,
    ) {
        let known = self.book.get(&node);
        let more = known.is_some_and(|entry| {
            usable(entry.known.record.content(), told_over).len() > entry.usable.len()
        });
        if more {
            self.book.change(&node, |entry| {
                entry.usable = usable(entry.known.record.content(), told_over);
            });
        }
        if from == node {
            self.prove(now, node, out);
        }
    }

    pub(super) fn insert_verified(
        &mut self,
        now: Now,
        from: NodeId,
        record: Verified<PeerRecord>,
        out: &mut VecDeque<PeersEffect>,
    ) {
        let (node, sequence) = (record.content().node_id(), record.content().sequence);
        let Some(check) = self.checks.under_way.remove(&(from, node)) else { return };
        if check.sequence != sequence {
            return;
        }
        if node == self.me {
            self.own.outrun(sequence, now);
            return self.announce(out);
        }
        let was_good = self.book.get(&node).is_some_and(AddressEntry::is_verified);
        let usable = usable(record.content(), check.told_over);
        let share = self.share_of(from, node);
        match self.book.learn(record, usable, share) {
            Learned::New => {
                self.counters.records_learned += 1;
                self.fruitless_rounds = 0;
                if self.links.contains(&node) {
                    self.book.change(&node, |entry| {
                        entry.linked = true;
                        entry.known.last_seen = now.wall;
                    });
                }
                self.fill_soon(now);
            }
            Learned::Newer => {
                self.counters.records_learned += 1;
                match self.book.get(&node).map(AddressEntry::is_verified) {
                    Some(true) => self.remember(node, out),
                    _ if was_good => self.forget_stored(node, out),
                    _ => {}
                }
            }
            Learned::Dropped => self.counters.records_dropped += 1,
            Learned::Old => {}
        }
        self.forget_evicted(out);
        if from == node || self.links.contains(&node) {
            self.prove(now, node, out);
        }
    }

    pub(super) fn handle_forged(
        &mut self,
        from: NodeId,
        node: NodeId,
        out: &mut VecDeque<PeersEffect>,
    ) {
        if self.checks.under_way.remove(&(from, node)).is_some() {
            self.counters.records_forged += 1;
            let what = Observation::Misbehaved(Misbehavior::ForgedSignature);
            out.push_back(PeersEffect::Observed { peer: from, what });
        }
    }

    /// Whose part of the book a record takes up. A peer that we chose to dial speaks for itself;
    /// those that dialled us share one part, however many there come.
    fn share_of(&self, from: NodeId, node: NodeId) -> SourceShare {
        let inbound = |peer| {
            self.links.get(peer).is_none_or(|link| link.peer.direction == Direction::Inbound)
        };
        if from == node && inbound(&node) {
            SourceShare::Inbound
        } else {
            SourceShare::Hearsay(from)
        }
    }

    /// A linked peer's record is in the book: is one of its addresses proven?
    fn prove(&mut self, now: Now, node: NodeId, out: &mut VecDeque<PeersEffect>) {
        let Some(link) = self.links.get(&node) else { return };
        let Some(entry) = self.book.get(&node) else { return };
        if entry.is_verified() {
            return;
        }
        let at = canonical(link.peer.addr);
        let there = entry.known.record.content().lists(at);
        if link.peer.direction == Direction::Outbound && there {
            self.book.change(&node, |entry| entry.answered_at(at, now.wall));
            self.remember(node, out);
        } else {
            self.deadlines.set_earliest(PeersWake::Probe(node), now.mono);
        }
    }

    /// Dials an address of a linked peer to see whether others may be told of it.
    pub(super) fn probe(&mut self, now: Now, node: NodeId, out: &mut VecDeque<PeersEffect>) {
        let Some(entry) = self.book.get(&node) else { return };
        let Some(link) = self.links.get_mut(&node) else { return };
        if entry.is_verified() || link.probes >= MAX_PROBES_PER_PEER {
            return;
        }
        let turn = usize::try_from(link.probes).unwrap_or(0) % entry.usable.len().max(1);
        let Some(&to) = entry.usable.get(turn) else { return };
        let attempt = super::dialer::Attempt {
            to,
            expect: Expect::Node(node),
            noise_static: Some(entry.known.record.content().noise_static),
            purpose: Purpose::Probe,
            why: super::dialer::DialReason::Probe,
        };
        link.probes += 1;
        if !self.dial(now, attempt, out) {
            if let Some(link) = self.links.get_mut(&node) {
                link.probes -= 1;
            }
            let later = now.mono + self.rng.jitter(PROBE_LATER);
            self.deadlines.set(PeersWake::Probe(node), later);
        }
    }

    pub(super) fn probe_failed(&mut self, now: Now, node: NodeId) {
        let Some(probes) = self.links.get(&node).map(|link| link.probes) else { return };
        // The first doublings are skipped: nobody waits for a proof.
        let wait = self.backoff(probes + 2, REDIAL_LONGEST);
        self.deadlines.set(PeersWake::Probe(node), now.mono + wait);
    }

    /// Records that `to` may be told: proven, alive, not `to`'s own, nobody banned, and at
    /// addresses that mean something where `to` is.
    pub(super) fn sample(
        &mut self,
        now: Now,
        to: NodeId,
        scope: Scope,
        count: usize,
        standings: &TrustTable,
    ) -> Vec<Signed<PeerRecord>> {
        let fits = |node: &NodeId, entry: &AddressEntry| {
            let alive = entry.linked
                || (entry.known.failures == 0
                    && now.wall.since(entry.known.last_seen) < PASSED_ON_FOR);
            let reachable = entry.known.dialled.is_some_and(|addr| is_plausible(addr, scope));
            alive && reachable && *node != to && !standings.is_banned(node, now.wall)
        };
        let entries = self.book.sample(&mut self.rng, count, fits);
        entries.into_iter().map(|entry| entry.known.record.claim().clone()).collect()
    }

    /// Storage keeps a proven peer as it is now.
    pub(super) fn remember(&mut self, node: NodeId, out: &mut VecDeque<PeersEffect>) {
        if self.book.get(&node).is_some_and(AddressEntry::is_verified) {
            let known = self.book.change(&node, |entry| {
                entry.stored = true;
                entry.known.clone()
            });
            out.extend(known.map(PeersEffect::Remember));
        }
    }

    /// Storage forgets a peer that is proven no more.
    pub(super) fn forget_stored(&mut self, node: NodeId, out: &mut VecDeque<PeersEffect>) {
        let was = self.book.change(&node, |entry| core::mem::take(&mut entry.stored));
        if was == Some(true) {
            out.push_back(PeersEffect::Forget(node));
        }
    }

    /// Storage forgets who left the book.
    pub(super) fn forget_evicted(&mut self, out: &mut VecDeque<PeersEffect>) {
        out.extend(self.book.forgotten.drain(..).map(PeersEffect::Forget));
    }

    pub(super) fn expire_checks(&mut self, now: Now) {
        self.checks.under_way.retain(|_, check| now.mono.since(check.since) < CHECK_TIMEOUT);
    }

    /// Puts back what storage remembers. An address that answered once says how near the peer is,
    /// and with that which of its other addresses mean something.
    pub(super) fn restore(&mut self, mut remembered: Vec<super::KnownPeer>) {
        let rank = |known: &super::KnownPeer| (known.failures, core::cmp::Reverse(known.last_seen));
        remembered.sort_by_key(rank);
        for mut known in remembered {
            if known.record.content().node_id() == self.me {
                continue;
            }
            let named = |addr: &SocketAddr| known.record.content().lists(*addr);
            known.dialled = known.dialled.filter(named);
            let scope = known.dialled.map_or(Scope::Public, Scope::of_peer);
            let usable = usable(known.record.content(), scope);
            self.book.restore(known, usable);
        }
    }
}

/// The addresses of a record that are worth a dial when it was told over a link of this scope.
/// Addresses of kinds that this version cannot dial end here: they stay in the record, and nobody
/// is worse for them.
fn usable(record: &PeerRecord, told_over: Scope) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for addr in record.addresses.iter().filter_map(Address::socket_addr) {
        if is_plausible(addr, told_over) && !addresses.contains(&addr) {
            addresses.push(addr);
        }
    }
    addresses
}

/// Wait for a free probe.
const PROBE_LATER: Duration = Duration::from_millis(500);
