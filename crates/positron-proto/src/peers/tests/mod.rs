//! Stories about peers: several machines, made-up links between them, one clock, one seed.

mod addresses;
mod anchors;
mod book;
mod bootstrap;
mod guests;
mod healing;
mod joining;
mod liars;
mod limits;
mod network;
mod reserved;
mod silence;
mod slots;
mod strangers;
mod world;
