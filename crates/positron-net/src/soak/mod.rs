//! Mixed load and faults of every kind, for long: over many seeds in made-up worlds, and on real
//! sockets.

mod law;
mod machine;
mod member;
mod payload;
mod real;
mod worlds;

pub(crate) use member::MemberOptions;
pub(crate) use real::Real;
pub(crate) use worlds::{Course, Worlds};
