//! Stories between a few machines in a made-up world.

mod harness;
mod network;
