//! The machine: scores, decay, bans.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use super::{
    AddressBan, RememberedTrust, TrustAccount, TrustConfig, TrustEffect, TrustEvent, TrustLevels,
    account::{Ledger, of_a_stranger},
    address_bans::AddressBans,
    arithmetic::{after, decayed, decayed_for, pardoned},
    audit::{Audit, record},
};
use crate::{
    deadlines::Deadlines,
    id::NodeId,
    limits::{BAN_DURATION, LONGEST_BAN, MAX_ADDRESS_BANS, MAX_OBSERVED, MAX_ORDERED_BANS},
    metric::Level,
    misbehavior::{BanReason, Observation},
    standings::{PeerTrust, TrustTable},
    subnet::Subnet,
    time::{Duration, Instant, Now, WallTime},
};

/// The standing of everyone that was ever observed.
///
/// - [`observe`](Self::observe) costs a few look-ups and no allocation for a peer that is known.
/// - A score below the threshold is a ban: [`TrustEffect::Ban`] once, and the standing is
///   remembered at once. What is seen of a banned peer changes nothing. When the ban is over the
///   score is just above the threshold.
/// - A [`ban`](Self::ban) by the application is one whatever the score is; [`unban`](Self::unban)
///   lifts either.
/// - Everything else is remembered at the next decay. A peer whose score has drifted back to a
///   stranger's is forgotten.
/// - At most [`MAX_OBSERVED`] peers; bans give way last, but for scores no more than half of them,
///   and of the others those that did wrong and those that did not leave each other half.
/// - Of a *stranger*, a key that nobody here ever had to do with, nothing is written down and
///   nothing told: keys cost nothing. [`observe_stranger`](Self::observe_stranger) remembers the
///   last [`MAX_STRANGERS`](crate::limits::MAX_STRANGERS) of them in memory, where they take no
///   room from anybody else. What it did is not forgotten when it becomes acquainted.
#[derive(Debug)]
pub struct Trust {
    config: TrustConfig,
    pub(super) standings: TrustTable,
    observed: BTreeMap<NodeId, Observed>,
    audit: Audit,
    deadlines: Deadlines<Wake>,
    /// Who is never banned for a score.
    spared: BTreeSet<NodeId>,
    addresses: AddressBans,
}

/// What is known of one peer besides its standing.
#[derive(Debug)]
struct Observed {
    /// When it was last observed.
    at: WallTime,
    /// Storage knows another standing, or none.
    dirty: bool,
    /// Storage knows of it.
    stored: bool,
    /// Changes since the last decay by what is routine: valid messages, answers, timeouts.
    routine: [f64; ROUTINE.len()],
    /// Why the application refuses it.
    ordered: Option<Arc<str>>,
    /// Why the score is what it is.
    ledger: Ledger,
}

impl Observed {
    fn remembered(&self, peer: NodeId, standing: PeerTrust) -> TrustEffect {
        let ordered = self.ordered.clone();
        TrustEffect::Remember(RememberedTrust { peer, standing, at: self.at, ordered })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wake {
    Decay,
    Pardon(NodeId),
}

impl Trust {
    /// Believes what storage remembers, within the configured bounds; a ban for a score is never
    /// longer than [`BAN_DURATION`] from now, whatever the clock was.
    pub fn new(config: TrustConfig, remembered: Vec<RememberedTrust>, now: Now) -> Self {
        let config = config.sane();
        let mut trust = Self {
            standings: TrustTable::new(config.initial_score, config.max_score),
            observed: BTreeMap::new(),
            audit: Audit::default(),
            deadlines: Deadlines::new(),
            spared: BTreeSet::new(),
            addresses: AddressBans::default(),
            config,
        };
        for known in remembered.into_iter().take(MAX_OBSERVED) {
            let RememberedTrust { peer, standing, at, ordered } = known;
            let longest = if ordered.is_some() { LONGEST_BAN } else { BAN_DURATION };
            let mut score = decayed_for(&trust.config, standing.score, now.wall.since(at));
            let until = standing.banned_until.map(|until| until.min(now.wall + longest));
            let banned_until = until.filter(|until| *until > now.wall);
            if until.is_some() && banned_until.is_none() {
                score = pardoned(&trust.config, score);
            }
            if banned_until.is_none() {
                score = score.max(trust.config.min_threshold);
            }
            if let Some(until) = banned_until {
                trust.plan_pardon(now, peer, until);
            }
            let dirty = banned_until != standing.banned_until;
            trust.standings.set(peer, PeerTrust { score, banned_until });
            let routine = [0.0; ROUTINE.len()];
            let ordered = ordered.filter(|_| banned_until.is_some());
            let ledger = Ledger::new(now.wall, score);
            let observed = Observed { at, dirty, stored: true, routine, ordered, ledger };
            trust.observed.insert(peer, observed);
        }
        trust.plan_decay(now);
        trust
    }

    /// The same with what the audit trail says of those who are known, the oldest first.
    #[must_use]
    pub fn with_trail(mut self, remembered: Vec<TrustEvent>) -> Self {
        for event in remembered.into_iter().filter(|event| !ROUTINE.contains(&event.observation)) {
            if let Some(observed) = self.observed.get_mut(&event.peer) {
                observed.ledger.remember(event);
            }
        }
        self
    }

    /// Why the score of `peer` is what it is; a stranger's, if nothing was seen of it or all of it
    /// is forgotten.
    pub fn account(&self, now: Now, peer: &NodeId) -> TrustAccount {
        let standing = self.standings.of(peer);
        let account = match self.observed.get(peer) {
            None => of_a_stranger(&self.config, standing, now.wall),
            Some(observed) => {
                let ordered = observed.ordered.clone().map(BanReason::Ordered);
                observed.ledger.account(&self.config, standing, ordered)
            }
        };
        let (regard, words) = (self.standings.regard(peer), self.words_for(peer));
        TrustAccount { regard, words, ..account }
    }

    /// What is there, beside the most that there can be.
    pub fn levels(&self) -> TrustLevels {
        TrustLevels {
            observed: Level::new(self.observed.len(), MAX_OBSERVED),
            banned: u64::try_from(self.standings.banned()).unwrap_or(u64::MAX),
            banned_addresses: Level::new(self.standings.banned_addresses(), MAX_ADDRESS_BANS),
        }
    }

    /// What the others are lent.
    pub const fn standings(&self) -> &TrustTable {
        &self.standings
    }

    /// Something was seen of a peer.
    pub fn observe(
        &mut self,
        now: Now,
        peer: NodeId,
        what: Observation,
        out: &mut VecDeque<TrustEffect>,
    ) {
        self.observe_for(now, peer, what, BanReason::Observed(what), out);
    }

    /// Something was seen of a stranger: who was observed before or banned is none.
    pub fn observe_stranger(
        &mut self,
        now: Now,
        peer: NodeId,
        what: Observation,
        out: &mut VecDeque<TrustEffect>,
    ) {
        if self.observed.contains_key(&peer) || self.spared.contains(&peer) {
            return self.observe(now, peer, what, out);
        }
        if self.standings.is_retired(&peer) || self.standings.is_banned(&peer, now.wall) {
            return;
        }
        let before = self.standings.stranger(&peer);
        let score = before.map_or(self.config.initial_score, |(standing, at)| {
            let score = decayed_for(&self.config, standing.score, now.wall.since(at));
            if standing.banned_until.is_some() { pardoned(&self.config, score) } else { score }
        });
        let score = after(&self.config, score, what);
        let is_refused = score < self.config.min_threshold - ROUNDING;
        let banned_until = is_refused.then(|| now.wall + BAN_DURATION);
        self.standings.set_stranger(peer, PeerTrust { score, banned_until }, now.wall);
        if is_refused {
            out.push_back(TrustEffect::Refuse(peer));
        }
    }

    /// The application says that a peer did wrong.
    pub fn report(
        &mut self,
        now: Now,
        peer: NodeId,
        why: Arc<str>,
        out: &mut VecDeque<TrustEffect>,
    ) {
        self.observe_for(now, peer, Observation::Reported, BanReason::Reported(why), out);
    }

    /// The application wants the peer refused for so long, [`LONGEST_BAN`] at most. A ban that
    /// there is already is replaced. False if there are [`MAX_ORDERED_BANS`].
    pub fn ban(
        &mut self,
        now: Now,
        peer: NodeId,
        why: Arc<str>,
        lasts: Duration,
        out: &mut VecDeque<TrustEffect>,
    ) -> bool {
        let others = self.observed.iter().filter(|(id, at)| **id != peer && at.ordered.is_some());
        if others.count() >= MAX_ORDERED_BANS {
            return false;
        }
        let score = self.standings.of(&peer).score;
        self.spared.remove(&peer);
        self.note(now, peer, out).ordered = Some(Arc::clone(&why));
        self.refuse(now, peer, BanReason::Ordered(why), (score, lasts.min(LONGEST_BAN)), out);
        true
    }

    /// Lifts a ban, whoever made it. False if there is none.
    pub fn unban(&mut self, now: Now, peer: NodeId, out: &mut VecDeque<TrustEffect>) -> bool {
        let is_banned = self.standings.of(&peer).banned_until.is_some();
        if is_banned && self.standings.knows(&peer) {
            self.pardon(now, peer, out);
        }
        self.standings.forget_stranger(&peer);
        is_banned
    }

    /// The same with the bans of addresses of the configuration, and with those that storage
    /// remembers.
    #[must_use]
    pub fn with_address_bans(mut self, remembered: Vec<AddressBan>, now: Now) -> Self {
        let configured = core::mem::take(&mut self.config.banned_addresses);
        self.addresses = AddressBans::new(configured, remembered, now);
        self.lend_addresses();
        self
    }

    /// The application wants whoever is at these addresses refused for so long, [`LONGEST_BAN`] at
    /// most, in place of a ban of exactly these. False if there are
    /// [`MAX_ADDRESS_BANS`](crate::limits::MAX_ADDRESS_BANS).
    pub fn ban_address(
        &mut self,
        now: Now,
        addresses: Subnet,
        why: Arc<str>,
        lasts: Duration,
        out: &mut VecDeque<TrustEffect>,
    ) -> bool {
        let Some(ban) = self.addresses.insert(now, addresses, why, lasts) else { return false };
        out.push_back(TrustEffect::BanAddress(ban.clone()));
        self.lend_addresses();
        true
    }

    /// Lifts the ban of exactly these addresses. False if there is none.
    pub fn unban_address(&mut self, addresses: Subnet, out: &mut VecDeque<TrustEffect>) -> bool {
        let is_lifted = self.addresses.remove(addresses);
        if is_lifted {
            self.lend_addresses();
            out.push_back(TrustEffect::UnbanAddress(addresses));
        }
        is_lifted
    }

    /// The bans of addresses, in order of these.
    pub fn address_bans(&self) -> impl Iterator<Item = &AddressBan> {
        self.addresses.iter()
    }

    fn lend_addresses(&mut self) {
        let all = self.addresses.iter().map(|ban| ban.addresses).collect();
        self.standings.set_banned_addresses(all);
    }

    /// Every peer that is banned, until when, and in which words if the application says so.
    /// Strangers are not among them.
    pub fn bans(&self) -> impl Iterator<Item = (NodeId, WallTime, Option<&str>)> {
        let words = |peer| self.observed.get(peer)?.ordered.as_deref();
        let bans = self.standings.iter();
        bans.filter_map(move |(peer, of)| Some((*peer, of.banned_until?, words(peer))))
    }

    /// Never bans this peer for its score, and lifts such a ban. False if the application has
    /// banned it. Who calls it bounds how many there are.
    pub fn spare(&mut self, now: Now, peer: NodeId, out: &mut VecDeque<TrustEffect>) -> bool {
        if self.observed.get(&peer).is_some_and(|observed| observed.ordered.is_some()) {
            return false;
        }
        self.unban(now, peer, out);
        self.spared.insert(peer);
        true
    }

    /// This peer is banned for its score like others again.
    pub fn spare_no_more(&mut self, peer: &NodeId) {
        self.spared.remove(peer);
    }

    /// A key gave way to another: what was made of the old one is made of the new one from now on,
    /// and nothing of the old one. Nobody is better for it, but for a stranger with a good
    /// predecessor: of two scores the lower one stays, of two bans the later one.
    ///
    /// What else is seen of the old key is not held against the new one: it may be a thief's.
    pub fn succeed(&mut self, now: Now, old: NodeId, new: NodeId, out: &mut VecDeque<TrustEffect>) {
        self.standings.retire(old, new);
        let is_spared = self.spared.remove(&old) || self.spared.contains(&new);
        let former = self.standings.of(&old);
        let known = self.observed.get(&old).map(|observed| observed.ordered.clone());
        if let Some(words) = known {
            self.inherit(now, new, (former, words), is_spared, out);
            self.forget(old, out);
        }
        if is_spared {
            self.spared.remove(&new);
            self.spare(now, new, out);
        }
    }

    /// What was made of somebody is made of `heir`, too.
    fn inherit(
        &mut self,
        now: Now,
        heir: NodeId,
        (former, words): (PeerTrust, Option<Arc<str>>),
        is_spared: bool,
        out: &mut VecDeque<TrustEffect>,
    ) {
        let own = self.standings.of(&heir);
        let is_observed = self.observed.contains_key(&heir);
        let is_stranger = !is_observed && self.standings.stranger(&heir).is_none();
        let score = if is_stranger { former.score } else { own.score.min(former.score) };
        let is_banned = !is_spared || words.is_some();
        let inherited = former.banned_until.filter(|_| is_banned);
        let observed = self.note(now, heir, out);
        if inherited > own.banned_until {
            observed.ordered = words;
            let why = observed.ordered.clone().map_or(BanReason::Inherited, BanReason::Ordered);
            let lasts = inherited.map_or(Duration::ZERO, |until| until.since(now.wall));
            return self.refuse(now, heir, why, (score, lasts), out);
        }
        self.standings.set(heir, PeerTrust { score, banned_until: own.banned_until });
        own.banned_until.into_iter().for_each(|until| self.plan_pardon(now, heir, until));
        self.remember(heir, out);
        self.plan_decay(now);
    }

    /// Nobody knows any more that this key gave way to another.
    pub fn forget_succession(&mut self, old: &NodeId) {
        self.standings.unretire(old);
    }

    fn observe_for(
        &mut self,
        now: Now,
        peer: NodeId,
        what: Observation,
        why: BanReason,
        out: &mut VecDeque<TrustEffect>,
    ) {
        if self.standings.is_retired(&peer) {
            return;
        }
        let before = self.standings.of(&peer);
        if let Some(until) = before.banned_until {
            if now.wall < until {
                return;
            }
            self.pardon(now, peer, out);
        }
        let before = self.standings.of(&peer).score;
        let mut score = after(&self.config, before, what);
        if self.spared.contains(&peer) {
            score = score.max(self.config.min_threshold);
        }
        let observed = self.note(now, peer, out);
        let change = score - before;
        let is_routine = ROUTINE.contains(&what);
        let event = TrustEvent { peer, at: now.wall, observation: what, change, score };
        observed.ledger.note(event, is_routine);
        match ROUTINE.iter().position(|routine| *routine == what) {
            Some(kind) => observed.routine[kind] += change,
            None => self.audit.wrong(now, peer, what, change, score, out),
        }
        self.standings.set(peer, PeerTrust { score, banned_until: None });
        if score < self.config.min_threshold - ROUNDING {
            self.refuse(now, peer, why, (score, BAN_DURATION), out);
        }
        self.plan_decay(now);
    }

    /// There is something new to remember of a peer.
    fn note(&mut self, now: Now, peer: NodeId, out: &mut VecDeque<TrustEffect>) -> &mut Observed {
        if !self.observed.contains_key(&peer) {
            self.make_room(out);
        }
        let score = self.standings.of(&peer).score;
        let observed = self.observed.entry(peer).or_insert(Observed {
            at: now.wall,
            dirty: true,
            stored: false,
            routine: [0.0; ROUTINE.len()],
            ordered: None,
            ledger: Ledger::new(now.wall, score),
        });
        observed.at = now.wall;
        observed.dirty = true;
        observed
    }

    /// Does what is due: decay, ends of bans, sums for the audit trail.
    pub fn handle_timeout(&mut self, now: Now, out: &mut VecDeque<TrustEffect>) {
        while let Some(why) = self.deadlines.pop_due(now.mono) {
            match why {
                Wake::Decay => {
                    self.decay(now, out);
                    self.standings.words.expire(now.mono);
                    self.plan_decay(now);
                }
                // It was served by the clock that nobody sets: a wall clock that was years ahead
                // when the ban began and is right now makes no ban of years.
                Wake::Pardon(peer) => {
                    if self.standings.of(&peer).banned_until.is_some() {
                        self.pardon(now, peer, out);
                    }
                }
            }
        }
        while let Some(addresses) = self.addresses.pop_served(now.mono) {
            self.unban_address(addresses, out);
        }
        let standings = &self.standings;
        self.audit.flush(now, |peer| standings.of(peer).score, out);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None` while nobody was observed.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let own = self.deadlines.next().map(|(at, _)| at);
        [own, self.audit.poll_timeout(), self.addresses.poll_timeout()].into_iter().flatten().min()
    }

    fn refuse(
        &mut self,
        now: Now,
        peer: NodeId,
        why: BanReason,
        (score, lasts): (f64, Duration),
        out: &mut VecDeque<TrustEffect>,
    ) {
        let until = now.wall + lasts;
        self.standings.set(peer, PeerTrust { score, banned_until: Some(until) });
        self.plan_pardon(now, peer, until);
        if let Some(observed) = self.observed.get_mut(&peer) {
            observed.ledger.refused_for = Some(why.clone());
        }
        out.push_back(TrustEffect::Ban { peer, until, why });
        self.remember(peer, out);
    }

    fn pardon(&mut self, now: Now, peer: NodeId, out: &mut VecDeque<TrustEffect>) {
        let score = pardoned(&self.config, self.standings.of(&peer).score);
        if let Some(observed) = self.observed.get_mut(&peer) {
            observed.ordered = None;
        }
        self.deadlines.clear(Wake::Pardon(peer));
        self.standings.set(peer, PeerTrust { score, banned_until: None });
        self.remember(peer, out);
        self.plan_decay(now);
    }

    fn remember(&mut self, peer: NodeId, out: &mut VecDeque<TrustEffect>) {
        if let Some(observed) = self.observed.get_mut(&peer) {
            observed.dirty = false;
            observed.stored = true;
            let standing = self.standings.of(&peer);
            out.push_back(observed.remembered(peer, standing));
        }
    }

    fn plan_pardon(&mut self, now: Now, peer: NodeId, until: WallTime) {
        // At least a moment, so that a clock that stands still does not make us spin.
        let wait = until.since(now.wall).max(Duration::from_millis(1));
        self.deadlines.set(Wake::Pardon(peer), now.mono + wait);
    }

    fn plan_decay(&mut self, now: Now) {
        if !self.observed.is_empty() && self.deadlines.get(Wake::Decay).is_none() {
            self.deadlines.set(Wake::Decay, now.mono + self.config.decay_interval);
        }
    }

    /// Every score drifts back to a stranger's, routine is written down, and storage is told.
    fn decay(&mut self, now: Now, out: &mut VecDeque<TrustEffect>) {
        let mut strangers = Vec::new();
        for (&peer, observed) in &mut self.observed {
            let PeerTrust { score, banned_until } = self.standings.of(&peer);
            for (kind, sum) in ROUTINE.into_iter().zip(&mut observed.routine) {
                if *sum != 0.0 {
                    out.push_back(record(now, peer, kind, core::mem::take(sum), score));
                }
            }
            if banned_until.is_some() {
                continue;
            }
            let drifted = decayed(&self.config, score);
            if (drifted - self.config.initial_score).abs() < STRANGER {
                strangers.push(peer);
                continue;
            }
            self.standings.set(peer, PeerTrust { score: drifted, banned_until });
            if core::mem::take(&mut observed.dirty) {
                observed.stored = true;
                let standing = PeerTrust { score: drifted, banned_until };
                out.push_back(observed.remembered(peer, standing));
            }
        }
        for peer in strangers {
            self.forget(peer, out);
        }
    }

    /// A new peer is about to be observed: the least telling standings give way, many at a time so
    /// that the search is paid for by many newcomers.
    fn make_room(&mut self, out: &mut VecDeque<TrustEffect>) {
        if self.observed.len() < MAX_OBSERVED {
            return;
        }
        let initial = self.config.initial_score;
        // Who can make us ban many keys does not displace what others earned, nor the other way;
        // nor does who comes with many keys that each do one wrong, no ban yet.
        let are_bans_many = self.standings.banned() > MAX_OBSERVED / 2;
        let is_wrong = |of: &PeerTrust| of.banned_until.is_none() && of.score < initial;
        let wrong = self.standings.iter().filter(|(_, of)| is_wrong(of)).count();
        let are_wrongs_many = wrong > (MAX_OBSERVED - self.standings.banned()) / 2;
        let mut least: Vec<_> = self
            .observed
            .iter()
            .map(|(&peer, observed)| {
                let standing = self.standings.of(&peer);
                let tenths = ((standing.score - initial).abs() * 10.0).round();
                let is_last = standing.banned_until.is_some() != are_bans_many;
                let is_later = is_wrong(&standing) != are_wrongs_many;
                ((observed.ordered.is_some(), is_last, is_later), tenths, observed.at, peer)
            })
            .collect();
        least.sort_by(|a, b| {
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)).then(a.3.cmp(&b.3))
        });
        for (_, _, _, peer) in least.into_iter().take(MAX_OBSERVED / 16) {
            self.forget(peer, out);
        }
    }

    fn forget(&mut self, peer: NodeId, out: &mut VecDeque<TrustEffect>) {
        self.standings.forget(&peer);
        self.deadlines.clear(Wake::Pardon(peer));
        if self.observed.remove(&peer).is_some_and(|observed| observed.stored) {
            out.push_back(TrustEffect::Forget(peer));
        }
    }
}

/// What is summed up over a decay interval instead of being written down at once.
const ROUTINE: [Observation; 3] =
    [Observation::ValidMessage, Observation::Answered, Observation::TimedOut];
/// A score this near to a stranger's is a stranger's.
const STRANGER: f64 = 0.001;
/// Three times 0.1 is not quite 0.3: a score at the threshold is not below it.
const ROUNDING: f64 = 1e-9;
