//! One authenticated conversation with one node, over whatever links exist `[PROTOCOL 4, 5]`.
//!
//! A *link* is one byte stream. A *session* is what the node sees: this peer is there, say
//! something to it. A *conversation* is what outlives both: which messages were said and heard.
//!
//! ```text
//! dialled    Connecting ─▸ Initiating ─▸ Confirming ─┐ PONG
//!            (no stream)   (SYN is out)  (PING is out)├─▸ Up ─▸ Closing ─▸ forgotten
//! accepted   Responding ─▸ Proving ────▸ Knocking ───┘ admitted
//!            (no keys)     (no record)   (live: the node decides)
//! ```
//!
//! From every stage a link can go to `Closing` at once, and be forgotten when its stream is down.
//!
//! Reading order:
//!
//! - `handshake`: the handshake on a byte stream; `record`: sealed records of a stream link;
//!   `inbound`: a stream cut into them without copying;
//! - `link`: one link with keys: frames in and out, signs of life;
//! - `conversation`: messages numbered and acknowledged per pair of boots, whatever links come and
//!   go;
//! - `table`: the rows of the table of links, and who may come in; `partials`: what their
//!   unfinished messages take;
//! - [`sessions`]: the table; `opening`, `confirming`, `talking` and `ending` are what it does
//!   with a link from its first byte to its last; `contract` has its words.
//!
//! **Bounds**, all in [`crate::limits`]: strangers in all and per address, time for a handshake, a
//! session's silence, bytes given to a stream, bytes and messages that wait for a peer, partial
//! messages (one per lane and link, growing as bytes arrive, and in all), conversations without a
//! link and what waits in them. An idle link holds its two keys and no buffer.

mod close;
mod config;
mod connect;
mod contract;
mod counters;
mod datagrams;
mod establish;
mod failover;
mod handshake;
mod happy_eyeballs;
mod inbound;
mod link;
mod partials;
mod record;
#[expect(clippy::module_inception, reason = "the machine that the room is named after")]
mod session;
pub mod sessions;
mod table;
mod transfer;

pub use sessions::Sessions;

#[cfg(test)]
mod tests;
