//! What an endpoint promises, and that it did not keep it.

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
