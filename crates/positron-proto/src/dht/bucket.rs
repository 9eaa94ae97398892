//! Contacts that are about as far away from us as one another.

use super::{Contact, place::network};
use crate::{
    id::NodeId,
    limits::{
        BUCKET, BUCKET_CANDIDATES, CONTACT_CHECK_INTERVAL, CONTACT_RETRY, LONGEST_LOOKUP,
        MAX_CONTACT_FAILURES, MAX_PER_NETWORK_IN_BUCKET,
    },
    subnet::Subnet,
    time::{Duration, Instant},
};

/// The contacts whose places have the same number of first bits in common with ours: members, who
/// answered a question of ours, and [`BUCKET_CANDIDATES`] who may become some.
///
/// Who is a member stays one for as long as it answers: who was there for long is there for longer
/// (Maymounkov and Mazières 2002, 2.2), and a flood of new nodes replaces nobody.
#[derive(Debug)]
pub struct Bucket {
    room: usize,
    members: Vec<KnownContact>,
    candidates: Vec<KnownContact>,
}

/// A contact, and what became of our questions to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownContact {
    /// Who, and where.
    pub contact: Contact,
    /// The smoothed round trip.
    pub rtt: Option<Duration>,
    /// When it answered last; never, if it is only said to be there.
    pub answered: Option<Instant>,
    /// Questions in a row that it left unanswered since.
    pub failures: u8,
    /// Since when it is a member, or what it is now.
    pub(super) since: Instant,
    /// When it was last heard of, or asked in vain.
    pub(super) checked: Instant,
    /// Whose limit it counts against.
    pub(super) network: Option<Subnet>,
}

/// What becomes of a contact that answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vacancy {
    /// There is one.
    Room,
    /// It takes the place of this one.
    InPlaceOf(NodeId),
    /// All places are taken.
    Full,
    /// There are enough of its network.
    Crowded,
}

impl KnownContact {
    /// Somebody says that it is there.
    pub(super) fn new(now: Instant, contact: Contact) -> Self {
        let network = network(contact.addr());
        Self { contact, rtt: None, answered: None, failures: 0, since: now, checked: now, network }
    }

    /// Whether it may be handed on: it answers.
    pub const fn is_alive(&self) -> bool {
        self.failures < MAX_CONTACT_FAILURES
    }

    /// Whether it has been there for longer than any lookup takes: whoever gave a record to the
    /// nodes nearest to a key has found it, if it is one of them.
    pub(super) fn is_settled(&self, now: Instant) -> bool {
        now.since(self.since) > LONGEST_LOOKUP
    }

    pub(super) fn handle_answer(&mut self, now: Instant, rtt: Option<Duration>) {
        // As TCP smooths it (RFC 6298, 2.3).
        let smoothed = |rtt| self.rtt.map_or(rtt, |before| (before * 7 + rtt) / 8);
        self.rtt = rtt.map(smoothed).or(self.rtt);
        (self.answered, self.checked, self.failures) = (Some(now), now, 0);
    }

    pub(super) fn handle_failure(&mut self, now: Instant) {
        (self.failures, self.checked) = (self.failures.saturating_add(1), now);
    }

    /// When it is to be asked whether it is still there.
    fn check_at(&self) -> Instant {
        let is_in_doubt = self.failures > 0 && self.is_alive();
        self.checked + if is_in_doubt { CONTACT_RETRY } else { CONTACT_CHECK_INTERVAL }
    }
}

impl Bucket {
    /// Of those who have so many bits in common with us, nobody yet. Half of all nodes are in the
    /// farthest one, and half of all lookups begin there: it has more room than others, as has the
    /// next, so that they begin nearer to where they go.
    pub(super) const fn at(index: u32) -> Self {
        let room = match index {
            0 => 4 * BUCKET,
            1 => 2 * BUCKET,
            _ => BUCKET,
        };
        Self { room, members: Vec::new(), candidates: Vec::new() }
    }

    /// How many members it can have.
    pub(super) const fn room(&self) -> usize {
        self.room
    }

    /// Who answered, those who were there first before others. Not all of them may still be alive.
    pub fn members(&self) -> &[KnownContact] {
        &self.members
    }

    /// Who may take the place of one that fails.
    pub fn candidates(&self) -> &[KnownContact] {
        &self.candidates
    }

    /// Members that answer.
    pub(super) fn alive(&self) -> usize {
        self.members.iter().filter(|known| known.is_alive()).count()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.candidates.is_empty()
    }

    pub(super) fn member_mut(&mut self, id: &NodeId) -> Option<&mut KnownContact> {
        self.members.iter_mut().find(|known| known.contact.id() == *id)
    }

    pub(super) fn get(&self, id: &NodeId) -> Option<&KnownContact> {
        self.members.iter().chain(&self.candidates).find(|known| known.contact.id() == *id)
    }

    /// What becomes of a contact of this network that answered; `is_crowded` says that the table
    /// has enough of it.
    pub(super) fn vacancy(&self, network: Option<Subnet>, is_crowded: bool) -> Vacancy {
        let dead_of = |of: Option<Subnet>| {
            let mut dead = self.members.iter().filter(|known| !known.is_alive());
            dead.find(|known| of.is_none() || known.network == of).map(|known| known.contact.id())
        };
        if network.is_some() && (is_crowded || self.is_crowded(&self.members, network)) {
            return dead_of(network).map_or(Vacancy::Crowded, Vacancy::InPlaceOf);
        }
        if self.members.len() < self.room {
            return Vacancy::Room;
        }
        dead_of(None).map_or(Vacancy::Full, Vacancy::InPlaceOf)
    }

    pub(super) fn insert(&mut self, member: KnownContact) {
        self.members.push(member);
    }

    /// Takes it as a candidate, if there is room; one that answered takes the place of one that did
    /// not. Who had to give way for it, or it itself.
    pub(super) fn offer(&mut self, candidate: KnownContact) -> Option<KnownContact> {
        if self.is_crowded(&self.candidates, candidate.network) {
            return Some(candidate);
        }
        let gives_way = if self.candidates.len() < BUCKET_CANDIDATES {
            None
        } else {
            let unproven = |known: &KnownContact| known.answered.is_none();
            match self.candidates.iter().rposition(unproven) {
                Some(index) if candidate.answered.is_some() => Some(self.candidates.remove(index)),
                _ => return Some(candidate),
            }
        };
        self.candidates.push(candidate);
        gives_way
    }

    pub(super) fn remove(&mut self, id: &NodeId) -> Option<KnownContact> {
        let is_it = |known: &KnownContact| known.contact.id() == *id;
        if let Some(index) = self.members.iter().position(is_it) {
            return Some(self.members.remove(index));
        }
        let index = self.candidates.iter().position(is_it)?;
        Some(self.candidates.remove(index))
    }

    /// Candidates that are to be asked because places are free, those that answered before first.
    pub(super) fn wanted_candidates(&self) -> impl Iterator<Item = &KnownContact> {
        let (proven, others): (Vec<_>, Vec<_>) =
            self.candidates.iter().partition(|known| known.answered.is_some());
        proven.into_iter().chain(others).take(self.room.saturating_sub(self.alive()))
    }

    /// Members that are to be asked whether they are still there, and when.
    pub(super) fn checks(&self) -> impl Iterator<Item = (Instant, &KnownContact)> {
        self.members.iter().map(|known| (known.check_at(), known))
    }

    fn is_crowded(&self, among: &[KnownContact], network: Option<Subnet>) -> bool {
        let same = among.iter().filter(|known| network.is_some() && known.network == network);
        same.count() >= MAX_PER_NETWORK_IN_BUCKET
    }
}
