//! Stories between a few machines in a made-up world.

mod attacks;
mod comparing;
mod harness;
mod large;
mod liars;
mod network;
mod one;
pub(crate) mod pace;
mod tree;
mod validation;
