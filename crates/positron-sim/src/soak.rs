//! A long story that nobody wrote: load and faults of every kind, hour after hour, from a seed.

use positron_proto::{
    limits::{MAX_PAYLOAD, RETENTION_BYTES},
    rng::Seed,
    session::sessions::LinkKind,
    time::Duration,
};

use crate::{
    dice::{Dice, named_dice},
    physics::Physics,
    scenario::{BootstrapBy, Cut, Death, Fault, Listen, Scenario, Workload},
    selector::Selector,
    storm::{laws, pick},
};

/// How long a round is: trouble, and then calm in which everything has to arrive.
const ROUND: Duration = Duration::from_secs(300);
/// How long the calm of a round is: that of a storm, and as long again as the last who start take.
const CALM: Duration = Duration::from_secs(75);
/// Nodes begin to find each other before anything goes wrong.
const QUIET: Duration = Duration::from_secs(10);
/// The part of all packets that is lost when nothing is wrong, at most: with 50 ms each way, a link
/// carries 140 kB/s then (Mathis, Semke, Mahdavi, Ott 1997), so that the calm is long enough for
/// what a round says.
const CALM_LOSS: f64 = 0.02;
/// Bytes that a round says at most: a fraction of what is kept, so that most of what is missing has
/// no excuse. Shorter rounds say less.
const ROUND_BYTES: usize = RETENTION_BYTES / 4;
/// Messages that a round says at most, for the same reason.
const ROUND_MESSAGES: usize = 4_000;

/// Rounds of five minutes, as many as fit into `length`: in each of them mixed load and faults of
/// every kind, and then a calm that ends with a checkpoint. All of it is drawn from `seed`.
pub fn soak(nodes: usize, length: Duration, seed: u64) -> Scenario {
    let mut dice = named_dice(&Seed::from_number(seed), "soak");
    let laws = Physics { loss: *pick(&mut dice, &[0.0, 0.01, CALM_LOSS]), ..laws(&mut dice) };
    let mut story = Scenario::quiet("soak", nodes, length).physics(laws.clone());
    story.bootstraps = 1 + dice.index(3).min(nodes - 1);
    story.listen = *pick(&mut dice, &[Listen::Address, Listen::Port]);
    story.bootstrap_by = *pick(&mut dice, &[BootstrapBy::Address, BootstrapBy::Name]);
    story.twins = (0..nodes).filter(|_| dice.chance(0.1)).collect();
    let rounds = (length.as_secs() / ROUND.as_secs()).max(1);
    let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
    for n in 0..rounds {
        let (begin, end) = (length * n / rounds, length * (n + 1) / rounds);
        let begin = if n == 0 { QUIET } else { begin };
        let calm = end.saturating_sub(CALM).max(begin);
        let mut round = Round { story, dice, laws: laws.clone(), begin, calm };
        round.play();
        (story, dice) = (round.story, round.dice);
        // The end is a checkpoint anyway.
        if n + 1 < rounds {
            story.checkpoints.push(end);
        }
    }
    story
}

/// One round while it is written.
struct Round {
    story: Scenario,
    dice: Dice,
    laws: Physics,
    begin: Duration,
    calm: Duration,
}

impl Round {
    fn play(&mut self) {
        let seconds = self.calm.saturating_sub(self.begin).as_secs();
        let count = |per_minute: u64| usize::try_from(seconds * per_minute / 60).unwrap_or(0);
        let (sayings, faults) = (1 + self.dice.index(count(12)), self.dice.index(count(10)));
        self.say(sayings);
        for _ in 0..faults {
            let at = self.any_time();
            self.go_wrong(at);
        }
        let after = |seconds| self.calm + Duration::from_secs(seconds);
        let right_again = [
            (after(0), Fault::Heal),
            (after(0), Fault::Unfilter(Selector::All)),
            (after(0), Fault::ReadAgain(Selector::All)),
            (after(0), Fault::GiveDiskBack(Selector::All)),
            (after(0), Fault::Change(Box::new(self.laws.clone()))),
            (after(0), Fault::Single),
            (after(6), Fault::Start(Selector::All)),
        ];
        self.story.faults.extend(right_again);
    }

    fn any_time(&mut self) -> Duration {
        self.dice.between((self.begin, self.calm))
    }

    fn any_node(&mut self) -> usize {
        self.dice.index(self.story.nodes)
    }

    // --- load ---

    /// Says things until the round has said enough.
    fn say(&mut self, mut times: usize) {
        let trouble = self.calm.saturating_sub(self.begin).min(ROUND).as_secs();
        let part = usize::try_from(ROUND.as_secs() / trouble.max(1)).unwrap_or(1);
        let most = ROUND_BYTES / part;
        let (mut bytes, mut messages) = (0, 0);
        while times > 0 && bytes < most && messages < ROUND_MESSAGES {
            times -= 1;
            let at = self.any_time();
            let (count, each, apart) = self.burst();
            let count = count.min((most - bytes).div_ceil(each)).min(ROUND_MESSAGES);
            bytes += count * each;
            messages += count;
            let (from, to) = (self.any_node(), self.any_node());
            let direct = from != to && self.dice.chance(0.3);
            for n in 0..count {
                let at = at + apart * u32::try_from(n).unwrap_or(0);
                let saying = if direct {
                    Workload::Direct { from, to, bytes: each }
                } else {
                    Workload::Broadcast { from: Some(from), bytes: each }
                };
                self.story.sayings.push((at, saying));
            }
        }
    }

    /// How many messages, of how many bytes each, how far apart.
    fn burst(&mut self) -> (usize, usize, Duration) {
        let dice = &mut self.dice;
        match dice.below(10) {
            // A train.
            0..=2 => {
                let apart = dice.between((Duration::from_millis(1), Duration::from_millis(100)));
                (20 + dice.index(200), *pick(dice, &[1, 100, 1_000]), apart)
            }
            // Floods, of many messages and of many bytes.
            3 => (500 + dice.index(2_500), *pick(dice, &[1, 50, 200]), Duration::ZERO),
            4 => (2 + dice.index(12), *pick(dice, &[64 << 10, MAX_PAYLOAD]), Duration::ZERO),
            _ => (1, *pick(dice, &[1, 100, 1_000, 20_000, 200_000, MAX_PAYLOAD]), Duration::ZERO),
        }
    }

    // --- faults ---

    fn go_wrong(&mut self, at: Duration) {
        let some = Selector::Part(*pick(&mut self.dice, &[0.01, 0.05, 0.2]));
        let node = self.any_node();
        let this = || Selector::Node(node);
        let dice = &mut self.dice;
        let later = at + dice.between((Duration::from_secs(1), Duration::from_secs(40)));
        let soon = at + dice.between((Duration::from_secs(1), Duration::from_secs(10)));
        let faults = match dice.below(16) {
            0 => vec![(at, Fault::Stop(this())), (later, Fault::Start(this()))],
            1 | 2 => {
                let death = *pick(dice, &[Death::Killed, Death::PowerCut]);
                vec![(at, Fault::Crash { who: this(), death }), (later, Fault::Start(this()))]
            }
            3 => {
                let death = *pick(dice, &[Death::Killed, Death::PowerCut]);
                let who = some;
                vec![(at, Fault::Crash { who, death }), (later, Fault::Start(Selector::All))]
            }
            4 => vec![(at, Fault::TakeDisk(this())), (soon, Fault::GiveDiskBack(this()))],
            5 => vec![(at, Fault::TakeDisk(some)), (soon, Fault::GiveDiskBack(Selector::All))],
            // Everybody knows where bootstrap nodes are, and nobody tells them otherwise.
            6 => vec![(at, Fault::Renumber(Selector::PartOfOthers(0.01)))],
            7 => {
                let seconds = *pick(dice, &[-90_000, -3_600, -5, 5, 3_600, 90_000]);
                vec![(at, Fault::TurnClock { who: some, seconds })]
            }
            8 => {
                let twin = dice.index(self.story.twins.len());
                let doubled = self.story.twins.get(twin).map(|node| (at, Fault::Double(*node)));
                doubled.into_iter().chain([(later, Fault::Single)]).collect()
            }
            9 => vec![(at, Fault::Change(Box::new(other_laws(&self.laws, dice))))],
            10 => {
                let cut = *pick(dice, &[Cut::Hold, Cut::Sever]);
                vec![(at, Fault::Partition { side: some, cut }), (later, Fault::Heal)]
            }
            11 => {
                let (who, part) = (some, *pick(dice, &[0.1, 1.0]));
                let silent = dice.chance(0.5);
                let fault =
                    if silent { Fault::Silence { who, part } } else { Fault::Reset { who, part } };
                vec![(at, fault)]
            }
            12 => {
                let transport = *pick(dice, &[LinkKind::Udp, LinkKind::Tcp]);
                let filter = Fault::Filter { who: some, transport };
                vec![(at, filter), (later, Fault::Unfilter(Selector::All))]
            }
            13 => vec![(at, Fault::Mute(this())), (later, Fault::Unfilter(this()))],
            14 => vec![(at, Fault::Rebind(some))],
            _ => vec![(at, Fault::Freeze { who: some, lasting: later.saturating_sub(at) / 2 })],
        };
        // What is to be right again in the calm is so without them.
        let calm = self.calm;
        self.story.faults.extend(faults.into_iter().filter(|(at, _)| *at < calm));
    }
}

/// More loss, other distances, slow lines, disks or workers.
fn other_laws(laws: &Physics, dice: &mut Dice) -> Physics {
    let mut other = Physics {
        loss: *pick(dice, &[0.0, 0.05, 0.1, 0.2]),
        delay: (laws.delay.0, *pick(dice, &[laws.delay.0, 2 * laws.delay.1, 6 * laws.delay.1])),
        rate: *pick(dice, &[None, Some(1_000_000)]),
        ..laws.clone()
    };
    if dice.chance(0.3) {
        other = other.slow_disks();
    }
    if dice.chance(0.3) {
        other = other.slow_verdicts();
    }
    other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_ends_with_a_checkpoint_and_says_no_more_than_is_kept() {
        for seed in 0..20 {
            let story = soak(10, Duration::from_secs(3_600), seed);
            assert_eq!(story.checkpoints.len(), 11);
            let mut begin = Duration::ZERO;
            for end in story.checkpoints.iter().copied().chain([story.duration]) {
                let calm = end.saturating_sub(CALM);
                let said = story.sayings.iter().filter(|(at, _)| (begin..end).contains(at));
                let bytes: usize = said
                    .map(|(_, saying)| match saying {
                        Workload::Broadcast { bytes, .. } | Workload::Direct { bytes, .. } => bytes,
                        Workload::Stream { .. } => &0,
                    })
                    .sum();
                assert!(bytes > 0 && bytes <= ROUND_BYTES + MAX_PAYLOAD, "{bytes}");
                let last = story.faults.iter().map(|(at, _)| *at).filter(|at| *at < end).max();
                assert_eq!(last, Some(calm + Duration::from_secs(6)));
                begin = end;
            }
        }
    }
}
