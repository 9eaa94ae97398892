//! Questions of the hash table while something carries them.

use std::collections::BTreeMap;

use super::{NodeConfig, errand_desk::ErrandDesk, node_finder::NodeFinder};
use crate::{
    datagram::contract::QueryReply,
    dht::{DhtAsk, QuestionId, ReplyId, Serve},
    id::NodeId,
    limits::SERVES_AFTER,
    session::sessions::LinkKind,
    time::{Instant, Now},
};

/// Questions that are between the hash table and what carries them.
#[derive(Debug)]
pub(super) struct TableCarrier {
    next_reply: u64,
    /// Questions of others that are being answered: no more than the table holds.
    pub(super) replies: BTreeMap<ReplyId, ReplyTo>,
    /// Questions of ours that go over sessions: whom they were asked.
    pub(super) over_sessions: BTreeMap<QuestionId, NodeId>,
    /// Questions that wait for a session to be made.
    pub(super) waiting: BTreeMap<NodeId, Vec<(QuestionId, DhtAsk)>>,
    /// What is done for others.
    pub(super) desk: ErrandDesk,
    /// Nodes that are looked for.
    pub(super) finder: NodeFinder,
    pub(super) serve: Serve,
    /// Whether the node has datagrams, over which others ask.
    pub(super) has_datagrams: bool,
    /// When it has been up for long enough to serve strangers.
    pub(super) grown_up: Instant,
}

/// Where an answer goes.
#[derive(Debug)]
pub(super) enum ReplyTo {
    Session(NodeId, u64),
    Datagram(QueryReply),
}

impl TableCarrier {
    pub(super) fn new(config: &NodeConfig, now: Now) -> Self {
        Self {
            next_reply: 0,
            replies: BTreeMap::new(),
            over_sessions: BTreeMap::new(),
            waiting: BTreeMap::new(),
            desk: ErrandDesk::default(),
            finder: NodeFinder::default(),
            serve: config.dht.serve,
            // Who is asked by a datagram sees whence it came.
            has_datagrams: config.session.transports.has(LinkKind::Udp) && !config.peers.hidden,
            grown_up: now.mono + SERVES_AFTER,
        }
    }

    /// The answer to a question of ours is not waited for any more, nor is a session for it.
    pub(super) fn give_up(&mut self, question: QuestionId) {
        self.over_sessions.remove(&question);
        self.waiting.retain(|_, asks| {
            asks.retain(|(id, _)| *id != question);
            !asks.is_empty()
        });
    }

    pub(super) fn reply(&mut self, to: ReplyTo) -> ReplyId {
        let id = ReplyId(self.next_reply);
        self.next_reply += 1;
        self.replies.insert(id, to);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dht::{DhtQuery, Place};

    #[test]
    fn of_a_question_that_is_given_up_nothing_waits_for_a_session_that_never_comes() {
        let mut carrier = TableCarrier::new(&NodeConfig::default(), Now::default());
        let ask = || DhtAsk { serves: false, query: DhtQuery::Find(Place::from_bytes([0; 32])) };
        let peer = NodeId::from_bytes([1; 32]);
        carrier.waiting.insert(peer, vec![(QuestionId(1), ask()), (QuestionId(2), ask())]);
        carrier.over_sessions.insert(QuestionId(3), peer);
        carrier.give_up(QuestionId(1));
        assert_eq!(carrier.waiting[&peer].len(), 1);
        carrier.give_up(QuestionId(2));
        carrier.give_up(QuestionId(3));
        assert!(carrier.waiting.is_empty() && carrier.over_sessions.is_empty());
    }
}
