//! Whom to dial next, what came of it, and when to try again.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
};

use super::{Peers, PeersEffect, netgroup::canonical, peers::PeersWake};
use crate::{
    handshake::Expect,
    id::NodeId,
    limits::{
        BOOTSTRAP_DIALS, GOOD_SILENCE, LOST_LONGEST, MAX_DIALS, MAX_GOOD_FAILURES,
        MAX_HEARSAY_FAILURES, MAX_PROBES, REDIAL_FIRST, REDIAL_LONGEST, REFUSED_PAUSE,
        SLOTS_FULL_PAUSE,
    },
    misbehavior::{Misbehavior, Observation},
    session::sessions::{DialFailure, DialOutcome, DialRequest, Purpose},
    standings::TrustTable,
    time::{Duration, Instant, Now},
    wire::frame::CloseReason,
};

/// Dials that are under way. At most one with the same address, expectation and purpose.
#[derive(Debug, Default)]
pub(super) struct Dials {
    under_way: BTreeMap<Key, UnderWay>,
}

type Key = (SocketAddr, Option<NodeId>, bool);

#[derive(Debug)]
struct UnderWay {
    why: DialReason,
    since: Instant,
    /// Who answers said something before refusing us.
    parted: bool,
}

/// A dial to be made.
pub(super) struct Attempt {
    pub to: SocketAddr,
    pub expect: Expect,
    pub noise_static: Option<[u8; 32]>,
    pub purpose: Purpose,
    pub why: DialReason,
}

/// On whose behalf a dial is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DialReason {
    /// The address book's.
    Book,
    /// This bootstrap address's.
    Bootstrap(usize),
    /// To prove the address of a linked peer.
    Probe,
}

impl Dials {
    fn links(&self) -> impl Iterator<Item = &Key> {
        self.under_way.keys().filter(|(_, _, probe)| !probe)
    }

    /// The addresses of dials that may become links.
    pub(super) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.links().map(|(to, ..)| *to)
    }

    /// Dials that may become links.
    pub(super) fn connecting(&self) -> usize {
        self.links().count()
    }

    fn probing(&self) -> usize {
        self.under_way.len() - self.connecting()
    }

    fn is_dialling(&self, node: &NodeId) -> bool {
        self.links().any(|(_, expected, _)| expected.as_ref() == Some(node))
    }

    fn has_room(&self, why: DialReason) -> bool {
        match why {
            DialReason::Book => self.connecting() < MAX_DIALS - BOOTSTRAP_DIALS,
            DialReason::Bootstrap(_) => self.connecting() < MAX_DIALS,
            DialReason::Probe => self.probing() < MAX_PROBES,
        }
    }

    /// The address of a dial that `from` may have answered, if it has not spoken yet.
    pub(super) fn parting(&mut self, from: &NodeId) -> Option<SocketAddr> {
        let expected = |key: &Key| !key.2 && key.1.is_none_or(|node| node == *from);
        let dials = self.under_way.iter_mut();
        let mut dials: Vec<_> = dials.filter(|(key, at)| expected(key) && !at.parted).collect();
        // Which of several it was is not known: believe the one that allows least.
        let farthest = |key: &Key| super::netgroup::Scope::of_peer(key.0);
        let (key, at) = dials.iter_mut().max_by_key(|(key, _)| (key.1, farthest(key)))?;
        at.parted = true;
        Some(key.0)
    }

    /// Forgets dials whose outcome was never told.
    pub(super) fn expire(&mut self, now: Instant) {
        self.under_way.retain(|_, at| now.since(at.since) < LOST_DIAL);
    }
}

fn key(to: SocketAddr, expect: Expect, purpose: Purpose) -> Key {
    let node = match expect {
        Expect::Node(node) => Some(node),
        Expect::Anyone => None,
    };
    (to, node, purpose == Purpose::Probe)
}

impl Peers {
    /// Dials unless this dial is under way already or there is no room for it.
    pub(super) fn dial(
        &mut self,
        now: Now,
        attempt: Attempt,
        out: &mut VecDeque<PeersEffect>,
    ) -> bool {
        let Attempt { to, expect, noise_static, purpose, why } = attempt;
        let key = key(to, expect, purpose);
        if !self.dials.has_room(why) || self.dials.under_way.contains_key(&key) {
            return false;
        }
        let under_way = UnderWay { why, since: now.mono, parted: false };
        self.dials.under_way.insert(key, under_way);
        match purpose {
            Purpose::Connect => self.counters.dials += 1,
            Purpose::Probe => self.counters.probes += 1,
        }
        out.push_back(PeersEffect::Dial(DialRequest { to, expect, noise_static, purpose }));
        true
    }

    /// Dials a node of the book.
    pub(super) fn dial_known(
        &mut self,
        now: Now,
        node: NodeId,
        out: &mut VecDeque<PeersEffect>,
    ) -> bool {
        let Some(entry) = self.book.get(&node) else { return false };
        let Some(to) = entry.address() else { return false };
        let attempt = Attempt {
            to,
            expect: Expect::Node(node),
            noise_static: Some(entry.known.record.content().noise_static),
            purpose: Purpose::Connect,
            why: DialReason::Book,
        };
        !self.is_taken(&node) && self.dial(now, attempt, out)
    }

    /// Whether a link to `node` is there or on its way.
    pub(super) fn is_taken(&self, node: &NodeId) -> bool {
        *node == self.me || self.links.contains(node) || self.dials.is_dialling(node)
    }

    /// Slots for links of our own choice that neither a link nor a dial takes up.
    pub(super) fn free_slots(&self) -> usize {
        self.links.free().saturating_sub(self.dials.connecting())
    }

    /// Wakes [`fill`](Self::fill) soon, but not for every little thing.
    pub(super) fn fill_soon(&mut self, now: Now) {
        let earliest = self.last_fill + FILL_INTERVAL;
        self.deadlines.set_earliest(PeersWake::Fill, earliest.max(now.mono));
    }

    /// Dials until there are as many outbound links as aimed at.
    pub(super) fn fill(
        &mut self,
        now: Now,
        standings: &TrustTable,
        out: &mut VecDeque<PeersEffect>,
    ) {
        self.last_fill = now.mono;
        let outbound = self.links.outbound().count() + self.dials.connecting();
        let missing = self.config.min_peers.saturating_sub(outbound);
        // Nobody at all: half of what is dialled may well be dead.
        let wanted = if self.links.is_empty() { missing * 2 } else { missing };
        let wanted = wanted.min(self.free_slots());
        if wanted == 0 {
            self.short_since = None;
            return;
        }
        let patient = *self.short_since.get_or_insert(now.mono) + GROUP_PATIENCE;
        let mut next = None;
        let mut candidates = self.candidates(now, standings, &mut next);
        for _ in 0..wanted {
            let own_group = candidates.take(&mut self.rng);
            let node = own_group.or_else(|| {
                (now.mono >= patient).then(|| candidates.take_crowded(&mut self.rng)).flatten()
            });
            let Some(node) = node else { break };
            self.dial_known(now, node, out);
        }
        let next = if candidates.is_empty() { next } else { Some(patient) };
        if let Some(next) = next.filter(|next| *next > now.mono) {
            self.deadlines.set_earliest(PeersWake::Fill, next.max(now.mono + FILL_INTERVAL));
        }
    }

    /// The wait after `failures` failures in a row: doubling, with jitter, never above `longest`.
    pub(super) fn backoff(&mut self, failures: u32, longest: Duration) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        let wait = REDIAL_FIRST.saturating_mul(1 << doublings).min(longest);
        self.rng.duration(wait - wait / 4..=wait)
    }

    pub(super) fn dial_over(
        &mut self,
        now: Now,
        dial: DialRequest,
        outcome: &DialOutcome,
        out: &mut VecDeque<PeersEffect>,
    ) {
        let key = key(dial.to, dial.expect, dial.purpose);
        let why = self.dials.under_way.remove(&key).map(|at| at.why);
        match outcome {
            DialOutcome::Connected(node) | DialOutcome::Probed(node) => {
                self.found(now, *node, dial.to, out);
                if let Expect::Node(expected) = dial.expect
                    && expected != *node
                {
                    self.not_there(now, expected, dial, out);
                }
            }
            DialOutcome::Failed(failure) => {
                if dial.purpose == Purpose::Connect {
                    self.counters.dials_failed += 1;
                }
                if let Expect::Node(expected) = dial.expect {
                    self.dial_failed(now, expected, dial, failure, out);
                }
            }
        }
        if let Some(DialReason::Bootstrap(index)) = why {
            self.bootstrap_dialled(now, index, outcome, out);
        }
        self.fill_soon(now);
    }

    /// This node answers at this address.
    fn found(&mut self, now: Now, node: NodeId, at: SocketAddr, out: &mut VecDeque<PeersEffect>) {
        self.book.change(&node, |entry| entry.answered_at(at, now.wall));
        self.remember(node, out);
    }

    fn dial_failed(
        &mut self,
        now: Now,
        node: NodeId,
        dial: DialRequest,
        failure: &DialFailure,
        out: &mut VecDeque<PeersEffect>,
    ) {
        use CloseReason::{
            Banned, Duplicate, Pruned, SelfDial, SlotsFull, WrongFeatures, WrongNetwork, WrongNode,
            WrongVersion,
        };
        match failure {
            DialFailure::WrongNode { .. }
            | DialFailure::Ourselves
            | DialFailure::Closed(WrongNode | SelfDial) => self.not_there(now, node, dial, out),
            _ if dial.purpose == Purpose::Probe => self.probe_failed(now, node),
            DialFailure::Closed(SlotsFull) => self.leave_alone(now, node, SLOTS_FULL_PAUSE),
            DialFailure::Closed(Duplicate) => self.leave_alone(now, node, REDIAL_FIRST),
            DialFailure::Closed(Banned | Pruned | WrongNetwork | WrongVersion | WrongFeatures) => {
                self.lost.remove(&node);
                self.leave_alone(now, node, REFUSED_PAUSE);
            }
            _ => self.count_failure(now, node, out),
        }
    }

    /// Does not dial `node` for about `pause`; it did not fail.
    pub(super) fn leave_alone(&mut self, now: Now, node: NodeId, pause: Duration) {
        let until = now.mono + self.rng.jitter(pause);
        self.book.change(&node, |entry| entry.next_dial = until);
        self.retry_lost(node);
    }

    /// Nobody answered: later and later, and in the end not at all.
    fn count_failure(&mut self, now: Now, node: NodeId, out: &mut VecDeque<PeersEffect>) {
        let Some(entry) = self.book.get(&node) else { return };
        let failures = entry.known.failures.saturating_add(1);
        let silent = now.wall.since(entry.known.last_seen) > GOOD_SILENCE;
        let is_lost = self.lost.contains_key(&node);
        let hopeless = if entry.is_verified() {
            failures >= MAX_GOOD_FAILURES && silent
        } else {
            failures >= MAX_HEARSAY_FAILURES
        };
        if hopeless && !is_lost && !entry.linked {
            self.book.remove(&node);
            return self.forget_evicted(out);
        }
        let longest = if is_lost { LOST_LONGEST } else { REDIAL_LONGEST };
        let until = now.mono + self.backoff(failures, longest);
        self.book.change(&node, |entry| {
            entry.known.failures = failures;
            entry.next_dial = until;
        });
        self.retry_lost(node);
        // Storage hears of the first failures and then of fewer and fewer.
        if failures.is_power_of_two() {
            self.remember(node, out);
        }
    }

    /// Somebody else answers at an address of `node`.
    fn not_there(
        &mut self,
        now: Now,
        node: NodeId,
        dial: DialRequest,
        out: &mut VecDeque<PeersEffect>,
    ) {
        let to = canonical(dial.to);
        let lied = self.book.change(&node, |entry| {
            entry.usable.retain(|addr| *addr != to);
            let was_good = entry.is_verified();
            entry.known.dialled = entry.known.dialled.filter(|addr| *addr != to);
            let demoted = was_good && !entry.is_verified();
            // One network address translator with two nodes behind it makes honest nodes name a
            // false address: they are blamed once, not for ever.
            let named = entry.known.record.content().lists(to);
            let lied = named && entry.linked && !entry.blamed;
            entry.blamed |= lied;
            (lied, demoted)
        });
        let Some((lied, demoted)) = lied else { return };
        if lied && dial.purpose == Purpose::Probe {
            let what = Observation::Misbehaved(Misbehavior::FalseAddress);
            out.push_back(PeersEffect::Observed { peer: node, what });
        }
        if demoted {
            self.forget_stored(node, out);
        }
        self.forget_evicted(out);
        if dial.purpose == Purpose::Probe {
            self.probe_failed(now, node);
        }
    }
}

/// How long we wait for somebody of another group before we dial a second node of one.
const GROUP_PATIENCE: Duration = Duration::from_secs(2);
/// Shortest time between two looks through the book.
const FILL_INTERVAL: Duration = Duration::from_millis(200);
/// A dial whose outcome nobody told for so long is over.
const LOST_DIAL: Duration = Duration::from_secs(60);
