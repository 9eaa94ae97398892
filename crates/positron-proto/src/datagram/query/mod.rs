//! Queries: a question and its answer without a connection `[PROTOCOL 9.11]`.
//!
//! - `contract`: the words;
//! - `secret`, `ticket`: what makes the second query to a node cheap, at the end that stores
//!   nothing; `wallet`: the same at the end that asks;
//! - `packets`: what is sealed in the datagrams of queries;
//! - `admission`: how many are answered;
//! - `asking`, `answering`: the two ends; `ground`: what both have of their endpoint.

mod admission;
mod answering;
mod asking;
pub(super) mod contract;
mod ground;
pub(super) mod packets;
pub(super) mod secret;
pub(super) mod ticket;
mod wallet;

pub(super) use answering::Answering;
pub(super) use asking::Asking;
pub(super) use ground::QueryGround;
