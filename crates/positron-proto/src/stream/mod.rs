//! Links over byte streams, from the first byte to sealed records `[PROTOCOL 5.1, 5.3]`.
//!
//! - `handshake`: its messages on a stream, at either end;
//! - `inbound`: a stream cut into pieces without copying; `record`: sealed records;
//! - [`endpoint`]: all links of a node, whatever brings their bytes; [`contract`] has its words.
//!
//! A stream that proves nothing of who is at its other end (TCP, and whatever hides it in TLS)
//! becomes one that does. Who may come in, how long a handshake may take, and whether the other
//! end lives is for the caller to judge: [`crate::session`] does, alike for every kind of link.

pub mod contract;
pub mod endpoint;
pub(crate) mod handshake;
mod inbound;
mod record;

pub use endpoint::StreamEndpoint;

#[cfg(test)]
mod tests;
