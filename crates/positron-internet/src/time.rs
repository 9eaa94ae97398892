//! Time in a made-up world.

/// How long it is since the beginning. What the dice draw is whole microseconds.
pub type Time = core::time::Duration;
