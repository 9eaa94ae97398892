//! One authenticated conversation with one node, over whatever links exist `[PROTOCOL 5]`.
//!
//! - [`noise`]: the Noise resolver and the two handshake patterns;
//! - [`hello`]: what the two ends tell each other inside the handshake;
//! - [`handshake`]: from the first byte to keys;
//! - [`record`]: sealed records of a stream link;
//! - [`link`]: one stream link, from dial to close: bytes in, frames out, write window, liveness;
//! - [`conversation`]: messages numbered and acknowledged per (peer, boot), independent of links;
//! - [`sessions`]: the table of all links and conversations, slots and limits.

pub mod sessions;

pub use sessions::Sessions;
