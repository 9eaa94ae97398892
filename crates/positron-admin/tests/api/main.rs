//! The API over real sockets, in front of a real node.

mod answers;
mod dht;
mod events;
mod fixture;
mod gate;
mod network;
mod owner;
mod schema;
