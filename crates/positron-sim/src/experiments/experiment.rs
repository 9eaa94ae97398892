//! A story that is played and measured.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use positron_proto::{
    id::NodeId,
    time::{Duration, Instant},
    trust::TrustConfig,
};

use super::{
    figure::Figure,
    ledger::{Ledger, Reach},
};
use crate::{
    clock::at,
    report::{Progress, Report},
    scenario::Scenario,
    witness::Witness,
    world::World,
};

/// Time between two looks at how much was sent.
const STEP: Duration = Duration::from_millis(200);

/// A story of gossip, and what is promised of it.
#[derive(Clone, Debug)]
pub struct GossipExperiment {
    /// What it is called.
    pub name: &'static str,
    /// What happens in it.
    pub story: Scenario,
    /// The same story without what it is about, if that is measured beside it.
    pub without: Option<Scenario>,
    /// Broadcasts that are said in this time are looked at.
    pub span: (Duration, Duration),
    /// Whoever runs for so long after the saying has to have one by then.
    pub patience: Duration,
    pub(super) figures: fn(&Played, Option<&Played>) -> Vec<Figure>,
}

/// What a story came to.
pub(super) struct Played {
    pub(super) story: Scenario,
    pub(super) report: Report,
    pub(super) ledger: Ledger,
    /// Of the broadcasts that are looked at.
    pub(super) reach: Reach,
    /// Bytes that nodes had given to links, each [`STEP`].
    wire_bytes: Vec<u64>,
    /// What part of all nodes that ran the largest connected part had, at each checkpoint.
    pub(super) connected: Vec<f64>,
    /// What part of all peers of nodes are guests, when the broadcasts that are looked at begin and
    /// at the end.
    pub(super) guests: [f64; 2],
    /// What each node that runs makes of each guest, at the end.
    pub(super) regards: Vec<Regard>,
}

/// What a node makes of a guest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Regard {
    /// What of the way from a stranger's score to the one below which a guest is banned it has
    /// gone: 0 and less is a stranger or better, 1 and more is one that is at the ban.
    pub(super) fallen: f64,
    /// How long they are linked, if they are.
    pub(super) linked_for: Option<Duration>,
}

/// What an experiment came to.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Findings {
    /// What it is called.
    pub name: &'static str,
    /// How many nodes.
    pub nodes: usize,
    /// The seed.
    pub seed: u64,
    /// What was measured.
    pub figures: Vec<Figure>,
    /// By when each hundredth of all deliveries in the span that is looked at had come, in
    /// milliseconds since the sender had it on disk: from 1 % to 100 %.
    pub spread_ms: Vec<f64>,
    /// The same without what the experiment is about, if that was played.
    pub spread_without_ms: Option<Vec<f64>>,
    /// What the story came to, if whole nodes played it.
    pub report: Option<Report>,
}

impl GossipExperiment {
    /// Plays it with the dice of `seed`, and tells how far it is.
    pub fn play(&self, seed: u64, progress: impl FnMut(&Progress)) -> Findings {
        self.play_watched(seed, progress, |_| None)
    }

    /// The same as [`play`](Self::play), and tells the witness that there is at the beginning
    /// everything that happens in the story, but not in the one [without](Self::without).
    pub fn play_watched(
        &self,
        seed: u64,
        mut progress: impl FnMut(&Progress),
        witness: impl FnOnce(&World) -> Option<Witness>,
    ) -> Findings {
        let without = self.without.as_ref();
        let without =
            without.map(|story| self.play_one(story, World::new(story, seed), None, &mut progress));
        let world = World::new(&self.story, seed);
        let witness = witness(&world);
        let played = self.play_one(&self.story, world, witness, &mut progress);
        let mut figures = (self.figures)(&played, without.as_ref());
        let broken = played.report.violations.len() as f64;
        figures
            .push(Figure::told("broken promises of the world's checks", broken, "").at_most(0.0));
        Findings {
            name: self.name,
            nodes: self.story.nodes,
            seed,
            figures,
            spread_ms: spread(&played.reach),
            spread_without_ms: without.map(|without| spread(&without.reach)),
            report: Some(played.report),
        }
    }

    fn play_one(
        &self,
        story: &Scenario,
        mut world: World,
        mut witness: Option<Witness>,
        progress: &mut impl FnMut(&Progress),
    ) -> Played {
        let ledger = Ledger::new(story.nodes).with_guests(!story.guests.is_empty());
        let ledger = Arc::new(Mutex::new(ledger));
        let book = Arc::clone(&ledger);
        world.watch(Box::new(move |at, seen| {
            if let Some(witness) = &mut witness {
                witness(at, seen);
            }
            book.lock().unwrap_or_else(PoisonError::into_inner).handle_seen(at, seen);
        }));
        let (mut wire_bytes, mut connected, mut guests) = (vec![0], Vec::new(), [0.0; 2]);
        let mut until = Duration::ZERO;
        while until < story.duration {
            until = (until + STEP).min(story.duration);
            world.run_until(until);
            let now = world.progress();
            wire_bytes.push(now.wire_bytes);
            let is_reached = |time: &Duration| until.saturating_sub(STEP) < *time && *time <= until;
            let looks = story.checkpoints.iter().filter(|look| is_reached(look));
            connected.extend(looks.map(|_| ratio_of(world.connected(), now.live_nodes)));
            if is_reached(&self.span.0) {
                guests[0] = part_of_guests(&world, story);
            }
            if until.subsec_nanos() == 0 {
                progress(&now);
            }
        }
        guests[1] = part_of_guests(&world, story);
        let regards = regards(&world, story);
        let report = world.finish();
        let ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let reach = ledger.reach((at(self.span.0), at(self.span.1)), self.patience);
        Played {
            story: story.clone(),
            report,
            ledger,
            reach,
            wire_bytes,
            connected,
            guests,
            regards,
        }
    }
}

impl Findings {
    /// Whether everything is as was promised.
    pub fn is_met(&self) -> bool {
        self.figures.iter().all(Figure::is_met)
    }

    /// The figure of this name.
    pub fn figure(&self, what: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.what == what)
    }
}

impl Played {
    /// Bytes that nodes gave to links until then.
    pub(super) fn bytes_until(&self, at: Instant) -> u64 {
        let steps = at.since(Instant::ORIGIN).as_micros().div_ceil(STEP.as_micros());
        let steps = usize::try_from(steps).unwrap_or(usize::MAX);
        self.wire_bytes.get(steps).or(self.wire_bytes.last()).copied().unwrap_or(0)
    }

    /// Bytes that a node gave to links in the time that is looked at, on average.
    pub(super) fn bytes_a_node(&self, (from, until): (Duration, Duration)) -> f64 {
        let bytes = self.bytes_until(at(until)) - self.bytes_until(at(from));
        bytes as f64 / self.story.nodes as f64
    }

    /// What is told of every story: whom broadcasts reached, and how late.
    pub(super) fn reached(&self) -> Vec<Figure> {
        let Reach { broadcasts, lost, due, .. } = self.reach;
        let told = |what, number: usize| Figure::told(what, number as f64, "");
        vec![
            told("broadcasts", broadcasts).at_least(1.0),
            told("broadcasts that died with their sender", lost),
            told("deliveries that were due", due).at_least(1.0),
            told("deliveries that were missing", self.reach.missing()).at_most(0.0),
            told("second deliveries in one life", self.doubled()).at_most(0.0),
            Figure::told("delivery, half", self.reach.ms(0.5), "ms"),
            Figure::told("delivery, 99 of 100", self.reach.ms(0.99), "ms"),
            Figure::told("delivery, the last", self.reach.ms(1.0), "ms"),
        ]
    }

    /// What part of all deliveries that were due came in time.
    pub(super) fn share_in_time(&self) -> f64 {
        ratio_of(self.reach.micros.len(), self.reach.due)
    }

    fn doubled(&self) -> usize {
        usize::try_from(self.report.duplicate_deliveries).unwrap_or(usize::MAX)
    }
}

/// Each hundredth of what came in time.
fn spread(reach: &Reach) -> Vec<f64> {
    if reach.micros.is_empty() {
        return Vec::new();
    }
    (1..=100).map(|percent| reach.ms(f64::from(percent) / 100.0)).collect()
}

/// What each node that runs makes of each guest.
fn regards(world: &World, story: &Scenario) -> Vec<Regard> {
    let guests: Vec<NodeId> =
        (0..story.guests.len()).map(|guest| world.id(story.nodes + guest)).collect();
    let TrustConfig { initial_score, min_threshold, .. } = story.config.trust;
    let of_node = |node: usize| {
        let (core, view) = (world.node(node)?, world.view(node)?);
        let standings = core.trust().standings();
        let of_guest = |guest: &NodeId| Regard {
            fallen: (initial_score - standings.of(guest).score) / (initial_score - min_threshold),
            linked_for: view
                .peers
                .iter()
                .find(|peer| peer.session.peer.id == *guest)
                .map(|peer| peer.connected_for),
        };
        Some(guests.iter().map(of_guest).collect::<Vec<_>>())
    };
    world.live().filter_map(of_node).flatten().collect()
}

/// What part of all peers of nodes are guests.
fn part_of_guests(world: &World, story: &Scenario) -> f64 {
    let guests: BTreeSet<NodeId> =
        (0..story.guests.len()).map(|guest| world.id(story.nodes + guest)).collect();
    let views = world.live().filter_map(|node| world.view(node));
    let peers: Vec<NodeId> =
        views.flat_map(|view| view.peers).map(|peer| peer.session.peer.id).collect();
    ratio_of(peers.iter().filter(|peer| guests.contains(peer)).count(), peers.len())
}

pub(super) fn ratio_of(some: usize, all: usize) -> f64 {
    some as f64 / all.max(1) as f64
}
