//! Mixed load and faults of every kind, for long: over many seeds in made-up worlds, and on real
//! sockets.

mod worlds;

pub(crate) use worlds::{Broken, Worlds};
