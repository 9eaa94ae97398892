//! One authenticated conversation with one node, over whatever links exist `[PROTOCOL 4, 5]`.
//!
//! A *link* is one datagram connection, one byte stream, or whatever else there will be. A
//! *conversation* is what outlives links: which messages were said to a node, and heard from it. A
//! *session* is what the node sees: this peer is there, say something to it. It is a conversation
//! that has a link, or is about to have another one.
//!
//! ```text
//! dialled    Connecting ─▸ Initiating ─▸ AwaitPong ───┐ PONG
//!            (no answer)   (handshake)   (PING is out)├─▸ Established ─▸ Closing ─▸ forgotten
//! accepted   Responding ─▸ AwaitFirst… ▸ AwaitAdmis… ─┘ admitted
//!            (handshake)   (no record)   (live: the node decides)
//! ```
//!
//! From every stage a link can go to `Closing` at once, and be forgotten when it is down. A
//! conversation is `Attached` to a link that is established, in `Handover` between two, or
//! `Detached`, which is no session, until it is forgotten.
//!
//! **Contract.** [`Sessions`] is told what sockets and the node say, and appends what is to be done
//! and what happened. Each input goes to the machine that it concerns, and what comes out of that
//! is carried to the others; all that is kept beside them is numbers that only grow.
//!
//! ```text
//!                     Sessions ── which link stays; what its end means for a session
//!      ┌─────────────────┼───────────────────────────┐
//!    Links            EstablishedSession        Conversations ── by peer: attached or dormant
//!    until both ends  lent for one step by ───▸ Conversation · SendLane · Pace · UpgradeBackoff
//!    agree            both tables: frames,
//!      ├── Dials      records, liveness
//!      │   HappyEyeballs ── whose turn it is in the race of one dial
//!      └── LinkTable ── by link: Stage, quota, deadline
//!          Carriers · Admission · Partials · SessionLink · KeepAlive
//! ```
//!
//! Reading order:
//!
//! - `kind`: what links are made of, in order of preference; `effort`: what a dial may cost;
//! - `carrier`: what a session needs of a kind of link; `carriers`: which there are;
//!   `datagram_carrier` and `stream_carrier` are those of [`crate::datagram`] and
//!   [`crate::stream`];
//! - `link`: one link: frames in and out; `keep_alive`: whether its other end lives; `fault`: why
//!   it cannot go on;
//! - `stage`: how far a link is, and what may be said before both ends agreed; `link_table`: all of
//!   them; `admission`: who may come in; `partials_budget`: what their unfinished messages take;
//! - `happy_eyeballs`: the links that race for one dial; `dials`: what that does to the table;
//! - `token_bucket`, `shaper`: limits of bandwidth, and whose turn it is below them; `credit`: what
//!   the other end of a link is told that it may send;
//! - `conversation`: messages numbered and acknowledged per pair of boots, whatever links come and
//!   go; `send_lane`: what was said in one lane; `pace`: whether the peer takes it;
//! - `conversations`: all of them, and when they are forgotten; `upgrade_backoff`: by which kinds
//!   of links a peer was reached, and when a better one is tried; `processes`: which starts of a
//!   peer came one after the other;
//! - `links`: strangers and dials until both ends agree; `established`: a session, for one step;
//! - [`sessions`]: the whole; `lifecycle`: how sessions begin, move and end; `contract` has the
//!   words.
//!
//! **Limits of bandwidth** `[PROTOCOL 5.7]` are kept where lanes become records, in one place for
//! every kind of link. What is not of [`CAN_WAIT`](crate::wire::frame::Lane::CAN_WAIT) goes at
//! once, always, and is paid for like everything else that carriers put on the wire; messages of
//! those lanes wait for tokens of our own upload limits, and for credit from an end with download
//! limits. So both hold within 5 % over 10 s, control is not late, and nothing is dropped.
//!
//! **Bounds**, all in [`crate::limits`]: strangers in all and per address, time for a handshake, a
//! session's silence, bytes given to a stream, bytes and messages that wait for a peer, partial
//! messages (one per lane and link, growing as bytes arrive, and in all), conversations without a
//! link and what waits in them. An idle link holds its keys and no buffer.
//!
//! Two nodes, a dial and what it comes to:
//!
//! ```
//! use std::{collections::VecDeque, sync::Arc};
//!
//! use positron_proto::{
//!     handshake::Expect,
//!     id::{LinkId, NetworkId},
//!     identity::Identity,
//!     rng::Seed,
//!     session::sessions::{
//!         DialRequest, Effort, LinkKind, LinkKinds, Purpose, SessionConfig, SessionEffect,
//!         Sessions,
//!     },
//!     time::{Duration, Now},
//! };
//!
//! let config = SessionConfig {
//!     network: NetworkId::from_name("example"),
//!     transports: LinkKinds::TCP,
//!     ..SessionConfig::default()
//! };
//! let node = |seed: u8| {
//!     let rng = Seed::new([seed; 32]).stream("sessions");
//!     Sessions::new(config.clone(), Arc::new(Identity::from_seed([seed; 32])), rng)
//! };
//! let (mut alice, mut bob, now) = (node(1), node(2), Now::default());
//! let (mut from_alice, mut from_bob) = (VecDeque::new(), VecDeque::new());
//!
//! let (here, there) = (LinkId::of_core(0), LinkId::of_driver(0));
//! let to = "10.0.0.2:4000".parse().unwrap();
//! let (expect, purpose, effort) = (Expect::Anyone, Purpose::Connect, Effort::Full);
//! let dial = DialRequest { to, expect, noise_static: None, purpose, effort };
//! alice.dial(now, dial, &mut from_alice);
//! let from = "10.0.0.1:5000".parse().unwrap();
//! bob.handle_accepted(now, LinkKind::Tcp, there, from, None, &mut from_bob);
//! alice.handle_connected(now, here, None, &mut from_alice);
//!
//! let mut up = 0;
//! while !from_alice.is_empty() || !from_bob.is_empty() {
//!     match from_alice.pop_front() {
//!         Some(SessionEffect::Write { bytes, .. }) => {
//!             bob.handle_bytes(now, there, bytes, &mut from_bob);
//!         }
//!         Some(SessionEffect::Up(_)) => up += 1,
//!         _ => {}
//!     }
//!     match from_bob.pop_front() {
//!         Some(SessionEffect::Write { bytes, .. }) => {
//!             alice.handle_bytes(now, here, bytes, &mut from_alice);
//!         }
//!         Some(SessionEffect::Incoming(peer)) => bob.accept(now, peer.link, &mut from_bob),
//!         Some(SessionEffect::Up(_)) => up += 1,
//!         _ => {}
//!     }
//!     alice.flush(now, &mut from_alice);
//!     bob.flush(now, &mut from_bob);
//! }
//! assert_eq!(up, 2);
//! ```

mod admission;
mod carrier;
mod carriers;
mod config;
mod contract;
mod conversation;
mod conversations;
mod counters;
mod credit;
mod datagram_carrier;
mod dials;
mod effort;
mod established;
mod fault;
mod happy_eyeballs;
mod keep_alive;
mod kind;
mod lifecycle;
mod link;
mod link_table;
mod links;
mod pace;
mod partials_budget;
mod processes;
mod receive_lanes;
mod send_lane;
pub mod sessions;
mod shaper;
mod stage;
mod stream_carrier;
mod token_bucket;
mod upgrade_backoff;

pub use sessions::Sessions;

#[cfg(test)]
mod tests;
