//! A made-up town in which everybody asks for services, and some serve badly.

use std::collections::BTreeMap;

use positron_proto::{
    id::NodeId,
    limits::{MAX_ANCHORS, MAX_RECOMMENDED},
    peers::PeersConfig,
    rng::Seed,
    time::{Duration, Instant, Now, WallTime},
};

use super::citizen::{Citizen, Letter, praise};
use crate::dice::{Dice, named_dice};

/// What those do who mean harm (Kamvar, Schlosser, Garcia-Molina 2003, section 7.3).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Threat {
    /// A: each for itself serves badly.
    Alone,
    /// B: the same, and all praise one another.
    Collective,
    /// C: the same, but only this part of what they serve is bad.
    Camouflage(f64),
    /// D: every other one serves well and praises those who do not.
    Spies,
    /// A, and each has a new key, with whomever it has served badly.
    Whitewash,
}

/// How it is chosen whom to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// Ten offer it, any of all who are not refused; the one of the highest regard is asked, as
    /// records that were found are shown (`dht/outcome.rs`). Of equals it is one that means harm.
    Offers,
    /// Any of the links is asked. Links come and go by regard, as they do in `peers/choice.rs` and
    /// `peers/outbound.rs`.
    Links,
    /// Anybody is asked, whatever is made of it.
    Chance,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) threat: Threat,
    pub(super) choice: Choice,
    /// How many mean well, and how many do not.
    pub(super) people: (usize, usize),
    pub(super) hours: u64,
    /// The part of what is served by who means well that is bad nevertheless.
    pub(super) mistakes: f64,
}

/// What was served.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ServiceTally {
    served: u64,
    bad: u64,
    /// In the last quarter of the time.
    served_late: u64,
    bad_late: u64,
}

/// Everybody: first those who mean well.
struct Town {
    plan: Plan,
    dice: Dice,
    now: Now,
    residents: Vec<Resident>,
    /// The key of each, as each resident knows it.
    keys: Vec<Vec<NodeId>>,
    seed: Seed,
    made: u64,
}

/// Somebody who means well, and its links of its own choice.
struct Resident {
    citizen: Citizen,
    links: BTreeMap<usize, Instant>,
    too_many: u32,
}

/// Plays it with the dice of `seed`.
pub(super) fn play(plan: Plan, seed: &Seed) -> ServiceTally {
    let mut town = Town::new(plan, seed);
    let minutes = plan.hours * 60;
    let mut tally = ServiceTally::default();
    for minute in 0..minutes {
        town.now.mono = town.now.mono + MINUTE / 2;
        town.now.wall = town.now.wall + MINUTE / 2;
        town.carry_words(minute);
        (0..town.residents.len()).for_each(|who| town.tend_links(who));
        town.now.mono = town.now.mono + MINUTE / 2;
        town.now.wall = town.now.wall + MINUTE / 2;
        for who in 0..town.residents.len() {
            town.tend_links(who);
            let Some(is_good) = town.ask(who) else { continue };
            let is_late = minute >= minutes - minutes / 4;
            tally.served += 1;
            tally.bad += u64::from(!is_good);
            tally.served_late += u64::from(is_late);
            tally.bad_late += u64::from(is_late && !is_good);
        }
    }
    tally
}

impl ServiceTally {
    /// Of all that was served, what was bad, in percent.
    pub(super) fn bad(&self) -> f64 {
        self.bad as f64 / self.served as f64 * 100.0
    }

    /// The same in the last quarter of the time.
    pub(super) fn bad_late(&self) -> f64 {
        self.bad_late as f64 / self.served_late as f64 * 100.0
    }
}

impl Town {
    fn new(plan: Plan, seed: &Seed) -> Self {
        let (honest, hostile) = plan.people;
        let mut keys = seed.stream("keys");
        let all: Vec<NodeId> =
            (0..honest + hostile).map(|_| NodeId::from_bytes(keys.bytes())).collect();
        let residents = all[..honest].iter().map(|id| {
            let mut citizen = Citizen::new(*id, START);
            // Who means harm knocks at every door.
            all[honest..].iter().for_each(|hostile| citizen.link(*hostile));
            Resident { citizen, links: BTreeMap::new(), too_many: 0 }
        });
        Self {
            plan,
            dice: named_dice(seed, "town"),
            now: START,
            residents: residents.collect(),
            keys: vec![all; honest],
            seed: seed.clone(),
            made: 0,
        }
    }

    fn honest(&self) -> usize {
        self.plan.people.0
    }

    fn all(&self) -> usize {
        self.plan.people.0 + self.plan.people.1
    }

    // --- words ---

    /// Everybody says whom it trusts, when it is time, and who means harm once an hour.
    fn carry_words(&mut self, minute: u64) {
        let mut letters = Vec::new();
        for resident in &mut self.residents {
            letters.extend(resident.citizen.handle_timeout(self.now));
        }
        for Letter { from, to, body } in letters {
            let to = self.residents.iter_mut().find(|resident| resident.citizen.id == to);
            if let Some(resident) = to {
                resident.citizen.handle_bytes(self.now, from, body);
            }
        }
        if minute % 60 == 30 && self.plan.threat.praises() {
            for hostile in self.honest()..self.all() {
                self.praise(hostile);
            }
        }
    }

    /// One that means harm praises others that do, to everybody who does not refuse it.
    fn praise(&mut self, hostile: usize) {
        let is_spies = self.plan.threat == Threat::Spies;
        let mut praised: Vec<usize> = (self.honest()..self.all())
            .filter(|who| *who != hostile && !(is_spies && self.is_spy(*who)))
            .collect();
        self.dice.shuffle(&mut praised);
        praised.truncate(MAX_RECOMMENDED);
        for (resident, keys) in self.residents.iter_mut().zip(&self.keys) {
            if resident.citizen.is_banned(self.now, &keys[hostile]) {
                continue;
            }
            resident.citizen.link(keys[hostile]);
            let body = praise(praised.iter().map(|who| keys[*who]).collect());
            resident.citizen.handle_bytes(self.now, keys[hostile], body);
        }
    }

    // --- links ---

    /// What a discovery interval does to the links of a resident's own choice.
    fn tend_links(&mut self, who: usize) {
        let target = PeersConfig::default().min_peers;
        let (now, keys) = (self.now, &self.keys[who]);
        let resident = &mut self.residents[who];
        let citizen = &resident.citizen;
        let lost = resident.links.extract_if(.., |other, _| citizen.is_banned(now, &keys[*other]));
        for other in lost.map(|(other, _)| other).collect::<Vec<_>>() {
            self.hang_up(who, other);
        }
        while self.residents[who].links.len() < target && self.dial(who) {}
        let links = self.residents[who].links.len();
        if links <= target + SLACK {
            self.residents[who].too_many = 0;
            self.dial(who);
            return;
        }
        self.residents[who].too_many += 1;
        if self.residents[who].too_many > PATIENCE {
            if self.dice.index(links) < MAX_ANCHORS {
                self.residents[who].too_many = 0;
            } else {
                self.prune(who);
            }
        }
    }

    /// Of two that are drawn the one of the higher regard. False if there is nobody.
    fn dial(&mut self, who: usize) -> bool {
        let Resident { citizen, links, .. } = &self.residents[who];
        let keys = &self.keys[who];
        let can = |other: &usize| {
            *other != who
                && !links.contains_key(other)
                && !citizen.is_banned(self.now, &keys[*other])
        };
        let able: Vec<usize> = (0..self.all()).filter(can).collect();
        if able.is_empty() {
            return false;
        }
        let mut draw = || able[self.dice.index(able.len())];
        let (a, b) = (draw(), draw());
        let is_first = citizen.regard(&keys[a]) >= citizen.regard(&keys[b]);
        let other = if is_first { a } else { b };
        let key = keys[other];
        let Resident { citizen, links, .. } = &mut self.residents[who];
        links.insert(other, self.now.mono);
        citizen.link(key);
        let me = citizen.id;
        if other < self.honest() {
            self.residents[other].citizen.link(me);
        }
        true
    }

    /// Ends the link to the least trusted, but for the anchors, that last longest, and young ones.
    fn prune(&mut self, who: usize) {
        let resident = &self.residents[who];
        let mut by_age: Vec<(Instant, usize)> =
            resident.links.iter().map(|(other, since)| (*since, *other)).collect();
        by_age.sort_unstable();
        let old = by_age.into_iter().skip(MAX_ANCHORS);
        let mut old: Vec<usize> = old
            .filter(|(since, _)| self.now.mono.since(*since) > MINUTE)
            .map(|(_, other)| other)
            .collect();
        self.dice.shuffle(&mut old);
        let regard = |other: &usize| resident.citizen.regard(&self.keys[who][*other]);
        let least = old.iter().min_by(|a, b| regard(a).total_cmp(&regard(b)));
        if let Some(&other) = least {
            self.residents[who].links.remove(&other);
            self.hang_up(who, other);
        }
    }

    /// One link of `who` is no more. Who means harm knocks again, unless it is refused.
    fn hang_up(&mut self, who: usize, other: usize) {
        if other < self.honest() && !self.residents[other].links.contains_key(&who) {
            let (me, you) = (self.residents[who].citizen.id, self.residents[other].citizen.id);
            self.residents[who].citizen.unlink(&you);
            self.residents[other].citizen.unlink(&me);
        }
    }

    // --- services ---

    /// A resident asks somebody for something. Whether it was good; `None`: there is nobody to ask.
    fn ask(&mut self, who: usize) -> Option<bool> {
        let other = match self.plan.choice {
            Choice::Links => {
                let links: Vec<usize> = self.residents[who].links.keys().copied().collect();
                *links.get(self.dice.index(links.len()))?
            }
            Choice::Offers => self.best_offer(who)?,
            Choice::Chance => {
                let others: Vec<usize> = (0..self.all()).filter(|other| *other != who).collect();
                *others.get(self.dice.index(others.len()))?
            }
        };
        let is_good = self.serves_well(other);
        let key = self.keys[who][other];
        let citizen = &mut self.residents[who].citizen;
        citizen.handle_service(self.now, key, is_good);
        let is_seen_through = citizen.regard(&key) < citizen.initial(self.now);
        if is_seen_through && other >= self.honest() && self.plan.threat == Threat::Whitewash {
            self.change_key(who, other);
        }
        Some(is_good)
    }

    fn best_offer(&mut self, who: usize) -> Option<usize> {
        let (citizen, keys) = (&self.residents[who].citizen, &self.keys[who]);
        let can = |other: &usize| *other != who && !citizen.is_banned(self.now, &keys[*other]);
        let mut able: Vec<usize> = (0..self.all()).filter(can).collect();
        self.dice.shuffle(&mut able);
        able.truncate(OFFERS);
        let offers = able.into_iter().map(|other| (citizen.regard(&keys[other]), other));
        let best = offers.max_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        best.map(|(_, other)| other)
    }

    fn serves_well(&mut self, who: usize) -> bool {
        if who < self.honest() {
            return !self.dice.chance(self.plan.mistakes);
        }
        match self.plan.threat {
            Threat::Alone | Threat::Collective | Threat::Whitewash => false,
            Threat::Camouflage(bad) => !self.dice.chance(bad),
            Threat::Spies => self.is_spy(who),
        }
    }

    fn is_spy(&self, hostile: usize) -> bool {
        (hostile - self.honest()).is_multiple_of(2)
    }

    /// Somebody is seen no more, and a stranger comes.
    fn change_key(&mut self, who: usize, hostile: usize) {
        self.made += 1;
        let key = self.seed.stream(&format!("new key {}", self.made)).bytes();
        let old = core::mem::replace(&mut self.keys[who][hostile], NodeId::from_bytes(key));
        let resident = &mut self.residents[who];
        resident.links.remove(&hostile);
        resident.citizen.unlink(&old);
        resident.citizen.link(self.keys[who][hostile]);
    }
}

impl Threat {
    fn praises(self) -> bool {
        matches!(self, Self::Collective | Self::Camouflage(_) | Self::Spies)
    }
}

/// When everything begins.
pub(super) const START: Now = Now {
    mono: Instant::from_micros(5_000_000),
    wall: WallTime::from_unix_micros(1_800_000_000_000_000),
};
const MINUTE: Duration = Duration::from_secs(60);
/// How many offer what is asked for.
const OFFERS: usize = 10;
/// As in `peers/outbound.rs`: links above those aimed at, and how long they are borne.
const SLACK: usize = 2;
const PATIENCE: u32 = 2;
