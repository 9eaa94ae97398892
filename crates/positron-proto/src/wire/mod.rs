//! Bytes to values and back `[PROTOCOL 3, 4, 9]`. Total functions: every input is a value or a
//! [`Malformed`].
//!
//! Reading order: [`codec`] (numbers and lengths), [`body`] (a message that waits), [`frame`] (what
//! a link carries), [`message`] (what nodes say to each other), [`address`] and [`record`] (where
//! and who a peer says it is), [`holdings`] (which messages a node has), [`packet`] and
//! [`packet_frame`] (what datagrams carry).
//!
//! All integers are big-endian. Lengths are checked before memory is taken, counts before their
//! elements.

pub mod address;
pub mod body;
pub mod codec;
pub mod frame;
pub mod holdings;
pub mod message;
pub mod packet;
pub mod packet_frame;
pub mod record;

pub use address::{Address, has_zone};
pub use codec::{Malformed, Reader, Writer};
