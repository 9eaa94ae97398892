//! One dial of ours: the links that race for it.

use std::collections::VecDeque;

use super::contract::{DialFailure, DialRequest, LinkKind};
use crate::{id::LinkId, time::Instant};

/// Names a race: counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AttemptId(pub(super) u64);

/// The links that are dialled for one wish.
///
/// It is over when the first of them is up, or when none can be any more. Of the others those
/// without keys are abandoned; one that waits for its PONG goes on, because the other end may have
/// taken it for better already, and the rule for two links between the same two nodes decides.
#[derive(Debug)]
pub(super) struct ConnectionAttempt {
    pub(super) dial: DialRequest,
    pub(super) why: Reason,
    /// Under way: at most one of each kind.
    pub(super) links: Vec<LinkId>,
    /// The kinds that are still to be dialled, and when.
    pub(super) turns: VecDeque<(Instant, LinkKind)>,
    /// The most telling failure so far.
    pub(super) failure: Option<DialFailure>,
}

/// Whose wish a race is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The caller's, who is told how it ends.
    Requested,
    /// Ours: the link to the node fell silent.
    Failover,
    /// Ours: the session with the node runs over a link of a less preferred kind.
    Upgrade,
}
