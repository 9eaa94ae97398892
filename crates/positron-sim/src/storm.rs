//! A story that nobody wrote: everything that can go wrong, drawn from a seed.

use positron_proto::{rng::Seed, session::sessions::LinkKind, time::Duration};

use crate::{
    adversary::{Adversary, Attack},
    dice::{Dice, named_dice},
    physics::Physics,
    scenario::{BootstrapBy, Cut, Death, Fault, Listen, Scenario, Workload},
    selector::Selector,
};

/// When the last thing goes wrong.
const STORM_ENDS: Duration = Duration::from_secs(60);
/// When everybody must have caught up. Twice the longest wait before a bootstrap address is dialled
/// again, and a little.
const CALM_ENDS: Duration = Duration::from_secs(125);

/// A minute of faults of every kind on laws of its own, both drawn from `seed`; then the
/// network is whole again, and has a minute to heal.
pub fn storm(nodes: usize, seed: u64) -> Scenario {
    let mut dice = named_dice(&Seed::from_number(seed), "storm");
    let mut story = Scenario::quiet("storm", nodes, CALM_ENDS).physics(laws(&mut dice));
    story.bootstraps = 1 + dice.index(3).min(nodes - 1);
    story.listen = *pick(&mut dice, &[Listen::Address, Listen::Port]);
    story.bootstrap_by = *pick(&mut dice, &[BootstrapBy::Address, BootstrapBy::Name]);
    story.absent = (1..nodes).filter(|_| dice.chance(0.1)).collect();
    for _ in 0..dice.index(4) {
        story.guests.push(guest(&mut dice));
    }
    for _ in 0..10 + dice.index(60) {
        let at = dice.between((Duration::from_secs(1), STORM_ENDS));
        let saying = saying(&mut dice, nodes);
        story = story.say(at, saying);
    }
    for _ in 0..dice.index(25) {
        let at = dice.between((Duration::from_secs(1), STORM_ENDS));
        let fault = fault(&mut dice);
        story = story.fault(at, fault);
    }
    story
        .fault(STORM_ENDS, Fault::Heal)
        .fault(STORM_ENDS, Fault::Unfilter(Selector::All))
        .fault(STORM_ENDS, Fault::ReadAgain(Selector::All))
        .fault(STORM_ENDS + Duration::from_secs(6), Fault::Start(Selector::All))
}

pub(crate) fn pick<'a, T>(dice: &mut Dice, from: &'a [T]) -> &'a T {
    &from[dice.index(from.len())]
}

pub(crate) fn laws(dice: &mut Dice) -> Physics {
    let mut laws = Physics {
        loss: *pick(dice, &[0.0, 0.02, 0.05, 0.1]),
        kernel_buffer: *pick(dice, &[32 << 10, 64 << 10, 256 << 10]),
        rate: *pick(dice, &[None, None, Some(2_000_000)]),
        clock_skew: Duration::from_secs(*pick(dice, &[0, 1, 60])),
        ..Physics::default()
    };
    if dice.chance(0.3) {
        laws = laws.slow_disks();
    }
    if dice.chance(0.3) {
        laws = laws.slow_verdicts();
    }
    laws
}

fn guest(dice: &mut Dice) -> Adversary {
    *pick(
        dice,
        &[
            Adversary::Outsider,
            Adversary::Byzantine(Attack::Forge),
            Adversary::Byzantine(Attack::Replay),
            Adversary::Byzantine(Attack::Withhold),
            Adversary::Byzantine(Attack::Flood),
        ],
    )
}

fn saying(dice: &mut Dice, nodes: usize) -> Workload {
    let bytes = *pick(dice, &[1, 200, 200, 5_000, 60_000, 300_000]);
    let (from, to) = (dice.index(nodes), dice.index(nodes));
    if from != to && dice.chance(0.4) {
        return Workload::Direct { from, to, bytes };
    }
    Workload::Broadcast { from: None, bytes }
}

fn fault(dice: &mut Dice) -> Fault {
    let who = Selector::Part(*pick(dice, &[0.01, 0.2, 0.5]));
    let part = *pick(dice, &[0.1, 0.5, 1.0]);
    match dice.below(16) {
        0 | 1 => Fault::Partition { side: who, cut: *pick(dice, &[Cut::Hold, Cut::Sever]) },
        2 | 3 => Fault::Heal,
        4 => Fault::Crash { who, death: Death::Killed },
        5 => Fault::Crash { who, death: Death::PowerCut },
        6 => Fault::Start(Selector::All),
        7 => Fault::Stop(who),
        8 => Fault::Reset { who, part },
        9 => Fault::Silence { who, part },
        10 if dice.chance(0.5) => Fault::StopReading(who),
        10 => Fault::ReadAgain(Selector::All),
        11 => Fault::Filter { who, transport: *pick(dice, &[LinkKind::Udp, LinkKind::Tcp]) },
        12 => Fault::Mute(who),
        13 => Fault::Unfilter(Selector::All),
        14 => Fault::Rebind(who),
        _ => {
            let lasting = dice.between((Duration::from_millis(100), Duration::from_secs(15)));
            Fault::Freeze { who, lasting }
        }
    }
}
