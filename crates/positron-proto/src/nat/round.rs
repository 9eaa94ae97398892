//! One search for a direct path.

use std::net::SocketAddr;

use crate::time::Instant;

/// How far the search for a direct path to one peer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RoundStage {
    /// It is to begin again.
    Idle,
    /// How far our own translators reach is being found out, before anything is said.
    Measuring,
    /// CONNECT was said.
    Offered { nonce: u64 },
    /// ANSWER was said, and our translator is open.
    Answered { nonce: u64, to: Vec<SocketAddr> },
    /// Both translators are open.
    Probing { to: Vec<SocketAddr>, probes: usize, since: Instant },
    /// The peer answered at one address, which is being dialled.
    Dialling,
}

/// A peer that is reached through a relay.
#[derive(Debug)]
pub(super) struct SoughtPath {
    /// Whether we dialled it: then we begin.
    pub(super) begins: bool,
    /// Where the relay is, if datagrams go there.
    pub(super) relay: Option<SocketAddr>,
    pub(super) stage: RoundStage,
    /// Searches that came to nothing.
    pub(super) failed: usize,
    /// What the peer offered and is answered when it is known how far our translators reach.
    pub(super) offered: Option<(u64, Vec<SocketAddr>)>,
}
