//! A wall clock that is wrong.

use positron_proto::time::{Duration, Instant, Now, WallTime};

use crate::{dice::Dice, physics::Physics};

/// When the world begins, for a clock that is right: 2026-01-01 00:00 UTC.
const BEGINNING: u64 = 1_767_225_600_000_000;

/// Whole microseconds of a duration.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The point `after` the beginning of the world.
pub(crate) fn at(after: Duration) -> Instant {
    Instant::ORIGIN + after
}

/// How long after the beginning of the world a point is.
pub(crate) fn since_beginning(at: Instant) -> Duration {
    at.since(Instant::ORIGIN)
}

/// The clocks of one host. The monotonic one is right; the wall clock has an offset and drifts.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    /// Microseconds, forward or back.
    offset: i64,
    parts_per_million: i64,
}

impl Clock {
    pub(crate) fn new(physics: &Physics, dice: &mut Dice) -> Self {
        let mut either_way = |most: u64| {
            let drawn = dice.below(2 * most + 1);
            i64::try_from(drawn).unwrap_or(0) - i64::try_from(most).unwrap_or(0)
        };
        Self {
            offset: either_way(micros(physics.clock_skew)),
            parts_per_million: either_way(u64::from(physics.clock_drift_ppm)),
        }
    }

    pub(crate) const fn turn(&mut self, by_seconds: i64) {
        self.offset = self.offset.saturating_add(by_seconds.saturating_mul(1_000_000));
    }

    pub(crate) fn now(&self, mono: Instant) -> Now {
        let elapsed = i64::try_from(mono.as_micros()).unwrap_or(i64::MAX);
        let drift = elapsed / 1_000_000 * self.parts_per_million;
        let right = BEGINNING.saturating_add(mono.as_micros());
        let wall = right.saturating_add_signed(self.offset.saturating_add(drift));
        Now { mono, wall: WallTime::from_unix_micros(wall) }
    }

    /// How wrong it is now.
    #[cfg(test)]
    fn error(&self, mono: Instant) -> positron_proto::time::Duration {
        let wall = self.now(mono).wall.as_unix_micros();
        positron_proto::time::Duration::from_micros(wall.abs_diff(BEGINNING + mono.as_micros()))
    }
}

#[cfg(test)]
mod tests {
    use positron_proto::rng::Seed;

    use super::*;
    use crate::dice::named_dice;

    #[test]
    fn a_clock_is_as_wrong_as_the_physics_allow_and_turns() {
        let physics = Physics::default();
        let mut dice = named_dice(&Seed::from_number(1), "clock");
        for _ in 0..100 {
            let mut clock = Clock::new(&physics, &mut dice);
            assert!(clock.error(Instant::ORIGIN) <= physics.clock_skew);
            let day = Instant::ORIGIN + Duration::from_secs(86_400);
            assert!(clock.error(day) <= physics.clock_skew + Duration::from_millis(4_320));
            clock.turn(-300);
            assert!(clock.error(day) >= Duration::from_secs(295));
        }
    }
}
