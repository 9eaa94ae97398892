//! Whole nodes that mean well, where packets are lost and clocks are wrong: what they make of one
//! another, alone and among traitors.

use std::collections::{BTreeMap, BTreeSet};

use positron_proto::{
    id::NodeId,
    misbehavior::Observation,
    time::{Duration, Instant, Now, WallTime},
};

use super::super::figure::Figure;
use crate::{
    adversary::{Adversary, Attack},
    physics::Physics,
    report::{Progress, Report},
    scenario::{Check, Fault, Scenario},
    selector::Selector,
    world::World,
};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Time in which nodes find each other before anybody speaks, and after the last word.
const SETTLING: Duration = secs(30);
/// Broadcasts a second, by any of all nodes, and how large each is.
const PACE: usize = 20;
const BYTES: usize = 256;
/// Packets that are lost.
const LOSS: f64 = 0.05;
/// How wrong a clock is at first, in either direction, and how far it jumps then, in turn forward
/// and back: two minutes at most.
const SKEW: Duration = secs(60);
const JUMP: i64 = 60;
/// Time between two jumps.
const BETWEEN_JUMPS: Duration = secs(20);
/// Every this many nodes one has a clock that jumps.
const JUMPING: usize = 3;

/// What nodes that mean well made of one another.
#[derive(Default)]
pub(super) struct Opinions {
    /// Who refused whom, at any time.
    bans: BTreeSet<(usize, NodeId)>,
    /// Who had whom below a stranger's score, at any time, and whether for a wrong.
    demoted: BTreeMap<(usize, NodeId), bool>,
    /// Scores that there were at the end, and the lowest that there ever was.
    scores: usize,
    lowest: f64,
    /// How often what was held against somebody, in all.
    held: BTreeMap<Observation, u64>,
}

/// What a story came to.
pub(super) struct Judged {
    pub(super) opinions: Opinions,
    pub(super) report: Report,
}

/// So many nodes broadcast until there were so many deliveries.
pub(super) fn story(nodes: usize, deliveries: usize) -> Scenario {
    let broadcasts = deliveries.div_ceil(nodes - 1);
    let talk = Duration::from_secs_f64(broadcasts.div_ceil(PACE) as f64);
    let end = SETTLING + talk;
    let physics = Physics { loss: LOSS, clock_skew: SKEW, ..Physics::default() };
    let broadcasts = u32::try_from(broadcasts).unwrap_or(u32::MAX);
    let mut story = Scenario::quiet("opinions of the honest", nodes, end + SETTLING)
        .physics(physics)
        .broadcasts(broadcasts, BYTES, SETTLING, end);
    let jumping: Vec<usize> = (0..nodes).step_by(JUMPING).collect();
    let (mut at, mut seconds) = (SETTLING, JUMP);
    while at < end {
        let who = Selector::Nodes(jumping.clone());
        story = story.fault(at, Fault::TurnClock { who, seconds });
        (at, seconds) = (at + BETWEEN_JUMPS, -seconds);
    }
    story
}

/// The same among traitors, one of each kind.
pub(super) fn slander(nodes: usize, deliveries: usize) -> Scenario {
    let mut story = story(nodes, deliveries).waive(Check::Isolation);
    story.name = "opinions of the honest among traitors".into();
    story.guests = ATTACKS.map(Adversary::Byzantine).into();
    story
}

/// Plays it, and looks at all scores each second.
pub(super) fn play(
    story: &Scenario,
    seed: u64,
    progress: &mut impl FnMut(&str, &Progress),
) -> Judged {
    let mut world = World::new(story, seed);
    let mut opinions = Opinions { lowest: f64::INFINITY, ..Opinions::default() };
    let honest: BTreeSet<NodeId> = (0..story.nodes).map(|node| world.id(node)).collect();
    let mut until = Duration::ZERO;
    while until < story.duration {
        until = (until + secs(1)).min(story.duration);
        world.run_until(until);
        opinions.look(&world, &honest);
        progress(&story.name, &world.progress());
    }
    opinions.look_back(&world, &honest);
    Judged { opinions, report: world.finish() }
}

impl Opinions {
    fn look(&mut self, world: &World, honest: &BTreeSet<NodeId>) {
        let live: Vec<usize> = world.live().collect();
        for by in live {
            let Some(node) = world.node(by) else { continue };
            for (&peer, standing) in node.trust().standings().iter() {
                if !honest.contains(&peer) {
                    continue;
                }
                self.lowest = self.lowest.min(standing.score);
                if standing.banned_until.is_some() {
                    self.bans.insert((by, peer));
                }
                let account = node.trust().account(long_ago(), &peer);
                if standing.score < account.initial - ROUNDING {
                    let is_wrong = !account.recent.is_empty();
                    *self.demoted.entry((by, peer)).or_default() |= is_wrong;
                }
            }
        }
    }

    fn look_back(&mut self, world: &World, honest: &BTreeSet<NodeId>) {
        let live: Vec<usize> = world.live().collect();
        for node in live.into_iter().filter_map(|node| world.node(node)) {
            let known = node.trust().standings().iter().map(|(peer, _)| peer);
            for peer in known.filter(|peer| honest.contains(peer)) {
                self.scores += 1;
                for total in node.trust().account(long_ago(), peer).totals {
                    if total.change < 0.0 {
                        *self.held.entry(total.observation).or_default() += total.times;
                    }
                }
            }
        }
    }

    /// Pairs of whom one has the other below a stranger's score, for nothing but silence.
    fn silent(&self) -> usize {
        self.demoted.values().filter(|is_wrong| !**is_wrong).count()
    }

    /// How often silence was held against somebody.
    fn silences(&self) -> u64 {
        self.held.get(&Observation::TimedOut).copied().unwrap_or(0)
    }

    /// How often a wrong was.
    fn wrongs(&self) -> u64 {
        self.held.values().sum::<u64>() - self.silences()
    }
}

impl Judged {
    pub(super) fn figures(&self, deliveries: usize) -> Vec<Figure> {
        let broken = self.report.violations.len();
        vec![
            told("honest: deliveries", self.report.deliveries as f64).at_least(deliveries as f64),
            told("honest: bans of one another", self.opinions.bans.len() as f64).at_most(0.0),
            told("honest: pairs below a stranger's score", self.opinions.demoted.len() as f64)
                .at_most(0.0),
            told("honest: pairs that have a score", self.opinions.scores as f64),
            told("honest: the lowest score", self.opinions.lowest),
            told("honest: pairs below it for silence alone", self.opinions.silent() as f64),
            told("honest: silences held against them", self.opinions.silences() as f64),
            told("honest: wrongs held against them", self.opinions.wrongs() as f64),
            told("honest: broken promises of the world's checks", broken as f64).at_most(0.0),
        ]
    }

    /// The same of the story with traitors, with the names of that.
    pub(super) fn figures_of_slander(&self) -> Vec<Figure> {
        let broken = self.report.violations.len();
        vec![
            told("traitors: bans of the honest", self.opinions.bans.len() as f64).at_most(0.0),
            told("traitors: wrongs held against the honest", self.opinions.wrongs() as f64)
                .at_most(0.0),
            told("traitors: silences held against the honest", self.opinions.silences() as f64),
            told("traitors: honest below a stranger's score", self.opinions.demoted.len() as f64),
            told("traitors: the lowest honest score", self.opinions.lowest),
            told("traitors: broken promises of the world's checks", broken as f64).at_most(0.0),
        ]
    }
}

fn told(what: &'static str, measured: f64) -> Figure {
    Figure::told(what, measured, "")
}

/// A time that means nothing: what is asked about is known.
const fn long_ago() -> Now {
    Now { mono: Instant::ORIGIN, wall: WallTime::from_unix_micros(0) }
}

/// All that traitors do.
const ATTACKS: [Attack; 9] = [
    Attack::Forge,
    Attack::Replay,
    Attack::Equivocate,
    Attack::ThrowAway,
    Attack::Withhold,
    Attack::Flood,
    Attack::Announce,
    Attack::Usurp,
    Attack::Boast,
];
/// A sum of hundredths is not quite what it should be.
const ROUNDING: f64 = 1e-9;
