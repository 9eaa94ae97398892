//! Whom a node knows, and whom it asks and names for a place.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
};

use super::{
    Contact, Distance, Place,
    bucket::{Bucket, KnownContact, Vacancy},
    contact_rows::{forget, keep},
};
use crate::{
    allowance::Allowance,
    id::NodeId,
    limits::{
        BUCKET, BUCKET_REFRESH_INTERVAL, CANDIDATE_BURST, CANDIDATE_INTERVAL, LONGEST_QUESTION,
        MAX_PER_NETWORK_IN_TABLE, MAX_TABLE_PROBES, REPLICAS, SELF_LOOKUP_INTERVAL,
    },
    rng::Rng,
    storage::Change,
    subnet::Subnet,
    time::{Duration, Instant},
};

/// Contacts by the number of first bits that their places have in common with ours: many of those
/// near us, few of those far away (Maymounkov and Mazières 2002, "Kademlia", 2.2).
///
/// Who answered a question of ours may enter; of whom we only
/// heard, is asked first, and is named to nobody until it answered. Of one
/// network there are few, in a bucket and in all, so that whoever has many addresses in one place
/// does not fill the table (Marcus, Heilman and Goldberg 2018, "Low-Resource Eclipse Attacks on
/// Ethereum's Peer-to-Peer Network").
///
/// What it wishes to be asked comes out of handle_timeout when
/// poll_timeout says so; whatever was asked, for this or another reason,
/// ends in `handle_answer` or handle_failure. Rows come out of
/// take_changes.
#[derive(Debug)]
pub struct RoutingTable {
    here: Place,
    /// None is empty.
    buckets: BTreeMap<u32, Bucket>,
    /// In which bucket somebody is, as member or candidate.
    homes: BTreeMap<NodeId, u32>,
    /// Whom we asked whether it is there, and until when nobody is asked in its stead.
    probing: BTreeMap<NodeId, Instant>,
    candidates_asked: Allowance,
    self_lookup: Instant,
    /// When buckets are looked into.
    refreshes: BTreeMap<u32, Instant>,
    wake: Instant,
    /// Who is, or was, in a row.
    kept: BTreeSet<NodeId>,
    changes: Vec<Change>,
    crowded: u64,
}

/// What a table needs to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TableWish {
    /// Is this node there? Any question does.
    Probe(Contact),
    /// Who is near this place?
    LookUp(Place),
}

impl RoutingTable {
    /// Knows nobody. A node without a place of its own is anywhere, but not where others are: its
    /// place is drawn.
    pub(super) const fn new(now: Instant, here: Place) -> Self {
        Self {
            here,
            buckets: BTreeMap::new(),
            homes: BTreeMap::new(),
            probing: BTreeMap::new(),
            candidates_asked: Allowance::new(),
            self_lookup: now,
            refreshes: BTreeMap::new(),
            wake: now,
            kept: BTreeSet::new(),
            changes: Vec::new(),
            crowded: 0,
        }
    }

    /// What was remembered: candidates, who are asked whether they are still there.
    pub(super) fn remember(&mut self, now: Instant, contacts: Vec<Contact>) {
        for contact in contacts {
            self.kept.insert(contact.id());
            self.handle_contact(now, contact);
            if !self.homes.contains_key(&contact.id()) {
                self.forget(&contact.id());
            }
        }
    }

    /// Our place is another one.
    pub(super) fn handle_move(&mut self, now: Instant, here: Place) {
        if here == self.here {
            return;
        }
        self.here = here;
        let mut known = Vec::<KnownContact>::new();
        for (_, bucket) in core::mem::take(&mut self.buckets) {
            known.extend(bucket.members().iter().chain(bucket.candidates()));
        }
        self.homes.clear();
        self.refreshes.clear();
        (self.self_lookup, self.wake) = (now, now);
        for known in known {
            let is_proven = known.answered.is_some() && known.is_alive();
            if is_proven {
                self.enter(known);
            } else {
                self.offer(known);
            }
        }
    }

    /// Somebody named this node, or it asked us something: it is not ourselves.
    pub(super) fn handle_contact(&mut self, now: Instant, contact: Contact) {
        if let Some(known) = self.get(&contact.id()) {
            // What answers where it is is not elsewhere, whoever says so.
            let is_settled = known.answered.is_some() && known.is_alive();
            if is_settled || known.contact == contact {
                return;
            }
            self.remove(&contact.id());
        }
        self.offer(KnownContact::new(now, contact));
        self.wake = self.wake.min(now);
    }

    /// It answered a question of ours, after this time. Whether it is new in the table.
    pub(super) fn handle_answer(
        &mut self,
        now: Instant,
        contact: Contact,
        rtt: Option<Duration>,
    ) -> bool {
        self.probed(now, &contact.id());
        let mut known = KnownContact::new(now, contact);
        if let Some(bucket) = self.home_mut(&contact.id()) {
            match bucket.member_mut(&contact.id()) {
                Some(member) if member.contact == contact => {
                    member.handle_answer(now, rtt);
                    return false;
                }
                _ => {}
            }
            // A candidate, or it moved.
            if let Some(before) = self.take(&contact.id()) {
                known.rtt = before.rtt.filter(|_| before.contact == contact);
            }
        }
        known.handle_answer(now, rtt);
        self.enter(known)
    }

    /// It did not answer a question of ours.
    pub(super) fn handle_failure(&mut self, now: Instant, id: &NodeId) {
        self.probed(now, id);
        let Some(bucket) = self.home_mut(id) else { return };
        match bucket.member_mut(id) {
            Some(member) => {
                member.handle_failure(now);
                self.wake = self.wake.min(now);
            }
            None => self.remove(id),
        }
    }

    /// We looked up this place: where it is, nobody need look for long.
    pub(super) fn handle_lookup(&mut self, now: Instant, target: &Place, rng: &mut Rng) {
        let due = now + rng.jitter(BUCKET_REFRESH_INTERVAL);
        self.refreshes.insert(self.index(target), due);
    }

    /// The nodes nearest to a place that answer, nearest first, at most so many.
    pub(super) fn nearest<'a>(&'a self, target: &Place, most: usize) -> Vec<Contact> {
        let mut nearest = Vec::<(Distance, &'a Contact)>::with_capacity(4 * BUCKET);
        let split = self.index(target);
        // Where the target is, they have more bits in common with it than we have; nearer to us,
        // as many as we have; farther from us, the fewer the farther.
        let at = self.buckets.range(split..=split);
        let nearer = self.buckets.range(split + 1..);
        let mut add = |buckets: &mut dyn Iterator<Item = (&'a u32, &'a Bucket)>| {
            let members = buckets.flat_map(|(_, bucket)| bucket.members());
            let alive = members.filter(|known| known.is_alive()).map(|known| &known.contact);
            let from = nearest.len();
            nearest.extend(alive.map(|contact| (target.distance(&contact.place()), contact)));
            let by_distance = |one: &(Distance, &Contact), other: &(Distance, &Contact)| {
                one.0.cmp(&other.0).then_with(|| one.1.id().cmp(&other.1.id()))
            };
            if nearest.len() > most {
                nearest[from..].select_nth_unstable_by(most - from, by_distance);
                nearest.truncate(most);
            }
            nearest[from..].sort_unstable_by(by_distance);
            nearest.len() < most
        };
        if add(&mut { at }) && add(&mut { nearer }) {
            for bucket in self.buckets.range(..split).rev() {
                if !add(&mut core::iter::once(bucket)) {
                    break;
                }
            }
        }
        nearest.into_iter().map(|(_, contact)| *contact).collect()
    }

    /// Whether a node is in the table, and no newcomer.
    pub(super) fn is_settled(&self, now: Instant, id: &NodeId) -> bool {
        self.get(id).is_some_and(|known| known.is_settled(now))
    }

    /// Whether a node came into the table then or later.
    pub(super) fn is_newer(&self, id: &NodeId, than: Instant) -> bool {
        self.get(id).is_some_and(|known| known.since >= than)
    }

    /// Does what is due. What it wishes ends in [`handle_answer`](Self::handle_answer) or
    /// [`handle_failure`](Self::handle_failure).
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        out: &mut VecDeque<TableWish>,
    ) {
        if now < self.wake {
            return;
        }
        self.wake = Instant::FAR_FUTURE;
        self.probing.retain(|_, until| *until > now);
        if self.members().next().is_some() {
            self.look_around(now, rng, out);
        }
        self.probe(now, out);
    }

    /// When that is.
    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        Some(self.wake)
    }

    /// What is to be remembered since this was last called.
    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        core::mem::take(&mut self.changes)
    }

    /// From where it looks: near it, it knows everybody.
    pub const fn here(&self) -> Place {
        self.here
    }

    /// Nodes that answer.
    pub fn len(&self) -> usize {
        self.members().filter(|known| known.is_alive()).count()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nodes are known that have not answered yet.
    pub(super) fn has_candidates(&self) -> bool {
        self.buckets.values().any(|bucket| !bucket.candidates().is_empty())
    }

    /// Where a node that is in the table answers.
    pub fn address_of(&self, node: &NodeId) -> Option<SocketAddr> {
        self.get(node).map(|known| known.contact.addr())
    }

    /// Buckets in which somebody is, by the number of bits in common with our place.
    pub fn buckets(&self) -> impl Iterator<Item = (u32, &Bucket)> {
        self.buckets.iter().map(|(index, bucket)| (*index, bucket))
    }

    /// Nodes that answered and were not taken, because there are enough of their network.
    pub const fn crowded(&self) -> u64 {
        self.crowded
    }

    /// Half of those who answer do so faster than this.
    pub fn median_rtt(&self) -> Option<Duration> {
        self.rtt_of_part(1, 2)
    }

    /// After this time an answer is late: a little more than 19 of 20 who answer take (Dean and
    /// Barroso 2013, "The Tail at Scale"), and at most twice what half of them take. Where many do
    /// not answer at all, what half of them take who do.
    pub(super) fn late_after(&self, is_lossy: bool) -> Option<Duration> {
        if is_lossy {
            return self.median_rtt();
        }
        let late = self.rtt_of_part(19, 20)?;
        Some((late + late / 8).min(self.median_rtt()? * 2))
    }

    /// This part of those who answer do so faster.
    fn rtt_of_part(&self, part: usize, of: usize) -> Option<Duration> {
        let alive = self.members().filter(|known| known.is_alive());
        let mut rtts: Vec<_> = alive.filter_map(|known| known.rtt).collect();
        let at = rtts.len() * part / of;
        (at < rtts.len()).then(|| *rtts.select_nth_unstable(at).1)
    }

    /// The smoothed round trip to a node.
    pub(super) fn rtt_of(&self, id: &NodeId) -> Option<Duration> {
        self.get(id)?.rtt
    }

    fn members(&self) -> impl Iterator<Item = &KnownContact> {
        self.buckets.values().flat_map(Bucket::members)
    }

    fn get(&self, id: &NodeId) -> Option<&KnownContact> {
        self.buckets.get(self.homes.get(id)?)?.get(id)
    }

    fn home_mut(&mut self, id: &NodeId) -> Option<&mut Bucket> {
        self.buckets.get_mut(self.homes.get(id)?)
    }

    fn index(&self, place: &Place) -> u32 {
        self.here.distance(place).common_bits().min(DEEPEST)
    }

    /// A member if it has room, else a candidate. Whether it is a member.
    fn enter(&mut self, known: KnownContact) -> bool {
        let (id, index) = (known.contact.id(), self.index(&known.contact.place()));
        let is_crowded = known.network.is_some_and(|network| self.is_crowded(network));
        let bucket = self.buckets.entry(index).or_insert_with(|| Bucket::at(index));
        match bucket.vacancy(known.network, is_crowded) {
            Vacancy::Room => {}
            Vacancy::InPlaceOf(dead) => self.remove(&dead),
            Vacancy::Full => {
                self.offer(known);
                return false;
            }
            Vacancy::Crowded => {
                self.crowded += 1;
                self.forget(&id);
                self.drop_if_empty(index);
                return false;
            }
        }
        self.buckets.entry(index).or_insert_with(|| Bucket::at(index)).insert(known);
        self.homes.insert(id, index);
        self.kept.insert(id);
        self.changes.push(keep(&known.contact));
        true
    }

    fn is_crowded(&self, network: Subnet) -> bool {
        let same = self.members().filter(|known| known.network == Some(network));
        same.count() >= MAX_PER_NETWORK_IN_TABLE
    }

    /// A candidate, if there is room.
    fn offer(&mut self, known: KnownContact) {
        let (id, index) = (known.contact.id(), self.index(&known.contact.place()));
        self.homes.insert(id, index);
        if let Some(out) =
            self.buckets.entry(index).or_insert_with(|| Bucket::at(index)).offer(known)
        {
            self.homes.remove(&out.contact.id());
            self.forget(&out.contact.id());
        }
        self.drop_if_empty(index);
    }

    fn remove(&mut self, id: &NodeId) {
        if self.take(id).is_some() {
            self.forget(id);
        }
    }

    fn take(&mut self, id: &NodeId) -> Option<KnownContact> {
        let index = self.homes.remove(id)?;
        let known = self.buckets.get_mut(&index)?.remove(id);
        self.drop_if_empty(index);
        known
    }

    fn drop_if_empty(&mut self, index: u32) {
        if self.buckets.get(&index).is_some_and(Bucket::is_empty) {
            self.buckets.remove(&index);
        }
    }

    fn forget(&mut self, id: &NodeId) {
        if self.kept.remove(id) {
            self.changes.push(forget(id));
        }
    }

    /// Another can be asked now.
    fn probed(&mut self, now: Instant, id: &NodeId) {
        if self.probing.remove(id).is_some() {
            self.wake = self.wake.min(now);
        }
    }

    /// Our own place, and the buckets into which nobody looked.
    fn look_around(&mut self, now: Instant, rng: &mut Rng, out: &mut VecDeque<TableWish>) {
        if self.self_lookup <= now {
            self.self_lookup = now + rng.jitter(SELF_LOOKUP_INTERVAL);
            out.push_back(TableWish::LookUp(self.here));
        }
        self.wake = self.wake.min(self.self_lookup);
        for index in self.gaps() {
            let soon = Duration::ZERO..=SELF_LOOKUP_INTERVAL;
            let due = self.refreshes.entry(index).or_insert_with(|| now + rng.duration(soon));
            if *due <= now {
                *due = now + rng.jitter(BUCKET_REFRESH_INTERVAL);
                out.push_back(TableWish::LookUp(in_bucket(&self.here, index, rng)));
            }
            self.wake = self.wake.min(*due);
        }
    }

    /// Buckets that lack members. Those of our nearest neighbours are left out: whoever belongs
    /// there is found by looking up our own place.
    fn gaps(&self) -> Vec<u32> {
        let mut nearer = 0;
        let deepest = self.buckets.iter().rev().find(|(_, bucket)| {
            nearer += bucket.alive();
            nearer > REPLICAS
        });
        let Some((&deepest, _)) = deepest.or_else(|| self.buckets.first_key_value()) else {
            return Vec::new();
        };
        let lacks = |index: &u32| self.buckets.get(index).is_none_or(|at| at.alive() < at.room());
        (0..=deepest).filter(lacks).collect()
    }

    /// Members of whom nothing was heard for long, and candidates for places that are free.
    fn probe(&mut self, now: Instant, out: &mut VecDeque<TableWish>) {
        let mut wake = Instant::FAR_FUTURE;
        let mut wanted = Vec::new();
        for bucket in self.buckets.values() {
            for (at, known) in bucket.checks() {
                if at <= now { wanted.push((known.contact, false)) } else { wake = wake.min(at) }
            }
            wanted.extend(bucket.wanted_candidates().map(|known| (known.contact, true)));
        }
        wanted.retain(|(contact, _)| !self.probing.contains_key(&contact.id()));
        for (contact, is_candidate) in wanted {
            if self.probing.len() >= MAX_TABLE_PROBES {
                break;
            }
            let asked = &mut self.candidates_asked;
            if is_candidate && !asked.pay(now, CANDIDATE_INTERVAL, CANDIDATE_BURST) {
                wake = wake.min(now + CANDIDATE_INTERVAL);
                continue;
            }
            self.probing.insert(contact.id(), now + LONGEST_QUESTION * 2);
            out.push_back(TableWish::Probe(contact));
        }
        // An answer or a failure wakes it earlier.
        let given_up = self.probing.values().copied().min().unwrap_or(wake);
        self.wake = self.wake.min(wake).min(given_up);
    }
}

/// Some place that has exactly so many first bits in common with this one.
fn in_bucket(here: &Place, index: u32, rng: &mut Rng) -> Place {
    let mut bytes: [u8; 32] = rng.bytes();
    for (at, byte) in bytes.iter_mut().enumerate() {
        let (ours, first) = (here.as_bytes()[at], u32::try_from(at).unwrap_or(u32::MAX) * 8);
        // Bits of this byte that are the same, and behind them one that is not.
        let same = index.saturating_sub(first).min(8);
        let mask = u8::try_from(0xFF00_u32 >> same & 0xFF).unwrap_or(0);
        *byte = ours & mask | *byte & !mask;
        if (first..first + 8).contains(&index) {
            let flipped = 0x80 >> same;
            *byte = !ours & flipped | *byte & !flipped;
        }
    }
    Place::from_bytes(bytes)
}

/// The last bucket: also of who is where we are.
const DEEPEST: u32 = 255;

#[cfg(test)]
mod tests;
