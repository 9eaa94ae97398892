//! Stories between a few machines in a made-up world.

mod attacks;
mod harness;
mod large;
mod network;
mod one;
pub(crate) mod pace;
mod tree;
