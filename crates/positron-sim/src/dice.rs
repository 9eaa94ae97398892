//! Named streams of the dice of the physics.

pub(crate) use positron_internet::{Dice, mix};
use positron_proto::rng::Seed;

/// The stream called `name`. Nodes draw from [`positron_proto::rng`] instead: these dice decide
/// what happens *to* them.
pub(crate) fn named_dice(seed: &Seed, name: &str) -> Dice {
    Dice::new(seed.stream(name).next_u64())
}
