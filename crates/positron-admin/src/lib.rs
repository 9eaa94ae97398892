//! The admin API of a node: one router behind two doors.
//!
//! ```text
//!   its owner, the command ── control.sock in the data folder, 0600 ──┐
//!                                                                     ├─ gate ─ router ─ Node
//!   the page, a scraper ───── 127.0.0.1:9777, bearer token ───────────┘
//! ```
//!
//! - [`Server`] listens. A [`Door`] says who may come in: over the socket in the data folder only
//!   the owner can; over TCP whoever shows the [token](Token), from no foreign page. What every
//!   request passes is in `gate`.
//! - `routes` has one file for what is asked together. [`openapi.json`](openapi()) says what each
//!   route takes and answers, and is made from them. What is routed, and what `GET /v1` lists, is
//!   one list (`offers`).
//! - Events leave from one ring (`feed`): who listens holds a place in it and nothing else,
//!   so one that stops reading costs nothing.
//! - [`NetworkServer`] shows the same page over a simulated network, or a recording of one.
//! - [`Client`] is the other end, for the command.
//!
//! Whatever is asked, by whomever, the node goes on: connections, bodies, listeners and actions are
//! bounded in [`limits`], and a wrong question is answered by what is wrong about it.

mod app;
mod client;
mod door;
mod feed;
mod gate;
mod history;
mod joining;
pub mod limits;
mod moment;
mod network;
mod offers;
mod openapi;
mod orders;
mod page;
mod reel;
mod refusal;
mod routes;
mod server;
mod slots;
mod socket;
mod surroundings;
mod token;
mod words;

pub use client::{Asked, Client, ClientError, EventStream};
pub use door::{Door, NotLoopback};
pub use joining::{JoinEnd, NotJoined, Target, join};
pub use moment::rfc3339;
pub use network::{
    Ability, NetworkAction, NetworkLink, NetworkPicture, NetworkServer, SimulatedNetwork,
};
pub use openapi::openapi;
pub use orders::{PeerName, Whom};
pub use reel::Reel;
pub use refusal::Wrong;
pub use server::{ApiPort, Server, ServerError};
pub use surroundings::{ConfigValue, Logbook, Surroundings};
pub use token::{TOKEN_FILE, Token, TokenError};
pub use words::{reachability, storage_state, storage_trouble};
