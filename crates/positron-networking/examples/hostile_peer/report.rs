//! What is told of it.

use std::time::Duration;

use serde::Serialize;

use crate::attack::Attack;

/// How long deliveries took.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Latency {
    deliveries: usize,
    p50_us: u64,
    p90_us: u64,
    p99_us: u64,
}

/// Peace and an attack.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Round {
    pub(crate) calm: Latency,
    pub(crate) attacked: Latency,
    /// Deliveries that did not happen.
    pub(crate) lost: usize,
    /// Of the hostile peer, while it had a session.
    pub(crate) bytes_per_second: u64,
    pub(crate) messages_per_second: u64,
    /// How often it was let in.
    pub(crate) sessions: u64,
    /// To the end of the last one that ended.
    pub(crate) lasted: Option<Duration>,
    /// When it was sent away first, and what it was told.
    pub(crate) dropped: Option<(Duration, String)>,
}

/// All rounds of an attack.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    #[serde(serialize_with = "name")]
    pub(crate) attack: Attack,
    pub(crate) rounds: Vec<Round>,
}

impl Latency {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| {
            let time = times.get((times.len() * percent / 100).min(times.len().saturating_sub(1)));
            time.map_or(0, |time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
        };
        Self { deliveries: times.len(), p50_us: at(50), p90_us: at(90), p99_us: at(99) }
    }

    fn line(&self) -> String {
        let [p50, p90, p99] = [self.p50_us, self.p90_us, self.p99_us].map(millis);
        format!("{p50:>8.1}{p90:>8.1}{p99:>9.1}")
    }
}

impl Round {
    /// What must be so on any machine.
    pub(crate) fn check(&self, attack: Attack) -> Result<(), String> {
        let name = attack.name();
        if self.sessions == 0 || self.messages_per_second == 0 {
            return Err(format!("{name}: the hostile peer said nothing"));
        }
        if self.lost > 0 {
            return Err(format!("{name}: {} honest deliveries did not happen", self.lost));
        }
        if attack.is_to_end() && self.dropped.is_none() {
            return Err(format!("{name}: the hostile peer was not sent away"));
        }
        Ok(())
    }
}

impl Report {
    pub(crate) const HEADER: &str = concat!(
        "                         calm, ms                 attacked, ms\n",
        "attack                p50     p90      p99      p50     p90      p99  p99/p99",
        "    MB/s   msgs/s  lost  sent away",
    );

    pub(crate) const fn new(attack: Attack) -> Self {
        Self { attack, rounds: Vec::new() }
    }

    pub(crate) fn line(&self, round: &Round) -> String {
        let (name, calm, attacked) = (self.attack.name(), round.calm.line(), round.attacked.line());
        let ratio = millis(round.attacked.p99_us) / millis(round.calm.p99_us.max(1));
        let megabytes = millis(round.bytes_per_second) / 1e3;
        let lost = round.lost;
        let messages = round.messages_per_second;
        let sent_away = match (&round.dropped, round.lasted) {
            (Some((after, why)), Some(lasted)) if round.sessions > 1 => {
                format!("{after:.1?}: {why} (in {} times, until {lasted:.1?})", round.sessions)
            }
            (Some((after, why)), _) => format!("{after:.1?}: {why}"),
            (None, _) => "no".to_owned(),
        };
        format!(
            "{name:<17}{calm}{attacked}{ratio:>9.2}{megabytes:>8.2}{messages:>9}{lost:>6}  \
             {sent_away}"
        )
    }

    /// Of each number its median, and of the end that of the last round.
    pub(crate) fn median(&self) -> Round {
        let of = |number: fn(&Round) -> u64| {
            let mut numbers: Vec<u64> = self.rounds.iter().map(number).collect();
            numbers.sort_unstable();
            numbers.get(numbers.len() / 2).copied().unwrap_or_default()
        };
        let last = self.rounds.last().expect("there is a round").clone();
        let calm = Latency {
            p50_us: of(|round| round.calm.p50_us),
            p90_us: of(|round| round.calm.p90_us),
            p99_us: of(|round| round.calm.p99_us),
            ..last.calm
        };
        let attacked = Latency {
            p50_us: of(|round| round.attacked.p50_us),
            p90_us: of(|round| round.attacked.p90_us),
            p99_us: of(|round| round.attacked.p99_us),
            ..last.attacked
        };
        let bytes_per_second = of(|round| round.bytes_per_second);
        let messages_per_second = of(|round| round.messages_per_second);
        let lost = self.rounds.iter().map(|round| round.lost).sum();
        Round { calm, attacked, lost, bytes_per_second, messages_per_second, ..last }
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people: three digits are shown")]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1e3
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde gives")]
fn name<S: serde::Serializer>(attack: &Attack, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(attack.name())
}
