//! One direction of a way that datagrams take: what the world does to each of them.

use positron_proto::time::{Duration, Instant};

use crate::{
    dice::{Dice, micros},
    physics::Range,
};

/// What a path does to datagrams. Times are virtual.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PathLaws {
    /// From one end to the other, for a datagram that nothing holds up.
    pub delay: Duration,
    /// Added to each datagram, without letting it overtake the one before: the queues of others.
    pub jitter: Range,
    /// The part of all datagrams that is lost, each for itself.
    pub loss: f64,
    /// Losses that come together.
    pub bursts: Option<Bursts>,
    /// The part of all datagrams that arrives twice.
    pub duplicates: f64,
    /// The part of all datagrams that takes a detour, so that later ones overtake it.
    pub detours: f64,
    /// How much longer a detour is.
    pub detour: Range,
    /// Bytes per second; `None`: any number.
    pub rate: Option<u64>,
    /// Bytes that wait for the rate; a datagram that finds no room is dropped.
    pub queue: u64,
    /// Datagrams above this many bytes vanish, and nobody is told.
    pub largest: usize,
    /// The part of all datagrams in which bits are turned over.
    pub damage: f64,
}

/// A path that is bad for a while, and good for a while (Gilbert 1960, Elliott 1963).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bursts {
    /// How probably the path turns bad, at each datagram while it is good.
    pub begin: f64,
    /// How probably it turns good again, at each datagram while it is bad.
    pub end: f64,
    /// The part of the datagrams that is lost while it is bad.
    pub loss: f64,
}

impl PathLaws {
    /// Nothing goes wrong; a datagram takes `delay`.
    pub const fn calm(delay: Duration) -> Self {
        Self {
            delay,
            jitter: (Duration::ZERO, Duration::ZERO),
            loss: 0.0,
            bursts: None,
            duplicates: 0.0,
            detours: 0.0,
            detour: (Duration::ZERO, Duration::ZERO),
            rate: None,
            queue: 0,
            largest: usize::MAX,
            damage: 0.0,
        }
    }

    /// Whether every datagram that is not too large, and finds room, arrives as it was sent.
    pub fn is_faithful(&self) -> bool {
        self.loss <= 0.0 && self.bursts.is_none() && self.damage <= 0.0
    }

    /// Whether nobody loses patience over such a path.
    pub fn is_kind(&self) -> bool {
        self.loss <= 0.1 && self.bursts.is_none() && self.damage <= 0.1 && self.largest >= 1_200
    }
}

/// One direction between two ends. The two directions of a way have a path each.
///
/// Call [`send`](Self::send) with times that do not go back. What it answers depends on nothing
/// but the calls so far and the dice.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    laws: PathLaws,
    is_bad: bool,
    /// When the last datagram has left the queue of the rate.
    sent_at: Instant,
    /// The latest arrival of a datagram without a detour.
    arrived_at: Instant,
    cut_until: Instant,
}

/// When a datagram arrives: never, once or twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arrivals {
    /// The datagram itself.
    pub(crate) first: Option<PathArrival>,
    /// Its copy.
    pub(crate) second: Option<PathArrival>,
}

/// One arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PathArrival {
    /// When.
    pub(crate) at: Instant,
    /// Which bits were turned over, if some were.
    pub(crate) damage: Option<Damage>,
}

/// Up to four bits of a datagram that are turned over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damage(u64);

impl Damage {
    /// Turns the bits over. Always changes the datagram, unless it is empty.
    pub(crate) fn apply(self, datagram: &mut [u8]) {
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

impl Path {
    /// A path that nothing has been sent over.
    pub(crate) const fn new(laws: PathLaws) -> Self {
        Self {
            laws,
            is_bad: false,
            sent_at: Instant::ORIGIN,
            arrived_at: Instant::ORIGIN,
            cut_until: Instant::ORIGIN,
        }
    }

    /// Its laws.
    pub(crate) const fn laws(&self) -> &PathLaws {
        &self.laws
    }

    /// Other laws for what is sent from now on; what is under way arrives.
    pub(crate) const fn change(&mut self, laws: PathLaws) {
        self.laws = laws;
        self.is_bad = false;
    }

    /// Nothing that is sent before `until` arrives; what is under way does.
    pub(crate) fn cut(&mut self, until: Instant) {
        self.cut_until = self.cut_until.max(until);
    }

    /// Ends a cut.
    pub(crate) const fn mend(&mut self) {
        self.cut_until = Instant::ORIGIN;
    }

    /// Whether nothing that is sent now arrives.
    pub(crate) fn is_cut(&self, now: Instant) -> bool {
        now < self.cut_until
    }

    /// A datagram of `len` bytes is sent.
    pub(crate) fn send(&mut self, now: Instant, len: usize, dice: &mut Dice) -> Arrivals {
        let Some(leaves_at) = self.leaves(now, len) else { return Arrivals::default() };
        if self.is_cut(now) || len > self.laws.largest || self.is_lost(dice) {
            return Arrivals::default();
        }
        let first = Some(self.arrival(leaves_at, dice));
        let twice = self.laws.duplicates > 0.0 && dice.chance(self.laws.duplicates);
        let second = twice.then(|| self.arrival(leaves_at, dice));
        Arrivals { first, second }
    }

    /// When a datagram has passed the rate; `None` if the queue before it is full. What is lost
    /// later on the way has passed it too.
    fn leaves(&mut self, now: Instant, len: usize) -> Option<Instant> {
        let Some(rate) = self.laws.rate else { return Some(now) };
        let rate = rate.max(1);
        let bytes = u64::try_from(len).unwrap_or(u64::MAX);
        let waits = micros(self.sent_at.since(now));
        let queued = waits.saturating_mul(rate) / 1_000_000;
        // A queue takes one datagram of any size when it is empty.
        if queued > 0 && queued.saturating_add(bytes) > self.laws.queue {
            return None;
        }
        let takes = bytes.saturating_mul(1_000_000).div_ceil(rate);
        self.sent_at = self.sent_at.max(now) + Duration::from_micros(takes);
        Some(self.sent_at)
    }

    fn is_lost(&mut self, dice: &mut Dice) -> bool {
        if let Some(bursts) = self.laws.bursts {
            let turn = if self.is_bad { bursts.end } else { bursts.begin };
            self.is_bad ^= dice.chance(turn);
            if self.is_bad && dice.chance(bursts.loss) {
                return true;
            }
        }
        self.laws.loss > 0.0 && dice.chance(self.laws.loss)
    }

    fn arrival(&mut self, leaves_at: Instant, dice: &mut Dice) -> PathArrival {
        let laws = &self.laws;
        let mut at = leaves_at + laws.delay;
        if !laws.jitter.1.is_zero() {
            at = at + dice.between(laws.jitter);
        }
        at = at.max(self.arrived_at);
        if laws.detours > 0.0 && dice.chance(laws.detours) {
            at = at + dice.between(laws.detour);
        } else {
            self.arrived_at = at;
        }
        let damaged = laws.damage > 0.0 && dice.chance(laws.damage);
        PathArrival { at, damage: damaged.then(|| Damage(dice.next())) }
    }
}

#[cfg(test)]
mod tests {
    use positron_proto::rng::Seed;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn dice() -> Dice {
        Dice::new(&Seed::from_number(7), "path")
    }

    fn calm() -> PathLaws {
        PathLaws::calm(10 * MS)
    }

    /// Sends `count` datagrams of 1,000 bytes, one each `every`; the arrivals of those that came.
    fn send_many(laws: PathLaws, count: u32, every: Duration) -> Vec<Arrivals> {
        let (mut path, mut dice) = (Path::new(laws), dice());
        (0..count).map(|n| path.send(Instant::ORIGIN + every * n, 1_000, &mut dice)).collect()
    }

    fn times(arrivals: &[Arrivals]) -> Vec<u64> {
        arrivals.iter().filter_map(|a| a.first).map(|a| a.at.as_micros()).collect()
    }

    #[test]
    fn a_calm_path_delays_and_does_nothing_else() {
        let arrivals = send_many(calm(), 3, MS);
        assert_eq!(times(&arrivals), [10_000, 11_000, 12_000]);
        assert!(arrivals.iter().all(|a| a.second.is_none() && a.first.unwrap().damage.is_none()));
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
        let lost = arrivals.iter().filter(|a| a.first.is_none()).count();
        let pairs = arrivals.windows(2).filter(|w| w.iter().all(|a| a.first.is_none())).count();
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
        let spaced = send_many(laws, 10, MS);
        assert_eq!(times(&spaced).len(), 10);
    }

    #[test]
    fn what_is_too_large_vanishes() {
        let mut path = Path::new(PathLaws { largest: 1_200, ..calm() });
        assert!(path.send(Instant::ORIGIN, 1_200, &mut dice()).first.is_some());
        assert!(path.send(Instant::ORIGIN, 1_201, &mut dice()).first.is_none());
    }

    #[test]
    fn a_cut_path_carries_nothing_until_its_time_or_until_it_is_mended() {
        let mut path = Path::new(calm());
        path.cut(Instant::ORIGIN + 5 * MS);
        assert!(path.send(Instant::ORIGIN + 4 * MS, 1, &mut dice()).first.is_none());
        assert!(path.send(Instant::ORIGIN + 5 * MS, 1, &mut dice()).first.is_some());
        path.cut(Instant::FAR_FUTURE);
        path.mend();
        assert!(path.send(Instant::ORIGIN + 6 * MS, 1, &mut dice()).first.is_some());
    }

    #[test]
    fn damage_always_changes_the_datagram_and_copies_arrive_too() {
        let laws = PathLaws { damage: 1.0, duplicates: 1.0, ..calm() };
        for arrivals in send_many(laws, 200, MS) {
            for arrival in [arrivals.first.unwrap(), arrivals.second.unwrap()] {
                let mut datagram = [0; 40];
                arrival.damage.unwrap().apply(&mut datagram);
                assert_ne!(datagram, [0; 40]);
            }
        }
        Damage(3).apply(&mut []);
    }
}
