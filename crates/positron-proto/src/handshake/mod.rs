//! From two keys to shared secrets, whatever carries the messages `[PROTOCOL 5.1, 5.2]`.
//!
//! - `noise`: the two handshake patterns;
//! - `hello`: what the two ends tell each other inside the handshake;
//! - [`expect`]: whom who dials expects, and which end that is;
//! - `remote`, `failure`: who proved to be there, or why nobody did;
//! - `agreement`: the machine of one end, from there to shared secrets;
//! - `query`: the machine of one end of a handshake that stops after its second message;
//! - `aead`: the keys and nonces that come out of it.

pub(crate) mod aead;
pub(crate) mod agreement;
pub mod expect;
mod failure;
pub(crate) mod hello;
pub(crate) mod noise;
pub(crate) mod query;
mod remote;

pub use expect::{Direction, Expect};
pub use failure::HandshakeFailure;
pub use noise::link_public_key;
pub use remote::RemoteNode;
