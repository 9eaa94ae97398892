//! The network falls apart and is whole again, many times.

use positron_proto::time::{Duration, Instant};

use super::{
    experiment::{GossipExperiment, Played},
    figure::Figure,
};
use crate::{
    clock::at,
    dice::mix,
    physics::Physics,
    scenario::{Cut, Fault, Scenario},
    selector::Selector,
};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Time in which nodes find each other before the first round.
const SETTLING: Duration = secs(25);
/// How long a network is parted.
const PARTED: Duration = secs(20);
/// By when all have to have the same, after it is whole again.
const HEALED: Duration = secs(30);
/// And a pause of five seconds.
const ROUND: Duration = secs(55);
/// What is said while a network is parted, by anybody, and how large it is.
const BROADCASTS: u32 = 40;
const BYTES: usize = 1_024;
/// Time between two changes of a network that flaps.
const FLAP: Duration = secs(2);
/// Bytes that each pair across the two sides may take beside twice what was missing.
const PAIR: u64 = 64 * 1_024;

/// Rounds in which the network is parted for 20 s, while 40 messages of 1 KiB are said, and then
/// whole for half a minute, by the end of which everybody has the same. In turn: two halves, a
/// tenth apart, a half that hears the others and is not heard, and two halves that lose each other
/// and meet again every two seconds.
pub fn partitions(nodes: usize, rounds: u32) -> GossipExperiment {
    let end = SETTLING + ROUND * rounds;
    let mut story = Scenario::quiet("partitions", nodes, end).physics(Physics::calm());
    for round in 0..rounds {
        let from = SETTLING + ROUND * round;
        let heal = from + PARTED;
        let whose = side(nodes, round);
        let part = |cut| Fault::Partition { side: Selector::Nodes(whose.clone()), cut };
        let changes = match round % 4 {
            0 => vec![(from, part(Cut::Sever))],
            1 => vec![(from, part(Cut::Hold))],
            2 => vec![(from, part(Cut::OneWay))],
            _ => (0..5)
                .flat_map(|n| {
                    let lost = from + FLAP * (2 * n + 1);
                    [(lost, part(Cut::Sever)), (lost + FLAP, Fault::Heal)]
                })
                .collect(),
        };
        story.faults.extend(changes);
        story = story.fault(heal, Fault::Heal).broadcasts(BROADCASTS, BYTES, from, heal);
        story.checkpoints.push(heal + HEALED);
    }
    GossipExperiment {
        name: "partitions",
        story,
        without: None,
        span: (SETTLING, end.saturating_sub(HEALED)),
        patience: PARTED + HEALED,
        figures,
    }
}

/// One side of a round: half of the nodes, others each time, or a tenth.
fn side(nodes: usize, round: u32) -> Vec<usize> {
    let round = usize::try_from(round).unwrap_or(0);
    let wanted = if round % 4 == 1 { nodes.div_ceil(10) } else { nodes / 2 };
    let mut all: Vec<usize> = (0..nodes).collect();
    all.sort_by_key(|node| mix((node << 8 | round) as u64));
    all.truncate(wanted);
    all
}

fn figures(played: &Played, _without: Option<&Played>) -> Vec<Figure> {
    let rounds: Vec<Round> = (0_u32..)
        .zip(&played.story.checkpoints)
        .map(|(round, look)| Round::of(played, round, *look))
        .collect();
    let most = |of: fn(&Round) -> f64| rounds.iter().map(of).fold(0.0, f64::max);
    let sum = |of: fn(&Round) -> f64| rounds.iter().map(of).sum::<f64>();
    let connected = played.connected.iter().copied().fold(1.0, f64::min) * 100.0;
    let mut figures = vec![
        Figure::told("rounds", rounds.len() as f64, "").at_least(1.0),
        Figure::told("all have the same after healing, the latest", most(|r| r.lasted), "s")
            .at_most(HEALED.as_secs_f64()),
        Figure::told(
            "missing at the healing, a round",
            sum(|r| r.missing) / rounds.len() as f64,
            "",
        ),
        Figure::told("bytes from healing to equality, of what is allowed", most(Round::cost), "%")
            .at_most(100.0),
        Figure::told(
            "bytes for each missing one, all rounds",
            sum(|r| r.bytes) / sum(|r| r.missing) / BYTES as f64,
            "",
        ),
        Figure::told("nodes in one network, the least", connected, "%").at_least(100.0),
    ];
    figures.extend(played.reached());
    figures
}

/// What a round came to.
struct Round {
    /// Seconds from the healing until all had the same.
    lasted: f64,
    /// Deliveries that were missing at the healing.
    missing: f64,
    /// Bytes that all nodes gave to links from the healing until then.
    bytes: f64,
    /// Links between the two sides then.
    pairs: f64,
}

impl Round {
    fn of(played: &Played, round: u32, look: Duration) -> Self {
        let heal = at(look.saturating_sub(HEALED));
        let ledger = &played.ledger;
        let said = (Instant::ORIGIN, heal + Duration::from_millis(100));
        let equal = ledger.all_have(said, heal);
        let side = side(played.story.nodes, round);
        Self {
            lasted: equal.since(heal).as_secs_f64(),
            missing: ledger.missing(said, heal) as f64,
            bytes: (played.bytes_until(equal) - played.bytes_until(heal)) as f64,
            pairs: ledger.links_across(&side, equal) as f64,
        }
    }

    /// In percent of what is allowed.
    fn cost(&self) -> f64 {
        100.0 * self.bytes / (2.0 * self.missing * BYTES as f64 + self.pairs * PAIR as f64)
    }
}
