//! What waits for the sessions.

use std::collections::{BTreeMap, VecDeque};

use super::RequestMessage;
use crate::{
    id::{NodeId, Ticket},
    limits::MAX_OWED_PEERS,
    lru::LruMap,
};

/// What waits for the session of each peer, in order, and what is owed to a process that went out
/// of sight: it may come back, and must not wait, nor do in vain, what is over here.
///
/// Bounded by what is asked and served; of at most [`MAX_OWED_PEERS`] it is known what they are
/// owed, the one gone longest is forgotten first.
#[derive(Debug)]
pub(super) struct Letters {
    waiting: BTreeMap<NodeId, VecDeque<Letter>>,
    owed: LruMap<NodeId, (u64, Vec<RequestMessage>)>,
}

/// What is to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Letter {
    /// A question; what it says stands with the others.
    Ask(Ticket),
    /// Anything else, as it is.
    Say(RequestMessage),
}

impl Default for Letters {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), owed: LruMap::new(MAX_OWED_PEERS) }
    }
}

impl Letters {
    /// Whether nothing waited before it.
    pub(super) fn push(&mut self, to: NodeId, letter: Letter) -> bool {
        let queue = self.waiting.entry(to).or_default();
        queue.push_back(letter);
        queue.len() == 1
    }

    pub(super) fn first(&self, to: &NodeId) -> Option<&Letter> {
        self.waiting.get(to)?.front()
    }

    pub(super) fn pop(&mut self, to: &NodeId) -> Option<Letter> {
        let queue = self.waiting.get_mut(to)?;
        let first = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(to);
        }
        first
    }

    pub(super) fn len(&self, to: &NodeId) -> usize {
        self.waiting.get(to).map_or(0, VecDeque::len)
    }

    pub(super) fn has_any(&self, to: &NodeId) -> bool {
        self.waiting.contains_key(to)
    }

    /// Nobody waits for what this would ask.
    pub(super) fn take_back(&mut self, to: &NodeId, ticket: Ticket) {
        let Some(queue) = self.waiting.get_mut(to) else { return };
        queue.retain(|letter| *letter != Letter::Ask(ticket));
        if queue.is_empty() {
            self.waiting.remove(to);
        }
    }

    /// Its session is over: only questions wait for the next one, and its process is owed the
    /// rest.
    pub(super) fn part(&mut self, from: NodeId, boot: u64, mut owed: Vec<RequestMessage>) {
        if let Some(queue) = self.waiting.remove(&from) {
            let mut asks = VecDeque::new();
            for letter in queue {
                match letter {
                    Letter::Ask(_) => asks.push_back(letter),
                    Letter::Say(message @ RequestMessage::Cancel { .. }) => owed.push(message),
                    // Whoever asked counts it as cut off.
                    Letter::Say(_) => {}
                }
            }
            if !asks.is_empty() {
                self.waiting.insert(from, asks);
            }
        }
        self.owed.insert(from, (boot, owed));
    }

    /// A session is up: if it is with the process of before, what that is owed comes first.
    pub(super) fn meet(&mut self, peer: NodeId, boot: u64) {
        let Some((owed_to, owed)) = self.owed.get_mut(&peer) else { return };
        let owed = core::mem::take(owed);
        if *owed_to == boot {
            let queue = self.waiting.entry(peer).or_default();
            owed.into_iter().rev().for_each(|message| queue.push_front(Letter::Say(message)));
            if queue.is_empty() {
                self.waiting.remove(&peer);
            }
        }
    }
}
