//! A node that restarts while an attacker wants to be all that it sees (Heilman et al. 2015,
//! "Eclipse Attacks on Bitcoin's Peer-to-Peer Network"; Marcus et al. 2018, "Low-Resource Eclipse
//! Attacks on Ethereum's Peer-to-Peer Network").
//!
//! The victim is the shipped [`Peers`](positron_proto::peers::Peers) alone; everybody else is made
//! up, so that a restart takes milliseconds. What the victim keeps is written as rows, and read
//! back.
//! The attacker knows the code and not the victim's dice: its identities answer every dial, name
//! only one another, take every slot for guests, give it to the next of them after a while, so that
//! each is found at its address, and announce each other without being asked.

mod people;
mod play;

use std::iter;

use positron_proto::{rng::Seed, time::Duration};

use self::{
    people::{People, Places, START},
    play::Play,
};
use super::{
    experiment::Findings,
    figure::{Figure, Target},
};
use crate::dice::named_dice;

const fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}

/// How it is called.
pub const ECLIPSE: &str = "eclipse";

/// Restarts of a node that was attacked, and how often it found an honest node again.
///
/// A life before the attack and under it is played [`lives`](Self::lives) times for each attack;
/// each of these ends in `restarts / lives` restarts with other dice.
#[derive(Clone, Copy, Debug)]
pub struct EclipseExperiment {
    /// Honest nodes.
    pub honest: usize,
    /// Restarts for each attack.
    pub restarts: usize,
    /// Lives before them.
    pub lives: usize,
    /// How long the victim runs before it is attacked.
    pub calm: Duration,
    /// How long it is attacked at most before it restarts.
    pub siege: Duration,
    /// How many identities an attacker has at most.
    pub identities: usize,
}

/// One attack.
struct Attack {
    /// Identities, and where they are.
    hostile: (usize, Places),
    siege: Duration,
    /// All bootstrap nodes of the restart are the attacker's.
    poisoned: bool,
    soon: &'static str,
    late: &'static str,
    others: [&'static str; 2],
    least: f64,
    published: Option<&'static str>,
}

const ATTACKS: [Attack; 4] = [
    Attack {
        hostile: (10_000, Places::Hosts(2)),
        siege: hours(24),
        poisoned: false,
        soon: "two hosts: an honest link after 2 min",
        late: "two hosts: after an hour",
        others: ["two hosts: honest of what was kept", "two hosts: honest of links after an hour"],
        least: 100.0,
        published: Some("eclipsed, geth before 1.8 (Marcus 2018)"),
    },
    Attack {
        hostile: (32 * 254, Places::Blocks(32)),
        siege: hours(24),
        poisoned: false,
        soon: "32 networks: an honest link after 2 min",
        late: "32 networks: after an hour",
        others: [
            "32 networks: honest of what was kept",
            "32 networks: honest of links after an hour",
        ],
        least: 99.0,
        published: Some("below 15 %, bitcoin of 2015 (Heilman 2015)"),
    },
    Attack {
        hostile: (4_600, Places::Spread),
        siege: hours(24 * 7),
        poisoned: false,
        soon: "4,600 networks: an honest link after 2 min",
        late: "4,600 networks: after an hour",
        others: [
            "4,600 networks: honest of what was kept",
            "4,600 networks: honest of links after an hour",
        ],
        least: 80.0,
        published: Some("below 15 %, bitcoin of 2015 (Heilman 2015)"),
    },
    Attack {
        hostile: (64, Places::Spread),
        siege: hours(0),
        poisoned: true,
        soon: "bootstrap: an honest link after 2 min",
        late: "bootstrap: after an hour",
        others: ["bootstrap: honest of what was kept", "bootstrap: honest of links after an hour"],
        least: 100.0,
        published: None,
    },
];

/// What became of the restarts.
#[derive(Default)]
struct Tally {
    restarts: usize,
    soon: usize,
    late: usize,
    kept: (usize, usize),
    links: (usize, usize),
}

/// As many restarts as there are honest nodes, after ten lives of a day and a week of attack.
pub const fn eclipse(honest: usize) -> EclipseExperiment {
    EclipseExperiment {
        honest,
        restarts: honest,
        lives: 10,
        calm: hours(24),
        siege: hours(24 * 7),
        identities: usize::MAX,
    }
}

impl EclipseExperiment {
    /// Plays it with the dice of `seed`, and tells after each life of which attack it was, from 0
    /// on, and how many of its restarts are over.
    pub fn play(&self, seed: u64, mut progress: impl FnMut(usize, usize)) -> Findings {
        let mut figures = Vec::new();
        for (number, attack) in ATTACKS.iter().enumerate() {
            let tally = self.play_attack(attack, seed, |restarts| progress(number, restarts));
            figures.extend(tally.figures(attack));
        }
        Findings {
            name: ECLIPSE,
            nodes: self.honest,
            seed,
            figures,
            spread_ms: Vec::new(),
            spread_without_ms: None,
            report: None,
        }
    }

    fn play_attack(&self, attack: &Attack, seed: u64, mut progress: impl FnMut(usize)) -> Tally {
        let seed = Seed::from_number(seed).child(attack.soon);
        let (identities, places) = attack.hostile;
        let hostile = (identities.min(self.identities), places);
        let cast = People::new(&mut named_dice(&seed, "cast"), self.honest, hostile);
        let mut tally = Tally::default();
        for life in 0..self.lives {
            let seed = seed.child(&format!("life {life}"));
            let mut before = Play::new(&cast, &seed, START, 0..3, Vec::new(), false);
            before.run(self.calm);
            if !attack.poisoned {
                before.attack();
            }
            before.run(attack.siege.min(self.siege));
            let (kept, mut now) = (before.remembered(), before.now);
            tally.kept = sum(tally.kept, before.kept());
            now.mono = now.mono + DOWNTIME;
            now.wall = now.wall + DOWNTIME;
            for restart in (life..self.restarts).step_by(self.lives) {
                let seed = seed.child(&format!("restart {restart}"));
                let bootstrap = if attack.poisoned { self.honest..cast.len() } else { 0..3 };
                let mut after = Play::new(&cast, &seed, now, bootstrap, kept.clone(), true);
                after.run(SOON);
                tally.soon += usize::from(after.outbound().0 > 0);
                after.run(LATE.saturating_sub(SOON));
                tally.late += usize::from(after.outbound().0 > 0);
                tally.links = sum(tally.links, after.outbound());
                tally.restarts += 1;
            }
            progress(tally.restarts);
        }
        tally
    }
}

impl Tally {
    fn figures(&self, attack: &Attack) -> impl Iterator<Item = Figure> {
        let percent = |some: usize, all: usize| some as f64 / all.max(1) as f64 * 100.0;
        let target = Target::AtLeast(attack.least);
        let of_pair = |(honest, hostile): (usize, usize)| percent(honest, honest + hostile);
        let soon = percent(self.soon, self.restarts);
        let late = percent(self.late, self.restarts);
        let published = attack.published;
        let soon = Figure { what: attack.soon, measured: soon, unit: "%", target, published };
        let late = Figure { what: attack.late, measured: late, unit: "%", target, published: None };
        let kept = Figure::told(attack.others[0], of_pair(self.kept), "%");
        let links = Figure::told(attack.others[1], of_pair(self.links), "%");
        iter::once(soon).chain([late, kept, links])
    }
}

const fn sum(a: (usize, usize), b: (usize, usize)) -> (usize, usize) {
    (a.0 + b.0, a.1 + b.1)
}

/// How long the victim is not there.
const DOWNTIME: Duration = Duration::from_secs(300);
/// When its links are looked at.
const SOON: Duration = Duration::from_secs(120);
const LATE: Duration = hours(1);
