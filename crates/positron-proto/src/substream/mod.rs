//! Streams between two nodes: bytes in order, both ways, as many as needed `[PROTOCOL 3.5]`.
//!
//! For what is larger than a message, or has no end. A substream lives inside a session and is
//! carried by it: it goes on when the session moves from one link to another, and ends with it.
//!
//! ```text
//! sending half     Open ─ finish ─▸ Finishing ─ everything acknowledged ─▸ Over
//!                    └─ reset, or the reader stops ─────────────────────────▸ Over
//! receiving half   Open ─ the last byte came ─▸ Finished ─ consumed ─▸ Over
//!                    └─ stop, or the writer resets ──────────────────▸ Over
//! ```
//!
//! A substream is forgotten when both halves are over.
//!
//! **Flow control.** Each receiving half grants how far it may be written, first
//! [`SUBSTREAM_WINDOW_FIRST`](crate::limits::SUBSTREAM_WINDOW_FIRST) bytes and more as the
//! application reads: a slow reader holds up its own stream and no other. What is granted and not
//! read is bounded for each peer and in all. Writers share the lane of their peer in turn, piece by
//! piece.
//!
//! **Failure.** Nothing is lost and nothing comes twice while the session lasts, because the
//! session delivers each piece once and in order. When it ends, every substream in it ends, at both
//! nodes: who saw it end tells the other about what he forgot, should the other have seen no end
//! (`ghosts.rs`).
//!
//! Reading order: [`SubstreamId`] and how one ends; [`SubstreamMessage`]; [`SubstreamEffect`] and
//! the words beside it (the contract);
//! `send_half.rs` and `receive_half.rs` (one direction each); `peer_table.rs` (all of one peer);
//! `substreams.rs` (the machine); `counters.rs`.

mod counters;
mod effect;
mod ghosts;
mod message;
mod name;
mod peer_table;
mod receive_half;
mod send_half;
#[allow(clippy::module_inception)]
mod substreams;
#[cfg(test)]
pub(crate) mod tests;

pub use counters::{SubstreamCounters, SubstreamLevels};
pub use effect::{NotOpened, SubstreamEffect, SubstreamNews, SubstreamOrder};
pub(crate) use message::SUBSTREAM_TYPES;
pub use message::{Label, SUBSTREAM_DATA, SubstreamMessage};
pub use name::{OpenedBy, SubstreamEnd, SubstreamId};
pub use substreams::Substreams;
