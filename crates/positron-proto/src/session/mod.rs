//! One authenticated conversation with one node, over whatever links exist `[PROTOCOL 4, 5]`.
//!
//! A *link* is one datagram connection, one byte stream, or whatever else there will be. A
//! *session* is what the node sees: this peer is there, say something to it; and what outlives its
//! links: which messages were said and heard.
//!
//! ```text
//! dialled    Connecting ─▸ Initiating ─▸ AwaitPong ───┐ PONG
//!            (no answer)   (handshake)   (PING is out)├─▸ Up ─▸ Closing ─▸ forgotten
//! accepted   Responding ─▸ AwaitFirst… ▸ AwaitAdmis… ─┘ admitted
//!            (handshake)   (no record)   (live: the node decides)
//! ```
//!
//! From every stage a link can go to `Closing` at once, and be forgotten when it is down.
//!
//! Reading order:
//!
//! - `kind`: what links are made of, in order of preference;
//! - `carrier`: what a session needs of a kind of link; `carriers`: which there are;
//!   `datagram_carrier` and `stream_carrier` are those of [`crate::datagram`] and
//!   [`crate::stream`];
//! - `link`: one link: frames in and out, signs of life; `fault`: why it cannot go on;
//! - `session`: messages numbered and acknowledged per pair of boots, whatever links come and go;
//!   `send_lane`: what was said in one lane;
//! - `table`: the rows of the table of links; `admission`: who may come in; `partials_budget`:
//!   what their unfinished messages take; `attempt`: the links that race for one dial;
//! - [`sessions`]: the table; `connect`, `establish`, `established` and `close` are what it does
//!   with a link from its first byte to its last, `happy_eyeballs` and `failover` with several;
//!   `contract` has its words.
//!
//! **Bounds**, all in [`crate::limits`]: strangers in all and per address, time for a handshake, a
//! session's silence, bytes given to a stream, bytes and messages that wait for a peer, partial
//! messages (one per lane and link, growing as bytes arrive, and in all), conversations without a
//! link and what waits in them. An idle link holds its keys and no buffer.

mod admission;
mod attempts;
mod carrier;
mod carriers;
mod config;
mod contract;
mod conversation;
mod conversations;
mod counters;
mod datagram_carrier;
mod established;
mod fault;
mod keep_alive;
mod kind;
mod lifecycle;
mod link;
mod link_table;
mod links;
mod pace;
mod partials_budget;
mod send_lane;
pub mod sessions;
mod stage;
mod standby;
mod stream_carrier;

pub use sessions::Sessions;

#[cfg(test)]
mod tests;
