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
pub(crate) use replay::Replay;

/// What an endpoint promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Promise {
    /// Each reliable message once, in order where that is asked for; streams byte for byte.
    Exact,
    /// Nothing is believed that the peer did not say.
    Forgery,
    /// Tables, queues and windows keep to their limits.
    Bounds,
    /// Little is sent to an address that has not proven itself.
    Amplification,
    /// What waits goes on, and time does.
    Progress,
    /// No number seals two packets, and none is opened twice.
    Nonces,
    /// What one end sealed opens at the other.
    Opening,
    /// Keys change only after an acknowledgment.
    Keys,
    /// Under pressure only who receives at its address is let in.
    Cookies,
    /// Each connection ends once, in states that follow one another, for a reason that is true.
    Close,
    /// Not much more is sent than needed, and less and less into silence.
    Congestion,
}

/// A promise that was broken, before anybody knows when and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) promise: Promise,
    pub(crate) what: String,
}

impl Wrong {
    pub(crate) fn new(promise: Promise, what: impl Into<String>) -> Self {
        Self { promise, what: what.into() }
    }
}
