//! The whole node as one machine.

use std::{collections::VecDeque, sync::Arc};

use super::{Command, Config, Effect, Input, Refused, Snapshot, view::NodeView};
use crate::{
    id::{NodeId, Ticket},
    identity::Identity,
    rng::Seed,
    time::{Instant, Now},
};

/// What the wiring itself counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// Signatures checked.
    pub checks: u64,
    /// Signatures that proved false.
    pub checks_failed: u64,
    /// Claims dropped because too many waited for their check.
    pub claims_dropped: u64,
    /// Message bodies that do not read as their type.
    pub malformed: u64,
    /// Messages of a type that this version does not know.
    pub unknown_types: u64,
    /// Messages that a full queue lost (gossip repairs them).
    pub sends_lost: u64,
}

/// Why the node wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wake {
    /// Handshakes, probes, acknowledgments, slow readers.
    Session,
    /// Dials, discovery, heartbeats.
    Peers,
    /// Announcements, requests, anti-entropy.
    Gossip,
    /// Direct messages that wait.
    Direct,
    /// Decay of scores.
    Trust,
}

/// A node. Give it inputs and commands, drain its effects after each, wake it when it says so.
///
/// > **Purity.** The sequence of effects is a function of (config, identity, snapshot, seed, the
/// > sequence of (`Now`, `Input` | `Command`)) and of nothing else.
///
/// - [`handle`](Self::handle) cannot fail: a peer's nonsense is counted and held against the peer.
/// - [`command`](Self::command) is refused with a reason, or gives a [`Ticket`] that exactly one
///   [`Event::Completed`](super::Event::Completed) answers.
/// - [`poll_effect`](Self::poll_effect) until `None` after each of the two.
/// - [`poll_timeout`](Self::poll_timeout) says when to send [`Input::Timeout`], and why.
///
/// `now.mono` never goes back between two calls.
#[derive(Debug)]
pub struct NodeCore {
    id: NodeId,
    effects: VecDeque<Effect>,
}

#[allow(unused_variables, missing_docs, clippy::needless_pass_by_value)]
impl NodeCore {
    /// A node that will say nothing before it hears [`Input::Listening`].
    pub fn new(
        config: Config,
        identity: Arc<Identity>,
        snapshot: Snapshot,
        seed: &Seed,
        now: Now,
    ) -> Self {
        Self { id: identity.node_id(), effects: VecDeque::new() }
    }
    pub fn handle(&mut self, now: Now, input: Input) {}
    pub fn command(&mut self, now: Now, command: Command) -> Result<Ticket, Refused> {
        Err(Refused::Stopping)
    }
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }
    pub fn poll_timeout(&self) -> Option<(Instant, Wake)> {
        None
    }
    pub const fn id(&self) -> NodeId {
        self.id
    }
    pub fn view(&self, now: Now) -> NodeView {
        unimplemented!()
    }
    /// What two nodes compare to know that they hold the same broadcasts.
    pub fn holdings(&self) -> crate::wire::holdings::Holdings {
        unimplemented!()
    }
}
