//! What is checked, one promise a file.
//!
//! Checkers see what an application sees, and the datagrams on their way. Each of them is told and
//! answers at once; only [`Progress`](super::Promise::Progress) has something to say at the end.

mod amplification;
mod bounds;
mod close;
mod congestion;
mod cookies;
mod exact;
mod forgery;
mod keys;
mod nonces;
mod openings;
mod progress;
mod promise;
mod replay;

pub(crate) use amplification::Amplification;
pub(crate) use bounds::{PacketBounds, tables};
pub(crate) use close::{CLOSE, Life, RESET, Truth};
pub(crate) use congestion::{Effort, Silence};
pub(crate) use cookies::{Cookies, is_cookie};
pub(crate) use exact::Flow;
pub(crate) use forgery::{Addresses, Dialled};
pub(crate) use keys::{Keys, Seal};
pub(crate) use nonces::Nonces;
pub(crate) use openings::{Openings, Seals, Shown};
pub(crate) use progress::{Clockwork, in_short, waiting};
pub use promise::Promise;
pub(crate) use promise::Wrong;
pub(crate) use replay::Replay;
