//! Thousands of short stories with an attacker: whoever holds the wire, and whoever has a key.
//!
//! And of somebody who means well and speaks a version that does not exist yet.
//!
//! Nothing may panic, nothing forged may be delivered, every table keeps its bound, and honest
//! nodes never hold against each other what somebody else did.

#![allow(clippy::unwrap_used, clippy::panic)]

mod future_frames;
mod future_peer;
mod goodbye;
mod man_in_the_middle;
mod peer;
mod queries;
mod rig;
