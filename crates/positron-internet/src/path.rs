//! One direction of a path at work.

use core::time::Duration;

use crate::{
    Time,
    dice::{Dice, micros},
    laws::PathLaws,
};

/// Why a datagram does not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nobody has that address.
    Nobody,
    /// A middlebox on the way out kept it.
    Filtered,
    /// Its hop limit was used up.
    Expired,
    /// A partition, a black hole or a cut.
    Unreachable,
    /// It was larger than the path carries.
    TooLarge,
    /// The queue before a slow line was full.
    Queue,
    /// It was lost on the way.
    Chance,
}

/// When a datagram arrives: once or twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrivals {
    pub(crate) first: PathArrival,
    /// Its copy.
    pub(crate) second: Option<PathArrival>,
}

/// One arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PathArrival {
    pub(crate) at: Time,
    /// Which bits were turned over, if some were.
    pub(crate) damage: Option<Damage>,
}

/// Up to four bits of a datagram that are turned over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage(u64);

impl Damage {
    /// Turns the bits over. Always changes the datagram, unless it is empty.
    pub fn apply(self, datagram: &mut [u8]) {
        let mut dice = Dice::keyed(self.0, 0);
        let first = dice.index(datagram.len());
        let Some(byte) = datagram.get_mut(first) else { return };
        *byte ^= 1 << dice.below(8);
        for _ in 0..dice.below(4) {
            // Another byte than the first, so that nothing is turned back.
            let other = dice.index(datagram.len());
            if other != first {
                datagram[other] ^= 1 << dice.below(8);
            }
        }
    }
}

/// One direction between two hosts. The two directions have a path each.
///
/// Call [`send`](Self::send) with times that do not go back. What it answers depends on nothing
/// but the calls so far and the dice. The laws are given to each call, so that many hosts share
/// them and that they may change under way.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    dice: Dice,
    is_bad: bool,
    /// When the last datagram has left the queue of the rate.
    sent_at: Time,
    /// The latest arrival of a datagram without a detour.
    arrived_at: Time,
}

impl Path {
    /// A path that nothing has been sent over.
    pub(crate) const fn new(dice: Dice) -> Self {
        Self { dice, is_bad: false, sent_at: Duration::ZERO, arrived_at: Duration::ZERO }
    }

    /// A datagram of `len` bytes is sent.
    pub(crate) fn send(
        &mut self,
        now: Time,
        len: usize,
        laws: &PathLaws,
    ) -> Result<Arrivals, Loss> {
        let leaves_at = self.leaves(now, len, laws).ok_or(Loss::Queue)?;
        if len > laws.mtu {
            return Err(Loss::TooLarge);
        }
        if self.is_lost(laws) {
            return Err(Loss::Chance);
        }
        let first = self.arrival(leaves_at, laws);
        let twice = laws.duplicates > 0.0 && self.dice.chance(laws.duplicates);
        let second = twice.then(|| self.arrival(leaves_at, laws));
        Ok(Arrivals { first, second })
    }

    /// When a datagram has passed the rate; `None` if the queue before it is full. What is lost
    /// later on the way has passed it too.
    fn leaves(&mut self, now: Time, len: usize, laws: &PathLaws) -> Option<Time> {
        let Some(rate) = laws.rate else { return Some(now) };
        let rate = rate.max(1);
        let bytes = u64::try_from(len).unwrap_or(u64::MAX);
        let waits = micros(self.sent_at.saturating_sub(now));
        let queued = waits.saturating_mul(rate) / 1_000_000;
        if queued > 0 && queued.saturating_add(bytes) > laws.queue {
            return None;
        }
        let takes = bytes.saturating_mul(1_000_000).div_ceil(rate);
        self.sent_at = self.sent_at.max(now) + Duration::from_micros(takes);
        Some(self.sent_at)
    }

    fn is_lost(&mut self, laws: &PathLaws) -> bool {
        if let Some(bursts) = laws.bursts {
            let turn = if self.is_bad { bursts.end } else { bursts.begin };
            self.is_bad ^= self.dice.chance(turn);
            if self.is_bad && self.dice.chance(bursts.loss) {
                return true;
            }
        }
        laws.loss > 0.0 && self.dice.chance(laws.loss)
    }

    fn arrival(&mut self, leaves_at: Time, laws: &PathLaws) -> PathArrival {
        let mut at = leaves_at + laws.delay;
        if !laws.jitter.1.is_zero() {
            at += self.dice.between(laws.jitter);
        }
        at = at.max(self.arrived_at);
        if laws.detours > 0.0 && self.dice.chance(laws.detours) {
            at += self.dice.between(laws.detour);
        } else {
            self.arrived_at = at;
        }
        let damaged = laws.damage > 0.0 && self.dice.chance(laws.damage);
        PathArrival { at, damage: damaged.then(|| Damage(self.dice.draw())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::laws::Bursts;

    const MS: Duration = Duration::from_millis(1);

    fn calm() -> PathLaws {
        PathLaws::calm(10 * MS)
    }

    /// Sends `count` datagrams of 1,000 bytes, one each `every`.
    fn send_many(laws: PathLaws, count: u32, every: Duration) -> Vec<Result<Arrivals, Loss>> {
        let mut path = Path::new(Dice::new(7));
        (0..count).map(|n| path.send(every * n, 1_000, &laws)).collect()
    }

    fn times(arrivals: &[Result<Arrivals, Loss>]) -> Vec<u128> {
        arrivals.iter().flatten().map(|a| a.first.at.as_micros()).collect()
    }

    #[test]
    fn a_calm_path_delays_and_does_nothing_else() {
        let arrivals = send_many(calm(), 3, MS);
        assert_eq!(times(&arrivals), [10_000, 11_000, 12_000]);
        assert!(arrivals.iter().flatten().all(|a| a.second.is_none() && a.first.damage.is_none()));
    }

    #[test]
    fn one_seed_gives_one_path() {
        let laws = PathLaws {
            loss: 0.1,
            duplicates: 0.1,
            detours: 0.2,
            detour: (MS, 5 * MS),
            jitter: (Duration::ZERO, 3 * MS),
            damage: 0.1,
            ..calm()
        };
        assert_eq!(send_many(laws, 500, MS), send_many(laws, 500, MS));
    }

    #[test]
    fn losses_are_as_many_as_was_asked() {
        let lost = 10_000 - times(&send_many(PathLaws { loss: 0.1, ..calm() }, 10_000, MS)).len();
        assert!((800..1_200).contains(&lost), "{lost}");
    }

    #[test]
    fn bursts_lose_many_in_a_row() {
        let bursts = Some(Bursts { begin: 0.01, end: 0.1, loss: 1.0 });
        let arrivals = send_many(PathLaws { bursts, ..calm() }, 10_000, MS);
        let lost = arrivals.iter().filter(|a| a.is_err()).count();
        let pairs = arrivals.windows(2).filter(|w| w.iter().all(Result::is_err)).count();
        assert!((500..1_500).contains(&lost), "{lost}");
        assert!(pairs * 10 > lost * 8, "{pairs} of {lost} losses follow another");
    }

    #[test]
    fn jitter_keeps_the_order_and_detours_do_not() {
        let jitter = (Duration::ZERO, 20 * MS);
        assert!(times(&send_many(PathLaws { jitter, ..calm() }, 500, MS)).is_sorted());
        let laws = PathLaws { detours: 0.1, detour: (5 * MS, 5 * MS), ..calm() };
        assert!(!times(&send_many(laws, 500, MS)).is_sorted());
    }

    #[test]
    fn a_rate_spaces_datagrams_and_drops_what_finds_no_room() {
        let laws = PathLaws { rate: Some(1_000_000), queue: 3_000, ..calm() };
        let arrivals = send_many(laws, 10, Duration::ZERO);
        assert_eq!(times(&arrivals), [11_000, 12_000, 13_000]);
        assert_eq!(arrivals[3], Err(Loss::Queue));
        let spaced = send_many(laws, 10, MS);
        assert_eq!(times(&spaced).len(), 10);
    }

    #[test]
    fn what_is_too_large_vanishes() {
        let laws = PathLaws { mtu: 1_200, ..calm() };
        let mut path = Path::new(Dice::new(7));
        assert!(path.send(Duration::ZERO, 1_200, &laws).is_ok());
        assert_eq!(path.send(Duration::ZERO, 1_201, &laws), Err(Loss::TooLarge));
    }

    #[test]
    fn damage_always_changes_the_datagram_and_copies_arrive_too() {
        let laws = PathLaws { damage: 1.0, duplicates: 1.0, ..calm() };
        for arrivals in send_many(laws, 200, MS).into_iter().flatten() {
            for arrival in [arrivals.first, arrivals.second.unwrap()] {
                let mut datagram = [0; 40];
                arrival.damage.unwrap().apply(&mut datagram);
                assert_ne!(datagram, [0; 40]);
            }
        }
        Damage(3).apply(&mut []);
    }
}
